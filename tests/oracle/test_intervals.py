"""Which layers could be kept, how long, and what room they can use."""

import random
import unittest
from itertools import product

from clawvm_oracle.intervals import Interval, Span, packable_tokens, returns, use_chances, use_intervals
from tests.oracle.support import FULL, STRUCTURED, Needs, content, sequence

SEED = 20266
LADDERS = {"a": {STRUCTURED: 4, FULL: 10}, "b": {FULL: 6}}


def intervals_of(budget, turns):
    needs = sequence(budget, LADDERS, turns)
    return use_intervals(needs, use_chances(needs))


class UseIntervalTests(unittest.TestCase):
    def test_layers_of_a_need_are_kept_since_each_was_last_let_in(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"a": STRUCTURED}), Needs(), Needs({"a": FULL})]
        self.assertEqual(
            intervals_of(50, turns),
            [Interval(1, 0, 4, 1), Interval(2, 2, 4, 1), Interval(1, 2, 6, 1)],
        )

    def test_a_use_above_what_was_let_in_is_no_chance(self) -> None:
        self.assertEqual(intervals_of(50, [Needs({"a": STRUCTURED}), Needs({"a": FULL})]), [])

    def test_a_boundary_on_the_way_leaves_no_chance_and_one_after_the_use_does(self) -> None:
        asked = {"b": FULL}
        self.assertEqual(intervals_of(50, [Needs(asked), Needs(lost=True), Needs(asked)]), [])
        self.assertEqual(intervals_of(50, [Needs(asked), Needs(), Needs(asked, lost=True)]), [Interval(1, 1, 6, 1)])

    def test_a_use_that_does_not_fit_a_prompt_on_the_way_is_no_chance(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": FULL})]
        self.assertEqual(len(intervals_of(16, turns)), 2)
        self.assertEqual(intervals_of(15, turns), [])

    def test_a_layer_serves_all_uses_of_the_turn_that_need_it(self) -> None:
        self.assertEqual(
            intervals_of(50, [Needs({"b": FULL}), Needs(), Needs({"b": FULL}, times=2)]), [Interval(1, 1, 6, 2)]
        )

    def test_where_a_requirement_was_not_met_the_layer_takes_room_from_there_on(self) -> None:
        needs = sequence(50, LADDERS, [Needs({"b": FULL}), Needs({"b": FULL})]).met_by([{}, {}])
        self.assertEqual(use_intervals(needs, use_chances(needs)), [Interval(0, 0, 6, 1)])


class ReturnTests(unittest.TestCase):
    def test_a_layer_returns_where_an_earlier_prompt_had_to_hold_it(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": STRUCTURED})]
        total, found = returns(sequence(50, LADDERS, turns))
        self.assertEqual((total, [layer.interval for layer in found]), (10 + 6 + 4, [Interval(1, 1, 4, 1)]))

    def test_a_layer_whose_page_does_not_fit_a_prompt_on_the_way_does_not_return(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}), Needs({"a": FULL})]
        for budget, layers in ((16, [4, 6]), (15, [4]), (9, [])):
            _, found = returns(sequence(budget, LADDERS, turns))
            self.assertEqual([layer.tokens for layer in found], layers)

    def test_floors_return_from_prompt_to_prompt_without_room_and_not_across_a_boundary(self) -> None:
        floor = {"a": STRUCTURED}
        total, found = returns(
            sequence(4, LADDERS, [Needs(floors=floor), Needs(floors=floor), Needs({}, floor, 1, True)])
        )
        self.assertEqual((total, [layer.interval for layer in found]), (12, [Interval(1, 0, 4, 1)]))


class UsableRoomTests(unittest.TestCase):
    def test_room_that_suffices_for_everything_stays_as_it_is(self) -> None:
        needs = sequence(50, LADDERS, [Needs()])
        self.assertEqual(packable_tokens(needs, [Span(content("b"), FULL, range(1))]), [50])

    def test_levels_of_one_content_exclude_each_other(self) -> None:
        spans = [Span(content("a"), level, range(1)) for level in (STRUCTURED, FULL)]
        self.assertEqual(packable_tokens(sequence(9, LADDERS, [Needs()]), spans), [4])
        both = [*spans, Span(content("b"), FULL, range(1))]
        self.assertEqual(packable_tokens(sequence(15, LADDERS, [Needs()]), both), [10])

    def test_only_what_exceeds_a_floor_takes_room(self) -> None:
        needs = sequence(9, LADDERS, [Needs(floors={"a": STRUCTURED})])
        self.assertEqual(packable_tokens(needs, [Span(content("a"), FULL, range(1))]), [0])

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(150):
            ladders = {}
            for name in "abcde"[: 1 + rng.randrange(5)]:
                low = 1 + rng.randrange(9)
                ladders[name] = {STRUCTURED: low, FULL: low + 1 + rng.randrange(9)}
            budget = 1 + rng.randrange(40)
            spans = [Span(content(name), level, range(1)) for name in ladders for level in (STRUCTURED, FULL)]
            choices = product(*((0, *ladder.values()) for ladder in ladders.values()))
            best = max(sum(choice) for choice in choices if sum(choice) <= budget)
            most = sum(ladder[FULL] for ladder in ladders.values())
            with self.subTest(seed=SEED, case=case, ladders=ladders, budget=budget):
                found = packable_tokens(sequence(budget, ladders, [Needs()]), spans)
                self.assertEqual(found, [budget if most <= budget else best])


if __name__ == "__main__":
    unittest.main()
