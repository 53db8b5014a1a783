"""Line charts: series over budgets or turns, with an optional band between two bounds.

Where series coincide, none hides another: their common line is striped in all their colours, and their markers are
side by side around the common point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    logarithmic_scale,
    point_scale,
    tick_gutter,
    x_axis,
    y_axis,
)
from clawvm_pictures.svg import Attribute, Markup, element, hover, marker, path, rect, stroke, text_width, value_text

__all__ = ["Band", "Series", "line_chart"]

_PLOT_HEIGHT = 230.0
_SAME_LINE = 1.5  # Lines that are closer are one for the eye.
_SAME_MARKER = 4.0  # Markers that are closer hide each other.
_STRIPE = 7.0  # Length of one colour on a common line.
_STEP = 9.0  # Distance of markers around a common point.
_RADIUS = 4.6


@dataclass(frozen=True, slots=True)
class Series:
    """A named list of (x, y); a y of None is a gap.

    ``style`` is the number of colour, marker and dash, so that a policy looks the same in every chart; None: the place
    in the list.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    style: int | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A named area between a lower and an upper value, as a list of (x, low, high)."""

    name: str
    points: Sequence[tuple[float, float, float]]


def line_chart(
    *,
    title: str,
    x_label: str,
    y_label: str,
    series: Sequence[Series],
    band: Band | None = None,
    logarithmic: bool = False,
) -> str:
    """Return a line chart as SVG; every value is shown on hover at its point.

    The labels name the units. The y axis begins at 0; *logarithmic* makes it grow with log(1 + value), for values of 0
    or more, which shows small next to large values, and adds that to its label. Raises ValueError for a value that is
    not finite. O(n log n) in the number of points.
    """
    if logarithmic:
        y_label += "; axis: log(1 + value)"
    series = [Series(one.name, sorted(one.points, key=lambda point: point[0]), one.style) for one in series]
    styles = [SeriesStyle.numbered(n if one.style is None else one.style) for n, one in enumerate(series)]
    edges = [] if band is None else sorted(band.points)
    xs = [finite(x, one.name) for one in series for x, _ in one.points] + [at for at, _, _ in edges]
    ys = [finite(y, f"{one.name} at {x}") for one in series for x, y in one.points if y is not None]
    ys += [finite(value, "band") for _, *values in edges for value in values]

    frame = ChartFrame(WIDTH, title)
    entries = [LegendEntry(one.name, _sample(style), 30.0) for one, style in zip(series, styles)]
    frame.legend([*entries, *([] if band is None else [LegendEntry(band.name, _band_sample, 30.0)])])
    frame.paragraph(y_label)
    top = frame.y + TEXT_SIZE * 0.9
    bottom = top + _PLOT_HEIGHT
    y_scale = (logarithmic_scale if logarithmic else linear_scale)(ys, bottom, top)
    left, right = tick_gutter(y_scale), WIDTH - EDGE - (text_width(value_text(max(xs)), TEXT_SIZE) / 2 if xs else 0)
    # Markers side by side need space also at both ends.
    inset = 8 + min(_STEP * (len(series) - 1) / 2, 24.0)
    x_scale = point_scale(xs, left + inset, right - inset)

    parts = frame.parts
    parts += y_axis(y_scale, left, right)
    if band is not None:
        parts += _band(band.name, edges, x_scale, y_scale)
    rows = _placed(series, x_scale, y_scale)
    for number, (row, style) in enumerate(zip(rows, styles)):
        parts += _line(number, row, style)
    for number, (row, style) in enumerate(zip(rows, styles)):
        parts += _markers(number, series[number].name, [point for point in row if point is not None], style)
    parts += x_axis(x_scale, left, right, bottom)
    names = ", ".join(one.name for one in series) or "no series"
    return frame.finished(f"Line chart: {y_label} against {x_label}, for {names}.", x_label, left, right, bottom)


class _Point(NamedTuple):
    """A point, its position, and the series (its own included) whose lines run through it or whose markers hide it."""

    x: float
    y: float
    place: tuple[float, float]
    through: tuple[int, ...] = ()
    crowd: tuple[int, ...] = ()


def _placed(series: Sequence[Series], x_scale: Scale, y_scale: Scale) -> list[list[_Point | None]]:
    """Return each series' points at their positions, None for a gap."""
    heights: dict[float, list[tuple[float, int]]] = {}
    for number, one in enumerate(series):
        for x, y in one.points:
            if y is not None:
                heights.setdefault(x, []).append((y_scale.position(y), number))
    through = {x: _groups(members, _SAME_LINE) for x, members in heights.items()}
    crowd = {x: _groups(members, _SAME_MARKER) for x, members in heights.items()}
    return [
        [
            None
            if y is None
            else _Point(x, y, (x_scale.position(x), y_scale.position(y)), through[x][number], crowd[x][number])
            for x, y in one.points
        ]
        for number, one in enumerate(series)
    ]


def _groups(members: list[tuple[float, int]], touching: float) -> dict[int, tuple[int, ...]]:
    """Return, for each series with a point at one x, the series whose points there are within *touching*."""
    groups: list[list[int]] = []
    begin = 0.0
    for place, number in sorted(members):
        if not groups or place - begin > touching:
            groups.append([])
            begin = place
        groups[-1].append(number)
    return {number: tuple(sorted(set(group))) for group in groups for number in group}


def _line(number: int, row: Sequence[_Point | None], style: SeriesStyle) -> list[Markup]:
    """Return a series' line in pieces: dashed where it runs alone, striped where it coincides with others."""
    pieces: list[tuple[tuple[int, ...], list[tuple[float, float]]]] = []
    for before, after in zip(row, row[1:]):
        if before is None or after is None:
            continue
        together = tuple(other for other in before.through if other in after.through)
        if pieces and pieces[-1][0] == together and pieces[-1][1][-1] == before.place:
            pieces[-1][1].append(after.place)
        else:
            pieces.append((together, [before.place, after.place]))
    parts = []
    for together, places in pieces:
        attributes = _look(style, places)
        if len(together) > 1:
            attributes["stroke-dasharray"] = f"{_STRIPE:g} {_STRIPE * (len(together) - 1):g}"
            attributes["stroke-dashoffset"] = -_STRIPE * together.index(number)
        parts.append(element("path", attributes))
    return parts


def _look(style: SeriesStyle, places: Sequence[tuple[float, float]]) -> dict[str, Attribute]:
    look = f"cvp-line cvp-stroke-{style.colour}"
    return {"class": look, "d": path(places), "stroke-dasharray": style.dash or None}


def _markers(number: int, name: str, row: Sequence[_Point], style: SeriesStyle) -> list[Markup]:
    xs = [point.place[0] for point in row]
    gap = min((after - before for before, after in zip(xs, xs[1:]) if after > before), default=60.0)
    parts = []
    for point in row:
        count = len(point.crowd)
        # Side by side, but never as far as the neighbours of the next point.
        step = min(_STEP, 0.8 * gap / count)
        radius = min(_RADIUS, gap * 0.35, step * 0.62 if count > 1 else _RADIUS)
        aside = (point.crowd.index(number) - (count - 1) / 2) * step
        text = f"{name}: {value_text(point.y)} at {value_text(point.x)}"
        # Markers that crowd would hide their own line; then only the hover text stays.
        shape, look = (style.shape, f"cvp-halo cvp-fill-{style.colour}") if radius > 2.5 else ("bar", "cvp-hit")
        parts.append(marker(shape, point.place[0] + aside, point.place[1], max(radius, 2.0), look, text))
    return parts


def _band(name: str, edges: Sequence[tuple[float, float, float]], x_scale: Scale, y_scale: Scale) -> list[Markup]:
    lower = [(x_scale.position(at), y_scale.position(low)) for at, low, _ in edges]
    upper = [(x_scale.position(at), y_scale.position(high)) for at, _, high in edges]
    parts = _area(lower, upper)
    for (at, low, high), (x, bottom), (_, top) in zip(edges, lower, upper):
        text = f"{name}: {value_text(low)} to {value_text(high)} at {value_text(at)}"
        parts.append(rect("cvp-hit", x - 5, top, 10, max(bottom - top, 1.0), hover(text)))
    return parts


def _area(lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]]) -> list[Markup]:
    return [
        element("path", {"class": "cvp-band", "d": path([*lower, *reversed(upper)], closed=True)}),
        stroke("cvp-edge", lower),
        stroke("cvp-edge", upper),
    ]


def _sample(style: SeriesStyle) -> Sample:
    return lambda x, y: [
        element("path", _look(style, [(x, y), (x + 30, y)])),
        marker(style.shape, x + 15, y, _RADIUS, f"cvp-halo cvp-fill-{style.colour}"),
    ]


def _band_sample(x: float, y: float) -> list[Markup]:
    return _area([(x, y + 6), (x + 30, y + 6)], [(x, y - 6), (x + 30, y - 6)])
