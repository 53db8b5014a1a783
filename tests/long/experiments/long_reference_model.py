"""The reference model against the engine on many runs: the property, the recount, the settings of the sensitivity."""

import unittest

from clawvm_experiments.property import check_trace
from clawvm_experiments.sensitivity import compare_orders
from clawvm_experiments.sensitivity_settings import SETTINGS
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES, policy_named
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, PAPER_FAMILIES
from clawvm_workloads.generated import generate
from tests.experiments.test_counting_rules import DefaultRulesTest
from tests.experiments.test_sensitivity import WITHOUT_EFFECT, equal_settings

CLAWVM = POLICIES["clawvm"]


class PropertyTest(unittest.TestCase):
    def test_seeds_pass_under_every_policy_with_clawvms_structure(self):
        for policy, first, seeds in (("clawvm", 1_000_000, 150), ("lru", 0, 40), ("oracle_h3", 0, 40)):
            for seed in range(first, first + seeds):
                self.assertEqual(check_trace(generate(seed), POLICIES[policy]).violations, (), f"{policy}, seed {seed}")


class RecountTest(DefaultRulesTest):
    def test_every_policy_and_ablation_in_every_family_at_its_budget_and_under_pressure(self):
        policies = [*map(policy_named, PAPER_POLICIES), *(CLAWVM.without(feature) for feature in FEATURES.values())]
        for name in PAPER_FAMILIES:
            for policy in policies:
                for budget in (120, 40):
                    with self.subTest(family=name, policy=policy.id, budget=budget):
                        self.assert_equal_to_engine(FAMILIES[name](120), policy, budget)

    def test_generated_workloads_under_policies_that_validate(self):
        policies = [policy for policy in map(policy_named, PAPER_POLICIES) if policy.validated_writeback]
        policies += [CLAWVM.without(feature) for name, feature in FEATURES.items() if name != "validated_writeback"]
        for seed in range(60):
            for policy in policies:
                with self.subTest(seed=seed, policy=policy.id):
                    self.assert_equal_to_engine(generate(seed), policy)


class SettingsTest(unittest.TestCase):
    def test_no_two_settings_give_the_same_runs_but_those_named_without_effect(self):
        """Compared first in few runs, and only what is equal there in more; the last step is all budgets."""
        named = ["default", *WITHOUT_EFFECT]
        for same in equal_settings(SETTINGS, [120], ["compaction_hybrid", "clawvm"]):
            for group in equal_settings({name: SETTINGS[name] for name in same}, [120, 180], list(PAPER_POLICIES)):
                if group != named:
                    rest = equal_settings({name: SETTINGS[name] for name in group}, PAPER_BUDGETS, list(PAPER_POLICIES))
                    self.assertIn(rest, ([], [named]))

    def test_the_orders_differ_in_generated_workloads_under_pressure(self):
        orders = compare_orders(22, [120])
        self.assertGreater(orders["generated"]["changed_under"], 0)
        for part in orders.values():
            self.assertGreater(part["under_pressure"], 0)
            self.assertEqual(part["changed_without"], 0)
        self.assertEqual(sum(part["under_pressure"] + part["without_pressure"] for part in orders.values()), 78)
