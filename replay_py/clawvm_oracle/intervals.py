"""Layers of pages as intervals on the axis of prompts: what could be kept, how long, and what that would save.

==================  ==============================================================================
Chance              uses that a policy without prefetch could serve from the prompt before
use_chances         all of them
Interval            tokens that save something if kept through a run of prompts
use_intervals       one interval for each layer of each chance: savings in reloaded tokens
Return              a layer that a prompt has to hold and that an earlier prompt had to hold too
returns             all of them, and the tokens of all requirements
==================  ==============================================================================

A layer is what one level adds to the supported level below it. Prompts are numbered from 0, as the turns are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clawvm_oracle.demand_sequence import Content, DemandSequence, Use
from clawvm_oracle.usable_rooms import Span, extra_tokens
from clawvm_runtime.vocabulary import Level

__all__ = ["Chance", "Interval", "Return", "returns", "use_chances", "use_intervals"]


@dataclass(frozen=True, slots=True)
class Chance:
    """A use in turn ``turn`` whose layers could have been kept since they last were let in.

    ``entered`` maps each level up to the needed one to the last prompt before the turn that let this layer in; no
    boundary lies in between.
    """

    turn: int
    use: Use
    entered: Mapping[Level, int]

    @property
    def span(self) -> Span:
        """The prompts through which the use's page has to stand at its level."""
        return Span(self.use.content, self.use.level, range(self.entered[self.use.level], self.turn))


class Interval(NamedTuple):
    """Tokens that save ``worth`` tokens each if they are kept through the prompts ``first`` to ``last``."""

    first: int
    last: int
    tokens: int
    worth: int


def _layers(ladder: Mapping[Level, int], top: Level) -> Iterator[tuple[Level, int]]:
    """Yield each supported level up to *top* and the tokens that it adds."""
    below = 0
    for level, cost in ladder.items():
        if level > top:
            return
        yield level, cost - below
        below = cost


def _fits(sequence: DemandSequence, rooms: Sequence[int], span: Span) -> bool:
    """Return whether *span* fits beside the requirements of each of its prompts by itself."""
    content, level, prompts = span
    turns = sequence.turns
    return all(extra_tokens(sequence, turns[index].required, content, level) <= rooms[index] for index in prompts)


def use_chances(sequence: DemandSequence) -> list[Chance]:
    """Return every use that a policy could serve which lets a page in, or up, only when it is demanded.

    A use whose page does not fit beside the requirements of some prompt on the way is no chance.
    O(turns x required pages + uses x turns between them).
    """
    chances = []
    rooms = sequence.rooms()
    entered: dict[Content, dict[Level, int]] = {}
    for index, turn in enumerate(sequence.turns):
        for use in turn.uses:
            since = entered.get(use.content, {})
            if use.level not in since:
                continue
            chance = Chance(index, use, {level: since[level] for level in sorted(since) if level <= use.level})
            if _fits(sequence, rooms, chance.span):
                chances.append(chance)
        if turn.lost:
            entered.clear()
        for content, top in turn.allowed.items():
            since = entered.setdefault(content, {})
            for level, _ in _layers(sequence.ladders[content], top):
                since[level] = index
    return chances


def use_intervals(sequence: DemandSequence, chances: Iterable[Chance]) -> list[Interval]:
    """Return the intervals by which keeping saves reloaded tokens: one for each layer of each used content and turn.

    A layer kept for one use serves the other uses of the turn that need it too: its worth is their number. Where a
    prompt has to hold the layer anyway it takes no room.
    """
    worth: Counter[tuple[int, Content, Level]] = Counter()
    entered: dict[tuple[int, Content, Level], int] = {}
    for chance in chances:
        for level, prompt in chance.entered.items():
            key = (chance.turn, chance.use.content, level)
            worth[key] += chance.use.times
            entered[key] = prompt
    added = {content: dict(_layers(ladder, Level.FULL)) for content, ladder in sequence.ladders.items()}
    intervals = []
    for key in sorted(worth):
        turn, content, level = key
        prompt = entered[key]
        held_anyway = sequence.turns[prompt].required.get(content, Level.NONE) >= level
        intervals.append(Interval(prompt + held_anyway, turn - 1, added[content][level], worth[key]))
    return intervals


@dataclass(frozen=True, slots=True)
class Return:
    """A layer that a prompt has to hold, as an earlier one had to: kept in between it is not brought in again.

    ``span`` covers the prompts in between (none, if they follow each other), ``tokens`` are the layer's.
    """

    span: Span
    tokens: int

    @property
    def interval(self) -> Interval:
        """The interval that saves these tokens."""
        prompts = self.span.prompts
        return Interval(prompts.start, prompts.stop - 1, self.tokens, 1)


def returns(sequence: DemandSequence) -> tuple[int, list[Return]]:
    """Return the tokens of all requirements, and every layer that need not be brought in again.

    The span of a layer runs through the prompts between two that have to hold it, unless a boundary lies between
    or the page at that level does not fit beside the requirements of a prompt on the way.
    """
    rooms = sequence.rooms()
    total = 0
    found = []
    last: dict[Content, dict[Level, int]] = {}
    for index, turn in enumerate(sequence.turns):
        if turn.lost:
            last.clear()
        for content, top in turn.required.items():
            since = last.setdefault(content, {})
            for level, tokens in _layers(sequence.ladders[content], top):
                total += tokens
                if level in since:
                    span = Span(content, level, range(since[level] + 1, index))
                    if _fits(sequence, rooms, span):
                        found.append(Return(span, tokens))
                since[level] = index
    return total, found
