"""The experiment: its cells, its rows on easy and on impossible traces, its findings and its report."""

import json
import unittest

from clawvm_experiments.bounds import EDGES, EXPERIMENT, _distribution, _tokens, trace_row
from clawvm_experiments.experiment import Cell
from clawvm_oracle.bounds import DEMAND_ONLY
from clawvm_replay.document import markdown
from clawvm_replay.trace_builder import LevelCosts
from clawvm_runtime.policy import PAPER_POLICIES, policy_named
from clawvm_runtime.vocabulary import Level, PageType
from tests.oracle.support import story


def report_of(results):
    """Return the report as Markdown."""
    return markdown(EXPERIMENT.report(results))


CHOSEN = ("family-daily_assistant-b0120", "family-multi_session-b0120", "upgrade-blocked", "upgrade-single_pass")
CHECKS = ("small", "unit")


def pressed_trace():
    """Return a trace whose second turn needs more than the budget."""
    builder = story(budget=20)
    builder.page("a", PageType.EVIDENCE, LevelCosts(2, 4, 8, 15))
    builder.page("b", PageType.EVIDENCE, LevelCosts(2, 4, 8, 15))
    builder.turn(1, demands=[("a", Level.FULL)])
    builder.turn(1, demands=[("a", Level.FULL), ("b", Level.FULL)])
    return builder.trace()


class CellTests(unittest.TestCase):
    def test_cells_are_unique_plain_data_and_a_quick_run_has_every_kind(self) -> None:
        full, quick = EXPERIMENT.cells(False), EXPERIMENT.cells(True)
        for cells in (full, quick):
            self.assertEqual(len({cell.id for cell in cells}), len(cells))
            self.assertEqual({cell.parameters["kind"] for cell in cells}, {"family", "small", "unit", "upgrade"})
            json.dumps([dict(cell.parameters) for cell in cells])
        self.assertLess(len(quick), len(full) // 2)

    def test_a_full_run_has_all_families_and_budgets_and_hundreds_of_cases(self) -> None:
        full = EXPERIMENT.cells(False)
        self.assertEqual(sum(cell.parameters["kind"] == "family" for cell in full), 24)
        for kind in ("small", "unit"):
            seeds = [
                seed
                for cell in full
                if cell.parameters["kind"] == kind
                for seed in range(
                    cell.parameters["first_seed"], cell.parameters["first_seed"] + cell.parameters["cases"]
                )
            ]
            self.assertEqual(seeds, list(range(len(seeds))))
            self.assertGreaterEqual(len(seeds), 400)


class ResultTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cells = [cell for cell in EXPERIMENT.cells(True) if cell.id in CHOSEN]
        cls.rows = [json.loads(json.dumps(EXPERIMENT.run_cell(cell), allow_nan=False)) for cell in cells]
        cls.rows += [EXPERIMENT.run_cell(Cell(kind, {"kind": kind, "first_seed": 0, "cases": 2})) for kind in CHECKS]
        cls.results = EXPERIMENT.summarize(cls.rows)

    def test_a_row_is_the_same_every_time(self) -> None:
        cell = Cell("small", {"kind": "small", "first_seed": 0, "cases": 2})
        self.assertIn(EXPERIMENT.run_cell(cell), self.rows)

    def test_findings_are_flat_and_name_every_policy(self) -> None:
        findings = self.results["findings"]
        self.assertTrue(all(value is None or isinstance(value, (bool, int, float)) for value in findings.values()))
        for policy_id in (*PAPER_POLICIES, DEMAND_ONLY.id):
            self.assertIn(f"{policy_id}_over_demand_only_bound", findings)
            for measure in ("brought_in_over_bound", "over_any_policy_bound"):
                self.assertGreaterEqual(self.results["policies"][policy_id][measure], 1.0)
        self.assertIs(findings["bounds_respected_by_every_policy"], True)
        self.assertIs(findings["belady_cases_equal"], True)
        self.assertEqual((findings["brute_force_cases"], findings["brute_force_violations"]), (2, 0))

    def test_the_band_encloses_the_demand_only_oracle(self) -> None:
        results = self.results
        lower, upper = results["bounds"], results["series"]["reloaded"][DEMAND_ONLY.id]
        self.assertEqual(results["budgets"], [120])
        self.assertLessEqual(lower["any_policy"], lower["demand_only"])
        self.assertLessEqual(lower["demand_only"], upper)

    def test_the_distance_from_the_optimum_is_reloaded_over_the_bound_for_any_policy(self) -> None:
        results = self.results
        families = [row["policies"]["clawvm"] for row in self.rows if row["kind"] == "family"]
        reloaded, bound = (
            sum(reached) for reached in zip(*((cell["reloaded"], cell["bounds"]["any_policy"]) for cell in families))
        )
        self.assertGreater(bound, 0)
        self.assertEqual(results["policies"]["clawvm"]["over_any_policy_bound"], round(reloaded / bound, 6))
        report = report_of(results)
        self.assertIn(f"| ClawVM | {reloaded:,} | {bound:,} | {reloaded / bound:,.3f} |", report)

    def test_where_the_bound_is_zero_there_is_no_ratio(self) -> None:
        rows = json.loads(json.dumps(self.rows))
        for row in rows:
            if row["kind"] == "family":
                row["policies"]["clawvm"]["bounds"]["any_policy"] = 0
        results = EXPERIMENT.summarize(rows)
        self.assertIsNone(results["policies"]["clawvm"]["over_any_policy_bound"])
        self.assertIn("| 0 | - |", report_of(results))

    def test_the_bound_for_any_policy_is_reached_by_a_plan_in_every_cell(self) -> None:
        findings = self.results["findings"]
        self.assertEqual((findings["any_policy_plan_reaches_bound"], self.results["cells_with_bounds"]), (2, 2))
        for name, value in (("page_in_tokens", 1), ("reloaded", 1), ("meets_all", False)):
            rows = json.loads(json.dumps(self.rows))
            next(row for row in rows if row["kind"] == "family")["any_policy_plan"][name] = value
            with self.subTest(forged=name):
                self.assertEqual(EXPERIMENT.summarize(rows)["findings"]["any_policy_plan_reaches_bound"], 1)

    def test_only_policies_without_prefetch_and_upgrades_are_bounded_by_the_demand_only_bound(self) -> None:
        report = report_of(self.results)
        for policy in (*map(policy_named, PAPER_POLICIES), DEMAND_ONLY):
            (line,) = (
                text
                for text in report.splitlines()
                if text.startswith(f"| {policy.name} |") and (" yes |" in text or " no |" in text)
            )
            bounded = policy.id in ("retrieval", "retrieval_cache", DEMAND_ONLY.id)
            with self.subTest(policy=policy.id):
                self.assertTrue("| yes |" in line if bounded else "| no |" in line, line)

    def test_each_bound_is_next_to_its_ratio(self) -> None:
        results = self.results
        report = report_of(results)
        self.assertIn("**The denominators differ**", report)
        for policy_id, item in results["policies"].items():
            with self.subTest(policy=policy_id):
                pairs = (
                    f"{item['bounds'][bound]:,} | {item[f'over_{bound}_bound']:,.3f} |"
                    for bound in ("any_policy", "demand_only")
                )
                self.assertIn(f"| {item['reloaded']:,} | {' '.join(pairs)}", report)

    def test_a_run_below_its_bound_is_noticed(self) -> None:
        for measure, bound, policy_id in (
            ("reloaded", "any_policy", "clawvm"),
            ("brought_in", "brought_in", "clawvm"),
            ("reloaded", "demand_only", "retrieval_cache"),
        ):
            rows = json.loads(json.dumps(self.rows))
            policy = next(row for row in rows if row["kind"] == "family")["policies"][policy_id]
            policy["bounds"][bound] = policy[measure] + 1
            with self.subTest(bound=bound, policy=policy_id):
                findings = EXPERIMENT.summarize(rows)["findings"]
                self.assertIs(findings["bounds_respected_by_every_policy"], False)

    def test_a_failed_check_is_in_findings_and_report(self) -> None:
        rows = json.loads(json.dumps(self.rows))
        for row in rows:
            if row["kind"] == "small":
                row["violations"].append("seed 3: exact, lru: 2 > 1")
            if row["kind"] == "unit":
                row["different"].append("seed 4: misses")
        results = EXPERIMENT.summarize(rows)
        self.assertEqual(results["findings"]["brute_force_violations"], 1)
        self.assertIs(results["findings"]["belady_cases_equal"], False)
        report = report_of(results)
        self.assertIn("- seed 3: exact, lru: 2 \\> 1\n", report)
        self.assertIn("- seed 4: misses\n", report)

    def test_report_is_markdown_of_results_that_went_through_a_file(self) -> None:
        results = self.results
        report = report_of(json.loads(json.dumps(results)))
        self.assertEqual(report, report_of(results))
        self.assertTrue(report.startswith("## "))
        self.assertIn("| Bound, demand-only |", report)


class ReportTests(unittest.TestCase):
    def test_means_in_tokens_have_no_needless_digits(self) -> None:
        values = [1144.25, 243.8, 74.26, 2.25, 0.0]
        self.assertEqual([_tokens(value) for value in values], ["1,144", "244", "74.3", "2.25", "0.00"])

    def test_quantiles_are_nearest_ranks_and_no_ratio_has_no_numbers(self) -> None:
        numbers = _distribution([number / 100 for number in range(1, 101)])
        self.assertEqual(
            [numbers[name] for name in ("minimum", "p1", "p5", "quartile_1", "median", "quartile_3", "mean")],
            [0.01, 0.01, 0.05, 0.25, 0.5, 0.75, 0.505],
        )
        self.assertEqual((numbers["count"], numbers["share_optimal"]), (100, 0.01))
        self.assertEqual((_distribution([])["median"], _distribution([])["share_optimal"]), (None, None))

    def test_bins_hold_their_lower_edge_and_the_last_one_both(self) -> None:
        counts = _distribution([0.0, 0.799, 0.8, 0.81, 0.815, 0.99, 1.0])["histogram"]
        self.assertEqual((counts[0], counts[1], counts[2], counts[-1], sum(counts)), (2, 1, 2, 2, 7))

    def test_the_band_of_reloaded_tokens_begins_at_the_bound_that_holds_for_every_policy(self) -> None:
        results = {
            "budgets": [120, 180],
            "utility": {"clawvm": {"histogram": [0] * (len(EDGES) - 2) + [3], "minimum": 0.9, "median": 1.0}},
            "series": {
                measure: {DEMAND_ONLY.id: [300.0, 74.0], "clawvm": [280.0, 8.0]}
                for measure in ("reloaded", "brought_in")
            },
            "bounds": {"any_policy": [200.0, 2.0], "brought_in": [290.0, 70.0]},
        }
        figures = EXPERIMENT.figures(results)
        for text in ("oracle without: 200 to 300 at 120", "oracle without: 2 to 74 at 180", "log(1 + value)"):
            self.assertIn(text, figures["page_in_tokens.svg"])
        self.assertIn("Demand-only oracle: 74 at 180", figures["page_in_tokens.svg"])
        self.assertNotIn("log(1 + value)", figures["brought_in.svg"])


class PressureTests(unittest.TestCase):
    def test_under_pressure_there_is_no_band_but_every_run_keeps_its_own_bounds(self) -> None:
        row = trace_row(pressed_trace())
        self.assertEqual((row["bounds"], row["any_policy_plan"], row["pressure_turns"]), (None, None, 1))
        self.assertNotIn(DEMAND_ONLY.id, row["policies"])
        for policy in row["policies"].values():
            self.assertFalse(policy["meets_all"])
            self.assertLessEqual(policy["bounds"]["any_policy"], policy["reloaded"])
            self.assertLessEqual(policy["bounds"]["brought_in"], policy["brought_in"])

    def test_such_cells_are_counted_and_left_out(self) -> None:
        checks = [EXPERIMENT.run_cell(Cell("small", {"kind": kind, "first_seed": 0, "cases": 1})) for kind in CHECKS]
        rows = [{"kind": "family", **trace_row(pressed_trace())}, *checks]
        results = EXPERIMENT.summarize(rows)
        self.assertEqual(results["findings"]["cells_under_pressure"], 1)
        self.assertEqual(results["findings"]["clawvm_over_demand_only_bound"], None)
        self.assertNotIn("undefined", results["findings"].values())
        self.assertEqual(results["cells_with_bounds"], 0)
        self.assertEqual(results["budgets"], [])
        self.assertIn("0 of 1 cells", report_of(results))
