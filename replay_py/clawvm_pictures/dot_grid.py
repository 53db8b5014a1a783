"""Dot grids: which statements (rows) hold under which settings (columns).

===========  ======================================================================
Verdict      holds, fails, partly, or nothing to say
Dot          a verdict with the detail that stands on hover
dot_grid     the chart as SVG
===========  ======================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from clawvm_pictures.chart_frame import EDGE, TEXT_SIZE, WIDTH, Frame, LegendEntry, Sample
from clawvm_pictures.lettering import shortened, text_width, wrapped
from clawvm_pictures.markers import marker
from clawvm_pictures.svg import Attribute, Markup, element, hover, label, path, picture

__all__ = ["Dot", "Verdict", "dot_grid"]

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
