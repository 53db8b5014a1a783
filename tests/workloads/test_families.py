"""Behaviour of the workload families: deterministic, one story for all budgets, destructive boundaries included."""

import dataclasses
import hashlib
import unittest
from collections import Counter

from clawvm_replay.sweep import SweepCell, run_cell
from clawvm_replay.trace_format import open_trace, read_trace, write_trace
from clawvm_runtime.pages import Page
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import (
    FAMILIES,
    PAPER_BUDGETS,
    PAPER_FAMILIES,
    SHAPED_FAMILIES,
    SIZINGS,
    committed_path,
)
from tests.support import ROOT

PAPER = {name: FAMILIES[name] for name in PAPER_FAMILIES}


def lines_of(trace):
    return list(write_trace(trace.header, trace.turns))


class FamiliesTest(unittest.TestCase):
    def test_four_families_and_six_budgets(self):
        self.assertEqual(PAPER_FAMILIES, ("evidence_heavy", "long_horizon", "multi_session", "daily_assistant"))
        self.assertLessEqual(set(PAPER_FAMILIES), set(FAMILIES))
        self.assertEqual(PAPER_BUDGETS, (120, 180, 240, 300, 380, 500))

    def test_trace_carries_the_name_and_the_budget(self):
        for name, family in PAPER.items():
            for budget in PAPER_BUDGETS:
                header = family(budget).header
                self.assertEqual((header.workload, header.budget), (name, budget))

    def test_building_twice_gives_the_same_bytes(self):
        for name, family in PAPER.items():
            with self.subTest(family=name):
                self.assertEqual(lines_of(family(120)), lines_of(family(120)))

    def test_only_accounting_and_budget_depend_on_the_budget(self):
        for name, family in PAPER.items():
            smallest = family(PAPER_BUDGETS[0])
            for budget in PAPER_BUDGETS[1:]:
                with self.subTest(family=name, budget=budget):
                    trace = family(budget)
                    self.assertEqual(lines_of(trace)[1:], lines_of(smallest)[1:])
                    kept = {**dataclasses.asdict(trace.header), "budget": 0, "accounting": 0}
                    self.assertEqual(kept, {**dataclasses.asdict(smallest.header), "budget": 0, "accounting": 0})
                    self.assertGreater(
                        trace.header.accounting.compaction_limit, smallest.header.accounting.compaction_limit
                    )

    def test_every_family_meets_a_destructive_boundary_at_the_smallest_budget(self):
        for name, family in PAPER.items():
            with self.subTest(family=name):
                metrics = run_cell(SweepCell(family(120), POLICIES["clawvm"])).metrics
                self.assertGreater(metrics.compactions + metrics.resets, 0)

    def test_every_step_to_the_next_level_costs_more_than_the_one_before(self):
        # Otherwise the single pass of the upgrades would leave a page one level short (docs/selection.md).
        for name, family in PAPER.items():
            for turn in family(120).turns:
                for item in turn.events_before:
                    page = item if isinstance(item, Page) else getattr(item, "page", None)
                    if page is not None:
                        deltas = [step.delta for step in page.steps]
                        with self.subTest(family=name, page=page.id):
                            self.assertEqual(deltas, sorted(set(deltas)))

    def test_all_families_run_in_the_same_harness(self):
        shapes = [family.shape for family in PAPER.values()]
        self.assertEqual(len({(shape.soft_share, shape.summary_share) for shape in shapes}), 1)

    def test_every_result_is_returned_to(self):
        # A stride that divides the number of results would read the same few again and again.
        for name in ("evidence_heavy", "long_horizon"):
            calls = Counter(call.signature for turn in PAPER[name](120).turns for call in turn.calls)
            first_ones = list(calls)[:-1]  # The last result may come too near the end to be read three times.
            with self.subTest(family=name):
                self.assertEqual([signature for signature in first_ones if calls[signature] < 3], [])

    def test_every_family_costs_a_weak_policy_faults(self):
        for name, family in PAPER.items():
            with self.subTest(family=name):
                self.assertGreater(run_cell(SweepCell(family(120), POLICIES["retrieval"])).metrics.explicit_faults, 0)


class SizingsTest(unittest.TestCase):
    def test_every_sizing_has_a_shape_of_every_family_of_the_paper(self):
        for name, shapes in SIZINGS.items():
            with self.subTest(sizing=name):
                self.assertEqual(list(shapes), list(PAPER_FAMILIES))
                for family, shape in shapes.items():
                    self.assertIs(type(shape), type(SHAPED_FAMILIES[family].shape))

    def test_the_second_sizing_is_the_one_whose_results_are_known(self):
        # Its constants are differences from the committed ones, which a change of those would move.
        digest = hashlib.sha256()
        for name in PAPER_FAMILIES:
            for budget in PAPER_BUDGETS:
                trace = SHAPED_FAMILIES[name](budget, SIZINGS["table_4"][name])
                digest.update("".join(lines_of(trace)).encode("ascii"))
        self.assertEqual(digest.hexdigest(), "a273be9b5f1fd78ba24af3ad3b491d845e478723f13dfe20072ab6f2b9f7ef86")


class CommittedTracesTest(unittest.TestCase):
    def test_committed_traces_are_what_the_families_build(self):
        for name, family in PAPER.items():
            for budget in PAPER_BUDGETS:
                with self.subTest(family=name, budget=budget):
                    path = ROOT / committed_path(name, budget)
                    self.assertTrue(path.is_file(), f"{committed_path(name, budget)} is missing")
                    self.assertEqual(path.read_bytes(), "".join(lines_of(family(budget))).encode("ascii"))

    def test_committed_traces_can_be_read(self):
        for name, family in PAPER.items():
            path = ROOT / committed_path(name, PAPER_BUDGETS[0])
            with self.subTest(family=name):
                self.assertTrue(path.is_file(), f"{committed_path(name, PAPER_BUDGETS[0])} is missing")
                with open_trace(path) as stream:
                    header, turns = read_trace(stream, path.name)
                    self.assertEqual(len(list(turns)), len(family(PAPER_BUDGETS[0]).turns))
                self.assertEqual(header.workload, name)

    def test_no_other_traces_are_committed_for_the_families(self):
        expected = {committed_path(name, budget) for name in PAPER for budget in PAPER_BUDGETS}
        found = {
            path.relative_to(ROOT).as_posix()
            for name in PAPER
            for path in (ROOT / "traces" / name).glob("*.trace.jsonl")
        }
        self.assertLessEqual(found, expected)
