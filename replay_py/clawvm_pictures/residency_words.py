"""What a residency map says in words: its title, what it shows, what it leaves out.

===========  ==================================================
map_title    what a map is called unless it is given a title
summary      the turns, and how often what occurs in them
left_out     what is not drawn, one sentence each
words        an identifier as words
===========  ==================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from clawvm_pictures.session_record import Counts, SessionRecord
from clawvm_runtime.policy import POLICIES

__all__ = ["left_out", "map_title", "summary", "words"]


def map_title(record: SessionRecord) -> str:
    """Return the title of a map that was given none, with the policy's name where it is one of ours."""
    of = f"{record.workload}, " if record.workload else ""
    policy = POLICIES[record.policy].name if record.policy in POLICIES else record.policy
    return f"Residency map: {of}policy {policy}, budget {record.budget:,} tokens"


def summary(record: SessionRecord) -> str:
    """Return what the window shows, as one sentence."""
    boundaries = Counter(mark.boundary for mark in record.boundaries)
    told = [
        f"Turns {record.first:,} to {record.last:,} of {record.turns:,}",
        _count(len(record.rows), "page"),
        *_told(record.counts({"", *record.rows})),
        *(_count(number, name) for name, number in sorted(boundaries.items())),
        _count(len(record.pressure), "turn under pressure", "turns under pressure"),
    ]
    return ", ".join(told) + "."


def left_out(record: SessionRecord, shown: Collection[str]) -> list[str]:
    """Return what a map that shows these pages leaves out: turns outside the window, and pages."""
    notes = []
    outside = [
        f"{first:,} to {last:,}" if first < last else f"{first:,}"
        for first, last in ((1, record.first - 1), (record.last + 1, record.turns))
        if first <= last
    ]
    if outside:
        notes.append(f"Not drawn: turns {' and '.join(outside)}, with {', '.join(_told(record.outside))}.")
    hidden = record.rows.keys() - set(shown)
    if hidden:
        told = ", ".join(_told(record.counts(hidden)))
        notes.append(f"Not drawn: {len(hidden):,} of {len(record.rows):,} pages, with {told}.")
    return notes


def _told(counts: Counts) -> list[str]:
    told = [_count(counts.faults, "fault"), _count(counts.page_ins, "page-in")]
    if counts.pressure_faults:
        told.insert(1, _count(counts.pressure_faults, "fault that pressure caused", "faults that pressure caused"))
    return told


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def words(name: str) -> str:
    """Return an identifier as words."""
    return name.replace("_", " ")
