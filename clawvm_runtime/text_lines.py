"""The lines of a text that are looked at, and what tells their worth in any form shorter than full.

=================  =====================================================================
COMPRESSED_MOST    no compressed text is meant to be longer, and no line counts for more
ITEM_LENGTH        how much of a line one item of a field may hold
LONG_LINE          how much of a line is searched for telling words
Lines              the lines that are looked at, and where others lie unseen
clipped            lines cut to a length
is_section         whether a line is a section header of a table
key_points         numbers of the lines that have a word of obligation, decision or result
left_out           the mark that stands for lines left out
lines_of           the lines of a text, of a huge one those of its head and its tail
lines_with         numbers of the lines that have one of some words
matching           numbers of the lines that a pattern matches
summaries          numbers of the lines of a log that sum it up
=================  =====================================================================

A text above ``ANALYSED_CHARACTERS`` is looked at in its head and its tail only, so no text costs more time
than one of that length does. Sizes are in characters: no module of representations knows a token counter.
Numbers of lines count from 0 and rise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

__all__ = [
    "COMPRESSED_MOST",
    "ITEM_LENGTH",
    "LONG_LINE",
    "Lines",
    "clipped",
    "is_section",
    "key_points",
    "left_out",
    "lines_of",
    "lines_with",
    "matching",
    "summaries",
]

ANALYSED_HEAD = 300_000
ANALYSED_TAIL = 200_000
ANALYSED_CHARACTERS = ANALYSED_HEAD + ANALYSED_TAIL
COMPRESSED_MOST = 60_000  # Beyond it a page can no longer be called small.
LONG_LINE = 400
ITEM_LENGTH = 200


_Judgement = TypeVar("_Judgement")


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text that are looked at; *missing* lines lie unseen before the one at *hole*."""

    kept: list[str]
    hole: int
    missing: int
    _judgements: dict[Callable[[Sequence[str]], Any], Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def total(self) -> int:
        return len(self.kept) + self.missing

    def judged(self, judge: Callable[[Sequence[str]], _Judgement]) -> _Judgement:
        """Return what *judge* says of the lines kept; it is asked once, whatever number of levels needs the answer."""
        if judge not in self._judgements:
            self._judgements[judge] = judge(self.kept)
        answer: _Judgement = self._judgements[judge]
        return answer


def lines_of(text: str) -> Lines:
    """Return the lines of *text* that are looked at, without their line ends."""
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(text) <= ANALYSED_CHARACTERS:
        return Lines([line.rstrip("\r") for line in lines] if "\r" in text else lines, 0, 0)
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


def clipped(lines: Sequence[str], most: int) -> Sequence[str]:
    """Return the first *most* characters of each line."""
    return [line[:most] for line in lines] if max(map(len, lines), default=0) > most else lines


def matching(pattern: re.Pattern[str], lines: Iterable[str]) -> list[int]:
    """Return the numbers of the lines that *pattern* matches at their beginning."""
    return [number for number, found in enumerate(map(pattern.match, lines)) if found]


def lines_with(text: str, words: Iterable[str]) -> list[int]:
    """Return the numbers of the lines of *text* that have one of *words*.

    Searches for one word after the other, which is much faster than a pattern for all of them.
    """
    numbers: set[int] = set()
    for word in words:
        start = number = 0
        found = text.find(word)
        while found >= 0:
            number += text.count("\n", start, found)
            numbers.add(number)
            # The next line is the next place of interest.
            start = text.find("\n", found)
            found = text.find(word, start) if start >= 0 else -1
    return sorted(numbers)


def key_points(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that have a word of obligation, decision or result."""
    return lines_with("\n".join(clipped(lines, LONG_LINE)).lower(), _KEY_POINT_WORDS)


def summaries(lines: Sequence[str]) -> list[int]:
    """Return the numbers of the lines of a log that sum up what was run."""
    lines = clipped(lines, ITEM_LENGTH)
    return [number for number in lines_with("\n".join(lines), _SUMMARY_WORDS) if _SUMMARY.search(lines[number])]


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
# No summary is without one of these.
_SUMMARY_WORDS = (
    *("=== ", "Ran ", "test result: ", "Test", " passing", " failing", " pending", " passed", " failed"),
    *("Found ", " problem"),
)
_SECTION = re.compile(r"\s*\[\[?[^\[\]]+\]\]?\s*$")
