"""What no calibration may break: shapes that break it are reported."""

import dataclasses
import unittest

import calibrate_families as calibration
from calibrate_families import COMMITTED, with_values
from clawvm_replay.trace_builder import LevelCosts


def complaints_of(values):
    """Return the complaints about the committed shapes with some values replaced."""
    shapes = with_values(COMMITTED, values)
    return calibration.complaints(shapes, calibration.measure(shapes))


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
            calibration.complaints(COMMITTED, rows),
            ["evidence_heavy at 120, lru: 2 faults", "evidence_heavy, lru: the thrash index depends on the budget"],
        )


if __name__ == "__main__":
    unittest.main()
