"""Behaviour of the task replays: the calibrated rates are reproduced, and the findings follow the rows."""

import copy
import json
import unittest
from unittest import mock

from clawvm_experiments import tasks
from clawvm_experiments.experiment import Cell
from clawvm_experiments.tasks import EXPERIMENT, HYBRID_PINNED
from clawvm_replay.document import markdown
from clawvm_workloads.families import PAPER_BUDGETS
from clawvm_workloads.tasks import CATEGORIES, TASKS

ROWS = {}


POLICIES = ("compaction_hybrid", "clawvm")
"""Enough policies for every statement; the quick run of the experiment has all of them."""


def setUpModule():
    patch = mock.patch.object(tasks, "PAPER_POLICIES", POLICIES)
    patch.start()
    unittest.addModuleCleanup(patch.stop)
    budgets = {"budgets": [180, 300]}
    ROWS["published"] = [EXPERIMENT.run_cell(Cell(name, {"task": name, **budgets})) for name in TASKS]
    quick = {cell.id for cell in EXPERIMENT.cells(True)}
    ROWS["quick"] = [row for row in ROWS["published"] if row["task"] in quick]


def report_of(results):
    return markdown(EXPERIMENT.report(results))


def of(rows, task, **wanted):
    row = next(row for row in rows if row["task"] == task)
    return next(run for run in row["runs"] if all(run[name] == value for name, value in wanted.items()))


class CellsTest(unittest.TestCase):
    def test_one_cell_for_each_task_over_all_budgets(self):
        cells = EXPERIMENT.cells(False)
        self.assertEqual([cell.id for cell in cells], list(TASKS))
        self.assertEqual({tuple(cell.parameters["budgets"]) for cell in cells}, {PAPER_BUDGETS})

    def test_a_quick_run_has_three_tasks_of_each_category(self):
        categories = [row["category"] for row in ROWS["quick"]]
        self.assertEqual(sorted(categories), sorted(3 * list(CATEGORIES)))

    def test_every_policy_replays_every_budget_plain_and_stretched(self):
        runs = ROWS["quick"][0]["runs"]
        self.assertEqual(sum(run["session"] == "plain" for run in runs), 2 * len(POLICIES) + 1)
        self.assertEqual(sum(run["session"] == "stretched" for run in runs), len(POLICIES))
        self.assertEqual([run["budget"] for run in runs if run["policy"] == HYBRID_PINNED.id], [180])

    def test_rows_are_plain_json_and_the_same_every_time(self):
        row = ROWS["published"][0]
        again = EXPERIMENT.run_cell(Cell(row["task"], {"task": row["task"], "budgets": [180, 300]}))
        self.assertEqual(json.dumps(again, allow_nan=False), json.dumps(row, allow_nan=False))


class CalibratedTest(unittest.TestCase):
    def setUp(self):
        self.results = EXPERIMENT.summarize(ROWS["published"])
        self.findings = self.results["findings"]

    def test_success_rates_at_the_published_budgets(self):
        self.assertEqual(self.findings["tasks_hybrid_success_180"], 0.766667)
        self.assertEqual(self.findings["tasks_hybrid_success_300"], 1.0)
        self.assertEqual(self.findings["tasks_clawvm_success_180"], 1.0)
        self.assertEqual(self.findings["tasks_clawvm_success_300"], 1.0)

    def test_the_seven_failures_are_bootstrap_faults_of_debugging_tasks_after_a_compaction(self):
        failures = self.results["hybrid_failures"]
        self.assertEqual(len(failures), 7)
        self.assertEqual({item["category"] for item in failures}, {"debugging"})
        self.assertEqual({kind for item in failures for kind in item["faults"]}, {"post_compaction_bootstrap"})
        self.assertTrue(all(item["compactions"] for item in failures))

    def test_at_300_no_compaction_comes_in_them(self):
        self.assertEqual(self.findings["tasks_hybrid_compactions_300"], 0)

    def test_auto_pin_alone_removes_the_failures(self):
        self.assertEqual(self.results["failures_with_auto_pin"], 0)

    def test_stretched_sessions_bring_some_of_them_back(self):
        self.assertEqual(self.findings["tasks_hybrid_failures_returning_300_stretched"], 4)
        self.assertEqual(self.results["success"]["stretched"]["compaction_hybrid"], [0.766667, 0.866667])
        self.assertTrue(all(item["compactions_stretched_at_300"] for item in self.results["hybrid_failures"]))


class SummaryTest(unittest.TestCase):
    def change(self, task, changes, **wanted):
        rows = copy.deepcopy(ROWS["published"])
        of(rows, task, **wanted).update(changes)
        return EXPERIMENT.summarize(rows)

    def test_a_failure_outside_debugging_is_found(self):
        results = self.change(
            "morning_mail",
            {"success": False, "faults": {"flush_miss": 2}, "compactions": 0},
            session="plain",
            budget=180,
            policy="compaction_hybrid",
        )
        findings = results["findings"]
        self.assertEqual(len(results["hybrid_failures"]), 8)
        self.assertEqual(findings["tasks_hybrid_failures_outside_debugging_180"], 1)
        self.assertEqual(findings["tasks_hybrid_faults_other_than_bootstrap_180"], 2)
        self.assertEqual(findings["tasks_hybrid_success_180"], round(22 / 30, 6))
        self.assertIn("| morning_mail | routine | 2 flush miss |", report_of(results))

    def test_a_compaction_at_300_is_found(self):
        results = self.change(
            "flaky_login_test", {"compactions": 1}, session="plain", budget=300, policy="compaction_hybrid"
        )
        self.assertEqual(results["findings"]["tasks_hybrid_compactions_300"], 1)
        self.assertIn("At 300 tokens 1 compaction occurs in these tasks, and 7 of 7 succeed", report_of(results))

    def test_a_fault_of_clawvm_is_found_wherever_it_is(self):
        results = self.change(
            "check_a_claim",
            {"success": False, "faults": {"refetch": 3}},
            session="stretched",
            budget=300,
            policy="clawvm",
        )
        self.assertEqual(results["clawvm_faults"], 3)
        self.assertEqual(results["success"]["stretched"]["clawvm"], [1.0, round(29 / 30, 6)])

    def test_a_replay_that_was_not_served_is_found(self):
        before = EXPERIMENT.summarize(ROWS["published"])["clawvm_served"]
        results = self.change("check_a_claim", {"served": False}, session="plain", budget=300, policy="clawvm")
        self.assertEqual(results["clawvm_served"], before - 1)
        self.assertIn(f"Of ClawVM's 90 replays {before - 1} were also *served*", report_of(results))

    def test_pressure_is_found(self):
        results = self.change("check_a_claim", {"pressure_turns": 2}, session="plain", budget=300, policy="clawvm")
        self.assertEqual(results["pressure_turns"], 2)

    def test_a_quick_run_has_the_same_findings_without_what_needs_all_tasks(self):
        quick = EXPERIMENT.summarize(ROWS["quick"])["findings"]
        self.assertEqual(list(quick), list(EXPERIMENT.summarize(ROWS["published"])["findings"]))
        for name in ("tasks_hybrid_success_180", "tasks_clawvm_success_300"):
            self.assertIsNone(quick[name])
        self.assertEqual(quick["tasks_hybrid_failures_outside_debugging_180"], 0)

    def test_a_quick_run_still_has_failures(self):
        failures = EXPERIMENT.summarize(ROWS["quick"])["hybrid_failures"]
        self.assertEqual([item["task"] for item in failures], ["flaky_login_test", "crash_in_checkout"])


class ReportTest(unittest.TestCase):
    def test_report_says_what_is_calibrated(self):
        report = report_of(EXPERIMENT.summarize(ROWS["published"]))
        self.assertTrue(report.startswith("## "))
        self.assertIn("Compaction-Hybrid 76.7 % at 180 tokens and 100 % at 300 (*calibrated*", report)
        self.assertIn("| Compaction-Hybrid | plain | 76.7 % | 100.0 % |", report)

    def test_report_says_what_becomes_of_the_failures_at_300(self):
        results = EXPERIMENT.summarize(ROWS["published"])
        self.assertIn("At 300 tokens no compaction occurs in these tasks, and 7 of 7 succeed", report_of(results))
        results["findings"]["tasks_hybrid_compactions_300"] = 3
        results["hybrid_failures"][0]["success_at_300"] = False
        self.assertIn("At 300 tokens 3 compactions occur in these tasks, and 6 of 7 succeed", report_of(results))

    def test_report_of_a_quick_run_says_so(self):
        self.assertIn("A quick run: 9 of 30 tasks", report_of(EXPERIMENT.summarize(ROWS["quick"])))

    def test_report_is_made_from_plain_json(self):
        results = EXPERIMENT.summarize(ROWS["quick"])
        self.assertEqual(report_of(json.loads(json.dumps(results))), report_of(results))
