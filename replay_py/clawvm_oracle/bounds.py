"""Lower bounds that no policy can stay below, and an oracle that comes close without prefetching.

Each bound holds for every policy of its kind whose prompts hold what the sequence requires. Proofs: ``docs/bounds.md``.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

from clawvm_oracle.demand_sequence import DemandedContent, DemandSequence, Prompt, Use
from clawvm_oracle.intervals import (
    Interval,
    ReuseOpportunity,
    extra_tokens,
    pack,
    packable_tokens,
    repeated_requirements,
    reuse_intervals,
    reuse_opportunities,
)
from clawvm_oracle.knapsack import Option, best_choice
from clawvm_runtime.policy import POLICIES, Policy
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.vocabulary import Level

__all__ = [
    "DEMAND_ONLY",
    "PlannedSelector",
    "any_policy_bound",
    "any_policy_plan",
    "brought_in_bound",
    "brought_in_tokens",
    "demand_only_bound",
    "demand_only_plan",
    "is_demand_only",
    "reloaded_tokens",
]

DEMAND_ONLY = dataclasses.replace(
    POLICIES["clawvm"], id="demand_only_oracle", name="Demand-only oracle", prefetch=False, upgrades=None
)
"""The policy under which plans are played."""


def is_demand_only(policy: Policy) -> bool:
    """Return whether *policy* lets pages in, or up, only when floors or demands ask for them."""
    return not policy.prefetch and policy.upgrades is None


def reloaded_tokens(sequence: DemandSequence, prompts: Sequence[Prompt]) -> int:
    """Return the tokens of all uses whose page was too low in the prompt before, each at the level it needs.

    For a policy that resolves pointers and meets every demand these are exactly the page-in tokens of the metrics;
    without resolution the same tokens are retrieved again by other means (faults).
    """
    total = 0
    held: Prompt = {}
    for turn, prompt in zip(sequence.turns, prompts):
        total += turn.unavoidable
        total += sum(use.times * use.tokens for use in turn.uses if not _served(use, held))
        held = prompt
    return total


def _served(use: Use, prompt: Prompt) -> bool:
    return prompt.get(use.content, Level.NONE) >= use.level


def brought_in_tokens(sequence: DemandSequence, prompts: Sequence[Prompt]) -> int:
    """Return the tokens that each prompt adds to what was carried into it, summed over the run.

    A page that rises pays the difference; after a boundary, and in the first prompt, everything counts anew.
    """
    total = 0
    held: Prompt = {}
    for turn, prompt in zip(sequence.turns, prompts):
        carried = {} if turn.boundary else held
        total += sum(extra_tokens(sequence, carried, content, level) for content, level in prompt.items())
        held = prompt
    return total


def any_policy_bound(sequence: DemandSequence) -> int:
    """Return the least reloaded tokens of any policy, exactly. Raises ValueError under pressure."""
    return reloaded_tokens(sequence, any_policy_plan(sequence))


def any_policy_plan(sequence: DemandSequence) -> list[Prompt]:
    """Return prompts that reach ``any_policy_bound``: what is required, and the best for the next turn.

    Prefetching costs nothing by this measure, so every prompt is a knapsack of its own: its free tokens go to what
    saves the next turn most. Raises ValueError under pressure.
    """
    prompts: list[Prompt] = []
    for number, free in enumerate(sequence.free_tokens()):
        prompt = dict(sequence.turns[number].required)
        candidates = _candidates(sequence, number)
        chosen = best_choice([list(options) for options in candidates.values()], free)
        for (content, options), option in zip(candidates.items(), chosen):
            if option is not None:
                prompt[content] = options[option]
        prompts.append(prompt)
    return prompts


def _candidates(sequence: DemandSequence, number: int) -> dict[DemandedContent, dict[Option, Level]]:
    """Return the levels to which a prompt can raise each page that the next turn uses, by what that takes and saves."""
    required = sequence.turns[number].required
    uses: dict[DemandedContent, list[Use]] = defaultdict(list)
    for turn in sequence.turns[number + 1 : number + 2]:  # Nothing follows the last prompt.
        for use in turn.uses:
            if not _served(use, required):
                uses[use.content].append(use)
    return {
        content: {
            Option(
                extra_tokens(sequence, required, content, top.level),
                sum(use.times * use.tokens for use in wanted if use.level <= top.level),
            ): top.level
            for top in wanted
        }
        for content, wanted in uses.items()
    }


def demand_only_bound(sequence: DemandSequence) -> int:
    """Return a lower bound on the reloaded tokens of any policy that lets pages in, or up, only on demand.

    The layers of a page are kept one by one and in any share, and each pays its part of a use. Raises ValueError under
    pressure.
    """
    opportunities = reuse_opportunities(sequence)
    free = packable_tokens(sequence, [opportunity.span for opportunity in opportunities])
    nothing_kept = reloaded_tokens(sequence, [{}] * len(sequence.turns))
    return nothing_kept - pack(reuse_intervals(sequence, opportunities), free).saved


def brought_in_bound(sequence: DemandSequence) -> int:
    """Return a lower bound on the tokens that any policy brings into its prompts.

    Bringing a layer in early is never cheaper than on demand, so this holds for prefetching policies too. Raises
    ValueError under pressure.
    """
    total, layers = repeated_requirements(sequence)
    free = packable_tokens(sequence, [span for span, _ in layers])
    return total - pack([Interval(span.prompts, tokens, 1) for span, tokens in layers], free).saved


def demand_only_plan(sequence: DemandSequence) -> list[Prompt]:
    """Return the best of four greedy plans by reloaded tokens; each keeps whole uses as long as they fit.

    The orders: soonest next use first (with pages of one size and level this is Belady's optimum), latest next use
    first, most tokens saved per token kept in a prompt, and the same at the prices of the fractional optimum. Raises
    ValueError under pressure.
    """
    opportunities = reuse_opportunities(sequence)
    free = packable_tokens(sequence, [opportunity.span for opportunity in opportunities])
    prices = pack(reuse_intervals(sequence, opportunities), free).prices
    flat = [1] * len(prices)
    orders: tuple[Callable[[ReuseOpportunity], float], ...] = (
        lambda item: item.turn,
        lambda item: -item.turn,
        lambda item: _cost_per_saving(sequence, item, flat),
        lambda item: _cost_per_saving(sequence, item, prices),
    )
    plans = [
        _keep(sequence, sorted(opportunities, key=lambda item: (order(item), item.turn, item.use))) for order in orders
    ]
    return min(plans, key=lambda prompts: reloaded_tokens(sequence, prompts))


def _extra(sequence: DemandSequence, item: ReuseOpportunity, prompt: Prompt) -> int:
    return extra_tokens(sequence, prompt, item.use.content, item.use.level)


def _cost_per_saving(sequence: DemandSequence, item: ReuseOpportunity, prices: Sequence[int]) -> float:
    cost = sum(prices[n] * _extra(sequence, item, sequence.turns[n].required) for n in item.span.prompts)
    return cost / (item.use.times * item.use.tokens)


def _keep(sequence: DemandSequence, opportunities: Sequence[ReuseOpportunity]) -> list[Prompt]:
    """Return the prompts that hold what they have to, and every use's page, in this order, that still fits."""
    prompts: list[dict[DemandedContent, Level]] = [dict(turn.required) for turn in sequence.turns]
    free = list(sequence.free_tokens())
    for item in opportunities:
        extra = {number: _extra(sequence, item, prompts[number]) for number in item.span.prompts}
        if all(tokens <= free[number] for number, tokens in extra.items()):
            for number, tokens in extra.items():
                if tokens:
                    prompts[number][item.use.content] = item.use.level
                    free[number] -= tokens
    return list(prompts)


class PlannedSelector:
    """Plays a plan through one replay of its trace under ``DEMAND_ONLY``; a new replay needs a new selector."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = iter(prompts)

    def __call__(self, request: SelectionRequest) -> Selection:
        """Return floors, demands, and what the plan holds besides them.

        Raises ValueError when that does not fit: the plan was made for another trace or budget.
        """
        base = select(request)
        planned = {content.page_id: level for content, level in next(self._prompts, {}).items()}
        levels = dict(base.levels)
        tokens = base.tokens
        for page in request.pages:
            level, held = planned.get(page.id, Level.NONE), levels.get(page.id, Level.NONE)
            if level > held:
                tokens += page.costs[level] - (page.costs[held] if held else 0)
                levels[page.id] = level
        if tokens > request.budget:
            raise ValueError(f"the plan needs {tokens} tokens, the budget is {request.budget}")
        return dataclasses.replace(base, levels=levels, tokens=tokens)
