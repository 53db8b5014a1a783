"""The tables of reports: what counts as a number, and how numbers are written."""

from __future__ import annotations

import unittest

from clawvm_replay.reports import table, with_thousands


def rule(*cells: object) -> str:
    """Return how the second column of a table with these cells is aligned."""
    return table(["name", "value"], [("x", cell) for cell in cells]).splitlines()[1].split("|")[2]


class AlignmentTest(unittest.TestCase):
    def test_numbers_stand_to_the_right(self) -> None:
        for cell in (
            3,
            1.5,
            "1,626",
            "-0.4 %",
            "+2.2 %",
            "15%",
            "34 to 36",
            "143 / 126",
            "0 / -",
            "3 / 5 of 102",
            "5 of 5",
            "at least 600",
            "67.8 \u00b1 15 %",
            "67.8\u00a0\u00b1\u00a015\u00a0%",
            "7 +-1",
            "24 cells",
            "76.7 % (23 of 30)",
            "**1.400**",
            "-",
        ):
            with self.subTest(cell):
                self.assertEqual(rule(cell, None, 7), "---:")

    def test_words_stand_to_the_left_also_where_they_begin_with_a_number(self) -> None:
        for cell in (
            "24 duplicate tool, 1 pinned invariant miss",
            "5 of 5 held",
            "0 of 12 prompts over",
            "2 post compaction bootstrap",
            "1 compactions, no fault",
            "none",
            "1,62",
            "at least",
            True,
        ):
            with self.subTest(cell):
                self.assertEqual(rule(cell), "---")
                self.assertEqual(rule(7, cell), "---")


class ThousandsTest(unittest.TestCase):
    def test_long_whole_numbers_are_separated_and_nothing_else(self) -> None:
        for text, shown in (
            ("1626", "1,626"),
            ("34 to 36", "34 to 36"),
            ("1234567 of 999", "1,234,567 of 999"),
            ("1,626", "1,626"),
            ("0.12345", "0.12345"),
            ("1234.5", "1234.5"),
            ("x1234", "x1234"),
        ):
            self.assertEqual(with_thousands(text), shown)


if __name__ == "__main__":
    unittest.main()
