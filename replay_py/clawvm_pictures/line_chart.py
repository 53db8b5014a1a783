"""Line charts: series over budgets or turns, with an optional band between two bounds.

===========  ==========================================================
Series       a named list of points
Band         a named list of (x, low, high)
line_chart   the chart as SVG
===========  ==========================================================

Where series coincide, none hides another: their common line is striped in all their colours, and their markers stand
side by side around the common point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

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
    logarithmic_scale,
    point_scale,
    x_axis,
)
from clawvm_pictures.svg import Attribute, Markup, element, hover, label, marker, path, picture, text_width, value_text

__all__ = ["Band", "Series", "line_chart"]


# --- Where series of a line chart coincide: which points are one for the eye, and which lines run on top of each other.

Points = Sequence[tuple[float, float | None]]

# In units: lines that are closer than the first are one for the eye, markers that are closer than the second hide each
# other.
_SAME_LINE = 1.5
_SAME_MARKER = 4.0


@dataclass(frozen=True, slots=True)
class PlacedPoint:
    """A point at its position.

    ``shared`` are the numbers of the series whose line passes there too, ``beside`` of those whose marker would hide
    its own; both hold its own series.
    """

    x: float
    y: float
    place: tuple[float, float]
    shared: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line along which the series ``together`` run on top of each other."""

    together: tuple[int, ...]
    places: list[tuple[float, float]]


def placed(
    series: Sequence[Points], x_place: Callable[[float], float], y_place: Callable[[float], float]
) -> list[list[PlacedPoint | None]]:
    """Return each series' points at their positions, None for a gap, O(n log n) in the number of points."""
    rows: list[list[PlacedPoint | None]] = []
    at_x: dict[float, list[tuple[float, int]]] = {}
    for number, points in enumerate(series):
        row: list[PlacedPoint | None] = []
        for x, y in points:
            if y is None:
                row.append(None)
            else:
                row.append(PlacedPoint(x, y, (x_place(x), y_place(y))))
                at_x.setdefault(x, []).append((y_place(y), number))
        rows.append(row)
    shared = {x: _groups(members, _SAME_LINE) for x, members in at_x.items()}
    beside = {x: _groups(members, _SAME_MARKER) for x, members in at_x.items()}
    return [
        [point and replace(point, shared=shared[point.x][number], beside=beside[point.x][number]) for point in row]
        for number, row in enumerate(rows)
    ]


def _groups(members: list[tuple[float, int]], touching: float) -> dict[int, tuple[int, ...]]:
    """Return, for each series with a point at one x, the series that stand as close as *touching* to it."""
    groups: list[list[int]] = []
    begin = 0.0
    for place, number in sorted(members):
        if not groups or place - begin > touching:
            groups.append([])
            begin = place
        groups[-1].append(number)
    return {number: tuple(sorted(set(group))) for group in groups for number in group}


def pieces(row: Sequence[PlacedPoint | None]) -> list[Piece]:
    """Return the line through a series' points in pieces, each as long as the company stays the same."""
    found: list[Piece] = []
    for before, after in zip(row, row[1:]):
        if before is None or after is None:
            continue
        together = tuple(sorted(set(before.shared) & set(after.shared)))
        if found and found[-1].together == together and found[-1].places[-1] == before.place:
            found[-1].places.append(after.place)
        else:
            found.append(Piece(together, [before.place, after.place]))
    return found


# --- Line charts: series over budgets or turns, with an optional band between two bounds.

_PLOT_HEIGHT = 230.0
_STRIPE = 7.0  # Length of one colour on a common line.
_BESIDE = 9.0  # Distance of markers around a common point.


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
    description: str = "",
    logarithmic: bool = False,
) -> str:
    """Return a line chart as SVG; every value stands on hover at its point.

    The labels name the units. The y axis begins at 0; *logarithmic* makes it grow with log(1 + value), which shows
    small beside large values and still has a place for 0, and adds that to its label. Raises ValueError for a value
    that is not finite. O(n log n) in the number of points.
    """
    if logarithmic:
        y_label += "; axis: log(1 + value)"
    return _LineChart(title, x_label, y_label, series, band, description, logarithmic).svg()


class _LineChart:
    def __init__(
        self,
        title: str,
        x_label: str,
        y_label: str,
        series: Sequence[Series],
        band: Band | None,
        description: str,
        logarithmic: bool,
    ) -> None:
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.series = [Series(one.name, sorted(_checked(one), key=lambda point: point[0]), one.style) for one in series]
        self.band = None if band is None else Band(band.name, sorted(_checked_band(band)))
        self.styles = [
            SeriesStyle.numbered(index if one.style is None else one.style) for index, one in enumerate(self.series)
        ]
        self.description = description
        frame = Frame(WIDTH, title)
        frame.legend(self._legend())
        frame.paragraph(y_label)
        self.frame = frame
        self.top = frame.y + TEXT_SIZE * 0.9
        self.bottom = self.top + _PLOT_HEIGHT
        xs = [x for one in self.series for x, _ in one.points]
        ys = [y for one in self.series for _, y in one.points if y is not None]
        if self.band is not None:
            xs += [x for x, _, _ in self.band.points]
            ys += [y for _, low, high in self.band.points for y in (low, high)]
        scale = logarithmic_scale if logarithmic else linear_scale
        self.y_scale = scale(ys, self.bottom, self.top)
        left = EDGE + max(text_width(value_text(tick), TEXT_SIZE) for tick in self.y_scale.ticks) + 8
        self.left = min(left, WIDTH / 3)
        self.right = WIDTH - EDGE - max((text_width(value_text(x), TEXT_SIZE) for x in xs[-1:]), default=0) / 2
        # Markers side by side need room also at both ends.
        inset = 8 + min(_BESIDE * (len(series) - 1) / 2, 24.0)
        self.x_scale = point_scale(xs, self.left + inset, self.right - inset)
        rows = [one.points for one in self.series]
        self.places = placed(rows, self.x_scale.position, self.y_scale.position)

    def svg(self) -> str:
        parts = [*self.frame.parts, *_grid(self.y_scale, self.left, self.right)]
        if self.band is not None:
            parts.extend(self._band(self.band))
        for index, row in enumerate(self.places):
            parts.extend(self._lines(index, row))
        for index, row in enumerate(self.places):
            parts.extend(self._markers(index, row))
        lines = centred(self.x_label, (self.left + self.right) / 2, self.bottom + TEXT_SIZE * 2.9, WIDTH)
        parts.extend([*x_axis(self.x_scale, self.left, self.right, self.bottom), *lines])
        height = self.bottom + TEXT_SIZE * (2.1 + 1.3 * len(lines)) + EDGE / 2
        return picture(WIDTH, height, self.title, self.description or self._described(), parts)

    def _described(self) -> str:
        names = ", ".join(one.name for one in self.series) or "no series"
        return f"Line chart: {self.y_label} against {self.x_label}, for {names}."

    def _legend(self) -> list[LegendEntry]:
        entries = [LegendEntry(one.name, _sample(style)) for one, style in zip(self.series, self.styles)]
        if self.band is not None:
            entries.append(LegendEntry(self.band.name, _band_sample))
        return entries

    def _band(self, band: Band) -> list[Markup]:
        x, y = self.x_scale.position, self.y_scale.position
        lower = [(x(at), y(low)) for at, low, _ in band.points]
        upper = [(x(at), y(high)) for at, _, high in band.points]
        parts = [
            element("path", {"class": "cvp-band", "d": path([*lower, *reversed(upper)], closed=True)}),
            element("path", {"class": "cvp-edge", "d": path(lower)}),
            element("path", {"class": "cvp-edge", "d": path(upper)}),
        ]
        for (at, low, high), (px, bottom), (_, top) in zip(band.points, lower, upper):
            text = f"{band.name}: {value_text(low)} to {value_text(high)} at {value_text(at)}"
            place: dict[str, Attribute] = {"class": "cvp-hit", "x": px - 5, "y": top, "width": 10}
            parts.append(element("rect", {**place, "height": max(bottom - top, 1.0)}, hover(text)))
        return parts

    def _lines(self, index: int, row: Sequence[PlacedPoint | None]) -> list[Markup]:
        """Return the series' line, piece by piece: alone in its own dash, together in stripes."""
        style = self.styles[index]
        parts = []
        for piece in pieces(row):
            attributes: dict[str, Attribute] = {
                "class": f"cvp-line cvp-stroke-{style.colour}",
                "d": path(piece.places),
                "stroke-dasharray": style.dash or None,
            }
            if len(piece.together) > 1:
                attributes["stroke-dasharray"] = f"{_STRIPE:g} {_STRIPE * (len(piece.together) - 1):g}"
                attributes["stroke-dashoffset"] = -_STRIPE * piece.together.index(index)
            parts.append(element("path", attributes))
        return parts

    def _markers(self, index: int, row: Sequence[PlacedPoint | None]) -> list[Markup]:
        style, name = self.styles[index], self.series[index].name
        xs = [point.place[0] for point in row if point is not None]
        room = min((after - before for before, after in zip(xs, xs[1:]) if after > before), default=60.0)
        parts = []
        for point in row:
            if point is None:
                continue
            count = len(point.beside)
            # Side by side, but never as far as the neighbours of the next point.
            step = min(_BESIDE, 0.8 * room / count)
            radius = min(4.6, room * 0.35, step * 0.62 if count > 1 else 4.6)
            aside = (point.beside.index(index) - (count - 1) / 2) * step
            text = f"{name}: {value_text(point.y)} at {value_text(point.x)}"
            # Markers that crowd would hide their own line; then only the hover text stays.
            shape, fill = (style.shape, f"cvp-halo cvp-fill-{style.colour}") if radius > 2.5 else ("bar", "cvp-hit")
            parts.append(marker(shape, point.place[0] + aside, point.place[1], max(radius, 2.0), fill, text))
        return parts


def _checked(series: Series) -> list[tuple[float, float | None]]:
    return [
        (finite(x, series.name), None if y is None else finite(y, f"{series.name} at {x}")) for x, y in series.points
    ]


def _checked_band(band: Band) -> list[tuple[float, float, float]]:
    return [(finite(x, band.name), finite(low, band.name), finite(high, band.name)) for x, low, high in band.points]


def _grid(scale: Scale, left: float, right: float) -> list[Markup]:
    parts = []
    for tick, text in scale.labelled(TEXT_SIZE, stacked=True):
        y = scale.position(tick)
        style = "cvp-axis" if tick == 0 else "cvp-grid"
        parts.append(element("path", {"class": style, "d": path([(left, y), (right, y)])}))
        parts.append(label(text, left - 6, y + TEXT_SIZE * 0.36, "cvp-quiet", "end"))
    return parts


def _sample(style: SeriesStyle) -> Sample:
    def draw(x: float, y: float) -> list[Markup]:
        line: dict[str, Attribute] = {
            "class": f"cvp-line cvp-stroke-{style.colour}",
            "d": path([(x, y), (x + 30, y)]),
            "stroke-dasharray": style.dash or None,
        }
        return [
            element("path", line),
            marker(style.shape, x + 15, y, 4.6, f"cvp-halo cvp-fill-{style.colour}"),
        ]

    return draw


def _band_sample(x: float, y: float) -> list[Markup]:
    area = [(x, y - 6), (x + 30, y - 6), (x + 30, y + 6), (x, y + 6)]
    return [
        element("path", {"class": "cvp-band", "d": path(area, closed=True)}),
        element("path", {"class": "cvp-edge", "d": path(area[:2])}),
        element("path", {"class": "cvp-edge", "d": path(area[2:])}),
    ]
