"""Colours: enough contrast on both papers, and apart also for readers who see no red or no green."""

from __future__ import annotations

import math
import re
import unittest
from collections.abc import Mapping
from itertools import combinations

from clawvm_pictures.svg import DARK, DASHES, LEVEL_COLOURS, LIGHT, MARKERS, SERIES_COLOURS, STYLESHEET

Matrix = tuple[tuple[float, float, float], ...]

# What remains of linear red, green and blue: Machado, Oliveira, Fernandes 2009, severity 1.
_SIGHTS: Mapping[str, Matrix] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


def linear(colour: str) -> list[float]:
    values = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def luminance(rgb: list[float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(linear(first)), luminance(linear(second))))
    return (high + 0.05) / (low + 0.05)


def lab(colour: str, sight: Matrix) -> tuple[float, float, float]:
    rgb = linear(colour)
    seen = [min(1.0, max(0.0, sum(factor * value for factor, value in zip(row, rgb)))) for row in sight]
    x = (0.4124 * seen[0] + 0.3576 * seen[1] + 0.1805 * seen[2]) / 0.9505
    y = luminance(seen)
    z = (0.0193 * seen[0] + 0.1192 * seen[1] + 0.9505 * seen[2]) / 1.089
    fx, fy, fz = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(first: str, second: str, sight: str) -> float:
    """Return how far apart two colours look: about 2 is just visible, 10 is seen at a glance."""
    one, other = lab(first, _SIGHTS[sight]), lab(second, _SIGHTS[sight])
    return math.dist(one, other)


class PaletteTest(unittest.TestCase):
    def both(self) -> tuple[tuple[str, Mapping[str, str]], ...]:
        return (("light", LIGHT), ("dark", DARK))

    def test_everything_drawn_has_a_contrast_of_at_least_3_and_text_of_at_least_4_5(self) -> None:
        for mode, colours in self.both():
            for name in (*SERIES_COLOURS, *LEVEL_COLOURS, "fault"):
                with self.subTest(mode=mode, name=name):
                    self.assertGreaterEqual(contrast(colours[name], colours["paper"]), 3.0)
            for name in ("ink", "muted"):
                with self.subTest(mode=mode, name=name):
                    self.assertGreaterEqual(contrast(colours[name], colours["paper"]), 4.5)

    def test_series_look_different_to_every_reader(self) -> None:
        for mode, colours in self.both():
            for sight in _SIGHTS:
                for first, second in combinations(SERIES_COLOURS, 2):
                    with self.subTest(mode=mode, sight=sight, pair=(first, second)):
                        self.assertGreater(distance(colours[first], colours[second], sight), 18.0)

    def test_levels_look_different_to_every_reader_and_grow_away_from_the_paper(self) -> None:
        for mode, colours in self.both():
            ladder = [colours[name] for name in LEVEL_COLOURS]
            strength = [contrast(colour, colours["paper"]) for colour in ladder]
            self.assertEqual(strength, sorted(strength), mode)
            for sight in _SIGHTS:
                for first, second in zip(ladder, ladder[1:]):
                    with self.subTest(mode=mode, sight=sight, pair=(first, second)):
                        self.assertGreater(distance(first, second, sight), 10.0)

    def test_a_fault_stands_out_from_every_level(self) -> None:
        for mode, colours in self.both():
            for sight in _SIGHTS:
                for name in LEVEL_COLOURS:
                    with self.subTest(mode=mode, sight=sight, level=name):
                        self.assertGreater(distance(colours["fault"], colours[name], sight), 40.0)

    def test_the_measure_itself_can_fail(self) -> None:
        self.assertLess(contrast("#F0E442", "#FFFFFF"), 3.0)
        self.assertLess(distance("#CC3311", "#557700", "deuteranopia"), distance("#CC3311", "#557700", "normal") / 2)

    def test_series_differ_in_more_than_colour(self) -> None:
        looks = {(MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)]) for i in range(len(SERIES_COLOURS) * 6)}
        self.assertEqual(len(looks), len(SERIES_COLOURS) * 6)

    def test_every_colour_is_declared_for_both_modes_and_every_used_one_is_declared(self) -> None:
        self.assertEqual(LIGHT.keys(), DARK.keys())
        used = set(re.findall(r"var\(--cvp-([\w-]+)\)", STYLESHEET))
        self.assertLessEqual(used, LIGHT.keys())


if __name__ == "__main__":
    unittest.main()
