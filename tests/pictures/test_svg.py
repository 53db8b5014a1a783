"""The SVG writer: any text is safe, any number is short, a picture stands alone."""

from __future__ import annotations

import math
import random
import sys
import unittest

from clawvm_pictures.svg import element, escaped, hover, is_wide, label, number, path, picture
from tests.pictures.support import HOSTILE, SVG, parsed, problems, titles


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
        for _ in range(300):
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

    def test_limits_of_floats_are_drawn_or_refused_but_never_written_wrong(self) -> None:
        self.assertNotIn("e", number(sys.float_info.max))


if __name__ == "__main__":
    unittest.main()
