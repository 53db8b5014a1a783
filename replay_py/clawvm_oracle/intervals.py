"""What can be kept from prompt to prompt, and the most that keeping it can save: an exact fractional optimum.

A page at a level holds the layers up to it; a layer is what one supported level adds to the level below. Prompts are
numbered from 0, as the turns are. Proofs: ``docs/bounds.md``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clawvm_oracle.demand_sequence import DemandedContent, DemandSequence, Prompt, Use
from clawvm_runtime.vocabulary import Level

__all__ = [
    "Interval",
    "ReuseOpportunity",
    "Span",
    "extra_tokens",
    "pack",
    "packable_tokens",
    "repeated_requirements",
    "reuse_intervals",
    "reuse_opportunities",
]

LARGEST_SEARCHED = 100_000
"""In prompts with more free tokens whole pages leave too few unused for the search to pay."""


class Span(NamedTuple):
    """A content that may be kept at a level, at least, through a range of prompts."""

    content: DemandedContent
    level: Level
    prompts: range


class Interval(NamedTuple):
    """Tokens that save ``saving`` tokens each if they are kept through these prompts."""

    prompts: range
    tokens: int
    saving: int


@dataclass(frozen=True, slots=True)
class ReuseOpportunity:
    """A use in turn ``turn`` whose layers could have been kept since they were last let in.

    ``entered`` maps each level up to the needed one to the last prompt before the turn that let this layer in; no
    boundary lies in between.
    """

    turn: int
    use: Use
    entered: Mapping[Level, int]

    @property
    def span(self) -> Span:
        """The prompts that have to hold the use's page at its level."""
        return Span(self.use.content, self.use.level, range(self.entered[self.use.level], self.turn))


def extra_tokens(sequence: DemandSequence, prompt: Prompt, content: DemandedContent, level: Level) -> int:
    """Return the tokens by which holding *content* at *level* exceeds what *prompt* holds of it."""
    held = prompt.get(content, Level.NONE)
    return max(0, sequence.tokens(content, level) - sequence.tokens(content, held))


def _layers(costs: Mapping[Level, int], top: Level) -> Iterator[tuple[Level, int]]:
    """Yield each supported level up to *top* and the tokens that it adds."""
    below = 0
    for level, cost in costs.items():
        if level <= top:
            yield level, cost - below
            below = cost


def _fits(sequence: DemandSequence, free: Sequence[int], span: Span) -> bool:
    """Return whether each prompt of *span* can hold it, alone, besides its requirements."""
    content, level, prompts = span
    return all(extra_tokens(sequence, sequence.turns[n].required, content, level) <= free[n] for n in prompts)


def reuse_opportunities(sequence: DemandSequence) -> list[ReuseOpportunity]:
    """Return every use that a policy could serve which lets a page in, or up, only when it is demanded.

    A use whose page does not fit besides the requirements of some prompt on the way is left out. Raises ValueError
    under pressure. O(turns x required pages + uses x turns between them).
    """
    found = []
    free = sequence.free_tokens()
    entered: dict[DemandedContent, dict[Level, int]] = {}
    for number, turn in enumerate(sequence.turns):
        for use in turn.uses:
            since = entered.get(use.content, {})
            if use.level in since:
                needed = {level: since[level] for level in sorted(since) if level <= use.level}
                opportunity = ReuseOpportunity(number, use, needed)
                if _fits(sequence, free, opportunity.span):
                    found.append(opportunity)
        if turn.boundary:
            entered.clear()
        for content, top in turn.allowed.items():
            entered.setdefault(content, {}).update(
                (level, number) for level, _ in _layers(sequence.costs[content], top)
            )
    return found


def reuse_intervals(sequence: DemandSequence, opportunities: Iterable[ReuseOpportunity]) -> list[Interval]:
    """Return the intervals by which keeping saves reloaded tokens: one for each layer of each used content and turn.

    A layer kept for one use serves the other uses of the turn that need it too: it saves its tokens for each of them.
    Where a prompt has to hold the layer anyway it takes no further tokens.
    """
    savings: Counter[tuple[int, int, DemandedContent, Level]] = Counter()
    for opportunity in opportunities:
        content = opportunity.use.content
        for level, prompt in opportunity.entered.items():
            required = sequence.turns[prompt].required.get(content, Level.NONE)
            savings[prompt + (required >= level), opportunity.turn, content, level] += opportunity.use.times
    return [
        Interval(range(first, turn), dict(_layers(sequence.costs[content], Level.FULL))[level], saving)
        for (first, turn, content, level), saving in savings.items()
    ]


def repeated_requirements(sequence: DemandSequence) -> tuple[int, list[tuple[Span, int]]]:
    """Return the tokens of all requirements, and every layer, with its tokens, that need not be brought in again.

    The span of a layer runs through the prompts between two that have to hold it, unless a boundary lies between
    or the page at that level does not fit besides the requirements of a prompt on the way. Raises ValueError under
    pressure.
    """
    free = sequence.free_tokens()
    total = 0
    found = []
    last: dict[DemandedContent, dict[Level, int]] = {}
    for number, turn in enumerate(sequence.turns):
        if turn.boundary:
            last.clear()
        for content, top in turn.required.items():
            since = last.setdefault(content, {})
            for level, tokens in _layers(sequence.costs[content], top):
                total += tokens
                if level in since:
                    span = Span(content, level, range(since[level] + 1, number))
                    if _fits(sequence, free, span):
                        found.append((span, tokens))
                since[level] = number
    return total, found


def packable_tokens(sequence: DemandSequence, spans: Iterable[Span]) -> list[int]:
    """Return for each prompt the largest sum, within its free tokens, of what keeping some of *spans* adds to it.

    A prompt that can hold all of them keeps its free tokens as they are. Raises ValueError under pressure.
    O(prompts x spans across them x free tokens / word size).
    """
    extras: list[dict[DemandedContent, set[int]]] = [{} for _ in sequence.turns]
    for content, level, prompts in spans:
        for number in prompts:
            tokens = extra_tokens(sequence, sequence.turns[number].required, content, level)
            extras[number].setdefault(content, set()).add(tokens)
    return [_largest_sum(list(choices.values()), free) for choices, free in zip(extras, sequence.free_tokens())]


def _largest_sum(choices: Sequence[set[int]], free: int) -> int:
    if sum(map(max, choices)) <= free or free > LARGEST_SEARCHED:
        return free
    within = (2 << free) - 1
    sums = 1  # Bit n is set when n tokens can be reached.
    for extras in choices:
        reached = sums
        for tokens in extras:
            reached |= sums << tokens
        sums = reached & within
    return sums.bit_length() - 1


@dataclass(frozen=True, slots=True)
class Packing:
    """The most that can be saved (tokens), and by prompt what one more free token would save."""

    saved: int
    prices: Sequence[int]


def pack(intervals: Iterable[Interval], free: Sequence[int]) -> Packing:
    """Return the exact optimum of keeping any share of each interval within the *free* tokens of each prompt.

    With every number of tokens whole, the optimum is whole too. It is a minimum-cost flow: node n lies before prompt n,
    and the free tokens of a prompt flow across it, through the arcs of intervals or an idle one. Successive shortest
    paths, O(paths x nodes x arcs) at worst.
    """
    arcs: Counter[tuple[int, int, int]] = Counter()
    saved = 0
    for prompts, tokens, saving in intervals:
        if prompts:
            arcs[prompts.start, prompts.stop, -saving] += tokens
        else:
            saved += tokens * saving  # No prompt lies in between.
    for number, tokens in enumerate(free):
        # One more than can ever idle: an arc that is never full keeps the price of its prompt at 0 or above.
        arcs[number, number + 1, 0] += tokens + 1
    network = _Network([after - before for before, after in zip((0, *free), (*free, 0))], arcs)
    saved -= network.ship()
    potentials, _ = network.shortest_paths(range(len(free) + 1))
    return Packing(saved, [potentials[number] - potentials[number + 1] for number in range(len(free))])


class _Network:
    """Nodes with an excess to be shipped (negative: a demand) and arcs by (tail, head, cost) with their capacities."""

    def __init__(self, excess: list[int], arcs: Mapping[tuple[int, int, int], int]) -> None:
        self._excess = excess
        self._leaving: list[list[int]] = [[] for _ in excess]
        self._head: list[int] = []
        self._left: list[int] = []
        self._cost: list[int] = []
        for (tail, head, cost), capacity in arcs.items():
            # In pairs: arc ``i ^ 1`` is the way back of arc ``i``.
            for start, end, left, price in ((tail, head, capacity, cost), (head, tail, 0, -cost)):
                self._leaving[start].append(len(self._head))
                self._head.append(end)
                self._left.append(left)
                self._cost.append(price)

    def shortest_paths(self, starts: Iterable[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Return by node the least cost from one of *starts* and the arc of arrival (Bellman and Ford with a queue)."""
        distances = dict.fromkeys(starts, 0)
        arrivals: dict[int, int] = {}
        queue = deque(distances)
        queued = set(distances)
        while queue:
            node = queue.popleft()
            queued.remove(node)
            for arc in self._leaving[node]:
                head, reached = self._head[arc], distances[node] + self._cost[arc]
                if self._left[arc] and (head not in distances or reached < distances[head]):
                    distances[head], arrivals[head] = reached, arc
                    if head not in queued:
                        queued.add(head)
                        queue.append(head)
        return distances, arrivals

    def ship(self) -> int:
        """Ship every excess and return the cost: along a shortest path to each demand, until none is left."""
        total = 0
        while any(self._excess):
            distances, arrivals = self.shortest_paths(node for node, excess in enumerate(self._excess) if excess > 0)
            for node in distances:
                if self._excess[node] < 0:
                    total += distances[node] * self._ship_to(node, arrivals)
        return total

    def _ship_to(self, node: int, arrivals: Mapping[int, int]) -> int:
        """Ship what the path of *arrivals* to a node with a demand still takes and return the amount."""
        path = []
        root = node
        while root in arrivals:
            path.append(arrivals[root])
            root = self._head[path[-1] ^ 1]
        amount = min(self._excess[root], -self._excess[node], *(self._left[arc] for arc in path))
        for arc in path:
            self._left[arc] -= amount
            self._left[arc ^ 1] += amount
        self._excess[root] -= amount
        self._excess[node] += amount
        return amount
