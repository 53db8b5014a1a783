"""Small random traces with everything that the bounds have to cope with, for the exhaustive search.

=============  ===============================================================================
small_trace    a seeded trace: few pages and turns, every kind of boundary, replacements, tools
=============  ===============================================================================

Only ``random()`` and ``randrange()`` of a seeded generator are used, which give the same on every Python version.
"""

from __future__ import annotations

from random import Random

from clawvm_oracle.demand_only_oracle import DEMAND_ONLY
from clawvm_oracle.demand_sequence import observe_run
from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    Prelude,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, PinClass, ToolOutcome

__all__ = ["small_trace"]


def small_trace(seed: int) -> Trace:
    """Return the trace of a seed: 4 or 5 pages, 9 to 14 turns, and a budget that holds every turn's minimum set."""
    return _Builder(Random(seed)).trace(seed)


class _Builder:
    """Draws one trace."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._pages: list[Page] = []
        self._tools: dict[str, ToolDeclaration] = {}

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def _page(self, page_id: str, page_type: PageType) -> Page:
        """Return a page with few levels and small costs; some pages have costs that differ much."""
        rule = TYPE_RULES[page_type]
        levels = [level for level in rule.levels if level is Level.FULL or self._happens(0.35)]
        if page_type is PageType.PLAN and len(levels) == 3:
            del levels[1]
        cost = 0
        costs = {}
        for level in levels:
            cost += 1 + self._random.randrange(9 if self._happens(0.2) else 4)
            costs[level] = cost
        pin = PinClass.HARD if self._happens(0.15) else rule.pin
        scope = rule.scopes[self._random.randrange(len(rule.scopes))]
        source = Provenance("file" if self._happens(0.5) else "user", page_id)
        return Page(
            page_id,
            page_type,
            costs,
            source,
            base_utility=float(self._random.randrange(9)),
            recompute_cost=float(self._random.randrange(9)),
            scope=scope,
            pin=pin,
        )

    def _first(self) -> list[Prelude]:
        every = list(PageType)
        types = [every[self._random.randrange(len(every))] for _ in range(1 + self._random.randrange(2))]
        self._pages = [self._page(f"page-{number}", kind) for number, kind in enumerate(types)]
        declared: list[Prelude] = list(self._pages)
        for number in range(3):
            signature = tool_signature("read", {"path": f"file-{number}"})
            page = self._page(f"file-{number}", PageType.EVIDENCE)
            page = page.changed(provenance=Provenance("tool_call", signature))
            self._tools[signature] = ToolDeclaration("read", signature, ToolOutcome.OK, page, self._happens(0.85))
            declared.append(self._tools[signature])
        return declared

    def _prelude(self, number: int) -> list[Prelude]:
        events: list[Prelude] = self._first() if number == 1 else []
        if self._happens(0.07):
            old = self._pages[self._random.randrange(len(self._pages))]
            events.append(Replacement(self._page(old.id, old.type)))
        if self._happens(0.04):
            events.append(BoundaryEvent(Boundary.COMPACTION))
        if self._happens(0.05):
            events.append(BoundaryEvent(Boundary.RESET, f"session-at-{number}"))
        return events

    def _turn(self, number: int) -> Turn:
        """Draw one to three accesses, few enough that the rest of the prompt is a choice."""
        prelude = tuple(self._prelude(number))
        calls, demands = [], []
        for _ in range(1 + self._happens(0.35) + self._happens(0.15)):
            level = _LEVELS[self._random.randrange(len(_LEVELS))]
            place = self._random.randrange(len(self._pages) + len(self._tools))
            if place < len(self._pages):
                demands.append((self._pages[place].id, level))
            else:
                calls.append(Call(list(self._tools)[place - len(self._pages)], level))
        return Turn(number, 10, prelude, tuple(calls), tuple(demands))

    def trace(self, seed: int) -> Trace:
        """Draw all turns, then a budget a little above what the fullest prompt has to hold."""
        turns = tuple(self._turn(number) for number in range(1, 10 + self._random.randrange(6)))
        accounting = Accounting(25 + self._random.randrange(50), 20, 5) if self._happens(0.25) else None
        unlimited = Trace(TraceHeader(f"small_{seed}", 10**6, "", accounting), turns)
        sequence = observe_run(unlimited, DEMAND_ONLY).sequence
        budget = sequence.budget - min(sequence.rooms()) + self._random.randrange(6)
        return Trace(TraceHeader(f"small_{seed}", budget, "", accounting), turns, source=f"small-{seed}")


_LEVELS = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL, Level.FULL)
