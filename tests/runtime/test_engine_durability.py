"""What an engine promises about memory when things go wrong: crashes, interrupts, retries, hostile batches."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from unittest import mock

from clawvm_runtime.engine import Engine, RecallAnswer, ToolCall, ToolResult
from clawvm_runtime.errors import JournalCorruptError, JournalError, PageError, UnknownPageError
from clawvm_runtime.journal import EntryStatus, FileJournalStorage, Journal
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, PinClass, RecallOutcome, ToolOutcome
from tests.support import ROOT, temporary_folder

CLAWVM = POLICIES["clawvm"]
FILE = Provenance("file", "PLAN.md")


def plan() -> Page:
    return Page("plan", PageType.PLAN, {Level.POINTER: 2, Level.STRUCTURED: 10, Level.FULL: 30}, FILE)


def update(**changes: object) -> Update:
    given = {"page_id": "plan", "field": "log", "operation": "append", "value": ["x"], "scope": "session"}
    return Update(**{**given, "evidence_ref": "plan", **changes})  # type: ignore[arg-type]


def started(journal: Journal | None = None, policy: str = "clawvm", **more: object) -> Engine:
    engine = Engine(POLICIES[policy], 200, journal=journal, **more)  # type: ignore[arg-type]
    engine.session_start("one", [plan()])
    return engine


class DurabilityTests(unittest.TestCase):
    def setUp(self) -> None:
        self.path = temporary_folder(self) / "memory.jsonl"

    def reopened(self) -> Journal:
        storage = FileJournalStorage(self.path)
        self.addCleanup(storage.close)
        return Journal(storage)

    def test_an_update_id_that_was_committed_is_neither_doubled_nor_a_flush_miss(self) -> None:
        engine = started()
        for _ in range(2):
            engine.post_model(updates=[update(update_id="u1")])
            engine.compaction()
        self.assertEqual(engine.tally.faults[FaultKind.FLUSH_MISS], 0)
        self.assertEqual(engine.journal.committed("plan", "log").value, ["x"])

    def test_an_update_id_that_was_lost_may_be_staged_again(self) -> None:
        engine = started(policy="retrieval")
        engine.post_model(updates=[update(update_id="u1")])
        engine.compaction()
        engine.post_model(updates=[update(update_id="u1")])
        self.assertEqual([entry.status for entry in engine.journal.entries], [EntryStatus.LOST, EntryStatus.STAGED])

    def test_each_update_of_a_batch_meets_the_page_as_the_ones_before_it_leave_it(self) -> None:
        engine = started()
        pins = [
            update(field="pin", operation="set_with_version", value=value, base_version=version)
            for version, value in enumerate(("hard", "none"))
        ]
        engine.post_model(updates=pins)
        engine.compaction()
        self.assertEqual(
            [entry.status for entry in engine.journal.entries], [EntryStatus.COMMITTED, EntryStatus.REJECTED]
        )
        self.assertIs(engine.table.entry("plan").page.pin, PinClass.HARD)

    def test_a_refused_update_of_a_reply_stages_nothing_of_it(self) -> None:
        engine = started()
        with self.assertRaises(JournalError):
            engine.post_model(updates=[update(), update(value={1, 2})])
        with self.assertRaises(UnknownPageError):
            engine.post_model(demands=[("plan", Level.FULL), ("nobody", Level.FULL)], updates=[update()])
        self.assertEqual((engine.journal.entries, engine.tally.accesses), ((), 0))

    def test_what_a_crashed_process_staged_waits_for_its_page_and_its_evidence(self) -> None:
        first = started(self.reopened())
        first.tool_execute(
            ToolCall("read"),
            lambda call: ToolResult(
                ToolOutcome.OK, Page("seen", PageType.EVIDENCE, {Level.FULL: 5}, Provenance("tool_call", "read"))
            ),
        )
        first.post_model(updates=[update(evidence_ref="seen")])
        first.journal.close()
        second = started(self.reopened())
        second.compaction()
        self.assertEqual([entry.status for entry in second.journal.entries], [EntryStatus.STAGED])
        self.assertEqual(second.tally.explicit_faults, 0)
        second.declare(Page("seen", PageType.EVIDENCE, {Level.FULL: 5}, Provenance("tool_call", "read")))
        second.compaction()
        self.assertEqual([entry.status for entry in second.journal.entries], [EntryStatus.COMMITTED])
        second._check()

    def test_recovery_applies_control_fields_in_the_order_of_their_commits_under_any_hash_seed(self) -> None:
        engine = started(self.reopened())
        for field, value in (("minimum", "full"), ("status", "done")):
            engine.post_model(updates=[update(field=field, operation="set_with_version", value=value, base_version=0)])
            engine.compaction()
        live = engine.table.entry("plan").page
        engine.journal.close()
        script = (
            "import sys; from tests.runtime.test_engine_durability import *\n"
            "engine = started(Journal(FileJournalStorage(sys.argv[1])))\n"
            "page = engine.table.entry('plan').page; print(page.minimum.label, page.version)"
        )
        for seed in ("0", "2"):
            result = subprocess.run(
                [sys.executable, "-c", script, str(self.path)],
                cwd=ROOT,
                env={"PYTHONHASHSEED": seed, "PATH": os.environ.get("PATH", "")},
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(result.stdout.split(), [live.minimum.label, str(live.version)])

    def test_a_file_that_is_no_journal_is_refused_and_left_alone(self) -> None:
        self.path.write_text("my precious notes")
        with self.assertRaises(JournalCorruptError):
            FileJournalStorage(self.path)
        self.assertEqual(self.path.read_text(), "my precious notes")

    def test_an_interrupt_in_the_commit_leaves_everything_staged_and_the_file_readable(self) -> None:
        journal = self.reopened()
        engine = started(journal)
        engine.post_model(updates=[update()])
        with mock.patch("os.fsync", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            engine.compaction()
        self.assertEqual(journal.count(EntryStatus.STAGED), 1)
        engine.compaction()
        journal.close()
        self.assertEqual(self.reopened().committed("plan", "log").value, ["x"])

    def test_a_boundary_that_the_disk_refuses_destroys_nothing_and_may_be_tried_again(self) -> None:
        journal = self.reopened()
        engine = started(journal)
        engine.post_model(demands=[("plan", Level.FULL)], updates=[update()])
        engine.prompt_assemble()
        with mock.patch("os.fsync", side_effect=[OSError, None]), self.assertRaises(OSError):
            engine.compaction()
        self.assertEqual((engine.table.entry("plan").resident, journal.count(EntryStatus.STAGED)), (Level.FULL, 1))
        engine.compaction()
        self.assertEqual((engine.table.entry("plan").resident, journal.count(EntryStatus.COMMITTED)), (Level.NONE, 1))
        self.assertEqual(engine.tally.explicit_faults, 0)

    def test_what_the_caller_does_to_a_staged_value_changes_nothing(self) -> None:
        engine = started()
        value = ["x"]
        engine.post_model(updates=[update(value=value)])
        value.append("y")
        engine.compaction()
        self.assertEqual(engine.journal.committed("plan", "log").value, ["x"])

    def test_a_value_nested_too_deeply_to_be_read_again_is_refused(self) -> None:
        value: list[object] = []
        for _ in range(500):
            value = [value]
        with self.assertRaises(JournalError):
            started().post_model(updates=[update(value=value)])

    def test_a_renderer_that_fails_loses_no_commit(self) -> None:
        engine = started(renderer=mock.Mock(side_effect=RuntimeError))
        engine.post_model(updates=[update()])
        with self.assertRaises(RuntimeError):
            engine.compaction()
        self.assertEqual(engine.journal.count(EntryStatus.COMMITTED), 1)
        self.assertEqual(engine.tally.faults[FaultKind.FLUSH_MISS], 0)

    def test_a_domain_validator_that_fails_rejects_instead_of_blocking_the_boundary(self) -> None:
        engine = started(validators=[mock.Mock(side_effect=ZeroDivisionError)])
        engine.post_model(updates=[update()])
        engine.compaction()
        self.assertEqual(engine.journal.count(EntryStatus.REJECTED), 1)


class ToolTests(unittest.TestCase):
    @staticmethod
    def result(tokens: int, page_id: str = "out") -> ToolResult:
        page = Page(page_id, PageType.EVIDENCE, {Level.FULL: tokens}, Provenance("tool_call", "read"))
        return ToolResult(ToolOutcome.OK, page)

    def test_a_call_that_had_to_run_again_gives_what_it_found_now(self) -> None:
        engine = started(policy="retrieval")
        engine.tool_execute(ToolCall("read"), lambda call: self.result(30))
        for _ in range(2):
            engine.prompt_assemble()
        answer = engine.tool_execute(ToolCall("read"), lambda call: self.result(50))
        assert answer.page is not None
        self.assertEqual((answer.executed, answer.page.costs), (True, {Level.FULL: 50}))
        self.assertEqual(engine.prompt_assemble().tokens, 50)
        self.assertEqual(engine.tally.faults[FaultKind.DUPLICATE_TOOL], 1)

    def test_a_result_that_the_table_refuses_is_not_remembered(self) -> None:
        engine = started()
        for _ in range(2):
            with self.assertRaises(PageError):
                engine.tool_execute(ToolCall("read"), lambda call: self.result(30, "plan"))

    def test_a_call_that_was_denied_is_no_evidence(self) -> None:
        engine = started()
        engine.tool_execute(ToolCall("open"), lambda call: ToolResult(ToolOutcome.DENIED))
        engine.post_model(updates=[update(evidence_ref="open({})")])
        engine.compaction()
        self.assertEqual(engine.journal.count(EntryStatus.REJECTED), 1)

    def test_a_backend_that_answers_nothing_is_a_backend_error(self) -> None:
        answer = started().recall("anything", lambda query: None)  # type: ignore[arg-type,return-value]
        self.assertEqual(answer and answer.outcome, RecallOutcome.BACKEND_ERROR)
        self.assertIsInstance(answer, RecallAnswer)
