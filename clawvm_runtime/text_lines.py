"""The lines of a text that are looked at, and what tells their worth in any form shorter than full.

=================  =====================================================================
COMPRESSED_MOST    no compressed text is meant to be longer, and no line counts for more
ITEM_LENGTH        how much of a line one item of a field may hold
LONG_LINE          how much of a line is searched for telling words
Lines              the lines that are looked at, and where others lie unseen
is_section         whether a line is a section header of a table
is_summary         whether a line of a log sums it up
key_points         which lines have a word of obligation, decision or result
left_out           the mark that stands for lines left out
lines_of           the lines of a text, of a huge one those of its head and its tail
=================  =====================================================================

A text above ``ANALYSED_CHARACTERS`` is looked at in its head and its tail only, so no text costs more time
than one of that length does. Sizes are in characters: no module of representations knows a token counter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "COMPRESSED_MOST",
    "ITEM_LENGTH",
    "LONG_LINE",
    "Lines",
    "is_section",
    "is_summary",
    "key_points",
    "left_out",
    "lines_of",
]

ANALYSED_HEAD = 300_000
ANALYSED_TAIL = 200_000
ANALYSED_CHARACTERS = ANALYSED_HEAD + ANALYSED_TAIL
COMPRESSED_MOST = 60_000  # Beyond it a page can no longer be called small.
LONG_LINE = 400
ITEM_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text that are looked at; *missing* lines lie unseen before the one at *hole*."""

    kept: list[str]
    hole: int
    missing: int

    @property
    def total(self) -> int:
        return len(self.kept) + self.missing


def lines_of(text: str) -> Lines:
    """Return the lines of *text* that are looked at, without their line ends."""
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(text) <= ANALYSED_CHARACTERS:
        return Lines([line.rstrip("\r") for line in lines], 0, 0)
    head = _take(lines, ANALYSED_HEAD)
    tail = _take(reversed(lines[len(head) :]), ANALYSED_TAIL)
    tail.reverse()
    return Lines(head + tail, len(head), len(lines) - len(head) - len(tail))


def _take(lines: Iterable[str], most: int) -> list[str]:
    """Return the first lines that have *most* characters together, one at least."""
    taken: list[str] = []
    for line in lines:
        # A line counts for what is kept of it at most: one giant line must not hide all the others.
        most -= min(len(line), COMPRESSED_MOST) + 1
        if most < 0 and taken:
            break
        taken.append(line.rstrip("\r"))
    return taken


def left_out(lines: int) -> str:
    """Return the mark that stands for a number of lines left out."""
    return f"[... {lines} {'line' if lines == 1 else 'lines'} left out ...]"


def key_points(lines: Sequence[str]) -> list[bool]:
    """Return for each line whether it has a word of obligation, decision or result."""
    lowered = [line[:LONG_LINE].lower() for line in lines]
    everything = "\n".join(lowered)
    words = [word for word in _KEY_POINT_WORDS if word in everything]
    return [any(word in line for word in words) for line in lowered]


def is_summary(line: str) -> bool:
    """Return whether a line of a log sums up what was run."""
    return _SUMMARY.search(line[:ITEM_LENGTH]) is not None


def is_section(line: str) -> bool:
    """Return whether a line is a section header such as ``[tool.ruff]``."""
    return _SECTION.match(line) is not None


_KEY_POINT_LIST = (
    "must|never|always|do not|don't|required|forbidden|should|important|decided|decision|conclusion"
    "|root cause|because|therefore|fixed|todo"
)
_KEY_POINT_WORDS = tuple(_KEY_POINT_LIST.split("|"))
_SUMMARY = re.compile(
    r"={3,} .*\b(?:passed|failed|errors?|warnings?|skipped)\b.* ={3,}|\bRan \d+ tests?\b|\btest result: "
    r"|^\s*Tests?(?: Suites)?: .*\d|^\s*\d+ (?:passing|failing|pending|passed|failed)\b|\bFound \d+ errors?\b"
    r"|\d+ problems? \("
)
_SECTION = re.compile(r"\s*\[\[?[^\[\]]+\]\]?\s*$")
