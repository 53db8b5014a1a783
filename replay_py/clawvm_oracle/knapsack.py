"""The multiple-choice knapsack, exactly: at most one option of each group, within a capacity, at the highest value.

=============  ==================================================
Option         a weight (tokens) and a value, whole numbers
best_choice    the options that reach the highest value
best_value     that value
=============  ==================================================
"""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from clawvm_replay.metrics import DIGITS
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES, LinearScore
from clawvm_runtime.selector import Selection, SelectionRequest, StepOutcome, select
from clawvm_runtime.vocabulary import Level, PageType

__all__ = [
    "ADVERSARIAL_LADDERS",
    "EDGES",
    "Option",
    "UtilityRecorder",
    "UtilityShare",
    "adversarial_case",
    "best_choice",
    "best_value",
    "distribution",
    "reached_utility",
    "upgrade_problem",
]


# --- The multiple-choice knapsack, exactly: at most one option of each group, within a capacity, at the highest value.


class Option(NamedTuple):
    """A choice within a group: what it weighs (tokens, at least 1) and what it is worth (at least 0)."""

    weight: int
    value: int


class _Taken(NamedTuple):
    """Options of some groups together: their weight and value, the last one with its group, and those before it."""

    weight: int
    value: int
    group: int
    option: Option
    before: _Taken | None


_NOTHING = _Taken(0, 0, -1, Option(0, 0), None)


def best_value(groups: Sequence[Sequence[Option]], capacity: int) -> int:
    """Return the value of ``best_choice``."""
    return sum(option.value for option in best_choice(groups, capacity) if option is not None)


def best_choice(groups: Sequence[Sequence[Option]], capacity: int) -> list[Option | None]:
    """Return for each group the option, if any, of a choice with the highest value that weighs at most *capacity*.

    Dynamic programming over the choices that no other one beats in both weight and value, cut by the bound of the
    linear relaxation; at most O(options x capacity), in practice far less.
    """
    price, chosen = _relaxation(groups, capacity)
    best = sum(option.value for option in chosen if option is not None)
    p, q = price.numerator, price.denominator
    # What each group can add at most, at this price for a token; scaled by q to stay in whole numbers.
    gains = [max([0, *(q * option.value - p * option.weight for option in group)]) for group in groups]
    ahead = sum(gains)
    front = [_NOTHING]
    for number, (group, gain) in enumerate(zip(groups, gains)):
        ahead -= gain
        front = _undominated(front, group, number, capacity)
        # Whatever cannot beat the value that is known already, even by the relaxation, is dropped.
        front = [item for item in front if q * item.value + p * (capacity - item.weight) + ahead > q * best]
    highest = max(front, key=lambda item: item.value, default=_NOTHING)
    return _options(highest, len(groups)) if highest.value > best else chosen


def _options(taken: _Taken, groups: int) -> list[Option | None]:
    options: list[Option | None] = [None] * groups
    while taken.before is not None:
        options[taken.group] = taken.option
        taken = taken.before
    return options


def _undominated(front: Sequence[_Taken], group: Sequence[Option], number: int, capacity: int) -> list[_Taken]:
    """Return what *front* gives with at most one option of *group*, without what another choice beats."""
    every = list(front)
    for option in group:
        weight, value = option
        every.extend(_Taken(item.weight + weight, item.value + value, number, option, item) for item in front)
    every.sort(key=lambda item: (item.weight, -item.value))
    kept: list[_Taken] = []
    for item in every:
        if item.weight > capacity:
            break
        if not kept or item.value > kept[-1].value:
            kept.append(item)
    return kept


def _relaxation(groups: Sequence[Sequence[Option]], capacity: int) -> tuple[Fraction, list[Option | None]]:
    """Return what a token is worth where the relaxation stops, and a choice that fits."""
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


# --- How much of the best possible utility the greedy upgrades reach: each prompt against an exact knapsack.

UNITS = 10**6


@dataclass(frozen=True, slots=True)
class UpgradeProblem:
    """Tokens left for upgrades, and for each page that can rise its score (millionths) and its steps (tokens)."""

    left: int
    scores: Mapping[str, int]
    steps: Mapping[str, tuple[int, ...]]

    def best_utility(self) -> int:
        """Return the highest utility of any selection, in millionths: exact."""
        groups = []
        for page_id, deltas in self.steps.items():
            tokens, group = 0, []
            for climbed, delta in enumerate(deltas, 1):
                tokens += delta
                group.append(Option(tokens, climbed * self.scores[page_id]))
            groups.append(group)
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
            worth = score(page, request.recency.get(page.id, 0.0), request.future_demands.get(page.id, 0))
            scores[page.id] = round(worth * UNITS)
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


@dataclass(frozen=True, slots=True)
class AdversarialPage:
    """A page of an adversarial request: base utility, which is its score, and token costs from `pointer` to `full`."""

    utility: float
    costs: tuple[int, ...]


ADVERSARIAL_LADDERS: Mapping[str, tuple[int, tuple[AdversarialPage, ...]]] = {
    # Every upper step is cheaper than the one below it, so the pass tries them from the top and finds none next.
    "single_pass": (17, (AdversarialPage(1.0, (10, 14, 16, 17)),)),
    # A step of one token with a slightly better key takes the token that a hundred times as useful a step needs.
    "blocked": (100, (AdversarialPage(1.01, (1,)), AdversarialPage(100.0, (100,)))),
}
"""Requests on which the greedy pass does badly: budget (tokens) and pages, by what misleads it."""

_LEVELS_BY_COUNT = {1: (Level.FULL,), 4: (Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL)}


def adversarial_case(name: str) -> UtilityShare:
    """Return what the greedy upgrades reach on an adversarial request when the score is the base utility."""
    budget, described = ADVERSARIAL_LADDERS[name]
    policy = dataclasses.replace(
        POLICIES["clawvm"], id="adversarial", prefetch=False, upgrades=LinearScore("base_utility")
    )
    pages = [
        Page(
            id=f"page-{number}",
            type=PageType.EVIDENCE,
            costs=dict(zip(_LEVELS_BY_COUNT[len(page.costs)], page.costs)),
            provenance=Provenance("file", f"page-{number}"),
            base_utility=page.utility,
        )
        for number, page in enumerate(described)
    ]
    recorder = UtilityRecorder()
    recorder(SelectionRequest(pages=pages, budget=budget, policy=policy, demands={}))
    return recorder.shares[0]


# --- The distribution of ratios: quantiles, mean, share at the optimum, histogram.

EDGES = (0.0, *(round(number / 100, 2) for number in range(80, 101)))
"""Bins of one hundredth from 0.80 to 1, one bin for all below; the last one includes 1."""

_QUANTILES = {"minimum": 0.0, "p1": 0.01, "p5": 0.05, "quartile_1": 0.25, "median": 0.5, "quartile_3": 0.75}


def distribution(ratios: Sequence[float]) -> dict[str, Any]:
    """Return count, nearest-rank quantiles, mean, share that is exactly 1, and counts by bin of ``EDGES``."""
    ordered = sorted(ratios)
    count = len(ordered)
    counts = [0] * (len(EDGES) - 1)
    for ratio in ordered:
        counts[min(bisect_right(EDGES, ratio), len(counts)) - 1] += 1
    quantiles = {
        name: ordered[max(0, math.ceil(share * count) - 1)] if ordered else None for name, share in _QUANTILES.items()
    }
    return {
        "count": count,
        **quantiles,
        "mean": round(math.fsum(ordered) / count, DIGITS) if ordered else None,
        "share_optimal": round(ordered.count(1.0) / count, DIGITS) if ordered else None,
        "histogram": counts,
    }
