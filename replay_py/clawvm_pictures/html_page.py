"""A self-contained HTML page: no script, no other file, readable in dark and light, on phones and on paper.

===============  ==================================================================
Section          a titled part of a page
report_section   a section from a Markdown report and its pictures
figure           a picture with its caption
figures          pictures side by side
page             the whole page
===============  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clawvm_pictures.markdown import inline_html, markdown_html
from clawvm_pictures.svg import Markup, escaped, is_wide

__all__ = ["Section", "figure", "figures", "page", "report_section"]

_STYLE = """
:root{color-scheme:light;--paper:#FFFFFF;--ink:#1B1F24;--muted:#57606A;--rule:#D8DEE4;--shade:#F3F5F7;--link:#0A58A6}
@media screen and (prefers-color-scheme:dark){
:root{color-scheme:dark;--paper:#15181D;--ink:#E6EAEF;--muted:#9AA4AF;--rule:#343B44;--shade:#1E232A;--link:#8CC4FF}}
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


def report_section(markdown: str, pictures: Mapping[str, str] | None = None, *, question: str = "") -> Section:
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


def page(title: str, sections: Sequence[Section], *, lead: str = "") -> str:
    """Return a whole HTML page in ASCII: title, *lead* (Markdown), table of contents, sections.

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
        f"<header><h1>{escaped(title)}</h1>\n{markdown_html(lead)}</header>\n{contents}<main>\n{body}\n</main>\n"
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
