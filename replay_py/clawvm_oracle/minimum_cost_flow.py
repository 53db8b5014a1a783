"""Minimum-cost flow in whole numbers, by successive shortest paths with potentials.

=================  ===================================================================
MinimumCostFlow    a network with capacities and costs; ``solve`` ships all supplies
=================  ===================================================================

Each round finds the cheapest path to the sink (Dijkstra on costs reduced by potentials) and ships along every path of
that cost it can find, so that the number of rounds follows the number of different path costs and not the tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

__all__ = ["MinimumCostFlow"]


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
