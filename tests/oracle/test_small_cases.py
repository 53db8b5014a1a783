"""Exhaustive search and Belady's MIN: they are optima, bounds agree with them, and a wrong bound is noticed."""

import random
import unittest
from functools import cache
from unittest import mock

from clawvm_oracle import small_cases as checks
from clawvm_oracle.bounds import brought_in_tokens, reloaded_tokens
from clawvm_oracle.small_cases import (
    CaseCheck,
    check_small_case,
    check_unit_case,
    least_brought_in,
    least_reloaded,
    least_reloaded_on_demand,
    minimum_misses,
    unit_trace,
)
from clawvm_runtime.vocabulary import Level
from tests.oracle.support import FULL, STRUCTURED, Needs, sequence

TELLING_SEED = 8
"""A small case in which prefetching beats what is possible on demand."""

COSTS = {"a": {STRUCTURED: 2, FULL: 6}, "b": {FULL: 6}, "c": {FULL: 6}}


def demands(*names):
    return [Needs({name: FULL}) for name in names]


SEED = 20264
STRINGS = 8


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
        return 1 + min(least(place + 1, resident - {evicted} | {page}) for evicted in resident)

    return least(0, frozenset())


class MinimumTests(unittest.TestCase):
    def test_the_textbook_string(self) -> None:
        references = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]
        self.assertEqual(minimum_misses(references, 3), 9)

    def test_equals_the_best_of_all_evictions(self) -> None:
        rng = random.Random(SEED)
        for case in range(40):
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
        self.assertGreater(searched, 1)
        self.assertGreater(contended, 4)

    def test_another_number_is_noticed(self) -> None:
        for name in ("demand_only_bound", "minimum_misses"):
            right = getattr(checks, name)
            with mock.patch.object(checks, name, lambda *given, right=right: right(*given) + 1):
                self.assertFalse(check_unit_case(1).equal, name)


class BruteForceTests(unittest.TestCase):
    def test_prompts_of_an_optimum_reach_it(self) -> None:
        needs = sequence(12, COSTS, demands("a", "b", "c", "a", "b", "c"))
        for search in (least_reloaded, least_reloaded_on_demand):
            optimum = search(needs)
            self.assertEqual(reloaded_tokens(needs, optimum.prompts), optimum.tokens)
        optimum = least_brought_in(needs)
        self.assertEqual(brought_in_tokens(needs, optimum.prompts), optimum.tokens)

    def test_on_demand_nothing_rises_unless_it_is_demanded(self) -> None:
        needs = sequence(12, COSTS, demands("a", "b", "c", "a", "b"))
        held = {}
        for turn, prompt in zip(needs.turns, least_reloaded_on_demand(needs).prompts):
            for name, level in prompt.items():
                self.assertLessEqual(level, max(held.get(name, 0), turn.allowed.get(name, 0)))
            held = prompt

    def test_every_prompt_holds_what_it_has_to_within_the_budget(self) -> None:
        turns = [Needs(need.demanded, {"c": FULL}) for need in demands("a", "b", "a")]
        needs = sequence(17, COSTS, turns)
        for search in (least_reloaded, least_reloaded_on_demand, least_brought_in):
            for turn, prompt in zip(needs.turns, search(needs).prompts):
                self.assertLessEqual(sum(needs.tokens(name, level) for name, level in prompt.items()), 17)
                self.assertTrue(all(prompt[name] >= level for name, level in turn.required.items()))


class SmallCaseTests(unittest.TestCase):
    """Each check of a case that is known to hold everything goes red when what it checks is wrong."""

    def found(self, name, replacement):
        with mock.patch.object(checks, name, replacement):
            return check_small_case(TELLING_SEED).violations

    def test_bounds_are_at_most_the_optimum_and_the_optimum_at_most_every_policy(self) -> None:
        check = check_small_case(TELLING_SEED)
        self.assertEqual(check.violations, [])
        self.assertGreater(check.comparisons, 20)
        self.assertTrue(check.bound_is_exact)

    def test_a_bound_that_is_one_too_high_is_noticed(self) -> None:
        for name in ("any_policy_bound", "demand_only_bound", "brought_in_bound"):
            right = getattr(checks, name)
            found = self.found(name, lambda needs, right=right: right(needs) + 1)
            self.assertTrue([text for text in found if "bound" in text], name)

    def test_a_plan_that_does_not_reach_its_bound_is_noticed(self) -> None:
        found = self.found("any_policy_plan", lambda needs: [turn.required for turn in needs.turns])
        self.assertTrue(any(text.startswith("engine, any-policy plan") for text in found), found)

    def test_an_optimum_that_is_too_high_is_noticed(self) -> None:
        for name in ("least_reloaded", "least_reloaded_on_demand", "least_brought_in"):
            search = getattr(checks, name)
            found = self.found(
                name, lambda needs, search=search: search(needs)._replace(tokens=search(needs).tokens + 1)
            )
            self.assertTrue(found, name)

    def test_a_policy_that_prefetches_is_no_demand_only_policy_and_would_be_noticed(self) -> None:
        found = self.found("is_demand_only", lambda policy: True)
        self.assertTrue(any(text.startswith("exact on demand, clawvm") for text in found), found)

    def test_comparisons_say_what_did_not_hold(self) -> None:
        check = CaseCheck()
        check.at_most("low", 1, 1)
        check.at_most("high", 2, 1)
        check.equal("same", 1, 1)
        check.equal("other", 0, 1)
        self.assertEqual((check.comparisons, check.violations), (4, ["high: 2 > 1", "other: 0 != 1"]))
