"""Histograms: how many values fall into each bin, with marks such as the median and the worst.

===========  ==========================================================
Bin          how many values lie from a low to a high end
Mark         a named value, drawn as a vertical line
histogram    the chart as SVG
===========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawvm_pictures.axes import Scale, linear_scale, point_scale
from clawvm_pictures.chart_frame import EDGE, TEXT_SIZE, WIDTH, Frame, centred, finite, x_axis
from clawvm_pictures.lanes import lanes
from clawvm_pictures.lettering import shortened, text_width, value_text
from clawvm_pictures.style import SERIES_COLOURS
from clawvm_pictures.svg import Attribute, Markup, element, hover, label, path, picture

__all__ = ["Bin", "Mark", "histogram"]

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
