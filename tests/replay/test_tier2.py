"""Behaviour of the sweep: the shape of its result, its determinism, its summary."""

import csv
import dataclasses
import io
import unittest
from concurrent.futures import ThreadPoolExecutor

from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.sweep import Cell, Summary, run_cell, sweep
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS

SAFE = ("clawvm", "lru", "oracle_h3")
WEAK = ("retrieval", "retrieval_cache", "compaction_hybrid")

_METRICS = {}


def metrics_of(policy_id):
    """Return the 24 rows of a policy; computed once for all tests of this module."""
    if policy_id not in _METRICS:
        policy = POLICIES[policy_id]
        cells = [Cell(family(budget), policy) for family in FAMILIES.values() for budget in PAPER_BUDGETS]
        _METRICS[policy_id] = [outcome.metrics for outcome in sweep(cells)]
    return _METRICS[policy_id]


def tearDownModule():
    _METRICS.clear()


class ShapeTest(unittest.TestCase):
    def test_complete_policies_show_no_fault_in_any_cell(self):
        for policy_id in SAFE:
            rows = metrics_of(policy_id)
            self.assertEqual(len(rows), 24)
            for row in rows:
                with self.subTest(policy=policy_id, workload=row.workload, budget=row.budget):
                    self.assertEqual(row.explicit_faults, 0)
                    self.assertTrue(row.success)

    def test_minimum_set_and_demands_fit_the_smallest_budget(self):
        for policy_id in SAFE:
            for row in metrics_of(policy_id):
                with self.subTest(policy=policy_id, workload=row.workload, budget=row.budget):
                    self.assertEqual((row.pressure_turns, row.pressure_faults), (0, 0))

    def test_weak_policies_stand_in_the_published_order(self):
        totals = [sum(row.explicit_faults for row in metrics_of(policy_id)) for policy_id in WEAK]
        self.assertGreater(totals[0], totals[1])
        self.assertGreater(totals[1], totals[2])
        self.assertGreater(totals[2], 0)


class AblationTest(unittest.TestCase):
    """Each feature removed from ClawVM shows exactly the faults that the feature exists to prevent."""

    def kinds_without(self, feature_id):
        policy = POLICIES["clawvm"].without(FEATURES[feature_id])
        rows = [run_cell(Cell(family(180), policy)).metrics for family in FAMILIES.values()]
        counts = {kind: sum(getattr(row, kind) for row in rows) for kind in FAULT_FIELDS}
        return {kind: count for kind, count in counts.items() if count}

    def test_auto_pin_keeps_instructions_and_constraints(self):
        kinds = self.kinds_without("auto_pin")
        self.assertLessEqual(set(kinds), {"post_compaction_bootstrap", "pinned_invariant_miss"})
        self.assertGreater(kinds.get("post_compaction_bootstrap", 0), 0)

    def test_writeback_at_compaction_keeps_updates(self):
        self.assertEqual(set(self.kinds_without("writeback_at_compaction")), {"flush_miss"})

    def test_writeback_at_reset_keeps_updates(self):
        self.assertEqual(set(self.kinds_without("writeback_at_reset")), {"flush_miss"})

    def test_pointer_resolution_spares_retrieval(self):
        self.assertEqual(set(self.kinds_without("pointer_resolution")), {"refetch", "duplicate_tool"})

    def test_upgrades_and_prefetch_prevent_no_fault(self):
        for feature_id in ("upgrade_scoring", "prefetch"):
            with self.subTest(feature=feature_id):
                self.assertEqual(self.kinds_without(feature_id), {})

    def test_reasoned_recall_makes_failures_visible(self):
        self.assertEqual(set(self.kinds_without("reasoned_recall")), {"silent_recall"})


class SweepTest(unittest.TestCase):
    def setUp(self):
        self.cells = [
            Cell(FAMILIES[family](120), POLICIES[policy_id])
            for family in ("daily_assistant", "multi_session")
            for policy_id in ("retrieval", "compaction_hybrid", "oracle_h3")
        ]
        self.expected = [run_cell(cell) for cell in self.cells]

    def test_outcomes_stand_in_the_order_of_the_cells(self):
        self.assertEqual([outcome.name for outcome in sweep(self.cells)], [cell.name for cell in self.cells])
        self.assertEqual(len({cell.name for cell in self.cells}), len(self.cells))

    def test_one_job_gives_the_same_every_time(self):
        self.assertEqual(list(sweep(self.cells)), self.expected)

    def test_two_jobs_give_the_same_as_one(self):
        self.assertEqual(list(sweep(self.cells, jobs=2)), self.expected)

    def test_a_plugged_executor_gives_the_same(self):
        with ThreadPoolExecutor(3) as pool:
            self.assertEqual(list(sweep(self.cells, executor=pool)), self.expected)

    def test_no_cells_give_no_outcomes(self):
        self.assertEqual(list(sweep([], jobs=1)), [])
        self.assertEqual(list(sweep([], jobs=2)), [])

    def test_decisions_are_lines_with_the_header_first(self):
        for outcome in self.expected:
            lines = outcome.decisions.decode("ascii").splitlines()
            self.assertTrue(outcome.decisions.endswith(b"\n"))
            self.assertIn('"event":"header"', lines[0])


class SummaryTest(unittest.TestCase):
    def summary(self, *policy_ids):
        rows = [row for policy_id in policy_ids for row in metrics_of(policy_id)]
        return Summary(rows, [POLICIES[policy_id] for policy_id in policy_ids])

    def test_oracle_gap_is_the_difference_in_the_same_cell(self):
        summary = self.summary("retrieval", "oracle_h3")
        oracle = {(row["workload"], row["budget"]): row for row in summary.of_policy("oracle_h3")}
        for row in summary.of_policy("retrieval"):
            reference = oracle[row["workload"], row["budget"]]
            self.assertEqual(row["oracle_gap"], row["explicit_faults"] - reference["explicit_faults"])
            self.assertEqual(row["oracle_gap_page_in_tokens"], row["page_in_tokens"] - reference["page_in_tokens"])
        self.assertEqual({row["oracle_gap"] for row in oracle.values()}, {0})
        self.assertEqual({row["oracle_gap_page_in_tokens"] for row in oracle.values()}, {0})

    def test_faults_of_the_oracle_itself_lower_the_gap(self):
        weak, oracle = metrics_of("retrieval")[0], metrics_of("oracle_h3")[0]
        oracle = dataclasses.replace(oracle, explicit_faults=7, page_in_tokens=11)
        first, second = Summary([weak, oracle], [POLICIES["retrieval"], POLICIES["oracle_h3"]]).rows
        self.assertEqual(first["oracle_gap"], weak.explicit_faults - 7)
        self.assertEqual(first["oracle_gap_page_in_tokens"], weak.page_in_tokens - 11)
        self.assertEqual((second["oracle_gap"], second["oracle_gap_page_in_tokens"]), (0, 0))

    def test_without_an_oracle_there_is_no_gap(self):
        summary = self.summary("retrieval", "clawvm")
        self.assertEqual({row["oracle_gap"] for row in summary.rows}, {None})
        self.assertIsNone(summary.aggregate(POLICIES["clawvm"])["mean_oracle_gap"])

    def test_aggregate_sums_the_rows_of_its_policy(self):
        summary = self.summary("retrieval", "clawvm")
        for policy_id in ("retrieval", "clawvm"):
            rows = metrics_of(policy_id)
            total = sum(row.explicit_faults for row in rows)
            aggregate = summary.aggregate(POLICIES[policy_id])
            self.assertEqual(aggregate["cells"], 24)
            self.assertEqual(aggregate["total_explicit_faults"], total)
            self.assertEqual(aggregate["mean_explicit_faults"], round(total / 24, 6))
            self.assertEqual(sum(aggregate["faults_by_kind"].values()), total)
            self.assertEqual(aggregate["successful_cells"], sum(row.success for row in rows))

    def test_csv_holds_the_same_rows(self):
        summary = self.summary("retrieval", "oracle_h3")
        read = list(csv.DictReader(io.StringIO(summary.to_csv())))
        self.assertEqual(len(read), len(summary.rows))
        for text, row in zip(read, summary.rows):
            self.assertEqual(list(text), list(row))
            for name, value in row.items():
                if value is None:
                    self.assertEqual(text[name], "")
                elif isinstance(value, bool):
                    self.assertEqual(text[name], "true" if value else "false")
                else:
                    self.assertEqual(type(value)(text[name]), value)

    def test_csv_leaves_unknown_numbers_empty(self):
        text = self.summary("retrieval").to_csv()
        self.assertEqual(next(csv.DictReader(io.StringIO(text)))["oracle_gap"], "")
        self.assertNotIn("\r", text)


if __name__ == "__main__":
    unittest.main()
