"""Reports as HTML pages: no script, no other file, readable in dark and light, on phones and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, map_title, residency_map
from clawvm_pictures.session_record import read_session
from clawvm_pictures.svg import Markup, escaped, is_wide
from clawvm_replay.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Preformatted,
    ReportVerdict,
    Table,
    Value,
    cell_text,
    plain,
)
from clawvm_runtime.decision_trace import Event

__all__ = [
    "Section",
    "figure",
    "figures",
    "html",
    "inline_html",
    "map_page",
    "page",
    "report_section",
]

_NOTATION = re.compile(
    r"\\(?P<literal>[\\`*\[\]|<>&~_])"
    r"|`(?P<code>[^`]+)`"
    r"|\[(?P<label>[^\[\]]*)\]\((?P<target>(?:https?:|mailto:|(?![^()\s]*:))[^()\s]*)\)"
    r"|\*\*(?=\S)(?P<strong>(?:\\.|[^*\\])+)(?<=\S)\*\*"
    r"|(?<![\w*])\*(?=\S)(?P<emphasis>(?:\\.|[^*\\])+)(?<=\S)\*(?![\w*])"
)
"""The notation of ``clawvm_replay.document``; a link with any other scheme stays text."""

_PERCENT = re.compile(r"(?<=[0-9]) %")
_SHORT_NAME = 40
_MANY_COLUMNS = 12


def inline_html(text: str) -> Markup:
    """Return a line in the notation of documents as HTML; a number keeps its percent sign."""
    parts = []
    at = 0
    for match in _NOTATION.finditer(text):
        parts += [_escaped(text[at : match.start()]), _span(match)]
        at = match.end()
    return Markup("".join([*parts, _escaped(text[at:])]))


def _escaped(text: str) -> str:
    return _PERCENT.sub("&#160;%", escaped(text))


def _span(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "literal":
        return escaped(match[kind])
    if kind == "code":
        return f"<code>{escaped(match[kind].strip())}</code>"
    if kind == "target":
        return f'<a href="{escaped(match[kind])}">{inline_html(match["label"])}</a>'
    assert kind is not None
    name = {"strong": "strong", "emphasis": "em"}[kind]
    return f"<{name}>{inline_html(match[kind])}</{name}>"


def html(blocks: Iterable[Block], *, highest: int = 1, caption: str = "") -> Markup:
    """Return a document as HTML.

    A heading of level n becomes ``hn``, but none is above *highest*. Screen readers read a table's caption: the heading
    above it, or *caption* where there is none. O(length of the document).
    """
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            caption = _bare(block.text)
            level = max(highest, block.level)
            parts.append(f"<h{level}>{inline_html(block.text)}</h{level}>")
        elif isinstance(block, Bullets):
            parts.append(f"<ul>{''.join(f'<li>{inline_html(item)}</li>' for item in block.items)}</ul>")
        elif isinstance(block, Preformatted):
            parts.append(f'<pre class="scroll" tabindex="0">{escaped(block.text.rstrip())}</pre>')
        elif isinstance(block, Table):
            parts.append(_table(block, escaped(caption or "Table")))
        else:
            parts.append(f"<p>{inline_html(block.text)}</p>")
    return Markup("\n".join(parts))


def _bare(text: str) -> str:
    """Return a heading without the signs of the notation."""
    return re.sub(r"[`*]|\\(?=\W)", "", text)


def _table(table: Table, caption: Markup) -> str:
    styles = [' class="number"' if numeric else "" for numeric in table.numeric()]
    head = "".join(f'<th scope="col"{style}>{inline_html(name)}</th>' for name, style in zip(table.columns, styles))
    body = []
    for first, *rest in table.rows:
        cells = "".join(f"<td{style}>{_value(value)}</td>" for value, style in zip(rest, styles[1:]))
        body.append(f'<tr><th scope="row">{_value(first)}</th>{cells}</tr>')
    looks = ["names"] if all(len(cell_text(row[0])) <= _SHORT_NAME for row in table.rows) else []
    looks += ["many"] if len(table.columns) > _MANY_COLUMNS else []
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table class="{" ".join(looks)}">'
        f'<caption class="unseen">{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


_VERDICTS = {True: "good", False: "bad", None: "neither"}


def _value(value: Value) -> str:
    content = inline_html(cell_text(value))
    return f'<span class="{_VERDICTS[value.good]}">{content}</span>' if isinstance(value, ReportVerdict) else content


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
.scroll{overflow-x:auto;max-width:100%;position:relative;background:
linear-gradient(to left,var(--paper) 50%,transparent) right/2.5rem 100% no-repeat local,
linear-gradient(to left,var(--rule),transparent) right/1rem 100% no-repeat scroll}
pre.scroll{background:var(--shade)}
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
@media (min-width:62rem),print{
.figures>:last-child:nth-child(odd):not(.wide,:first-child){
grid-column:1/-1;justify-self:center;width:calc(50% - .75rem)}}
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
.scroll .cvp-wide{max-width:100%;height:auto}
table{font-size:8.5pt}
}
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a page; ``body`` is HTML as ``html``, ``figure`` and the like return it."""

    title: str
    body: Markup


def figure(svg: str, caption: str = "") -> Markup:
    """Return a picture with a caption (one line in the notation); a wide one scrolls in its own box."""
    text = f"<figcaption>{inline_html(caption)}</figcaption>" if caption else ""
    if not is_wide(svg):
        return Markup(f"<figure>{svg}{text}</figure>")
    # Whoever has no pointer scrolls by the keyboard, and so has to be able to get there.
    box = '<div class="scroll" tabindex="0" role="region" aria-label="Picture that scrolls sideways">'
    return Markup(f'<figure class="wide">{box}{svg}</div>{text}</figure>')


def figures(pictures: Iterable[str]) -> Markup:
    """Return pictures side by side, as many as fit."""
    shown = "".join(map(figure, pictures))
    return Markup(f'<div class="figures">{shown}</div>' if shown else "")


def report_section(
    report: Sequence[Block], pictures: Mapping[str, str] | None = None, *, question: str = ""
) -> Section:
    """Return a section from a report that begins with a heading; its SVG texts follow its first paragraph.

    The *question* that the report answers (one line in the notation) is between heading and report.
    """
    first, *rest = report
    assert isinstance(first, Heading)
    title = _bare(first.text)
    # The first paragraph leads; then the pictures answer; tables and details follow.
    lead = [rest.pop(0)] if rest and isinstance(rest[0], Paragraph) else []
    parts = [
        f'<p class="question">{inline_html(question)}</p>' if question else "",
        html(lead),
        figures((pictures or {}).values()),
        html(rest, highest=3, caption=title),
    ]
    return Section(title, Markup("\n".join(part for part in parts if part)))


def page(title: str, sections: Sequence[Section], *, lead: Sequence[Block] = ()) -> str:
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
        f"<header><h1>{escaped(title)}</h1>\n{html(lead)}</header>\n{contents}<main>\n{body}\n</main>\n"
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


_ROWS_MOST = 500

_READING: Sequence[Block] = (
    Paragraph(
        "Each row is a page, each column the prompt of a turn. The higher and the stronger the colour, the more of the "
        "page was in that prompt: none, pointer, structured, compressed, full. Nothing at all means that the page was "
        "not declared yet. On hover a cell shows the decision behind it; equal cells side by side are one rectangle, "
        "their numbers as ranges."
    ),
    Bullets(
        (
            "A vertical line is a compaction or a reset before the prompt to its right.",
            "A small ring is a page-in: the demand was served from the stored result.",
            "Each kind of fault has a shape of its own. A hollow one was caused by pressure: no policy could have "
            "avoided it.",
            "`left` in a text is the number of tokens left when the decision was made.",
        )
    ),
)


def map_page(
    events: Sequence[Event],
    title: str | None = None,
    *,
    turns: tuple[int, int] | None = None,
    pages_most: int = PAGES_MOST,
) -> str:
    """Return a residency map as a page, with its faults and boundaries as tables for those who cannot see it.

    Arguments and errors are those of ``residency_map``.
    """
    svg = residency_map(events, title, turns=turns, pages_most=pages_most)
    record = read_session(events, *(turns or (1, TURNS_MOST)))
    faults = [(str(mark.turn), plain(mark.page or "(a recall)"), plain(mark.text)) for mark in record.faults]
    boundaries = [(str(mark.turn), mark.boundary, plain(mark.session or "-")) for mark in record.boundaries]
    sections = [Section("The map", figure(svg)), Section("How to read it", html(_READING))]
    for name, columns, rows in (
        ("Faults", ("turn", "page", "fault"), faults),
        ("Boundaries", ("before turn", "boundary", "session that begins"), boundaries),
    ):
        if rows:
            more = [Paragraph(f"The first {_ROWS_MOST:,} of {len(rows):,}.")] if len(rows) > _ROWS_MOST else []
            table = Table(columns, rows[:_ROWS_MOST])
            sections.append(Section(name, html([*more, table], caption=f"{name} in these turns")))
    return page(title or map_title(record), sections)
