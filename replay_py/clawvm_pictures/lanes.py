"""Lanes: rows for intervals such that no two in a row overlap.

===========  ==================================================================
lanes        the lane of each interval
===========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["lanes"]


def lanes(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Return a lane (from 0) for each interval so that intervals in one lane do not overlap, O(n x lanes).

    From left to right each takes the lowest lane that is free, so there are as few lanes as there can be.
    """
    ends: list[float] = []
    chosen = [0] * len(intervals)
    for index in sorted(range(len(intervals)), key=lambda index: (intervals[index], index)):
        low, high = intervals[index]
        lane = next((lane for lane, end in enumerate(ends) if end <= low), len(ends))
        if lane == len(ends):
            ends.append(high)
        ends[lane] = high
        chosen[index] = lane
    return chosen
