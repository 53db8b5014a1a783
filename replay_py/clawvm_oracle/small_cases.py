"""Small random traces with everything that the bounds have to cope with, for the exhaustive search.

=============  ===============================================================================
small_trace    a seeded trace: few pages and turns, every kind of boundary, replacements, tools
=============  ===============================================================================

Only ``random()`` and ``randrange()`` of a seeded generator are used, which give the same on every Python version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random

from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    plan,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import Content, DemandSequence, ObservedRun, Prompt, TurnNeeds, observe_run
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
from clawvm_runtime.policy import POLICIES, Policy
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, PinClass, ToolOutcome

__all__ = [
    "CaseCheck",
    "check_small_case",
    "check_unit_case",
    "is_demand_only",
    "least_brought_in",
    "least_reloaded",
    "least_reloaded_on_demand",
    "minimum_misses",
    "small_trace",
    "unit_trace",
]


# --- Small random traces with everything that the bounds have to cope with, for the exhaustive search.


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

    def _first(self) -> list[EventBefore]:
        every = list(PageType)
        types = [every[self._random.randrange(len(every))] for _ in range(1 + self._random.randrange(2))]
        self._pages = [self._page(f"page-{number}", kind) for number, kind in enumerate(types)]
        declared: list[EventBefore] = list(self._pages)
        for number in range(3):
            signature = tool_signature("read", {"path": f"file-{number}"})
            page = self._page(f"file-{number}", PageType.EVIDENCE)
            page = page.changed(provenance=Provenance("tool_call", signature))
            self._tools[signature] = ToolDeclaration("read", signature, ToolOutcome.OK, page, self._happens(0.85))
            declared.append(self._tools[signature])
        return declared

    def _prelude(self, number: int) -> list[EventBefore]:
        events: list[EventBefore] = self._first() if number == 1 else []
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
        events_before = tuple(self._prelude(number))
        calls, demands = [], []
        for _ in range(1 + self._happens(0.35) + self._happens(0.15)):
            level = _LEVELS[self._random.randrange(len(_LEVELS))]
            place = self._random.randrange(len(self._pages) + len(self._tools))
            if place < len(self._pages):
                demands.append((self._pages[place].id, level))
            else:
                calls.append(Call(list(self._tools)[place - len(self._pages)], level))
        return Turn(number, 10, events_before, tuple(calls), tuple(demands))

    def trace(self, seed: int) -> Trace:
        """Draw all turns, then a budget a little above what the fullest prompt has to hold."""
        turns = tuple(self._turn(number) for number in range(1, 10 + self._random.randrange(6)))
        accounting = Accounting(25 + self._random.randrange(50), 20, 5) if self._happens(0.25) else None
        unlimited = Trace(TraceHeader(f"small_{seed}", 10**6, "", accounting), turns)
        sequence = observe_run(unlimited, DEMAND_ONLY).sequence
        budget = sequence.budget - min(sequence.rooms()) + self._random.randrange(6)
        return Trace(TraceHeader(f"small_{seed}", budget, "", accounting), turns, source=f"small-{seed}")


_LEVELS = (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL, Level.FULL)


# --- Exact optima by trying every choice of every prompt: for small cases, against which the bounds are checked.


@dataclass(frozen=True, slots=True)
class Optimum:
    """The least tokens, and prompts that reach them."""

    tokens: int
    prompts: tuple[Prompt, ...]


_Choice = dict[Content, Level]
_Price = Callable[[TurnNeeds, Prompt, Prompt], int]


def least_reloaded(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when every prompt may hold anything that fits."""
    # What a prompt holds matters for the next turn only, so each prompt can be chosen by itself.
    prompts: list[Prompt] = []
    total = 0
    for index, turn in enumerate(sequence.turns):
        total += _reloaded(turn, prompts[-1] if prompts else {})
        after = sequence.turns[index + 1] if index + 1 < len(sequence.turns) else None
        prompts.append(
            min(_choices(sequence, index), key=lambda prompt: 0 if after is None else _reloaded(after, prompt))
        )
    return Optimum(total, tuple(prompts))


def least_reloaded_on_demand(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when a page may enter or rise only where it is demanded or held anyway."""
    return _search(sequence, lambda turn, held, prompt: _reloaded(turn, held), on_demand=True)


def least_brought_in(sequence: DemandSequence) -> Optimum:
    """Return the optimum of tokens brought in when every prompt may hold anything that fits."""

    def price(turn: TurnNeeds, held: Prompt, prompt: Prompt) -> int:
        carried = {} if turn.lost else held
        return sum(
            max(0, sequence.tokens(content, level) - sequence.tokens(content, carried.get(content, Level.NONE)))
            for content, level in prompt.items()
        )

    return _search(sequence, price, on_demand=False)


def _reloaded(turn: TurnNeeds, held: Prompt) -> int:
    missing = (use.times * use.tokens for use in turn.uses if held.get(use.content, Level.NONE) < use.level)
    return turn.unavoidable + sum(missing)


def _search(sequence: DemandSequence, price: _Price, *, on_demand: bool) -> Optimum:
    """Return the cheapest way through all prompts: every prompt that fits, after every prompt that fits."""
    best: dict[tuple[tuple[Content, Level], ...], tuple[int, tuple[Prompt, ...]]] = {(): (0, ())}
    for index, turn in enumerate(sequence.turns):
        following: dict[tuple[tuple[Content, Level], ...], tuple[int, tuple[Prompt, ...]]] = {}
        free = None if on_demand else list(_choices(sequence, index))
        for state, (tokens, prompts) in best.items():
            held = dict(state)
            for prompt in _choices(sequence, index, {} if turn.lost else held) if free is None else free:
                reached = tokens + price(turn, held, prompt)
                key = tuple(prompt.items())
                if key not in following or reached < following[key][0]:
                    following[key] = (reached, (*prompts, prompt))
        best = following
    return Optimum(*min(best.values(), key=lambda item: item[0]))


def _choices(sequence: DemandSequence, index: int, carried: Prompt | None = None) -> Iterator[_Choice]:
    """Yield every prompt that holds what it has to and fits; with *carried* only what that and the turn let in."""
    turn = sequence.turns[index]
    contents = _alive(sequence.turns, index)
    ladders: list[Sequence[Level]] = []
    for content in contents:
        least = turn.required.get(content, Level.NONE)
        most = Level.FULL
        if carried is not None:
            most = max(turn.allowed.get(content, Level.NONE), carried.get(content, Level.NONE))
        levels = (Level.NONE, *sequence.ladders[content])
        ladders.append([level for level in levels if least <= level <= most])
    for choice in product(*ladders):
        if sum(map(sequence.tokens, contents, choice)) <= sequence.budget:
            yield {content: level for content, level in zip(contents, choice) if level}


def _alive(turns: Sequence[TurnNeeds], index: int) -> list[Content]:
    """Return the contents that some turn up to *index* let in and that this prompt or a later turn needs."""
    known = {content for turn in turns[: index + 1] for content in turn.allowed}
    needed = {content for turn in turns[index:] for content in turn.required}
    used = {use.content for turn in turns[index + 1 :] for use in turn.uses}
    return sorted(known & (needed | used))


# --- Belady's MIN for pages of one size: evict what is needed again last, which is optimal.


def minimum_misses(references: Sequence[int], capacity: int) -> int:
    """Return the misses, first references included, of MIN with room for *capacity* pages (at least 1)."""
    never = len(references)
    coming = [never] * len(references)
    last: dict[int, int] = {}
    for place in range(len(references) - 1, -1, -1):
        coming[place] = last.get(references[place], never)
        last[references[place]] = place
    misses = 0
    resident: dict[int, int] = {}
    for place, page in enumerate(references):
        if page not in resident:
            misses += 1
            if len(resident) == capacity:
                del resident[max(resident, key=lambda other: (resident[other], other))]
        resident[page] = coming[place]
    return misses


def unit_trace(references: Sequence[int], capacity: int) -> Trace:
    """Return a trace that demands one page a turn, with a budget of *capacity* tokens."""
    turns = []
    declared: set[int] = set()
    for number, reference in enumerate(references, 1):
        new = () if reference in declared else (_unit_page(reference),)
        declared.add(reference)
        turns.append(Turn(number, events_before=new, demands=((f"page-{reference}", Level.FULL),)))
    return Trace(TraceHeader("unit_pages", capacity), tuple(turns))


def _unit_page(reference: int) -> Page:
    return Page(
        id=f"page-{reference}",
        type=PageType.EVIDENCE,
        costs={Level.FULL: 1},
        provenance=Provenance("file", f"page-{reference}"),
    )


# --- Checks of the bounds on cases small enough to know the answer: exhaustive search, and Belady's MIN.


def is_demand_only(policy: Policy) -> bool:
    """Return whether *policy* lets pages in, or up, only when floors or demands ask for them."""
    return not policy.prefetch and policy.upgrades is None


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


@dataclass(frozen=True, slots=True)
class _Exact:
    """The exact optima of one sequence."""

    reloaded: Optimum
    on_demand: Optimum
    brought_in: Optimum


def check_small_case(seed: int) -> CaseCheck:
    """Compare everything that is known about the case of *seed*: exact optima, bounds, policies, oracle, engine."""
    check = CaseCheck()
    trace = small_trace(seed)
    sequence = observe_run(trace, DEMAND_ONLY).sequence
    answers: list[tuple[DemandSequence, _Exact]] = []
    exact = _answer(check, sequence, answers)
    oracle = _played(trace, plan(sequence))
    check.bound_is_exact = demand_only_bound(sequence) == exact.on_demand.tokens
    check.oracle_is_exact = oracle.metrics.page_in_tokens == exact.on_demand.tokens

    # The engine itself reaches the optima: what the search calls possible is possible.
    for optimum in (exact.reloaded, exact.on_demand):
        check.equal("engine, optimum", _played(trace, optimum.prompts).metrics.page_in_tokens, optimum.tokens)
    filled = _played(trace, any_policy_plan(sequence)).metrics.page_in_tokens
    check.equal("engine, any-policy plan", filled, exact.reloaded.tokens)
    played = _played(trace, exact.brought_in.prompts)
    check.equal("engine, brought in", brought_in_tokens(played.sequence, played.prompts), exact.brought_in.tokens)

    _check_run(check, DEMAND_ONLY, oracle, answers)
    for policy in POLICIES.values():
        _check_run(check, policy, observe_run(trace, policy), answers)
    return check


def _played(trace: Trace, prompts: Sequence[Prompt]) -> ObservedRun:
    return observe_run(trace, DEMAND_ONLY, PlannedSelector(prompts))


def _answer(check: CaseCheck, sequence: DemandSequence, answers: list[tuple[DemandSequence, _Exact]]) -> _Exact:
    """Return the exact optima of *sequence*, checked against its bounds; every sequence is searched once."""
    for known, exact in answers:
        if known == sequence:
            return exact
    exact = _Exact(least_reloaded(sequence), least_reloaded_on_demand(sequence), least_brought_in(sequence))
    check.equal("any-policy bound, exact", any_policy_bound(sequence), exact.reloaded.tokens)
    check.at_most("demand-only bound, exact", demand_only_bound(sequence), exact.on_demand.tokens)
    check.at_most("brought-in bound, exact", brought_in_bound(sequence), exact.brought_in.tokens)
    check.at_most("exact with prefetch, without", exact.reloaded.tokens, exact.on_demand.tokens)
    answers.append((sequence, exact))
    return exact


def _check_run(
    check: CaseCheck, policy: Policy, run: ObservedRun, answers: list[tuple[DemandSequence, _Exact]]
) -> None:
    exact = _answer(check, run.met, answers)
    reloaded = reloaded_tokens(run.sequence, run.prompts)
    check.at_most(f"exact, {policy.id}", exact.reloaded.tokens, reloaded)
    check.at_most(
        f"exact brought in, {policy.id}", exact.brought_in.tokens, brought_in_tokens(run.sequence, run.prompts)
    )
    if is_demand_only(policy):
        check.at_most(f"exact on demand, {policy.id}", exact.on_demand.tokens, reloaded)
    if policy.auto_pin:
        check.equal(f"page-in tokens, {policy.id}", run.metrics.page_in_tokens, reloaded)


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
    """Compare the string of *seed* (2 to 12 pages, 10 to 59 references, room for 1 to 6) with Belady's MIN."""
    random = Random(seed)
    pages = 2 + random.randrange(11)
    capacity = 1 + random.randrange(6)
    references = [random.randrange(pages) for _ in range(10 + random.randrange(50))]
    trace = unit_trace(references, capacity)
    sequence = observe_run(trace, DEMAND_ONLY).sequence
    return UnitCheck(
        minimum=minimum_misses(references, capacity) - len(set(references)),
        bound=demand_only_bound(sequence),
        oracle=_played(trace, plan(sequence)).metrics.page_in_tokens,
        exhaustive=least_reloaded_on_demand(sequence).tokens if pages <= EXHAUSTIVE_PAGES else None,
    )
