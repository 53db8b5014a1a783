"""A residency map as an HTML page, with its faults and boundaries as tables for those who cannot see it.

=========  ==========================================
map_page   the page of a decision trace
=========  ==========================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape

from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, map_title, residency_map
from clawvm_pictures.session_record import read_session
from clawvm_pictures.svg import Markup, escaped, is_wide, text_width
from clawvm_replay.document import Block, Bullets, Heading, Paragraph, Preformatted, Table, Value, Verdict, cell_text
from clawvm_runtime.decision_trace import Event

__all__ = [
    "Section",
    "figure",
    "figures",
    "html",
    "html_table",
    "inline_html",
    "map_page",
    "markdown_html",
    "markdown_section",
    "page",
    "report_section",
]


# --- The project's own Markdown reports as HTML: the small part of Markdown that they use, everything else as text.

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
_ITEM = re.compile(r"(?:[-*+]|(\d{1,9})[.)])[ \t]+(.*)")
_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_LITERAL = re.compile(r"\\(&lt;|&gt;|[\\`*\[\]|])")
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

    line = _LITERAL.sub(lambda match: keep(match[1]), escaped(text))
    line = _CODE.sub(lambda match: keep(f"<code>{match[2].strip()}</code>"), line)
    line = _PERCENT.sub("&#160;%", _emphasized(_LINK.sub(link, line)))
    while "\0" in line:
        line = _KEPT.sub(lambda match: kept[int(match[1])], line)
    return Markup(line)


def _emphasized(line: str) -> str:
    return _EMPHASIS.sub(r"<em>\1</em>", _BOLD.sub(r"<strong>\1</strong>", line))


def html(blocks: Iterable[Block], *, highest: int = 1, caption: str = "") -> Markup:
    """Return a document as HTML.

    A heading of level n becomes ``hn``, but none stands above *highest*. A table is named after the heading above it,
    or *caption* where there is none.
    """
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            caption = re.sub(r"[`*]", "", block.text)
            level = max(highest, block.level)
            parts.append(f"<h{level}>{inline_html(block.text)}</h{level}>")
        elif isinstance(block, Bullets):
            parts.append(f"<ul>{''.join(f'<li>{inline_html(item)}</li>' for item in block.items)}</ul>")
        elif isinstance(block, Preformatted):
            parts.append(_preformatted(block.text.split("\n")))
        elif isinstance(block, Table):
            header = [inline_html(name) for name in block.columns]
            rows = [[_cell_html(value) for value in row] for row in block.rows]
            parts.append(_table(escaped(caption or "Table"), header, rows, block.numeric(), seen=False))
        else:
            parts.append(f"<p>{inline_html(block.text)}</p>")
    return Markup("\n".join(parts))


def _cell_html(value: Value) -> Markup:
    text = inline_html(cell_text(value))
    if isinstance(value, Verdict):
        look = {True: "good", False: "bad", None: "neither"}[value.good]
        return Markup(f'<span class="{look}">{text}</span>')
    return text


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


# --- A self-contained HTML page: no script, no other file, readable in dark and light, on phones and on paper.

_STYLE = """
:root{color-scheme:light;--paper:#FFFFFF;--ink:#1B1F24;--muted:#57606A;--rule:#D8DEE4;--shade:#F3F5F7;--link:#0A58A6;
--good:#116329;--bad:#A40E26}
@media screen and (prefers-color-scheme:dark){
:root{color-scheme:dark;--paper:#15181D;--ink:#E6EAEF;--muted:#9AA4AF;--rule:#343B44;--shade:#1E232A;--link:#8CC4FF;
--good:#7EE2A0;--bad:#FF9B9B}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
main,header,nav,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .5rem}
h2{font-size:1.35rem;line-height:1.3;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1.1rem;margin:1.75rem 0 .5rem}
h4,h5,h6{font-size:1rem;margin:1.25rem 0 .5rem}
p,ul,ol,pre{margin:.6rem 0;max-width:50rem}
h1,h2,h3,p,li,th,td,caption,figcaption{overflow-wrap:break-word}
a{color:var(--link)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.875em}
code{background:var(--shade);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
pre{background:var(--shade);padding:.75rem;border-radius:4px}
nav ol{columns:18rem;padding-left:1.5rem;max-width:none}
.scroll{overflow-x:auto;max-width:100%;position:relative}
.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
table{border-collapse:separate;border-spacing:0;font-size:.9rem;margin:.75rem 0}
caption{text-align:left;color:var(--muted);font-size:.85rem;padding-bottom:.3rem}
.question{color:var(--muted);font-style:italic}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{padding:.3rem .65rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--rule);min-width:3.5rem}
thead th{border-bottom:2px solid var(--muted);vertical-align:bottom}
tbody th{font-weight:500}
tbody th,thead th:first-child{position:sticky;left:0;background:var(--paper)}
.many th,.many td{padding:.3rem .35rem;min-width:2.5rem}
td.number{white-space:nowrap}
@media (min-width:48.01rem){
.names tbody th{white-space:nowrap}}
.number{text-align:right;font-variant-numeric:tabular-nums}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,29rem),1fr));gap:1.5rem;margin:1rem 0}
figure{margin:0;min-width:0}
figure:not(.wide) .cvp{display:block;width:100%;max-width:44rem}
figure.wide{grid-column:1/-1}
@media (max-width:48rem){
figure.wide::after,.scroll.wide::before{content:"Scroll sideways to see all of it."}}
@media (max-width:30rem){
.scroll.broad::before{content:"Scroll sideways to see all of it."}}
figure.wide::after,.scroll::before{color:var(--muted);font-size:.85rem}
figcaption{color:var(--muted);font-size:.9rem;margin-top:.25rem;max-width:50rem}
.good,.bad,.neither{font-weight:600;white-space:nowrap}
.good{color:var(--good)}
.bad{color:var(--bad)}
.neither{color:var(--muted)}
footer{color:var(--muted);font-size:.85rem;padding-top:2rem;padding-bottom:2rem}
@media print{
body{font-size:10.5pt}
main,header,nav,footer{max-width:none;padding:0}
a{color:inherit}
h2,h3,h4{break-after:avoid}
figure,tr{break-inside:avoid}
thead{display:table-header-group}
.figures{grid-template-columns:1fr 1fr}
.scroll{overflow:visible}
figure.wide::after,.scroll::before{content:none!important}
.scroll .cvp-wide{max-width:100%;height:auto}
table{font-size:8.5pt}
}
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a page; ``body`` is HTML as ``markdown_html``, ``figure`` and the like return it."""

    title: str
    body: Markup


def figure(svg: str, caption: str = "") -> Markup:
    """Return a picture of this package with a caption (one line of Markdown); a wide one scrolls in its own box."""
    told = f"<figcaption>{inline_html(caption)}</figcaption>" if caption else ""
    if not is_wide(svg):
        return Markup(f"<figure>{svg}{told}</figure>")
    # Whoever has no pointer scrolls by the keyboard, and so has to be able to get there.
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Picture that scrolls sideways">'
    return Markup(f'<figure class="wide">{box}{svg}</div>{told}</figure>')


def figures(pictures: Sequence[str]) -> Markup:
    """Return pictures side by side, as many as fit."""
    return Markup(f'<div class="figures">{"".join(figure(svg) for svg in pictures)}</div>') if pictures else Markup("")


def report_section(
    report: Sequence[Block], pictures: Mapping[str, str] | None = None, *, question: str = ""
) -> Section:
    """Return a section from a report that begins with a heading; its SVG texts stand behind its first paragraph.

    The *question* that the report answers (one line in the notation of documents) stands between heading and report.
    """
    title = re.sub(r"[`*]", "", report[0].text) if report and isinstance(report[0], Heading) else "Report"
    # The first paragraph leads; then the pictures answer; tables and details follow.
    rest = list(report[1:])
    lead = [rest.pop(0)] if rest and isinstance(rest[0], Paragraph) else []
    parts = [
        f'<p class="question">{inline_html(question)}</p>' if question else "",
        html(lead, highest=3, caption=title),
        figures(list((pictures or {}).values())),
        html(rest, highest=3, caption=title),
    ]
    return Section(title, Markup("\n".join(part for part in parts if part)))


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
        figures(list((pictures or {}).values())),
        markdown_html(details, highest=3, caption=title),
    ]
    return Section(title, Markup("\n".join(part for part in parts if part)))


def page(title: str, sections: Sequence[Section], *, lead: Sequence[Block] | str = ()) -> str:
    """Return a whole HTML page in ASCII: title, *lead*, table of contents, sections.

    O(length of what it holds).
    """
    anchors = _anchors([section.title for section in sections])
    entries = "".join(
        f'<li><a href="#{anchor}">{escaped(section.title)}</a></li>' for anchor, section in zip(anchors, sections)
    )
    contents = f'<nav aria-label="Contents"><h2>Contents</h2><ol>{entries}</ol></nav>\n' if len(sections) > 1 else ""
    body = "\n".join(
        f'<section><h2 id="{anchor}">{escaped(section.title)}</h2>\n{section.body}\n</section>'
        for anchor, section in zip(anchors, sections)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{escaped(title)}</h1>\n{markdown_html(lead) if isinstance(lead, str) else html(lead)}</header>\n{contents}<main>\n{body}\n</main>\n"
        "</body>\n</html>\n"
    )


def _anchors(titles: Sequence[str]) -> list[str]:
    """Return an anchor for each title, made from its ASCII letters and digits, each only once."""
    taken: set[str] = set()
    anchors = []
    for title in titles:
        words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        anchor, number = words, 1
        while anchor in taken:
            number += 1
            anchor = f"{words}-{number}"
        taken.add(anchor)
        anchors.append(anchor)
    return anchors


# --- A residency map as an HTML page, with its faults and boundaries as tables for those who cannot see it.

_ROWS_MOST = 500

_READING = """
Each row is a page, each column the prompt of a turn. The higher and the stronger the colour, the more of the page stood
in that prompt: none, pointer, structured, compressed, full. Nothing at all means that the page was not declared yet. A
cell tells the decision behind it on hover; equal cells side by side are one rectangle, their numbers as ranges.

- A vertical line is a compaction or a reset before the prompt to its right.
- A small ring is a page-in: the demand was served from the stored result.
- Each kind of fault has a shape of its own. A hollow one was caused by pressure: no policy could have avoided it.
- `left` in a text counts the tokens that were left when the decision was made.
"""


def map_page(
    events: Sequence[Event],
    title: str | None = None,
    *,
    turns: tuple[int, int] | None = None,
    pages_most: int = PAGES_MOST,
) -> str:
    """Return the page; arguments and errors are those of ``residency_map``."""
    svg = residency_map(events, title, turns=turns, pages_most=pages_most)
    record = read_session(events, *(turns or (1, TURNS_MOST)))
    sections = [Section("The map", figure(svg)), Section("How to read it", markdown_html(_READING))]
    if record.faults:
        rows = [(fault.turn, fault.page or "(a look-up)", fault.text) for fault in record.faults[:_ROWS_MOST]]
        table = html_table("Faults in these turns", ["turn", "page", "fault"], rows, [True])
        sections.append(Section("Faults", Markup(_more(len(record.faults)) + table)))
    if record.boundaries:
        ends = [(mark.turn, mark.boundary, mark.session or "-") for mark in record.boundaries[:_ROWS_MOST]]
        header = ["before turn", "boundary", "session that begins"]
        table = html_table("Boundaries in these turns", header, ends, [True])
        sections.append(Section("Boundaries", Markup(_more(len(record.boundaries)) + table)))
    return page(title or map_title(record), sections)


def _more(count: int) -> str:
    return markdown_html(f"The first {_ROWS_MOST:,} of {count:,}.") if count > _ROWS_MOST else ""
