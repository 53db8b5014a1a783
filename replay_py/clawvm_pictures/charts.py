"""The pictures that reports use; each function takes plain values and returns an SVG text.

===============  ======================================================================
line_chart       Series over budgets or turns, with an optional Band between bounds
bar_chart        BarSeries over categories, grouped or stacked, horizontal
histogram        counts for each Bin, with Marks
dot_grid         Dots for rows and columns: which claim holds under which setting
===============  ======================================================================

They shrink with what they stand in, follow the reader's light or dark mode, and need no script and no other file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from clawvm_pictures.chart_frame import (
    EDGE,
    TEXT_SIZE,
    WIDTH,
    Frame,
    LegendEntry,
    Sample,
    Scale,
    SeriesStyle,
    centred,
    finite,
    linear_scale,
    point_scale,
    x_axis,
)
from clawvm_pictures.line_chart import Band, Series, line_chart
from clawvm_pictures.svg import (
    SERIES_COLOURS,
    Attribute,
    Markup,
    element,
    hover,
    label,
    lanes,
    marker,
    path,
    picture,
    shortened,
    text_width,
    value_text,
    wrapped,
)

__all__ = [
    "Band",
    "BarSeries",
    "Bin",
    "Dot",
    "Mark",
    "Series",
    "Verdict",
    "bar_chart",
    "dot_grid",
    "histogram",
    "line_chart",
]


# --- Bar charts: horizontal bars, one row of bars for each category, with the value at each bar.

_BAR = 15.0
_GAP = 9.0
_THINNEST = 1.5  # A value above 0 is seen however small it is beside the others.


@dataclass(frozen=True, slots=True)
class BarSeries:
    """A named list of values, one for each category; None where there is no value.

    ``style`` is the number of the colour, so that a policy looks the same in every chart; None: the place in the list.
    """

    name: str
    values: Sequence[float | None]
    style: int | None = None


def bar_chart(
    *,
    title: str,
    value_label: str,
    categories: Sequence[str],
    series: Sequence[BarSeries],
    stacked: bool = False,
    description: str = "",
) -> str:
    """Return horizontal bars as SVG, the categories from top to bottom, the value behind each bar (or stack).

    *value_label* names the unit. Bars of a category stand below each other in the order of the series, or behind each
    other if *stacked*; stacked values must not be negative. Raises ValueError for a value that is not finite, for a
    negative stacked one, and for a series whose number of values is not that of the categories. O(number of values).
    """
    return _BarChart(title, value_label, categories, series, stacked, description).svg()


class _BarChart:
    def __init__(
        self,
        title: str,
        value_label: str,
        categories: Sequence[str],
        series: Sequence[BarSeries],
        stacked: bool,
        description: str,
    ) -> None:
        for one in series:
            if len(one.values) != len(categories):
                raise ValueError(f"{one.name}: {len(one.values)} values for {len(categories)} categories")
            for value in one.values:
                if value is not None and finite(value, one.name) < 0 and stacked:
                    raise ValueError(f"{one.name}: a stacked value must not be negative, as {value!r} is")
        self.title, self.value_label, self.description = title, value_label, description
        self.categories, self.series, self.stacked = categories, series, stacked
        self.colours = [
            SeriesStyle.numbered(index if one.style is None else one.style).colour
            # A chart with one series is not drawn in black.
            for index, one in enumerate(series, start=int(len(series) == 1))
        ]
        self.frame = Frame(WIDTH, title)
        if len(series) > 1:
            self.frame.legend([LegendEntry(one.name, _bar_chart_sample(c), 14) for one, c in zip(series, self.colours)])
        self.top = self.frame.y + 6
        self.gutter = min(WIDTH * 0.42, max((text_width(name, TEXT_SIZE) for name in categories), default=0.0))
        self.names = [wrapped(name, self.gutter, TEXT_SIZE, most=2) for name in categories]
        self.scale = self._scale()

    def _rows(self, category: int) -> list[tuple[str, float | None]]:
        """Return the values that get a text: each bar's, or the sum of a stack."""
        values = [(one.name, one.values[category]) for one in self.series]
        if not self.stacked:
            return values
        known = [value for _, value in values if value is not None]
        return [("all together", math.fsum(known) if known else None)]

    def _scale(self) -> Scale:
        values = [value for c in range(len(self.categories)) for _, value in self._rows(c) if value is not None]
        left = EDGE + self.gutter + 8
        longest = max((text_width(value_text(value), TEXT_SIZE) for value in values), default=0.0) + 8
        right = WIDTH - EDGE - longest
        if any(value < 0 for value in values):
            left += longest
        return linear_scale(values, left, max(right, left + 40))

    def svg(self) -> str:
        y = self.top
        bars: list[Markup] = []
        for category, names in enumerate(self.names):
            height = _BAR * (1 if self.stacked else max(1, len(self.series)))
            room = max(height, TEXT_SIZE * 1.25 * len(names))
            bars.append(self._name(category, names, y + room / 2))
            draw = self._stack if self.stacked else self._group
            bars.extend(draw(category, y + (room - height) / 2))
            y += room + _GAP
        bottom = y - _GAP / 2
        lines = centred(self.value_label, (self.scale.start + self.scale.end) / 2, bottom + TEXT_SIZE * 2.7, WIDTH)
        parts = [*self.frame.parts, *self._grid(bottom), *bars, *lines]
        height = bottom + TEXT_SIZE * (1.9 + 1.3 * len(lines)) + EDGE / 2
        return picture(WIDTH, height, self.title, self.description or self._described(), parts)

    def _described(self) -> str:
        return f"Bar chart: {self.value_label}, for {', '.join(self.categories) or 'no category'}."

    def _name(self, category: int, lines: Sequence[str], middle: float) -> Markup:
        values = ((one.name, one.values[category]) for one in self.series)
        told = (f"{name} {'no value' if value is None else value_text(value)}" for name, value in values)
        first = middle + TEXT_SIZE * 0.36 - (len(lines) - 1) * TEXT_SIZE * 0.6
        texts = [
            label(line, EDGE + self.gutter, first + number * TEXT_SIZE * 1.2, "", "end")
            for number, line in enumerate(lines)
        ]
        return element("g", None, hover(f"{self.categories[category]}: {', '.join(told)}"), *texts)

    def _grid(self, bottom: float) -> list[Markup]:
        scale = self.scale
        parts = []
        for tick, text in scale.labelled(TEXT_SIZE):
            x = scale.position(tick)
            style = "cvp-axis" if tick == 0 else "cvp-grid"
            parts.append(element("path", {"class": style, "d": path([(x, self.top - 3), (x, bottom)])}))
            parts.append(label(text, x, bottom + TEXT_SIZE * 1.2, "cvp-quiet", "middle"))
        return parts

    def _bar(self, low: float, high: float, y: float, colour: str, text: str) -> Markup:
        begin, end = sorted((self.scale.position(low), self.scale.position(high)))
        place: dict[str, Attribute] = {"x": begin, "y": y + 1, "width": max(end - begin, _THINNEST), "height": _BAR - 2}
        return element("rect", {"class": f"cvp-fill-{colour}", **place}, hover(text))

    def _group(self, category: int, y: float) -> list[Markup]:
        parts = []
        for (name, value), colour in zip(self._rows(category), self.colours):
            if value is None:
                parts.append(label("no value", self.scale.position(0) + 5, y + _BAR - 3.5, "cvp-quiet"))
            else:
                if value:
                    text = f"{self.categories[category]}, {name}: {value_text(value)}"
                    parts.append(self._bar(0, value, y, colour, text))
                parts.append(self._value(value, y))
            y += _BAR
        return parts

    def _value(self, value: float, y: float) -> Markup:
        x = self.scale.position(value)
        if value < 0:
            return label(value_text(value), x - 5, y + _BAR - 3.5, "", "end")
        return label(value_text(value), x + 5, y + _BAR - 3.5)

    def _stack(self, category: int, y: float) -> list[Markup]:
        parts = []
        before = 0.0
        for one, colour in zip(self.series, self.colours):
            value = one.values[category]
            if value:
                text = f"{self.categories[category]}, {one.name}: {value_text(value)}"
                parts.append(self._bar(before, before + value, y, colour, text))
                begin, edge = self.scale.position(before), self.scale.position(before + value)
                if edge - begin > 2 * _THINNEST:
                    parts.append(element("path", {"class": "cvp-seam", "d": path([(edge, y), (edge, y + _BAR)])}))
                before += value
        ((_, total),) = self._rows(category)
        if total is None:
            parts.append(label("no value", self.scale.position(0) + 5, y + _BAR - 3.5, "cvp-quiet"))
        else:
            parts.append(self._value(total, y))
        return parts


def _bar_chart_sample(colour: str) -> Sample:
    def draw(x: float, y: float) -> list[Markup]:
        return [element("rect", {"class": f"cvp-fill-{colour}", "x": x, "y": y - 6, "width": 14, "height": 12})]

    return draw


# --- Histograms: how many values fall into each bin, with marks such as the median and the worst.

_PLOT_HEIGHT = 190.0


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values lie from ``low`` to ``high``."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A named value on the x axis."""

    name: str
    value: float


def histogram(
    *,
    title: str,
    x_label: str,
    y_label: str,
    bins: Sequence[Bin],
    marks: Sequence[Mark] = (),
    description: str = "",
) -> str:
    """Return a histogram as SVG: the count above each bar where there is room, and on hover.

    Bins may differ in width; the height is the count, not the density. Raises ValueError for a value that is not
    finite, a negative count, and a bin whose low end is not below its high end. O(number of bins).
    """
    for one in bins:
        if finite(one.low, "bin") >= finite(one.high, "bin") or finite(one.count, "bin") < 0:
            raise ValueError(f"a bin from {one.low!r} to {one.high!r} with {one.count!r} values cannot be drawn")
    for mark in marks:
        finite(mark.value, mark.name)
    frame = Frame(WIDTH, title)
    frame.paragraph(y_label)
    left, right = _sides(bins)
    xs = [end for one in bins for end in (one.low, one.high)] + [mark.value for mark in marks]
    x_scale = point_scale(xs, left + 4, right, most=8)
    placed = _placed(marks, x_scale)
    top = frame.y + (max((lane for *_, lane in placed), default=-1) + 1) * TEXT_SIZE * 1.3 + TEXT_SIZE * 1.4
    bottom = top + _PLOT_HEIGHT
    y_scale = linear_scale([one.count for one in bins], bottom, top)
    lines = centred(x_label, (left + right) / 2, bottom + TEXT_SIZE * 2.9, WIDTH)
    parts = [
        *frame.parts,
        *_grid(y_scale, left, right),
        *(part for one in bins for part in _bar(one, x_scale, y_scale)),
        *_marks(placed, x_scale, frame.y, bottom),
        *(part for one in bins for part in _count(one, x_scale, y_scale)),
        *x_axis(x_scale, left, right, bottom),
        *lines,
    ]
    height = bottom + TEXT_SIZE * (2.1 + 1.3 * len(lines)) + EDGE / 2
    told = ", ".join(f"{mark.name} {value_text(mark.value)}" for mark in marks)
    text = f"Histogram: {y_label} by {x_label}" + (f"; {told}." if told else ".")
    return picture(WIDTH, height, title, description or text, parts)


def _sides(bins: Sequence[Bin]) -> tuple[float, float]:
    scale = linear_scale([one.count for one in bins], 1, 0)
    left = EDGE + max(text_width(value_text(tick), TEXT_SIZE) for tick in scale.ticks) + 8
    last = max((text_width(value_text(one.high), TEXT_SIZE) for one in bins), default=0.0)
    return min(left, WIDTH / 3), WIDTH - EDGE - min(last, WIDTH / 3) / 2


def _placed(marks: Sequence[Mark], scale: Scale) -> list[tuple[Mark, str, float, int]]:
    """Return each mark with its text, the middle of the text, and the row in which it meets no other text."""
    texts = [shortened(f"{mark.name} {value_text(mark.value)}", WIDTH - 2 * EDGE, TEXT_SIZE) for mark in marks]
    halves = [text_width(text, TEXT_SIZE, bold=True) / 2 for text in texts]
    middles = [
        max(EDGE + half, min(scale.position(mark.value), WIDTH - EDGE - half)) for mark, half in zip(marks, halves)
    ]
    rows = lanes([(middle - half, middle + half + 6) for middle, half in zip(middles, halves)])
    return list(zip(marks, texts, middles, rows))


def _grid(scale: Scale, left: float, right: float) -> list[Markup]:
    parts = []
    for tick, text in scale.labelled(TEXT_SIZE, stacked=True):
        if tick != int(tick):
            continue  # There is no half of a value.
        y = scale.position(tick)
        parts.append(element("path", {"class": "cvp-grid", "d": path([(left, y), (right, y)])}))
        parts.append(label(text, left - 6, y + TEXT_SIZE * 0.36, "cvp-quiet", "end"))
    return parts


def _bar(one: Bin, x_scale: Scale, y_scale: Scale) -> list[Markup]:
    begin, end = x_scale.position(one.low), x_scale.position(one.high)
    top, bottom = y_scale.position(one.count), y_scale.position(0)
    text = f"{value_text(one.low)} to {value_text(one.high)}: {value_text(one.count)}"
    place: dict[str, Attribute] = {"x": begin + 0.5, "width": max(end - begin - 1, 0.5), "y": top}
    fill = f"cvp-fill-{SERIES_COLOURS[1]}"
    return [
        element("rect", {"class": fill, **place, "height": bottom - top}),
        element("rect", {"class": "cvp-hit", **place, "y": y_scale.end, "height": bottom - y_scale.end}, hover(text)),
    ]


def _count(one: Bin, x_scale: Scale, y_scale: Scale) -> list[Markup]:
    begin, end = x_scale.position(one.low), x_scale.position(one.high)
    text = value_text(one.count)
    if not one.count or text_width(text, 12) > end - begin:
        return []
    return [label(text, (begin + end) / 2, y_scale.position(one.count) - 4, "cvp-small cvp-clear", "middle")]


def _marks(placed: list[tuple[Mark, str, float, int]], scale: Scale, top: float, bottom: float) -> list[Markup]:
    lines, texts = [], []
    for mark, text, middle, row in placed:
        x, y = scale.position(mark.value), top + (row + 1) * TEXT_SIZE * 1.3
        lines.append(element("path", {"class": "cvp-mark", "d": path([(x, y + 3), (x, bottom)])}, hover(text)))
        texts.append(label(text, middle, y, "cvp-strong cvp-clear", "middle"))
    return [*lines, *texts]  # A text stands above the lines of other marks.


# --- Dot grids: which statements (rows) hold under which settings (columns).

_CELL = 24.0
_WIDEST_CELL = 44.0
_COLUMN_TEXT = 170.0


class Verdict(str, Enum):
    """What a setting says about a statement."""

    HOLDS = "holds"
    FAILS = "fails"
    PARTLY = "partly"
    NOTHING = "not tried"


_LOOKS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.HOLDS: ("circle", "cvp-fill-level-2"),
    Verdict.FAILS: ("cross", "cvp-fault"),
    Verdict.PARTLY: ("triangle", "cvp-hollow"),
    Verdict.NOTHING: ("bar", "cvp-fill-grid"),
}


@dataclass(frozen=True, slots=True)
class Dot:
    """A verdict and the detail that stands on hover, such as the numbers behind it."""

    verdict: Verdict
    detail: str = ""


def dot_grid(
    *,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    dots: Sequence[Sequence[Dot]],
    column_label: str = "",
    description: str = "",
) -> str:
    """Return a grid of dots as SVG, one list of *dots* for each row.

    It is as wide as its columns need; a wide one has to scroll. Raises ValueError when the dots are not one for each
    row and column. O(rows x columns).
    """
    if len(dots) != len(rows) or any(len(line) != len(columns) for line in dots):
        raise ValueError(f"the dots are not {len(rows)} rows of {len(columns)}")
    gutter = min(WIDTH * 0.5, max((text_width(row, TEXT_SIZE) for row in rows), default=0.0))
    left = EDGE + gutter + 10
    cell = max(_CELL, min(_WIDEST_CELL, (WIDTH - EDGE - left) / max(1, len(columns))))
    width = max(WIDTH, left + cell * len(columns) + EDGE)
    frame = Frame(width, title)
    used = {dot.verdict for line in dots for dot in line}
    frame.legend([LegendEntry(verdict.value, _sample(verdict), 14) for verdict in Verdict if verdict in used], WIDTH)
    if column_label:
        frame.paragraph(column_label)
    longest = max((text_width(column, TEXT_SIZE) for column in columns), default=0.0)
    y = frame.y + min(_COLUMN_TEXT, longest) + 12
    parts = list(frame.parts)
    for index, column in enumerate(columns):
        x = left + (index + 0.5) * cell + TEXT_SIZE * 0.36
        turned = f"rotate(-90 {x:.2f} {y - 4:.2f})"
        text = label(shortened(column, _COLUMN_TEXT, TEXT_SIZE), x, y - 4, "", None, transform=turned)
        parts.append(element("g", None, hover(column), text))
    for row, line in zip(rows, dots):
        names = wrapped(row, gutter, TEXT_SIZE, most=2)
        height = max(_CELL, TEXT_SIZE * 1.25 * len(names) + 4)
        parts.append(element("path", {"class": "cvp-grid", "d": path([(EDGE, y), (width - EDGE, y)])}))
        parts.append(_name(row, names, EDGE + gutter, y + height / 2))
        for index, dot in enumerate(line):
            where = left + (index + 0.5) * cell, y + height / 2
            parts.append(_dot(dot, f"{row}, {columns[index]}", *where))
        y += height
    told = f"Grid: {len(rows)} rows ({', '.join(rows)}) by {len(columns)} columns ({', '.join(columns)})."
    return picture(width, y + EDGE, title, description or told, parts, wide=width > WIDTH)


def _name(row: str, names: Sequence[str], x: float, middle: float) -> Markup:
    first = middle + TEXT_SIZE * 0.36 - (len(names) - 1) * TEXT_SIZE * 0.6
    texts = [label(name, x, first + index * TEXT_SIZE * 1.2, "", "end") for index, name in enumerate(names)]
    return element("g", None, hover(row), *texts)


def _dot(dot: Dot, where: str, x: float, y: float) -> Markup:
    shape, style = _LOOKS[dot.verdict]
    text = f"{where}: {dot.verdict.value}" + (f"; {dot.detail}" if dot.detail else "")
    corner: dict[str, Attribute] = {"x": x - _CELL / 2, "y": y - _CELL / 2}
    area = element("rect", {"class": "cvp-hit", **corner, "width": _CELL, "height": _CELL})
    return element("g", None, hover(text), area, marker(shape, x, y, 6, style))


def _sample(verdict: Verdict) -> Sample:
    shape, style = _LOOKS[verdict]
    return lambda x, y: [marker(shape, x + 7, y, 6, style)]


# --- The pictures that reports use; each function takes plain values and returns an SVG text.
