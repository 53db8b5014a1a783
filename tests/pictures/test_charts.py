"""Scales and charts: ticks are round, every value is in the picture, nothing hides anything, bad data are refused."""

from __future__ import annotations

import math
import random
import re
import unittest
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from clawvm_pictures.chart_frame import linear_scale, logarithmic_scale, nice_ticks, point_scale
from clawvm_pictures.charts import (
    Band,
    BarSeries,
    Bin,
    Dot,
    MarkedValue,
    Series,
    bar_chart,
    dot_grid,
    histogram,
    line_chart,
)
from clawvm_pictures.svg import text_width
from tests.pictures.support import HOSTILE, SVG, parsed, problems, texts, titles


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
        for _ in range(300):
            low = (generator.random() - 0.5) * 10.0 ** generator.randrange(-3, 7)
            high = low + generator.random() * 10.0 ** generator.randrange(-3, 7)
            ticks, slack = nice_ticks(low, high), (high - low) * 1e-6
            self.assertTrue(
                ticks[0] <= low + slack and high - slack <= ticks[-1], f"seed {seed}: {low}, {high}: {ticks}"
            )
            self.assertLessEqual(len(ticks), 7, f"seed {seed}")


class ScaleTest(unittest.TestCase):
    def test_positions_follow_the_values(self) -> None:
        for make in (linear_scale, logarithmic_scale):
            scale = make([0, 3, 50, 700], 100.0, 0.0)
            places = [scale.position(value) for value in (0, 3, 50, 700)]
            self.assertEqual(places, sorted(places, reverse=True))
            self.assertEqual(places[0], 100.0)
            self.assertGreaterEqual(places[-1], 0.0)

    def test_a_logarithmic_scale_has_a_place_for_zero(self) -> None:
        self.assertEqual(logarithmic_scale([0, 500], 0.0, 100.0).ticks, (0.0, 1.0, 10.0, 100.0, 1000.0))
        self.assertEqual(logarithmic_scale([], 0.0, 100.0).ticks, (0.0, 1.0))

    def test_no_data_and_equal_data_have_a_scale(self) -> None:
        for values in ([], [0], [7], [0, 0]):
            for make in (linear_scale, logarithmic_scale):
                scale = make(values, 0.0, 10.0)
                self.assertLess(scale.low, scale.high)
        self.assertEqual(point_scale([5], 0.0, 10.0).position(5), 5.0)
        self.assertEqual(point_scale([], 0.0, 10.0).ticks, ())

    def test_few_points_are_ticks_themselves_and_labels_never_touch(self) -> None:
        scale = point_scale([120, 180, 181, 500], 0.0, 300.0)
        self.assertEqual(scale.ticks, (120, 180, 181, 500))
        labelled = scale.labelled()
        for (one, text), (other, other_text) in zip(labelled, labelled[1:]):
            distance = scale.position(other) - scale.position(one)
            self.assertGreater(distance, (text_width(text, 13) + text_width(other_text, 13)) / 2)
        self.assertNotIn(181, [tick for tick, _ in labelled])


BUDGETS = (120, 180, 240, 300, 380, 500)


def lines(*series: Series, **more: object) -> str:
    return line_chart(title="t", x_label="budget (tokens)", y_label="faults", series=series, **more)  # type: ignore[arg-type]


def bars(*series: BarSeries, categories: tuple[str, ...] = ("a", "b")) -> str:
    return bar_chart(title="t", value_label="faults", categories=categories, series=series)


def counted(*bins: Bin, marks: tuple[MarkedValue, ...] = ()) -> str:
    return histogram(title="t", x_label="ratio", y_label="cases", bins=bins, marks=marks)


def grid(dots: list[list[Dot]], rows: tuple[str, ...] = ("r",), columns: tuple[str, ...] = ("c",)) -> str:
    return dot_grid(title="t", rows=rows, columns=columns, dots=dots, column_label="settings")


CHARTS: dict[str, Callable[[], str]] = {
    "lines": lambda: lines(Series("one", [(x, x / 7) for x in BUDGETS]), Series("two", [(x, 0) for x in BUDGETS])),
    "no series": lambda: lines(),
    "empty series": lambda: lines(Series("one", [])),
    "one point": lambda: lines(Series("one", [(5, 5)])),
    "all equal": lambda: lines(*(Series(f"s{i}", [(x, 0) for x in BUDGETS]) for i in range(9))),
    "log": lambda: lines(Series("one", [(0, 0), (1, 1e6), (2, 50)]), logarithmic=True),
    "many points": lambda: lines(*(Series(f"s{i}", [(x, x * i) for x in range(60)]) for i in range(4))),
    "gaps": lambda: lines(Series("one", [(1, None), (2, 3), (3, None), (4, 5)])),
    "band": lambda: lines(Series("one", [(1, 2)]), band=Band("bounds", [(2, 1, 9), (1, 0, 4)])),
    "hostile": lambda: lines(Series(HOSTILE, [(1, 2)]), band=Band(HOSTILE, [(1, 0, 4)])),
    "stack": lambda: bars(BarSeries("one", [1, 2]), BarSeries("two", [0, 4.5])),
    "no bars": lambda: bars(categories=()),
    "no bar series": lambda: bars(),
    "hostile bars": lambda: bars(BarSeries(HOSTILE, [1, 2]), categories=(HOSTILE, HOSTILE * 5)),
    "histogram": lambda: counted(
        Bin(0, 0.5, 3), Bin(0.5, 1, 1200), marks=(MarkedValue("median", 0.6), MarkedValue("worst", 0.59))
    ),
    "no bins": lambda: counted(),
    "empty bins": lambda: counted(Bin(0, 1, 0)),
    "hostile bins": lambda: counted(Bin(0, 1, 1), marks=(MarkedValue(HOSTILE, 0.5), MarkedValue(HOSTILE * 9, 0.5))),
    "dots": lambda: grid([[Dot(holds, "why") for holds in (True, False, None)]], columns=tuple("abc")),
    "no dots": lambda: grid([], rows=(), columns=()),
    "hostile dots": lambda: grid([[Dot(True, HOSTILE)]], rows=(HOSTILE * 9,), columns=(HOSTILE * 9,)),
}


class EveryChartTest(unittest.TestCase):
    def test_is_well_formed_is_self_contained_and_has_no_number_that_is_none(self) -> None:
        for name, draw in CHARTS.items():
            with self.subTest(chart=name):
                self.assertEqual(problems(draw()), [])

    def test_has_the_same_bytes_each_time(self) -> None:
        for name, draw in CHARTS.items():
            with self.subTest(chart=name):
                self.assertEqual(draw(), draw())

    def test_keeps_its_texts_inside_the_picture(self) -> None:
        for name, draw in CHARTS.items():
            tree = parsed(draw())
            _, _, width, height = map(float, tree.attrib["viewBox"].split())
            for element in tree.iter(SVG + "text"):
                with self.subTest(chart=name, text=element.text):
                    self.assertTrue(0 <= float(element.attrib["x"]) <= width)
                    self.assertTrue(0 <= float(element.attrib["y"]) <= height)

    def test_every_data_mark_is_inside_the_picture(self) -> None:
        for name, draw in CHARTS.items():
            tree = parsed(draw())
            _, _, width, height = map(float, tree.attrib["viewBox"].split())
            for element in tree.iter(SVG + "path"):
                data = re.sub(r"a[^Z]*Z", "", element.attrib["d"])
                for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", data):
                    with self.subTest(chart=name, path=data):
                        self.assertTrue(-0.01 <= float(x) <= width + 0.01 and -0.01 <= float(y) <= height + 0.01)

    def test_bad_data_are_refused(self) -> None:
        refused: tuple[Callable[[], str], ...] = (
            lambda: lines(Series("one", [(1, math.nan)])),
            lambda: lines(Series("one", [(math.inf, 1)])),
            lambda: lines(band=Band("b", [(1, 0, math.inf)])),
            lambda: bars(BarSeries("one", [math.nan, 1])),
            lambda: bars(BarSeries("one", [1])),
            lambda: bars(BarSeries("one", [-1, 1])),
            lambda: counted(Bin(1, 1, 3)),
            lambda: counted(Bin(0, 1, -3)),
            lambda: counted(Bin(0, 1, 3), marks=(MarkedValue("m", math.nan),)),
            lambda: grid([]),
            lambda: grid([[]]),
        )
        for bad in refused:
            with self.assertRaises(ValueError):
                bad()


def line_paths(svg: str) -> list[ElementTree.Element]:
    """Return the lines of the data, without those of the legend, which come before the first grid line."""
    elements = list(parsed(svg).iter())
    first = next(i for i, element in enumerate(elements) if element.attrib.get("class") in ("cvp-grid", "cvp-axis"))
    return [element for element in elements[first:] if element.attrib.get("class", "").startswith("cvp-line")]


class LineChartTest(unittest.TestCase):
    def test_every_value_is_at_its_point(self) -> None:
        svg = lines(Series("one", [(x, x * 1000 + 0.5) for x in BUDGETS]), Series("two", [(120, 0)]))
        for budget in BUDGETS:
            self.assertIn(f"one: {budget * 1000 + 0.5:,} at {budget}", titles(svg))
        self.assertIn("two: 0 at 120", titles(svg))

    def test_names_and_labels_are_there_and_points_come_in_order_of_x(self) -> None:
        svg = lines(Series("one", [(500, 1), (120, 2)]), band=Band("bounds", [(500, 1, 2), (120, 0, 3)]))
        for text in ("t", "budget (tokens)", "faults", "one", "bounds", "120", "500"):
            self.assertIn(text, texts(svg))
        (line,) = line_paths(svg)
        xs = [float(x) for x, _ in re.findall(r"([\d.]+) ([\d.]+)", line.attrib["d"])]
        self.assertEqual(xs, sorted(xs))
        self.assertIn("bounds: 1 to 2 at 500", titles(svg))

    def test_series_that_coincide_share_the_line_in_stripes_and_set_their_markers_side_by_side(self) -> None:
        svg = lines(*(Series(f"s{i}", [(x, 0) for x in BUDGETS]) for i in range(3)))
        paths = line_paths(svg)
        self.assertEqual({path.attrib["stroke-dasharray"] for path in paths}, {"7 14"})
        self.assertEqual([path.attrib["stroke-dashoffset"] for path in paths], ["0", "-7", "-14"])
        places = {}
        for element in parsed(svg).iter(SVG + "path"):
            title = element.find(SVG + "title")
            if title is not None:
                places[title.text] = [float(value) for value in re.findall(r"-?[\d.]+", element.attrib["d"])[:2]]
        for budget in BUDGETS:
            middles = sorted(places[f"s{i}: 0 at {budget}"][0] for i in range(3))
            self.assertGreater(min(b - a for a, b in zip(middles, middles[1:])), 5.0)

    def test_series_that_only_meet_keep_their_own_dash(self) -> None:
        svg = lines(Series("a", [(0, 0), (1, 1), (2, 9)]), Series("b", [(0, 9), (1, 1), (2, 0)]))
        self.assertEqual([path.attrib.get("stroke-dasharray") for path in line_paths(svg)], [None, "7 3"])

    def test_series_part_where_they_part(self) -> None:
        svg = lines(Series("a", [(0, 0), (1, 0), (2, 9)]), Series("b", [(0, 0), (1, 0), (2, 3)]))
        self.assertEqual([path.attrib.get("stroke-dasharray") for path in line_paths(svg)], ["7 7", None, "7 7", "7 3"])

    def test_a_gap_breaks_the_line(self) -> None:
        svg = lines(Series("a", [(0, 1), (1, 2), (2, None), (3, 4), (4, 5)]))
        self.assertEqual(len(line_paths(svg)), 2)

    def test_a_series_keeps_its_style_whatever_its_place(self) -> None:
        for svg in (
            lines(Series("x", [(0, 1), (1, 1)], style=4)),
            lines(Series("y", []), Series("x", [(0, 1)], style=4)),
        ):
            self.assertIn("cvp-fill-series-5", svg)

    def test_the_legend_never_covers_data(self) -> None:
        svg = lines(*(Series(f"a long name of a series {i}", [(x, 100) for x in BUDGETS]) for i in range(12)))
        names = [float(e.attrib["y"]) for e in parsed(svg).iter(SVG + "text") if "a long name" in (e.text or "")]
        tops = [float(y) for path in line_paths(svg) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path.attrib["d"])]
        self.assertLess(max(names), min(tops))


class BarChartTest(unittest.TestCase):
    def widths(self, svg: str) -> dict[str | None, float]:
        return {
            title.text: float(element.attrib["width"])
            for element in parsed(svg).iter(SVG + "rect")
            if (title := element.find(SVG + "title")) is not None
        }

    def test_a_stack_adds_up_and_shows_its_parts(self) -> None:
        svg = bars(BarSeries("one", [1200, 0.5]), BarSeries("two", [34, 0]))
        for text in ("1,234", "0.5"):
            self.assertIn(text, texts(svg))
        for text in ("a, one: 1,200", "a, two: 34", "b, one: 0.5", "a: one 1,200, two 34", "b: one 0.5, two 0"):
            self.assertIn(text, titles(svg))

    def test_bars_are_as_long_as_their_values(self) -> None:
        widths = self.widths(bars(BarSeries("one", [300, 100])))
        self.assertAlmostEqual(widths["a, one: 300"], 3 * widths["b, one: 100"], delta=0.1)

    def test_a_small_value_is_seen_next_to_a_large_one_and_zero_is_not(self) -> None:
        drawn = self.widths(bars(BarSeries("one", [100_000, 1]), BarSeries("two", [0, 0])))
        self.assertEqual(drawn.keys(), {"a, one: 100,000", "b, one: 1"})
        self.assertGreaterEqual(drawn["b, one: 1"], 1.5)


class HistogramTest(unittest.TestCase):
    def test_counts_and_marks_are_there_and_marks_do_not_overlap(self) -> None:
        svg = counted(Bin(0, 0.5, 3), Bin(0.5, 1, 1200), marks=(MarkedValue("median", 0.6), MarkedValue("worst", 0.59)))
        for text in ("3", "1,200", "median 0.6", "worst 0.59"):
            self.assertIn(text, texts(svg))
        self.assertIn("0.5 to 1: 1,200", titles(svg))
        heights = {e.text: e.attrib["y"] for e in parsed(svg).iter(SVG + "text")}
        self.assertNotEqual(heights["median 0.6"], heights["worst 0.59"])

    def test_bars_are_as_high_as_their_counts(self) -> None:
        svg = counted(Bin(0, 1, 10), Bin(1, 2, 30))
        bars = [e for e in parsed(svg).iter(SVG + "rect") if e.attrib["class"].startswith("cvp-fill")]
        low, high = (float(e.attrib["height"]) for e in bars)
        self.assertAlmostEqual(high, 3 * low, delta=0.1)


class DotGridTest(unittest.TestCase):
    def test_every_verdict_has_a_shape_of_its_own_and_shows_its_detail(self) -> None:
        verdicts = {"holds": True, "fails": False, "not tried": None}
        svg = grid([[Dot(holds, "why") for holds in verdicts.values()]], columns=tuple("abc"))
        for word, column in zip(verdicts, "abc"):
            self.assertIn(f"r, {column}: {word}; why", titles(svg))
            self.assertIn(word, texts(svg))

    def test_many_columns_make_a_wide_picture_that_scrolls(self) -> None:
        columns = tuple(f"setting {i}" for i in range(60))
        svg = grid([[Dot(True)] * 60], columns=columns)
        self.assertEqual(parsed(svg).attrib["class"], "cvp cvp-wide")
        self.assertTrue(set(columns) <= set(texts(svg)))
