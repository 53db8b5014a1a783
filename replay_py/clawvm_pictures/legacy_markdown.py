"""Markdown reports as HTML, until every report is built of blocks; then this module goes away."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from clawvm_pictures.pages import Section, figures, html, inline_html
from clawvm_pictures.svg import Markup, escaped
from clawvm_replay.document import Number, Table

__all__ = ["markdown_html", "markdown_section"]

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_ITEM = re.compile(r"(?:[-*+]|(\d{1,9})[.)])[ \t]+(.*)")
_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_DEEPEST = 20


def markdown_html(text: str, *, highest: int = 1, caption: str = "") -> Markup:
    """Return a Markdown text as HTML.

    A heading with n signs becomes ``hn``, but none stands above *highest*. A table is named after the heading above it,
    or *caption* where there is none. O(length of the text) for texts whose lists are not nested deeply.
    """
    return Markup("\n".join(_Blocks(text.replace("\r\n", "\n").split("\n"), highest, caption, 0).html()))


def markdown_section(markdown: str, pictures: Mapping[str, str] | None = None, *, question: str = "") -> Section:
    """Return a section from a report that begins with a heading; its SVG texts stand behind its first paragraph.

    The *question* that the report answers (one line of Markdown) stands between heading and report.
    """
    head, _, rest = markdown.lstrip().partition("\n")
    title = re.sub(r"[`*]", "", head.lstrip("#").strip()) or "Report"
    # The first paragraph leads; then the pictures answer; tables and details follow.
    lead, _, details = rest.strip("\n").partition("\n\n")
    if re.match(r"\||#|[-*+] |\d+[.)] |```| {4}", lead):
        lead, details = "", rest
    parts = [
        f'<p class="question">{inline_html(question)}</p>' if question else "",
        markdown_html(lead, highest=3, caption=title),
        figures((pictures or {}).values()),
        markdown_html(details, highest=3, caption=title),
    ]
    return Section(title, Markup("\n".join(part for part in parts if part)))


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
        typed = [
            [Number(cell) if n < len(numbers) and numbers[n] else cell for n, cell in enumerate(row)] for row in rows
        ]
        return html([Table.of(header, typed)], caption=self.caption)

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
