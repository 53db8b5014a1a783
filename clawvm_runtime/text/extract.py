"""The compressed and the structured form of a text: extractive, deterministic, without a model.

Compressed is about a third of the text: head, tail and the lines that matter for its kind of content. Structured is a
set of typed fields by kind of content; policy pages and plans keep their rules and steps word for word instead
(``clawvm_runtime.text.verbatim``).

Whatever is kept is in the text; what is added are labels, counts and marks of what is left out:

* ``[... 132 lines left out ...]`` on a line of its own, ``[... 812 characters left out ...]`` inside a long line;
* ``[... 7 more ...]`` where a field has more items than it may hold.

Only the head and the tail of a very long text are analysed (``lines_of``), so that no text costs more time than one of
that length. Instructions are the exception: the structured form of a policy page always sees all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clawvm_runtime.text import kinds
from clawvm_runtime.text.kinds import ITEM_LENGTH, LONG_LINE, ContentKind, Lines
from clawvm_runtime.text.verbatim import plan, rules
from clawvm_runtime.vocabulary import PageType, Scope

__all__ = ["compressed", "structured"]

COMPRESSED_SHARE = 3  # A compressed text aims at one third of the text and at no more than COMPRESSED_MOST.
COMPRESSED_FROM = 240  # A shorter text has too little to leave out for a marker.
HEAD_PERCENT = 30
TAIL_PERCENT = 20
MARKER_LENGTH = 32  # Of "[... 132 lines left out ...]" with its line end and some spare.
STRUCTURED_SHARE = 5  # Structured aims at one fifth of the text ...
STRUCTURED_LEAST = 300  # ... but may always use this many characters ...
STRUCTURED_MOST = 16_000  # ... and never more than this.
PATHS_MOST = 16
JSON_SCANNED = 65_536
JSON_NAMES_MOST = 12


def compressed(lines: Lines, kind: ContentKind) -> str:
    """Return about a third of a text: head, tail and the lines that matter for its kind, every gap marked.

    A text that is too short to gain by it is returned as it is. Takes O(n + m log m) time for m lines analysed.
    """
    text = lines.text
    if len(text) < COMPRESSED_FROM:
        return text
    target = min(len(text) // COMPRESSED_SHARE, kinds.COMPRESSED_MOST)
    longest = min(target, max(LONG_LINE, target // lines.total))
    weigh, _ = _BY_KIND[kind]
    chosen = _choose(lines.kept, weigh(lines), longest, target)
    return "\n".join(_with_gaps(lines, chosen, longest))


def structured(lines: Lines, kind: ContentKind, page_type: PageType, scope: Scope = Scope.PROJECT) -> str:
    """Return the typed fields of a text that satisfy the invariant of a page of this type.

    A policy page (bootstrap or constraint) keeps every rule word for word under its headings, a plan its goal, current
    step and open steps, a preference its values after its *scope*; any other page gets the fields of its kind of
    content. A text from which nothing can safely be left out is returned unchanged. Takes time linear in what is
    analysed.
    """
    if page_type in (PageType.BOOTSTRAP_POLICY, PageType.CONSTRAINT):
        return rules(lines.text, kind)
    if page_type is PageType.PLAN:
        return plan(lines.text, kind)
    if page_type is not PageType.PREFERENCE:
        return _fields(lines, kind, page_type)
    values = _fields(lines, kind, page_type) if kind is ContentKind.JSON else rules(lines.text, kind)
    return f"scope: {scope.value}\n{values}"


# --- Compressed: which lines stay.


def _choose(lines: Sequence[str], weights: Sequence[int], longest: int, target: int) -> bytearray:
    """Return a flag for each line: head and tail first, then by weight, then more of the head."""
    most = longest + MARKER_LENGTH
    lengths = list(map(len, lines))
    if max(lengths) > most:
        lengths = [min(length, most) for length in lengths]
    chosen = bytearray(len(lines))
    left = target + MARKER_LENGTH + 1  # Space for one line of *target* characters with a marker inside.
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


def _extend(chosen: bytearray, lengths: Sequence[int], order: Iterable[int], space: int) -> int:
    """Choose lines in *order* until one does not fit; return the characters used."""
    used = 0
    for index in order:
        if chosen[index]:
            continue
        cost = lengths[index] + 1
        if used + cost > space:
            break
        chosen[index] = 1
        used += cost
    return used


def _with_gaps(lines: Lines, chosen: bytearray, longest: int) -> list[str]:
    """Return the lines chosen, and a mark for each run of the others."""
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
    return [kinds.left_out(len(gap) + unseen)]


def _clip(line: str, most: int) -> str:
    """Return *line*, its middle left out if it is longer than *most* characters."""
    if len(line) <= most + MARKER_LENGTH:
        return line
    head, tail = most * 2 // 3, most // 3
    cut = len(line) - head - tail
    return f"{line[:head]} [... {cut} characters left out ...] {line[len(line) - tail :]}"


# How much a line matters, by kind of content: 3 most, 0 not at all.


def _prose_weights(lines: Lines) -> list[int]:
    kept = lines.kept
    blank = [not line or line.isspace() for line in kept]
    weights = [int(before and not this) for before, this in zip([True, *blank], blank)]
    for weight, judge in ((1, kinds.list_items), (2, kinds.sure_failures), (2, kinds.key_points), (3, kinds.headings)):
        for index in lines.judged(judge):
            weights[index] = weight
    return weights


def _code_weights(lines: Lines) -> list[int]:
    weights = [0] * (len(lines.kept) + 1)
    for index in lines.judged(kinds.definitions):
        weights[index] = 2 if lines.kept[index][:1].isspace() else 3
        # The line after a definition explains it or continues its parameters.
        weights[index + 1] = 1
    return weights[:-1]


def _json_weights(lines: Lines) -> list[int]:
    # The least indented lines of pretty-printed JSON are its outline.
    return [max(0, 3 - (len(line) - len(line.lstrip())) // 2) if line.strip() else 0 for line in lines.kept]


def _log_weights(lines: Lines) -> list[int]:
    weights = [(0, 2, 3)[rank] for rank in lines.judged(kinds.failure_ranks)]
    sums = lines.judged(kinds.summaries)
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
    marks = (("diff ", "+++ ", "--- ", "Index: "), ("@@",), ("+", "-"))
    return [next((3 - rank for rank, mark in enumerate(marks) if line.startswith(mark)), 0) for line in lines.kept]


def _table_weights(lines: Lines) -> list[int]:
    keys = (not line[:1].isspace() and kinds.is_key_value(line) for line in lines.kept)
    return [3 if kinds.SECTION.match(line) else int(is_key) for line, is_key in zip(lines.kept, keys)]


def _listing_weights(lines: Lines) -> list[int]:
    """Weigh the first line of each file."""
    seen: set[str | None] = {None}
    weights = []
    for path in lines.judged(kinds.matched_paths):
        weights.append(0 if path in seen else 2)
        seen.add(path)
    return weights


# --- Structured: typed fields by kind of content.


class _FieldWriter:
    """Collects labelled fields of whole lines until the space, in characters, is used up."""

    def __init__(self, space: int) -> None:
        self.lines: list[str] = []
        self.counts: list[str] = []
        self._space = space

    def add(self, label: str, items: Iterable[str]) -> None:
        """Add a field with the items that fit, each once, and the number of the others; no field if none fits."""
        items = [item for item in dict.fromkeys(items) if item.strip()]
        unique = [item if len(item) <= ITEM_LENGTH else item[:ITEM_LENGTH] + "…" for item in items]
        if not unique or len(unique[0]) >= self._space:
            return
        self.lines.append(f"{label}:")
        for index, item in enumerate(unique):
            self._space -= len(item) + 1
            if self._space < 0:
                self.lines.append(f"[... {len(unique) - index} more ...]")
                break
            self.lines.append(item)

    def count(self, number: int, one: str, many: str) -> None:
        """Add a count to the first line unless it is zero."""
        if number:
            self.counts.append(f"{number} {one if number == 1 else many}")


def _fields(lines: Lines, kind: ContentKind, page_type: PageType) -> str:
    """Return the fields that a text of this kind has, in about a fifth of its length."""
    writer = _FieldWriter(min(STRUCTURED_MOST, max(STRUCTURED_LEAST, len(lines.text) // STRUCTURED_SHARE)))
    if page_type is PageType.CONVERSATION_SEGMENT:
        writer.add("turns", (lines.kept[number] for number in kinds.matching(_TURN, lines.kept)))
    _, write = _BY_KIND[kind]
    write(writer, lines)
    return "\n".join([", ".join([kind.value, f"{lines.total} lines", *writer.counts]), *writer.lines])


def _prose_fields(writer: _FieldWriter, lines: Lines) -> None:
    kept = lines.kept
    titles = frozenset(lines.judged(kinds.headings))

    def body(numbers: Iterable[int]) -> Iterator[str]:
        """Yield the lines that are neither headings nor the beginning of a turn."""
        return (kept[number] for number in numbers if number not in titles and not _TURN.match(kept[number]))

    opening = next((number for number in range(len(kept)) if kept[number].strip() and any(body([number]))), None)
    writer.add("opening", [] if opening is None else [kept[opening]])
    writer.add("headings", (kept[number] for number in lines.judged(kinds.headings) if not _TURN.match(kept[number])))
    writer.add("failures", body(lines.judged(kinds.sure_failures)))
    for label, judge in (("key points", kinds.key_points), ("values", kinds.key_values)):
        writer.add(label, body(number for number in lines.judged(judge) if number != opening))
    writer.add("paths", _paths(kept))


def _code_fields(writer: _FieldWriter, lines: Lines) -> None:
    writer.add("opening", [next((line for line in lines.kept[:5] if _COMMENT.match(line)), "")])
    writer.add("definitions", _definitions(lines))
    if "://" in lines.text:
        writer.add("addresses", (path for path in _paths(lines.kept) if "://" in path))


def _definitions(lines: Lines) -> Iterator[str]:
    """Yield the lines that define something, each with its number unless the text numbers its lines."""
    for index in lines.judged(kinds.definitions):
        line = lines.kept[index].rstrip()
        number = index + 1 + (lines.missing if index >= lines.hole else 0)
        yield line if _HAS_LINE_NUMBER.match(lines.kept[index]) else f"{number}: {line}"


def _log_fields(writer: _FieldWriter, lines: Lines) -> None:
    kept = lines.kept
    ranks = lines.judged(kinds.failure_ranks)
    sure = [line.strip() for line, rank in zip(kept, ranks) if rank == 2]
    likely = [line.strip() for line, rank in zip(kept, ranks) if rank == 1]
    writer.count(len(sure or likely), "failure line", "failure lines")
    writer.count(len(kinds.lines_with("\n".join(kept).lower(), ["warning"])), "warning", "warnings")
    writer.add("commands", (line for line in kept if line.startswith("$ ")))
    writer.add("summary", (kept[index].strip() for index in lines.judged(kinds.summaries)))
    writer.add("failures", sure or likely)
    writer.add("paths", _paths(kept))
    writer.add("last line", [next((line for line in reversed(kept) if line.strip()), "")])


def _diff_fields(writer: _FieldWriter, lines: Lines) -> None:
    changes = _changes(lines.kept)
    writer.count(len(changes), "file", "files")
    writer.add("files", (f"{path} +{added} -{removed}" for path, (added, removed) in changes.items()))
    writer.add("hunks", (line for line in lines.kept if line.startswith("@@") and line.rstrip()[-2:] != "@@"))


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
            # "/dev/null" is a file that does not exist on this side; the other side's header names it.
            if path != "/dev/null":
                counts = changes.setdefault(path, [0, 0])
            old = new = 0
    return changes


def _table_fields(writer: _FieldWriter, lines: Lines) -> None:
    content = [line for line in lines.kept if line.strip()]
    pairs = [line for line in content if kinds.SECTION.match(line) or kinds.is_key_value(line)]
    if len(pairs) * 2 >= len(content):
        writer.add("values", [line for line in pairs if not line[:1].isspace()] or pairs)
    else:
        writer.count(len(content) - 1 + lines.missing, "row", "rows")
        writer.add("columns", content[:1])
        writer.add("last row", content[-1:])


def _listing_fields(writer: _FieldWriter, lines: Lines) -> None:
    paths = [path for path in lines.judged(kinds.matched_paths) if path is not None]
    matches = Counter(paths)
    if len(matches) < len(paths):
        writer.count(len(paths), "match", "matches")
        writer.count(len(matches), "file", "files")
        writer.add("files", (f"{path}: {number}" for path, number in matches.items()))
        return
    writer.count(len(matches), "entry", "entries")
    folders = Counter(path.rstrip("/").rpartition("/")[0] for path in matches)
    if 1 < len(folders) < len(matches):
        writer.add("folders", (f"{folder or '.'}: {number}" for folder, number in folders.items()))
    writer.add("entries", matches)


def _json_fields(writer: _FieldWriter, lines: Lines) -> None:
    opening = _OPENING_BRACKET.search(lines.text, 0, JSON_SCANNED)
    start = opening.start() if opening else 0  # After what a harness put before the output.
    opener, records, members = _json_outline(lines.text[start : start + JSON_SCANNED])
    cut = "+" if len(lines.text) > start + JSON_SCANNED else ""
    if records > 1:
        writer.counts.append(f"{records}{cut} records")
    if opener == "[":
        writer.counts.append(f"array of {len(members)}{cut}")
        writer.add("first item", [member.described("") for member in members[:1]])
        return
    # Only the member in which the scan ended can be longer than it seems.
    last = len(members) - 1
    writer.add("keys", (member.described(cut if index == last else "") for index, member in enumerate(members)))


@dataclass(slots=True)
class _Member:
    """One value inside the outermost container of a JSON text: its key, its first token, what is inside."""

    key: str
    token: str
    size: int
    names: list[str]

    def described(self, cut: str) -> str:
        """Return the member in one line; *cut* marks a size that may be larger."""
        label = f"{self.key}: " if self.key else ""
        if self.token == "[":
            return f"{label}array of {self.size}{cut}"
        if self.token == "{":
            more = ", ..." if len(self.names) > JSON_NAMES_MOST else ""
            return f"{label}object of {self.size}{cut}: {', '.join(self.names[:JSON_NAMES_MOST])}{more}"
        return f"{label}{self.token}"


def _json_outline(text: str) -> tuple[str, int, list[_Member]]:
    """Return the first token of a JSON text, the number of values, and the members of the first one.

    The text may be malformed, cut off, nested to any depth, or JSON lines: ``json.loads`` refuses all of these.
    """
    opener, records, key = "", 0, ""
    members: list[_Member] = []
    nesting: list[str] = []
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
                records += 1
                opener = opener or token
            elif records == 1 and depth == 1:
                if is_name:
                    key = _unquoted(token)
                else:
                    members.append(_Member(key, token, 0, []))
                    key = ""
            elif records == 1 and depth == 2 and members:
                if is_name:
                    members[-1].names.append(_unquoted(token))
                if is_name or nesting[-1] == "[":
                    members[-1].size += 1
            if token in ("{", "["):
                nesting.append(token)
        after_colon = token == ":"
    return opener, records, members


def _unquoted(token: str) -> str:
    return token[1:-1] if len(token) > 1 and token[0] == token[-1] == '"' else token


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


_TURN = re.compile(
    r"\s*(?=\S)(?:#{1,6}\s*|\*\*|\[)?(?i:user|human|assistant|agent|system|tool|developer)\b.{0,40}?[:>]"
)
_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
_OPENING_BRACKET = re.compile(r"^[^\S\n]*[\[{]", re.MULTILINE)
_COMMENT = re.compile(r"\s*(?:\"\"\"|'{3}|#(?!!)|//|/\*|<!--|--)\s*\w|\s*\*\s+\w")
_HAS_LINE_NUMBER = re.compile(r"\s{0,8}\d{1,7}(?:→|\t|:|\s?\|)")
_HUNK = re.compile(r"@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_DIFF_FILE = re.compile(r"diff --git a/.* b/(.*)|\+\+\+ (?:b/)?([^\t]*)|--- (?:a/)?([^\t]*)")
_PATH = re.compile(
    r"https?://[^\s<>\"'`)\]}]{3,160}"
    r"|(?<![\w@.+~/-])(?:[\w@.+~-]{0,80}/){1,30}[\w@.+-]{0,80}\.[A-Za-z]\w{0,7}(?::\d{1,7})?"
)

_BY_KIND: Mapping[ContentKind, tuple[Callable[[Lines], list[int]], Callable[[_FieldWriter, Lines], None]]] = {
    ContentKind.PROSE: (_prose_weights, _prose_fields),
    ContentKind.SOURCE_CODE: (_code_weights, _code_fields),
    ContentKind.JSON: (_json_weights, _json_fields),
    ContentKind.LOG: (_log_weights, _log_fields),
    ContentKind.DIFF: (_diff_weights, _diff_fields),
    ContentKind.TABLE: (_table_weights, _table_fields),
    ContentKind.SEARCH_LISTING: (_listing_weights, _listing_fields),
}
