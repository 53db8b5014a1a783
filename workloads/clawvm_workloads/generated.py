"""Generated workloads: from a seed to a trace that no story would tell, for checking properties over thousands of them.

================  ==================================================================================
generate          the trace of a seed
================  ==================================================================================

A seed first draws a *nature* (how many turns, how large the pages, how often what happens), then turn by turn what
happens, and last a token budget, chosen around the largest minimum set: exactly that, more, much more, less, next to
nothing. Everything is a valid trace; what the agent wants to remember may be wrong on purpose
(``clawvm_workloads.generated_updates``).

The same seed gives the same bytes on every machine and Python version: only ``random()`` and ``randrange()`` of
``random.Random`` are used. ``docs/property.md`` lists what is generated.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    Lookup,
    Prelude,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import (
    TYPE_RULES,
    Boundary,
    Level,
    PageType,
    PinClass,
    RecallOutcome,
    ToolOutcome,
)
from clawvm_workloads.draws import chance, count, one_of
from clawvm_workloads.generated_nature import LARGEST_STEPS, Nature, draw_nature
from clawvm_workloads.generated_updates import UpdateSource

__all__ = ["generate"]

MOST_PAGES = 30
DEMANDABLE = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)
TOOL_OUTCOMES = (ToolOutcome.OK,) * 7 + (ToolOutcome.EMPTY, ToolOutcome.DENIED, ToolOutcome.ERROR)
NEW_TYPES = (*PageType, PageType.PLAN)
RESULT_TYPES = (PageType.EVIDENCE,) * 6 + (PageType.PREFERENCE, PageType.CONVERSATION_SEGMENT, PageType.CONSTRAINT)


def generate(seed: int) -> Trace:
    """Return the trace of *seed*; its header holds the budget (tokens) that was drawn for it."""
    story = _Story(random.Random(seed))
    return story.told(f"generated-{seed:06d}")


@dataclass(slots=True)
class _Story:
    """What one workload has said so far; ``pages`` holds what the page table would, without the effect of updates."""

    rng: random.Random
    nature: Nature = field(init=False)
    pages: dict[str, Page] = field(default_factory=dict)
    tools: dict[str, ToolDeclaration] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    updates: UpdateSource = field(init=False)
    names: int = 0
    sessions: int = 1
    largest_need: int = 1

    def __post_init__(self) -> None:
        self.nature = draw_nature(self.rng)
        self.updates = UpdateSource(self.rng)

    def told(self, workload: str) -> Trace:
        turns = []
        boundary_follows = chance(self.rng, 0.05)
        for number in range(1, self.nature.turns + 1):
            prelude = self._prelude(first=number == 1, boundary=boundary_follows)
            boundary_follows = chance(self.rng, self.nature.compactions + self.nature.resets)
            turns.append(self._turn(number, prelude, hurried=boundary_follows))
        accounting = self._accounting()
        header = TraceHeader(workload, self._budget(), "A generated workload.", accounting)
        return Trace(header, tuple(turns), source=workload)

    # --- what precedes a turn -------------------------------------------------------------------------

    def _prelude(self, *, first: bool, boundary: bool) -> tuple[Prelude, ...]:
        rng, nature = self.rng, self.nature
        prelude: list[Prelude] = []
        for _ in range(nature.first_pages if first else count(rng, nature.new_pages)):
            if len(self.pages) < MOST_PAGES:
                prelude.append(self._new_page())
        if boundary:
            # Pages of the same prelude may stand on either side of the boundary.
            at = rng.randrange(len(prelude) + 1)
            prelude[at:at] = [self._boundary() for _ in range(1 + chance(rng, 0.1))]
        if self.pages and chance(rng, nature.replacements):
            old = self.pages[one_of(rng, tuple(self.pages))]
            self.pages[old.id] = self._page(old.id, old.type)
            prelude.append(Replacement(self.pages[old.id]))
        for _ in range(count(rng, nature.new_tools)):
            prelude.append(self._tool())
        return tuple(prelude)

    def _boundary(self) -> BoundaryEvent:
        nature = self.nature
        if self.rng.random() * (nature.compactions + nature.resets) < nature.compactions:
            return BoundaryEvent(Boundary.COMPACTION)
        self.sessions += 1
        return BoundaryEvent(Boundary.RESET, f"session-{self.sessions}")

    def _name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    def _new_page(self) -> Page:
        page_type = one_of(self.rng, NEW_TYPES)
        page = self._page(self._name(page_type.value), page_type)
        self.pages[page.id] = page
        return page

    def _page(self, page_id: str, page_type: PageType) -> Page:
        rng = self.rng
        rule = TYPE_RULES[page_type]
        active = rule.floor_when_done is None or chance(rng, 0.7)
        floor = rule.floor_for(active)
        pin = rule.pin
        if page_type is not PageType.BOOTSTRAP_POLICY and chance(rng, 0.3):
            pin = one_of(rng, tuple(PinClass))
        minimum = floor
        if chance(rng, 0.15):
            minimum = one_of(rng, [level for level in rule.levels if level >= floor])
        return Page(
            id=page_id,
            type=page_type,
            costs=self._costs(rule.levels),
            provenance=Provenance(one_of(rng, Provenance.KINDS), page_id),
            base_utility=self._worth(),
            recompute_cost=self._worth(),
            scope=one_of(rng, rule.scopes),
            pin=pin,
            minimum=minimum,
            active=active,
        )

    def _costs(self, allowed: Sequence[Level]) -> dict[Level, int]:
        """Return a ladder of any shape over any of the allowed levels that include full."""
        rng = self.rng
        largest = one_of(rng, LARGEST_STEPS) if self.nature.mixed_sizes else self.nature.largest_step
        share = 0.0 if chance(rng, 0.08) else 0.8
        costs = {}
        cost = 0
        for level in allowed:
            if level is Level.FULL or chance(rng, share):
                cost += 1 + (0 if chance(rng, 0.15) else rng.randrange(largest))
                costs[level] = cost
        return costs

    def _worth(self) -> float:
        if chance(self.rng, 0.02):
            return one_of(self.rng, (0.0, 1e9))
        return self.rng.randrange(101) / 10

    def _tool(self) -> ToolDeclaration:
        """Return a new tool, or a new row for one that is known: its world has changed."""
        rng = self.rng
        arguments: dict[str, object] = {"path": self._name("file")}
        tool = "read"
        page_id, page_type = self._name("result"), one_of(rng, RESULT_TYPES)
        if self.tools and chance(rng, 0.3):
            known = self.tools[one_of(rng, tuple(self.tools))]
            assert known.arguments is not None
            tool, arguments = known.tool, {"path": known.arguments["path"]}
            if known.page is not None:
                page_id, page_type = known.page.id, known.page.type
        elif self.results and chance(rng, 0.3):
            # Its result will displace the one of another call.
            shared = self.pages[self.results[one_of(rng, tuple(self.results))]]
            page_id, page_type = shared.id, shared.type
        elif self.pages and chance(rng, 0.1):
            shared = self.pages[one_of(rng, tuple(self.pages))]
            page_id, page_type = shared.id, shared.type
        if chance(rng, 0.2):
            arguments["timeout"] = rng.randrange(100)
        outcome = one_of(rng, TOOL_OUTCOMES)
        declaration = ToolDeclaration(
            tool=tool,
            signature=tool_signature(tool, arguments, ("timeout",)),
            outcome=outcome,
            page=self._page(page_id, page_type) if outcome is ToolOutcome.OK else None,
            deterministic=chance(rng, 0.75),
            arguments=arguments,
            presentation=("timeout",),
        )
        self.tools[declaration.signature] = declaration
        return declaration

    # --- the turn itself --------------------------------------------------------------------------------

    def _turn(self, number: int, prelude: tuple[Prelude, ...], *, hurried: bool) -> Turn:
        rng, nature = self.rng, self.nature
        needed: dict[str, Level] = {}
        calls = []
        for _ in range(count(rng, nature.calls) if self.tools else 0):
            call = Call(self._signature(), self._level())
            self._called(call, needed)
            calls.append(call)
        demands = []
        for _ in range(count(rng, nature.demands) if self.pages else 0):
            demand = (one_of(rng, tuple(self.pages)), self._level())
            self._needs(needed, *demand)
            demands.append(demand)
        lookups = [
            Lookup(f"question {rng.randrange(9)}", one_of(rng, tuple(RecallOutcome)))
            for _ in range(count(rng, nature.lookups))
        ]
        updates: list[Update] = [
            self.updates.draw(self.pages, self.tools, self.results)
            for _ in range(count(rng, nature.updates * (2 if hurried else 1)))
        ]
        self._weigh(needed)
        return Turn(
            number=number,
            transcript_tokens=self._growth(),
            prelude=prelude,
            calls=tuple(calls),
            demands=tuple(demands),
            lookups=tuple(lookups),
            updates=tuple(updates),
        )

    def _signature(self) -> str:
        """Return what to call: any tool, and more often one whose stored result another call displaced."""
        if self.superseded and chance(self.rng, 0.3):
            return one_of(self.rng, sorted(self.superseded))
        return one_of(self.rng, tuple(self.tools))

    def _level(self) -> Level:
        return one_of(self.rng, [level for level in DEMANDABLE if level <= self.nature.highest_demand])

    def _called(self, call: Call, needed: dict[str, Level]) -> None:
        """Note what the call leaves in the page table, so that only pages that are there get demanded."""
        declaration = self.tools[call.signature]
        known = self.results.get(call.signature)
        if known is not None and declaration.deterministic and call.signature not in self.superseded:
            self._needs(needed, known, call.level)
        elif declaration.page is not None:
            page = declaration.page
            if page.id in self.pages and self.pages[page.id].costs != page.costs:
                self.superseded.update(other for other, page_id in self.results.items() if page_id == page.id)
            self.superseded.discard(call.signature)
            self.pages[page.id] = page
            self.results[call.signature] = page.id
            self._needs(needed, page.id, call.level)

    def _needs(self, needed: dict[str, Level], page_id: str, level: Level) -> None:
        needed[page_id] = max(level, needed.get(page_id, Level.NONE))

    def _weigh(self, needed: dict[str, Level]) -> None:
        """Keep the largest minimum set of any turn in tokens, as far as it shows without updates."""
        tokens = 0
        for page in self.pages.values():
            if page.id in needed:
                tokens += page.costs[page.level_at_least(max(needed[page.id], page.minimum))]
            elif page.is_hard:
                tokens += page.floor_cost
        self.largest_need = max(self.largest_need, tokens)

    def _growth(self) -> int:
        rng, growth = self.rng, self.nature.growth
        if growth and chance(rng, self.nature.jump):
            return growth * (10 + rng.randrange(30))
        return rng.randrange(growth + 1)

    # --- the harness ------------------------------------------------------------------------------------

    def _accounting(self) -> Accounting | None:
        rng = self.rng
        if chance(rng, 0.3):
            return None
        limit = 1 + rng.randrange(6 * self.nature.growth + 20)
        soft = rng.randrange(limit + 1)
        return Accounting(limit, soft, rng.randrange(soft // 2 + 1))

    def _budget(self) -> int:
        rng, need = self.rng, self.largest_need
        kind = rng.random()
        if kind < 0.10:
            return need
        if kind < 0.36:
            return need + rng.randrange(need + 1)
        if kind < 0.46:
            return need * (3 + rng.randrange(300))
        if kind < 0.90:
            return 1 + need * (30 + rng.randrange(70)) // 100
        return 1 + rng.randrange(1 + need // 10)
