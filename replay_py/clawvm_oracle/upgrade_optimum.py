"""How much of the best possible utility the greedy upgrades reach: each prompt against an exact knapsack.

================  =============================================================================
UpgradeProblem    what a selection could still upgrade after floors, demands and pointers
upgrade_problem   that problem for a request
reached_utility   the utility of a selection's applied steps
UtilityShare      one prompt: utility reached, best utility, and the problem
UtilityRecorder   a selector that solves the problem of every request that passes through it
adversarial_case  the same for a request that was made to mislead the greedy pass
================  =============================================================================

The utility of a selection is the policy's own score of each page, once for each step that the page climbed.
Scores are counted in whole millionths, so that sums are exact on every machine.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from clawvm_oracle.knapsack import Option, best_value
from clawvm_replay.metrics import DIGITS
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES, LinearScore
from clawvm_runtime.selector import Selection, SelectionRequest, StepOutcome, select
from clawvm_runtime.vocabulary import Level, PageType

__all__ = [
    "ADVERSARIAL_LADDERS",
    "UpgradeProblem",
    "UtilityRecorder",
    "UtilityShare",
    "adversarial_case",
    "reached_utility",
    "upgrade_problem",
]

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
