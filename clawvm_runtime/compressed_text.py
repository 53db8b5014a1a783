"""Compressed: about a third of a text, extracted word for word.

============  =========================================================================
compressed    head, tail and the lines that matter for the kind of content, gaps marked
============  =========================================================================

Marks of what is left out: ``[... 132 lines left out ...]`` on a line of its own, ``[... 812 characters left
out ...]`` inside a long line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from clawvm_runtime.content_kinds import ContentKind
from clawvm_runtime.line_kinds import (
    definitions,
    failure_ranks,
    headings,
    is_key_value,
    list_items,
    matched_paths,
    sure_failures,
)
from clawvm_runtime.text_lines import (
    COMPRESSED_MOST,
    LONG_LINE,
    Lines,
    is_section,
    key_points,
    left_out,
    lines_of,
    summaries,
)

__all__ = ["compressed"]

COMPRESSED_SHARE = 3  # A compressed text aims at one third of the text and at no more than COMPRESSED_MOST.
COMPRESSED_FROM = 240  # A shorter text has nothing to leave out that is worth a marker.
HEAD_PERCENT = 30
TAIL_PERCENT = 20
MARKER_LENGTH = 32  # Of "[... 132 lines left out ...]" with its line end and a little room


def compressed(text: str, kind: ContentKind, lines: Lines | None = None) -> str:
    """Return about a third of *text*: head, tail and the lines that matter for its kind, every gap marked.

    A text that is too short to gain by it is returned as it is. *lines* are those of the text, if they are at
    hand. Takes O(n + m log m) time for m lines looked at.
    """
    if len(text) < COMPRESSED_FROM:
        return text
    target = min(len(text) // COMPRESSED_SHARE, COMPRESSED_MOST)
    lines = lines_of(text) if lines is None else lines
    longest = min(target, max(LONG_LINE, target // lines.total))
    chosen = _choose(lines.kept, _WEIGHTS[kind](lines), longest, target)
    return "\n".join(_with_gaps(lines, chosen, longest))


def _choose(lines: Sequence[str], weights: Sequence[int], longest: int, target: int) -> bytearray:
    """Return a flag for each line: head and tail first, then by weight, then more of the head."""
    most = longest + MARKER_LENGTH
    lengths = list(map(len, lines))
    if max(lengths) > most:
        lengths = [min(length, most) for length in lengths]
    chosen = bytearray(len(lines))
    left = target + MARKER_LENGTH + 1  # Room for one line of *target* characters with a marker inside.
    left -= _extend(chosen, lengths, range(len(lines)), target * HEAD_PERCENT // 100)
    left -= _extend(chosen, lengths, range(len(lines) - 1, -1, -1), target * TAIL_PERCENT // 100)
    seen: set[str] = set()
    weighed = [index for index, weight in enumerate(weights) if weight]
    for index in sorted(weighed, key=weights.__getitem__, reverse=True):
        if chosen[index]:
            continue
        cost = lengths[index] + (1 if index and chosen[index - 1] else 1 + MARKER_LENGTH)
        if cost <= left and lines[index] not in seen:
            chosen[index] = 1
            left -= cost
            seen.add(lines[index])
    _extend(chosen, lengths, range(len(lines)), left)
    return chosen


def _extend(chosen: bytearray, lengths: Sequence[int], order: Iterable[int], room: int) -> int:
    """Choose lines in *order* until one does not fit; return the characters used."""
    used = 0
    for index in order:
        if chosen[index]:
            continue
        cost = lengths[index] + 1
        if used + cost > room:
            break
        chosen[index] = 1
        used += cost
    return used


def _with_gaps(lines: Lines, chosen: bytearray, longest: int) -> list[str]:
    """Return the lines chosen, and what stands for each run of the others."""
    kept: list[str] = []
    index = 0
    while index < len(chosen):
        start = chosen.find(1, index)
        start = len(chosen) if start < 0 else start
        unseen = lines.missing if index <= lines.hole <= start else 0
        if start > index or unseen:
            kept += _gap(lines.kept[index:start], unseen)
        index = chosen.find(0, start)
        index = len(chosen) if index < 0 else index
        if lines.missing and start < lines.hole < index:
            index = lines.hole
        kept += [_clip(line, longest) for line in lines.kept[start:index]]
    return kept


def _gap(gap: Sequence[str], unseen: int) -> Iterable[str]:
    """Return the mark for a gap, or its lines themselves where the mark would be longer."""
    if not unseen and len(gap) <= MARKER_LENGTH and sum(map(len, gap)) + len(gap) <= MARKER_LENGTH:
        return gap
    return [left_out(len(gap) + unseen)]


def _clip(line: str, most: int) -> str:
    """Return *line*, its middle left out if it is longer than *most* characters."""
    if len(line) <= most + MARKER_LENGTH:
        return line
    head, tail = most * 2 // 3, most // 3
    cut = len(line) - head - tail
    return f"{line[:head]} [... {cut} characters left out ...] {line[len(line) - tail :]}"


# What matters in a line, by kind of content: 3 most, 0 nothing.


def _prose_weights(lines: Lines) -> list[int]:
    kept = lines.kept
    blank = [not line or line.isspace() for line in kept]
    weights = [int(before and not this) for before, this in zip([True, *blank], blank)]
    for weight, judge in ((1, list_items), (2, sure_failures), (2, key_points), (3, headings)):
        for index in lines.judged(judge):
            weights[index] = weight
    return weights


def _code_weights(lines: Lines) -> list[int]:
    weights = [0] * (len(lines.kept) + 1)
    for index in lines.judged(definitions):
        weights[index] = 2 if lines.kept[index][:1].isspace() else 3
        # The line after a definition says what it is for, or goes on with its parameters.
        weights[index + 1] = 1
    return weights[:-1]


def _json_weights(lines: Lines) -> list[int]:
    # The least indented lines of pretty-printed JSON are its outline.
    return [max(0, 3 - (len(line) - len(line.lstrip())) // 2) if line.strip() else 0 for line in lines.kept]


def _log_weights(lines: Lines) -> list[int]:
    weights = [_FAILURE_WEIGHT[rank] for rank in lines.judged(failure_ranks)]
    sums = lines.judged(summaries)
    # Two lines on either side of a failure matter, and two behind a summary.
    around = [range(index - 2, index + 3) for index, weight in enumerate(weights) if weight == 3]
    around += [range(index + 1, index + 3) for index in sums]
    for places in around:
        for index in places:
            if 0 <= index < len(weights) and not weights[index]:
                weights[index] = 1
    for index in sums:
        weights[index] = 3
    return weights


def _diff_weights(lines: Lines) -> list[int]:
    weights = []
    for line in lines.kept:
        if line.startswith(("diff ", "+++ ", "--- ", "Index: ")):
            weights.append(3)
        elif line.startswith("@@"):
            weights.append(2)
        else:
            weights.append(1 if line.startswith(("+", "-")) else 0)
    return weights


def _table_weights(lines: Lines) -> list[int]:
    return [3 if is_section(line) else 1 if is_key_value(line) and not line[:1].isspace() else 0 for line in lines.kept]


def _listing_weights(lines: Lines) -> list[int]:
    """Weigh the first line of each file."""
    seen: set[str | None] = {None}
    weights = []
    for path in lines.judged(matched_paths):
        weights.append(0 if path in seen else 2)
        seen.add(path)
    return weights


_FAILURE_WEIGHT = (0, 2, 3)
_WEIGHTS: Mapping[ContentKind, Callable[[Lines], list[int]]] = MappingProxyType(
    {
        ContentKind.PROSE: _prose_weights,
        ContentKind.SOURCE_CODE: _code_weights,
        ContentKind.JSON: _json_weights,
        ContentKind.LOG: _log_weights,
        ContentKind.DIFF: _diff_weights,
        ContentKind.TABLE: _table_weights,
        ContentKind.SEARCH_LISTING: _listing_weights,
    }
)
