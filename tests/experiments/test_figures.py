"""Figures and the claims table: their names and the numbers in them."""

from __future__ import annotations

import unittest

from clawvm_experiments import bounds as bounds_report
from clawvm_experiments import figures
from clawvm_experiments.claims import Claim, Judged, claims_table
from clawvm_experiments.figures import bounds_figures
from clawvm_experiments.sensitivity import sensitivity_figures
from clawvm_replay.document import markdown

BUDGETS = [120, 180]


def by_budget(*values: float) -> dict[str, float]:
    return {str(budget): value for budget, value in zip(BUDGETS, values)}


def bounds() -> dict[str, object]:
    """Return results of the bounds in which ClawVM stands below the demand-only bound."""
    row = by_budget(300.0, 74.0)
    return {
        "budgets": BUDGETS,
        "utility_edges": [0.0, 0.5, 1.0],
        "utility": {"clawvm": {"histogram": [0, 3], "minimum": 0.9, "median": 1.0}},
        "series": {
            "reloaded": {"demand_only_oracle": row, "clawvm": by_budget(280.0, 8.0)},
            "brought_in": {"demand_only_oracle": row, "clawvm": by_budget(400.0, 90.0)},
        },
        "bounds": {
            "any_policy": by_budget(200.0, 2.0),
            "demand_only": by_budget(295.0, 73.0),
            "brought_in": by_budget(290.0, 70.0),
        },
    }


def claim(expected: dict[str, object]) -> Claim:
    return Claim("C1", "A number.", "ours", "property", "gates", "f", "x", expected, True)


class FigureTest(unittest.TestCase):
    def test_the_band_of_reloaded_tokens_begins_at_the_bound_that_holds_for_every_policy(self) -> None:
        svg = bounds_figures(bounds())["page_in_tokens.svg"]
        name = "optimum with prefetching, to oracle without"
        self.assertIn(f"{name}: 200 to 300 at 120", svg)
        self.assertIn(f"{name}: 2 to 74 at 180", svg)
        self.assertIn("Demand-only oracle: 74 at 180", svg)
        self.assertIn("eloaded tokens", svg)
        self.assertIn("log(1 + value)", svg)

    def test_only_a_logarithmic_axis_is_called_one(self) -> None:
        self.assertNotIn("log(1 + value)", bounds_figures(bounds())["brought_in.svg"])

    def test_conclusions_have_the_names_of_the_tables(self) -> None:
        results = {
            "settings": [{"title": "default", "holds": {"no_faults": True}, "numbers": {"no_faults": 0}}],
            "conclusions": [{"id": "no_faults", "statement": "No faults"}],
        }
        self.assertIn("S1 no faults", sensitivity_figures(results)["claims_and_settings.svg"])


class BoundsTableTest(unittest.TestCase):
    def test_means_in_tokens_have_no_needless_digits(self) -> None:
        values = {"120": 1144.25, "180": 243.8, "240": 74.26, "300": 2.25, "380": 0.0, "500": None}
        self.assertEqual(bounds_report._tokens(values), ["1,144", "244", "74.3", "2.25", "0.00", "-"])


class ClaimsTableTest(unittest.TestCase):
    def test_the_verdict_is_the_second_column_and_an_expectation_stays_in_one_piece(self) -> None:
        judged = [Judged(claim({"value": 67.8, "relative": 0.15}), 67.5, True)]
        header, _, row = markdown([claims_table(judged)]).splitlines()
        self.assertTrue(header.startswith("| claim | verdict |"))
        self.assertTrue(row.startswith("| C1 | holds |"))
        self.assertIn("| 67.8\u00a0\u00b1\u00a015\u00a0% |", row)


class MapTest(unittest.TestCase):
    def test_a_map_has_the_name_of_its_policy(self) -> None:
        maps = figures.session_maps()
        self.assertIn("policy Compaction-Hybrid, budget 120 tokens", maps["compaction_hybrid"])


if __name__ == "__main__":
    unittest.main()
