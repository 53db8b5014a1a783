"""The calibration: the committed constants meet Table 4, nothing that may not break is broken, the search is honest."""

import contextlib
import dataclasses
import io
import math
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from clawvm_experiments import calibration
from clawvm_experiments.calibration import COMMITTED, Figure, with_values
from clawvm_replay.published import CONFIGURATIONS, TABLE_4
from clawvm_replay.trace_builder import LevelCosts
from clawvm_workloads.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "workloads" / "calibrate_families.py"


def complaints_of(values):
    """Return the complaints about the committed shapes with some values replaced."""
    shapes = with_values(COMMITTED, values)
    return calibration.complaints(shapes, calibration.measure(shapes))


class CalibratedTest(unittest.TestCase):
    def test_every_calibrated_mean_is_within_fifteen_percent(self):
        rows = calibration.measure(COMMITTED)
        self.assertEqual({len(cells) for cells in rows.values()}, {CONFIGURATIONS})
        figures = calibration.calibrated(rows)
        self.assertEqual(len(figures), 2 * len(TABLE_4))
        for figure in figures:
            with self.subTest(policy=figure.policy, quantity=figure.quantity):
                self.assertLessEqual(abs(figure.gap), 0.15, f"{figure.ours} beside {figure.published}")

    def test_compaction_hybrid_totals_what_is_published(self):
        cells = calibration.measure(COMMITTED)["compaction_hybrid"]
        self.assertIn(sum(row.explicit_faults for row in cells), range(34, 37))

    def test_the_committed_shapes_break_nothing(self):
        self.assertEqual(complaints_of({}), [])

    def test_removing_a_feature_at_180_brings_only_what_the_feature_prevents(self):
        counts = calibration.removals(COMMITTED)
        self.assertEqual(set(counts["pointer_resolution"]) | {"refetch"}, {"refetch", "duplicate_tool"})
        self.assertEqual(set(counts["writeback_at_compaction"]), {"flush_miss"})
        self.assertEqual(set(counts["writeback_at_reset"]), {"flush_miss"})
        self.assertLessEqual(set(counts["auto_pin"]), {"post_compaction_bootstrap", "pinned_invariant_miss"})
        self.assertGreater(counts["auto_pin"]["post_compaction_bootstrap"], 0)
        self.assertEqual((counts["upgrade_scoring"], counts["prefetch"]), ({}, {}))

    def test_the_shapes_are_those_that_the_families_build_from(self):
        self.assertEqual(set(COMMITTED), set(FAMILIES))

    def test_the_documented_tables_are_those_of_the_committed_constants(self):
        document = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
        rows = calibration.measure(COMMITTED)
        for figure in calibration.calibrated(rows):
            with self.subTest(policy=figure.policy, quantity=figure.quantity):
                gap = f"{100 * figure.gap:+.1f} %"
                self.assertIn(f"| {figure.ours:.3f} | {figure.published} | {gap} |", document)
        for prediction in calibration.predictions(COMMITTED, rows):
            with self.subTest(prediction=prediction.name):
                self.assertIn(f"| {prediction.name} | {prediction.ours} | {prediction.published} |", document)

    def test_predictions_are_no_part_of_the_loss(self):
        rows = calibration.measure(COMMITTED)
        with mock.patch.object(calibration, "removals", side_effect=AssertionError):
            by_hand = math.fsum(figure.gap**2 for figure in calibration.calibrated(rows))
            self.assertEqual(calibration.loss(rows), by_hand)


class GapTest(unittest.TestCase):
    def test_a_gap_is_relative(self):
        self.assertAlmostEqual(Figure("p", "q", 11.5, 10.0).gap, 0.15)
        self.assertTrue(Figure("p", "q", 8.6, 10.0).within_tolerance)
        self.assertFalse(Figure("p", "q", 8.4, 10.0).within_tolerance)

    def test_nothing_but_zero_is_near_a_published_zero(self):
        self.assertEqual(Figure("p", "q", 0.0, 0.0).gap, 0.0)
        self.assertFalse(Figure("p", "q", 0.04, 0.0).within_tolerance)


class ComplaintsTest(unittest.TestCase):
    def test_turns_that_do_not_fit_are_told(self):
        lines = complaints_of({"evidence_heavy": {"file": LevelCosts(2, 20, 40, 70)}})
        self.assertTrue(
            any(line.startswith("evidence_heavy at 120, clawvm") and line.endswith("pressure") for line in lines), lines
        )

    def test_a_family_without_its_faults_is_told(self):
        lines = complaints_of({"multi_session": {"dirty_at_end": ()}})
        self.assertIn("multi_session: no flush_miss, which the family exists for", lines)

    def test_a_compaction_that_costs_todays_harnesses_no_instructions_is_told(self):
        lines = complaints_of({"long_horizon": {"instruction": LevelCosts(3, 4, 6, 12)}})
        self.assertIn("long_horizon: a compaction of today's harnesses leaves the instructions in place", lines)

    def test_a_feature_that_nothing_needs_is_told(self):
        lines = complaints_of({"multi_session": {"dirty_at_end": ()}})
        self.assertIn("without writeback_at_reset: no flush_miss, which the feature prevents", lines)

    def test_faults_and_budget_dependent_thrash_of_a_complete_policy_are_told(self):
        rows = dict(calibration.measure(COMMITTED))
        first, *others = rows["lru"]
        rows["lru"] = [dataclasses.replace(first, explicit_faults=2, thrash_index=9.0), *others]
        lines = calibration.complaints(COMMITTED, rows)
        self.assertEqual(
            lines,
            ["evidence_heavy at 120, lru: 2 faults", "evidence_heavy, lru: the thrash index depends on the budget"],
        )

    def test_an_impure_removal_is_told(self):
        counts = calibration.removals(COMMITTED)
        counts["prefetch"]["refetch"] = 3
        with mock.patch.object(calibration, "removals", return_value=counts):
            self.assertEqual(complaints_of({}), ["without prefetch: 3 refetch"])


class SearchTest(unittest.TestCase):
    RANGES = {"daily_assistant": {"habit_every": (9, 8)}}  # noqa: RUF012 - plain data of a test

    def test_it_moves_a_constant_to_the_smaller_loss_and_says_so(self):
        start = with_values(COMMITTED, {"daily_assistant": {"habit_every": 9}})
        lines = []
        self.assertEqual(calibration.search(start, self.RANGES, lines.append), dict(COMMITTED))
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].endswith("daily_assistant.habit_every = 8"), lines)

    def test_it_stays_where_nothing_is_better(self):
        lines = []
        self.assertEqual(calibration.search(COMMITTED, self.RANGES, lines.append), COMMITTED)
        self.assertEqual(lines, [])

    def test_it_takes_no_value_that_breaks_something(self):
        start = with_values(COMMITTED, {"daily_assistant": {"habit_every": 9}})
        with mock.patch.object(calibration, "complaints", return_value=["broken"]):
            self.assertEqual(calibration.search(start, self.RANGES, lambda line: None), start)


class ScriptTest(unittest.TestCase):
    def setUp(self):
        import calibrate_families

        self.script = calibrate_families

    def main(self, *arguments):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            code = self.script.main(list(arguments))
        return code, output.getvalue()

    def test_the_check_is_the_default_and_tells_calibrated_figures_from_predictions(self):
        code, output = self.main()
        self.assertEqual(code, 0)
        self.assertEqual((code, output), self.main("--check"))
        calibrated, predictions = output.split("## Predictions")
        self.assertIn("| retrieval | thrash index |", calibrated)
        self.assertIn("| ClawVM at 180 without auto-pin |", predictions)
        self.assertIn("12 of 12 calibrated figures are within 15 %.", output)

    def test_a_figure_that_is_too_far_off_fails_the_check(self):
        shapes = with_values(COMMITTED, {"evidence_heavy": {"turns": 40}})
        with mock.patch.object(calibration, "COMMITTED", shapes):
            code, output = self.main("--check")
        self.assertEqual(code, 1)
        self.assertIn("| no |", output)

    def test_a_broken_story_fails_the_check(self):
        shapes = with_values(COMMITTED, {"multi_session": {"preference_asked_in": (), "plan_asked_in": ()}})
        with mock.patch.object(calibration, "COMMITTED", shapes):
            code, output = self.main()
        self.assertEqual(code, 1)
        self.assertIn("BROKEN: multi_session: no refetch", output)

    def test_the_search_prints_what_it_moved_and_where_it_arrived(self):
        with (
            mock.patch.object(self.script, "RANGES", SearchTest.RANGES),
            mock.patch.object(self.script, "BY_HAND", {"daily_assistant": {"habit_every": 9}}),
        ):
            code, output = self.main("--search", "--start", "by_hand")
            _, stayed = self.main("--search")
        self.assertEqual(code, 0)
        self.assertIn("| daily_assistant.habit_every | 9 | 8 |", output)
        self.assertIn("Committed constants: the same.", output)
        self.assertIn("None: no single constant lowers the loss.", stayed)

    def test_committed_and_first_values_lie_in_the_ranges(self):
        for name, fields in self.script.RANGES.items():
            first = with_values(COMMITTED, self.script.BY_HAND)[name]
            for field, values in fields.items():
                with self.subTest(family=name, field=field):
                    self.assertIn(getattr(COMMITTED[name], field), values)
                    self.assertIn(getattr(first, field), values)
                    self.assertEqual(len(set(values)), len(values))

    def test_it_runs_from_a_plain_checkout_in_any_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-S", "-s", "-W", "error", str(SCRIPT)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(list(Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
