"""What each lifecycle operation costs by itself, with the journal in memory and in a file, and what the disk costs.

===================  =================================================================================
OPERATIONS           every operation that is timed: its situation, its policy, its dirty updates
run_operation        time one operation on a fresh engine
operation_cases      the cases of all operations
disk_cases           one ``fsync`` behind a writeback, which belongs to the disk and not to the engine
===================  =================================================================================

Every operation starts from the same table of 20 pages. What has to happen around it (staging the updates that a
boundary finds, assembling the prompt in between) is not timed. The journal's file is written without ``fsync``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clawvm_experiments.overhead.cases import POLICY, make_demands, make_pages, started_engine
from clawvm_experiments.overhead.timing import Case, Record, Work, nanoseconds
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.engine import Engine, RecallAnswer, ToolCall, ToolResult
from clawvm_runtime.journal import Journal
from clawvm_runtime.journal_storage import FileJournalStorage, MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome

__all__ = [
    "DIRTY_COUNTS",
    "DISK_SAMPLES",
    "OPERATION_BUDGET",
    "OPERATION_PAGES",
    "Operation",
    "disk_cases",
    "operation_cases",
    "run_operation",
]

OPERATION_PAGES = 20
OPERATION_BUDGET = 500
DIRTY_COUNTS = (0, 1, 10)
"""How many updates a boundary finds staged, each for another page."""

DISK_SAMPLES = 20
_JOURNAL_NAME = "journal.jsonl"
_NOTE = "the failing test is test_login; the cause is the session cookie, see the second traceback"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation in one situation.

    ``journals`` names where the journal may live (``memory``, ``file``): both where the operation writes to it.
    ``time`` takes a started engine and the number of samples and hands over each of them.
    """

    operation: str
    situation: str
    time: Callable[[Engine, int, Record], None]
    dirty: int | None = None
    policy: str = POLICY
    journals: tuple[str, ...] = ("memory",)


# --- the operations ----------------------------------------------------------------------------------


def _pages() -> list[Page]:
    return make_pages(OPERATION_PAGES)


def _session_start(engine: Engine, samples: int, record: Record) -> None:
    pages = _pages()
    for _ in range(samples):
        record(nanoseconds(Engine(engine.policy, engine.budget).session_start, "session-1", pages))


def _judge_demands(engine: Engine, samples: int, record: Record) -> None:
    for demands in make_demands(OPERATION_PAGES, samples):
        record(nanoseconds(engine.post_model, demands=demands))
        engine.prompt_assemble()


def _stage_update(engine: Engine, samples: int, record: Record) -> None:
    for _ in range(samples):
        record(nanoseconds(engine.post_model, updates=_updates(engine, 1)))
        engine.compaction()


def _execute_cold(engine: Engine, samples: int, record: Record) -> None:
    for number in range(samples):
        call, result = _call(number)
        record(nanoseconds(engine.tool_execute, call, lambda _, result=result: result))


def _execute_again(engine: Engine, samples: int, record: Record) -> None:
    call, result = _call(0)
    engine.tool_execute(call, lambda _: result)
    for _ in range(samples):
        engine.prompt_assemble()
        record(nanoseconds(engine.tool_execute, call, _refuse))


def _assemble(engine: Engine, samples: int, record: Record) -> None:
    for demands in make_demands(OPERATION_PAGES, samples):
        engine.post_model(demands=demands)
        record(nanoseconds(engine.prompt_assemble))


def _compaction(dirty: int, engine: Engine, samples: int, record: Record) -> None:
    _with_dirty(engine, dirty, [engine.compaction] * samples, record)


def _reset(dirty: int, engine: Engine, samples: int, record: Record) -> None:
    resets = [partial(engine.reset, f"session-{number}") for number in range(2, samples + 2)]
    _with_dirty(engine, dirty, resets, record)


def _memory_flush(dirty: int, engine: Engine, samples: int, record: Record) -> None:
    _with_dirty(engine, dirty, [engine.memory_flush] * samples, record)


def _recall(engine: Engine, samples: int, record: Record) -> None:
    answer = RecallAnswer(RecallOutcome.OK, ("page-000",))
    for _ in range(samples):
        record(nanoseconds(engine.recall, "what did we decide?", lambda _: answer))


def _with_dirty(engine: Engine, dirty: int, operations: Iterable[Callable[[], object]], record: Record) -> None:
    """Time each operation; each finds *dirty* updates staged, in a turn of its own."""
    for operation in operations:
        engine.post_model(updates=_updates(engine, dirty))
        record(nanoseconds(operation))
        engine.prompt_assemble()


def _updates(engine: Engine, count: int) -> list[Update]:
    """Return an update of the same field of each of the first *count* pages, as an agent that read them makes it."""
    return [
        Update(
            page_id=entry.page.id,
            field="note",
            operation="set_with_version",
            value=_NOTE,
            scope=entry.page.scope.value,
            evidence_ref=entry.page.id,
            base_version=engine.journal.expected_version(entry.page.id, "note"),
        )
        for entry, _ in zip(engine.table, range(count))
    ]


def _call(number: int) -> tuple[ToolCall, ToolResult]:
    call = ToolCall("read", {"path": f"src/module_{number}.py"})
    page = Page(
        id=f"result-{number}",
        type=PageType.EVIDENCE,
        costs={Level.POINTER: 2, Level.STRUCTURED: 8, Level.COMPRESSED: 15, Level.FULL: 28},
        provenance=Provenance("tool_call", call.canonical_signature()),
        base_utility=5.0,
        recompute_cost=8.0,
    )
    return call, ToolResult(ToolOutcome.OK, page)


def _refuse(call: ToolCall) -> ToolResult:
    raise AssertionError(f"{call.tool} must be served from the store")


_BOTH = ("memory", "file")

OPERATIONS: Sequence[Operation] = (
    Operation("session_start", f"{OPERATION_PAGES} pages", _session_start),
    Operation("post_model", "2 demands", _judge_demands),
    Operation("post_model", "1 update staged", _stage_update, journals=_BOTH),
    Operation("tool_execute", "cold", _execute_cold),
    Operation("tool_execute", "served from the store", _execute_again),
    Operation("prompt_assemble", "2 demands", _assemble),
    *(
        Operation(operation, f"{dirty} dirty", partial(time, dirty), dirty, policy, _BOTH if dirty else ("memory",))
        for operation, policy, time in (
            ("compaction", POLICY, _compaction),
            ("reset", POLICY, _reset),
            ("memory_flush", "compaction_hybrid", _memory_flush),
        )
        for dirty in DIRTY_COUNTS
    ),
    Operation("memory_flush", "not performed", partial(_memory_flush, 0)),
    Operation("recall", "answered", _recall),
)
"""ClawVM flushes nothing before a boundary, so the flush is timed under the policy that performs one."""


# --- running them ------------------------------------------------------------------------------------


def run_operation(operation: Operation, journal: str, samples: int, record: Record) -> None:
    """Time *operation* on a fresh engine; raises OSError where the temporary folder cannot take the journal's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _JOURNAL_NAME)
        storage = FileJournalStorage(path, durable=False) if journal == "file" else MemoryJournalStorage()
        with closing(Journal(storage)) as kept:
            operation.time(_engine(operation, kept), samples, record)


def _engine(operation: Operation, journal: Journal) -> Engine:
    engine = started_engine(_pages(), OPERATION_BUDGET, operation.policy, journal=journal)
    engine.prompt_assemble()
    return engine


def operation_cases(samples: int) -> list[Case]:
    """Return the case of every operation and journal."""
    return [
        Case(
            "operations",
            {
                "operation": operation.operation,
                "situation": operation.situation,
                "journal": journal,
                "policy": operation.policy,
                "dirty": operation.dirty,
            },
            partial(_work, operation, journal, samples),
        )
        for operation in OPERATIONS
        for journal in operation.journals
    ]


def _work(operation: Operation, journal: str, samples: int) -> Work:
    return partial(run_operation, operation, journal, samples)


def disk_cases() -> list[Case]:
    """Return the cases of making a writeback durable: one ``fsync`` each, behind as many bytes as a compaction adds."""
    cases = []
    for operation in OPERATIONS:
        if operation.operation == "compaction" and operation.dirty:
            storage = MemoryJournalStorage()
            engine = _engine(operation, Journal(storage))
            before = len(storage.read())
            operation.time(engine, 1, lambda sample: None)
            lines = [canonical_json(record) + "\n" for record in storage.read()[before:]]
            content = "".join(lines).encode("ascii")
            fields = {"what": "fsync", "dirty": operation.dirty, "bytes": len(content)}
            cases.append(Case("disk", fields, partial(_fsync_work, content)))
    return cases


def _fsync_work(content: bytes) -> Work:
    def work(record: Record) -> None:
        with tempfile.TemporaryDirectory() as folder, open(Path(folder, _JOURNAL_NAME), "ab", buffering=0) as file:
            for _ in range(DISK_SAMPLES):
                file.write(content)
                record(nanoseconds(os.fsync, file.fileno()))

    return work
