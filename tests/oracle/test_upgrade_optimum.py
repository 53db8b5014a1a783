"""Behaviour of the exact upgrades: never below the greedy pass, equal to trying every level, and the worst cases."""

import random
import unittest
from itertools import product

from clawvm_oracle.knapsack import (
    ADVERSARIAL_LADDERS,
    EDGES,
    UNITS,
    UtilityRecorder,
    adversarial_case,
    distribution,
    reached_utility,
    upgrade_problem,
)
from clawvm_replay.replay import replay_trace
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import SelectionRequest, select
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.families import FAMILIES
from tests.runtime.test_pages import random_page

SEED = 20265
CASES = 150


def random_request(rng, pages):
    chosen = [random_page(rng, f"p{number}") for number in range(pages)]
    policy = POLICIES[rng.choice(["clawvm", "lru", "oracle_h3"])]
    return SelectionRequest(
        pages=chosen,
        budget=rng.randrange(20, 60 * pages),
        policy=policy,
        demands={page.id: rng.choice(list(Level)[1:]) for page in chosen if rng.random() < 0.2},
        recency={page.id: rng.random() for page in chosen if rng.random() < 0.5},
        future_demands={page.id: 1 for page in chosen if rng.random() < 0.3},
    )


def by_trying(problem):
    best = 0
    for climbed in product(*(range(len(steps) + 1) for steps in problem.steps.values())):
        items = list(zip(climbed, problem.steps.items()))
        if sum(sum(steps[:count]) for count, (_, steps) in items) <= problem.left:
            best = max(best, sum(count * problem.scores[page_id] for count, (page_id, _) in items))
    return best


class UpgradeTests(unittest.TestCase):
    def test_best_utility_is_the_best_of_all_choices_and_greedy_is_never_above_it(self) -> None:
        rng = random.Random(SEED)
        below = 0
        for case in range(CASES):
            request = random_request(rng, 5)
            problem = upgrade_problem(request)
            reached = reached_utility(problem, select(request))
            with self.subTest(seed=SEED, case=case):
                self.assertEqual(problem.best_utility(), by_trying(problem))
                self.assertLessEqual(reached, problem.best_utility())
            below += reached < problem.best_utility()
        self.assertGreater(below, CASES // 10)

    def test_the_problem_begins_behind_floors_demands_and_pointers(self) -> None:
        rng = random.Random(SEED + 1)
        for case in range(CASES):
            request = random_request(rng, 6)
            problem = upgrade_problem(request)
            selection = select(request)
            applied = sum(step.delta for step in selection.steps if step.outcome.value == "applied")
            with self.subTest(seed=SEED + 1, case=case):
                self.assertEqual(problem.left, request.budget - selection.tokens + applied)
                self.assertEqual(
                    sorted(delta for steps in problem.steps.values() for delta in steps),
                    sorted(step.delta for step in selection.steps),
                )

    def test_a_policy_without_upgrades_has_no_problem(self) -> None:
        request = SelectionRequest(pages=[], budget=9, policy=POLICIES["retrieval"], demands={})
        with self.assertRaisesRegex(ValueError, "makes no upgrades"):
            upgrade_problem(request)

    def test_made_to_mislead_the_pass_reaches_a_quarter_and_a_hundredth(self) -> None:
        single, blocked = adversarial_case("single_pass"), adversarial_case("blocked")
        self.assertEqual((single.reached, single.best, single.ratio), (UNITS, 4 * UNITS, 0.25))
        self.assertEqual((blocked.reached, blocked.best, blocked.ratio), (1010000, 100 * UNITS, 0.0101))
        self.assertEqual(sorted(ADVERSARIAL_LADDERS), ["blocked", "single_pass"])

    def test_the_recorder_selects_as_the_plain_selector_and_keeps_every_prompt(self) -> None:
        trace = FAMILIES["daily_assistant"](120)
        recorder = UtilityRecorder()
        watched = replay_trace(trace, POLICIES["clawvm"], selector=recorder)
        self.assertEqual(watched, replay_trace(trace, POLICIES["clawvm"]))
        self.assertEqual([share.turn for share in recorder.shares], list(range(1, len(trace.turns) + 1)))
        self.assertTrue(all(share.ratio is None or 0 < share.ratio <= 1 for share in recorder.shares))


class DistributionTests(unittest.TestCase):
    def test_quantiles_are_nearest_ranks(self) -> None:
        numbers = distribution([number / 100 for number in range(1, 101)])
        self.assertEqual(
            [numbers[name] for name in ("minimum", "p1", "p5", "quartile_1", "median", "quartile_3", "mean")],
            [0.01, 0.01, 0.05, 0.25, 0.5, 0.75, 0.505],
        )
        self.assertEqual((numbers["count"], numbers["share_optimal"]), (100, 0.01))

    def test_bins_hold_their_lower_edge_and_the_last_one_both(self) -> None:
        counts = distribution([0.0, 0.799, 0.8, 0.81, 0.815, 0.99, 1.0])["histogram"]
        self.assertEqual(len(counts), len(EDGES) - 1)
        self.assertEqual((counts[0], counts[1], counts[2], counts[-1], sum(counts)), (2, 1, 2, 2, 7))

    def test_no_ratio_has_no_numbers(self) -> None:
        numbers = distribution([])
        self.assertEqual((numbers["count"], numbers["median"], numbers["share_optimal"]), (0, None, None))


if __name__ == "__main__":
    unittest.main()
