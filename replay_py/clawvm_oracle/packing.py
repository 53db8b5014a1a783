"""The most that keeping intervals can save when every prompt has only so much room: an exact fractional optimum.

=========  ================================================================================
Packing    the savings, and what one token of room is worth in each prompt
pack       the optimum, as a minimum-cost flow along the axis of prompts
=========  ================================================================================

After D. Berger, N. Beckmann, M. Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object Sizes"
(2018): keeping any share of an interval gives a linear program whose optimum no choice of whole intervals can exceed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clawvm_oracle.intervals import Interval
from clawvm_oracle.minimum_cost_flow import MinimumCostFlow

__all__ = ["Packing", "pack"]


@dataclass(frozen=True, slots=True)
class Packing:
    """The most that can be saved (tokens), and by prompt what one more token of room would save."""

    saved: int
    prices: Sequence[int]


def pack(intervals: Iterable[Interval], rooms: Sequence[int]) -> Packing:
    """Return the exact optimum of keeping any share of each interval within the *rooms* (tokens by prompt).

    Only prompts that are too small for everything that could be kept take part, and intervals that cross the same of
    them count as one. With every number of tokens whole, the optimum is whole too.
    """
    full = [0, *accumulate(room <= 0 for room in rooms)]
    amounts: Counter[tuple[int, int, int]] = Counter()
    saved = top = 0
    for first, last, tokens, worth in intervals:
        top = max(top, worth)
        if first > last:
            saved += tokens * worth  # Nothing lies between: kept without taking room.
        elif full[last + 1] == full[first]:
            amounts[first, last, worth] += tokens
    tight = _overloaded(amounts, rooms)
    crossing: Counter[tuple[int, int, int]] = Counter()
    for (first, last, worth), tokens in amounts.items():
        start, end = bisect_left(tight, first), bisect_right(tight, last)
        if start == end:
            saved += tokens * worth
        else:
            crossing[start, end, worth] += tokens
    # Where there is no room nothing is kept, and the price is what nothing can pay.
    prices = [top if room <= 0 else 0 for room in rooms]
    for group in _independent(crossing):
        start, end = group[0][0], max(arc[1] for arc in group)
        part, part_prices = _solve(group, [rooms[prompt] for prompt in tight[start:end]], start)
        saved += part
        for prompt, price in zip(tight[start:end], part_prices):
            prices[prompt] = price
    return Packing(saved, prices)


def _overloaded(amounts: Counter[tuple[int, int, int]], rooms: Sequence[int]) -> list[int]:
    """Return the prompts that have no room for everything that could be kept through them."""
    change = [0] * (len(rooms) + 1)
    for (first, last, _), tokens in amounts.items():
        change[first] += tokens
        change[last + 1] -= tokens
    return [prompt for prompt, load in enumerate(accumulate(change[:-1])) if load > max(0, rooms[prompt])]


_Arc = tuple[int, int, int, int]


def _independent(crossing: Counter[tuple[int, int, int]]) -> Iterator[list[_Arc]]:
    """Yield the intervals in groups that share no prompt, each as (start, end, worth, tokens)."""
    group: list[_Arc] = []
    reach = 0
    for (start, end, worth), tokens in sorted(crossing.items()):
        if group and start >= reach:
            yield group
            group = []
        group.append((start, end, worth, tokens))
        reach = max(reach, end)
    if group:
        yield group


def _solve(group: Sequence[_Arc], rooms: Sequence[int], offset: int) -> tuple[int, list[int]]:
    """Return the optimum and the prices of one group: the room of the prompts flows along, through intervals or idle.

    Node i lies before prompt i. What flows across prompt i is its room, so node i is supplied with the difference to
    the prompt before it.
    """
    network = MinimumCostFlow(len(rooms) + 1)
    for node, room in enumerate(rooms):
        # One more than can ever idle: an arc that is never full keeps the price of its prompt at 0 or above.
        network.add_arc(node, node + 1, room + 1, 0)
    for start, end, worth, tokens in group:
        network.add_arc(start - offset, end - offset, tokens, -worth)
    supplies = [after - before for before, after in zip((0, *rooms), (*rooms, 0))]
    saved = -network.solve(supplies)
    potentials = network.potentials
    return saved, [potentials[node] - potentials[node + 1] for node in range(len(rooms))]
