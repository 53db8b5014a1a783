"""Behaviour of the minimum-cost flow: the cheapest way to ship, against every possible flow on tiny networks."""

import random
import unittest
from itertools import product

from clawvm_oracle.intervals import MinimumCostFlow

SEED = 20261
CASES = 250


def cheapest_by_trying(nodes, arcs, supplies):
    """Return the least cost over all flows in whole numbers, None if none ships the supplies."""
    best = None
    for flows in product(*(range(capacity + 1) for _, _, capacity, _ in arcs)):
        left = list(supplies)
        for (tail, head, _, _), flow in zip(arcs, flows):
            left[tail] -= flow
            left[head] += flow
        if not any(left):
            cost = sum(arc[3] * flow for arc, flow in zip(arcs, flows))
            best = cost if best is None else min(best, cost)
    return best


def random_network(rng):
    """Return a network without cycles of negative cost: only arcs to higher nodes may have one."""
    nodes = 2 + rng.randrange(3)
    arcs = []
    while len(arcs) < 4 + rng.randrange(4):
        tail, head = rng.randrange(nodes), rng.randrange(nodes)
        if tail < head:
            arcs.append((tail, head, 1 + rng.randrange(2), rng.randrange(-3, 4)))
        elif tail > head and rng.random() < 0.3:
            arcs.append((tail, head, 1 + rng.randrange(2), 12 + rng.randrange(3)))
    supplies = [0] * nodes
    for _ in range(1 + rng.randrange(3)):
        tail, head = sorted((rng.randrange(nodes), rng.randrange(nodes)))
        supplies[tail] += 1
        supplies[head] -= 1
    return nodes, arcs, supplies


class MinimumCostFlowTests(unittest.TestCase):
    def test_ships_along_the_cheaper_way_first(self) -> None:
        network = MinimumCostFlow(3)
        for arc in ((0, 2, 2, 1), (0, 1, 5, 2), (1, 2, 5, 2)):
            network.add_arc(*arc)
        self.assertEqual(network.solve([3, 0, -3]), 2 * 1 + 1 * 4)

    def test_takes_back_what_it_shipped_where_that_is_cheaper(self) -> None:
        network = MinimumCostFlow(4)
        for arc in ((0, 1, 1, 1), (0, 2, 1, 3), (1, 2, 1, 0), (1, 3, 1, 3), (2, 3, 1, 1)):
            network.add_arc(*arc)
        self.assertEqual(network.solve([2, 0, 0, -2]), 8)

    def test_equals_the_best_of_all_flows(self) -> None:
        rng = random.Random(SEED)
        shipped = 0
        for case in range(CASES):
            nodes, arcs, supplies = random_network(rng)
            with self.subTest(seed=SEED, case=case, arcs=arcs, supplies=supplies):
                network = MinimumCostFlow(nodes)
                for arc in arcs:
                    network.add_arc(*arc)
                expected = cheapest_by_trying(nodes, arcs, supplies)
                if expected is None:
                    with self.assertRaisesRegex(ValueError, "cannot be shipped"):
                        network.solve(supplies)
                    continue
                shipped += any(supplies)
                self.assertEqual(network.solve(supplies), expected)
        self.assertGreater(shipped, CASES // 4)

    def test_supplies_that_do_not_add_up_or_miss_a_node_are_refused(self) -> None:
        for supplies in ([1, 0], [0, -1], [0]):
            with self.assertRaisesRegex(ValueError, "add up to 0"):
                MinimumCostFlow(2).solve(supplies)


if __name__ == "__main__":
    unittest.main()
