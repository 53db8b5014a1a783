"""Behaviour of the sweep: its order, its independence of who does the work, its summary, and comparing two of them."""

import dataclasses
import unittest
from concurrent.futures import ThreadPoolExecutor

from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.sweep import SweepCell, SweepSummary, differences, run_cell, sweep
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_workloads.families import FAMILIES


class AblationTest(unittest.TestCase):
    """Each feature removed from ClawVM shows exactly the faults that the feature exists to prevent."""

    def test_faults_without_a_feature(self):
        expected = {
            "auto_pin": {"post_compaction_bootstrap", "pinned_invariant_miss"},
            "writeback_at_compaction": {"flush_miss"},
            "writeback_at_reset": {"flush_miss"},
            "pointer_resolution": {"refetch", "duplicate_tool"},
            "upgrade_scoring": set(),
            "prefetch": set(),
            "reasoned_recall": {"silent_recall"},
            "validated_writeback": set(),
        }
        self.assertEqual(set(expected), set(FEATURES))
        traces = [FAMILIES[name](120) for name in ("long_horizon", "multi_session", "daily_assistant")]
        for feature_id, kinds in expected.items():
            with self.subTest(feature_id):
                policy = POLICIES["clawvm"].without(FEATURES[feature_id])
                rows = [run_cell(SweepCell(trace, policy)).metrics for trace in traces]
                self.assertEqual({kind for kind in FAULT_FIELDS if any(getattr(row, kind) for row in rows)}, kinds)


class SweepTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cells = [
            SweepCell(FAMILIES[family](120), POLICIES[policy_id])
            for family in ("daily_assistant", "multi_session")
            for policy_id in ("retrieval", "oracle_h3")
        ]
        cls.expected = [run_cell(cell) for cell in cls.cells]

    def test_outcomes_are_in_the_order_of_the_cells_whoever_does_the_work(self):
        self.assertEqual([outcome.name for outcome in self.expected], [cell.name for cell in self.cells])
        self.assertEqual(len({cell.name for cell in self.cells}), len(self.cells))
        self.assertEqual(list(sweep(self.cells)), self.expected)
        self.assertEqual(list(sweep(self.cells, jobs=2)), self.expected)
        with ThreadPoolExecutor(3) as pool:
            self.assertEqual(list(sweep(self.cells, executor=pool)), self.expected)

    def test_no_cells_give_no_outcomes(self):
        self.assertEqual(list(sweep([], jobs=2)), [])

    def test_decisions_are_lines_with_the_header_first(self):
        for outcome in self.expected:
            self.assertTrue(outcome.decisions.endswith(b"\n"))
            self.assertIn(b'"event":"header"', outcome.decisions.splitlines()[0])


class SummaryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        trace = FAMILIES["daily_assistant"](120)
        cls.weak, cls.oracle = (
            run_cell(SweepCell(trace, POLICIES[name])).metrics for name in ("retrieval", "oracle_h3")
        )

    def test_faults_of_the_oracle_lower_the_gap(self):
        oracle = dataclasses.replace(self.oracle, explicit_faults=7, page_in_tokens=11)
        first, second = SweepSummary([self.weak, oracle], [POLICIES["retrieval"], POLICIES["oracle_h3"]]).rows
        self.assertEqual(first["oracle_gap"], self.weak.explicit_faults - 7)
        self.assertEqual(first["oracle_gap_page_in_tokens"], self.weak.page_in_tokens - 11)
        self.assertEqual((second["oracle_gap"], second["oracle_gap_page_in_tokens"]), (0, 0))

    def test_without_an_oracle_there_is_no_gap(self):
        summary = SweepSummary([self.weak], [POLICIES["retrieval"]])
        self.assertIsNone(summary.rows[0]["oracle_gap"])
        self.assertIsNone(summary.aggregates()[0]["mean_oracle_gap"])
        self.assertTrue(summary.to_csv().endswith(",,\n"))

    def test_differences_name_the_cell_the_field_and_the_change(self):
        one, other = {"rows": [{"workload": "w", "budget": 1, "policy": "p", "hits": 3}]}, {"rows": []}
        self.assertEqual(list(differences(one, one)), [])
        self.assertEqual(list(differences(one, other)), ["w at 1, p: only in the first"])
        self.assertEqual(list(differences(other, one)), ["w at 1, p: only in the second"])
        changed = {"rows": [{**one["rows"][0], "hits": 5}]}
        self.assertEqual(list(differences(one, changed)), ["w at 1, p: hits: 3 -> 5 (+2)"])
