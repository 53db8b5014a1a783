"""Behaviour of MIN, and the three ways in which everything else gives its number on pages of one size."""

import random
import unittest
from functools import cache
from unittest import mock

from clawvm_oracle import small_cases as checks
from clawvm_oracle.small_cases import check_unit_case, minimum_misses, unit_trace
from clawvm_runtime.vocabulary import Level

SEED = 20264
STRINGS = 200


def misses_by_trying(references, capacity):
    """Return the least misses over every choice of what to evict."""

    @cache
    def least(place, resident):
        if place == len(references):
            return 0
        page = references[place]
        if page in resident:
            return least(place + 1, resident)
        if len(resident) < capacity:
            return 1 + least(place + 1, resident | {page})
        return 1 + min(least(place + 1, resident - {gone} | {page}) for gone in resident)

    return least(0, frozenset())


class MinimumTests(unittest.TestCase):
    def test_the_textbook_string(self) -> None:
        references = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]
        self.assertEqual(minimum_misses(references, 3), 9)

    def test_equals_the_best_of_all_evictions(self) -> None:
        rng = random.Random(SEED)
        for case in range(120):
            references = tuple(rng.randrange(5) for _ in range(12))
            capacity = 1 + rng.randrange(4)
            with self.subTest(seed=SEED, case=case, references=references, capacity=capacity):
                self.assertEqual(minimum_misses(references, capacity), misses_by_trying(references, capacity))

    def test_the_trace_demands_one_page_of_one_token_a_turn(self) -> None:
        trace = unit_trace([1, 2, 1], 2)
        self.assertEqual([turn.demands for turn in trace.turns], [((f"page-{n}", Level.FULL),) for n in (1, 2, 1)])
        self.assertEqual([page.costs for turn in trace.turns for page in turn.events_before], [{Level.FULL: 1}] * 2)


class UnitPagesTests(unittest.TestCase):
    def test_bound_search_and_oracle_give_exactly_the_misses_of_min(self) -> None:
        searched = contended = 0
        for seed in range(STRINGS):
            check = check_unit_case(seed)
            searched += check.exhaustive is not None
            contended += check.minimum > 0
            self.assertTrue(check.equal, f"seed {seed}: {check}")
        self.assertGreater(searched, STRINGS // 5)
        self.assertGreater(contended, STRINGS // 2)

    def test_another_number_is_noticed(self) -> None:
        for name in ("demand_only_bound", "minimum_misses"):
            right = getattr(checks, name)
            with mock.patch.object(checks, name, lambda *given, right=right: right(*given) + 1):
                self.assertFalse(check_unit_case(1).equal, name)


if __name__ == "__main__":
    unittest.main()
