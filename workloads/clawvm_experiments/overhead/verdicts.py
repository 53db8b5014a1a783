"""The published overhead, and whether what was measured here stays within it.

===============  ====================================================================================
PUBLISHED        the published figures: microseconds per turn, kilobytes of memory
SUBJECTS         what of ours is set beside them
verdicts         one per subject and figure
findings         the same as flat numbers by name, for claims
===============  ====================================================================================

Source: paper, overhead of the policy engine. The publication does not say which machine its microseconds belong to, nor
whether "the policy engine" is selection alone or all that happens in a turn: both readings are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["FIGURES", "PUBLISHED", "SUBJECTS", "Figure", "Subject", "findings", "verdicts"]

Document = dict[str, Any]

PUBLISHED: Mapping[str, float] = MappingProxyType(
    {
        "median_us_low": 18.0,
        "median_us_high": 44.0,
        "p95_us_below": 60.0,
        "worst_us": 114.0,
        "peak_kb_below": 83.0,
    }
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure: the field of a row that is compared, the limit, whether the limit itself still meets it."""

    field: str
    name: str
    published: str
    limit: float
    inclusive: bool

    def met_by(self, value: float) -> bool:
        """Return whether *value* is within the limit; faster than the lowest published median is within it too."""
        return value <= self.limit if self.inclusive else value < self.limit


FIGURES = (
    Figure("median_us", "median, us", "18 to 44", PUBLISHED["median_us_high"], inclusive=True),
    Figure("p95_us", "p95, us", "below 60", PUBLISHED["p95_us_below"], inclusive=False),
    Figure("worst_us", "worst, us", "114", PUBLISHED["worst_us"], inclusive=True),
    Figure("costliest_us", "worst without interruptions, us", "114", PUBLISHED["worst_us"], inclusive=True),
    Figure("peak_kb", "peak memory, KB", "below 83", PUBLISHED["peak_kb_below"], inclusive=False),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What of ours is set beside the published figures: the rows of one section for which ``includes`` holds."""

    id: str
    name: str
    section: str
    includes: Callable[[Document, Mapping[str, Any]], bool]

    def rows(self, document: Document) -> list[Mapping[str, Any]]:
        """Return the rows of this subject."""
        return [row for row in document[self.section] if self.includes(document, row)]


def _part(name: str) -> Callable[[Document, Mapping[str, Any]], bool]:
    return lambda document, row: bool(row["part"] == name)


def _small_table(name: str) -> Callable[[Document, Mapping[str, Any]], bool]:
    return lambda document, row: bool(row["part"] == name and row["budget"] == document["configuration"]["budget"])


SUBJECTS = (
    Subject("family_selection", "selection alone, four families", "families", _part("select")),
    Subject("family_turn", "whole turn, four families", "families", _part("turn")),
    Subject("table_selection", "selection alone, tables", "timings", _small_table("select")),
    Subject("table_turn", "whole turn, tables", "timings", _small_table("turn")),
)


def verdicts(document: Document) -> list[dict[str, Any]]:
    """Return, for every subject and figure, the lowest and highest measured row and whether the highest meets it."""
    found = []
    for subject in SUBJECTS:
        for figure in FIGURES:
            values = [row[figure.field] for row in subject.rows(document) if row[figure.field] is not None]
            if values:
                found.append(
                    {
                        "subject": subject.id,
                        "figure": figure.field,
                        "published": figure.published,
                        "lowest": min(values),
                        "highest": max(values),
                        "met": figure.met_by(max(values)),
                    }
                )
    return found


def findings(document: Document) -> dict[str, float | bool]:
    """Return the numbers that claims refer to, by name."""
    found: dict[str, float | bool] = {"reference_us": document["reference"]["median_us"]}
    for verdict in document["verdicts"]:
        name = f"{verdict['subject']}_{verdict['figure']}"
        found[name] = verdict["highest"]
        found[f"{name}_met"] = verdict["met"]
    for subject in SUBJECTS:
        found[f"{subject.id}_ratio"] = max(row["ratio_to_reference"] for row in subject.rows(document))
    return found
