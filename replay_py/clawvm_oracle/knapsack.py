"""The multiple-choice knapsack, exactly: at most one option of each group, within a capacity, at the highest value.

=============  ==================================================
Option         a weight (tokens) and a value, whole numbers
best_choice    the options that reach the highest value
best_value     that value
=============  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Option", "best_choice", "best_value"]


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
