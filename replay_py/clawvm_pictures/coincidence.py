"""Where series of a line chart coincide: which points are one for the eye, and which lines run on top of each other.

=============  =====================================================================
PlacedPoint    a point of a series, its position, and the series that share it
placed         the points of all series
Piece          a part of a line along which the same series run together
pieces         the line of one series in pieces
=============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

__all__ = ["Piece", "PlacedPoint", "Points", "pieces", "placed"]

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
