"""Behaviour of the policy table: the six published rows, the ablations, and the score formulas."""

import dataclasses
import random
import unittest

from clawvm_runtime.errors import PolicyError
from clawvm_runtime.policy import (
    FEATURES,
    PAPER_POLICIES,
    POLICIES,
    UPGRADE_SCORES,
    LinearScore,
    WritebackMode,
    policy_named,
)
from clawvm_runtime.vocabulary import PageType, PinClass
from tests.runtime.support import make_page

SEED = 20262
NEVER, SOFT, BOUNDARY = WritebackMode.NEVER, WritebackMode.SOFT_THRESHOLD, WritebackMode.BOUNDARY

# name, auto-pin, prefetch, writeback at compaction, at reset, pointer resolution, upgrades, horizon, share after a
# reset
ROWS = {
    "retrieval": ("Retrieval", False, False, NEVER, NEVER, False, None, 0, 0.78),
    "retrieval_cache": ("Retrieval+Cache", False, False, NEVER, NEVER, True, None, 0, 0.78),
    "compaction_hybrid": ("Compaction-Hybrid", False, True, SOFT, NEVER, True, "recency", 0, 0.85),
    "lru": ("LRU", True, True, BOUNDARY, BOUNDARY, True, "lru", 0, 1.0),
    "clawvm": ("ClawVM", True, True, BOUNDARY, BOUNDARY, True, "clawvm", 0, 1.0),
    "oracle_h3": ("Oracle (h = 3)", True, True, BOUNDARY, BOUNDARY, True, "oracle", 3, 1.0),
}


class RowTests(unittest.TestCase):
    def test_the_six_rows_are_the_table_of_the_specification(self) -> None:
        self.assertEqual(list(PAPER_POLICIES), list(ROWS))
        for policy_id, expected in ROWS.items():
            with self.subTest(policy_id):
                row = policy_named(policy_id)
                found = (
                    row.name,
                    row.auto_pin,
                    row.prefetch,
                    row.writeback_at_compaction,
                    row.writeback_at_reset,
                    row.pointer_resolution,
                    row.upgrades.name if row.upgrades else None,
                    row.horizon,
                    row.budget_share_after_reset,
                )
                self.assertEqual(found, expected)
                self.assertEqual(row.id, policy_id)

    def test_an_unknown_policy_lists_the_known_ones(self) -> None:
        for name in ("magic", "clawvm_without_", "clawvm_without_magic", "magic_without_prefetch", ""):
            with self.subTest(name), self.assertRaisesRegex(PolicyError, "clawvm, .*oracle_h3"):
                policy_named(name)

    def test_impossible_rows_are_refused(self) -> None:
        row = POLICIES["clawvm"]
        for change in (
            {"id": ""},
            {"id": "a b"},
            {"budget_share_after_reset": 0.0},
            {"budget_share_after_reset": 1.01},
            {"budget_share_after_reset": float("nan")},
            {"writeback_at_reset": SOFT},
            {"recency_decay": -0.1},
            {"recency_decay": 1.1},
        ):
            with self.subTest(change), self.assertRaises(PolicyError):
                dataclasses.replace(row, **change)


class AblationTests(unittest.TestCase):
    def test_without_a_feature_exactly_one_field_changes_beside_id_and_name(self) -> None:
        for policy in POLICIES.values():
            for feature in FEATURES.values():
                ablated = policy.without(feature)
                changed = {
                    field.name
                    for field in dataclasses.fields(policy)
                    if getattr(policy, field.name) != getattr(ablated, field.name)
                }
                with self.subTest(ablated.id):
                    self.assertLessEqual(changed, {"id", "name", feature.field})
                    self.assertEqual(getattr(ablated, feature.field), feature.removed)
                    if policy.id == "clawvm":
                        self.assertIn(feature.field, changed)
                    self.assertEqual(ablated, policy_named(f"{policy.id}_without_{feature.id}"))

    def test_every_feature_of_the_structure_can_be_removed(self) -> None:
        fields = {field.name for field in dataclasses.fields(POLICIES["clawvm"])} - {
            "id",
            "name",
            "budget_share_after_reset",
            "recency_decay",
        }
        self.assertEqual({feature.field for feature in FEATURES.values()}, fields)


class ScoreTests(unittest.TestCase):
    def test_scores_follow_the_formulas_of_the_specification(self) -> None:
        rng = random.Random(SEED)
        for _ in range(300):
            pin = rng.choice(list(PinClass))
            base, recompute, recency, future = rng.random() * 3, rng.random() * 3, rng.random() * 3, rng.randrange(4)
            page = make_page(page_type=PageType.EVIDENCE, pin=pin, base_utility=base, recompute_cost=recompute)
            boost = {PinClass.HARD: 2.0, PinClass.SOFT: 0.6, PinClass.NONE: 0.0}[pin]
            clawvm = base + boost + 0.6 * recency + 0.4 * recompute
            expected = {
                "clawvm": clawvm,
                "oracle": clawvm + 2.2 * future,
                "recency": base + 0.9 * recency + 0.1 * recompute,
                "lru": recency,
            }
            self.assertEqual(set(UPGRADE_SCORES), set(expected))
            for name, value in expected.items():
                self.assertAlmostEqual(UPGRADE_SCORES[name](page, recency, future), value, msg=f"seed {SEED}, {name}")

    def test_only_the_oracle_looks_ahead(self) -> None:
        self.assertEqual(
            {name: score.horizon for name, score in UPGRADE_SCORES.items() if score.horizon}, {"oracle": 3}
        )

    def test_a_weight_that_is_negative_or_not_finite_is_refused(self) -> None:
        for weight in (-0.1, float("nan"), float("inf")):
            with self.assertRaises(PolicyError):
                LinearScore("odd", recency=weight)
