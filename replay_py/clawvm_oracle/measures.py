"""What a run of prompts costs, by the two measures that the bounds speak about.

===================  ==============================================================================
reloaded_tokens      tokens of the uses that found their page too low: page-ins, or fetched again
brought_in_tokens    tokens that the prompt before did not hold, for whatever reason they came
===================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

from clawvm_oracle.demand_sequence import DemandSequence, Prompt
from clawvm_runtime.vocabulary import Level

__all__ = ["brought_in_tokens", "reloaded_tokens"]


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
