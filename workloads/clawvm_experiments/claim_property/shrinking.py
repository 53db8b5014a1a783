"""Shrinking: from a trace that fails a check to a small one that still fails it, step by step and always the same way.

===========  =======================================================================================
TraceSize    how large a trace is, for reports
Shrunk       the small trace and how it was found
shrink       delta debugging over turns, pages, what happens in them, and the numbers
===========  =======================================================================================

Each step proposes a smaller trace and keeps it if the check still fails on it. Runs of turns and of items are left out,
long runs first (Zeller and Hildebrandt, *Simplifying and Isolating Failure-Inducing Input*, 2002); numbers go down by
halves. Every candidate goes through the trace's bytes and back, so what remains is a valid trace.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from clawvm_experiments.claim_property.trace_changes import (
    highest_cost,
    page_in,
    page_names,
    read_back,
    with_accounting,
    with_budget,
    with_cost_at_most,
    with_costs,
    with_header,
    with_pages,
    with_transcript,
    with_turns,
)
from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import Prelude, ToolDeclaration, Trace, Turn, write_trace
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Level

__all__ = ["Shrunk", "TraceSize", "shrink"]

Item = TypeVar("Item")
Fails = Callable[[Trace], bool]

KINDS = ("prelude", "calls", "demands", "lookups", "updates")
"""What a turn is made of, besides its transcript."""


@dataclass(frozen=True, slots=True)
class TraceSize:
    """How large a trace is: turns, different pages, items (everything that precedes or happens in a turn), lines."""

    turns: int
    pages: int
    items: int
    lines: int

    @classmethod
    def of(cls, trace: Trace) -> TraceSize:
        """Return the size of *trace*, O(items)."""
        items = sum(len(getattr(turn, kind)) for turn in trace.turns for kind in KINDS)
        lines = sum(1 for _ in write_trace(trace.header, trace.turns))
        return cls(len(trace.turns), len(page_names(trace)), items, lines)

    def to_record(self) -> dict[str, int]:
        """Return the size as plain JSON data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A small trace that still fails; ``candidates`` were tried, ``finished`` is false where their number ran out."""

    trace: Trace
    candidates: int
    finished: bool


def shrink(trace: Trace, fails: Fails, most_candidates: int = 3_000) -> Shrunk:
    """Return a small trace for which *fails* is true, as it is for *trace*.

    *fails* must depend on the trace alone; a candidate for which it raises TraceError is no valid trace and is left.
    Raises ValueError when *fails* is false for *trace* itself.
    """
    trace = read_back(trace)
    if not fails(trace):
        raise ValueError(f"{trace.source}: does not fail, so there is nothing to shrink")
    search = _Search(trace, fails, most_candidates)
    while not search.exhausted:
        before = search.best
        for one_pass in (_fewer_turns, _fewer_pages, _fewer_items, _simpler_words, _smaller_numbers):
            one_pass(search)
        if search.best == before:
            break
    return Shrunk(search.best, search.candidates, not search.exhausted)


class _Search:
    """The smallest failing trace so far."""

    def __init__(self, trace: Trace, fails: Fails, most_candidates: int) -> None:
        self.best = trace
        self.candidates = 0
        self._fails = fails
        self._most = most_candidates

    @property
    def exhausted(self) -> bool:
        return self.candidates >= self._most

    def improves(self, candidate: Trace) -> bool:
        """Take *candidate* if it is another valid trace that still fails; return whether it was taken."""
        if self.exhausted:
            return False
        try:
            candidate = read_back(candidate)
            if candidate == self.best:
                return False
            self.candidates += 1
            if not self._fails(candidate):
                return False
        except TraceError:
            return False
        self.best = candidate
        return True


def _leave_out(items: Sequence[Item], improves: Callable[[list[Item]], bool]) -> None:
    """Leave out ever shorter runs of *items*, from the end, as long as the rest *improves*."""
    kept = list(items)
    length = len(kept)
    while length:
        end = len(kept)
        while end > 0:
            begin = max(0, end - length)
            rest = kept[:begin] + kept[end:]
            if improves(rest):
                kept = rest
            end = begin
        length //= 2


# --- less of everything --------------------------------------------------------------------------------------


def _fewer_turns(search: _Search) -> None:
    """Leave out turns with what precedes them; then turns alone, so that it precedes the next one."""
    for keeps_prelude in (False, True):
        _leave_out_turns(search, keeps_prelude)


def _leave_out_turns(search: _Search, keeps_prelude: bool) -> None:
    trace = search.best

    def improves(kept: list[Turn]) -> bool:
        turns: list[Turn] = []
        waiting: list[Prelude] = []
        wanted = {turn.number for turn in kept}
        for turn in trace.turns:
            if turn.number in wanted:
                turns.append(dataclasses.replace(turn, prelude=(*waiting, *turn.prelude)))
                waiting = []
            elif keeps_prelude:
                waiting.extend(turn.prelude)
        return search.improves(with_turns(trace, turns))

    _leave_out(trace.turns, improves)


def _fewer_pages(search: _Search) -> None:
    """Leave out pages with everything that mentions them, and then also with a part of the budget that they used."""
    trace = search.best
    names = page_names(trace)

    def improves(kept: list[str]) -> bool:
        return search.improves(_without_pages(set(names) - set(kept), trace))

    _leave_out(names, improves)
    for name in page_names(search.best):
        for cost in sorted({highest_cost(search.best, name, level) for level in Level}):
            smaller = max(1, search.best.header.budget - cost)
            if search.improves(with_budget(smaller, _without_pages({name}, search.best))):
                break


def _without_pages(gone: set[str], trace: Trace) -> Trace:
    return with_turns(trace, [_turn_without_pages(turn, gone) for turn in trace.turns])


def _turn_without_pages(turn: Turn, gone: set[str]) -> Turn:
    signatures = {
        item.signature
        for item in turn.prelude
        if isinstance(item, ToolDeclaration) and item.page is not None and item.page.id in gone
    }
    return dataclasses.replace(
        turn,
        prelude=tuple(item for item in turn.prelude if (page := page_in(item)) is None or page.id not in gone),
        calls=tuple(call for call in turn.calls if call.signature not in signatures),
        demands=tuple(demand for demand in turn.demands if demand[0] not in gone),
        updates=tuple(update for update in turn.updates if update.page_id not in gone),
    )


def _fewer_items(search: _Search) -> None:
    """Leave out single things that precede a turn or happen in it."""
    trace = search.best
    places = [
        (at, kind, index)
        for at, turn in enumerate(trace.turns)
        for kind in KINDS
        for index in range(len(getattr(turn, kind)))
    ]

    def improves(kept: list[tuple[int, str, int]]) -> bool:
        wanted = set(kept)
        turns = []
        for at, turn in enumerate(trace.turns):
            parts: dict[str, Any] = {
                kind: tuple(item for index, item in enumerate(getattr(turn, kind)) if (at, kind, index) in wanted)
                for kind in KINDS
            }
            turns.append(dataclasses.replace(turn, **parts))
        return search.improves(with_turns(trace, turns))

    _leave_out(places, improves)


# --- less in what is left ------------------------------------------------------------------------------------


def _simpler_words(search: _Search) -> None:
    """Do without accounting, worths and every level that is not needed."""
    search.improves(with_header(search.best, accounting=None))
    search.improves(with_pages(search.best, _without_worth))
    for name in page_names(search.best):
        for level in (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED):
            search.improves(with_pages(search.best, partial(_without_level, level), name))


def _without_worth(page: Page) -> Page:
    return page.changed(base_utility=1.0, recompute_cost=1.0)


def _without_level(level: Level, page: Page) -> Page:
    return page.changed(costs={other: cost for other, cost in page.costs.items() if other is not level})


def _smaller_numbers(search: _Search) -> None:
    """Bring token counts down: everything at once by halves, then one after the other."""
    while search.improves(_halved(search.best)):
        pass
    for name in page_names(search.best):
        search.improves(with_pages(search.best, _cheapest, name))
        for level in (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL):
            _lower(search, highest_cost(search.best, name, level), partial(with_cost_at_most, name, level))
            # Where cost and budget hold each other up, both go down together.
            _lower(search, highest_cost(search.best, name, level), partial(_with_cost_and_budget, name, level))
    for at, turn in enumerate(search.best.turns):
        _lower(search, turn.transcript_tokens, partial(with_transcript, at))
    _lower(search, search.best.header.budget, with_budget)
    for name in ("summary_tokens", "soft_threshold", "compaction_limit"):
        if search.best.header.accounting is not None:
            _lower(search, getattr(search.best.header.accounting, name), partial(with_accounting, name))


def _lower(search: _Search, number: int, changed: Callable[[int, Trace], Trace]) -> None:
    """Bring *number* down towards 0 in ever smaller strides; *changed* puts another one in its place."""
    stride = number
    while stride:
        while number >= stride and search.improves(changed(number - stride, search.best)):
            number -= stride
        stride //= 2


def _halved(trace: Trace) -> Trace:
    return with_budget(max(1, trace.header.budget // 2), with_pages(trace, _half_price))


def _half_price(page: Page) -> Page:
    return with_costs(page, {level: cost // 2 for level, cost in page.costs.items()})


def _cheapest(page: Page) -> Page:
    return with_costs(page, dict.fromkeys(page.costs, 1))


def _with_cost_and_budget(name: str, level: Level, tokens: int, trace: Trace) -> Trace:
    spared = highest_cost(trace, name, level) - tokens
    return with_budget(max(1, trace.header.budget - spared), with_cost_at_most(name, level, tokens, trace))
