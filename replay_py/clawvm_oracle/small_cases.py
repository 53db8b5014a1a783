"""Cases small enough to know the answer, against which bounds and plans are checked: exhaustive search, Belady's MIN.

The traces are seeded; only ``random()`` and ``randrange()`` are used, which give the same on every Python version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import NamedTuple, TypeVar

from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    demand_only_plan,
    is_demand_only,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import DemandedContent, DemandSequence, ObservedRun, Prompt, TurnNeeds, observe_run
from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    EventBefore,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, PinClass, ToolOutcome

__all__ = [
    "CaseCheck",
    "check_small_case",
    "check_unit_case",
    "least_brought_in",
    "least_reloaded",
    "least_reloaded_on_demand",
    "minimum_misses",
    "small_trace",
    "unit_trace",
]


_Item = TypeVar("_Item")
_LEVELS = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL, Level.FULL)


def small_trace(seed: int) -> Trace:
    """Return the trace of a seed: 4 or 5 pages, 9 to 14 turns, and a budget a little above the largest requirements.

    It has everything that the bounds have to cope with: every kind of boundary, replacements, tools, hard pages.
    """
    random = Random(seed)
    count = 9 + random.randrange(6)
    kinds = [_one_of(random, list(PageType)) for _ in range(1 + random.randrange(2))]
    pages = [_small_page(random, f"page-{number}", kind) for number, kind in enumerate(kinds)]
    tools = []
    for number in range(3):
        signature = tool_signature("read", {"path": f"file-{number}"})
        page = _small_page(random, f"file-{number}", PageType.EVIDENCE)
        page = page.changed(provenance=Provenance("tool_call", signature))
        tools.append(ToolDeclaration("read", signature, ToolOutcome.OK, page, random.random() < 0.85))
    turns = tuple(_small_turn(random, number, pages, tools) for number in range(1, 1 + count))
    accounting = Accounting(25 + random.randrange(50), 20, 5) if random.random() < 0.25 else None
    unlimited = Trace(TraceHeader(f"small_{seed}", 10**6, "", accounting), turns)
    sequence = observe_run(unlimited, DEMAND_ONLY).sequence
    budget = sequence.budget - min(sequence.free_tokens()) + random.randrange(6)
    return Trace(TraceHeader(f"small_{seed}", budget, "", accounting), turns, source=f"small-{seed}")


def _one_of(random: Random, items: Sequence[_Item]) -> _Item:
    return items[random.randrange(len(items))]


def _small_page(random: Random, page_id: str, page_type: PageType) -> Page:
    """Return a page with few levels and small costs; some pages have costs that differ much."""
    rule = TYPE_RULES[page_type]
    levels = [level for level in rule.levels if level is Level.FULL or random.random() < 0.35]
    if page_type is PageType.PLAN and len(levels) == 3:
        del levels[1]
    cost = 0
    costs = {}
    for level in levels:
        cost += 1 + random.randrange(9 if random.random() < 0.2 else 4)
        costs[level] = cost
    pin = PinClass.HARD if random.random() < 0.15 else rule.pin
    scope = _one_of(random, rule.scopes)
    source = Provenance("file" if random.random() < 0.5 else "user", page_id)
    utility, recompute_cost = float(random.randrange(9)), float(random.randrange(9))
    return Page(page_id, page_type, costs, source, utility, recompute_cost, scope, pin)


def _small_turn(random: Random, number: int, pages: Sequence[Page], tools: Sequence[ToolDeclaration]) -> Turn:
    """Return a turn of one to three accesses, few enough that the rest of the prompt is a choice."""
    events: list[EventBefore] = [*pages, *tools] if number == 1 else []
    if random.random() < 0.07:
        old = _one_of(random, pages)
        events.append(Replacement(_small_page(random, old.id, old.type)))
    if random.random() < 0.04:
        events.append(BoundaryEvent(Boundary.COMPACTION))
    if random.random() < 0.05:
        events.append(BoundaryEvent(Boundary.RESET, f"session-at-{number}"))
    calls, demands = [], []
    for _ in range(1 + (random.random() < 0.35) + (random.random() < 0.15)):
        level = _one_of(random, _LEVELS)
        place = random.randrange(len(pages) + len(tools))
        if place < len(pages):
            demands.append((pages[place].id, level))
        else:
            calls.append(Call(tools[place - len(pages)].signature, level))
    return Turn(number, 10, tuple(events), tuple(calls), tuple(demands))


class Optimum(NamedTuple):
    """The least tokens, and prompts that reach them."""

    tokens: int
    prompts: tuple[Prompt, ...]


_Cost = Callable[[TurnNeeds, Prompt, Prompt], int]
"""The tokens of a turn, from what was held before and the prompt that is assembled."""


def least_reloaded(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when every prompt may hold anything that fits."""
    # What a prompt holds matters for the next turn only, so each prompt can be chosen alone.
    total = 0
    prompts: list[Prompt] = []
    held: Prompt = {}
    for number, turn in enumerate(sequence.turns):
        total += _reloaded(turn, held, {})
        following = sequence.turns[min(number + 1, len(sequence.turns) - 1)]
        held = min(_choices(sequence, number), key=lambda prompt: _reloaded(following, prompt, {}))
        prompts.append(held)
    return Optimum(total, tuple(prompts))


def least_reloaded_on_demand(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when a page may enter or rise only where it is demanded or held anyway."""
    return _search(sequence, _reloaded, on_demand=True)


def least_brought_in(sequence: DemandSequence) -> Optimum:
    """Return the optimum of tokens brought in when every prompt may hold anything that fits."""

    def brought_in(turn: TurnNeeds, held: Prompt, prompt: Prompt) -> int:
        before = {} if turn.boundary else held
        added = (
            sequence.tokens(*now) - sequence.tokens(now[0], before.get(now[0], Level.NONE)) for now in prompt.items()
        )
        return sum(max(0, tokens) for tokens in added)

    return _search(sequence, brought_in, on_demand=False)


def _reloaded(turn: TurnNeeds, held: Prompt, prompt: Prompt) -> int:
    missing = (use.times * use.tokens for use in turn.uses if held.get(use.content, Level.NONE) < use.level)
    return turn.unavoidable + sum(missing)


def _search(sequence: DemandSequence, cost: _Cost, *, on_demand: bool) -> Optimum:
    """Return the cheapest way through all prompts: every prompt that fits, after every prompt that fits."""
    best: dict[tuple[tuple[DemandedContent, Level], ...], Optimum] = {(): Optimum(0, ())}
    for number, turn in enumerate(sequence.turns):
        following: dict[tuple[tuple[DemandedContent, Level], ...], Optimum] = {}
        free = [] if on_demand else list(_choices(sequence, number))
        for state, (tokens, prompts) in best.items():
            held = dict(state)
            for prompt in _choices(sequence, number, {} if turn.boundary else held) if on_demand else free:
                reached = tokens + cost(turn, held, prompt)
                key = tuple(prompt.items())
                if key not in following or reached < following[key].tokens:
                    following[key] = Optimum(reached, (*prompts, prompt))
        best = following
    return min(best.values(), key=lambda optimum: optimum.tokens)


def _choices(
    sequence: DemandSequence, number: int, carried: Prompt | None = None
) -> Iterator[dict[DemandedContent, Level]]:
    """Yield every prompt that holds what it has to and fits; with *carried* only what that and the turn let in.

    Only contents that some turn so far let in and that this prompt or a later turn needs take part.
    """
    turn, later = sequence.turns[number], sequence.turns[number + 1 :]
    known = {content for before in sequence.turns[: number + 1] for content in before.allowed}
    needed = {content for some in (turn, *later) for content in some.required}
    contents = sorted(known & (needed | {use.content for some in later for use in some.uses}))
    levels = []
    for content in contents:
        least, most = turn.required.get(content, Level.NONE), Level.FULL
        if carried is not None:
            most = max(turn.allowed.get(content, Level.NONE), carried.get(content, Level.NONE))
        levels.append([level for level in (Level.NONE, *sequence.costs[content]) if least <= level <= most])
    for choice in product(*levels):
        if sum(map(sequence.tokens, contents, choice)) <= sequence.budget:
            yield {content: level for content, level in zip(contents, choice) if level}


def minimum_misses(references: Sequence[int], capacity: int) -> int:
    """Return the misses, first references included, of Belady's MIN when *capacity* pages fit (at least 1).

    It evicts the page that is needed again last, which is optimal for pages of one size.
    """
    never = len(references)
    next_use = [never] * len(references)
    last: dict[int, int] = {}
    for place in range(len(references) - 1, -1, -1):
        next_use[place] = last.get(references[place], never)
        last[references[place]] = place
    misses = 0
    resident: dict[int, int] = {}
    for place, page in enumerate(references):
        if page not in resident:
            misses += 1
            if len(resident) == capacity:
                del resident[max(resident, key=resident.__getitem__)]
        resident[page] = next_use[place]
    return misses


def unit_trace(references: Sequence[int], capacity: int) -> Trace:
    """Return a trace that demands one page of one token a turn, with a budget of *capacity* tokens."""
    turns = []
    for number, reference in enumerate(references, 1):
        name = f"page-{reference}"
        page = Page(name, PageType.EVIDENCE, {Level.FULL: 1}, Provenance("file", name))
        declared = () if reference in references[: number - 1] else (page,)
        turns.append(Turn(number, events_before=declared, demands=((name, Level.FULL),)))
    return Trace(TraceHeader("unit_pages", capacity), tuple(turns))


@dataclass(slots=True)
class CaseCheck:
    """One small case: comparisons made, those that failed in words, and how tight the demand-only answers are."""

    comparisons: int = 0
    violations: list[str] = field(default_factory=list)
    bound_is_exact: bool = False
    oracle_is_exact: bool = False

    def at_most(self, what: str, lower: int, upper: int) -> None:
        """Note that *lower* has to be at most *upper*."""
        self.comparisons += 1
        if lower > upper:
            self.violations.append(f"{what}: {lower} > {upper}")

    def equal(self, what: str, one: int, other: int) -> None:
        """Note that the two have to be equal."""
        self.comparisons += 1
        if one != other:
            self.violations.append(f"{what}: {one} != {other}")


class _Exact(NamedTuple):
    """The exact optima of one sequence."""

    reloaded: Optimum
    on_demand: Optimum
    brought_in: Optimum


def check_small_case(seed: int) -> CaseCheck:
    """Compare everything that is known about the case of *seed*: exact optima, bounds, policies, oracle, engine."""
    check = CaseCheck()
    trace = small_trace(seed)
    known: list[tuple[DemandSequence, _Exact]] = []

    def exact_of(sequence: DemandSequence) -> _Exact:
        """Return the optima of *sequence*, checked against its bounds; every sequence is searched once."""
        for other, exact in known:
            if other == sequence:
                return exact
        exact = _Exact(least_reloaded(sequence), least_reloaded_on_demand(sequence), least_brought_in(sequence))
        check.equal("any-policy bound, exact", any_policy_bound(sequence), exact.reloaded.tokens)
        check.at_most("demand-only bound, exact", demand_only_bound(sequence), exact.on_demand.tokens)
        check.at_most("brought-in bound, exact", brought_in_bound(sequence), exact.brought_in.tokens)
        check.at_most("exact with prefetch, without", exact.reloaded.tokens, exact.on_demand.tokens)
        known.append((sequence, exact))
        return exact

    sequence = observe_run(trace, DEMAND_ONLY).sequence
    exact = exact_of(sequence)
    oracle = _played(trace, demand_only_plan(sequence))
    check.bound_is_exact = demand_only_bound(sequence) == exact.on_demand.tokens
    check.oracle_is_exact = oracle.metrics.page_in_tokens == exact.on_demand.tokens

    # The engine itself reaches the optima: what the search calls possible is possible.
    for optimum in (exact.reloaded, exact.on_demand):
        check.equal("engine, optimum", _played(trace, optimum.prompts).metrics.page_in_tokens, optimum.tokens)
    filled = _played(trace, any_policy_plan(sequence)).metrics.page_in_tokens
    check.equal("engine, any-policy plan", filled, exact.reloaded.tokens)
    played = _played(trace, exact.brought_in.prompts)
    check.equal("engine, brought in", brought_in_tokens(played.sequence, played.prompts), exact.brought_in.tokens)

    policies = [POLICIES[name] for name in PAPER_POLICIES]
    runs = [(DEMAND_ONLY, oracle), *((policy, observe_run(trace, policy)) for policy in policies)]
    for policy, run in runs:
        exact = exact_of(run.met)
        reloaded = reloaded_tokens(run.sequence, run.prompts)
        brought_in = brought_in_tokens(run.sequence, run.prompts)
        check.at_most(f"exact, {policy.id}", exact.reloaded.tokens, reloaded)
        check.at_most(f"exact brought in, {policy.id}", exact.brought_in.tokens, brought_in)
        if is_demand_only(policy):
            check.at_most(f"exact on demand, {policy.id}", exact.on_demand.tokens, reloaded)
        if policy.auto_pin:
            check.equal(f"page-in tokens, {policy.id}", run.metrics.page_in_tokens, reloaded)
    return check


def _played(trace: Trace, prompts: Sequence[Prompt]) -> ObservedRun:
    return observe_run(trace, DEMAND_ONLY, PlannedSelector(prompts))


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """Misses on one string of references, first references not counted."""

    minimum: int
    bound: int
    oracle: int
    exhaustive: int | None

    @property
    def equal(self) -> bool:
        """Whether every way gives Belady's number."""
        return self.bound == self.oracle == self.minimum and self.exhaustive in (None, self.minimum)


EXHAUSTIVE_PAGES = 5
"""Up to this number of pages a string of references is searched exhaustively too."""


def check_unit_case(seed: int) -> UnitCheck:
    """Compare the string of *seed* (2 to 12 pages, 10 to 59 references, 1 to 6 pages fit) with Belady's MIN."""
    random = Random(seed)
    pages = 2 + random.randrange(11)
    capacity = 1 + random.randrange(6)
    references = [random.randrange(pages) for _ in range(10 + random.randrange(50))]
    trace = unit_trace(references, capacity)
    sequence = observe_run(trace, DEMAND_ONLY).sequence
    return UnitCheck(
        minimum=minimum_misses(references, capacity) - len(set(references)),
        bound=demand_only_bound(sequence),
        oracle=_played(trace, demand_only_plan(sequence)).metrics.page_in_tokens,
        exhaustive=least_reloaded_on_demand(sequence).tokens if pages <= EXHAUSTIVE_PAGES else None,
    )
