"""Axes and letterings: round ticks that cover the data, values as people write them, texts that fit."""

from __future__ import annotations

import math
import random
import unittest

from clawvm_pictures.chart_frame import linear_scale, logarithmic_scale, nice_ticks, point_scale
from clawvm_pictures.svg import lanes, shortened, text_width, value_text, wrapped


class TicksTest(unittest.TestCase):
    def test_ticks_are_round(self) -> None:
        for low, high, ticks in (
            (0, 47.5, [0, 10, 20, 30, 40, 50]),
            (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (0, 0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
            (-3, 4, [-4, -2, 0, 2, 4]),
            (0, 1200, [0, 200, 400, 600, 800, 1000, 1200]),
        ):
            self.assertEqual(nice_ticks(low, high), ticks)

    def test_ticks_cover_any_range_and_are_few(self) -> None:
        seed = 11
        generator = random.Random(seed)
        for _ in range(2000):
            low = (generator.random() - 0.5) * 10.0 ** generator.randrange(-8, 12)
            high = low + generator.random() * 10.0 ** generator.randrange(-8, 12)
            ticks = nice_ticks(low, high)
            self.assertTrue(ticks[0] <= low and high <= ticks[-1], f"seed {seed}: {low}, {high}: {ticks}")
            self.assertLessEqual(len(ticks), 7, f"seed {seed}")

    def test_extreme_ranges_have_ticks(self) -> None:
        for low, high in ((0.0, 5e-324), (-1e308, 1e308), (1.0, math.nextafter(1.0, 2.0)), (3.0, 3.0)):
            ticks = nice_ticks(low, high)
            self.assertTrue(all(map(math.isfinite, ticks)))
            self.assertTrue(ticks[0] <= low and high <= ticks[-1])


class ScaleTest(unittest.TestCase):
    def test_positions_follow_the_values(self) -> None:
        for make in (linear_scale, logarithmic_scale):
            scale = make([0, 3, 50, 700], 100.0, 0.0)
            places = [scale.position(value) for value in (0, 3, 50, 700)]
            self.assertEqual(places, sorted(places, reverse=True))
            self.assertEqual(places[0], 100.0)
            self.assertGreaterEqual(places[-1], 0.0)

    def test_a_logarithmic_scale_has_a_place_for_zero_and_negative_values(self) -> None:
        scale = logarithmic_scale([-20, 0, 500], 0.0, 100.0)
        self.assertEqual(scale.ticks, (-100.0, -10.0, -1.0, 0.0, 1.0, 10.0, 100.0, 1000.0))

    def test_no_data_and_equal_data_have_a_scale(self) -> None:
        for values in ([], [0], [7], [-7], [0, 0]):
            for make in (linear_scale, logarithmic_scale):
                scale = make(values, 0.0, 10.0)
                self.assertLess(scale.low, scale.high)
        self.assertEqual(point_scale([5], 0.0, 10.0).position(5), 5.0)
        self.assertEqual(point_scale([], 0.0, 10.0).ticks, ())

    def test_few_points_are_ticks_themselves_and_labels_never_touch(self) -> None:
        scale = point_scale([120, 180, 181, 500], 0.0, 300.0)
        self.assertEqual(scale.ticks, (120, 180, 181, 500))
        labelled = scale.labelled(13)
        for (one, text), (other, other_text) in zip(labelled, labelled[1:]):
            room = scale.position(other) - scale.position(one)
            self.assertGreater(room, (text_width(text, 13) + text_width(other_text, 13)) / 2)
        self.assertNotIn(181, [tick for tick, _ in labelled])


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
        self.assertLessEqual(text_width(shortened("x" * 1_000_000, 120, 12), 12), 120)

    def test_wrapping_keeps_every_word_that_fits(self) -> None:
        lines = wrapped("the quick brown fox jumps over the lazy dog", 100, 13)
        self.assertEqual(" ".join(lines), "the quick brown fox jumps over the lazy dog")
        self.assertTrue(all(text_width(line, 13) <= 100 for line in lines))
        self.assertEqual(len(wrapped("the quick brown fox jumps over the lazy dog", 60, 13, most=2)), 2)
        self.assertEqual(wrapped("", 100, 13), [])

    def test_intervals_in_a_lane_never_overlap(self) -> None:
        seed = 5
        generator = random.Random(seed)
        for _ in range(200):
            spans = []
            for _ in range(generator.randrange(12)):
                low = generator.random() * 100
                spans.append((low, low + generator.random() * 30))
            chosen = lanes(spans)
            for (one, first), (other, second) in ((a, b) for a in zip(spans, chosen) for b in zip(spans, chosen)):
                if first == second and one != other:
                    self.assertTrue(one[1] <= other[0] or other[1] <= one[0], f"seed {seed}: {spans} {chosen}")


if __name__ == "__main__":
    unittest.main()
