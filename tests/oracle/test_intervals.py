"""What could be kept and how long, and the most that keeping saves: proved by its prices and by trying everything."""

import random
import unittest
from itertools import product

from clawvm_oracle.bounds import DEMAND_ONLY
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.intervals import (
    Interval,
    Span,
    pack,
    packable_tokens,
    repeated_requirements,
    reuse_intervals,
    reuse_opportunities,
)
from clawvm_oracle.small_cases import small_trace
from tests.oracle.support import FULL, STRUCTURED, Needs, content, sequence

SEED = 20266
COSTS = {"a": {STRUCTURED: 4, FULL: 10}, "b": {FULL: 6}}


def intervals_of(budget, turns):
    needs = sequence(budget, COSTS, turns)
    return reuse_intervals(needs, reuse_opportunities(needs))


class ReuseIntervalTests(unittest.TestCase):
    def test_layers_of_a_need_are_kept_since_each_was_last_let_in(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"a": STRUCTURED}), Needs(), Needs({"a": FULL})]
        self.assertEqual(
            intervals_of(50, turns),
            [Interval(range(1, 1), 4, 1), Interval(range(2, 3), 4, 1), Interval(range(1, 3), 6, 1)],
        )

    def test_a_use_above_what_was_let_in_is_no_opportunity(self) -> None:
        self.assertEqual(intervals_of(50, [Needs({"a": STRUCTURED}), Needs({"a": FULL})]), [])

    def test_a_boundary_on_the_way_leaves_no_opportunity_and_one_after_the_use_does(self) -> None:
        asked = {"b": FULL}
        self.assertEqual(intervals_of(50, [Needs(asked), Needs(boundary=True), Needs(asked)]), [])
        self.assertEqual(
            intervals_of(50, [Needs(asked), Needs(), Needs(asked, boundary=True)]), [Interval(range(1, 2), 6, 1)]
        )

    def test_a_use_that_does_not_fit_a_prompt_on_the_way_is_no_opportunity(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": FULL})]
        self.assertEqual(len(intervals_of(16, turns)), 2)
        self.assertEqual(intervals_of(15, turns), [])

    def test_a_layer_serves_all_uses_of_the_turn_that_need_it(self) -> None:
        self.assertEqual(
            intervals_of(50, [Needs({"b": FULL}), Needs(), Needs({"b": FULL}, times=2)]), [Interval(range(1, 2), 6, 2)]
        )

    def test_where_a_requirement_was_not_met_the_layer_takes_room_from_there_on(self) -> None:
        needs = sequence(50, COSTS, [Needs({"b": FULL}), Needs({"b": FULL})]).met_by([{}, {}])
        self.assertEqual(reuse_intervals(needs, reuse_opportunities(needs)), [Interval(range(0, 1), 6, 1)])


class RepeatedRequirementTests(unittest.TestCase):
    def test_a_layer_returns_where_an_earlier_prompt_had_to_hold_it(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": STRUCTURED})]
        total, found = repeated_requirements(sequence(50, COSTS, turns))
        self.assertEqual((total, [(span.prompts, tokens) for span, tokens in found]), (10 + 6 + 4, [(range(1, 2), 4)]))

    def test_a_layer_whose_page_does_not_fit_a_prompt_on_the_way_does_not_return(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": FULL})]
        for budget, layers in ((16, [4, 6]), (15, [4])):
            _, found = repeated_requirements(sequence(budget, COSTS, turns))
            self.assertEqual([tokens for _, tokens in found], layers)

    def test_floors_return_from_prompt_to_prompt_without_tokens_and_not_across_a_boundary(self) -> None:
        floor = {"a": STRUCTURED}
        total, found = repeated_requirements(
            sequence(4, COSTS, [Needs(floors=floor), Needs(floors=floor), Needs({}, floor, 1, True)])
        )
        self.assertEqual((total, [(span.prompts, tokens) for span, tokens in found]), (12, [(range(1, 1), 4)]))


class PackableTokensTests(unittest.TestCase):
    def test_room_that_suffices_for_everything_stays_as_it_is(self) -> None:
        needs = sequence(50, COSTS, [Needs()])
        self.assertEqual(packable_tokens(needs, [Span(content("b"), FULL, range(1))]), [50])

    def test_levels_of_one_content_exclude_each_other(self) -> None:
        spans = [Span(content("a"), level, range(1)) for level in (STRUCTURED, FULL)]
        self.assertEqual(packable_tokens(sequence(9, COSTS, [Needs()]), spans), [4])
        both = [*spans, Span(content("b"), FULL, range(1))]
        self.assertEqual(packable_tokens(sequence(15, COSTS, [Needs()]), both), [10])

    def test_only_what_exceeds_a_floor_takes_room(self) -> None:
        needs = sequence(9, COSTS, [Needs(floors={"a": STRUCTURED})])
        self.assertEqual(packable_tokens(needs, [Span(content("a"), FULL, range(1))]), [0])

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(80):
            costs = {}
            for name in "abcde"[: 1 + rng.randrange(5)]:
                low = 1 + rng.randrange(9)
                costs[name] = {STRUCTURED: low, FULL: low + 1 + rng.randrange(9)}
            budget = 1 + rng.randrange(40)
            spans = [Span(content(name), level, range(1)) for name in costs for level in (STRUCTURED, FULL)]
            choices = product(*((0, *levels.values()) for levels in costs.values()))
            best = max(sum(choice) for choice in choices if sum(choice) <= budget)
            most = sum(levels[FULL] for levels in costs.values())
            with self.subTest(seed=SEED, case=case, costs=costs, budget=budget):
                found = packable_tokens(sequence(budget, costs, [Needs()]), spans)
                self.assertEqual(found, [budget if most <= budget else best])


PACKING_SEED = 20262


def by_trying(intervals, free):
    """Return the best over every number of tokens of every interval (whole ones suffice: the optimum is whole)."""
    best = 0
    for kept in product(*(range(interval.tokens + 1) for interval in intervals)):
        load = [0] * len(free)
        for interval, tokens in zip(intervals, kept):
            for prompt in interval.prompts:
                load[prompt] += tokens
        if all(used <= tokens for used, tokens in zip(load, free)):
            best = max(best, sum(interval.saving * tokens for interval, tokens in zip(intervals, kept)))
    return best


def proved_by_prices(intervals, free, prices):
    """Return the bound that any prices of 0 or more prove (weak duality): it needs no trust in how they were found."""
    assert min(prices, default=0) >= 0
    total = sum(tokens * price for tokens, price in zip(free, prices))
    for prompts, tokens, saving in intervals:
        total += tokens * max(0, saving - sum(prices[prompts.start : prompts.stop]))
    return total


def soonest_end_first(intervals, free):
    """Return what keeping tokens by the end of their interval saves: optimal where all tokens save the same."""
    left, saved = list(free), 0
    for prompts, tokens, saving in sorted(intervals, key=lambda interval: interval.prompts.stop):
        kept = min([tokens, *(left[prompt] for prompt in prompts)])
        saved += saving * kept
        for prompt in prompts:
            left[prompt] -= kept
    return saved


def random_intervals(rng, prompts, count, tokens, savings):
    intervals = []
    for _ in range(count):
        first = rng.randrange(prompts)
        last = min(prompts - 1, first - 1 + rng.randrange(prompts))
        intervals.append(Interval(range(first, last + 1), 1 + rng.randrange(tokens), 1 + rng.randrange(savings)))
    return intervals


class PackingTests(unittest.TestCase):
    def test_everything_is_saved_where_it_fits(self) -> None:
        intervals = [Interval(range(0, 2), 3, 1), Interval(range(1, 3), 4, 2)]
        self.assertEqual(pack(intervals, (3, 7, 4)).saved, 3 + 8)
        self.assertEqual(pack(intervals, (3, 7, 4)).prices, [0, 0, 0])

    def test_an_interval_may_be_kept_in_part(self) -> None:
        self.assertEqual(pack([Interval(range(0, 3), 10, 1)], (10, 4, 10)).saved, 4)

    def test_what_saves_more_per_token_comes_first(self) -> None:
        packing = pack([Interval(range(0, 1), 5, 1), Interval(range(0, 1), 5, 3)], (6,))
        self.assertEqual((packing.saved, packing.prices), (5 * 3 + 1, [1]))

    def test_two_short_intervals_beat_a_long_one(self) -> None:
        self.assertEqual(
            pack(
                [Interval(range(0, 3), 4, 1), Interval(range(0, 1), 4, 1), Interval(range(2, 3), 4, 1)], (4, 4, 4)
            ).saved,
            8,
        )

    def test_an_interval_without_prompts_is_saved_and_one_through_a_full_prompt_is_not(self) -> None:
        self.assertEqual(pack([Interval(range(1, 1), 7, 2)], (0, 0)).saved, 14)
        self.assertEqual(pack([Interval(range(0, 2), 7, 2)], (9, 0)).saved, 0)
        self.assertEqual(pack([], ()).saved, 0)

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(PACKING_SEED)
        for case in range(60):
            prompts = 1 + rng.randrange(5)
            intervals = random_intervals(rng, prompts, 1 + rng.randrange(5), 3, 3)
            free = [rng.randrange(6) for _ in range(prompts)]
            with self.subTest(seed=PACKING_SEED, case=case, intervals=intervals, free=free):
                packing = pack(intervals, free)
                self.assertEqual(packing.saved, by_trying(intervals, free))
                self.assertEqual(proved_by_prices(intervals, free, packing.prices), packing.saved)

    def test_large_cases_are_proved_by_their_prices(self) -> None:
        rng = random.Random(PACKING_SEED + 1)
        for case in range(3):
            intervals = random_intervals(rng, 30, 80, 60, 4)
            free = [rng.randrange(500) for _ in range(30)]
            with self.subTest(seed=PACKING_SEED + 1, case=case):
                packing = pack(intervals, free)
                self.assertEqual(proved_by_prices(intervals, free, packing.prices), packing.saved)

    def test_with_one_saving_the_soonest_end_first_is_optimal(self) -> None:
        rng = random.Random(PACKING_SEED + 2)
        for case in range(8):
            intervals = random_intervals(rng, 30, 60, 20, 1)
            free = [rng.randrange(200) for _ in range(30)]
            with self.subTest(seed=PACKING_SEED + 2, case=case):
                self.assertEqual(pack(intervals, free).saved, soonest_end_first(intervals, free))

    def test_a_layer_that_serves_several_uses_of_a_turn_takes_tokens_once(self) -> None:
        for seed in range(12):
            sequence = observe_run(small_trace(seed), DEMAND_ONLY).sequence
            intervals = reuse_intervals(sequence, reuse_opportunities(sequence))
            most = sum(use.times * use.tokens for turn in sequence.turns for use in turn.uses)
            with self.subTest(seed=seed):
                self.assertLessEqual(sum(interval.tokens * interval.saving for interval in intervals), most)
