"""Behaviour of the first page: every sentence is what the results say, and is left out where they do not say it."""

import unittest

from clawvm_experiments.claims import Claim, Judged
from clawvm_experiments.first_page import opening
from clawvm_replay.document import markdown
from clawvm_runtime.policy import PAPER_POLICIES
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES


def judged(identity, kind, holds):
    claim = Claim(identity, f"Sentence {identity}.", "paper", kind, "gates", "f", "x", {"value": 1}, False)
    return Judged(claim, 1 if holds else 2, holds)


def quality(*, worse=0, faults=0):
    return {
        "cells_per_score": 24,
        "faults": {"lru": faults, "clawvm": 0},
        "paired": {"page_in_tokens": {"better": 12, "equal": 12 - worse, "worse": worse}},
    }


def features(**faults):
    removed = {name: {"name": name.replace("_", " "), "faults": count} for name, count in faults.items()}
    return {"clawvm": {"faults": 0}, "removed": removed}


def table4(**changed):
    fields = ("served_cells", "unmet_accesses", "below_floor_turns", "plan_below_floor_turns")
    policies = {
        name: {"total_faults": 0, **dict(zip(fields, changed.get(name, (24, 0, 0, 0))))} for name in PAPER_POLICIES
    }
    return {"cells": 24 * len(policies), "workloads": PAPER_FAMILIES, "budgets": PAPER_BUDGETS, "policies": policies}


class OpeningTest(unittest.TestCase):
    def text(self, results=None, claims=(), quick=False):
        return markdown(opening(results or {}, claims, quick=quick))

    def test_lru_is_compared_as_the_cells_have_it(self):
        text = self.text({"quality": quality()})
        self.assertIn("no more faults than ClawVM's utility scoring", text)
        self.assertIn("fewer page-in tokens in 12 of 24 cells, as many in 12 and more in none", text)
        self.assertIn("has 3 more faults than", self.text({"quality": quality(faults=3)}))
        self.assertIn("more in 2", self.text({"quality": quality(worse=2)}))

    def test_features_that_change_no_fault_count_are_named(self):
        text = self.text({"ablations": features(auto_pin=15, prefetch=0, validated_writeback=0)})
        self.assertIn("Removing prefetch or validated writeback from ClawVM changes no fault count.", text)
        self.assertNotIn("no fault count", self.text({"ablations": features(auto_pin=15)}))

    def test_zero_faults_are_said_to_follow_from_the_contract(self):
        text = self.text({"property": {"findings": {"workloads_tried": 6000, "violations": 0}}})
        self.assertIn("Zero faults follow from the contract whenever the minimum set fits", text)
        self.assertIn("(6,000 generated workloads, 0 violations)", text)

    def test_a_quick_run_leaves_out_what_takes_all_cells(self):
        results = {"quality": quality(), "ablations": features(prefetch=0)}
        text = self.text(results, [judged("C1", "prediction", True)], quick=True)
        self.assertNotIn("LRU in the same structure", text)
        self.assertNotIn("changes no fault count", text)
        self.assertIn("A full run is needed to compare ClawVM with LRU and with the bounds.", text)

    def test_claims_that_no_sizing_touched_are_not_only_the_predictions(self):
        claims = [judged("C1", "published", True), judged("C2", "calibrated", False), judged("C3", "prediction", True)]
        text = self.text(claims=claims)
        self.assertIn("2 of 3 claims about the paper are reproduced: 0 of 1 that guided the sizing", text)
        self.assertIn("1 of 1 that had no part in the sizing", text)
        self.assertIn("and 1 of 1 that no sizing touched", text)
        self.assertNotIn("no sizing touched", self.text(claims=claims[1:]))

    def test_the_distance_is_that_to_the_bound_for_any_policy(self):
        findings = {"clawvm_over_any_policy_bound": 8.3235, "lru_over_any_policy_bound": 7.0765}
        text = self.text({"bounds": {"findings": findings}})
        self.assertIn("ClawVM reloads 8.3 times the tokens that any policy has to reload", text)
        self.assertIn("for LRU it is 7.1 times", text)
        none = dict.fromkeys(findings)
        self.assertNotIn("reloads", self.text({"bounds": {"findings": none}}))

    def test_cells_that_were_not_served_are_counted_with_the_reason(self):
        text = self.text({"table4": table4(clawvm=(21, 0, 69, 69), lru=(18, 0, 183, 183), oracle_h3=(20, 0, 81, 81))})
        self.assertIn(
            "ClawVM served 21, LRU 18 and Oracle (h = 3) 20 of 24 cells: in the others some prompts held an active "
            "plan below its floor, which none of the six kinds of fault counts.",
            text,
        )
        text = self.text({"table4": table4(clawvm=(23, 2, 0, 0), lru=(23, 0, 1, 0))})
        self.assertIn("some prompts left an access unmet and held a hard page below its floor.", text)
        self.assertIn("ClawVM served 24, LRU 24 and Oracle (h = 3) 24 of 24 cells.", self.text({"table4": table4()}))

    def test_what_is_not_reproduced_is_listed_and_the_rest_is_not(self):
        claims = [judged("C1", "prediction", True), judged("C2", "prediction", False), judged("C3", "property", False)]
        text = self.text(claims=claims)
        self.assertIn("1 of 2 claims about the paper are reproduced: 1 of 2 that had no part", text)
        self.assertIn("| C2 | Sentence C2. | 1 | 2 |", text)
        self.assertIn("| C3 |", text)
        self.assertNotIn("Sentence C1", text)
        self.assertIn("No claim that this run judged is missed.", self.text(claims=claims[:1]))
