"""Exact optima by trying every choice of every prompt: for small cases, against which the bounds are checked.

==========================  =================================================================
Optimum                     the tokens, and prompts that reach them
least_reloaded              over all policies
least_reloaded_on_demand    over policies that let pages in, or up, only on demand
least_brought_in            over all policies
==========================  =================================================================

Exponential in the number of pages. Contents that no later turn uses or requires are left out of the choices, as are
those that no turn has asked for yet: holding them serves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt, TurnNeeds
from clawvm_runtime.vocabulary import Level

__all__ = ["Optimum", "least_brought_in", "least_reloaded", "least_reloaded_on_demand"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The least tokens, and prompts that reach them."""

    tokens: int
    prompts: tuple[Prompt, ...]


_Choice = dict[Content, Level]
_Price = Callable[[TurnNeeds, Prompt, Prompt], int]


def least_reloaded(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when every prompt may hold anything that fits."""
    # What a prompt holds matters for the next turn only, so each prompt can be chosen by itself.
    prompts: list[Prompt] = []
    total = 0
    for index, turn in enumerate(sequence.turns):
        total += _reloaded(turn, prompts[-1] if prompts else {})
        after = sequence.turns[index + 1] if index + 1 < len(sequence.turns) else None
        prompts.append(
            min(_choices(sequence, index), key=lambda prompt: 0 if after is None else _reloaded(after, prompt))
        )
    return Optimum(total, tuple(prompts))


def least_reloaded_on_demand(sequence: DemandSequence) -> Optimum:
    """Return the optimum of reloaded tokens when a page may enter or rise only where it is demanded or held anyway."""
    return _search(sequence, lambda turn, held, prompt: _reloaded(turn, held), on_demand=True)


def least_brought_in(sequence: DemandSequence) -> Optimum:
    """Return the optimum of tokens brought in when every prompt may hold anything that fits."""

    def price(turn: TurnNeeds, held: Prompt, prompt: Prompt) -> int:
        carried = {} if turn.lost else held
        return sum(
            max(0, sequence.tokens(content, level) - sequence.tokens(content, carried.get(content, Level.NONE)))
            for content, level in prompt.items()
        )

    return _search(sequence, price, on_demand=False)


def _reloaded(turn: TurnNeeds, held: Prompt) -> int:
    missing = (use.times * use.tokens for use in turn.uses if held.get(use.content, Level.NONE) < use.level)
    return turn.unavoidable + sum(missing)


def _search(sequence: DemandSequence, price: _Price, *, on_demand: bool) -> Optimum:
    """Return the cheapest way through all prompts: every prompt that fits, after every prompt that fits."""
    best: dict[tuple[tuple[Content, Level], ...], tuple[int, tuple[Prompt, ...]]] = {(): (0, ())}
    for index, turn in enumerate(sequence.turns):
        following: dict[tuple[tuple[Content, Level], ...], tuple[int, tuple[Prompt, ...]]] = {}
        free = None if on_demand else list(_choices(sequence, index))
        for state, (tokens, prompts) in best.items():
            held = dict(state)
            for prompt in _choices(sequence, index, {} if turn.lost else held) if free is None else free:
                reached = tokens + price(turn, held, prompt)
                key = tuple(prompt.items())
                if key not in following or reached < following[key][0]:
                    following[key] = (reached, (*prompts, prompt))
        best = following
    return Optimum(*min(best.values(), key=lambda item: item[0]))


def _choices(sequence: DemandSequence, index: int, carried: Prompt | None = None) -> Iterator[_Choice]:
    """Yield every prompt that holds what it has to and fits; with *carried* only what that and the turn let in."""
    turn = sequence.turns[index]
    contents = _alive(sequence.turns, index)
    ladders: list[Sequence[Level]] = []
    for content in contents:
        least = turn.required.get(content, Level.NONE)
        most = Level.FULL
        if carried is not None:
            most = max(turn.allowed.get(content, Level.NONE), carried.get(content, Level.NONE))
        levels = (Level.NONE, *sequence.ladders[content])
        ladders.append([level for level in levels if least <= level <= most])
    for choice in product(*ladders):
        if sum(map(sequence.tokens, contents, choice)) <= sequence.budget:
            yield {content: level for content, level in zip(contents, choice) if level}


def _alive(turns: Sequence[TurnNeeds], index: int) -> list[Content]:
    """Return the contents that some turn up to *index* let in and that this prompt or a later turn needs."""
    known = {content for turn in turns[: index + 1] for content in turn.allowed}
    needed = {content for turn in turns[index:] for content in turn.required}
    used = {use.content for turn in turns[index + 1 :] for use in turn.uses}
    return sorted(known & (needed | used))
