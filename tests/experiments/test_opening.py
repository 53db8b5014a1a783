"""The first page of the report says what is unfavourable, as the numbers have it."""

import unittest

from clawvm_experiments.claims import Claim, Judged
from clawvm_experiments.opening import opening
from clawvm_replay.document import markdown


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


class OpeningTest(unittest.TestCase):
    def text(self, results=None, claims=()):
        return markdown(opening(results or {}, claims))

    def test_lru_is_compared_as_the_cells_have_it(self):
        text = self.text({"quality": quality()})
        self.assertIn("no more faults than ClawVM's utility scoring", text)
        self.assertIn("fewer page-in tokens in 12 of 24 cells, as many in 12 and more in 0", text)
        self.assertIn("has 3 more faults than", self.text({"quality": quality(faults=3)}))
        self.assertIn("more in 2", self.text({"quality": quality(worse=2)}))

    def test_features_that_change_no_fault_count_are_named(self):
        text = self.text({"ablations": features(auto_pin=15, prefetch=0, validated_writeback=0)})
        self.assertIn("Removing prefetch or validated writeback changes no fault count.", text)
        self.assertNotIn("no fault count", self.text({"ablations": features(auto_pin=15)}))

    def test_zero_faults_are_said_to_follow_from_the_contract(self):
        text = self.text({"property": {"findings": {"workloads_tried": 6000, "violations": 0}}})
        self.assertIn("Zero faults follow from the contract whenever the minimum set fits", text)
        self.assertIn("in 6,000 generated workloads the property check finds 0 violations", text)

    def test_what_is_not_reproduced_is_listed_and_the_rest_is_not(self):
        claims = [judged("C1", "prediction", True), judged("C2", "prediction", False), judged("C3", "property", False)]
        text = self.text(claims=claims)
        self.assertIn("1 of the 2 claims about the paper are reproduced", text)
        self.assertIn("| C2 | Sentence C2. | 1 | 2 |", text)
        self.assertIn("| C3 |", text)
        self.assertNotIn("Sentence C1", text)
        self.assertIn("Every claim that this run judged", self.text(claims=claims[:1]))
