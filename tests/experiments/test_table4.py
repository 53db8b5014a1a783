"""Behaviour of the Table 4 experiment on hand-made rows: aggregates, marks, verdicts, what stays open."""

import unittest

from clawvm_experiments.table4 import EXPERIMENT
from clawvm_replay.document import markdown
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.published import FAULT_FREE, TABLE_4, Mark, PublishedFigure
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


def figures(results):
    return {figure["name"]: figure for figure in results["figures"]}


class VerdictTest(unittest.TestCase):
    def test_a_mean_is_reproduced_within_fifteen_per_cent(self):
        figure = PublishedFigure("mean", 10.0, Mark.CALIBRATED)
        outcomes = [figure.reproduced(value) for value in (8.49, 8.5, 11.5, 11.51)]
        self.assertEqual(outcomes, [False, True, True, False])

    def test_a_count_is_reproduced_within_one_even_where_that_is_more_than_fifteen_per_cent(self):
        figure = PublishedFigure("count", 3, Mark.PREDICTION, is_count=True)
        self.assertEqual([figure.reproduced(value) for value in (1, 2, 4, 5)], [False, True, True, False])
        self.assertFalse(PublishedFigure("mean", 3, Mark.PREDICTION).reproduced(4))

    def test_a_large_count_has_the_wider_tolerance_of_per_cent(self):
        figure = PublishedFigure("count", 126, Mark.PREDICTION, is_count=True)
        self.assertEqual([figure.reproduced(value) for value in (107, 108, 144, 145)], [False, True, True, False])

    def test_a_published_zero_is_reproduced_only_by_zero(self):
        figure = PublishedFigure("count", 0, Mark.PREDICTION, is_count=True)
        self.assertEqual((figure.reproduced(0), figure.reproduced(1)), (True, False))
        self.assertEqual((figure.gap(0), figure.gap(1)), ("0", "+1"))

    def test_a_negative_figure_is_compared_by_its_size(self):
        figure = PublishedFigure("change", -0.4, Mark.CALIBRATED)
        self.assertEqual((figure.reproduced(-0.35), figure.reproduced(-0.3)), (True, False))
        self.assertEqual(figure.gap(-0.3), "-25.0 %")


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
        results = EXPERIMENT.summarize(rows())
        self.assertEqual(results["findings"]["thrash_reduction_against_retrieval_cache"], -0.451279)
        self.assertTrue(figures(results)["ClawVM's thrash against Retrieval+Cache"]["reproduced"])

    def test_each_figure_carries_its_mark(self):
        named = {name: figure["mark"] for name, figure in figures(EXPERIMENT.summarize(rows())).items()}
        for name, mark in named.items():
            with self.subTest(figure=name):
                if "at 120 tokens" in name:
                    self.assertEqual(mark, "prediction")
                elif name in ("LRU: mean faults", "ClawVM: mean faults", "Oracle (h = 3): mean faults"):
                    self.assertEqual(mark, "condition")
                else:
                    # A change between two calibrated means is no prediction either.
                    self.assertEqual(mark, "calibrated")
        self.assertEqual(sorted(named.values()), ["calibrated"] * 12 + ["condition"] * 3 + ["prediction"] * 3)

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
        outcomes = [
            figures(results)[f"Compaction-Hybrid at 120 tokens: {name}"]["reproduced"]
            for name in ("all faults", "bootstrap", "flush-miss")
        ]
        self.assertEqual(outcomes, [True, True, True])

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
        self.assertIn("Here it is not the same at every budget", markdown(EXPERIMENT.report(results)))

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

    def test_one_fault_of_clawvm_costs_a_cell(self):
        def change(item):
            if (item["policy"], item["workload"], item["budget"]) == ("clawvm", "long_horizon", 240):
                return row("clawvm", "long_horizon", 240, pinned_invariant_miss=1)
            return item

        results = EXPERIMENT.summarize(rows(change=change))
        self.assertEqual(results["findings"]["clawvm_cells_without_fault"], 23)
        self.assertFalse(figures(results)["ClawVM: mean faults"]["reproduced"])

    def test_series_follow_the_budgets_and_the_workloads(self):
        def change(item):
            return (
                row("retrieval", item["workload"], 120, refetch=10)
                if item["policy"] == "retrieval" and (item["budget"] == 120)
                else item
            )

        results = EXPERIMENT.summarize(rows(change=change))
        self.assertEqual(results["budgets"], list(PAPER_BUDGETS))
        self.assertEqual(results["faults_by_budget"]["retrieval"], [40, 272, 272, 272, 272, 272])
        self.assertEqual(results["faults_by_workload"]["retrieval"], [350, 350, 350, 350])


class QuickTest(unittest.TestCase):
    def test_what_needs_all_cells_stays_open(self):
        results = EXPERIMENT.summarize(rows(budgets=(120, 300)))
        complete = EXPERIMENT.summarize(rows())
        self.assertEqual(results.keys(), complete.keys())
        self.assertEqual(results["findings"].keys(), complete["findings"].keys())
        known = {name for name, value in results["findings"].items() if value is not None}
        self.assertEqual(
            known, {"pressure_turns", "hybrid_120_faults", "hybrid_120_bootstrap", "hybrid_120_flush_miss"}
        )
        self.assertIn("this run has fewer", markdown(EXPERIMENT.report(results)))
        self.assertIn("| 1,626 |", markdown(EXPERIMENT.report(results)))

    def test_a_quick_cell_gives_the_same_row_as_a_full_one(self):
        quick = {cell.id: cell for cell in EXPERIMENT.cells(True)}
        full = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        self.assertEqual(len(full), 144)
        self.assertEqual({name: full[name] for name in quick}, quick)
        cell = next(iter(quick.values()))
        self.assertEqual(EXPERIMENT.run_cell(cell), EXPERIMENT.run_cell(cell))

    def test_report_begins_with_a_heading(self):
        self.assertTrue(markdown(EXPERIMENT.report(EXPERIMENT.summarize(rows()))).startswith("## "))
