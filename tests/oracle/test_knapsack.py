"""The multiple-choice knapsack, and the greedy upgrades that are never above it."""

import random
import unittest
from itertools import product

from clawvm_oracle.knapsack import (
    ADVERSARIAL_CASES,
    UNITS,
    Option,
    UtilityRecorder,
    adversarial_case,
    best_choice,
    best_value,
    reached_utility,
    upgrade_problem,
)
from clawvm_replay.replay import replay_trace
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import SelectionRequest, select
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.families import FAMILIES
from tests.runtime.test_pages import random_page

SEED, UPGRADE_SEED = 20263, 20265
CASES = 60


def by_trying(groups, capacity):
    choices = product(*([Option(0, 0), *group] for group in groups))
    return max(
        sum(option.value for option in choice)
        for choice in choices
        if sum(option.weight for option in choice) <= capacity
    )


def checked(test, groups, capacity):
    """Return the value of the chosen options, which are of their groups and fit."""
    chosen = best_choice(groups, capacity)
    test.assertEqual(len(chosen), len(groups))
    options = [option for option in chosen if option is not None]
    test.assertTrue(all(option is None or option in group for group, option in zip(groups, chosen)))
    test.assertLessEqual(sum(option.weight for option in options), capacity)
    return sum(option.value for option in options)


class KnapsackTests(unittest.TestCase):
    def test_at_most_one_option_of_a_group_counts(self) -> None:
        self.assertEqual(best_value([[Option(1, 5), Option(2, 7)]], 3), 7)

    def test_nothing_fits_or_nothing_is_there(self) -> None:
        self.assertEqual(best_value([[Option(4, 9)]], 3), 0)
        self.assertEqual(best_value([], 3), 0)
        self.assertEqual(best_value([[], [Option(1, 1)]], 0), 0)

    def test_the_densest_choice_is_not_always_the_best(self) -> None:
        self.assertEqual(best_value([[Option(1, 2)], [Option(10, 15)]], 10), 15)

    def test_an_option_below_the_hull_can_be_the_best(self) -> None:
        self.assertEqual(best_value([[Option(2, 3), Option(5, 10)], [Option(3, 9)]], 5), 12)

    def test_the_choice_names_an_option_or_none_for_each_group(self) -> None:
        self.assertEqual(
            tuple(best_choice([[Option(5, 6)], [], [Option(2, 3), Option(5, 10)]], 6)), (None, None, (5, 10))
        )
        self.assertEqual(tuple(best_choice([[Option(2, 3), Option(5, 10)], [Option(3, 9)]], 5)), ((2, 3), (3, 9)))

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(200):
            groups = [
                [Option(1 + rng.randrange(12), rng.randrange(15)) for _ in range(rng.randrange(5))]
                for _ in range(rng.randrange(6))
            ]
            capacity = rng.randrange(30)
            with self.subTest(seed=SEED, case=case, groups=groups, capacity=capacity):
                self.assertEqual(best_value(groups, capacity), by_trying(groups, capacity))
                self.assertEqual(checked(self, groups, capacity), by_trying(groups, capacity))


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


def utility_by_trying(problem):
    best = 0
    for climbed in product(*(range(len(steps) + 1) for steps in problem.steps.values())):
        items = list(zip(climbed, problem.steps.items()))
        if sum(sum(steps[:count]) for count, (_, steps) in items) <= problem.left:
            best = max(best, sum(count * problem.scores[page_id] for count, (page_id, _) in items))
    return best


class UpgradeTests(unittest.TestCase):
    def test_best_utility_is_the_best_of_all_choices_and_greedy_is_never_above_it(self) -> None:
        rng = random.Random(UPGRADE_SEED)
        below = 0
        for case in range(CASES):
            request = random_request(rng, 5)
            problem = upgrade_problem(request)
            reached = reached_utility(problem, select(request))
            with self.subTest(seed=UPGRADE_SEED, case=case):
                self.assertEqual(problem.best_utility(), utility_by_trying(problem))
                self.assertLessEqual(reached, problem.best_utility())
            below += reached < problem.best_utility()
        self.assertGreater(below, CASES // 10)

    def test_the_problem_begins_behind_floors_demands_and_pointers(self) -> None:
        rng = random.Random(UPGRADE_SEED + 1)
        for case in range(CASES):
            request = random_request(rng, 6)
            problem = upgrade_problem(request)
            selection = select(request)
            applied = sum(step.delta for step in selection.steps if step.outcome.value == "applied")
            with self.subTest(seed=UPGRADE_SEED + 1, case=case):
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
        self.assertEqual(sorted(ADVERSARIAL_CASES), ["blocked", "single_pass"])

    def test_the_recorder_selects_as_the_plain_selector_and_keeps_every_prompt(self) -> None:
        trace = FAMILIES["daily_assistant"](120)
        recorder = UtilityRecorder()
        watched = replay_trace(trace, POLICIES["clawvm"], selector=recorder)
        self.assertEqual(watched, replay_trace(trace, POLICIES["clawvm"]))
        self.assertEqual([share.turn for share in recorder.shares], list(range(1, len(trace.turns) + 1)))
        self.assertTrue(all(share.ratio is None or 0 < share.ratio <= 1 for share in recorder.shares))
