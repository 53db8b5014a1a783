"""The bounds on hundreds of seeded cases and all family cells, and packings too large to try everything."""

import random
import unittest

from clawvm_oracle.bounds import DEMAND_ONLY, PlannedSelector, any_policy_bound, any_policy_plan
from clawvm_oracle.demand_sequence import observe_run
from clawvm_oracle.intervals import pack
from clawvm_oracle.small_cases import check_small_case, check_unit_case
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, PAPER_FAMILIES
from tests.oracle.test_intervals import by_trying, proved_by_prices, random_intervals, soonest_end_first

SEED = 20267


class SeededCaseTests(unittest.TestCase):
    def test_bounds_are_at_most_the_optimum_and_the_optimum_at_most_every_policy(self) -> None:
        checks = {seed: check_small_case(seed) for seed in range(600, 700)}
        self.assertEqual([(seed, check.violations) for seed, check in checks.items() if check.violations], [])
        self.assertGreater(sum(check.bound_is_exact for check in checks.values()), 75)

    def test_bound_search_and_oracle_reach_exactly_the_misses_of_min(self) -> None:
        checks = [check_unit_case(seed) for seed in range(600, 800)]
        self.assertEqual([check for check in checks if not check.equal], [])
        self.assertGreater(sum(check.minimum > 0 for check in checks), 100)

    def test_played_by_the_engine_the_any_policy_plan_reaches_the_bound_in_every_family_cell(self) -> None:
        for name in PAPER_FAMILIES:
            for budget in PAPER_BUDGETS:
                trace = FAMILIES[name](budget)
                needs = observe_run(trace, DEMAND_ONLY).sequence
                played = observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(needs)))
                with self.subTest(family=name, budget=budget):
                    self.assertEqual(played.metrics.page_in_tokens, any_policy_bound(needs))


class PackingTests(unittest.TestCase):
    def test_small_ones_equal_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(600):
            prompts = 1 + rng.randrange(5)
            intervals = random_intervals(rng, prompts, 1 + rng.randrange(5), 3, 3)
            free = [rng.randrange(6) for _ in range(prompts)]
            with self.subTest(seed=SEED, case=case, intervals=intervals, free=free):
                self.assertEqual(pack(intervals, free).saved, by_trying(intervals, free))

    def test_large_ones_are_proved_by_their_prices(self) -> None:
        rng = random.Random(SEED + 1)
        for savings in (1, 4):
            for case in range(6):
                intervals = random_intervals(rng, 40, 150, 60, savings)
                free = [rng.randrange(900) for _ in range(40)]
                with self.subTest(seed=SEED + 1, case=case, savings=savings):
                    packing = pack(intervals, free)
                    self.assertEqual(proved_by_prices(intervals, free, packing.prices), packing.saved)
                    if savings == 1:
                        self.assertEqual(packing.saved, soonest_end_first(intervals, free))
