"""Behaviour of the oracle that may not prefetch: its plan is feasible, and the engine confirms what it costs."""

import dataclasses
import unittest

from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    plan,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.small_cases import small_trace
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import SelectionRequest, select
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.families import FAMILIES
from tests.oracle.support import FULL, POINTER, STRUCTURED, Needs, content, sequence
from tests.runtime.test_pages import make_page

TENS = {name: {FULL: 10} for name in "abc"}


def traces():
    yield from (family(budget) for family in FAMILIES.values() for budget in (120, 240))
    yield from (small_trace(seed) for seed in range(40))


class PlanTests(unittest.TestCase):
    def test_plan_holds_what_it_has_to_fits_and_lets_nothing_in_unasked(self) -> None:
        for trace in traces():
            needs = observe_run(trace, DEMAND_ONLY).sequence
            held = {}
            for turn, prompt in zip(needs.turns, plan(needs)):
                held = {} if turn.lost else held
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
            bare = observe_run(trace, DEMAND_ONLY)
            prompts = plan(bare.sequence)
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
        self.assertEqual(reloaded_tokens(needs, plan(needs)), demand_only_bound(needs))

    def test_under_pressure_no_plan_exists(self) -> None:
        with self.assertRaisesRegex(ValueError, "under pressure"):
            plan(sequence(9, TENS, [Needs({"a": FULL})]))

    def test_the_row_is_clawvm_without_prefetch_and_upgrades(self) -> None:
        changed = dataclasses.replace(
            POLICIES["clawvm"], id=DEMAND_ONLY.id, name=DEMAND_ONLY.name, prefetch=False, upgrades=None
        )
        self.assertEqual(DEMAND_ONLY, changed)


class PlannedSelectorTests(unittest.TestCase):
    def request(self, budget=100):
        pages = [make_page("a"), make_page("b")]
        return SelectionRequest(pages=pages, budget=budget, policy=POLICIES["clawvm"], demands={"a": STRUCTURED})

    def test_plays_floors_and_demands_and_what_the_plan_holds_beside_them(self) -> None:
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

    def test_without_a_plan_it_is_the_plain_selection_of_the_row(self) -> None:
        request = dataclasses.replace(self.request(), policy=DEMAND_ONLY)
        self.assertEqual(PlannedSelector([])(request), select(request))


if __name__ == "__main__":
    unittest.main()
