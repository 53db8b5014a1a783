"""The signs of a residency map: heights of levels, shapes of faults, lines of boundaries, and their legend.

================  ============================================================
LEVEL_HEIGHTS     the height of each level as a share of a cell
fault_look        shape and classes of a fault's mark
boundary_style    the class of a boundary's line
legend_entries    the legend of what occurs in a session
================  ============================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clawvm_pictures.chart_frame import LegendEntry, Sample
from clawvm_pictures.markers import marker
from clawvm_pictures.session_record import GONE, FaultMark, SessionRecord
from clawvm_pictures.svg import Attribute, Markup, element, path
from clawvm_runtime.vocabulary import Boundary, FaultKind, Level

__all__ = ["LEVEL_HEIGHTS", "boundary_style", "fault_look", "legend_entries"]

LEVEL_HEIGHTS: Mapping[str, float] = {level.label: level / Level.FULL for level in Level}

_FAULT_SHAPES: Mapping[str, str] = {
    FaultKind.REFETCH.value: "cross",
    FaultKind.DUPLICATE_TOOL.value: "hourglass",
    FaultKind.PINNED_INVARIANT_MISS.value: "diamond",
    FaultKind.POST_COMPACTION_BOOTSTRAP.value: "triangle",
    FaultKind.SILENT_RECALL.value: "plus",
    FaultKind.FLUSH_MISS.value: "square",
}


def fault_look(kind: str, controllable: bool) -> tuple[str, str]:
    """Return the shape and the classes of a fault's mark; what pressure caused is hollow."""
    return _FAULT_SHAPES[kind], "cvp-fault" if controllable else "cvp-fault cvp-hollow"


def boundary_style(boundary: str) -> str:
    """Return the class of a boundary's line."""
    return f"cvp-{Boundary(boundary).value}"


def legend_entries(record: SessionRecord, faults: Iterable[FaultMark]) -> list[LegendEntry]:
    """Return the levels, and whatever else occurs in the session."""
    entries = [LegendEntry(level, _level_sample(level), 14) for level in LEVEL_HEIGHTS]
    if any(run.level == GONE for row in record.rows.values() for run in row.runs):
        entries.append(LegendEntry("gone since a reset", _gone_sample, 14))
    if record.page_ins:
        entries.append(LegendEntry("page-in", _page_in_sample, 14))
    looks = {fault_look(fault.kind, fault.controllable): fault for fault in faults}
    for kind in _FAULT_SHAPES:
        for controllable in (True, False):
            look = fault_look(kind, controllable)
            if look in looks:
                text = kind.replace("_", " ") + ("" if controllable else " (pressure)")
                entries.append(LegendEntry(text, _mark_sample(*look, 5.5), 14))
    for boundary in sorted({mark.boundary for mark in record.boundaries}):
        entries.append(LegendEntry(boundary, _line_sample(boundary_style(boundary)), 10))
    return entries


def _level_sample(level: str) -> Sample:
    height = LEVEL_HEIGHTS[level] * 14
    number = list(LEVEL_HEIGHTS).index(level)

    def draw(x: float, y: float) -> list[Markup]:
        base = element("path", {"class": "cvp-base", "d": path([(x, y + 7.5), (x + 14, y + 7.5)])})
        if not number:
            return [base]
        place: dict[str, Attribute] = {"x": x, "y": y + 7 - height, "width": 14, "height": height}
        return [base, element("rect", {"class": f"cvp-fill-level-{number}", **place})]

    return draw


def _gone_sample(x: float, y: float) -> list[Markup]:
    return [element("path", {"class": "cvp-gone", "d": path([(x, y), (x + 14, y)])})]


def _page_in_sample(x: float, y: float) -> list[Markup]:
    # On a cell, as in the map: on paper the dot, which has the paper's colour, would look like a ring.
    return [*_level_sample(Level.FULL.label)(x, y), marker("circle", x + 7, y, 2.8, "cvp-pagein")]


def _mark_sample(shape: str, style: str, radius: float) -> Sample:
    return lambda x, y: [marker(shape, x + 6, y, radius, style)]


def _line_sample(style: str) -> Sample:
    return lambda x, y: [element("path", {"class": style, "d": path([(x + 5, y - 8), (x + 5, y + 8)])})]
