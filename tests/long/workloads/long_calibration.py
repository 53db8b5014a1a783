"""The calibration: the committed constants meet Table 4, nothing that may not break is broken, the search is honest."""

import contextlib
import dataclasses
import io
import math
import unittest
from unittest import mock

import calibrate_families as calibration
from calibrate_families import COMMITTED, with_values
from clawvm_replay.published import CONFIGURATIONS, TABLE_4
from clawvm_replay.trace_builder import LevelCosts
from tests.support import ROOT


def complaints_of(values):
    """Return the complaints about the committed shapes with some values replaced."""
    shapes = with_values(COMMITTED, values)
    return list(calibration.complaints(shapes, calibration.measure(shapes)))


def main(*arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        code = calibration.main(list(arguments))
    return code, output.getvalue()


class CalibratedTest(unittest.TestCase):
    def test_every_calibrated_mean_is_within_fifteen_percent(self):
        rows = calibration.measure(COMMITTED)
        self.assertEqual({len(cells) for cells in rows.values()}, {CONFIGURATIONS})
        figures = calibration.calibrated(rows)
        self.assertEqual(len(figures), 2 * len(TABLE_4))
        for figure in figures:
            self.assertLessEqual(abs(figure.gap), 0.15, figure)

    def test_the_check_passes_and_separates_calibrated_figures_from_predictions(self):
        code, output = main()
        self.assertEqual(code, 0)
        calibrated, predictions = output.split("## Predictions")
        self.assertIn("| retrieval | thrash index |", calibrated)
        self.assertIn("| ClawVM at 180 without auto-pin |", predictions)
        self.assertIn("12 of 12 calibrated figures are within 15 %.", output)

    def test_the_documented_tables_are_those_of_the_committed_constants(self):
        document = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
        rows = calibration.measure(COMMITTED)
        for figure in calibration.calibrated(rows):
            gap = f"{100 * figure.gap:+.1f} %"
            self.assertIn(f"| {figure.ours:.3f} | {figure.published} | {gap} |", document)
        for name, ours, published in calibration.predictions(COMMITTED, rows):
            self.assertIn(f"| {name} | {ours} | {published} |", document)

    def test_predictions_are_no_part_of_the_loss(self):
        rows = calibration.measure(COMMITTED)
        with mock.patch.object(calibration, "removals", side_effect=AssertionError):
            by_hand = math.fsum(figure.gap**2 for figure in calibration.calibrated(rows))
            self.assertEqual(calibration.loss(rows), by_hand)

    def test_an_impure_removal_fails_the_check(self):
        counts = calibration.removals(COMMITTED)
        counts["prefetch"]["refetch"] = 3
        with mock.patch.object(calibration, "removals", return_value=counts):
            code, output = main()
        self.assertEqual(code, 1)
        self.assertIn("BROKEN: without prefetch: 3 refetch", output)


class ComplaintsTest(unittest.TestCase):
    def test_turns_that_do_not_fit_are_reported(self):
        lines = complaints_of({"evidence_heavy": {"file": LevelCosts(2, 20, 40, 70)}})
        self.assertTrue(
            any(line.startswith("evidence_heavy at 120, clawvm") and line.endswith("pressure") for line in lines), lines
        )

    def test_a_family_without_its_faults_and_a_feature_that_nothing_needs_are_reported(self):
        lines = complaints_of({"multi_session": {"dirty_at_end": ()}})
        self.assertIn("multi_session: no flush_miss, which the family exists for", lines)
        self.assertIn("without writeback_at_reset: no flush_miss, which the feature prevents", lines)

    def test_a_compaction_that_costs_todays_harnesses_no_instructions_is_reported(self):
        lines = complaints_of({"long_horizon": {"instruction": LevelCosts(3, 4, 6, 12)}})
        self.assertIn("long_horizon: a compaction of today's harnesses leaves the instructions in place", lines)

    def test_faults_and_budget_dependent_thrash_of_a_complete_policy_are_reported(self):
        rows = dict(calibration.measure(COMMITTED))
        first, *others = rows["lru"]
        rows["lru"] = [dataclasses.replace(first, explicit_faults=2, thrash_index=9.0), *others]
        self.assertEqual(
            list(calibration.complaints(COMMITTED, rows)),
            ["evidence_heavy at 120, lru: 2 faults", "evidence_heavy, lru: the thrash index depends on the budget"],
        )


class SearchTest(unittest.TestCase):
    RANGES = {"daily_assistant": {"habit_every": (9, 8)}}  # noqa: RUF012 - plain data of a test

    def test_it_moves_a_constant_to_the_smaller_loss_and_stays_there(self):
        start = with_values(COMMITTED, {"daily_assistant": {"habit_every": 9}})
        lines = []
        self.assertEqual(calibration.search(start, self.RANGES, lines.append), COMMITTED)
        self.assertEqual([line.split(" ", 1)[1] for line in lines], ["daily_assistant.habit_every = 8"])
        self.assertEqual(calibration.search(COMMITTED, self.RANGES, self.fail), COMMITTED)

    def test_it_takes_no_value_that_breaks_something(self):
        start = with_values(COMMITTED, {"daily_assistant": {"habit_every": 9}})
        with mock.patch.object(calibration, "complaints", return_value=["broken"]):
            self.assertEqual(calibration.search(start, self.RANGES, self.fail), start)
