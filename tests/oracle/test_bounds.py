"""Behaviour of the bounds: by hand, against exhaustive search and every policy, and that a wrong one is noticed."""

import unittest
from unittest import mock

from clawvm_oracle import small_cases as checks
from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    reloaded_tokens,
    use_tokens,
)
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.small_cases import (
    CaseCheck,
    check_small_case,
    is_demand_only,
    least_brought_in,
    least_reloaded,
    least_reloaded_on_demand,
)
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS
from tests.oracle.support import FULL, STRUCTURED, Needs, content, sequence

CASES = 60
LADDERS = {"a": {STRUCTURED: 2, FULL: 6}, "b": {FULL: 6}, "c": {FULL: 6}}
TENS = {name: {FULL: 10} for name in "abcd"}


def three(needs):
    """Return the three bounds of a sequence."""
    return any_policy_bound(needs), demand_only_bound(needs), brought_in_bound(needs)


def demands(*names):
    return [Needs({name: FULL}) for name in names]


class ByHandTests(unittest.TestCase):
    def test_one_page_beside_the_demanded_one(self) -> None:
        # Turn 3 uses a, turn 4 uses b. Prompt 2 has to hold b and keeps a; prompt 3 has to hold a and keeps b.
        self.assertEqual(three(sequence(12, LADDERS, demands("a", "b", "a", "b"))), (0, 0, 12))

    def test_without_room_beside_the_demand_everything_is_reloaded(self) -> None:
        self.assertEqual(three(sequence(6, LADDERS, demands("a", "b", "a", "b"))), (12, 12, 24))

    def test_prefetch_saves_what_keeping_cannot(self) -> None:
        # With room for one page beside the demand, one of two pages can be kept, but either can be fetched ahead.
        needs = sequence(12, LADDERS, demands("a", "b", "c", "a", "b", "c"))
        self.assertEqual(three(needs)[0], 0)
        self.assertGreater(three(needs)[1], 0)
        self.assertEqual(least_reloaded_on_demand(needs).tokens, three(needs)[1])

    def test_a_floor_takes_room(self) -> None:
        turns = [Needs(need.demanded, {"c": FULL}) for need in demands("a", "b", "a")]
        # 5 tokens are left beside b and the floor: a cannot stay in full, but its first layer of 2 need not come again.
        self.assertEqual(three(sequence(17, LADDERS, turns)), (6, 6, 6 + 6 + 6 + 4))
        self.assertEqual(three(sequence(18, LADDERS, turns)), (0, 0, 6 + 6 + 6))

    def test_a_floor_is_there_already_and_only_the_rest_takes_room(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, {"a": STRUCTURED}), Needs({"a": FULL})]
        self.assertEqual(three(sequence(12, LADDERS, turns)), (0, 0, 12))
        # Below that the use cannot be served, but the two tokens of the floor need not be brought in again.
        self.assertEqual(three(sequence(11, LADDERS, turns)), (6, 6, 16))

    def test_a_boundary_ends_what_is_kept_but_not_what_is_fetched_ahead(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, lost=True), Needs({"a": FULL})]
        self.assertEqual(three(sequence(50, LADDERS, turns)), (0, 6, 18))

    def test_each_access_of_a_turn_counts_for_reloading_and_none_for_bringing_in(self) -> None:
        turns = [Needs({"c": FULL}), Needs({"b": FULL}), Needs({"c": FULL}, times=3)]
        self.assertEqual(three(sequence(11, LADDERS, turns)), (18, 18, 18))

    def test_room_that_no_whole_page_can_use_does_not_count(self) -> None:
        # 15 tokens are left beside each demand: one page of 10 fits. In parts, half of another one would.
        turns = demands("a", "b", "c", "d", "a", "b", "c", "d")
        needs = sequence(25, TENS, turns)
        self.assertEqual(three(needs), three(sequence(20, TENS, turns)))
        self.assertEqual(least_reloaded_on_demand(needs).tokens, demand_only_bound(needs))
        self.assertEqual(least_brought_in(needs).tokens, brought_in_bound(needs))

    def test_under_pressure_no_bound_is_defined(self) -> None:
        needs = sequence(5, LADDERS, demands("a"))
        for bound in (any_policy_bound, any_policy_plan, demand_only_bound, brought_in_bound):
            with self.assertRaisesRegex(ValueError, "under pressure"):
                bound(needs)

    def test_nothing_asked_costs_nothing(self) -> None:
        self.assertEqual(three(sequence(5, LADDERS, [])), (0, 0, 0))
        self.assertEqual(use_tokens(sequence(5, LADDERS, [Needs(), Needs()])), 0)


class AnyPolicyPlanTests(unittest.TestCase):
    def test_it_holds_what_it_has_to_and_the_best_for_the_next_turn(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, {"a": STRUCTURED}), Needs({"a": FULL})]
        self.assertEqual(
            any_policy_plan(sequence(12, LADDERS, turns)),
            [{content("a"): FULL}, {content("a"): FULL, content("b"): FULL}, {content("a"): FULL}],
        )
        # Without the room to raise a, its floor stays as it is.
        self.assertEqual(
            any_policy_plan(sequence(11, LADDERS, turns))[1], {content("a"): STRUCTURED, content("b"): FULL}
        )

    def test_it_fetches_ahead_what_nobody_asked_for_in_the_turn(self) -> None:
        needs = sequence(12, LADDERS, demands("a", "b", "c", "a", "b", "c"))
        self.assertEqual(any_policy_plan(needs)[3], {content("a"): FULL, content("b"): FULL})

    def test_played_by_the_engine_it_reaches_the_bound_in_every_family_cell(self) -> None:
        reloaded = 0
        for name, family in FAMILIES.items():
            for budget in PAPER_BUDGETS:
                trace = family(budget)
                needs = observe_run(trace, DEMAND_ONLY).sequence
                played = observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(needs)))
                with self.subTest(family=name, budget=budget):
                    self.assertEqual(played.metrics.page_in_tokens, any_policy_bound(needs))
                    self.assertEqual(played.met, needs)
                reloaded += played.metrics.page_in_tokens
        self.assertGreater(reloaded, 0)


class BruteForceTests(unittest.TestCase):
    def test_prompts_of_an_optimum_reach_it(self) -> None:
        needs = sequence(12, LADDERS, demands("a", "b", "c", "a", "b", "c"))
        for search in (least_reloaded, least_reloaded_on_demand):
            optimum = search(needs)
            self.assertEqual(reloaded_tokens(needs, optimum.prompts), optimum.tokens)
        optimum = least_brought_in(needs)
        self.assertEqual(brought_in_tokens(needs, optimum.prompts), optimum.tokens)

    def test_on_demand_nothing_rises_unless_it_is_demanded(self) -> None:
        needs = sequence(12, LADDERS, demands("a", "b", "c", "a", "b"))
        held = {}
        for turn, prompt in zip(needs.turns, least_reloaded_on_demand(needs).prompts):
            for name, level in prompt.items():
                self.assertLessEqual(level, max(held.get(name, 0), turn.allowed.get(name, 0)))
            held = prompt

    def test_every_prompt_holds_what_it_has_to_within_the_budget(self) -> None:
        turns = [Needs(need.demanded, {"c": FULL}) for need in demands("a", "b", "a")]
        needs = sequence(17, LADDERS, turns)
        for search in (least_reloaded, least_reloaded_on_demand, least_brought_in):
            for turn, prompt in zip(needs.turns, search(needs).prompts):
                self.assertLessEqual(sum(needs.tokens(name, level) for name, level in prompt.items()), 17)
                self.assertTrue(all(prompt[name] >= level for name, level in turn.required.items()))


class SmallCaseTests(unittest.TestCase):
    def test_bounds_are_at_most_the_optimum_and_the_optimum_at_most_every_policy(self) -> None:
        exact = 0
        for seed in range(CASES):
            check = check_small_case(seed)
            self.assertEqual(check.violations, [], f"seed {seed}")
            self.assertGreater(check.comparisons, 20)
            exact += check.bound_is_exact
        self.assertGreater(exact, CASES * 3 // 4)

    def test_a_bound_that_is_one_too_high_is_noticed(self) -> None:
        seed = next(seed for seed in range(CASES) if check_small_case(seed).bound_is_exact)
        for name in ("any_policy_bound", "demand_only_bound", "brought_in_bound"):
            right = getattr(checks, name)
            with mock.patch.object(checks, name, lambda needs, right=right: right(needs) + 1):
                found = [text for number in (seed, *range(6)) for text in check_small_case(number).violations]
            self.assertTrue([text for text in found if "bound" in text], name)

    def test_a_plan_that_does_not_reach_its_bound_is_noticed(self) -> None:
        def only_required(needs):
            return [turn.required for turn in needs.turns]

        with mock.patch.object(checks, "any_policy_plan", only_required):
            found = [text for seed in range(10) for text in check_small_case(seed).violations]
        self.assertTrue(any(text.startswith("engine, any-policy plan") for text in found), found)

    def test_an_optimum_that_is_too_high_is_noticed(self) -> None:
        def too_high(search):
            def searched(needs):
                optimum = search(needs)
                return type(optimum)(optimum.tokens + 1, optimum.prompts)

            return searched

        for name in ("least_reloaded", "least_reloaded_on_demand", "least_brought_in"):
            with mock.patch.object(checks, name, too_high(getattr(checks, name))):
                self.assertTrue(check_small_case(0).violations, name)

    def test_a_policy_that_prefetches_is_no_demand_only_policy_and_would_be_noticed(self) -> None:
        with mock.patch.object(checks, "is_demand_only", lambda policy: True):
            found = [text for seed in range(20) for text in check_small_case(seed).violations]
        self.assertTrue(any(text.startswith("exact on demand, clawvm") for text in found), found)

    def test_comparisons_say_what_did_not_hold(self) -> None:
        check = CaseCheck()
        check.at_most("low", 1, 1)
        check.at_most("high", 2, 1)
        check.equal("same", 1, 1)
        check.equal("other", 0, 1)
        self.assertEqual((check.comparisons, check.violations), (4, ["high: 2 > 1", "other: 0 != 1"]))


class FamilyTests(unittest.TestCase):
    def test_no_policy_stays_below_a_bound_for_what_its_prompts_met(self) -> None:
        for name, family in FAMILIES.items():
            for policy in POLICIES.values():
                run = observe_run(family(120), policy)
                lowest, on_demand, brought_in = three(run.met)
                reloaded = reloaded_tokens(run.sequence, run.prompts)
                with self.subTest(family=name, policy=policy.id):
                    self.assertLessEqual(on_demand if is_demand_only(policy) else lowest, reloaded)
                    self.assertLessEqual(brought_in, brought_in_tokens(run.sequence, run.prompts))
                    self.assertLessEqual(lowest, on_demand)

    def test_policies_without_prefetch_and_upgrades_are_demand_only(self) -> None:
        self.assertEqual(
            [name for name, policy in POLICIES.items() if is_demand_only(policy)], ["retrieval", "retrieval_cache"]
        )

    def test_fewer_requirements_never_raise_a_bound(self) -> None:
        run = observe_run(FAMILIES["long_horizon"](120), POLICIES["clawvm"])
        bare = run.sequence.met_by([{} for _ in run.prompts])
        for more, fewer in zip(three(run.sequence), three(bare)):
            self.assertLessEqual(fewer, more)


if __name__ == "__main__":
    unittest.main()
