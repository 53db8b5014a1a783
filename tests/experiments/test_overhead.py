"""Overhead: what is timed is what the report says, statistics are right, verdicts are plain; no time is judged here."""

from __future__ import annotations

import gc
import json
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from clawvm_experiments import overhead, overhead_cases
from clawvm_experiments.experiment import family_trace
from clawvm_experiments.overhead import FIGURES, report
from clawvm_experiments.overhead_cases import (
    DISK_SAMPLES,
    OPERATIONS,
    Operation,
    Size,
    Work,
    demands_of,
    disk_cases,
    make_pages,
    peak_kb,
    percentile,
    reference_record,
    repeat,
    requests_of,
    run_operation,
    timing_of,
)
from clawvm_replay.document import markdown
from clawvm_replay.trace_format import TraceHeader, Turn
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.engine import Engine
from clawvm_runtime.journal import EntryStatus
from clawvm_runtime.policy import Policy
from clawvm_runtime.vocabulary import PageType
from clawvm_workloads.families import PAPER_FAMILIES

SMALL = overhead.Configuration((Size(3, overhead.BUDGET, 2), Size(5, overhead.GROWTH_BUDGET, 1)), samples=2, repeats=2)


class StatisticsTests(unittest.TestCase):
    def test_median_p95_and_worst_are_over_all_samples_of_all_repeats(self) -> None:
        timing = timing_of([[1000, 2000, 3000], [1000, 2000, 9000]])
        fields = ("samples", "median_us", "p95_us", "worst_us")
        self.assertEqual([timing[name] for name in fields], [3, 2.0, 9.0, 9.0])

    def test_percentile_is_the_smallest_sample_that_enough_others_do_not_exceed(self) -> None:
        samples = list(range(1, 101))
        self.assertEqual([percentile(samples, share) for share in (0.0, 0.5, 0.95, 1.0)], [1, 50, 95, 100])

    def test_an_interruption_of_one_repeat_is_the_worst_but_not_the_costliest(self) -> None:
        timing = timing_of([[1000, 2000], [1000, 2100], [90000, 2200]])
        self.assertEqual((timing["worst_us"], timing["costliest_us"]), (90.0, 2.1))

    def test_spread_is_the_share_by_which_the_medians_of_the_repeats_differ(self) -> None:
        self.assertAlmostEqual(timing_of([[90], [100], [120]])["spread"], 0.3)
        self.assertEqual(timing_of([[100, 500], [300]])["spread"], 0.0)


class MeasuringTests(unittest.TestCase):
    def test_the_first_round_only_warms(self) -> None:
        rounds: list[int] = []

        def work(record: Any) -> None:
            rounds.append(len(rounds))
            record(rounds[-1])

        self.assertEqual(repeat(work, 3), [[1], [2], [3]])

    def test_the_collector_keeps_out_of_the_samples_and_comes_back(self) -> None:
        states = []
        repeat(lambda record: states.append(gc.isenabled()), 1)
        self.assertEqual(states, [True, False])
        self.assertTrue(gc.isenabled())

    def test_a_peak_counts_what_is_held_at_once_and_not_what_was_freed(self) -> None:
        def work(record: Any) -> None:
            for number in range(5):
                block: list[Any] = [bytearray(100 * 1024)]
                block.append(block)  # Only the collector can free it.
                del block
                record(number)

        self.assertTrue(100 <= peak_kb(work) < 150)

    def test_a_peak_leaves_nothing_frozen(self) -> None:
        peak_kb(lambda record: None)
        self.assertEqual(gc.get_freeze_count(), 0)


class TableTests(unittest.TestCase):
    def test_a_table_has_pages_of_all_types_and_can_have_any_size(self) -> None:
        self.assertEqual({page.type for page in make_pages(10)}, set(PageType))
        for count in (1, 12, 300):
            pages = make_pages(count)
            self.assertEqual(len({page.id for page in pages}), count)
            known = {page.id for page in pages}
            self.assertTrue(all(page_id in known for turn in range(50) for page_id, _ in demands_of(count, turn)))

    def test_demands_reach_every_page(self) -> None:
        for count in (10, 20, 80):
            self.assertEqual(len({page_id for turn in range(count) for page_id, _ in demands_of(count, turn)}), count)

    def test_selection_is_timed_on_the_requests_of_real_turns(self) -> None:
        requests = requests_of(Size(20, 500, 30))
        self.assertEqual(len(requests), 30)
        self.assertTrue(all(request.demands and request.recency for request in requests[1:]))

    def test_the_reference_is_the_same_line_everywhere(self) -> None:
        line = canonical_json(reference_record())
        self.assertEqual(line, canonical_json(reference_record()))
        # Another line would make every ratio that was ever noted incomparable.
        self.assertEqual(len(line), 3073)


class FamilyTests(unittest.TestCase):
    def test_every_turn_of_a_family_is_timed_once(self) -> None:
        for workload in PAPER_FAMILIES:
            turns = len(family_trace(workload, overhead_cases.FAMILY_BUDGET).turns)
            for case in overhead_cases.family_cases(workload):
                with self.subTest(case=case.label):
                    samples: list[int] = []
                    case.prepare()(samples.append)
                    self.assertEqual(len(samples), turns)

    def test_the_pages_that_the_engine_keeps_are_made_in_the_work(self) -> None:
        trace = family_trace("evidence_heavy", overhead_cases.FAMILY_BUDGET)
        replayed: list[Turn] = []

        def keep(header: TraceHeader, turns: Iterable[Turn], policy: Policy, budget: int) -> None:
            replayed.extend(turns)

        with mock.patch.object(overhead_cases, "replay", keep):
            overhead_cases.time_family_turns(trace, lambda sample: None)
        self.assertEqual(replayed, list(trace.turns))
        for turn, again in zip(trace.turns, replayed):
            for item, copy in zip(turn.events_before, again.events_before):
                page = getattr(item, "page", item)
                if page is not None:
                    self.assertIsNot(page, getattr(copy, "page", copy))


class OperationTests(unittest.TestCase):
    def engines(self, operation: Operation, journal: str, samples: int) -> tuple[list[Engine], list[int]]:
        """Run an operation and return the engines that it used and its samples."""
        engines: list[Engine] = []
        taken: list[int] = []

        def remember(*arguments: Any, **named: Any) -> Engine:
            engines.append(Engine(*arguments, **named))
            return engines[-1]

        with mock.patch.object(overhead_cases, "Engine", remember):
            run_operation(operation, journal, samples, taken.append)
        return engines, taken

    def test_every_lifecycle_operation_is_there(self) -> None:
        self.assertEqual(
            {operation.operation for operation in OPERATIONS},
            {
                "session_start",
                "post_model",
                "tool_execute",
                "prompt_assemble",
                "compaction",
                "reset",
                "memory_flush",
                "recall",
            },
        )
        self.assertEqual(len({(item.operation, item.situation) for item in OPERATIONS}), len(OPERATIONS))

    def test_every_operation_gives_as_many_samples_as_asked_and_leaves_the_engine_sound(self) -> None:
        for operation in OPERATIONS:
            for journal in operation.journals:
                with self.subTest(operation=operation.operation, situation=operation.situation, journal=journal):
                    engines, taken = self.engines(operation, journal, 3)
                    self.assertEqual(len(taken), 3)
                    for engine in engines:
                        engine.prompt_assemble()  # Resolves what the last operation left open.
                        engine._check()
                        self.assertEqual(engine.tally.explicit_faults, 0)

    def test_a_boundary_or_flush_finds_and_commits_its_dirty_updates(self) -> None:
        seen = Counter[str]()
        for operation in OPERATIONS:
            if operation.dirty is not None:
                for journal in operation.journals:
                    seen[operation.operation] += 1
                    (engine,), _ = self.engines(operation, journal, 4)
                    journal_of_engine = engine.journal
                    committed = journal_of_engine.count(EntryStatus.COMMITTED)
                    self.assertEqual(committed, 4 * operation.dirty, operation)
                    self.assertEqual(len(journal_of_engine.entries), committed, operation)
        self.assertEqual(seen, {"compaction": 5, "reset": 5, "memory_flush": 5})

    def test_a_reset_begins_a_session_each_time_and_destroys_nothing(self) -> None:
        (reset,) = [item for item in OPERATIONS if item.operation == "reset" and item.dirty == 0]
        (engine,), _ = self.engines(reset, "memory", 3)
        self.assertEqual(engine.session, "session-4")
        self.assertFalse(any(entry.destroyed for entry in engine.table))

    def test_a_cold_call_runs_and_a_served_one_does_not(self) -> None:
        cold, served = (item for item in OPERATIONS if item.operation == "tool_execute")
        (engine,), _ = self.engines(cold, "memory", 3)
        self.assertEqual(engine.tally.cold_accesses, 3)
        (engine,), _ = self.engines(served, "memory", 3)
        self.assertEqual((engine.tally.cold_accesses, engine.tally.alerts), (1, 3))

    def test_a_journal_in_a_file_is_a_file_and_nothing_is_left_of_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(tempfile, "tempdir", folder):
            (operation,) = [item for item in OPERATIONS if item.operation == "compaction" and item.dirty == 10]
            sizes: list[int] = []
            run_operation(
                operation,
                "file",
                2,
                lambda sample: sizes.extend(p.stat().st_size for p in Path(folder).rglob("*.jsonl")),
            )
            self.assertEqual(len(sizes), 2)
            self.assertGreater(sizes[1], sizes[0])
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_the_journal_file_of_an_operation_is_written_without_fsync_and_the_disk_case_times_it(self) -> None:
        (operation,) = [item for item in OPERATIONS if item.operation == "compaction" and item.dirty == 10]
        with mock.patch("os.fsync") as fsync:
            run_operation(operation, "file", 2, lambda sample: None)
            fsync.assert_not_called()
            for case in disk_cases():
                case.prepare()(lambda sample: None)
            self.assertEqual(fsync.call_count, 2 * DISK_SAMPLES)

    def test_more_dirty_updates_are_more_bytes_for_the_disk(self) -> None:
        one, ten = disk_cases()
        self.assertEqual((one.fields["dirty"], ten.fields["dirty"]), (1, 10))
        self.assertGreater(ten.fields["bytes"], 5 * one.fields["bytes"])


class DocumentTests(unittest.TestCase):
    def measured(
        self, samples: list[list[int]], progress: Callable[[int, int, str], None] = lambda *_: None
    ) -> dict[str, Any]:
        """Return the document of a run in which every case takes these nanoseconds and 7 KB."""

        def taken(work: Work, repeats: int) -> list[list[int]]:
            return samples

        with mock.patch.object(overhead, "repeat", taken), mock.patch.object(overhead, "peak_kb", lambda work: 7.0):
            return overhead.measure(SMALL, progress)

    def test_field_names_are_stable_and_the_document_is_plain_json(self) -> None:
        document = self.measured([[1000, 2000], [1000, 2000]])
        self.assertEqual(json.loads(json.dumps(document)), document)
        self.assertEqual(
            list(document),
            [
                "benchmark",
                "version",
                "configuration",
                "environment",
                "reference",
                *overhead.SECTIONS,
                "findings",
                "warnings",
            ],
        )
        timing = {
            "median_us",
            "p95_us",
            "worst_us",
            "costliest_us",
            "spread",
            "ratio_to_reference",
            "samples",
            "peak_kb",
        }
        names = {
            "timings": {"part", "pages", "budget"},
            "families": {"workload", "part", "pages", "budget"},
            "operations": {"operation", "situation", "journal", "policy", "dirty"},
            "disk": {"what", "dirty", "bytes"},
        }
        for section, fields in names.items():
            self.assertTrue(document[section], section)
            for row in document[section]:
                self.assertEqual(set(row), fields | timing, section)

    def test_every_case_has_its_row(self) -> None:
        document = self.measured([[1000]])
        count = {section: len(document[section]) for section in overhead.SECTIONS}
        operations = sum(len(operation.journals) for operation in OPERATIONS)
        self.assertEqual(count, {"timings": 2 * 6, "families": 4 * 2, "operations": operations, "disk": 2})

    def test_the_peak_is_measured_where_pages_and_turns_are(self) -> None:
        document = self.measured([[1000]])
        with_peak = {
            (section, row.get("part"))
            for section in overhead.SECTIONS
            for row in document[section]
            if row["peak_kb"] is not None
        }
        self.assertEqual(
            with_peak,
            {("timings", "select"), ("timings", "turn"), ("timings", "turn+trace"), ("families", "turn")},
        )

    def test_a_quick_run_has_the_same_tables_with_fewer_samples(self) -> None:
        full, quick = overhead.configuration(), overhead.configuration(quick=True)
        self.assertEqual(
            [(size.pages, size.budget) for size in full.sizes], [(size.pages, size.budget) for size in quick.sizes]
        )
        self.assertTrue(all(few.turns < many.turns for few, many in zip(quick.sizes, full.sizes)))
        self.assertLess((quick.samples, quick.repeats), (full.samples, full.repeats))

    def test_repeats_that_scatter_are_named_in_a_warning(self) -> None:
        self.assertEqual(self.measured([[1000], [1250]])["warnings"], [])
        warnings = self.measured([[1000], [1300]])["warnings"]
        # The reference is measured twice; together its four repeats scatter as much.
        self.assertIn("the repeats of the reference scatter by 26%", warnings)
        self.assertTrue(any("recall" in warning for warning in warnings))

    def test_a_machine_that_slows_down_during_the_run_shows_in_the_reference(self) -> None:
        measured: list[Work] = []

        def taken(work: Work, repeats: int) -> list[list[int]]:
            measured.append(work)
            return [[2000 if len(measured) > 1 else 1000]]

        with mock.patch.object(overhead, "repeat", taken), mock.patch.object(overhead, "peak_kb", lambda work: 7.0):
            document = overhead.measure(SMALL)
        self.assertIs(measured[0], measured[-1])
        self.assertEqual(document["reference"]["median_us"], 1.5)
        self.assertEqual(len(document["warnings"]), 1)
        self.assertIn("the reference", document["warnings"][0])

    def test_progress_counts_up_to_the_total(self) -> None:
        seen: list[tuple[int, int]] = []
        self.measured([[1]], lambda done, total, name: seen.append((done, total)))
        total = seen[0][1]
        self.assertEqual(seen, [(number, total) for number in range(1, total + 1)])

    def test_the_report_shows_every_section_every_verdict_and_every_warning(self) -> None:
        document = self.measured([[43000], [61000], [200000]])
        text = markdown(report(document))
        self.assertTrue(text.startswith("## "))
        self.assertIn("61.0 to 61.0: not met", text)
        for word in (
            *PAPER_FAMILIES,
            *(operation.operation for operation in OPERATIONS),
            document["warnings"][0],
            "fsync",
        ):
            self.assertIn(word, text)
        text = markdown(report(self.measured([[43000], [43000], [43000]])))
        self.assertIn("43.0 to 43.0: met", text)
        self.assertNotIn("Warning", text)

    def test_the_report_names_budget_units_and_what_is_not_published(self) -> None:
        text = markdown(report(self.measured([[43000], [43000], [43000]])))
        self.assertIn("Every family's trace at 180 tokens", text)
        self.assertIn("The paper reports no figure for a single operation.", text)
        headers = [line for line in text.splitlines() if line.startswith("|") and "| spread, % |" in line]
        self.assertEqual(len(headers), 4)
        for header in headers:
            self.assertIn("| median, us | p95, us | costliest, us | worst, us |", header)


class VerdictTests(unittest.TestCase):
    def test_a_figure_is_met_up_to_its_limit_and_below_where_it_says_so(self) -> None:
        met = {field: figure.met_by for field, figure in FIGURES.items()}
        self.assertEqual([met["median_us"](value) for value in (5.0, 44.0, 44.001)], [True, True, False])
        self.assertEqual([met["p95_us"](value) for value in (59.999, 60.0)], [True, False])
        for worst in ("worst_us", "costliest_us"):
            self.assertEqual([met[worst](value) for value in (114.0, 114.001)], [True, False])
        self.assertEqual([met["peak_kb"](value) for value in (82.9, 83.0)], [True, False])

    def test_the_highest_row_decides_and_large_tables_take_no_part(self) -> None:
        rows = (
            ("families", "select", 180, 30.0),
            ("families", "turn", 180, 40.0),
            ("families", "turn", 180, 80.0),
            ("timings", "select", 500, 20.0),
            ("timings", "select", 8000, 4000.0),
            ("timings", "turn, lru", 500, 70.0),
        )
        document: dict[str, Any] = {"families": [], "timings": []}
        for section, part, budget, median in rows:
            document[section].append({"part": part, "budget": budget, "median_us": median, "peak_kb": None})
        found = {subject: overhead._values(document, subject, "median_us") for subject in overhead.SUBJECTS}
        expected = {"family_selection": [30.0], "family_turn": [40.0, 80.0], "table_selection": [20.0]}
        self.assertEqual(found, {**expected, "table_turn": []})
        self.assertEqual(overhead._values(document, "family_turn", "peak_kb"), [])
        verdict = overhead._verdict(FIGURES["median_us"], found["family_turn"])
        self.assertEqual((verdict.word, verdict.good), ("40.0 to 80.0: not met", False))
