"""The oracle that may not prefetch: an offline plan of what to keep, played through the engine's own selector seam.

=================  ===========================================================================
DEMAND_ONLY        the policy row it runs under: ClawVM's structure, no prefetch, no upgrades
plan               what to hold in each prompt, best of several greedy orders
PlannedSelector    plays a plan: floors, demands, then what the plan keeps
=================  ===========================================================================

Whatever a plan reaches in the engine is an upper bound on the optimum of demand-only policies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt
from clawvm_oracle.intervals import Chance, use_chances, use_intervals
from clawvm_oracle.measures import reloaded_tokens
from clawvm_oracle.packing import pack
from clawvm_oracle.usable_rooms import extra_tokens, usable_rooms
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.vocabulary import Level

__all__ = ["DEMAND_ONLY", "PlannedSelector", "plan"]

DEMAND_ONLY = dataclasses.replace(
    POLICIES["clawvm"], id="demand_only_oracle", name="Demand-only oracle", prefetch=False, upgrades=None
)


def plan(sequence: DemandSequence) -> list[Prompt]:
    """Return the best of four greedy plans by reloaded tokens; each keeps whole uses as long as they fit.

    The orders: soonest next use first (with pages of one size and level this is Belady's optimum), latest next use
    first, most tokens saved per token of room and prompt, and the same with the prices that the fractional optimum puts
    on room. Raises ValueError under pressure.
    """
    if sequence.under_pressure:
        raise ValueError("a prompt cannot hold what it has to: under pressure no plan exists")
    chances = use_chances(sequence)
    rooms = usable_rooms(sequence, [chance.span for chance in chances])
    prices = pack(use_intervals(sequence, chances), rooms).prices
    flat = [1] * len(prices)
    orders: tuple[Callable[[Chance], float], ...] = (
        lambda chance: chance.turn,
        lambda chance: -chance.turn,
        lambda chance: _cost_per_saving(sequence, chance, flat),
        lambda chance: _cost_per_saving(sequence, chance, prices),
    )
    plans = [_keep(sequence, sorted(chances, key=lambda item: (order(item), item.turn, item.use))) for order in orders]
    return min(plans, key=lambda prompts: reloaded_tokens(sequence, prompts))


def _extra(sequence: DemandSequence, chance: Chance, prompt: Prompt) -> int:
    return extra_tokens(sequence, prompt, chance.use.content, chance.use.level)


def _cost_per_saving(sequence: DemandSequence, chance: Chance, prices: Sequence[int]) -> float:
    turns = sequence.turns
    cost = sum(prices[index] * _extra(sequence, chance, turns[index].required) for index in chance.span.prompts)
    return cost / (chance.use.times * chance.use.tokens)


def _keep(sequence: DemandSequence, chances: Sequence[Chance]) -> list[Prompt]:
    """Return the prompts that hold what they have to, and every use's page, in this order, that still fits."""
    prompts: list[dict[Content, Level]] = [dict(turn.required) for turn in sequence.turns]
    rooms = list(sequence.rooms())
    for chance in chances:
        extra = {index: _extra(sequence, chance, prompts[index]) for index in chance.span.prompts}
        if all(tokens <= rooms[index] for index, tokens in extra.items()):
            for index, tokens in extra.items():
                if tokens:
                    prompts[index][chance.use.content] = chance.use.level
                    rooms[index] -= tokens
    return list(prompts)


class PlannedSelector:
    """Plays one plan through one replay of the trace it was made for; a new replay needs a new selector."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = iter(prompts)

    def __call__(self, request: SelectionRequest) -> Selection:
        """Return floors, demands, and what the plan holds beside them.

        Raises ValueError when that does not fit: the plan was made for another trace or budget.
        """
        policy = dataclasses.replace(request.policy, prefetch=False, upgrades=None)
        base = select(dataclasses.replace(request, policy=policy))
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
