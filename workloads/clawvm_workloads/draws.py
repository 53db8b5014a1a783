"""Draws from a seeded generator that give the same on every machine and Python version.

=========  ================================================
chance     true with a probability
count      a whole number with a given mean
one_of     one item of a sequence, each with the same chance
=========  ================================================

They use ``random()`` and ``randrange()`` only: the other methods of ``random.Random`` have changed between versions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["chance", "count", "one_of"]

Item = TypeVar("Item")


def chance(rng: random.Random, probability: float) -> bool:
    """Return true with *probability*."""
    return rng.random() < probability


def count(rng: random.Random, mean: float) -> int:
    """Return a whole number, 0 or more, geometrically distributed around *mean*."""
    stop = 1.0 / (1.0 + mean)
    number = 0
    while rng.random() >= stop:
        number += 1
    return number


def one_of(rng: random.Random, items: Sequence[Item]) -> Item:
    """Return one of *items*, each with the same chance; raises ValueError when there are none."""
    return items[rng.randrange(len(items))]
