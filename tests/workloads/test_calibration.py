"""The calibration: the committed constants meet Table 4, nothing that may not break is broken, the search is honest."""

import contextlib
import io
import math
import unittest
from pathlib import Path
from unittest import mock

import calibrate_families as calibration
from calibrate_families import COMMITTED, Figure, with_values
from clawvm_replay.published import CONFIGURATIONS, TABLE_4

ROOT = Path(__file__).resolve().parents[2]


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

    def test_nothing_but_zero_is_near_a_published_zero(self):
        self.assertEqual(Figure("p", "q", 0.0, 0.0).gap, 0.0)
        self.assertEqual(Figure("p", "q", 0.04, 0.0).gap, math.inf)

    def test_an_impure_removal_fails_the_check(self):
        counts = calibration.removals(COMMITTED)
        counts["prefetch"]["refetch"] = 3
        with mock.patch.object(calibration, "removals", return_value=counts):
            code, output = main()
        self.assertEqual(code, 1)
        self.assertIn("BROKEN: without prefetch: 3 refetch", output)


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

    def test_committed_and_first_values_lie_in_the_ranges(self):
        first = with_values(COMMITTED, calibration.BY_HAND)
        for name, fields in calibration.RANGES.items():
            for field, values in fields.items():
                with self.subTest(family=name, field=field):
                    self.assertIn(getattr(COMMITTED[name], field), values)
                    self.assertIn(getattr(first[name], field), values)


if __name__ == "__main__":
    unittest.main()
