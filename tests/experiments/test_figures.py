"""Figures and the claims table: their names and the numbers in them."""

from __future__ import annotations

import unittest

from clawvm_experiments import figures
from clawvm_experiments.claims import Claim, Judged, claims_table
from clawvm_experiments.sensitivity import EXPERIMENT as SENSITIVITY
from clawvm_replay.document import markdown


def claim(expected: dict[str, object]) -> Claim:
    return Claim("C1", "A number.", "ours", "property", "gates", "f", "x", expected, True)


class FigureTest(unittest.TestCase):
    def test_conclusions_have_the_names_of_the_tables(self) -> None:
        results = {
            "settings": [{"title": "default", "holds": {"no_faults": True}, "numbers": {"no_faults": 0}}],
            "conclusions": [{"id": "no_faults", "statement": "No faults"}],
        }
        self.assertIn("S1 no faults", SENSITIVITY.figures(results)["claims_and_settings.svg"])


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
