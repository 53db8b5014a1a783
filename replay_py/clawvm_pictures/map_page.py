"""A residency map as an HTML page, with its faults and boundaries as tables for those who cannot see it.

=========  ==========================================
map_page   the page of a decision trace
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence

from clawvm_pictures.html_page import Section, figure, page
from clawvm_pictures.markdown import html_table, markdown_html
from clawvm_pictures.residency_map import PAGES_MOST, TURNS_MOST, residency_map
from clawvm_pictures.residency_words import map_title
from clawvm_pictures.session_record import read_session
from clawvm_pictures.svg import Markup
from clawvm_runtime.decision_trace import Event

__all__ = ["map_page"]

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
