"""The SVG writer: any text is safe, any number short; texts fit; colours have contrast and differ for all readers."""

from __future__ import annotations

import math
import random
import re
import unittest
from collections.abc import Mapping
from itertools import combinations

from clawvm_pictures.svg import (
    DARK,
    DASHES,
    LEVEL_COLOURS,
    LIGHT,
    MARKERS,
    SERIES_COLOURS,
    STYLESHEET,
    element,
    escaped,
    hover,
    is_wide,
    label,
    lanes,
    number,
    path,
    picture,
    shortened,
    text_width,
    value_text,
    wrapped,
)
from tests.pictures.support import HOSTILE, SVG, contrast, linear, luminance, parsed, problems, titles


class EscapingTest(unittest.TestCase):
    def test_text_comes_back_as_it_was(self) -> None:
        for text in (
            "a < b & c > d",
            "\"quoted\" 'twice'",
            "]]>",
            "<script>",
            "&amp;",
            "tab\tline\n",
            "\u6f22\U0001f600",
        ):
            with self.subTest(text=text):
                self.assertEqual(parsed(element("t", None, escaped(text))).text, text)

    def test_what_xml_cannot_hold_is_replaced(self) -> None:
        for character in ("\x00", "\x08", "\x0b", "\x1f", "\ud800", "\udfff", "\ufffe", "\uffff"):
            self.assertEqual(parsed(element("t", None, escaped(f"a{character}b"))).text, "a\ufffdb")

    def test_every_character_gives_well_formed_ascii(self) -> None:
        characters = [*range(0x300), *range(0xD7F0, 0xE010), *range(0xFDC0, 0x10010), 0x10FFFF]
        markup = element("t", {"a": "".join(map(chr, characters))}, escaped("".join(map(chr, characters))))
        self.assertTrue(markup.isascii())
        parsed(markup)

    def test_attributes_are_escaped(self) -> None:
        tree = parsed(element("t", {"a": 'x" onload="y'}))
        self.assertEqual(tree.attrib, {"a": 'x" onload="y'})

    def test_random_text_survives(self) -> None:
        seed = 20260427
        generator = random.Random(seed)
        for _ in range(100):
            text = "".join(chr(generator.randrange(0x20, 0xD800)) for _ in range(generator.randrange(30)))
            self.assertEqual(parsed(element("t", {"a": text}, escaped(text))).text or "", text, f"seed {seed}")


class NumberTest(unittest.TestCase):
    def test_numbers_are_short_and_have_no_float_noise(self) -> None:
        for value, text in (
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (-0.0, "0"),
            (-0.001, "0"),
            (100, "100"),
            (1 / 3, "0.33"),
            (-12.5, "-12.5"),
            (1e6, "1000000"),
        ):
            self.assertEqual(number(value), text)

    def test_a_number_that_is_not_finite_is_refused(self) -> None:
        for value in (math.nan, math.inf, -math.inf):
            with self.assertRaises(ValueError):
                number(value)


class PictureTest(unittest.TestCase):
    def test_a_picture_scales_has_a_name_a_description_and_its_own_paper(self) -> None:
        svg = picture(300, 200.5, HOSTILE, "what it shows", [label("x", 1, 2), hover("y")])
        tree = parsed(svg)
        self.assertEqual(problems(svg), [])
        self.assertEqual(tree.attrib["viewBox"], "0 0 300 200.5")
        self.assertEqual(tree.attrib["role"], "img")
        self.assertEqual([child.tag.removeprefix(SVG) for child in tree][:4], ["title", "desc", "style", "rect"])
        self.assertIn("prefers-color-scheme:dark", tree[2].text or "")
        self.assertEqual(tree[1].text, "what it shows")
        self.assertTrue(titles(svg)[0].startswith('a<b>&"quote"'))

    def test_only_a_wide_picture_is_wide_whatever_its_title(self) -> None:
        self.assertTrue(is_wide(picture(1, 1, "t", "d", [], wide=True)))
        self.assertFalse(is_wide(picture(1, 1, 'class="cvp cvp-wide"', 'class="cvp cvp-wide"', [])))

    def test_styles_reach_nothing_outside_the_picture(self) -> None:
        style = parsed(picture(1, 1, "t", "d", []))[2].text or ""
        rules = style.replace("@media screen and (prefers-color-scheme:dark){", "").split("}")
        for rule in rules:
            for selector in rule.partition("{")[0].split(","):
                self.assertTrue(not selector.strip() or selector.strip().startswith(".cvp"), selector)

    def test_a_path_without_points_is_empty(self) -> None:
        self.assertEqual(path([]), "")
        self.assertEqual(path([(0, 0), (1, 2.5)], closed=True), "M0 0L1 2.5Z")


class LetteringTest(unittest.TestCase):
    def test_values_are_written_as_people_write_them(self) -> None:
        for value, text in (
            (0, "0"),
            (1200, "1,200"),
            (1234567, "1,234,567"),
            (0.987654, "0.9877"),
            (3.25, "3.25"),
            (0.30000000000000004, "0.3"),
            (12.3456, "12.346"),
            (1234.56, "1,234.6"),
            (-0.0, "0"),
            (-4.5, "-4.5"),
            (1e-7, "1e-07"),
            (1e300, "1e+300"),
            (10**12, "1,000,000,000,000"),
        ):
            self.assertEqual(value_text(value), text)
        with self.assertRaises(ValueError):
            value_text(math.nan)

    def test_a_long_id_loses_its_middle_and_keeps_both_ends(self) -> None:
        text = shortened("src/package/module/very_long_file_name-17.py", 120, 12)
        self.assertLessEqual(text_width(text, 12), 120)
        self.assertTrue(text.startswith("src/") and text.endswith("-17.py"), text)
        self.assertEqual(shortened("short", 120, 12), "short")
        self.assertLessEqual(text_width(shortened("x" * 50_000, 120, 12), 12), 120)

    def test_wrapping_keeps_every_word_that_fits(self) -> None:
        lines = wrapped("the quick brown fox jumps over the lazy dog", 100, 13)
        self.assertEqual(" ".join(lines), "the quick brown fox jumps over the lazy dog")
        self.assertTrue(all(text_width(line, 13) <= 100 for line in lines))
        self.assertEqual(len(wrapped("the quick brown fox jumps over the lazy dog", 60, 13, most=2)), 2)
        self.assertEqual(wrapped("", 100, 13), [])

    def test_intervals_in_a_lane_never_overlap(self) -> None:
        seed = 5
        generator = random.Random(seed)
        for _ in range(60):
            spans = []
            for _ in range(generator.randrange(12)):
                low = generator.random() * 100
                spans.append((low, low + generator.random() * 30))
            chosen = lanes(spans)
            for (one, first), (other, second) in ((a, b) for a in zip(spans, chosen) for b in zip(spans, chosen)):
                if first == second and one != other:
                    self.assertTrue(one[1] <= other[0] or other[1] <= one[0], f"seed {seed}: {spans} {chosen}")


Matrix = tuple[tuple[float, float, float], ...]

# What remains of linear red, green and blue: Machado, Oliveira, Fernandes 2009, severity 1.
_SIGHTS: Mapping[str, Matrix] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}


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
            ramp = [colours[name] for name in LEVEL_COLOURS]
            strength = [contrast(colour, colours["paper"]) for colour in ramp]
            self.assertEqual(strength, sorted(strength), mode)
            for sight in _SIGHTS:
                for first, second in zip(ramp, ramp[1:]):
                    with self.subTest(mode=mode, sight=sight, pair=(first, second)):
                        self.assertGreater(distance(first, second, sight), 10.0)

    def test_a_fault_differs_from_every_level(self) -> None:
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
