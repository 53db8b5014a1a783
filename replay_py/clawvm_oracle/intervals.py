"""Layers of pages as intervals on the axis of prompts: what could be kept, how long, and what that would save.

==================  ==============================================================================
ReuseOpportunity              uses that a policy without prefetch could serve from the prompt before
use_chances         all of them
Interval            tokens that save something if kept through a run of prompts
use_intervals       one interval for each layer of each chance: savings in reloaded tokens
Return              a layer that a prompt has to hold and that an earlier prompt had to hold too
returns             all of them, and the tokens of all requirements
==================  ==============================================================================

A layer is what one level adds to the supported level below it. Prompts are numbered from 0, as the turns are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate
from typing import NamedTuple

from clawvm_oracle.demand_sequence import Content, DemandSequence, Prompt, Use
from clawvm_runtime.vocabulary import Level

__all__ = [
    "Interval",
    "MinimumCostFlow",
    "ReuseOpportunity",
    "Span",
    "extra_tokens",
    "pack",
    "packable_tokens",
    "returns",
    "use_chances",
    "use_intervals",
]


# --- The room that whole pages can use: at most the room that a prompt has, often less.

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


def packable_tokens(sequence: DemandSequence, spans: Iterable[Span]) -> list[int]:
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


# --- Layers of pages as intervals on the axis of prompts: what could be kept, how long, and what that would save.


@dataclass(frozen=True, slots=True)
class ReuseOpportunity:
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


def use_chances(sequence: DemandSequence) -> list[ReuseOpportunity]:
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
            chance = ReuseOpportunity(
                index, use, {level: since[level] for level in sorted(since) if level <= use.level}
            )
            if _fits(sequence, rooms, chance.span):
                chances.append(chance)
        if turn.lost:
            entered.clear()
        for content, top in turn.allowed.items():
            since = entered.setdefault(content, {})
            for level, _ in _layers(sequence.ladders[content], top):
                since[level] = index
    return chances


def use_intervals(sequence: DemandSequence, chances: Iterable[ReuseOpportunity]) -> list[Interval]:
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


# --- Minimum-cost flow in whole numbers, by successive shortest paths with potentials.


class MinimumCostFlow:
    """A network of ``nodes`` numbered nodes; costs may be negative as long as no cycle of arcs is.

    Arcs are stored in pairs: arc ``i ^ 1`` is the way back of arc ``i``, and its capacity the flow on ``i``.
    """

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._source = nodes
        self._sink = nodes + 1
        self._leaving: list[list[int]] = [[] for _ in range(nodes + 2)]
        self._head: list[int] = []
        self._left: list[int] = []
        self._cost: list[int] = []
        self.potentials: list[int] = [0] * (nodes + 2)

    def add_arc(self, tail: int, head: int, capacity: int, cost: int) -> None:
        """Add an arc."""
        for start, end, room, price in ((tail, head, capacity, cost), (head, tail, 0, -cost)):
            self._leaving[start].append(len(self._head))
            self._head.append(end)
            self._left.append(room)
            self._cost.append(price)

    def solve(self, supplies: Sequence[int]) -> int:
        """Ship the *supplies* (negative: demands; they add up to 0) at the least cost and return that cost.

        Afterwards ``potentials`` hold an optimal dual solution, where the supplies reach every node. Raises ValueError
        when the supplies do not add up to 0 or cannot be shipped. To be called once.
        """
        if sum(supplies) or len(supplies) != self._nodes:
            raise ValueError("supplies must be given for every node and add up to 0")
        arcs = len(self._head)
        for node, supply in enumerate(supplies):
            if supply > 0:
                self.add_arc(self._source, node, supply, 0)
            elif supply < 0:
                self.add_arc(node, self._sink, -supply, 0)
        remaining = sum(supply for supply in supplies if supply > 0)
        self._start_potentials()
        while remaining:
            if not self._raise_potentials():
                raise ValueError("the supplies cannot be shipped")
            remaining -= self._ship()
        return sum(self._cost[arc] * self._left[arc ^ 1] for arc in range(0, arcs, 2))

    def _start_potentials(self) -> None:
        """Set the potentials to the distances from the source (Bellman and Ford: costs may still be negative)."""
        unreached = sum(map(abs, self._cost)) + 1
        distance = [unreached] * len(self._leaving)
        distance[self._source] = 0
        order = [self._source, *range(self._nodes), self._sink]
        changed = True
        while changed:
            changed = False
            for node in order:
                if distance[node] == unreached:
                    continue
                for arc in self._leaving[node]:
                    reached = distance[node] + self._cost[arc]
                    if self._left[arc] and reached < distance[self._head[arc]]:
                        distance[self._head[arc]] = reached
                        changed = True
        # What cannot be reached from the source now never will be: no flow gets there to open a way.
        self.potentials = [0 if value == unreached else value for value in distance]

    def _raise_potentials(self) -> bool:
        """Add the reduced distances from the source to the potentials; return whether the sink can be reached."""
        leaving, head, left, cost, potentials = self._leaving, self._head, self._left, self._cost, self.potentials
        distance: dict[int, int] = {}
        reached = {self._source: 0}
        queue = [(0, self._source)]
        while queue:
            away, node = heappop(queue)
            if node in distance:
                continue
            distance[node] = away
            if node == self._sink:
                break
            base = away + potentials[node]
            for arc in leaving[node]:
                if left[arc]:
                    other = head[arc]
                    further = base + cost[arc] - potentials[other]
                    if other not in distance and further < reached.get(other, further + 1):
                        reached[other] = further
                        heappush(queue, (further, other))
        if self._sink not in distance:
            return False
        # Nodes behind the sink move with it; that keeps every reduced cost at 0 or above.
        farthest = distance[self._sink]
        for node in range(len(potentials)):
            potentials[node] += distance.get(node, farthest)
        return True

    def _ship(self) -> int:
        """Ship along paths of reduced cost 0 until the search finds no other, and return the amount."""
        shipped = 0
        place = [0] * len(self._leaving)
        on_path = [False] * len(self._leaving)
        path: list[int] = []
        node = self._source
        on_path[node] = True
        while True:
            if node == self._sink:
                amount = min(self._left[arc] for arc in path)
                shipped += amount
                for arc in path:
                    self._left[arc] -= amount
                    self._left[arc ^ 1] += amount
                while path:
                    on_path[self._head[path.pop()]] = False
                node = self._source
                continue
            onward = self._next_arc(node, place, on_path)
            if onward is not None:
                path.append(onward)
                node = self._head[onward]
                on_path[node] = True
            elif path:
                # A dead end for this round: its pointer stands behind its last arc.
                on_path[node] = False
                node = self._head[path.pop() ^ 1]
                place[node] += 1
            else:
                return shipped

    def _next_arc(self, node: int, place: list[int], on_path: list[bool]) -> int | None:
        arcs = self._leaving[node]
        base = self.potentials[node]
        while place[node] < len(arcs):
            arc = arcs[place[node]]
            other = self._head[arc]
            if self._left[arc] and not on_path[other] and base + self._cost[arc] == self.potentials[other]:
                return arc
            place[node] += 1
        return None


# --- The most that keeping intervals can save when every prompt has only so much room: an exact fractional optimum.


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
