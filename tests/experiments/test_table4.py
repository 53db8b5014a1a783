"""Behaviour of the Table 4 experiment on hand-made rows: sums, means, thrash indices, the order of the policies."""

import unittest

from clawvm_experiments.table4 import EXPERIMENT
from clawvm_replay.document import markdown
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.published import FAULT_FREE, TABLE_4
from clawvm_runtime.policy import PAPER_POLICIES
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES

FLOATS = {"thrash_index", "mean_level_at_demand", "share_served_at_full", "mean_budget_use"}


def row(policy, workload, budget, *, thrash=0.9, **faults):
    values = dict.fromkeys(CellMetrics.__dataclass_fields__, 0)
    values.update(dict.fromkeys(FLOATS, 0.5), **faults)
    values.update(
        policy=policy,
        workload=workload,
        budget=budget,
        thrash_index=thrash,
        explicit_faults=sum(faults.values()),
        success=not sum(faults.values()),
    )
    return values


def rows(budgets=PAPER_BUDGETS, change=None):
    """Return rows of every policy; each policy has in each cell the published mean, *change* may replace a row."""
    result = []
    for policy in PAPER_POLICIES:
        published = TABLE_4[policy]
        for workload in PAPER_FAMILIES:
            for budget in budgets:
                made = row(
                    policy, workload, budget, thrash=published.thrash_index, refetch=round(published.mean_faults)
                )
                result.append((change or (lambda item: item))(made))
    return result


class SummaryTest(unittest.TestCase):
    def test_means_are_over_the_24_cells_of_a_policy(self):
        def change(item):
            if item["policy"] == "retrieval" and item["budget"] == 120:
                return row("retrieval", item["workload"], 120, thrash=9.993, refetch=74)
            return item

        findings = EXPERIMENT.summarize(rows(change=change))["findings"]
        # 4 cells with 74 and 20 with 68 faults; 4 with 9.993 and 20 with 3.993.
        self.assertEqual(findings["retrieval_total_faults"], 1656)
        self.assertEqual(findings["retrieval_mean_faults"], 69.0)
        self.assertEqual(findings["retrieval_mean_thrash"], 4.993)

    def test_thrash_reduction_is_against_the_other_policys_mean(self):
        findings = EXPERIMENT.summarize(rows())["findings"]
        self.assertEqual(findings["thrash_reduction_against_retrieval_cache"], -0.451279)

    def test_cells_that_were_not_served_are_beside_the_faults(self):
        def change(item):
            lacking = item["policy"] == "lru" and item["budget"] == 120
            return {
                **item,
                "served": not lacking,
                "below_floor_turns": 3 * lacking,
                "plan_below_floor_turns": 2 * lacking,
            }

        results = EXPERIMENT.summarize(rows(change=change))
        lru, clawvm = (results["policies"][name] for name in ("lru", "clawvm"))
        self.assertEqual((lru["served_cells"], lru["below_floor_turns"], lru["plan_below_floor_turns"]), (20, 12, 8))
        self.assertEqual((clawvm["served_cells"], clawvm["plan_below_floor_turns"]), (24, 0))
        text = markdown(EXPERIMENT.report(results))
        self.assertRegex(text, r"\| LRU \|.* \| 20 \| 0 \| 8 \|")
        self.assertIn("A cell is *served* if", text)

    def test_policies_without_a_published_fault_are_the_fault_free_ones(self):
        self.assertEqual(set(FAULT_FREE), {policy for policy, row in TABLE_4.items() if row.mean_faults == 0})

    def test_hybrid_at_the_smallest_budget_is_summed_by_kind(self):
        def change(item):
            if item["policy"] == "compaction_hybrid":
                kinds = {"post_compaction_bootstrap": 2, "flush_miss": 1, "refetch": 4}
                return row("compaction_hybrid", item["workload"], item["budget"], **kinds)
            return item

        results = EXPERIMENT.summarize(rows(change=change))
        findings = results["findings"]
        self.assertEqual([findings[f"hybrid_120_{name}"] for name in ("faults", "bootstrap", "flush_miss")], [28, 8, 4])
        words = "Compaction-Hybrid shows 28 faults (16 refetch, 8 post compaction bootstrap, 4 flush miss)"
        self.assertIn(words, markdown(EXPERIMENT.report(results)))

    def test_a_thrash_that_moves_with_the_budget_is_seen(self):
        def change(item):
            return (
                {**item, "thrash_index": 0.8}
                if item["policy"] in ("lru", "clawvm", "oracle_h3") and (item["budget"] == 500)
                else item
            )

        results = EXPERIMENT.summarize(rows(change=change))
        findings = results["findings"]
        self.assertFalse(findings["fault_free_thrash_equal_across_budgets"])
        self.assertTrue(findings["fault_free_thrash_equal_across_upgrade_orders"])
        self.assertIn("is not the same at every budget and the same for", markdown(EXPERIMENT.report(results)))

    def test_a_thrash_that_moves_with_the_upgrade_order_is_seen(self):
        def change(item):
            return {**item, "thrash_index": 0.8} if item["policy"] == "lru" else item

        results = EXPERIMENT.summarize(rows(change=change))
        findings = results["findings"]
        self.assertTrue(findings["fault_free_thrash_equal_across_budgets"])
        self.assertFalse(findings["fault_free_thrash_equal_across_upgrade_orders"])
        self.assertIn("and not the same for the three upgrade orders", markdown(EXPERIMENT.report(results)))

    def test_the_order_of_the_policies_is_reported_when_it_is_another_one(self):
        def change(item):
            return {**item, "explicit_faults": item["explicit_faults"] + (80 if item["policy"] == swapped else 0)}

        for swapped in ("retrieval_cache", "compaction_hybrid", "clawvm"):
            findings = EXPERIMENT.summarize(rows(change=change))["findings"]
            self.assertFalse(findings["faults_in_published_order"], swapped)
        self.assertTrue(EXPERIMENT.summarize(rows())["findings"]["faults_in_published_order"])

    def test_series_follow_the_budgets_and_the_workloads(self):
        def change(item):
            return (
                row("retrieval", item["workload"], 120, refetch=10)
                if item["policy"] == "retrieval" and (item["budget"] == 120)
                else item
            )

        results = EXPERIMENT.summarize(rows(change=change))
        self.assertEqual(results["budgets"], list(PAPER_BUDGETS))
        self.assertEqual(results["policies"]["retrieval"]["faults_by_budget"], [40, 272, 272, 272, 272, 272])
        self.assertEqual(results["policies"]["retrieval"]["faults_by_workload"], [350, 350, 350, 350])


class QuickTest(unittest.TestCase):
    def test_a_quick_cell_gives_the_same_row_as_a_full_one(self):
        quick = {cell.id: cell for cell in EXPERIMENT.cells(True)}
        full = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        self.assertEqual(len(full), 144)
        self.assertEqual({name: full[name] for name in quick}, quick)
        cell = next(iter(quick.values()))
        self.assertEqual(EXPERIMENT.run_cell(cell), EXPERIMENT.run_cell(cell))

    def test_report_begins_with_a_heading(self):
        self.assertTrue(markdown(EXPERIMENT.report(EXPERIMENT.summarize(rows()))).startswith("## "))
