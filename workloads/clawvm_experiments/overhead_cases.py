"""What is timed, and how: selection, whole turns, lifecycle operations, one ``fsync``.

Every operation starts from the same table of 20 pages. What has to happen around it (staging the updates that a
boundary finds, assembling the prompt in between) is not timed. The journal's file is written without ``fsync``.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import os
import statistics
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from clawvm_experiments.experiment import family_trace
from clawvm_replay.replay import replay, replay_trace
from clawvm_replay.trace_format import EventBefore, Replacement, ToolDeclaration, Trace, Turn
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import Engine, RecallAnswer, ToolCall, ToolResult
from clawvm_runtime.journal import FileJournalStorage, Journal, MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, RecallOutcome, ToolOutcome

__all__ = [
    "DISK_SAMPLES",
    "FAMILY_BUDGET",
    "OPERATIONS",
    "OPERATION_PAGES",
    "REFERENCE",
    "Operation",
    "Size",
    "Work",
    "demands_of",
    "disk_cases",
    "family_cases",
    "make_pages",
    "operation_cases",
    "peak_kb",
    "percentile",
    "reference_record",
    "repeat",
    "requests_of",
    "run_operation",
    "size_cases",
    "time_reference",
    "timing_of",
]

Record = Callable[[int], object]
"""Takes the nanoseconds of one sample, outside of what is timed."""

Work = Callable[[Record], None]
"""Does the same work from the same fresh start and hands over each of its samples, the same number each time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing whose cost is measured.

    ``section`` is the list of the document that takes its row, ``fields`` what identifies the row there. ``prepare``
    makes the work, and is not timed itself. With ``has_peak`` the peak of its memory is measured too.
    """

    section: str
    fields: Mapping[str, Any]
    prepare: Callable[[], Work]
    has_peak: bool = False

    @property
    def label(self) -> str:
        """The case in one line, for progress and warnings."""
        fields = (f"{name} {value}" for name, value in self.fields.items() if value is not None)
        return f"{self.section}: {', '.join(fields)}"


def timing_of(results: Sequence[Sequence[int]]) -> dict[str, float]:
    """Return what the repeats of one case cost, in microseconds; *results* has the nanoseconds of each, O(n log n).

    ``worst_us`` is the longest of all samples, with whatever interrupted the process. Every repeat does the same work
    in the same order, so a sample can be compared with itself: ``costliest_us`` is the highest median of one sample
    over the repeats, which an interruption of a single repeat does not reach. ``spread`` is the share of their median
    by which the medians of the repeats differ.
    """
    samples = [sample for result in results for sample in result]
    medians = [statistics.median(result) for result in results]
    nanoseconds = {
        "median_us": statistics.median(samples),
        "p95_us": percentile(samples, 0.95),
        "worst_us": max(samples),
        "costliest_us": max(statistics.median(same) for same in zip(*results)),
    }
    return {
        "samples": len(results[0]),
        **{name: round(value / 1000, 3) for name, value in nanoseconds.items()},
        "spread": round((max(medians) - min(medians)) / max(1.0, statistics.median(medians)), 4),
    }


def percentile(samples: Sequence[int], share: float) -> int:
    """Return the smallest sample that at least *share* of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def timed(function: Callable[..., Any], record: Record) -> Callable[..., Any]:
    """Return *function* with the time of every call recorded."""

    def call(*arguments: Any) -> Any:
        begin = perf_counter_ns()
        result = function(*arguments)
        record(perf_counter_ns() - begin)
        return result

    return call


def repeat(work: Work, repeats: int) -> list[list[int]]:
    """Return the samples of *repeats* rounds, after one that warms caches and the specializing interpreter.

    The garbage collector keeps out of the samples, as in timeit.
    """
    work(lambda sample: None)
    results: list[list[int]] = []
    enabled = gc.isenabled()
    try:
        for _ in range(repeats):
            results.append([])
            gc.collect()
            gc.disable()
            work(results[-1].append)
    finally:
        if enabled:
            gc.enable()
    return results


def peak_kb(work: Work) -> float:
    """Return the peak of what *work* allocates, in units of 1024 bytes; much slower than the work itself.

    Garbage is collected after each sample: the interpreter's free lists, which keep what was freed, are emptied then.
    What was there before is frozen, so that each collection looks only at what is new.
    """
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work(lambda sample: gc.collect())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    return (peak - before) / 1024


POLICY = "clawvm"
OTHER_POLICIES = ("lru", "compaction_hybrid", "retrieval")
DEMANDS_PER_TURN = 2
FAMILY_BUDGET = 180
"""Tokens: the budget of the published ablation and of the weight sweep."""

REFERENCE_LINES = 200

# One round of ten pages; larger tables repeat it. Few pages are hard, so that 80 pages still leave space for choices.
_ROUND = (
    (PageType.BOOTSTRAP_POLICY, 10.0, 1.0),
    (PageType.PLAN, 8.0, 1.0),
    (PageType.EVIDENCE, 5.0, 8.0),
    (PageType.EVIDENCE, 4.0, 6.0),
    (PageType.PREFERENCE, 4.0, 2.0),
    (PageType.CONVERSATION_SEGMENT, 2.0, 3.0),
    (PageType.CONSTRAINT, 7.0, 1.0),
    (PageType.EVIDENCE, 5.0, 7.0),
    (PageType.CONVERSATION_SEGMENT, 1.0, 3.0),
    (PageType.EVIDENCE, 3.0, 9.0),
)
_COSTS = {Level.POINTER: 2, Level.STRUCTURED: 8, Level.COMPRESSED: 15, Level.FULL: 28}

Demands = list[tuple[str, Level]]


@dataclass(frozen=True, slots=True)
class Size:
    """A table of *pages* pages under a budget in tokens, for that many turns a run."""

    pages: int
    budget: int
    turns: int


REFERENCE = Size(pages=20, budget=500, turns=50)
"""The table whose last assemble decision is the reference, as one canonical JSON line."""


def make_pages(count: int) -> list[Page]:
    """Return *count* pages of all types, the same ones every time."""
    pages = []
    for number in range(count):
        kind, base_utility, recompute_cost = _ROUND[number % len(_ROUND)]
        # Sizes differ a little from page to page, so that scores per token do not tie.
        costs = {level: _COSTS[level] + number % (3 + level) for level in TYPE_RULES[kind].levels}
        pages.append(
            Page(
                id=f"page-{number:03}",
                type=kind,
                costs=costs,
                provenance=Provenance("file", f"page-{number:03}.md"),
                base_utility=base_utility,
                recompute_cost=recompute_cost,
            )
        )
    return pages


def demands_of(count: int, turn: int) -> Demands:
    """Return a turn's demands: a walk through all *count* pages whose strides share no factor with the usual counts."""
    wanted = (Level.STRUCTURED, Level.FULL)
    return [
        (f"page-{(turn * 7 + index * 3) % count:03}", wanted[(turn + index) % len(wanted)])
        for index in range(DEMANDS_PER_TURN)
    ]


def started_engine(size: Size, policy: str = POLICY, **options: Any) -> Engine:
    """Return an engine whose first session has the pages of one size; *options* are those of ``Engine``."""
    engine = Engine(POLICIES[policy], size.budget, **options)
    engine.session_start("session-1", make_pages(size.pages))
    return engine


def run_turns(engine: Engine, size: Size, record: Record = lambda sample: None) -> None:
    """Run the turns of one size, and time each."""

    def turn(wanted: Demands) -> None:
        engine.post_model(demands=wanted)
        engine.prompt_assemble()

    for number in range(size.turns):
        timed(turn, record)(demands_of(size.pages, number))


def requests_of(size: Size) -> list[SelectionRequest]:
    """Return the selection requests of the turns at one size."""
    requests: list[SelectionRequest] = []

    def recording(request: SelectionRequest) -> Selection:
        requests.append(request)
        return select(request)

    run_turns(started_engine(size, selector=recording), size)
    return requests


def _selections(size: Size) -> Work:
    requests = requests_of(size)

    def work(record: Record) -> None:
        for request in requests:
            timed(select, record)(request)

    return work


def _turns(size: Size, policy: str, traced: bool) -> Work:
    def work(record: Record) -> None:
        trace = DecisionTrace(lambda event: None) if traced else None
        run_turns(started_engine(size, policy, trace=trace), size, record)

    return work


def size_cases(size: Size) -> list[Case]:
    """Return the cases of one size: every part under ClawVM, the plain turn under the other policies."""
    works = {
        "select": partial(_selections, size),
        "turn": partial(_turns, size, POLICY, False),
        "turn+trace": partial(_turns, size, POLICY, True),
        **{f"turn, {policy}": partial(_turns, size, policy, False) for policy in OTHER_POLICIES},
    }
    return [
        Case("timings", {"part": part, "pages": size.pages, "budget": size.budget}, work, "," not in part)
        for part, work in works.items()
    ]


def time_family_turns(trace: Trace, record: Record) -> None:
    """Time each turn of *trace* with the replay around it, which asks for one turn at a time."""

    def timed() -> Iterator[Turn]:
        for turn in map(_with_own_pages, trace.turns):
            begin = perf_counter_ns()
            yield turn
            record(perf_counter_ns() - begin)

    replay(trace.header, timed(), POLICIES[POLICY], trace.header.budget)


def family_cases(workload: str) -> list[Case]:
    """Return the cases of one family at ``FAMILY_BUDGET``."""
    trace = family_trace(workload, FAMILY_BUDGET)
    fields = {"workload": workload, "budget": FAMILY_BUDGET, "pages": len(_page_ids(trace))}

    def select_in(record: Record) -> None:
        replay_trace(trace, POLICIES[POLICY], selector=timed(select, record))

    return [
        Case("families", {"part": "select", **fields}, lambda: select_in),
        Case("families", {"part": "turn", **fields}, lambda: partial(time_family_turns, trace), has_peak=True),
    ]


def _with_own_pages(turn: Turn) -> Turn:
    """Return *turn* with pages of its own: those that the engine keeps belong to its memory."""
    return dataclasses.replace(turn, events_before=tuple(_with_own_page(item) for item in turn.events_before))


def _with_own_page(item: EventBefore) -> EventBefore:
    if isinstance(item, Page):
        return item.changed()
    if isinstance(item, (Replacement, ToolDeclaration)) and item.page is not None:
        return dataclasses.replace(item, page=item.page.changed())
    return item


def _page_ids(trace: Trace) -> set[str]:
    """Return the ids of all pages that a trace declares or that its tools return."""
    items = [
        item.page if isinstance(item, ToolDeclaration) else item for turn in trace.turns for item in turn.events_before
    ]
    return {item.id for item in items if isinstance(item, Page)}


def reference_record() -> Event:
    """Return the last assemble decision over ``REFERENCE``."""
    trace = DecisionTrace()
    run_turns(started_engine(REFERENCE, trace=trace), REFERENCE)
    return next(event for event in reversed(trace.events) if event["event"] == "assemble")


def time_reference(decision: Event, record: Record) -> None:
    """Time ``REFERENCE_LINES`` canonical JSON lines of one decision."""
    for _ in range(REFERENCE_LINES):
        timed(canonical_json, record)(decision)


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

    ``prepare`` takes a started engine and the number of the sample, from 0; what it returns is timed, it itself is not.
    ``journals`` names where the journal may live (``memory``, ``file``): both where the operation writes to it.
    """

    operation: str
    situation: str
    prepare: Callable[[Engine, int], Callable[[], object]]
    dirty: int | None = None
    policy: str = POLICY
    journals: tuple[str, ...] = ("memory",)


def _session_start(engine: Engine, number: int) -> Callable[[], object]:
    fresh = Engine(engine.policy, engine.budget)
    return partial(fresh.session_start, "session-1", make_pages(OPERATION_PAGES))


def _judge_demands(engine: Engine, number: int) -> Callable[[], object]:
    engine.prompt_assemble()
    return partial(engine.post_model, demands=demands_of(OPERATION_PAGES, number))


def _stage_update(engine: Engine, number: int) -> Callable[[], object]:
    engine.compaction()
    return partial(engine.post_model, updates=_updates(engine, 1))


def _execute_cold(engine: Engine, number: int) -> Callable[[], object]:
    call, result = _call(number)
    return partial(engine.tool_execute, call, lambda _: result)


def _execute_again(engine: Engine, number: int) -> Callable[[], object]:
    again = _execute_cold(engine, 0)
    if number == 0:
        again()
    engine.prompt_assemble()
    return again


def _assemble(engine: Engine, number: int) -> Callable[[], object]:
    engine.post_model(demands=demands_of(OPERATION_PAGES, number))
    return engine.prompt_assemble


def _boundary(name: str, dirty: int, engine: Engine, number: int) -> Callable[[], object]:
    """Prepare a boundary or flush that finds *dirty* updates staged, each time in a turn of its own."""
    engine.prompt_assemble()
    engine.post_model(updates=_updates(engine, dirty))
    operation: Callable[..., object] = getattr(engine, name)
    return partial(operation, f"session-{number + 2}") if name == "reset" else operation


def _recall(engine: Engine, number: int) -> Callable[[], object]:
    return partial(engine.recall, "what did we decide?", lambda _: RecallAnswer(RecallOutcome.OK, ("page-000",)))


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
        costs=_COSTS,
        provenance=Provenance("tool_call", call.canonical_signature()),
        base_utility=5.0,
        recompute_cost=8.0,
    )
    return call, ToolResult(ToolOutcome.OK, page)


_BOTH = ("memory", "file")

# ClawVM flushes nothing before a boundary, so the flush is timed under the policy that performs one.
OPERATIONS: Sequence[Operation] = (
    Operation("session_start", f"{OPERATION_PAGES} pages", _session_start),
    Operation("post_model", "2 demands", _judge_demands),
    Operation("post_model", "1 update staged", _stage_update, journals=_BOTH),
    Operation("tool_execute", "cold", _execute_cold),
    Operation("tool_execute", "served from the store", _execute_again),
    Operation("prompt_assemble", "2 demands", _assemble),
    *(
        Operation(
            name, f"{dirty} dirty", partial(_boundary, name, dirty), dirty, policy, _BOTH if dirty else ("memory",)
        )
        for name, policy in (("compaction", POLICY), ("reset", POLICY), ("memory_flush", "compaction_hybrid"))
        for dirty in DIRTY_COUNTS
    ),
    Operation("memory_flush", "not performed", partial(_boundary, "memory_flush", 0)),
    Operation("recall", "answered", _recall),
)


def run_operation(operation: Operation, journal: str, samples: int, record: Record) -> None:
    """Time *operation* on a fresh engine; raises OSError where the temporary folder cannot take the journal's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _JOURNAL_NAME)
        storage = FileJournalStorage(path, durable=False) if journal == "file" else MemoryJournalStorage()
        with closing(Journal(storage)) as kept:
            engine = _engine(operation, kept)
            for number in range(samples):
                timed(operation.prepare(engine, number), record)()


def _engine(operation: Operation, journal: Journal) -> Engine:
    engine = started_engine(Size(OPERATION_PAGES, OPERATION_BUDGET, 0), operation.policy, journal=journal)
    engine.prompt_assemble()
    return engine


def operation_cases(samples: int) -> list[Case]:
    """Return the case of every operation and journal."""
    fields = ("operation", "situation", "policy", "dirty")
    return [
        Case(
            "operations",
            {**{name: getattr(operation, name) for name in fields}, "journal": journal},
            partial(partial, run_operation, operation, journal, samples),
        )
        for operation in OPERATIONS
        for journal in operation.journals
    ]


def disk_cases() -> list[Case]:
    """Return the cases of making a writeback durable: one ``fsync`` each, behind as many bytes as a compaction adds."""
    cases = []
    for operation in OPERATIONS:
        if operation.operation == "compaction" and operation.dirty:
            storage = MemoryJournalStorage()
            engine = _engine(operation, Journal(storage))
            before = len(storage.read())
            operation.prepare(engine, 0)()
            lines = [canonical_json(record) + "\n" for record in storage.read()[before:]]
            content = "".join(lines).encode("ascii")
            fields = {"what": "fsync", "dirty": operation.dirty, "bytes": len(content)}
            cases.append(Case("disk", fields, partial(partial, _time_fsync, content)))
    return cases


def _time_fsync(content: bytes, record: Record) -> None:
    with tempfile.TemporaryDirectory() as folder, open(Path(folder, _JOURNAL_NAME), "ab", buffering=0) as file:
        for _ in range(DISK_SAMPLES):
            file.write(content)
            timed(os.fsync, record)(file.fileno())
