"""Traces with something changed, and the way through their bytes and back: what shrinking is made of.

===============  ==================================================================
read_back        a trace as a reader of its bytes gets it
with_*           a trace with another header, other turns, other pages
page_in          the page that an item of a trace brings with it
page_names       the pages of a trace
with_costs       a page with other costs, which still rise
highest_cost     the most that a page costs at a level
===============  ==================================================================
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from clawvm_replay.trace_format import Prelude, Replacement, ToolDeclaration, Trace, Turn, read_trace, write_trace
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Level

__all__ = [
    "highest_cost",
    "page_in",
    "page_names",
    "read_back",
    "with_accounting",
    "with_budget",
    "with_cost_at_most",
    "with_costs",
    "with_header",
    "with_pages",
    "with_transcript",
    "with_turns",
]


def read_back(trace: Trace) -> Trace:
    """Return *trace* as a reader of its bytes gets it; raises TraceError when they are no valid trace."""
    lines = "".join(write_trace(trace.header, trace.turns))
    header, turns = read_trace(io.BytesIO(lines.encode("ascii")), trace.source)
    return Trace(header, tuple(turns), source=trace.source)


def with_header(trace: Trace, **attributes: Any) -> Trace:
    """Return *trace* with these attributes of its header replaced."""
    return dataclasses.replace(trace, header=dataclasses.replace(trace.header, **attributes))


def with_budget(tokens: int, trace: Trace) -> Trace:
    """Return *trace* with another budget (tokens)."""
    return with_header(trace, budget=tokens)


def with_accounting(name: str, tokens: int, trace: Trace) -> Trace:
    """Return *trace*, which has an accounting, with one number of it (tokens) replaced."""
    accounting = trace.header.accounting
    assert accounting is not None
    return with_header(trace, accounting=dataclasses.replace(accounting, **{name: tokens}))


def with_turns(trace: Trace, turns: Sequence[Turn]) -> Trace:
    """Return *trace* with these turns, numbered anew."""
    numbered = tuple(dataclasses.replace(turn, number=number, line=0) for number, turn in enumerate(turns, start=1))
    return dataclasses.replace(trace, turns=numbered)


def with_transcript(at: int, tokens: int, trace: Trace) -> Trace:
    """Return *trace* with another growth of the transcript (tokens) in the turn at index *at*."""
    turns = list(trace.turns)
    turns[at] = dataclasses.replace(turns[at], transcript_tokens=tokens)
    return with_turns(trace, turns)


def with_pages(trace: Trace, change: Callable[[Page], Page], name: str = "") -> Trace:
    """Return *trace* with every page, or the one called *name* wherever it stands, changed."""

    def changed(items: Sequence[Prelude]) -> Iterator[Prelude]:
        for item in items:
            page = page_in(item)
            if page is None or (name and page.id != name):
                yield item
            elif isinstance(item, Page):
                yield change(page)
            else:
                assert isinstance(item, (Replacement, ToolDeclaration))
                yield dataclasses.replace(item, page=change(page))

    turns = [dataclasses.replace(turn, prelude=tuple(changed(turn.prelude))) for turn in trace.turns]
    return with_turns(trace, turns)


def page_in(item: object) -> Page | None:
    """Return the page that an item of a trace brings with it."""
    if isinstance(item, Page):
        return item
    return item.page if isinstance(item, (Replacement, ToolDeclaration)) else None


def page_names(trace: Trace) -> list[str]:
    """Return the ids of all pages, in the order in which they first appear."""
    items = [item for turn in trace.turns for item in turn.prelude]
    return list(dict.fromkeys(page.id for item in items if (page := page_in(item)) is not None))


def with_costs(page: Page, wanted: Mapping[Level, int]) -> Page:
    """Return *page* at the *wanted* costs (tokens), raised where they would not rise from level to level."""
    costs: dict[Level, int] = {}
    below = 0
    for level in page.levels:
        below = costs[level] = max(below + 1, wanted[level])
    return page.changed(costs=costs)


def highest_cost(trace: Trace, name: str, level: Level) -> int:
    """Return the highest cost (tokens) that the page called *name* has at *level* anywhere; 0 where it has none."""
    pages = [page for turn in trace.turns for item in turn.prelude if (page := page_in(item)) is not None]
    return max((page.costs.get(level, 0) for page in pages if page.id == name), default=0)


def with_cost_at_most(name: str, level: Level, tokens: int, trace: Trace) -> Trace:
    """Return *trace* with the page called *name* at a cost of at most *tokens* at *level*, where costs still rise."""

    def cheaper(page: Page) -> Page:
        costs = {other: min(cost, tokens) if other is level else cost for other, cost in page.costs.items()}
        return with_costs(page, costs)

    return with_pages(trace, cheaper, name)
