"""Checks of the bounds on cases small enough to know the answer: exhaustive search, and Belady's MIN.

==================  ====================================================================================
CaseCheck           what one small case was compared in, and what did not hold
check_small_case    bounds, exact optima, every policy and the demand-only oracle on one seeded case
UnitCheck           misses by MIN, by the bound, by exhaustive means, by the oracle in the engine
check_unit_case     the same for one string of references to pages of one size
==================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from clawvm_oracle.belady import minimum_misses, unit_trace
from clawvm_oracle.bounds import any_policy_bound, any_policy_plan, brought_in_bound, demand_only_bound
from clawvm_oracle.brute_force import Optimum, least_brought_in, least_reloaded, least_reloaded_on_demand
from clawvm_oracle.demand_only_oracle import DEMAND_ONLY, PlannedSelector, plan
from clawvm_oracle.demand_sequence import DemandSequence, ObservedRun, Prompt, observe_run
from clawvm_oracle.measures import brought_in_tokens, reloaded_tokens
from clawvm_oracle.small_cases import small_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import POLICIES, Policy

__all__ = ["CaseCheck", "UnitCheck", "check_small_case", "check_unit_case", "is_demand_only"]


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
