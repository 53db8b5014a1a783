"""Behaviour of the weight sweep: its grid, what counts as identical, which weight moves what."""

import dataclasses
import unittest

from clawvm_experiments.weights import DEFAULT, EXPERIMENT, METRICS, SETTINGS, Weights, policy_with
from clawvm_replay.document import markdown
from clawvm_replay.published import WEIGHT_SWEEP
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import PAPER_FAMILIES


def rows(change=None, settings=SETTINGS):
    """Return rows that do not depend on the weights, each one changed by *change* (weights, workload -> changes)."""
    result = []
    for weights in settings:
        for workload in PAPER_FAMILIES:
            values = {"explicit_faults": 0, "thrash_index": 0.5, **dict.fromkeys(METRICS, 1.0)}
            values.update(change(weights, workload) if change else {})
            result.append({"workload": workload, **weights._asdict(), **values})
    return result


def findings(change=None):
    return EXPERIMENT.summarize(rows(change))["findings"]


class GridTest(unittest.TestCase):
    def test_as_many_runs_as_published_over_the_published_ranges(self):
        self.assertEqual(len(SETTINGS) * len(PAPER_FAMILIES), WEIGHT_SWEEP.runs)
        self.assertEqual(len(EXPERIMENT.cells(False)), WEIGHT_SWEEP.runs)
        self.assertEqual(len(set(SETTINGS)), len(SETTINGS))
        for name in Weights._fields:
            values = [getattr(weights, name) for weights in SETTINGS]
            self.assertEqual((min(values), max(values)), getattr(WEIGHT_SWEEP, name))

    def test_default_weights_are_clawvms_own_policy(self):
        self.assertEqual(SETTINGS[0], DEFAULT)
        score = policy_with(DEFAULT).upgrades
        self.assertEqual(score, POLICIES["clawvm"].upgrades)
        self.assertEqual(policy_with(DEFAULT), POLICIES["clawvm"])

    def test_a_setting_changes_nothing_but_the_weights(self):
        policy = policy_with(Weights(pin=4.0, recency=1.2, recompute=0.0))
        self.assertEqual(dataclasses.replace(policy, upgrades=POLICIES["clawvm"].upgrades), POLICIES["clawvm"])
        score = policy.upgrades
        self.assertEqual((score.pin_hard, score.pin_soft, score.recency, score.recompute), (4.0, 1.2, 1.2, 0.0))


class IdenticalTest(unittest.TestCase):
    def test_one_count_and_one_index_in_each_workload_are_identical(self):
        # Workloads may differ from each other; settings may not.
        found = findings(lambda weights, workload: {"thrash_index": len(workload) / 10})
        self.assertEqual((found["distinct_fault_counts"], found["distinct_thrash"]), (1, 1))

    def test_one_other_count_is_seen(self):
        def change(weights, workload):
            return {"explicit_faults": 1} if (weights, workload) == (SETTINGS[-1], "multi_session") else {}

        results = EXPERIMENT.summarize(rows(change))
        self.assertEqual(results["findings"]["distinct_fault_counts"], 2)
        self.assertIn("not reproduced", markdown(EXPERIMENT.report(results)))

    def test_one_other_index_is_seen(self):
        found = findings(lambda weights, workload: {"thrash_index": 0.6} if weights == SETTINGS[3] else {})
        self.assertEqual((found["distinct_fault_counts"], found["distinct_thrash"]), (1, 2))


class MovesTest(unittest.TestCase):
    def test_the_weight_that_moves_a_metric_most_is_named(self):
        results = EXPERIMENT.summarize(
            rows(lambda weights, workload: {"page_in_tokens": 100 * weights.recency, "prompt_cost": weights.pin})
        )
        metrics = results["metrics"]
        # Sums over four workloads: 10 to 120 each, 60 at the default.
        expected = {"lowest": 40.0, "default": 240.0, "highest": 480.0, "moved_most_by": "recency"}
        self.assertEqual(metrics["page_in_tokens"], expected)
        self.assertEqual(metrics["prompt_cost"]["moved_most_by"], "pin")
        self.assertEqual(metrics["prefix_reuse"]["moved_most_by"], "none")
        self.assertEqual(results["findings"]["page_in_tokens_range"], 440.0)


class QuickTest(unittest.TestCase):
    def test_a_quick_run_leaves_the_findings_open(self):
        quick = EXPERIMENT.cells(True)
        self.assertLess(len(quick), WEIGHT_SWEEP.runs / 2)
        settings = list(dict.fromkeys(Weights(*(c.parameters[n] for n in Weights._fields)) for c in quick))
        results = EXPERIMENT.summarize(rows(settings=settings))
        self.assertEqual(results["findings"].keys(), findings().keys())
        self.assertEqual(set(results["findings"].values()), {None})
        self.assertTrue(markdown(EXPERIMENT.report(results)).startswith("## "))
