"""The room that whole pages can use: at most the room that a prompt has, often less.

=============  ==========================================================================
Span           a content that may be kept at a level through some prompts
usable_rooms   the most tokens of each prompt that any choice of spans can take
=============  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt
from clawvm_runtime.vocabulary import Level

__all__ = ["Span", "extra_tokens", "usable_rooms"]

LARGEST_SEARCHED_ROOM = 100_000
"""In prompts with more room (tokens) whole pages leave too little unused to be worth the search."""


class Span(NamedTuple):
    """A content that may be kept at a level, at least, through a range of prompts."""

    content: Content
    level: Level
    prompts: range


def extra_tokens(sequence: DemandSequence, prompt: Prompt, content: Content, level: Level) -> int:
    """Return the tokens by which holding *content* at *level* exceeds what *prompt* holds of it."""
    held = prompt.get(content, Level.NONE)
    return 0 if held >= level else sequence.tokens(content, level) - sequence.tokens(content, held)


def usable_rooms(sequence: DemandSequence, spans: Iterable[Span]) -> list[int]:
    """Return for each prompt the largest sum, within its room, of what keeping some of *spans* adds to it (tokens).

    A prompt that has room for all of them keeps its room as it is. O(prompts x spans across them x room / word size).
    """
    extras: list[dict[Content, set[int]]] = [{} for _ in sequence.turns]
    for content, level, prompts in spans:
        for index in prompts:
            tokens = extra_tokens(sequence, sequence.turns[index].required, content, level)
            extras[index].setdefault(content, set()).add(tokens)
    return [_usable(list(choices.values()), room) for choices, room in zip(extras, sequence.rooms())]


def _usable(choices: Sequence[set[int]], room: int) -> int:
    if sum(map(max, choices)) <= room or not 0 < room <= LARGEST_SEARCHED_ROOM:
        return room
    within = (2 << room) - 1
    sums = 1  # Bit n is set when n tokens can be reached.
    for extras in choices:
        reached = sums
        for tokens in extras:
            reached |= sums << tokens
        sums = reached & within
    return sums.bit_length() - 1
