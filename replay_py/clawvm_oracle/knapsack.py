"""The multiple-choice knapsack, exactly: at most one option of each group, within a capacity, at the highest value.

=============  ==================================================
Option         a weight (tokens) and a value, whole numbers
best_value     the highest value that fits
=============  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

__all__ = ["Option", "best_value"]


class Option(NamedTuple):
    """A choice within a group: what it weighs (tokens, at least 1) and what it is worth (at least 0)."""

    weight: int
    value: int


def best_value(groups: Sequence[Sequence[Option]], capacity: int) -> int:
    """Return the highest value of at most one option from each group with a total weight of at most *capacity*.

    Dynamic programming over the choices that no other one beats in both weight and value, cut by the bound of the
    linear relaxation; at most O(options x capacity), in practice far less.
    """
    price, best = _relaxation(groups, capacity)
    p, q = price.numerator, price.denominator
    # What each group can add at most, at this price for a token; scaled by q to stay in whole numbers.
    gains = [max([0, *(q * option.value - p * option.weight for option in group)]) for group in groups]
    ahead = sum(gains)
    front = [Option(0, 0)]
    for group, gain in zip(groups, gains):
        ahead -= gain
        front = _undominated(front, group, capacity)
        # Whatever cannot beat the value that is known already, even by the relaxation, is dropped.
        front = [item for item in front if q * item.value + p * (capacity - item.weight) + ahead > q * best]
    return max([best, *(item.value for item in front)])


def _undominated(front: Sequence[Option], group: Sequence[Option], capacity: int) -> list[Option]:
    """Return what *front* gives with at most one option of *group*, without what another choice beats."""
    every = list(front)
    for weight, value in group:
        every.extend(Option(item.weight + weight, item.value + value) for item in front)
    every.sort(key=lambda item: (item.weight, -item.value))
    kept: list[Option] = []
    for item in every:
        if item.weight > capacity:
            break
        if not kept or item.value > kept[-1].value:
            kept.append(item)
    return kept


def _relaxation(groups: Sequence[Sequence[Option]], capacity: int) -> tuple[Fraction, int]:
    """Return what a token is worth where the relaxation stops, and the value of a choice that fits."""
    steps = sorted(
        (step for number, group in enumerate(groups) for step in _hull(group, number)),
        key=lambda step: (-step[0], step[1]),
    )
    price = Fraction(0)
    left, value, stopped = capacity, 0, set()
    for density, number, weight, gain in steps:
        if number in stopped:
            continue
        if weight <= left:
            left -= weight
            value += gain
        else:
            stopped.add(number)
            price = price or density
    return price, value


def _hull(group: Sequence[Option], number: int) -> list[tuple[Fraction, int, int, int]]:
    """Return the steps of a group's upper hull as (value per token, group, weight, value), densest first."""
    hull = [Option(0, 0)]
    for option in sorted(group, key=lambda item: (item.weight, -item.value)):
        if option.value <= hull[-1].value:
            continue
        while len(hull) > 1 and _density(hull[-2], hull[-1]) <= _density(hull[-2], option):
            hull.pop()
        hull.append(option)
    return [
        (_density(below, above), number, above.weight - below.weight, above.value - below.value)
        for below, above in zip(hull, hull[1:])
    ]


def _density(below: Option, above: Option) -> Fraction:
    return Fraction(above.value - below.value, above.weight - below.weight)
