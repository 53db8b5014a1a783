"""Representations of real text below full: extractive, deterministic, without a model.

===============  =====================================================================================
compressed       about a third of the text: head, tail and the lines that matter, gaps marked
structured       typed fields by kind of content; rules of policy pages and steps of plans word for word
pointer          one line that names what a page holds and carries a handle that resolves
parse_pointer    the page id in a pointer line
===============  =====================================================================================

Whatever these functions keep stands in the text; what they add is labels, counts and marks of what is left
out:

* ``[... 132 lines left out ...]`` on a line of its own, ``[... 812 characters left out ...]`` inside a long
  line;
* ``[... 7 more ...]`` where a field has more items than it may hold.

A text above ``ANALYSED_CHARACTERS`` is looked at in its head and its tail only, so no text costs more time
than one of that length does. Instructions are the exception: the structured form of a policy page always sees
all of it.

Only a line that stands where the harness puts pointers is a pointer: a text kept word for word may contain
anything, also a line that looks like one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clawvm_runtime.content_kinds import (
    ContentKind,
    definition_in,
    failure_ranks,
    heading_depth,
    is_key_value,
    is_list_item,
    matched_path,
)
from clawvm_runtime.pages import Provenance
from clawvm_runtime.vocabulary import PageType, Scope

__all__ = ["compressed", "parse_pointer", "pointer", "structured"]

# Sizes are in characters: these functions know no token counter.
ANALYSED_HEAD = 300_000
ANALYSED_TAIL = 200_000
ANALYSED_CHARACTERS = ANALYSED_HEAD + ANALYSED_TAIL

COMPRESSED_SHARE = 3  # compressed aims at one third of the text ...
COMPRESSED_MOST = 60_000  # ... and at no more than this: beyond it a page can no longer be called small
COMPRESSED_FROM = 240  # a shorter text has nothing to leave out that is worth a marker
HEAD_PERCENT = 30
TAIL_PERCENT = 20
LONG_LINE = 400
MARKER_LENGTH = 32  # of "[... 132 lines left out ...]" with its line end and a little room

STRUCTURED_SHARE = 5  # structured aims at one fifth of the text ...
STRUCTURED_LEAST = 300  # ... but may always use this much ...
STRUCTURED_MOST = 16_000  # ... and never more than this
ITEM_LENGTH = 200
PATHS_MOST = 16
NAMES_MOST = 12

PLAN_JSON_MOST = 262_144
JSON_SCANNED = 65_536

WORDS_MOST = 6
WORD_LONGEST = 32
WORD_CJK = 6  # Scripts without spaces: the beginning of a run of letters stands for a word.
FIRST_CJK = "\u3040"
WORDS_HEAD = 12_000
WORDS_TAIL = 4_000
ORIGIN_LENGTH = 80
ORIGIN_READ = 65_536


# Cutting a text into the lines that are looked at.


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of a text that are looked at; *missing* lines lie unseen before the one at *hole*."""

    kept: list[str]
    hole: int
    missing: int

    @property
    def total(self) -> int:
        return len(self.kept) + self.missing


def _lines_of(text: str) -> _Lines:
    lines = text.split("\n")
    if lines[-1] == "" and len(lines) > 1:
        lines.pop()
    if len(text) <= ANALYSED_CHARACTERS:
        return _Lines([line.rstrip("\r") for line in lines], 0, 0)
    head = _take(lines, ANALYSED_HEAD)
    tail = _take(reversed(lines[len(head) :]), ANALYSED_TAIL)
    tail.reverse()
    return _Lines(head + tail, len(head), len(lines) - len(head) - len(tail))


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


def _clip(line: str, most: int) -> str:
    """Return *line*, its middle left out if it is longer than *most* characters."""
    if len(line) <= most + MARKER_LENGTH:
        return line
    head, tail = most * 2 // 3, most // 3
    left_out = len(line) - head - tail
    return f"{line[:head]} [... {left_out} characters left out ...] {line[len(line) - tail :]}"


def _item(line: str) -> str:
    """Return *line* cut to what one item of a field may hold."""
    return line if len(line) <= ITEM_LENGTH else line[:ITEM_LENGTH] + "…"


# Compressed.


def compressed(text: str, kind: ContentKind) -> str:
    """Return about a third of *text*: head, tail and the lines that matter for its kind, every gap marked.

    A text that is too short to gain by it is returned as it is. Takes O(n + m log m) time for m lines looked
    at.
    """
    if len(text) < COMPRESSED_FROM:
        return text
    target = min(len(text) // COMPRESSED_SHARE, COMPRESSED_MOST)
    lines = _lines_of(text)
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
    for index in sorted(
        (index for index, weight in enumerate(weights) if weight), key=lambda index: -weights[index]
    ):
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


def _with_gaps(lines: _Lines, chosen: bytearray, longest: int) -> Iterator[str]:
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
    return [_left_out(len(gap) + unseen)]


def _left_out(lines: int) -> str:
    return f"[... {lines} {'line' if lines == 1 else 'lines'} left out ...]"


# What matters in a line, by kind of content: 3 most, 0 nothing.


def _prose_weights(lines: Sequence[str]) -> list[int]:
    weights = []
    before = ""
    points = _key_points(lines)
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
        if _SUMMARY.search(line[:ITEM_LENGTH]):
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
    return [
        3 if _SECTION.match(line) else 1 if is_key_value(line) and not line[:1].isspace() else 0
        for line in lines
    ]


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
_SUMMARY = re.compile(
    r"={3,} .*\b(?:passed|failed|errors?|warnings?|skipped)\b.* ={3,}|\bRan \d+ tests?\b|\btest result: "
    r"|^\s*Tests?(?: Suites)?: .*\d|^\s*\d+ (?:passing|failing|pending|passed|failed)\b|\bFound \d+ errors?\b"
    r"|\d+ problems? \("
)
_SECTION = re.compile(r"\s*\[\[?[^\[\]]+\]\]?\s*$")
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


# Structured: fields by kind of content.


def structured(text: str, kind: ContentKind, page_type: PageType, *, scope: Scope = Scope.PROJECT) -> str:
    """Return the typed fields of *text* that satisfy the invariant of a page of this type.

    A policy page (bootstrap or constraint) keeps every rule word for word under its headings, a plan its
    goal, current step and open steps, a preference its key-values after its *scope*; any other page gets the
    fields of its kind of content. Where nothing can be left out safely the text comes back as it is. Takes
    time linear in what is looked at.
    """
    if page_type in (PageType.BOOTSTRAP_POLICY, PageType.CONSTRAINT):
        return _rules(text, kind)
    if page_type is PageType.PREFERENCE:
        values = _fields(text, kind, page_type) if kind is ContentKind.JSON else _rules(text, kind)
        return f"scope: {scope.value}\n{values}"
    if page_type is PageType.PLAN:
        return _plan(text, kind)
    return _fields(text, kind, page_type)


def _fields(text: str, kind: ContentKind, page_type: PageType) -> str:
    lines = _lines_of(text)
    sheet = _Sheet(min(STRUCTURED_MOST, max(STRUCTURED_LEAST, len(text) // STRUCTURED_SHARE)))
    if page_type is PageType.CONVERSATION_SEGMENT:
        sheet.add("turns", (line for line in lines.kept if _TURN.match(line)))
    _FIELDS[kind](sheet, lines, text)
    return "\n".join([", ".join([kind.value, f"{lines.total} lines", *sheet.counts]), *sheet.lines])


_TURN = re.compile(
    r"\s*(?:#{1,6}\s*|\*\*|\[)?(?i:user|human|assistant|agent|system|tool|developer)\b.{0,40}?[:>]"
)


class _Sheet:
    """Collects labelled fields of whole lines until the room, in characters, is used up."""

    def __init__(self, room: int) -> None:
        self.lines: list[str] = []
        self.counts: list[str] = []
        self._room = room

    def add(self, label: str, items: Iterable[str]) -> None:
        """Add a field with the items that fit, each once, and say how many do not; none without the first."""
        unique = [_item(item) for item in dict.fromkeys(items) if item.strip()]
        if not unique or len(unique[0]) >= self._room:
            return
        self.lines.append(f"{label}:")
        for index, item in enumerate(unique):
            self._room -= len(item) + 1
            if self._room < 0:
                self.lines.append(f"[... {len(unique) - index} more ...]")
                break
            self.lines.append(item)

    def count(self, number: int, one: str, many: str) -> None:
        """Add a count to the first line unless it is zero."""
        if number:
            self.counts.append(f"{number} {one if number == 1 else many}")


def _prose_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    content = [line for line in lines.kept if line.strip() and not _TURN.match(line)]
    body = [line for line in content if not heading_depth(line)]
    sheet.add("opening", body[:1])
    sheet.add("headings", (line for line in content if heading_depth(line)))
    sheet.add("failures", (line for line, rank in zip(body, failure_ranks(body)) if rank == 2))
    sheet.add("key points", (line for line, point in zip(body[1:], _key_points(body[1:])) if point))
    sheet.add("values", (line for line in body[1:] if is_key_value(line)))
    sheet.add("paths", _paths(lines.kept))


def _code_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    sheet.add("opening", [next((line for line in lines.kept[:5] if _COMMENT.match(line)), "")])
    sheet.add("definitions", _definitions(lines))
    sheet.add("addresses", (path for path in _paths(lines.kept) if "://" in path))


def _definitions(lines: _Lines) -> Iterator[str]:
    """Yield the lines that define something, each with its number unless the text numbers its lines."""
    for index, line in enumerate(lines.kept):
        if definition_in(line):
            number = index + 1 + (lines.missing if index >= lines.hole else 0)
            yield line.rstrip() if _NUMBERED.match(line) else f"{number}: {line.rstrip()}"


def _log_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    ranks = failure_ranks(lines.kept)
    sure = [line.strip() for line, rank in zip(lines.kept, ranks) if rank == 2]
    likely = [line.strip() for line, rank in zip(lines.kept, ranks) if rank == 1]
    sheet.count(len(sure or likely), "failure line", "failure lines")
    sheet.count(sum("warning" in line.lower() for line in lines.kept), "warning", "warnings")
    sheet.add("commands", (line for line in lines.kept if line.startswith("$ ")))
    sheet.add("summary", (line.strip() for line in lines.kept if _SUMMARY.search(line[:ITEM_LENGTH])))
    sheet.add("failures", sure or likely)
    sheet.add("paths", _paths(lines.kept))
    sheet.add("last line", [line for line in lines.kept if line.strip()][-1:])


def _diff_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    changes = _changes(lines.kept)
    sheet.count(len(changes), "file", "files")
    sheet.add("files", (f"{path} +{added} -{removed}" for path, (added, removed) in changes.items()))
    sheet.add("hunks", (line for line in lines.kept if line.startswith("@@") and line.rstrip()[-2:] != "@@"))


def _changes(lines: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of lines added to and removed from each file of a diff."""
    changes: dict[str, list[int]] = {}
    counts = [0, 0]
    # Lines of the current hunk still to come: inside it, "--- x" is a removed line and no header.
    old = new = 0
    for line in lines:
        hunk = _HUNK.match(line)
        if hunk:
            old, new = (int(hunk.group(number) or 1) for number in (1, 2))
            continue
        if (old > 0 or new > 0) and not line.startswith("diff "):
            sign = line[:1]
            counts[0] += sign == "+"
            counts[1] += sign == "-"
            old -= sign not in ("+", "\\")
            new -= sign not in ("-", "\\")
            continue
        header = _DIFF_FILE.match(line)
        if header:
            path = next(group for group in header.groups() if group is not None)
            # "/dev/null" stands for a file that is not there on this side; the other side's header names it.
            if path != "/dev/null":
                counts = changes.setdefault(path, [0, 0])
            old = new = 0
    return changes


def _table_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    content = [line for line in lines.kept if line.strip()]
    pairs = [line for line in content if _SECTION.match(line) or is_key_value(line)]
    if len(pairs) * 2 >= len(content):
        sheet.add("values", [line for line in pairs if not line[:1].isspace()] or pairs)
    else:
        sheet.count(len(content) - 1 + lines.missing, "row", "rows")
        sheet.add("columns", content[:1])
        sheet.add("last row", content[-1:])


def _listing_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del text
    paths = [path for path in map(matched_path, lines.kept) if path is not None]
    matches = _tally(paths)
    if len(matches) < len(paths):
        sheet.count(len(paths), "match", "matches")
        sheet.count(len(matches), "file", "files")
        sheet.add("files", (f"{path}: {number}" for path, number in matches.items()))
        return
    sheet.count(len(matches), "entry", "entries")
    folders = _tally(path.rstrip("/").rpartition("/")[0] for path in matches)
    if 1 < len(folders) < len(matches):
        sheet.add("folders", (f"{folder or '.'}: {number}" for folder, number in folders.items()))
    sheet.add("entries", matches)


def _tally(words: Iterable[str]) -> dict[str, int]:
    tally: dict[str, int] = {}
    for word in words:
        tally[word] = tally.get(word, 0) + 1
    return tally


def _json_fields(sheet: _Sheet, lines: _Lines, text: str) -> None:
    del lines
    opening = _JSON_OPENING.search(text, 0, JSON_SCANNED)
    start = opening.start() if opening else 0  # After what a harness set before the output.
    outline = _outline_json(text[start : start + JSON_SCANNED])
    cut = "+" if len(text) > start + JSON_SCANNED else ""
    if outline.records > 1:
        sheet.counts.append(f"{outline.records}{cut} records")
    if outline.opener == "[":
        sheet.counts.append(f"array of {len(outline.members)}{cut}")
        sheet.add("first item", [member.described("") for member in outline.members[:1]])
        return
    # Only the member in which the look ended can be longer than it seems.
    last = len(outline.members) - 1
    sheet.add(
        "keys",
        (member.described(cut if index == last else "") for index, member in enumerate(outline.members)),
    )


@dataclass(slots=True)
class _Member:
    """One value inside the outermost container of a JSON text: its key, its first token, what is inside."""

    key: str
    token: str
    size: int
    names: list[str]

    def described(self, cut: str) -> str:
        label = f"{self.key}: " if self.key else ""
        if self.token == "[":
            return f"{label}array of {self.size}{cut}"
        if self.token == "{":
            more = ", ..." if len(self.names) > NAMES_MOST else ""
            return f"{label}object of {self.size}{cut}: {', '.join(self.names[:NAMES_MOST])}{more}"
        return f"{label}{self.token}"


@dataclass(slots=True)
class _JsonOutline:
    """The outermost container of the first value of a JSON text, and how many values there are."""

    opener: str
    records: int
    members: list[_Member]


def _outline_json(text: str) -> _JsonOutline:
    """Return the outline of a JSON text, which may be malformed, cut off, nested to any depth, or JSON lines.

    A scanner of tokens instead of ``json.loads``: that refuses all of these.
    """
    outline = _JsonOutline("", 0, [])
    nesting: list[str] = []
    key = ""
    after_colon = False
    for match in _JSON_TOKEN.finditer(text):
        token = match.group()
        depth = len(nesting)
        if token in ("}", "]"):
            if nesting:
                nesting.pop()
        elif token not in (",", ":"):
            is_name = depth > 0 and nesting[-1] == "{" and not after_colon
            if depth == 0:
                outline.records += 1
                outline.opener = outline.opener or token
            elif outline.records == 1 and depth == 1:
                if is_name:
                    key = _unquoted(token)
                else:
                    outline.members.append(_Member(key, token, 0, []))
                    key = ""
            elif outline.records == 1 and depth == 2 and outline.members:
                member = outline.members[-1]
                if is_name:
                    member.names.append(_unquoted(token))
                if is_name or nesting[-1] == "[":
                    member.size += 1
            if token in ("{", "["):
                nesting.append(token)
        after_colon = token == ":"
    return outline


def _unquoted(token: str) -> str:
    return token[1:-1] if len(token) > 1 and token[0] == token[-1] == '"' else token


_KEY_POINT_LIST = (
    "must|never|always|do not|don't|required|forbidden|should|important|decided|decision|conclusion"
    "|root cause|because|therefore|fixed|todo"
)
_KEY_POINT_WORDS = tuple(_KEY_POINT_LIST.split("|"))
_JSON_OPENING = re.compile(r"^[^\S\n]*[\[{]", re.MULTILINE)
_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_COMMENT = re.compile(r"\s*(?:\"\"\"|'{3}|#(?!!)|//|/\*|<!--|--)\s*\w|\s*\*\s+\w")
_NUMBERED = re.compile(r"\s{0,8}\d{1,7}(?:→|\t|:|\s?\|)")
_HUNK = re.compile(r"@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_DIFF_FILE = re.compile(r"diff --git a/.* b/(.*)|\+\+\+ (?:b/)?([^\t]*)|--- (?:a/)?([^\t]*)")
_PATH = re.compile(
    r"https?://[^\s<>\"'`)\]}]{3,160}"
    r"|(?<![\w@.+~/-])(?:[\w@.+~-]{0,80}/){1,30}[\w@.+-]{0,80}\.[A-Za-z]\w{0,7}(?::\d{1,7})?"
)
_FIELDS: Mapping[ContentKind, Callable[[_Sheet, _Lines, str], None]] = MappingProxyType(
    {
        ContentKind.PROSE: _prose_fields,
        ContentKind.SOURCE_CODE: _code_fields,
        ContentKind.JSON: _json_fields,
        ContentKind.LOG: _log_fields,
        ContentKind.DIFF: _diff_fields,
        ContentKind.TABLE: _table_fields,
        ContentKind.SEARCH_LISTING: _listing_fields,
    }
)


def _key_points(lines: Sequence[str]) -> list[bool]:
    """Return for each line whether it has a word of obligation, decision or result."""
    lowered = [line[:LONG_LINE].lower() for line in lines]
    everything = "\n".join(lowered)
    words = [word for word in _KEY_POINT_WORDS if word in everything]
    return [any(word in line for word in words) for line in lowered]


def _paths(lines: Iterable[str]) -> list[str]:
    """Return the first paths and URLs that the lines name, each once."""
    found: dict[str, None] = {}
    for line in lines:
        if "/" in line:
            for match in _PATH.finditer(line[:LONG_LINE]):
                found[match.group().rstrip(".,;:")] = None
            if len(found) >= PATHS_MOST:
                break
    return list(found)[:PATHS_MOST]


# Structured: rules and plans, which keep whole blocks of lines.


@dataclass(slots=True)
class _Block:
    """Lines that belong together: a heading, a list item with what continues it, a paragraph, fenced code."""

    kind: str
    lines: list[str]


def _blocks(text: str) -> Iterator[_Block]:
    block: _Block | None = None
    fence = ""
    after_blank = False
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if fence and block is not None:
            block.lines.append(line)
            mark = line.strip()
            if mark.startswith(fence) and not mark.strip(fence[0]):
                fence = ""
                yield block
                block = None
            continue
        if not line.strip():
            after_blank = True
            continue
        fenced = _FENCE.match(line)
        kind = "code" if fenced else _line_kind(line)
        continues = block is not None and (
            block.kind in ("item", "paragraph", "code")
            if not after_blank
            else block.kind == "item" and line[0].isspace()
        )
        if kind == "paragraph" and continues and block is not None:
            block.lines.append(line)
        else:
            if block is not None:
                yield block
            block = _Block(kind, [line])
            fence = fenced.group(1) if fenced else ""
        after_blank = False
    if block is not None:
        yield block


def _line_kind(line: str) -> str:
    if heading_depth(line):
        return "heading"
    return "item" if is_list_item(line) else "paragraph"


_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_RULE_WORD = re.compile(
    r"\b(?:must|never|always|not|no|nobody|nothing|nowhere|none|only|required?|requires|forbidden|prohibited"
    r"|mandatory|shall|should|cannot|can['’]?t|(?:do|does|must|should|wo|is|are)n['’]t|(?:dis)?allowed|permitted"
    r"|needs?\s+to|ha(?:s|ve)\s+to|ensure|avoid|refuse|prefer|unless|until|except|without|instead\s+of|rather\s+than"
    r"|at\s+most|at\s+least|limits?|you\s+are|your\s+(?:role|task|job|goal)|important|critical|warning|make\s+sure)\b"
)
_COMMANDS = (
    "Use|Run|Keep|Write|Add|Check|Follow|Ask|Stop|Commit|Push|Treat|Return|Put|Set|Test|Respond|Reply|Answer|Call"
    "|Start|Begin|End|Read|Create|Update|Delete|Remove|Include|Exclude|Make|Do|Be|Give|Name|Place|Store|Save|Report"
    "|Review|Verify|Confirm|Format|Lint|Install|Build|Execute|Open|Close|Wait|Remember|Note|Think|Explain|Respect"
    "|Leave|Skip|Ignore|Limit|Document|Describe|Say|Tell|Show|Provide|Work|Fix|Look|Search|Find"
)
_COMMAND = re.compile(rf"(?:^|[.!?:;]\s+)[\"'*_`(]*(?:{_COMMANDS})\b")
_RULE_HEADING = re.compile(
    r"\b(?:rules?|must|never|always|do\s+not|don['’]ts?|dos|forbidden|required|requirements?|constraints?"
    r"|polic(?:y|ies)|guidelines?|conventions?|instructions?|security|safety|permissions?|restrictions?|limits?"
    r"|protocol|boundaries)\b"
)
# Words that prose in English cannot do without and that mean nothing in other common languages.
_ENGLISH = re.compile(r"\b(?:the|and|this|that|which|with|are|these|they|its|were|from)\b")
# Rows of a table, rules and underlines, tags, a line of bold words that stands for a heading.
_LAYOUT = re.compile(r"\s*(?:\||-{3,}\s*$|={3,}\s*$|<|\*\*[^*]+\*\*:?\s*$)")


def _rules(text: str, kind: ContentKind) -> str:
    """Return *text* without the paragraphs that explain; rules stay word for word, under their headings.

    Left out is a paragraph only if it is English, has no word that rules have, does not begin a sentence with
    a command, does not introduce what follows, is no table or list of values, and stands under no heading
    that makes rules of what is under it. What cannot be judged stays, and so does everything if no rule is
    found at all or if the text is not made of sentences.
    """
    if kind in _OPAQUE:
        return text
    blocks = list(_blocks(text))
    depths = [heading_depth(block.lines[0]) for block in blocks if block.kind == "heading"]
    title = depths[:1] == [1] and depths.count(1) == 1 and len(depths) > 1
    kept: list[str] = []
    open_headings: list[_OpenHeading] = []
    found = False
    left_out = 0
    for block in blocks:
        if block.kind == "heading":
            depth = heading_depth(block.lines[0])
            while open_headings and open_headings[-1].depth >= depth:
                left_out += open_headings.pop().waiting
            lowered = block.lines[0].lower()
            binding = any(heading.binding for heading in open_headings) or (
                not title and _RULE_HEADING.search(lowered) is not None
            )
            title = False
            open_headings.append(_OpenHeading(depth, block.lines[0], binding))
            if not _RULE_WORD.search(lowered):
                continue
            found = True
        elif block.kind == "item" or _binds(block, open_headings):
            found = True
        elif block.kind == "paragraph" and _explains(block.lines):
            left_out += len(block.lines)
            continue
        kept.extend(heading.line for heading in open_headings if heading.waiting)
        for heading in open_headings:
            heading.waiting = False
        if block.kind != "heading":
            kept.extend(block.lines)
    left_out += sum(heading.waiting for heading in open_headings)
    if not found or not left_out:
        return text
    return "\n".join([*kept, _left_out(left_out)])


# Rules cannot be told from the rest of these, so everything in them counts as a rule.
_OPAQUE = frozenset({ContentKind.SOURCE_CODE, ContentKind.JSON, ContentKind.LOG, ContentKind.DIFF})


@dataclass(slots=True)
class _OpenHeading:
    """A heading whose section is being read; *waiting* until something under it is kept."""

    depth: int
    line: str
    binding: bool
    waiting: bool = True


def _binds(block: _Block, open_headings: Sequence[_OpenHeading]) -> bool:
    """Return whether a paragraph is a rule by its own words or by a heading above it."""
    if block.kind != "paragraph":
        return False
    if any(heading.binding for heading in open_headings):
        return True
    joined = " ".join(block.lines)
    return _RULE_WORD.search(joined.lower()) is not None or any(map(_COMMAND.search, block.lines))


def _explains(lines: Sequence[str]) -> bool:
    """Return whether a paragraph without rules is English prose that can be left out."""
    if lines[-1].rstrip().endswith(":") or not any(_ENGLISH.search(line.lower()) for line in lines):
        return False
    # What is indented belongs to the item above it, whatever stands between.
    if lines[0].startswith(("  ", "\t")) or any(map(_LAYOUT.match, lines)):
        return False
    return len(lines) == 1 or sum(map(is_key_value, lines)) * 2 < len(lines)


@dataclass(slots=True)
class _Step:
    """One step of a plan: its state (done, current, open or unmarked), its lines, what is nested under it."""

    state: str
    lines: list[str]
    details: list[str]


@dataclass(slots=True)
class _PlanParts:
    """Goal and current step as lines, and the steps, in the order of the text."""

    goal: list[str]
    current: list[str]
    steps: list[_Step]


def _plan(text: str, kind: ContentKind) -> str:
    """Return goal, current step and open steps of a plan word for word, and how many steps are done.

    The current step is the one that the plan marks or names, else the first that is open in a plan with check
    marks. A text in which no step is found comes back as it is.
    """
    parts = _plan_from_json(text) if kind is ContentKind.JSON else _plan_from_lines(text)
    steps = parts.steps
    if any(step.state != "unmarked" for step in steps):
        steps = [step for step in steps if step.state != "unmarked"]
        if not parts.current:
            marked = [step for step in steps if step.state == "current"]
            step = next(iter(marked or [step for step in steps if step.state == "open"]), None)
            if step is not None:
                parts.current = [*step.lines, *step.details]
                step.state = "shown"
    if not steps and not parts.current:
        return text
    open_steps = [line for step in steps if step.state not in ("done", "shown") for line in step.lines]
    done = sum(step.state == "done" for step in steps)
    sheet: list[str] = []
    for label, lines in (("goal", parts.goal), ("current step", parts.current), ("open steps", open_steps)):
        if lines:
            sheet += [f"{label}:", *lines]
    if done:
        sheet.append(f"{done} of {len(steps)} steps done")
    return "\n".join(sheet)


def _plan_from_lines(text: str) -> _PlanParts:
    parts = _PlanParts([], [], [])
    first: list[str] = []
    awaited: list[str] | None = None
    section_done = False
    for block in _blocks(text):
        line = block.lines[0]
        goal, current = _GOAL.match(line), _CURRENT.match(line)
        named = parts.goal if goal else parts.current if current else None
        label = goal or current
        if (
            label is not None
            and named is not None
            and (block.kind == "heading" or label.group(1))
            and not named
        ):
            if label.group(2) or len(block.lines) > 1:
                named += block.lines
            else:
                awaited = named
            section_done = False
        elif block.kind == "heading":
            section_done = _DONE_HEADING.search(line) is not None
            awaited = None
            first = first or block.lines
        elif awaited is not None:
            awaited += block.lines
            awaited = None
        elif block.kind == "item":
            _add_step(parts.steps, block.lines, section_done)
        else:
            first = first or block.lines
    if not parts.goal:
        parts.goal += first
    return parts


def _add_step(steps: list[_Step], lines: list[str], section_done: bool) -> None:
    state = _step_state(lines[0])
    if state == "unmarked" and section_done:
        state = "done"
    nested = steps and _indent(lines[0]) > _indent(steps[-1].lines[0])
    if state == "unmarked" and nested:
        steps[-1].details += lines
    else:
        steps.append(_Step(state, lines, []))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _step_state(line: str) -> str:
    if _STEP_DONE.search(line):
        return "done"
    if _STEP_CURRENT.search(line):
        return "current"
    return "open" if _STEP_OPEN.match(line) else "unmarked"


def _plan_from_json(text: str) -> _PlanParts:
    parts = _PlanParts([], [], [])
    try:
        value: Any = json.loads(text) if len(text) <= PLAN_JSON_MOST else None
    except (ValueError, RecursionError):
        return parts
    candidates = [value]
    if isinstance(value, dict):
        candidates = list(value.values())
        parts.goal += [
            value[key]
            for key in ("goal", "objective", "title", "explanation")
            if isinstance(value.get(key), str)
        ]
    steps: list[dict[str, Any]] = next(filter(_has_states, candidates), [])
    for step in steps:
        what = next((step[key] for key in _STEP_TEXTS if isinstance(step.get(key), str)), None)
        if what is None:
            # A step that cannot be read must not be lost: better no short form at all.
            return _PlanParts([], [], [])
        state = _JSON_STATES.get(str(step.get("status", step.get("state"))).lower(), "open")
        parts.steps.append(_Step(state, [f"{_STEP_MARKS[state]} {what}"], []))
    return parts


def _has_states(value: Any) -> bool:
    """Return whether *value* is a list of objects that each have a status."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(step, dict) and ("status" in step or "state" in step) for step in value)


_LABEL = r"\s*(?:#{1,6}\s*|[-*+]\s+|\d{1,3}[.)]\s+)?[*_]{0,2}(?i:%s)[*_]{0,2}\s{0,3}(:|=|$)[*_]{0,2}\s*(.*)"
_GOAL = re.compile(_LABEL % "(?:overall |main )?(?:goals?|objectives?|aim|mission|task)")
_CURRENT = re.compile(
    _LABEL % "current(?:ly| step| task)?|in progress|now|doing|working on|next(?: step| up)?|active step"
)
_BULLET = r"\s*(?:[-*+•]\s+|\d{1,4}[.)]\s+)?"
_STEP_DONE = re.compile(
    rf"^{_BULLET}(?:\[[xX✓✔]\]|[✅✔✓☑]|~~)|(?i:[(\[—–:-]\s?(?:done|completed?|finished)[)\]]?[.\s]*$)|[✅✔✓]\s*$"
)
_STEP_CURRENT = re.compile(
    rf"^{_BULLET}(?:\[[>~/*-]\]|[▶→➜⏳\U0001f504])"
    r"|(?i:[(\[<—–:-]\s?(?:in[ _-]progress|current(?: step)?|doing|now)\b)"
)
_STEP_OPEN = re.compile(rf"{_BULLET}(?:\[\s?\]|[☐⬜□○])")
_DONE_HEADING = re.compile(r"(?i:\b(?:done|completed?|finished)\b)")
_STEP_TEXTS = ("content", "step", "title", "text", "task", "description", "subject", "name")
_JSON_STATES: Mapping[str, str] = MappingProxyType(
    {
        "done": "done",
        "complete": "done",
        "completed": "done",
        "finished": "done",
        "in_progress": "current",
        "in-progress": "current",
        "active": "current",
        "current": "current",
        "doing": "current",
    }
)
_STEP_MARKS: Mapping[str, str] = MappingProxyType({"done": "[x]", "current": "[>]", "open": "[ ]"})


# Pointers.


def pointer(
    text: str,
    *,
    page_id: str,
    page_type: PageType,
    provenance: Provenance,
    tokens: int,
    scope: Scope = Scope.SESSION,
) -> str:
    """Return one printable line that names what a page holds: handle, type, origin, words, size in *tokens*.

    The whole reference of the provenance stands in the pointer of a preference and of a conversation segment,
    whose minimum it is; other origins are shortened. No text can end the line or the brackets early, so
    nothing but *page_id* decides which page it resolves to. Looks at 16,000 characters of *text* at most.

    >>> pointer("def parse_config(): ...", page_id="ev-12", page_type=PageType.EVIDENCE, tokens=8,
    ...         provenance=Provenance("tool_call", 'read({"path":"src/app.py"})'))
    '[page ev-12 evidence | read src/app.py | parse_config | 8 tokens]'
    """
    name = f"page {_escaped(page_id)} {page_type.value}"
    if scope is Scope.PROJECT:
        name += f" {scope.value}"
    origin = _origin(provenance, page_type) or _one_line(provenance.kind)
    words = ", ".join(_telling_words(text, origin))
    return "[" + " | ".join(part for part in (name, origin, words, f"{tokens} tokens") if part) + "]"


def parse_pointer(line: str) -> str | None:
    """Return the page id that a pointer line resolves to, None for any other line.

    >>> parse_pointer("[page ev-12 evidence | read src/app.py | parse_config | 8 tokens]")
    'ev-12'
    """
    found = _POINTER.fullmatch(line.strip())
    if found is None or not found.group().isprintable():
        return None
    page_id = _ESCAPE.sub(lambda escape: chr(int(escape.group(1), 16)), found.group(1))
    # Only what pointer() itself would write is a handle; two spellings must never resolve to one page.
    return page_id if _escaped(page_id) == found.group(1) else None


_TYPES = "|".join(page_type.value for page_type in PageType)
_POINTER = re.compile(
    rf"\[page ([^\s|\[\]]+) (?:{_TYPES})(?: {Scope.PROJECT.value})?"
    r"(?: \| [^|\[\]]+){1,2} \| [0-9]+ tokens\]"
)
_ESCAPE = re.compile(r"%([0-9A-F]{1,5}|10[0-9A-F]{4});")
_BRACKETS = str.maketrans({"[": "(", "]": ")", "|": "¦"})


def _escaped(page_id: str) -> str:
    return "".join(
        character if character.isprintable() and character not in " %|[]" else f"%{ord(character):X};"
        for character in page_id
    )


def _one_line(text: str) -> str:
    """Return *text* as one printable line without brackets and bars."""
    printable = "".join(
        character if character.isprintable() else " " for character in text.translate(_BRACKETS)
    )
    return " ".join(printable.split())


def _origin(provenance: Provenance, page_type: PageType) -> str:
    if page_type is PageType.PREFERENCE:
        return _one_line(f"{provenance.kind} {provenance.reference}")
    if page_type is PageType.CONVERSATION_SEGMENT:
        return _one_line(provenance.reference)
    origin = _one_line(_call(provenance.reference[:ORIGIN_READ])[: ORIGIN_LENGTH * 4])
    return origin if len(origin) <= ORIGIN_LENGTH else origin[:ORIGIN_LENGTH].rstrip() + "…"


def _call(reference: str) -> str:
    """Return a canonical tool signature as its tool and telling arguments, any other reference as it is."""
    signature = _SIGNATURE.fullmatch(reference)
    if signature is None:
        return reference
    try:
        arguments = json.loads(signature.group(2))
    except (ValueError, RecursionError):
        return reference
    values = [arguments[name] for name in _TELLING_ARGUMENTS if name in arguments]
    told = [value if isinstance(value, str) else " ".join(value) for value in values if _is_words(value)]
    return " ".join([signature.group(1), *told]) if told else reference


def _is_words(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(word, str) for word in value)
    )


_SIGNATURE = re.compile(r"([\w.:/-]{1,60})\((\{.*\})\)", re.DOTALL)
_ARGUMENT_LIST = "command cmd pattern query path file_path filename file url uri"
_TELLING_ARGUMENTS = tuple(_ARGUMENT_LIST.split())


def _telling_words(text: str, origin: str) -> list[str]:
    """Return the words that tell a text from others: frequent, long, composed or defined; no two alike."""
    if len(text) > WORDS_HEAD + WORDS_TAIL:
        text = f"{text[:WORDS_HEAD]}\n{text[-WORDS_TAIL:]}"
    spelled: dict[str, str] = {}
    counts: dict[str, int] = {}
    for word, count in Counter(_WORD.findall(text)).items():
        word = word[:WORD_CJK] if word[0] >= FIRST_CJK else word
        key = word.lower()
        if len(word) > WORD_LONGEST or word[0].isdigit() or key in _STOP_WORDS:
            continue
        spelled.setdefault(key, word)
        counts[key] = counts.get(key, 0) + count
    defined = {found.group(1).lower() for found in _DEFINED.finditer(text)}
    order = {key: index for index, key in enumerate(counts)}
    ranked = sorted(
        counts, key=lambda key: (-_telling(spelled[key], counts[key], key in defined), order[key])
    )
    chosen: list[str] = []
    shown = [origin.lower()]
    for key in ranked:
        if len(chosen) == WORDS_MOST:
            break
        if _HASH.fullmatch(key) or any(key in other or other in key for other in shown):
            continue
        chosen.append(spelled[key])
        shown.append(key)
    return chosen


def _telling(word: str, count: int, defined: bool) -> int:
    # Whole numbers only: a score must not depend on how a machine rounds.
    score = min(count, 15).bit_length() * min(len(word), 12)
    if "_" in word.strip("_") or _COMPOSED.search(word):
        score *= 2
    return score * 2 if defined else score


_WORD = re.compile(r"\w{3,}")
_DEFINED = re.compile(
    r"\b(?:def|class|function|func|fn|struct|interface|trait|enum|type|module|const)\s+(\w{3,32})\b"
)
_COMPOSED = re.compile(r"[a-z][A-Z]")
_HASH = re.compile(r"(?=[a-f]*\d)[0-9a-f]{7,}|(?=(?:\D*\d){4})\w+")
_STOP_LIST = """
about above after again all also although always among and another any anything are around because been
before being below between both but called can cannot change changed could did does doing done down during
each either else even every everything few first following for found from further get gets give given gives
goes going had has have having here hers him his how however into its itself just keep know known last later
least less let like line lines made make makes many may might more most much must name need needs never new
next none nor not nothing now off often old once one only onto other our out over own per please put rather
really said same say see seen several shall she should show shows since some something still such take than
that the their them then there these they thing things this those though three through thus too two under
until upon use used uses using very want was way were what when where whether which while who whole whom
whose why will with within without would yes yet you your

abstract args assert async await bool boolean break byte case catch char class const continue data debug def
default del delete dict double elif elsif end enum error except exec export extends false false file files
final finally float fmt func function global goto https http implements import index info init inline input
instanceof int integer interface internal item items key keys kwargs lambda len length let list long main
map mod module mut namespace nil null number object output override package param params pass path print
printf println private protected pub public raise range result results return returns self set short signed
size static std str string struct super switch template test tests text this throw throws todo trait true
try tuple type typedef typeof undefined union unsigned use usr val value values var void volatile warning
while with www yield com org
"""
_STOP_WORDS = frozenset(_STOP_LIST.split())
