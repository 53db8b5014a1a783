"""What kind of workload a seed gives, before anything happens in it.

=============  ==================================================
Nature         how large, how long, how often what happens
draw_nature    draws one
=============  ==================================================
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from clawvm_runtime.vocabulary import Level
from clawvm_workloads.draws import chance, one_of

__all__ = ["LARGEST_STEPS", "Nature", "draw_nature"]

LARGEST_STEPS = (2, 30, 30, 30, 2_000, 10_000_000)
"""Bounds of a ladder's steps in tokens, one for each size of workload: tiny, usual (three times), large, huge."""


@dataclass(frozen=True, slots=True)
class Nature:
    """How one workload is: sizes in tokens, the rest are chances or mean numbers per turn."""

    turns: int
    first_pages: int
    largest_step: int
    mixed_sizes: bool
    new_pages: float
    new_tools: float
    calls: float
    demands: float
    lookups: float
    updates: float
    replacements: float
    compactions: float
    resets: float
    highest_demand: Level
    growth: int
    jump: float


def draw_nature(rng: random.Random) -> Nature:
    """Return the nature of one workload."""
    kind = rng.random()
    if kind < 0.06:
        turns = 1 + rng.randrange(3)
    elif kind < 0.97:
        turns = 5 + rng.randrange(26)
    else:
        turns = 50 + rng.randrange(60)
    busy = one_of(rng, (0.4, 1.0, 1.0, 1.8))
    return Nature(
        turns=turns,
        first_pages=rng.randrange(9),
        largest_step=one_of(rng, LARGEST_STEPS),
        mixed_sizes=chance(rng, 0.25),
        new_pages=one_of(rng, (0.05, 0.15, 0.4)),
        new_tools=one_of(rng, (0.0, 0.2, 0.4)),
        calls=busy * rng.random(),
        demands=busy * 1.5 * rng.random(),
        lookups=one_of(rng, (0.0, 0.1, 0.5)),
        updates=one_of(rng, (0.0, 0.2, 0.5, 1.2)),
        replacements=one_of(rng, (0.0, 0.05, 0.2)),
        compactions=one_of(rng, (0.0, 0.0, 0.05, 0.2)),
        resets=one_of(rng, (0.0, 0.05, 0.15)),
        highest_demand=one_of(rng, (Level.FULL, Level.FULL, Level.STRUCTURED)),
        growth=one_of(rng, (0, 5, 40, 1_000)),
        jump=one_of(rng, (0.0, 0.1)),
    )
