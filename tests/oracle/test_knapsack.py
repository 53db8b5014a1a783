"""Behaviour of the multiple-choice knapsack: one option of each group, the best value that fits."""

import random
import unittest
from itertools import product

from clawvm_oracle.knapsack import Option, best_choice, best_value

SEED = 20263


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
        self.assertEqual(best_choice([[Option(5, 6)], [], [Option(2, 3), Option(5, 10)]], 6), [None, None, (5, 10)])
        self.assertEqual(best_choice([[Option(2, 3), Option(5, 10)], [Option(3, 9)]], 5), [(2, 3), (3, 9)])

    def test_equals_the_best_of_all_choices(self) -> None:
        rng = random.Random(SEED)
        for case in range(400):
            groups = [
                [Option(1 + rng.randrange(12), rng.randrange(15)) for _ in range(rng.randrange(5))]
                for _ in range(rng.randrange(6))
            ]
            capacity = rng.randrange(30)
            with self.subTest(seed=SEED, case=case, groups=groups, capacity=capacity):
                self.assertEqual(best_value(groups, capacity), by_trying(groups, capacity))
                self.assertEqual(checked(self, groups, capacity), by_trying(groups, capacity))


if __name__ == "__main__":
    unittest.main()
