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

from collections import defaultdict

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt, Use
from clawvm_oracle.intervals import returns, use_chances, use_intervals
from clawvm_oracle.knapsack import Option, best_choice, best_value
from clawvm_oracle.packing import pack
from clawvm_oracle.usable_rooms import usable_rooms
from clawvm_runtime.vocabulary import Level

__all__ = ["any_policy_bound", "any_policy_plan", "brought_in_bound", "demand_only_bound", "use_tokens"]


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
    rooms = usable_rooms(sequence, [chance.span for chance in chances])
    return use_tokens(sequence) - pack(use_intervals(sequence, chances), rooms).saved


def brought_in_bound(sequence: DemandSequence) -> int:
    """Return a lower bound on the tokens that any policy brings into its prompts.

    Bringing a layer in early is never cheaper than on demand, so this holds for prefetching policies too. Raises
    ValueError under pressure.
    """
    _rooms(sequence)
    total, layers = returns(sequence)
    rooms = usable_rooms(sequence, [layer.span for layer in layers])
    return total - pack([layer.interval for layer in layers], rooms).saved
