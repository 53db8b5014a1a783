"""Generated workloads: a seed gives a valid trace that nobody chose, to check properties over thousands of them.

A seed first draws the workload's parameters (how many turns, how large the pages, how often what happens), then what
happens turn by turn, and last a token budget, chosen around the largest minimum set: exactly that, more, much more,
less, next to nothing. What the agent wants to remember may be wrong on purpose. ``docs/property.md`` lists all of it.

The same seed gives the same bytes on every machine and Python version: only ``random()`` and ``randrange()`` of
``random.Random`` are used.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    EventBefore,
    RecallQuery,
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
    Principal,
    RecallOutcome,
    Scope,
    ToolOutcome,
    UpdateOperation,
)

__all__ = ["chance", "count", "generate", "one_of"]


Item = TypeVar("Item")


def chance(rng: random.Random, probability: float) -> bool:
    """Return true with *probability*."""
    return rng.random() < probability


def count(rng: random.Random, mean: float) -> int:
    """Return a whole number, 0 or more, geometrically distributed around *mean*."""
    stop = 1.0 / (1.0 + mean)
    number = 0
    while rng.random() >= stop:
        number += 1
    return number


def one_of(rng: random.Random, items: Sequence[Item]) -> Item:
    """Return one of *items*, each with the same chance; raises ValueError when there are none."""
    return items[rng.randrange(len(items))]


LARGEST_STEPS = (2, 30, 30, 30, 2_000, 10_000_000)
"""Bounds of the step from one level's cost to the next, in tokens: tiny, usual (three times), large, huge."""


@dataclass(frozen=True, slots=True)
class WorkloadParameters:
    """How one workload is: sizes in tokens, otherwise chances or mean numbers per turn."""

    turns: int
    first_pages: int
    largest_step: int
    mixed_sizes: bool
    new_pages: float
    new_tools: float
    calls: float
    demands: float
    recalls: float
    updates: float
    replacements: float
    compactions: float
    resets: float
    highest_demand: Level
    growth: int
    jump: float


def _parameters(rng: random.Random) -> WorkloadParameters:
    kind = rng.random()
    if kind < 0.06:
        turns = 1 + rng.randrange(3)
    elif kind < 0.97:
        turns = 5 + rng.randrange(26)
    else:
        turns = 50 + rng.randrange(60)
    busy = one_of(rng, (0.4, 1.0, 1.0, 1.8))
    return WorkloadParameters(
        turns=turns,
        first_pages=rng.randrange(9),
        largest_step=one_of(rng, LARGEST_STEPS),
        mixed_sizes=chance(rng, 0.25),
        new_pages=one_of(rng, (0.05, 0.15, 0.4)),
        new_tools=one_of(rng, (0.0, 0.2, 0.4)),
        calls=busy * rng.random(),
        demands=busy * 1.5 * rng.random(),
        recalls=one_of(rng, (0.0, 0.1, 0.5)),
        updates=one_of(rng, (0.0, 0.2, 0.5, 1.2)),
        replacements=one_of(rng, (0.0, 0.05, 0.2)),
        compactions=one_of(rng, (0.0, 0.0, 0.05, 0.2)),
        resets=one_of(rng, (0.0, 0.05, 0.15)),
        highest_demand=one_of(rng, (Level.FULL, Level.FULL, Level.STRUCTURED)),
        growth=one_of(rng, (0, 5, 40, 1_000)),
        jump=one_of(rng, (0.0, 0.1)),
    )


# --- What a generated agent wants to remember: good updates and wrong ones of every kind.

APPEND, MERGE, SET = (operation.value for operation in UpdateOperation)

CONTENT: Mapping[str, str] = {"notes": APPEND, "facts": MERGE, "step": SET}
"""Content fields, each with the operation that suits it."""

MINIMUMS = ("pointer", "pointer", "structured", "none")


@dataclass(slots=True)
class UpdateSource:
    """Draws updates for the pages and tools of one workload."""

    rng: random.Random
    made: int = 0
    latest: str = ""
    with_id: list[Update] = field(default_factory=list)

    def draw(
        self, pages: Mapping[str, Page], tools: Mapping[str, ToolDeclaration], results: Mapping[str, str]
    ) -> Update:
        """Return an update for one of *pages*; *tools* are those declared, *results* those of calls so far."""
        rng = self.rng
        self.made += 1
        if self.with_id and chance(rng, 0.05):
            return one_of(rng, self.with_id)  # A retry of one that was staged before.
        if not pages:
            return self._content("nowhere", Scope.SESSION, "nowhere")
        if self.latest not in pages or chance(rng, 0.4):
            self.latest = one_of(rng, tuple(pages))  # Several updates in a row meet the same fields.
        page = pages[self.latest]
        evidence = one_of(rng, (*pages, *results))
        if chance(rng, 0.3):
            update = self._control(page, evidence)
        else:
            update = self._content(page.id, page.scope, evidence)
        if chance(rng, 0.35):
            update = self._broken(update, tools)
        if chance(rng, 0.1):
            update = dataclasses.replace(update, update_id=f"update-{self.made}")
            self.with_id.append(update)
        return update

    def _content(self, page_id: str, scope: Scope, evidence: str) -> Update:
        name = one_of(self.rng, tuple(CONTENT))
        mark = f"fact {self.made}"
        values = {"notes": one_of(self.rng, (mark, [mark])), "facts": {f"key {self.made % 3}": mark}, "step": mark}
        principal = self._principal(scope)
        return Update(page_id, name, CONTENT[name], values[name], scope.value, evidence, principal)

    def _principal(self, scope: Scope) -> str:
        reaching = tuple(Principal) if scope is Scope.SESSION else (Principal.USER, Principal.AGENT, Principal.HARNESS)
        return one_of(self.rng, reaching).value

    def _control(self, page: Page, evidence: str) -> Update:
        """Return an update of a field that changes how the page is held."""
        rng = self.rng
        name = one_of(rng, ("minimum", "status", "status") if page.type is PageType.PLAN else ("pin", "minimum"))
        if name == "pin":
            value = PinClass.HARD.value if page.is_hard else one_of(rng, tuple(PinClass)).value
        elif name == "minimum":
            value = one_of(rng, [level for level in TYPE_RULES[page.type].levels if level >= page.minimum]).label
        else:
            value = one_of(rng, ("active", "done"))
        return Update(page.id, name, SET, value, page.scope.value, evidence, self._principal(page.scope))

    def _broken(self, update: Update, tools: Mapping[str, ToolDeclaration]) -> Update:
        """Return *update* with one thing wrong, or at least suspicious."""
        rng = self.rng
        breaks: tuple[Callable[[], dict[str, Any]], ...] = (
            lambda: {one_of(rng, ("page_id", "field", "operation", "scope", "evidence_ref", "principal")): ""},
            lambda: {"page_id": self._result_of(tools)},
            lambda: {"operation": one_of(rng, (APPEND, MERGE, SET))},
            lambda: {"operation": MERGE, "value": {"x": self.made}},
            lambda: {"value": one_of(rng, (None, "", 7, "pointer", "none", ["x"], {"x": 1}))},
            lambda: {"evidence_ref": one_of(rng, ("nothing at all", self._result_of(tools), *tools))},
            lambda: {"principal": one_of(rng, ("intruder", Principal.SUBAGENT.value, Principal.TOOL.value))},
            lambda: {"scope": one_of(rng, ("universe", *(scope.value for scope in Scope)))},
            lambda: {"operation": one_of(rng, ("overwrite", "delete"))},
            lambda: {"operation": SET, "base_version": rng.randrange(3)},
            lambda: {"field": "pin", "operation": SET, "value": one_of(rng, ("soft", "none", "tight"))},
            lambda: {"field": "minimum", "operation": SET, "value": one_of(rng, MINIMUMS)},
            lambda: {"field": "status", "operation": SET, "value": one_of(rng, ("done", "paused"))},
            lambda: {"operation": SET, "value": one_of(rng, (None, "", [], {}))},
        )
        return dataclasses.replace(update, **one_of(rng, breaks)())

    def _result_of(self, tools: Mapping[str, ToolDeclaration]) -> str:
        """Return the page of a tool that may not have been called yet."""
        pages = [tool.page.id for tool in tools.values() if tool.page is not None]
        return one_of(self.rng, pages) if pages else "no such page"


# --- What happens, turn by turn.

MOST_PAGES = 30
DEMANDABLE = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)
TOOL_OUTCOMES = (ToolOutcome.OK,) * 7 + (ToolOutcome.EMPTY, ToolOutcome.DENIED, ToolOutcome.ERROR)
NEW_TYPES = (*PageType, PageType.PLAN)
RESULT_TYPES = (PageType.EVIDENCE,) * 6 + (PageType.PREFERENCE, PageType.CONVERSATION_SEGMENT, PageType.CONSTRAINT)


def generate(seed: int) -> Trace:
    """Return the trace of *seed*; its header holds the budget (tokens) that was drawn for it."""
    return _Story(random.Random(seed)).trace(f"generated-{seed:06d}")


@dataclass(slots=True)
class _Story:
    """One workload so far; ``pages`` mirrors the page table, without the effect of updates."""

    rng: random.Random
    parameters: WorkloadParameters = field(init=False)
    pages: dict[str, Page] = field(default_factory=dict)
    tools: dict[str, ToolDeclaration] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    updates: UpdateSource = field(init=False)
    names: int = 0
    sessions: int = 1
    largest_need: int = 1

    def __post_init__(self) -> None:
        self.parameters = _parameters(self.rng)
        self.updates = UpdateSource(self.rng)

    def trace(self, workload: str) -> Trace:
        turns = []
        boundary_follows = chance(self.rng, 0.05)
        for number in range(1, self.parameters.turns + 1):
            events_before = self._events_before(first=number == 1, boundary=boundary_follows)
            boundary_follows = chance(self.rng, self.parameters.compactions + self.parameters.resets)
            turns.append(self._turn(number, events_before, hurried=boundary_follows))
        accounting = self._accounting()
        header = TraceHeader(workload, self._budget(), "A generated workload.", accounting)
        return Trace(header, tuple(turns), source=workload)

    def _events_before(self, *, first: bool, boundary: bool) -> tuple[EventBefore, ...]:
        rng, parameters = self.rng, self.parameters
        events_before: list[EventBefore] = []
        for _ in range(parameters.first_pages if first else count(rng, parameters.new_pages)):
            if len(self.pages) < MOST_PAGES:
                events_before.append(self._new_page())
        if boundary:
            # Pages of the same turn may come before or after the boundary.
            at = rng.randrange(len(events_before) + 1)
            events_before[at:at] = [self._boundary() for _ in range(1 + chance(rng, 0.1))]
        if self.pages and chance(rng, parameters.replacements):
            old = self.pages[one_of(rng, tuple(self.pages))]
            self.pages[old.id] = self._page(old.id, old.type)
            events_before.append(Replacement(self.pages[old.id]))
        for _ in range(count(rng, parameters.new_tools)):
            events_before.append(self._tool())
        return tuple(events_before)

    def _boundary(self) -> BoundaryEvent:
        parameters = self.parameters
        if self.rng.random() * (parameters.compactions + parameters.resets) < parameters.compactions:
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
            base_utility=self._utility(),
            recompute_cost=self._utility(),
            scope=one_of(rng, rule.scopes),
            pin=pin,
            minimum=minimum,
            active=active,
        )

    def _costs(self, allowed: Sequence[Level]) -> dict[Level, int]:
        """Return rising costs of any shape for any of the allowed levels that include full."""
        rng = self.rng
        largest = one_of(rng, LARGEST_STEPS) if self.parameters.mixed_sizes else self.parameters.largest_step
        share = 0.0 if chance(rng, 0.08) else 0.8
        costs = {}
        cost = 0
        for level in allowed:
            if level is Level.FULL or chance(rng, share):
                cost += 1 + (0 if chance(rng, 0.15) else rng.randrange(largest))
                costs[level] = cost
        return costs

    def _utility(self) -> float:
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

    def _turn(self, number: int, events_before: tuple[EventBefore, ...], *, hurried: bool) -> Turn:
        rng, parameters = self.rng, self.parameters
        needed: dict[str, Level] = {}
        calls = []
        for _ in range(count(rng, parameters.calls) if self.tools else 0):
            call = Call(self._signature(), self._level())
            self._called(call, needed)
            calls.append(call)
        demands = []
        for _ in range(count(rng, parameters.demands) if self.pages else 0):
            demand = (one_of(rng, tuple(self.pages)), self._level())
            self._needs(needed, *demand)
            demands.append(demand)
        recalls = [
            RecallQuery(f"question {rng.randrange(9)}", one_of(rng, tuple(RecallOutcome)))
            for _ in range(count(rng, parameters.recalls))
        ]
        updates: list[Update] = [
            self.updates.draw(self.pages, self.tools, self.results)
            for _ in range(count(rng, parameters.updates * (2 if hurried else 1)))
        ]
        self._weigh(needed)
        return Turn(
            number=number,
            transcript_tokens=self._growth(),
            events_before=events_before,
            calls=tuple(calls),
            demands=tuple(demands),
            recalls=tuple(recalls),
            updates=tuple(updates),
        )

    def _signature(self) -> str:
        """Return a tool to call, with a preference for one whose stored result another call displaced."""
        if self.superseded and chance(self.rng, 0.3):
            return one_of(self.rng, sorted(self.superseded))
        return one_of(self.rng, tuple(self.tools))

    def _level(self) -> Level:
        return one_of(self.rng, [level for level in DEMANDABLE if level <= self.parameters.highest_demand])

    def _called(self, call: Call, needed: dict[str, Level]) -> None:
        """Record the pages that the call leaves, so that only existing pages are demanded."""
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
        """Keep the largest minimum set of any turn (tokens), without the effect of updates."""
        tokens = 0
        for page in self.pages.values():
            if page.id in needed:
                tokens += page.costs[page.level_at_least(max(needed[page.id], page.minimum))]
            elif page.is_hard:
                tokens += page.floor_cost
        self.largest_need = max(self.largest_need, tokens)

    def _growth(self) -> int:
        rng, growth = self.rng, self.parameters.growth
        if growth and chance(rng, self.parameters.jump):
            return growth * (10 + rng.randrange(30))
        return rng.randrange(growth + 1)

    def _accounting(self) -> Accounting | None:
        rng = self.rng
        if chance(rng, 0.3):
            return None
        limit = 1 + rng.randrange(6 * self.parameters.growth + 20)
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
