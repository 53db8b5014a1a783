"""Demand sequences written by hand, and small traces with one page of each kind that a test needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clawvm_oracle.demand_sequence import DemandedContent, DemandSequence, Prompt, TurnNeeds, Use
from clawvm_replay.trace_builder import TraceBuilder
from clawvm_replay.trace_format import Accounting
from clawvm_runtime.vocabulary import Level

POINTER, STRUCTURED, COMPRESSED, FULL = Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL


class Needs(NamedTuple):
    """A turn by hand: accesses (warm ones are uses), floors, and whether a boundary lies before its prompt."""

    demanded: Mapping[str, Level] = {}
    floors: Mapping[str, Level] = {}
    times: int = 1
    boundary: bool = False


def content(name: str) -> DemandedContent:
    return DemandedContent(name, 0)


def sequence(budget: int, costs: Mapping[str, Mapping[Level, int]], turns: Sequence[Needs]) -> DemandSequence:
    """Return the sequence of these turns; the first demand of a page is cold."""
    seen: set[str] = set()
    needs = []
    for turn in turns:
        uses = tuple(
            Use(content(name), level, turn.times, costs[name][level])
            for name, level in sorted(turn.demanded.items())
            if name in seen
        )
        seen |= turn.demanded.keys()
        required: Prompt = {content(name): level for name, level in {**turn.floors, **turn.demanded}.items()}
        needs.append(TurnNeeds(0, uses, turn.boundary, required, required))
    return DemandSequence(budget, {content(name): levels for name, levels in costs.items()}, tuple(needs))


def story(budget: int = 100, accounting: Accounting | None = None) -> TraceBuilder:
    return TraceBuilder("story", budget, "", accounting)
