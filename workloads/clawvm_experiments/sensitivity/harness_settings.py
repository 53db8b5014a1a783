"""Changes of one assumption at a time: a trace as another simulated harness would have produced it.

=====================  =====================================================================
TraceChange            a function from a trace to the changed trace
soft_threshold_scaled  the flush falls due earlier
flush_gap_scaled       the flush falls due nearer to the compaction or further from it
flush_at_once          the flush falls due in the first turn of every compaction cycle
flush_never            the flush never falls due
limit_scaled           compaction limit, soft threshold and summary grow or shrink together
compaction_never       no compaction falls due by accounting
compaction_every_turn  one falls due in every turn
summary_scaled         a compaction leaves a larger or smaller summary
growth_scaled          every turn grows the transcript by more or less
growth_gathered        the growth of several turns of a session comes in one turn
growth_even            every turn of a session grows the transcript by the same
compaction_first       a compaction precedes the first turn: nothing injected is left
pinned_as              every page of a type gets another pin class
durable_sources        every page comes from a source that outlives a reset
in_order               several changes, one after the other
=====================  =====================================================================

Every change leaves the story alone: the same demands, calls, look-ups and updates in the same turns. Percentages are
whole numbers, tokens are rounded down. A trace without accounting has no thresholds to change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Prelude,
    Replacement,
    ToolDeclaration,
    Trace,
    Turn,
)
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import Boundary, PageType, PinClass

__all__ = [
    "TraceChange",
    "compaction_every_turn",
    "compaction_first",
    "compaction_never",
    "durable_sources",
    "flush_at_once",
    "flush_gap_scaled",
    "flush_never",
    "growth_even",
    "growth_gathered",
    "growth_scaled",
    "in_order",
    "limit_scaled",
    "pinned_as",
    "soft_threshold_scaled",
    "summary_scaled",
]

TraceChange = Callable[[Trace], Trace]

OUT_OF_REACH = 10**12
"""A transcript that no trace reaches, in tokens."""


def in_order(*changes: TraceChange) -> TraceChange:
    """Return the change that applies *changes* from the first to the last."""

    def change(trace: Trace) -> Trace:
        for item in changes:
            trace = item(trace)
        return trace

    return change


# --- accounting --------------------------------------------------------------------------------------


def _accounted(trace: Trace, change: Callable[[Accounting], Accounting]) -> Trace:
    accounting = trace.header.accounting
    if accounting is None:
        return trace
    return dataclasses.replace(trace, header=dataclasses.replace(trace.header, accounting=change(accounting)))


def soft_threshold_scaled(percent: int) -> TraceChange:
    """Return the change that scales the soft threshold."""
    return lambda trace: _accounted(
        trace, lambda old: dataclasses.replace(old, soft_threshold=old.soft_threshold * percent // 100)
    )


def flush_gap_scaled(percent: int) -> TraceChange:
    """Return the change that scales the gap from the soft threshold to the compaction limit, which stays.

    Up to 100 percent the flush still falls due below the limit, however near to it the threshold was: scaling the
    threshold itself up would pass the limit, which is no later flush but none.
    """

    def change(old: Accounting) -> Accounting:
        gap = (old.compaction_limit - old.soft_threshold) * percent // 100
        return dataclasses.replace(old, soft_threshold=max(0, old.compaction_limit - gap))

    return lambda trace: _accounted(trace, change)


def flush_at_once(trace: Trace) -> Trace:
    """Put the soft threshold at 0 tokens: the flush runs in the first turn of every cycle, and only there."""
    return _accounted(trace, lambda old: dataclasses.replace(old, soft_threshold=0))


def flush_never(trace: Trace) -> Trace:
    """Put the soft threshold at the compaction limit: whatever passes it is a compaction already."""
    return _accounted(trace, lambda old: dataclasses.replace(old, soft_threshold=old.compaction_limit))


def limit_scaled(percent: int) -> TraceChange:
    """Return the change that scales the compaction limit; soft threshold and summary stay the same shares of it."""
    return lambda trace: _accounted(
        trace,
        lambda old: Accounting(
            old.compaction_limit * percent // 100,
            old.soft_threshold * percent // 100,
            old.summary_tokens * percent // 100,
        ),
    )


def compaction_never(trace: Trace) -> Trace:
    """Put the compaction limit out of reach; boundaries that the trace names stay."""
    return _accounted(trace, lambda old: dataclasses.replace(old, compaction_limit=OUT_OF_REACH))


def compaction_every_turn(trace: Trace) -> Trace:
    """Put limit, threshold and summary at 1 token: every turn with more than one, or after another, compacts."""
    return _accounted(trace, lambda old: Accounting(compaction_limit=1, soft_threshold=1, summary_tokens=1))


def summary_scaled(percent: int) -> TraceChange:
    """Return the change that scales what a compaction leaves of the transcript."""
    return lambda trace: _accounted(
        trace, lambda old: dataclasses.replace(old, summary_tokens=old.summary_tokens * percent // 100)
    )


# --- transcript growth -------------------------------------------------------------------------------


def _grown(trace: Trace, growth: Iterable[int]) -> Trace:
    turns = tuple(
        dataclasses.replace(turn, transcript_tokens=tokens) for turn, tokens in zip(trace.turns, growth, strict=True)
    )
    return dataclasses.replace(trace, turns=turns)


def growth_scaled(percent: int) -> TraceChange:
    """Return the change that scales the transcript growth of every turn."""
    return lambda trace: _grown(trace, [turn.transcript_tokens * percent // 100 for turn in trace.turns])


def _sessions(trace: Trace) -> list[list[Turn]]:
    """Return the turns of each session: a reset before a turn empties the transcript and begins the next session."""
    sessions: list[list[Turn]] = []
    for turn in trace.turns:
        boundaries = [item.boundary for item in turn.prelude if isinstance(item, BoundaryEvent)]
        if not sessions or Boundary.RESET in boundaries:
            sessions.append([])
        sessions[-1].append(turn)
    return sessions


def growth_gathered(turns: int) -> TraceChange:
    """Return the change that lets the growth of *turns* turns come with the last of them.

    What waits at the end of a session comes with its last turn, so that every session keeps its total.
    """

    def change(trace: Trace) -> Trace:
        growth = []
        for session in _sessions(trace):
            waiting = 0
            for turn in session:
                waiting += turn.transcript_tokens
                comes = turn.number % turns == 0 or turn is session[-1]
                growth.append(waiting if comes else 0)
                waiting = 0 if comes else waiting
        return _grown(trace, growth)

    return change


def growth_even(trace: Trace) -> Trace:
    """Spread the growth of each session evenly over its turns, the remainder over its first ones."""
    growth: list[int] = []
    for session in _sessions(trace):
        share, more = divmod(sum(turn.transcript_tokens for turn in session), len(session))
        growth += [share + (index < more) for index in range(len(session))]
    return _grown(trace, growth)


# --- what stands before the turns --------------------------------------------------------------------


def compaction_first(trace: Trace) -> Trace:
    """Let a compaction precede the first turn: what was injected is gone, the transcript begins with its summary."""
    first = trace.turns[0]
    changed = dataclasses.replace(first, prelude=(*first.prelude, BoundaryEvent(Boundary.COMPACTION)))
    return dataclasses.replace(trace, turns=(changed, *trace.turns[1:]))


def _with_pages(trace: Trace, change: Callable[[Page], Page]) -> Trace:
    """Return *trace* with every page in it changed: declared ones, replacements, tool results."""

    def changed(item: Prelude) -> Prelude:
        if isinstance(item, Page):
            return change(item)
        if isinstance(item, Replacement):
            return Replacement(change(item.page))
        if isinstance(item, ToolDeclaration) and item.page is not None:
            return dataclasses.replace(item, page=change(item.page))
        return item

    def turn_with(turn: Turn) -> Turn:
        return dataclasses.replace(turn, prelude=tuple(map(changed, turn.prelude)))

    return dataclasses.replace(trace, turns=tuple(map(turn_with, trace.turns)))


def pinned_as(page_type: PageType, pin: PinClass) -> TraceChange:
    """Return the change that gives every page of *page_type* the pin class *pin*."""
    return lambda trace: _with_pages(trace, lambda page: page.changed(pin=pin) if page.type is page_type else page)


def durable_sources(trace: Trace) -> Trace:
    """Let every page come from a file: a reset destroys residency, but no page is gone after it."""
    return _with_pages(trace, lambda page: page.changed(provenance=Provenance("file", page.provenance.reference)))
