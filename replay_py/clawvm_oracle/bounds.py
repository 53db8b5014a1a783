"""Three lower bounds for a whole trace: no policy of the kind that each is for can stay below it.

====================  ================================================================================
any_policy_bound      reloaded tokens of any policy, prefetching ones too
any_policy_plan       prompts that reach that bound exactly
demand_only_bound     reloaded tokens of any policy that lets pages in, or up, only on demand
brought_in_bound      tokens brought into the prompts by any policy
====================  ================================================================================

Each holds for every policy whose prompts hold what the sequence requires. Proofs: ``docs/bounds.md``.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt, Use
from clawvm_oracle.intervals import (
    ReuseOpportunity,
    extra_tokens,
    pack,
    packable_tokens,
    returns,
    use_chances,
    use_intervals,
)
from clawvm_oracle.knapsack import Option, best_choice, best_value
from clawvm_runtime.policy import POLICIES
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
    "plan",
    "reloaded_tokens",
    "use_tokens",
]


# --- Three lower bounds for a whole trace: no policy of the kind that each is for can stay below it.


def use_tokens(sequence: DemandSequence) -> int:
    """Return the reloaded tokens of a run that finds nothing in the prompt before (tokens)."""
    return sum(turn.unavoidable + sum(use.times * use.tokens for use in turn.uses) for turn in sequence.turns)


def _rooms(sequence: DemandSequence) -> tuple[int, ...]:
    rooms = sequence.rooms()
    if min(rooms, default=0) < 0:
        raise ValueError("a prompt cannot hold what it has to: under pressure no bound is defined")
    return rooms


def any_policy_bound(sequence: DemandSequence) -> int:
    """Return the least reloaded tokens of any policy, exactly.

    Prefetching costs nothing by this measure, so every prompt is a problem of its own: fill the room beside the
    requirements with what saves the next turn most. Raises ValueError under pressure.
    """
    rooms = _rooms(sequence)
    saved = 0
    for index, turn in enumerate(sequence.turns[1:]):
        required = sequence.turns[index].required
        saved += sum(use.times * use.tokens for use in turn.uses if _served(use, required))
        saved += best_value([list(options) for options in _fillings(sequence, index).values()], rooms[index])
    return use_tokens(sequence) - saved


def any_policy_plan(sequence: DemandSequence) -> list[Prompt]:
    """Return prompts that reach ``any_policy_bound``: what is required, and beside it the best for the next turn.

    Raises ValueError under pressure.
    """
    prompts: list[Prompt] = []
    for index, room in enumerate(_rooms(sequence)):
        prompt = dict(sequence.turns[index].required)
        fillings = _fillings(sequence, index)
        chosen = best_choice([list(options) for options in fillings.values()], room)
        for (content, options), option in zip(fillings.items(), chosen):
            if option is not None:
                prompt[content] = options[option]
        prompts.append(prompt)
    return prompts


def _served(use: Use, prompt: Prompt) -> bool:
    return prompt.get(use.content, Level.NONE) >= use.level


def _fillings(sequence: DemandSequence, index: int) -> dict[Content, dict[Option, Level]]:
    """Return the levels to which a prompt can raise each page that the next turn uses, by what that takes and saves."""
    required = sequence.turns[index].required
    uses: dict[Content, list[Use]] = defaultdict(list)
    for turn in sequence.turns[index + 1 : index + 2]:  # Nothing comes after the last prompt.
        for use in turn.uses:
            if not _served(use, required):
                uses[use.content].append(use)
    fillings: dict[Content, dict[Option, Level]] = {}
    for content, wanted in uses.items():
        there = sequence.tokens(content, required.get(content, Level.NONE))
        fillings[content] = {
            Option(
                sequence.tokens(content, top.level) - there,
                sum(use.times * use.tokens for use in wanted if use.level <= top.level),
            ): top.level
            for top in wanted
        }
    return fillings


def demand_only_bound(sequence: DemandSequence) -> int:
    """Return a lower bound on the reloaded tokens of any policy that lets pages in, or up, only on demand.

    The layers of a page are kept one by one and in any share, and each pays its part of a use. Raises ValueError under
    pressure.
    """
    _rooms(sequence)
    chances = use_chances(sequence)
    rooms = packable_tokens(sequence, [chance.span for chance in chances])
    return use_tokens(sequence) - pack(use_intervals(sequence, chances), rooms).saved


def brought_in_bound(sequence: DemandSequence) -> int:
    """Return a lower bound on the tokens that any policy brings into its prompts.

    Bringing a layer in early is never cheaper than on demand, so this holds for prefetching policies too. Raises
    ValueError under pressure.
    """
    _rooms(sequence)
    total, layers = returns(sequence)
    rooms = packable_tokens(sequence, [layer.span for layer in layers])
    return total - pack([layer.interval for layer in layers], rooms).saved


# --- What a run of prompts costs, by the two measures that the bounds speak about.


def reloaded_tokens(sequence: DemandSequence, prompts: Sequence[Prompt]) -> int:
    """Return the tokens of all uses whose page stood too low in the prompt before, each at the level it needs.

    For a policy that resolves pointers and meets every demand these are exactly the page-in tokens of the metrics;
    without resolution the same tokens are retrieved again by other means (faults).
    """
    total = 0
    held: Prompt = {}
    for turn, prompt in zip(sequence.turns, prompts):
        total += turn.unavoidable
        total += sum(use.times * use.tokens for use in turn.uses if held.get(use.content, Level.NONE) < use.level)
        held = prompt
    return total


def brought_in_tokens(sequence: DemandSequence, prompts: Sequence[Prompt]) -> int:
    """Return the tokens that each prompt adds to what was carried into it, summed over the run.

    A page that rises pays the difference; after a boundary, and in the first prompt, everything counts anew.
    """
    total = 0
    held: Prompt = {}
    for turn, prompt in zip(sequence.turns, prompts):
        if turn.lost:
            held = {}
        for content, level in prompt.items():
            total += max(0, sequence.tokens(content, level) - sequence.tokens(content, held.get(content, Level.NONE)))
        held = prompt
    return total


# --- The oracle that may not prefetch: an offline plan of what to keep, played through the engine's own selector seam.

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
    rooms = packable_tokens(sequence, [chance.span for chance in chances])
    prices = pack(use_intervals(sequence, chances), rooms).prices
    flat = [1] * len(prices)
    orders: tuple[Callable[[ReuseOpportunity], float], ...] = (
        lambda chance: chance.turn,
        lambda chance: -chance.turn,
        lambda chance: _cost_per_saving(sequence, chance, flat),
        lambda chance: _cost_per_saving(sequence, chance, prices),
    )
    plans = [_keep(sequence, sorted(chances, key=lambda item: (order(item), item.turn, item.use))) for order in orders]
    return min(plans, key=lambda prompts: reloaded_tokens(sequence, prompts))


def _extra(sequence: DemandSequence, chance: ReuseOpportunity, prompt: Prompt) -> int:
    return extra_tokens(sequence, prompt, chance.use.content, chance.use.level)


def _cost_per_saving(sequence: DemandSequence, chance: ReuseOpportunity, prices: Sequence[int]) -> float:
    turns = sequence.turns
    cost = sum(prices[index] * _extra(sequence, chance, turns[index].required) for index in chance.span.prompts)
    return cost / (chance.use.times * chance.use.tokens)


def _keep(sequence: DemandSequence, chances: Sequence[ReuseOpportunity]) -> list[Prompt]:
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
