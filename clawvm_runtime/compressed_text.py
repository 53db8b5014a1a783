"""Compressed: about a third of a text, extracted word for word.

============  =========================================================================
compressed    head, tail and the lines that matter for the kind of content, gaps marked
============  =========================================================================

Marks of what is left out: ``[... 132 lines left out ...]`` on a line of its own, ``[... 812 characters left
out ...]`` inside a long line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from clawvm_runtime.content_kinds import (
    ContentKind,
    definition_in,
    failure_ranks,
    heading_depth,
    is_key_value,
    is_list_item,
    matched_path,
)
from clawvm_runtime.text_lines import (
    COMPRESSED_MOST,
    LONG_LINE,
    Lines,
    is_section,
    is_summary,
    key_points,
    left_out,
    lines_of,
)

__all__ = ["compressed"]

COMPRESSED_SHARE = 3  # A compressed text aims at one third of the text and at no more than COMPRESSED_MOST.
COMPRESSED_FROM = 240  # A shorter text has nothing to leave out that is worth a marker.
HEAD_PERCENT = 30
TAIL_PERCENT = 20
MARKER_LENGTH = 32  # Of "[... 132 lines left out ...]" with its line end and a little room


def compressed(text: str, kind: ContentKind) -> str:
    """Return about a third of *text*: head, tail and the lines that matter for its kind, every gap marked.

    A text that is too short to gain by it is returned as it is. Takes O(n + m log m) time for m lines looked
    at.
    """
    if len(text) < COMPRESSED_FROM:
        return text
    target = min(len(text) // COMPRESSED_SHARE, COMPRESSED_MOST)
    lines = lines_of(text)
    longest = min(target, max(LONG_LINE, target // lines.total))
    chosen = _choose(lines.kept, _WEIGHTS[kind](lines.kept), longest, target)
    return "\n".join(_with_gaps(lines, chosen, longest))


def _choose(lines: Sequence[str], weights: Sequence[int], longest: int, target: int) -> bytearray:
    """Return a flag for each line: head and tail first, then by weight, then more of the head."""
    costs = [min(len(line), longest + MARKER_LENGTH) + 1 for line in lines]
    chosen = bytearray(len(lines))
    left = target + MARKER_LENGTH + 1  # Room for one line of *target* characters with a marker inside.
    left -= _extend(chosen, costs, range(len(lines)), target * HEAD_PERCENT // 100)
    left -= _extend(chosen, costs, range(len(lines) - 1, -1, -1), target * TAIL_PERCENT // 100)
    seen: set[str] = set()
    for index in sorted((index for index, weight in enumerate(weights) if weight), key=lambda index: -weights[index]):
        cost = costs[index] if index and chosen[index - 1] else costs[index] + MARKER_LENGTH
        if not chosen[index] and cost <= left and lines[index] not in seen:
            chosen[index] = 1
            left -= cost
            seen.add(lines[index])
    _extend(chosen, costs, range(len(lines)), left)
    return chosen


def _extend(chosen: bytearray, costs: Sequence[int], order: Iterable[int], room: int) -> int:
    """Choose lines in *order* until one does not fit; return the characters used."""
    used = 0
    for index in order:
        if chosen[index]:
            continue
        if used + costs[index] > room:
            break
        chosen[index] = 1
        used += costs[index]
    return used


def _with_gaps(lines: Lines, chosen: bytearray, longest: int) -> Iterator[str]:
    gap: list[str] = []
    unseen = 0
    for index, line in enumerate(lines.kept):
        if index == lines.hole:
            unseen = lines.missing
        if not chosen[index]:
            gap.append(line)
            continue
        yield from _gap(gap, unseen)
        gap, unseen = [], 0
        yield _clip(line, longest)
    yield from _gap(gap, unseen)


def _gap(gap: Sequence[str], unseen: int) -> Iterable[str]:
    """Return the mark for a gap, or its lines themselves where the mark would be longer."""
    if not unseen and sum(len(line) + 1 for line in gap) <= MARKER_LENGTH:
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


def _prose_weights(lines: Sequence[str]) -> list[int]:
    weights = []
    before = ""
    points = key_points(lines)
    for line, rank, point in zip(lines, failure_ranks(lines), points):
        if heading_depth(line):
            weight = 3
        elif rank == 2 or point:
            weight = 2
        else:
            weight = 1 if line.strip() and (not before.strip() or is_list_item(line)) else 0
        weights.append(weight)
        before = line
    return weights


def _code_weights(lines: Sequence[str]) -> list[int]:
    weights = []
    after = 0  # The line after a definition says what it is for, or goes on with its parameters.
    for line in lines:
        defines = definition_in(line)
        weights.append((2 if line[:1].isspace() else 3) if defines else after)
        after = 1 if defines else 0
    return weights


def _json_weights(lines: Sequence[str]) -> list[int]:
    # The least indented lines of pretty-printed JSON are its outline.
    return [max(0, 3 - (len(line) - len(line.lstrip())) // 2) if line.strip() else 0 for line in lines]


def _log_weights(lines: Sequence[str]) -> list[int]:
    weights = [_FAILURE_WEIGHT[rank] for rank in failure_ranks(lines)]
    for index, line in enumerate(lines):
        if is_summary(line):
            weights[index] = 3
        elif not weights[index] and 3 in weights[max(0, index - 2) : index + 3]:
            weights[index] = 1
    return weights


def _diff_weights(lines: Sequence[str]) -> list[int]:
    weights = []
    for line in lines:
        if line.startswith(("diff ", "+++ ", "--- ", "Index: ")):
            weights.append(3)
        elif line.startswith("@@"):
            weights.append(2)
        else:
            weights.append(1 if line.startswith(("+", "-")) else 0)
    return weights


def _table_weights(lines: Sequence[str]) -> list[int]:
    return [3 if is_section(line) else 1 if is_key_value(line) and not line[:1].isspace() else 0 for line in lines]


def _listing_weights(lines: Sequence[str]) -> list[int]:
    """Weigh the first line of each file."""
    seen: set[str | None] = {None}
    weights = []
    for line in lines:
        path = matched_path(line)
        weights.append(0 if path in seen else 2)
        seen.add(path)
    return weights


_FAILURE_WEIGHT = (0, 2, 3)
_WEIGHTS: Mapping[ContentKind, Callable[[Sequence[str]], list[int]]] = MappingProxyType(
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
