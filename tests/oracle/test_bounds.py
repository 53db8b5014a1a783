"""The bounds and the plans that come close: by hand, against every policy, and as the engine counts them."""

import dataclasses
import functools
import unittest

from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    demand_only_plan,
    is_demand_only,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.small_cases import least_brought_in, least_reloaded_on_demand, small_trace
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.selector import SelectionRequest, select
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.families import FAMILIES
from tests.oracle.support import FULL, POINTER, STRUCTURED, Needs, content, sequence
from tests.runtime.test_pages import make_page

COSTS = {"a": {STRUCTURED: 2, FULL: 6}, "b": {FULL: 6}, "c": {FULL: 6}}
TENS = {name: {FULL: 10} for name in "abcd"}


def three(needs):
    """Return the three bounds of a sequence."""
    return any_policy_bound(needs), demand_only_bound(needs), brought_in_bound(needs)


def demands(*names):
    return [Needs({name: FULL}) for name in names]


@functools.cache
def traces():
    return [*(FAMILIES[name](120) for name in ("long_horizon", "evidence_heavy")), *map(small_trace, range(8))]


def bare_run(trace):
    """Return the run of *trace* in the bare structure; all tests share it."""
    return bare_runs()[trace.source]


@functools.cache
def bare_runs():
    return {trace.source: observe_run(trace, DEMAND_ONLY) for trace in traces()}


class ByHandTests(unittest.TestCase):
    def test_one_page_beside_the_demanded_one(self) -> None:
        # Turn 3 uses a, turn 4 uses b. Prompt 2 has to hold b and keeps a; prompt 3 has to hold a and keeps b.
        self.assertEqual(three(sequence(12, COSTS, demands("a", "b", "a", "b"))), (0, 0, 12))

    def test_without_space_besides_the_demand_everything_is_reloaded(self) -> None:
        self.assertEqual(three(sequence(6, COSTS, demands("a", "b", "a", "b"))), (12, 12, 24))

    def test_prefetch_saves_what_keeping_cannot(self) -> None:
        # With space for one page besides the demand, one of two pages can be kept, but either can be fetched ahead.
        needs = sequence(12, COSTS, demands("a", "b", "c", "a", "b", "c"))
        self.assertEqual(three(needs)[0], 0)
        self.assertGreater(three(needs)[1], 0)
        self.assertEqual(least_reloaded_on_demand(needs).tokens, three(needs)[1])

    def test_a_floor_takes_tokens(self) -> None:
        turns = [Needs(need.demanded, {"c": FULL}) for need in demands("a", "b", "a")]
        # 5 tokens are left besides b and the floor: a cannot stay full, but its first layer of 2 need not come again.
        self.assertEqual(three(sequence(17, COSTS, turns)), (6, 6, 6 + 6 + 6 + 4))
        self.assertEqual(three(sequence(18, COSTS, turns)), (0, 0, 6 + 6 + 6))

    def test_a_floor_is_there_already_and_only_the_rest_takes_tokens(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, {"a": STRUCTURED}), Needs({"a": FULL})]
        self.assertEqual(three(sequence(12, COSTS, turns)), (0, 0, 12))
        # Below that the use cannot be served, but the two tokens of the floor need not be brought in again.
        self.assertEqual(three(sequence(11, COSTS, turns)), (6, 6, 16))

    def test_a_boundary_ends_what_is_kept_but_not_what_is_fetched_ahead(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, boundary=True), Needs({"a": FULL})]
        self.assertEqual(three(sequence(50, COSTS, turns)), (0, 6, 18))

    def test_each_access_of_a_turn_counts_for_reloading_and_none_for_bringing_in(self) -> None:
        turns = [Needs({"c": FULL}), Needs({"b": FULL}), Needs({"c": FULL}, times=3)]
        self.assertEqual(three(sequence(11, COSTS, turns)), (18, 18, 18))

    def test_tokens_that_no_whole_page_can_use_do_not_count(self) -> None:
        # 15 tokens are left besides each demand: one page of 10 fits. In parts, half of another one would.
        turns = demands("a", "b", "c", "d", "a", "b", "c", "d")
        needs = sequence(25, TENS, turns)
        self.assertEqual(three(needs), three(sequence(20, TENS, turns)))
        self.assertEqual(least_reloaded_on_demand(needs).tokens, demand_only_bound(needs))
        self.assertEqual(least_brought_in(needs).tokens, brought_in_bound(needs))

    def test_under_pressure_no_bound_is_defined(self) -> None:
        needs = sequence(5, COSTS, demands("a"))
        for bound in (any_policy_bound, any_policy_plan, demand_only_bound, brought_in_bound):
            with self.assertRaisesRegex(ValueError, "under pressure"):
                bound(needs)

    def test_nothing_asked_costs_nothing(self) -> None:
        self.assertEqual(three(sequence(5, COSTS, [])), (0, 0, 0))


class AnyPolicyPlanTests(unittest.TestCase):
    def test_it_holds_what_it_has_to_and_the_best_for_the_next_turn(self) -> None:
        turns = [Needs({"a": FULL}), Needs({"b": FULL}, {"a": STRUCTURED}), Needs({"a": FULL})]
        self.assertEqual(
            any_policy_plan(sequence(12, COSTS, turns)),
            [{content("a"): FULL}, {content("a"): FULL, content("b"): FULL}, {content("a"): FULL}],
        )
        # Without the space to raise a, its floor stays as it is.
        self.assertEqual(any_policy_plan(sequence(11, COSTS, turns))[1], {content("a"): STRUCTURED, content("b"): FULL})

    def test_it_fetches_ahead_what_nobody_asked_for_in_the_turn(self) -> None:
        needs = sequence(12, COSTS, demands("a", "b", "c", "a", "b", "c"))
        self.assertEqual(any_policy_plan(needs)[3], {content("a"): FULL, content("b"): FULL})

    def test_played_by_the_engine_it_reaches_the_bound(self) -> None:
        reloaded = 0
        for trace in traces():
            needs = bare_run(trace).sequence
            played = observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(needs)))
            with self.subTest(trace=trace.source):
                self.assertEqual(played.metrics.page_in_tokens, any_policy_bound(needs))
                self.assertEqual(played.met, needs)
            reloaded += played.metrics.page_in_tokens
        self.assertGreater(reloaded, 0)


class FamilyTests(unittest.TestCase):
    def test_no_policy_stays_below_a_bound_for_what_its_prompts_met(self) -> None:
        for policy in map(policy_named, PAPER_POLICIES):
            run = observe_run(FAMILIES["long_horizon"](120), policy)
            lowest, on_demand, brought_in = three(run.met)
            reloaded = reloaded_tokens(run.sequence, run.prompts)
            with self.subTest(policy=policy.id):
                self.assertLessEqual(on_demand if is_demand_only(policy) else lowest, reloaded)
                self.assertLessEqual(brought_in, brought_in_tokens(run.sequence, run.prompts))
                self.assertLessEqual(lowest, on_demand)

    def test_policies_without_prefetch_and_upgrades_are_demand_only(self) -> None:
        bounded = [name for name in PAPER_POLICIES if is_demand_only(POLICIES[name])]
        self.assertEqual(bounded, ["retrieval", "retrieval_cache"])

    def test_fewer_requirements_never_raise_a_bound(self) -> None:
        run = observe_run(FAMILIES["long_horizon"](120), POLICIES["clawvm"])
        bare = run.sequence.met_by([{} for _ in run.prompts])
        for more, fewer in zip(three(run.sequence), three(bare)):
            self.assertLessEqual(fewer, more)


class PlanTests(unittest.TestCase):
    def test_plan_holds_what_it_has_to_fits_and_lets_nothing_in_unasked(self) -> None:
        for trace in traces():
            needs = bare_run(trace).sequence
            held = {}
            for turn, prompt in zip(needs.turns, demand_only_plan(needs)):
                held = {} if turn.boundary else held
                with self.subTest(trace=trace.source):
                    self.assertLessEqual(sum(needs.tokens(*item) for item in prompt.items()), needs.budget)
                    for name, level in turn.required.items():
                        self.assertGreaterEqual(prompt[name], level)
                    for name, level in prompt.items():
                        most = max(held.get(name, Level.NONE), turn.allowed.get(name, Level.NONE))
                        self.assertLessEqual(level, most)
                held = prompt

    def test_engine_counts_what_the_plan_promises_between_bound_and_bare_structure(self) -> None:
        for trace in traces():
            bare = bare_run(trace)
            prompts = demand_only_plan(bare.sequence)
            played = observe_run(trace, DEMAND_ONLY, PlannedSelector(prompts))
            with self.subTest(trace=trace.source):
                self.assertEqual(played.metrics.page_in_tokens, reloaded_tokens(bare.sequence, prompts))
                self.assertEqual(played.metrics.explicit_faults, 0)
                self.assertEqual(played.sequence, bare.sequence)
                self.assertLessEqual(demand_only_bound(bare.sequence), played.metrics.page_in_tokens)
                self.assertLessEqual(any_policy_bound(bare.sequence), played.metrics.page_in_tokens)
                self.assertLessEqual(played.metrics.page_in_tokens, bare.metrics.page_in_tokens)
                self.assertLessEqual(
                    brought_in_bound(bare.sequence), brought_in_tokens(played.sequence, played.prompts)
                )

    def test_it_keeps_what_is_used_soonest(self) -> None:
        needs = sequence(20, TENS, [Needs({name: FULL}) for name in "abcbac"])
        self.assertEqual(reloaded_tokens(needs, demand_only_plan(needs)), demand_only_bound(needs))

    def test_under_pressure_no_plan_exists(self) -> None:
        with self.assertRaisesRegex(ValueError, "under pressure"):
            demand_only_plan(sequence(9, TENS, [Needs({"a": FULL})]))

    def test_the_row_is_clawvm_without_prefetch_and_upgrades(self) -> None:
        changed = dataclasses.replace(
            POLICIES["clawvm"], id=DEMAND_ONLY.id, name=DEMAND_ONLY.name, prefetch=False, upgrades=None
        )
        self.assertEqual(DEMAND_ONLY, changed)


class PlannedSelectorTests(unittest.TestCase):
    def request(self, budget=100):
        pages = [make_page("a"), make_page("b")]
        return SelectionRequest(pages=pages, budget=budget, policy=DEMAND_ONLY, demands={"a": STRUCTURED})

    def test_plays_floors_and_demands_and_what_the_plan_holds_besides_them(self) -> None:
        selector = PlannedSelector([{content("b"): STRUCTURED}, {content("a"): FULL}])
        first, second, third = (selector(self.request()) for _ in range(3))
        self.assertEqual((first.levels, first.tokens), ({"a": STRUCTURED, "b": STRUCTURED}, 20))
        self.assertEqual((second.levels, second.tokens), ({"a": FULL}, 60))
        self.assertEqual((third.levels, third.prefetched, third.steps), ({"a": STRUCTURED}, [], []))

    def test_a_plan_never_lowers_what_is_demanded(self) -> None:
        selection = PlannedSelector([{content("a"): POINTER}])(self.request())
        self.assertEqual((selection.levels, selection.tokens), ({"a": STRUCTURED}, 10))

    def test_a_plan_for_another_budget_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "needs 60 tokens, the budget is 59"):
            PlannedSelector([{content("a"): FULL}])(self.request(59))

    def test_without_a_plan_it_is_the_plain_selection(self) -> None:
        self.assertEqual(PlannedSelector([])(self.request()), select(self.request()))
