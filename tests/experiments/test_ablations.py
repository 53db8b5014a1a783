"""Behaviour of the ablation experiment: Table 6 rows, purity, and the additive path, on hand-made and real rows."""

import dataclasses
import unittest

from clawvm_experiments.ablations import ADDITIONS, EXPERIMENT, PREVENTS, VARIANTS
from clawvm_replay.document import markdown
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES


def rows(faults=None, budgets=PAPER_BUDGETS):
    """Return rows without a fault; *faults* maps (variant, workload, budget) to counts by kind."""
    result = []
    for variant in VARIANTS:
        for workload in PAPER_FAMILIES:
            for budget in budgets:
                counts = dict.fromkeys(FAULT_FIELDS, 0)
                counts.update((faults or {}).get((variant, workload, budget), {}))
                result.append(
                    {
                        "variant": variant,
                        "workload": workload,
                        "budget": budget,
                        **counts,
                        "explicit_faults": sum(counts.values()),
                        "thrash_index": 0.5,
                        "page_in_tokens": 7,
                        "pressure_turns": 0,
                    }
                )
    return result


def findings(faults=None, budgets=PAPER_BUDGETS):
    return EXPERIMENT.summarize(rows(faults, budgets))["findings"]


class Table6Test(unittest.TestCase):
    def test_a_row_sums_the_workloads_at_180_by_published_column(self):
        found = findings(
            {
                ("pointer_resolution", "evidence_heavy", 180): {"refetch": 100, "duplicate_tool": 20},
                ("pointer_resolution", "multi_session", 180): {"duplicate_tool": 6},
                ("pointer_resolution", "multi_session", 240): {"duplicate_tool": 50},
            }
        )
        self.assertEqual(found["without_pointer_resolution_duplicate_and_refetch_at_180"], 126)
        self.assertEqual(found["without_pointer_resolution_total_at_180"], 126)

    def test_pinned_misses_stand_beside_the_published_columns_not_in_their_total(self):
        results = EXPERIMENT.summarize(
            rows({("auto_pin", "long_horizon", 180): {"post_compaction_bootstrap": 9, "pinned_invariant_miss": 4}})
        )
        found = results["findings"]
        self.assertEqual(found["without_auto_pin_bootstrap_at_180"], 9)
        self.assertEqual(found["without_auto_pin_total_at_180"], 9)
        self.assertTrue(found["all_removals_pure_at_180"])
        report = markdown(EXPERIMENT.report(results))
        self.assertIn("| auto-pin | 9 / 9 | 0 / 0 | 0 / 0 | 9 / 9 | 4 | 0 |", report)
        self.assertIn("not reproduced: pointer resolution, duplicate and refetch 0 (published 126); writeback", report)


class PurityTest(unittest.TestCase):
    def test_purity_at_180_is_distinguished_from_the_other_budgets(self):
        found = findings({("prefetch", "daily_assistant", 120): {"refetch": 1}})
        self.assertTrue(found["all_removals_pure_at_180"])
        self.assertFalse(found["all_removals_pure"])
        self.assertFalse(findings({("prefetch", "daily_assistant", 180): {"refetch": 1}})["all_removals_pure_at_180"])

    def test_own_kinds_are_pure_at_every_budget(self):
        for feature, kinds in PREVENTS.items():
            with self.subTest(feature=feature):
                found = findings({(feature, "long_horizon", 500): dict.fromkeys(kinds, 1)})
                self.assertTrue(found["all_removals_pure"])

    def test_one_fault_of_another_kind_is_impure(self):
        for feature, kinds in PREVENTS.items():
            other = min(set(FAULT_FIELDS) - set(kinds))
            with self.subTest(feature=feature, kind=other):
                found = findings({(feature, "daily_assistant", 120): {other: 1}})
                self.assertFalse(found["all_removals_pure"])
        kinds = set(FAULT_FIELDS) - set(PREVENTS["auto_pin"])
        for kind in kinds:
            self.assertFalse(findings({("auto_pin", "daily_assistant", 120): {kind: 1}})["all_removals_pure"], kind)

    def test_faults_that_clawvm_has_too_are_not_laid_to_a_removal(self):
        both = {(variant, "long_horizon", 120): {"silent_recall": 2} for variant in ("clawvm", "prefetch")}
        results = EXPERIMENT.summarize(rows(both))
        self.assertEqual(results["removed"]["prefetch"]["other_kinds"], [])
        self.assertEqual(results["clawvm"]["faults"], 2)

    def test_every_feature_has_its_kinds(self):
        self.assertEqual(set(PREVENTS), set(FEATURES))


class AdditiveTest(unittest.TestCase):
    def test_the_last_step_of_each_path_is_clawvm(self):
        clawvm = POLICIES["clawvm"]
        for path in ("forward", "reverse"):
            last = VARIANTS[f"{path}_{len(ADDITIONS)}"]
            self.assertEqual(dataclasses.replace(last, id=clawvm.id, name=clawvm.name), clawvm)

    def test_each_step_changes_one_field_and_the_paths_run_against_each_other(self):
        paths = {}
        for path in ("forward", "reverse"):
            steps = [POLICIES["retrieval"], *(VARIANTS[f"{path}_{number}"] for number in range(1, len(ADDITIONS) + 1))]
            changed = []
            for earlier, later in zip(steps, steps[1:]):
                differing = {
                    field.name
                    for field in dataclasses.fields(later)
                    if field.name not in ("id", "name") and getattr(earlier, field.name) != getattr(later, field.name)
                }
                self.assertEqual(len(differing), 1)
                changed.append(differing.pop())
            paths[path] = changed
        self.assertEqual(paths["forward"], [addition.field for addition in ADDITIONS])
        self.assertEqual(paths["reverse"], paths["forward"][::-1])

    def test_a_last_row_unlike_clawvm_is_seen(self):
        self.assertTrue(findings()["additive_last_row_equals_clawvm"])
        for path in ("forward", "reverse"):
            unlike = {(f"{path}_{len(ADDITIONS)}", "long_horizon", 300): {"refetch": 1}}
            self.assertFalse(findings(unlike)["additive_last_row_equals_clawvm"])

    def test_an_addition_that_raises_the_count_is_reported(self):
        results = EXPERIMENT.summarize(rows({("forward_3", "long_horizon", 120): {"refetch": 2}}))
        self.assertIn("| auto-pin | 2 | -2 | 0 | 0 |", markdown(EXPERIMENT.report(results)))

    def test_real_rows_of_the_last_steps_equal_clawvms(self):
        last = len(ADDITIONS)
        cells = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        for workload in PAPER_FAMILIES:
            counted = []
            for variant in ("clawvm", f"forward_{last}", f"reverse_{last}"):
                measured = EXPERIMENT.run_cell(cells[f"{workload}-b0120-{variant}"])
                counted.append({name: value for name, value in measured.items() if name != "variant"})
            self.assertEqual(counted[0], counted[1])
            self.assertEqual(counted[0], counted[2])


class QuickTest(unittest.TestCase):
    def test_a_quick_run_has_table_6_and_leaves_the_rest_open(self):
        found = findings(budgets=(180,))
        self.assertEqual(found.keys(), findings().keys())
        known = {name for name, value in found.items() if value is not None}
        self.assertTrue(all("at_180" in name for name in known), known)
        self.assertIsNone(found["all_removals_pure"])
        self.assertEqual(found["without_auto_pin_total_at_180"], 0)

    def test_quick_cells_are_a_part_of_the_full_ones(self):
        quick, full = EXPERIMENT.cells(True), {cell.id: cell for cell in EXPERIMENT.cells(False)}
        self.assertEqual([full[cell.id] for cell in quick], quick)
        self.assertEqual({cell.parameters["budget"] for cell in quick}, {180})

    def test_report_begins_with_a_heading(self):
        self.assertTrue(markdown(EXPERIMENT.report(EXPERIMENT.summarize(rows(budgets=(180,))))).startswith("## "))
