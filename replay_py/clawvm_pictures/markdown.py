"""The project's own Markdown reports as HTML: the small part of Markdown that they use, everything else as text.

================  ======================================================================
markdown_html     headings, paragraphs, lists, tables, code, **bold**, *emphasis*, links
inline_html       the same within one line
html_table        a table from plain values
================  ======================================================================

Whatever the text holds, no tag of it survives: all of it is escaped first. Links with a scheme other than http, https
or mailto stay text. Tables scroll in a box of their own where they are wider than the page, and say so on
small screens. Which columns are numbers is told by the Markdown: ``clawvm_replay.reports.table`` decides it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import unescape

from clawvm_pictures.lettering import text_width
from clawvm_pictures.svg import Markup, escaped

__all__ = ["html_table", "inline_html", "markdown_html"]

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_ITEM = re.compile(r"(?:[-*+]|(\d{1,9})[.)])[ \t]+(.*)")
_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LINK = re.compile(r"\[([^\[\]]*)\]\(([^()\s\0]*)\)")
_BOLD = re.compile(r"\*\*(?=\S)([^*]+)(?<=\S)\*\*")
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=\S)([^*]+)(?<=\S)\*(?![\w*])")
_KEPT = re.compile("\0([0-9]+)\0")
_SAFE_TARGET = re.compile(r"(?:https?:|mailto:|[^:]*$)", re.IGNORECASE)
_TAG = re.compile("<[^>]*>")
_PERCENT = re.compile(r"(?<=[0-9]) %")
_DEEPEST = 20
_LETTERS, _PADDING = 14.4, 20.8  # The page's tables in pixels: font size, and what a cell has beside its text.
_PHONE, _TABLET = 358.0, 736.0  # Room for a table at 390 and 768 pixels.
_SHORT_NAME = 40
_MANY = 12


def markdown_html(text: str, *, highest: int = 1, caption: str = "") -> Markup:
    """Return a Markdown text as HTML.

    A heading with n signs becomes ``hn``, but none stands above *highest*. A table is named after the heading above it,
    or *caption* where there is none. O(length of the text) for texts whose lists are not nested deeply.
    """
    return Markup("\n".join(_Blocks(text.replace("\r\n", "\n").split("\n"), highest, caption, 0).html()))


def inline_html(text: str) -> Markup:
    """Return one line of Markdown as HTML: `code`, **bold**, *emphasis* and links; a number keeps its percent sign."""
    kept: list[str] = []

    def keep(html: str) -> str:
        # Escaped text has no such character, so a place is never mistaken.
        kept.append(html)
        return f"\0{len(kept) - 1}\0"

    def link(match: re.Match[str]) -> str:
        if not _SAFE_TARGET.match(match[2]):
            return match[0]
        return keep(f'<a href="{match[2]}">{_emphasized(match[1])}</a>')

    line = _CODE.sub(lambda match: keep(f"<code>{match[2].strip()}</code>"), escaped(text))
    line = _PERCENT.sub("&#160;%", _emphasized(_LINK.sub(link, line)))
    while "\0" in line:
        line = _KEPT.sub(lambda match: kept[int(match[1])], line)
    return Markup(line)


def _emphasized(line: str) -> str:
    return _EMPHASIS.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", line))


def html_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[bool]
) -> Markup:
    """Return a table of plain values as HTML; the columns marked in *numbers* are right-aligned."""
    texts = [[escaped(str(value)) for value in row] for row in rows]
    return _table(escaped(caption), [escaped(name) for name in header], texts, numbers)


def _table(
    caption: Markup,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Sequence[bool],
    *,
    seen: bool = True,
) -> Markup:
    """Return a table; a caption that is not *seen*, because a heading says it already, is read by screen readers."""

    def cell(name: str, text: str, column: int, scope: str = "") -> str:
        style = ' class="number"' if column < len(numbers) and numbers[column] else ""
        return f"<{name}{scope}{style}>{text}</{name}>"

    head = "".join(cell("th", text, column, ' scope="col"') for column, text in enumerate(header))
    body = []
    body_rows = list(rows)
    for row in body_rows:
        first = cell("th", row[0], 0, ' scope="row"') if row else ""
        body.append(f"<tr>{first}{''.join(cell('td', text, n) for n, text in enumerate(row[1:], start=1))}</tr>")
    style = "" if seen else ' class="unseen"'
    plain = [[_plain(text) for text in row] for row in (header, *body_rows)]
    looks = ["names"] if all(len(row[0]) <= _SHORT_NAME for row in plain[1:] if row) else []
    looks += ["many"] if len(header) > _MANY else []
    look = f' class="{" ".join(looks)}"' if looks else ""
    return Markup(
        f'<div class="scroll{_hint(plain)}" tabindex="0" role="region" aria-label="{caption}"><table{look}>'
        f"<caption{style}>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _plain(html: str) -> str:
    return unescape(_TAG.sub("", html))


def _hint(rows: Sequence[Sequence[str]]) -> str:
    """Return the classes of a table whose longest words alone are wider than a phone or a tablet, by an estimate."""
    longest: dict[int, float] = {}
    for row in rows:
        for column, text in enumerate(row):
            # A no-break space keeps what stands around it together.
            widest = max((text_width(word, _LETTERS) for word in re.split("[ \n\t]", text)), default=0.0)
            longest[column] = max(longest.get(column, 0.0), widest)
    needed = sum(longest.values()) + _PADDING * len(longest)
    return " wide" if needed > _TABLET else " broad" if needed > _PHONE else ""


class _Blocks:
    """Turns lines into blocks; every handler takes the lines that are its own and leaves the rest."""

    def __init__(self, lines: Sequence[str], highest: int, caption: str, depth: int) -> None:
        self.lines = lines
        self.highest = highest
        self.caption = caption
        self.depth = depth
        self.at = 0

    def html(self) -> list[str]:
        blocks = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
            elif line.startswith("```"):
                blocks.append(self._fenced())
            elif line.startswith("    "):
                blocks.append(self._indented())
            elif heading := _HEADING.fullmatch(line):
                blocks.append(self._heading(len(heading[1]), heading[2]))
            elif self._is_table():
                blocks.append(self._table())
            elif _ITEM.fullmatch(line) and self.depth < _DEEPEST:
                blocks.append(self._list())
            else:
                blocks.append(self._paragraph())
        return blocks

    def _take(self, wanted: Callable[[str], bool]) -> list[str]:
        begin = self.at
        while self.at < len(self.lines) and wanted(self.lines[self.at]):
            self.at += 1
        return list(self.lines[begin : self.at])

    def _fenced(self) -> str:
        self.at += 1
        inside = self._take(lambda line: not line.startswith("```"))
        self.at += 1
        return _preformatted(inside)

    def _indented(self) -> str:
        inside = self._take(lambda line: line.startswith("    ") or not line.strip())
        return _preformatted([line[4:] for line in inside])

    def _heading(self, signs: int, text: str) -> str:
        self.at += 1
        self.caption = re.sub(r"[`*]", "", text.strip())
        level = max(self.highest, signs)
        return f"<h{level}>{inline_html(text.strip())}</h{level}>"

    def _is_table(self) -> bool:
        return (
            "|" in self.lines[self.at]
            and self.at + 1 < len(self.lines)
            and "-" in self.lines[self.at + 1]
            and "|" in self.lines[self.at + 1]
            and _RULE.fullmatch(self.lines[self.at + 1].strip()) is not None
        )

    def _table(self) -> str:
        header, rule, *rows = (_cells(line) for line in self._take(lambda line: "|" in line))
        width = len(header)
        # A row is as long as the header, whatever was written.
        rows = [(row + [""] * width)[:width] for row in rows]
        numbers = [mark.endswith(":") and not mark.startswith(":") for mark in rule]
        texts = [[inline_html(cell) for cell in row] for row in rows]
        names = [inline_html(cell) for cell in header]
        return _table(escaped(self.caption or "Table"), names, texts, numbers, seen=False)

    def _list(self) -> str:
        match = _ITEM.fullmatch(self.lines[self.at])
        assert match is not None
        ordered = match[1] is not None
        items = []
        while self.at < len(self.lines):
            match = _ITEM.fullmatch(self.lines[self.at])
            if match is None or (match[1] is not None) != ordered:
                break
            self.at += 1
            # What is indented, and what goes on without a blank line, belongs to the item.
            rest = self._take(lambda line: bool(line.strip()) and _ITEM.fullmatch(line) is None)
            rest += self._nested()
            inside = [match[2], *(_dedented(line) for line in rest)]
            blocks = _Blocks(inside, self.highest, self.caption, self.depth + 1).html()
            if blocks and blocks[0].startswith("<p>"):
                blocks[0] = blocks[0].removeprefix("<p>").removesuffix("</p>")
            items.append(f"<li>{''.join(blocks)}</li>")
        name = "ol" if ordered else "ul"
        return f"<{name}>{''.join(items)}</{name}>"

    def _nested(self) -> list[str]:
        return self._take(lambda line: line.startswith(("  ", "\t")) and bool(line.strip()))

    def _paragraph(self) -> str:
        begin = self.at
        self.at += 1
        self._take(
            lambda line: (
                bool(line.strip())
                and not line.startswith("```")
                and _HEADING.fullmatch(line) is None
                and _ITEM.fullmatch(line) is None
                and not self._is_table()
            )
        )
        return f"<p>{inline_html(' '.join(line.strip() for line in self.lines[begin : self.at]))}</p>"


def _preformatted(lines: Sequence[str]) -> str:
    return f'<pre class="scroll" tabindex="0">{escaped(chr(10).join(lines).rstrip())}</pre>'


def _dedented(line: str) -> str:
    return line[min(len(line) - len(line.lstrip()), 4) :] if line.startswith("    ") else line.lstrip()


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|")
    if inside.endswith("|") and not inside.endswith("\\|"):
        inside = inside[:-1]
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inside)]
