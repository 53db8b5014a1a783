"""Typed fields of a text by its kind of content, for pages without rules of their own.

============  ============================================================================
PATHS_MOST    how many paths the field of paths holds
fields        kind, size and counts on the first line, then labelled fields of whole lines
============  ============================================================================

``[... 7 more ...]`` stands where a field has more items than it may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from clawvm_runtime.content_kinds import ContentKind
from clawvm_runtime.json_outline import outline_json
from clawvm_runtime.line_kinds import (
    definitions,
    failure_ranks,
    headings,
    is_key_value,
    key_values,
    matched_paths,
    sure_failures,
)
from clawvm_runtime.text_lines import (
    ITEM_LENGTH,
    LONG_LINE,
    Lines,
    is_section,
    key_points,
    lines_of,
    lines_with,
    matching,
    summaries,
)
from clawvm_runtime.vocabulary import PageType

__all__ = ["PATHS_MOST", "fields"]

STRUCTURED_SHARE = 5  # structured aims at one fifth of the text ...
STRUCTURED_LEAST = 300  # ... but may always use this much ...
STRUCTURED_MOST = 16_000  # ... and never more than this
PATHS_MOST = 16
JSON_SCANNED = 65_536


def fields(text: str, kind: ContentKind, page_type: PageType, lines: Lines | None = None) -> str:
    """Return the fields of *text* that its kind of content has, in about a fifth of its length.

    *lines* are those of the text, if they are at hand.
    """
    lines = lines_of(text) if lines is None else lines
    sheet = _Sheet(min(STRUCTURED_MOST, max(STRUCTURED_LEAST, len(text) // STRUCTURED_SHARE)))
    if page_type is PageType.CONVERSATION_SEGMENT:
        sheet.add("turns", (lines.kept[number] for number in matching(_TURN, lines.kept)))
    _FIELDS[kind](sheet, lines, text)
    return "\n".join([", ".join([kind.value, f"{lines.total} lines", *sheet.counts]), *sheet.lines])


_TURN = re.compile(
    r"\s*(?=\S)(?:#{1,6}\s*|\*\*|\[)?(?i:user|human|assistant|agent|system|tool|developer)\b.{0,40}?[:>]"
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


def _item(line: str) -> str:
    """Return *line* cut to what one item of a field may hold."""
    return line if len(line) <= ITEM_LENGTH else line[:ITEM_LENGTH] + "…"


def _prose_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    del text
    kept = lines.kept
    titles = frozenset(lines.judged(headings))
    opening = next((index for index, line in enumerate(kept) if line.strip() and _is_body(index, line, titles)), None)
    points, values = (
        (line for index, line in _at(kept, lines.judged(judge)) if index != opening and _is_body(index, line, titles))
        for judge in (key_points, key_values)
    )
    failures = _at(kept, lines.judged(sure_failures))
    sheet.add("opening", [] if opening is None else [kept[opening]])
    sheet.add("headings", (line for index, line in _at(kept, lines.judged(headings)) if not _TURN.match(line)))
    sheet.add("failures", (line for index, line in failures if _is_body(index, line, titles)))
    sheet.add("key points", points)
    sheet.add("values", values)
    sheet.add("paths", _paths(kept))


def _is_body(index: int, line: str, titles: Collection[int]) -> bool:
    """Return whether a line of prose is neither a heading nor the beginning of a turn."""
    return index not in titles and not _TURN.match(line)


def _at(lines: Sequence[str], numbers: Iterable[int]) -> Iterator[tuple[int, str]]:
    return ((number, lines[number]) for number in numbers)


def _code_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    sheet.add("opening", [next((line for line in lines.kept[:5] if _COMMENT.match(line)), "")])
    sheet.add("definitions", _definitions(lines))
    if "://" in text:
        sheet.add("addresses", (path for path in _paths(lines.kept) if "://" in path))


def _definitions(lines: Lines) -> Iterator[str]:
    """Yield the lines that define something, each with its number unless the text numbers its lines."""
    for index, line in _at(lines.kept, lines.judged(definitions)):
        number = index + 1 + (lines.missing if index >= lines.hole else 0)
        yield line.rstrip() if _NUMBERED.match(line) else f"{number}: {line.rstrip()}"


def _log_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    del text
    kept = lines.kept
    ranks = lines.judged(failure_ranks)
    sure = [line.strip() for line, rank in zip(kept, ranks) if rank == 2]
    likely = [line.strip() for line, rank in zip(kept, ranks) if rank == 1]
    sheet.count(len(sure or likely), "failure line", "failure lines")
    sheet.count(len(lines_with("\n".join(kept).lower(), ["warning"])), "warning", "warnings")
    sheet.add("commands", (line for line in kept if line.startswith("$ ")))
    sheet.add("summary", (line.strip() for index, line in _at(kept, lines.judged(summaries))))
    sheet.add("failures", sure or likely)
    sheet.add("paths", _paths(kept))
    sheet.add("last line", [next((line for line in reversed(kept) if line.strip()), "")])


def _diff_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
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


def _table_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    del text
    content = [line for line in lines.kept if line.strip()]
    pairs = [line for line in content if is_section(line) or is_key_value(line)]
    if len(pairs) * 2 >= len(content):
        sheet.add("values", [line for line in pairs if not line[:1].isspace()] or pairs)
    else:
        sheet.count(len(content) - 1 + lines.missing, "row", "rows")
        sheet.add("columns", content[:1])
        sheet.add("last row", content[-1:])


def _listing_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    del text
    paths = [path for path in lines.judged(matched_paths) if path is not None]
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


def _json_fields(sheet: _Sheet, lines: Lines, text: str) -> None:
    del lines
    opening = _JSON_OPENING.search(text, 0, JSON_SCANNED)
    start = opening.start() if opening else 0  # After what a harness set before the output.
    outline = outline_json(text[start : start + JSON_SCANNED])
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


_JSON_OPENING = re.compile(r"^[^\S\n]*[\[{]", re.MULTILINE)
_COMMENT = re.compile(r"\s*(?:\"\"\"|'{3}|#(?!!)|//|/\*|<!--|--)\s*\w|\s*\*\s+\w")
_NUMBERED = re.compile(r"\s{0,8}\d{1,7}(?:→|\t|:|\s?\|)")
_HUNK = re.compile(r"@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_DIFF_FILE = re.compile(r"diff --git a/.* b/(.*)|\+\+\+ (?:b/)?([^\t]*)|--- (?:a/)?([^\t]*)")
_PATH = re.compile(
    r"https?://[^\s<>\"'`)\]}]{3,160}"
    r"|(?<![\w@.+~/-])(?:[\w@.+~-]{0,80}/){1,30}[\w@.+-]{0,80}\.[A-Za-z]\w{0,7}(?::\d{1,7})?"
)
_FIELDS: Mapping[ContentKind, Callable[[_Sheet, Lines, str], None]] = MappingProxyType(
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
