"""Behaviour of the packing: the most that can be saved, proved by its own prices and by trying everything."""

import random
import unittest
from itertools import product

from clawvm_oracle.bounds import DEMAND_ONLY
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.intervals import Interval, pack, use_chances, use_intervals
from clawvm_oracle.small_cases import small_trace

SEED = 20262


def by_trying(intervals, rooms):
    """Return the best over every number of tokens of every interval (whole ones suffice: the optimum is whole)."""
    best = 0
    for kept in product(*(range(interval.tokens + 1) for interval in intervals)):
        load = [0] * len(rooms)
        for interval, tokens in zip(intervals, kept):
            for prompt in range(interval.first, interval.last + 1):
                load[prompt] += tokens
        if all(used <= room for used, room in zip(load, rooms)):
            best = max(best, sum(interval.worth * tokens for interval, tokens in zip(intervals, kept)))
    return best


def proved_by_prices(intervals, rooms, prices):
    """Return the bound that any prices of 0 or more prove (weak duality): it needs no trust in how they were found."""
    assert min(prices, default=0) >= 0
    total = sum(room * price for room, price in zip(rooms, prices))
    for first, last, tokens, worth in intervals:
        total += tokens * max(0, worth - sum(prices[first : last + 1]))
    return total


def soonest_end_first(intervals, rooms):
    """Return what keeping tokens by the end of their interval saves: optimal where all tokens are worth the same."""
    left, saved = list(rooms), 0
    for first, last, tokens, worth in sorted(intervals, key=lambda interval: interval.last):
        kept = min([tokens, *left[first : last + 1]])
        saved += worth * kept
        for prompt in range(first, last + 1):
            left[prompt] -= kept
    return saved


def random_intervals(rng, prompts, count, tokens, worths):
    intervals = []
    for _ in range(count):
        first = rng.randrange(prompts)
        last = min(prompts - 1, first - 1 + rng.randrange(prompts))
        intervals.append(Interval(first, last, 1 + rng.randrange(tokens), 1 + rng.randrange(worths)))
    return intervals


class PackingTests(unittest.TestCase):
    def test_everything_is_saved_where_it_fits(self) -> None:
        intervals = [Interval(0, 1, 3, 1), Interval(1, 2, 4, 2)]
        self.assertEqual(pack(intervals, (3, 7, 4)).saved, 3 + 8)
        self.assertEqual(pack(intervals, (3, 7, 4)).prices, [0, 0, 0])

    def test_an_interval_may_be_kept_in_part(self) -> None:
        self.assertEqual(pack([Interval(0, 2, 10, 1)], (10, 4, 10)).saved, 4)

    def test_what_saves_more_per_token_comes_first(self) -> None:
        packing = pack([Interval(0, 0, 5, 1), Interval(0, 0, 5, 3)], (6,))
        self.assertEqual((packing.saved, packing.prices), (5 * 3 + 1, [1]))

    def test_two_short_intervals_beat_a_long_one(self) -> None:
        self.assertEqual(pack([Interval(0, 2, 4, 1), Interval(0, 0, 4, 1), Interval(2, 2, 4, 1)], (4, 4, 4)).saved, 8)

    def test_an_interval_without_prompts_is_saved_and_one_through_a_full_prompt_is_not(self) -> None:
        self.assertEqual(pack([Interval(1, 0, 7, 2)], (0, 0)).saved, 14)
        self.assertEqual(pack([Interval(0, 1, 7, 2)], (9, 0)).saved, 0)
        self.assertEqual(pack([], ()).saved, 0)

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(150):
            prompts = 1 + rng.randrange(5)
            intervals = random_intervals(rng, prompts, 1 + rng.randrange(5), 3, 3)
            rooms = [rng.randrange(6) for _ in range(prompts)]
            with self.subTest(seed=SEED, case=case, intervals=intervals, rooms=rooms):
                packing = pack(intervals, rooms)
                self.assertEqual(packing.saved, by_trying(intervals, rooms))
                self.assertEqual(proved_by_prices(intervals, rooms, packing.prices), packing.saved)

    def test_large_cases_are_proved_by_their_prices(self) -> None:
        rng = random.Random(SEED + 1)
        for case in range(12):
            intervals = random_intervals(rng, 40, 150, 60, 4)
            rooms = [rng.randrange(900) for _ in range(40)]
            with self.subTest(seed=SEED + 1, case=case):
                packing = pack(intervals, rooms)
                self.assertEqual(proved_by_prices(intervals, rooms, packing.prices), packing.saved)

    def test_with_one_worth_the_soonest_end_first_is_optimal(self) -> None:
        rng = random.Random(SEED + 2)
        for case in range(30):
            intervals = random_intervals(rng, 30, 60, 20, 1)
            rooms = [rng.randrange(200) for _ in range(30)]
            with self.subTest(seed=SEED + 2, case=case):
                self.assertEqual(pack(intervals, rooms).saved, soonest_end_first(intervals, rooms))

    def test_a_layer_that_serves_several_uses_of_a_turn_takes_room_once(self) -> None:
        for seed in range(30):
            sequence = observe_run(small_trace(seed), DEMAND_ONLY).sequence
            intervals = use_intervals(sequence, use_chances(sequence))
            most = sum(use.times * use.tokens for turn in sequence.turns for use in turn.uses)
            with self.subTest(seed=seed):
                self.assertLessEqual(sum(interval.tokens * interval.worth for interval in intervals), most)


if __name__ == "__main__":
    unittest.main()
