"""The multiple-choice knapsack, exactly, and how much of its optimum the greedy upgrades of each prompt reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

from clawvm_replay.metrics import DIGITS
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES, LinearScore
from clawvm_runtime.selector import Selection, SelectionRequest, StepOutcome, select
from clawvm_runtime.vocabulary import Level, PageType

__all__ = [
    "ADVERSARIAL_CASES",
    "UNITS",
    "Option",
    "UtilityRecorder",
    "UtilityShare",
    "adversarial_case",
    "best_choice",
    "best_value",
    "reached_utility",
    "upgrade_problem",
]

UNITS = 10**6
"""Utilities are counted in whole millionths, so that sums and comparisons are exact."""


class Option(NamedTuple):
    """A choice within a group: its weight (tokens, at least 1) and its value (at least 0)."""

    weight: int
    value: int


class _Partial(NamedTuple):
    """A choice for the groups so far."""

    weight: int
    value: int
    options: tuple[Option | None, ...]


def best_value(groups: Sequence[Sequence[Option]], capacity: int) -> int:
    """Return the value of ``best_choice``."""
    return sum(option.value for option in best_choice(groups, capacity) if option is not None)


def best_choice(groups: Sequence[Sequence[Option]], capacity: int) -> Sequence[Option | None]:
    """Return for each group the option, if any, of a choice with the highest value that weighs at most *capacity*.

    Dynamic programming over the choices that no other one beats in both weight and value, cut by the bound of the
    linear relaxation; at most O(options x capacity), in practice far less.
    """
    price, chosen = _relaxation(groups, capacity)
    best = sum(option.value for option in chosen if option is not None)
    p, q = price.numerator, price.denominator
    # What each group can add at most, at this price of a token; scaled by q to stay in whole numbers.
    gains = [max([0, *(q * option.value - p * option.weight for option in group)]) for group in groups]
    ahead = sum(gains)
    front = [_Partial(0, 0, ())]
    for group, gain in zip(groups, gains):
        ahead -= gain
        # Whatever cannot beat the value that is known already, even by the relaxation, is dropped.
        front = [
            item
            for item in _undominated(front, group, capacity)
            if q * item.value + p * (capacity - item.weight) + ahead > q * best
        ]
    highest = max(front, key=lambda item: item.value, default=None)
    return chosen if highest is None or highest.value <= best else highest.options


def _undominated(front: Sequence[_Partial], group: Sequence[Option], capacity: int) -> list[_Partial]:
    """Return *front* with at most one option of *group*, without choices that another one beats."""
    every = [_Partial(weight, value, (*options, None)) for weight, value, options in front]
    for option in group:
        every += [
            _Partial(weight + option.weight, value + option.value, (*options, option))
            for weight, value, options in front
        ]
    every.sort(key=lambda item: (item.weight, -item.value))
    kept: list[_Partial] = []
    for item in every:
        if item.weight <= capacity and (not kept or item.value > kept[-1].value):
            kept.append(item)
    return kept


def _relaxation(groups: Sequence[Sequence[Option]], capacity: int) -> tuple[Fraction, list[Option | None]]:
    """Return the value per token at which the relaxation stops, and a choice that fits."""
    steps = sorted(
        (step for number, group in enumerate(groups) for step in _hull(group, number)),
        key=lambda step: (-step[0], step[1]),
    )
    price = Fraction(0)
    left, stopped = capacity, set()
    chosen: list[Option | None] = [None] * len(groups)
    for density, number, weight, option in steps:
        if number in stopped:
            continue
        if weight <= left:
            left -= weight
            chosen[number] = option
        else:
            stopped.add(number)
            price = price or density
    return price, chosen


def _hull(group: Sequence[Option], number: int) -> list[tuple[Fraction, int, int, Option]]:
    """Return the steps of a group's upper hull as (value per token, group, weight, option reached), densest first."""
    hull = [Option(0, 0)]
    for option in sorted(group, key=lambda item: (item.weight, -item.value)):
        if option.value <= hull[-1].value:
            continue
        while len(hull) > 1 and _density(hull[-2], hull[-1]) <= _density(hull[-2], option):
            hull.pop()
        hull.append(option)
    return [
        (_density(below, above), number, above.weight - below.weight, above) for below, above in zip(hull, hull[1:])
    ]


def _density(below: Option, above: Option) -> Fraction:
    return Fraction(above.value - below.value, above.weight - below.weight)


@dataclass(frozen=True, slots=True)
class UpgradeProblem:
    """Tokens left for upgrades, and for each page that can rise its score (millionths) and its steps (tokens)."""

    left: int
    scores: Mapping[str, int]
    steps: Mapping[str, tuple[int, ...]]

    def best_utility(self) -> int:
        """Return the highest utility of any selection, in millionths: exact."""
        groups = [
            [Option(tokens, climbed * self.scores[page]) for climbed, tokens in enumerate(accumulate(deltas), 1)]
            for page, deltas in self.steps.items()
        ]
        return best_value(groups, self.left)


def upgrade_problem(request: SelectionRequest) -> UpgradeProblem:
    """Return what *request* leaves to its policy's upgrades. Raises ValueError for a policy without upgrades."""
    score = request.policy.upgrades
    if score is None:
        raise ValueError(f"policy {request.policy.id} makes no upgrades")
    start = select(dataclasses.replace(request, policy=dataclasses.replace(request.policy, upgrades=None)))
    scores, steps = {}, {}
    for page in request.pages:
        current = start.levels.get(page.id, Level.NONE)
        deltas = tuple(step.delta for step in page.steps if step.below >= current)
        if deltas:
            utility = score(page, request.recency.get(page.id, 0.0), request.future_demands.get(page.id, 0))
            scores[page.id] = round(utility * UNITS)
            steps[page.id] = deltas
    return UpgradeProblem(request.budget - start.tokens, scores, steps)


def reached_utility(problem: UpgradeProblem, selection: Selection) -> int:
    """Return the utility of the upgrades that *selection* applied, in millionths."""
    return sum(problem.scores[step.page_id] for step in selection.steps if step.outcome is StepOutcome.APPLIED)


@dataclass(frozen=True, slots=True)
class UtilityShare:
    """One prompt: the utility reached and the best possible one, in millionths."""

    turn: int
    reached: int
    best: int
    problem: UpgradeProblem

    @property
    def ratio(self) -> float | None:
        """Utility reached as a share of the best (6 digits); None where nothing can be upgraded."""
        return round(self.reached / self.best, DIGITS) if self.best else None


class UtilityRecorder:
    """Selects as the plain selector does and keeps, for every request, what its upgrades reached."""

    def __init__(self) -> None:
        self.shares: list[UtilityShare] = []

    def __call__(self, request: SelectionRequest) -> Selection:
        """Return the plain selection for *request*."""
        selection = select(request)
        problem = upgrade_problem(request)
        reached = reached_utility(problem, selection)
        self.shares.append(UtilityShare(len(self.shares) + 1, reached, problem.best_utility(), problem))
        return selection


ADVERSARIAL_CASES: Mapping[str, tuple[int, tuple[tuple[float, dict[Level, int]], ...]]] = {
    # Every upper step is cheaper than the one below it, so the pass tries them from the top and finds none next.
    "single_pass": (17, ((1.0, dict(zip(list(Level)[1:], (10, 14, 16, 17)))),)),
    # A step of one token with a slightly better key takes the token that a hundred times as useful a step needs.
    "blocked": (100, ((1.01, {Level.FULL: 1}), (100.0, {Level.FULL: 100}))),
}
"""Requests on which the greedy pass does badly: budget (tokens), and by page its score and costs."""


def adversarial_case(name: str) -> UtilityShare:
    """Return what the greedy upgrades reach on an adversarial request when the score is the base utility."""
    budget, described = ADVERSARIAL_CASES[name]
    policy = dataclasses.replace(
        POLICIES["clawvm"], id="adversarial", prefetch=False, upgrades=LinearScore("base_utility")
    )
    pages = [
        Page(f"page-{number}", PageType.EVIDENCE, costs, Provenance("file", f"page-{number}"), base_utility=utility)
        for number, (utility, costs) in enumerate(described)
    ]
    recorder = UtilityRecorder()
    recorder(SelectionRequest(pages=pages, budget=budget, policy=policy, demands={}))
    return recorder.shares[0]
