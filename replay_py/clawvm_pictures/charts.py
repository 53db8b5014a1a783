"""The charts of reports: each function takes plain values and returns an SVG text.

They shrink with what contains them, follow the reader's light or dark mode, and need no script and no other file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawvm_pictures.chart_frame import (
    EDGE,
    TEXT_SIZE,
    WIDTH,
    ChartFrame,
    LegendEntry,
    Sample,
    Scale,
    SeriesStyle,
    finite,
    linear_scale,
    point_scale,
    row_name,
    tick_gutter,
    x_axis,
    y_axis,
)
from clawvm_pictures.line_chart import Band, Series, line_chart
from clawvm_pictures.svg import (
    SERIES_COLOURS,
    Markup,
    element,
    hover,
    label,
    lanes,
    marker,
    picture,
    rect,
    shortened,
    stroke,
    text_width,
    value_text,
    wrapped,
)

__all__ = [
    "Band",
    "BarSeries",
    "Bin",
    "Dot",
    "MarkedValue",
    "Series",
    "bar_chart",
    "dot_grid",
    "histogram",
    "line_chart",
]

_BAR = 15.0
_GAP = 9.0
_THINNEST = 1.5  # A value above 0 is seen however small it is next to the others.


@dataclass(frozen=True, slots=True)
class BarSeries:
    """A named list of values of 0 or more, one for each category.

    ``style`` is the number of the colour, so that a policy looks the same in every chart; None: the place in the list.
    """

    name: str
    values: Sequence[float]
    style: int | None = None


def bar_chart(*, title: str, value_label: str, categories: Sequence[str], series: Sequence[BarSeries]) -> str:
    """Return horizontal bars as SVG, the categories from top to bottom, each a stack of the series with its sum.

    *value_label* names the unit. Raises ValueError for a value that is negative or not finite, and for a series whose
    number of values is not that of the categories. O(number of values).
    """
    for one in series:
        if len(one.values) != len(categories) or any(finite(value, one.name) < 0 for value in one.values):
            raise ValueError(f"{one.name}: {one.values!r} is not a value of 0 or more for each category")
    # A chart with one series is not drawn in black.
    numbers = enumerate(series, start=int(len(series) == 1))
    fills = [f"cvp-fill-{SeriesStyle.numbered(n if one.style is None else one.style).colour}" for n, one in numbers]
    frame = ChartFrame(WIDTH, title)
    if len(series) > 1:
        frame.legend([LegendEntry(one.name, _square(fill)) for one, fill in zip(series, fills)])
    gutter = _gutter(categories, WIDTH * 0.42)
    sums = [math.fsum(one.values[row] for one in series) for row in range(len(categories))]
    left = EDGE + gutter + 8
    longest = max((text_width(value_text(value), TEXT_SIZE) for value in sums), default=0.0) + 8
    scale = linear_scale(sums, left, max(WIDTH - EDGE - longest, left + 40))
    y = top = frame.y + 6
    bars: list[Markup] = []
    for row, category in enumerate(categories):
        lines = wrapped(category, gutter, TEXT_SIZE, most=2)
        height = max(_BAR, TEXT_SIZE * 1.25 * len(lines))
        values = [(one.name, one.values[row], fill) for one, fill in zip(series, fills)]
        parts = ", ".join(f"{name} {value_text(value)}" for name, value, _ in values)
        bars.append(row_name(lines, f"{category}: {parts}", EDGE + gutter, y + height / 2))
        bars += _stack(category, values, scale, y + (height - _BAR) / 2)
        y += height + _GAP
    bottom = y - _GAP / 2
    for tick, text in scale.labelled():
        x = scale.position(tick)
        style = "cvp-grid" if tick else "cvp-axis"
        frame.parts.append(stroke(style, [(x, top - 3), (x, bottom)]))
        frame.parts.append(label(text, x, bottom + TEXT_SIZE * 1.2, "cvp-quiet", "middle"))
    frame.parts += bars
    description = f"Bar chart: {value_label}, for {', '.join(categories) or 'no category'}."
    return frame.finished(description, value_label, scale.start, scale.end, bottom)


def _gutter(names: Sequence[str], most: float) -> float:
    return min(most, max((text_width(name, TEXT_SIZE) for name in names), default=0.0))


def _square(fill: str) -> Sample:
    return lambda x, y: [rect(fill, x, y - 6, 14, 12)]


def _stack(category: str, values: Sequence[tuple[str, float, str]], scale: Scale, y: float) -> list[Markup]:
    """Return the stacked bars of one category, and their sum."""
    parts = []
    before = 0.0
    for name, value, fill in values:
        if value:
            begin, end = scale.position(before), scale.position(before + value)
            text = hover(f"{category}, {name}: {value_text(value)}")
            parts.append(rect(fill, begin, y + 1, max(end - begin, _THINNEST), _BAR - 2, text))
            if end - begin > 2 * _THINNEST:
                parts.append(stroke("cvp-seam", [(end, y), (end, y + _BAR)]))
            before += value
    return [*parts, label(value_text(before), scale.position(before) + 5, y + _BAR - 3.5)]


_PLOT_HEIGHT = 190.0


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values lie from ``low`` to ``high``."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class MarkedValue:
    """A named value on the x axis, such as the median."""

    name: str
    value: float


def histogram(*, title: str, x_label: str, y_label: str, bins: Sequence[Bin], marks: Sequence[MarkedValue] = ()) -> str:
    """Return a histogram as SVG: the count above each bar where it fits, and on hover.

    Bins may differ in width; the height is the count, not the density. Raises ValueError for a value that is not
    finite, a negative count, and a bin whose low end is not below its high end. O(number of bins).
    """
    for one in bins:
        if finite(one.low, "bin") >= finite(one.high, "bin") or one.count < 0:
            raise ValueError(f"a bin from {one.low!r} to {one.high!r} with {one.count!r} values cannot be drawn")
    frame = ChartFrame(WIDTH, title)
    frame.paragraph(y_label)
    counts = [one.count for one in bins]
    left = tick_gutter(linear_scale(counts, 1, 0))
    right = WIDTH - EDGE - max((text_width(value_text(one.high), TEXT_SIZE) for one in bins), default=0.0) / 2
    xs = [end for one in bins for end in (one.low, one.high)] + [finite(mark.value, mark.name) for mark in marks]
    x_scale = point_scale(xs, left + 4, right, most=8)
    placed = _placed(marks, x_scale)
    top = frame.y + (max((lane for *_, lane in placed), default=-1) + 1) * TEXT_SIZE * 1.3 + TEXT_SIZE * 1.4
    bottom = top + _PLOT_HEIGHT
    y_scale = linear_scale(counts, bottom, top)
    bars, texts = [], []
    for one in bins:
        begin, end, height = x_scale.position(one.low), x_scale.position(one.high), y_scale.position(one.count)
        shown = value_text(one.count)
        text, width = f"{value_text(one.low)} to {value_text(one.high)}: {shown}", max(end - begin - 1, 0.5)
        bars.append(rect(f"cvp-fill-{SERIES_COLOURS[1]}", begin + 0.5, height, width, bottom - height))
        bars.append(rect("cvp-hit", begin + 0.5, top, width, bottom - top, hover(text)))
        if one.count and text_width(shown, 12) <= end - begin:
            texts.append(label(shown, (begin + end) / 2, height - 4, "cvp-small cvp-clear", "middle"))
    lines, names = [], []
    for mark, text, middle, lane in placed:
        x, y = x_scale.position(mark.value), frame.y + (lane + 1) * TEXT_SIZE * 1.3
        lines.append(stroke("cvp-mark", [(x, y + 3), (x, bottom)], hover(text)))
        names.append(label(text, middle, y, "cvp-strong cvp-clear", "middle"))
    frame.parts += [*y_axis(y_scale, left, right, whole=True), *bars, *lines, *names, *texts]
    frame.parts += x_axis(x_scale, left, right, bottom)
    shown = "".join(f"; {text}" for _, text, _, _ in placed)
    return frame.finished(f"Histogram: {y_label} by {x_label}{shown}.", x_label, left, right, bottom)


def _placed(marks: Sequence[MarkedValue], scale: Scale) -> list[tuple[MarkedValue, str, float, int]]:
    """Return each mark with its text, the middle of the text, and the row in which it meets no other text."""
    texts = [shortened(f"{mark.name} {value_text(mark.value)}", WIDTH - 2 * EDGE, TEXT_SIZE) for mark in marks]
    halves = [text_width(text, TEXT_SIZE, bold=True) / 2 for text in texts]
    middles = [
        max(EDGE + half, min(scale.position(mark.value), WIDTH - EDGE - half)) for mark, half in zip(marks, halves)
    ]
    rows = lanes([(middle - half, middle + half + 6) for middle, half in zip(middles, halves)])
    return list(zip(marks, texts, middles, rows))


_CELL = 24.0
_WIDEST_CELL = 44.0
_COLUMN_TEXT = 170.0

_LOOKS: Mapping[bool | None, tuple[str, str, str]] = {
    True: ("holds", "circle", "cvp-fill-level-2"),
    False: ("fails", "cross", "cvp-fault"),
    None: ("not tried", "bar", "cvp-fill-grid"),
}


@dataclass(frozen=True, slots=True)
class Dot:
    """Whether a statement holds (None: not tried), and the detail that is shown on hover, such as its numbers."""

    holds: bool | None
    detail: str = ""


def dot_grid(
    *, title: str, rows: Sequence[str], columns: Sequence[str], dots: Sequence[Sequence[Dot]], column_label: str
) -> str:
    """Return a grid of dots as SVG, one list of *dots* for each row: which statement holds under which setting.

    It is as wide as its columns need; a wide one has to scroll. Raises ValueError when the dots are not one for each
    row and column. O(rows x columns).
    """
    if len(dots) != len(rows) or any(len(line) != len(columns) for line in dots):
        raise ValueError(f"the dots are not {len(rows)} rows of {len(columns)}")
    gutter = _gutter(rows, WIDTH * 0.5)
    left = EDGE + gutter + 10
    cell = max(_CELL, min(_WIDEST_CELL, (WIDTH - EDGE - left) / max(1, len(columns))))
    width = max(WIDTH, left + cell * len(columns) + EDGE)
    frame = ChartFrame(width, title)
    used = {dot.holds for line in dots for dot in line}
    frame.legend([LegendEntry(_LOOKS[holds][0], _sign_sample(holds)) for holds in _LOOKS if holds in used], WIDTH)
    frame.paragraph(column_label)
    y = frame.y + _gutter(columns, _COLUMN_TEXT) + 12
    parts = frame.parts
    middles = [left + (number + 0.5) * cell for number in range(len(columns))]
    for middle, column in zip(middles, columns):
        x = middle + TEXT_SIZE * 0.36
        turned = f"rotate(-90 {x:.2f} {y - 4:.2f})"
        text = label(shortened(column, _COLUMN_TEXT, TEXT_SIZE), x, y - 4, transform=turned)
        parts.append(element("g", None, hover(column), text))
    for row, line in zip(rows, dots):
        names = wrapped(row, gutter, TEXT_SIZE, most=2)
        height = max(_CELL, TEXT_SIZE * 1.25 * len(names) + 4)
        parts.append(stroke("cvp-grid", [(EDGE, y), (width - EDGE, y)]))
        parts.append(row_name(names, row, EDGE + gutter, y + height / 2))
        for middle, column, dot in zip(middles, columns, line):
            about = f"{row}, {column}: {_LOOKS[dot.holds][0]}" + (f"; {dot.detail}" if dot.detail else "")
            hit = rect("cvp-hit", middle - _CELL / 2, y + height / 2 - _CELL / 2, _CELL, _CELL)
            parts.append(element("g", None, hover(about), hit, _sign(dot.holds, middle, y + height / 2)))
        y += height
    description = f"Grid: {len(rows)} rows ({', '.join(rows)}) by {len(columns)} columns ({', '.join(columns)})."
    return picture(width, y + EDGE, title, description, parts, wide=width > WIDTH)


def _sign(holds: bool | None, x: float, y: float) -> Markup:
    _, shape, style = _LOOKS[holds]
    return marker(shape, x, y, 6, style)


def _sign_sample(holds: bool | None) -> Sample:
    return lambda x, y: [_sign(holds, x + 7, y)]
