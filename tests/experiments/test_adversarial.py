"""Behaviour of the adversarial experiment: verdicts follow checks and controls, and nothing that fails is hidden."""

import copy
import dataclasses
import json
import unittest
from unittest import mock

from clawvm_experiments import adversarial
from clawvm_experiments.adversarial import EXPERIMENT
from clawvm_experiments.experiment import Cell
from clawvm_replay.document import markdown
from clawvm_replay.published import REPORTED_ADVERSARIAL
from clawvm_replay.trace_format import BoundaryEvent
from clawvm_workloads.adversarial import SCENARIOS
from clawvm_workloads.adversarial.reported_sizes import REPORTED_SIZES
from clawvm_workloads.adversarial.scenario import Control
from clawvm_workloads.reference_model import witness

ROWS = []
POLICIES = ("retrieval", "compaction_hybrid", "clawvm")
"""Enough policies for every statement."""

SMALL = {"pages": 80, "budget": 1300, "seeds": [1]}
"""Sizes of the pointer flood and of the storm that are enough for every check and control."""


def setUpModule():
    patch = mock.patch.object(adversarial, "PAPER_POLICIES", POLICIES)
    patch.start()
    unittest.addModuleCleanup(patch.stop)
    for cell in EXPERIMENT.cells(True):
        parameters = {name: SMALL.get(name, value) for name, value in cell.parameters.items()}
        if "flood" in parameters:
            parameters = {"flood": 80, "pointer_tokens": 5, "budget": 2000}
        ROWS.append(EXPERIMENT.run_cell(Cell(cell.id, parameters)))


def report_of(results):
    return markdown(EXPERIMENT.report(results))


def changed(change, scenario="churn"):
    """Return the results of rows in which *change* was made to one scenario's row."""
    rows = copy.deepcopy(ROWS)
    change(next(row for row in rows if row.get("scenario") == scenario))
    return EXPERIMENT.summarize(rows)


class CellsTest(unittest.TestCase):
    def test_one_cell_for_each_scenario_flood_size_and_reported_size(self):
        for quick, sizes in ((True, 2), (False, 7)):
            cells = EXPERIMENT.cells(quick)
            self.assertEqual(len({cell.id for cell in cells}), len(cells))
            self.assertEqual(len(cells), len(SCENARIOS) + 2 + sizes + len(REPORTED_SIZES))

    def test_the_whole_run_has_the_published_flood_size(self):
        floods = [cell.parameters for cell in EXPERIMENT.cells(False) if "flood" in cell.parameters]
        self.assertIn({"flood": 1000, "pointer_tokens": 5, "budget": 8000}, floods)

    def test_rows_are_plain_json_and_the_same_every_time(self):
        again = [EXPERIMENT.run_cell(cell) for cell in EXPERIMENT.cells(True)[2:4]]
        self.assertEqual(json.dumps(again, allow_nan=False), json.dumps(ROWS[2:4], allow_nan=False))

    def test_every_policy_and_every_control_is_in_the_row(self):
        for row in ROWS:
            if "scenario" in row:
                self.assertEqual([item["policy"] for item in row["policies"]], list(POLICIES))
                self.assertTrue(row["controls"])


class FindingsTest(unittest.TestCase):
    def test_every_check_holds_and_every_control_breaks_what_it_names(self):
        findings = EXPERIMENT.summarize(ROWS)["findings"]
        self.assertEqual(findings["adversarial_checks_failed"], "")
        self.assertEqual(findings["adversarial_controls_failing"], findings["adversarial_controls_total"])
        self.assertEqual(
            findings["adversarial_kinds_of_check_that_a_control_breaks"], findings["adversarial_kinds_of_check_total"]
        )
        for name in ("controllable_faults", "updates_lost", "overwritten"):
            self.assertEqual(findings[f"adversarial_clawvm_{name}"], 0)

    def test_starvation_as_published(self):
        findings = EXPERIMENT.summarize(ROWS)["findings"]
        self.assertIs(findings["starvation_every_policy_faults"], True)
        self.assertIs(findings["starvation_pressure_reported_by_every_policy"], True)
        self.assertEqual(findings["starvation_pressure_tokens"], 432)

    def test_a_policy_that_does_not_fault_is_found(self):
        def change(row):
            row["policies"][0].update(faults={}, pressure_faults={})

        self.assertIs(changed(change, "starvation")["findings"]["starvation_every_policy_faults"], False)

    def test_pressure_that_is_not_exact_is_found(self):
        def change(row):
            row["policies"][1]["broken"].append("pressure_exact")

        findings = changed(change, "starvation")["findings"]
        self.assertIs(findings["starvation_pressure_reported_by_every_policy"], False)

    def test_faults_and_reports_of_every_policy_are_one_finding(self):
        name = "starvation_every_policy_faults_and_reports"
        self.assertIs(EXPERIMENT.summarize(ROWS)["findings"][name], True)

        def without_fault(row):
            row["policies"][0].update(faults={}, pressure_faults={})

        def without_report(row):
            row["policies"][1]["broken"].append("pressure_exact")

        for change in (without_fault, without_report):
            self.assertIs(changed(change, "starvation")["findings"][name], False)

    def test_no_control_breaks_nothing(self):
        name = "adversarial_controls_that_break_nothing"
        self.assertEqual(EXPERIMENT.summarize(ROWS)["findings"][name], 0)
        self.assertEqual(changed(lambda row: row["controls"][0].update(fails=False))["findings"][name], 1)

    def places(self, results):
        names = ("broken_in_their_own_scenario", "broken_only_in_another_scenario", "broken_in_no_scenario")
        return tuple(results["findings"][f"adversarial_checks_{name}"] for name in names)

    def test_checks_are_counted_by_where_a_control_breaks_them(self):
        results = EXPERIMENT.summarize(ROWS)
        self.assertEqual(self.places(results), (66, 35, 0))
        self.assertEqual(sum(self.places(results)), results["findings"]["adversarial_checks_passed"])

        def without_controls(row):
            row["controls"] = []

        # All five checks of churn are broken there; each is of a kind that another scenario breaks as well.
        self.assertEqual(self.places(changed(without_controls)), (61, 40, 0))
        # The storm breaks seven of its checks; only it has the journal alone and the reopened journal.
        own, elsewhere, nowhere = self.places(changed(without_controls, "stale_storm"))
        self.assertEqual((own, elsewhere, nowhere), (59, 40, 2))

    def test_a_check_that_fails_anyway_counts_as_broken_nowhere(self):
        results = changed(lambda row: row["checks"][0].update(holds=False))
        self.assertEqual(self.places(results), (65, 35, 0))
        self.assertIn("| Churn | 4 of 5 | 5 of 5 | 4 of 5 |", report_of(results))

    def test_faults_and_losses_of_clawvm_are_summed(self):
        def change(row):
            row["policies"][2].update(faults={"refetch": 2, "flush_miss": 1}, lost=4, overwritten=5)

        findings = changed(change)["findings"]
        self.assertEqual(findings["adversarial_clawvm_controllable_faults"], 3)
        self.assertEqual(findings["adversarial_clawvm_updates_lost"], 4)
        self.assertEqual(findings["adversarial_clawvm_overwritten"], 5)

    def test_numbers_of_the_published_flood_size_need_the_whole_run(self):
        findings = EXPERIMENT.summarize(ROWS)["findings"]
        self.assertIsNone(findings["pointer_flood_pointer_share_1000_short"])
        rows = copy.deepcopy(ROWS)
        flood = next(row for row in rows if "flood" in row)["flood"]
        flood[0].update(pages=1000, pointer_share=0.61)
        self.assertEqual(EXPERIMENT.summarize(rows)["findings"]["pointer_flood_pointer_share_1000_short"], 0.61)

    def test_a_quick_run_has_the_findings_of_the_whole_run(self):
        findings = EXPERIMENT.summarize(ROWS)["findings"]
        for name in SCENARIOS:
            self.assertIn(f"adversarial_{name}_holds", findings)
        self.assertTrue(all(value is None or isinstance(value, (bool, int, float, str)) for value in findings.values()))


class ReportTest(unittest.TestCase):
    def test_report_is_made_from_plain_json(self):
        results = EXPERIMENT.summarize(ROWS)
        report = report_of(results)
        self.assertTrue(report.startswith("## "))
        self.assertEqual(report_of(json.loads(json.dumps(results))), report)

    def test_report_says_where_checks_are_broken(self):
        report = report_of(EXPERIMENT.summarize(ROWS))
        self.assertIn("only a control of another scenario breaks 35:", report)
        self.assertIn("A control of its own scenario breaks 66 of the checks", report)
        self.assertIn("No control breaks 0.", report)
        self.assertIn("| Starvation | 5 of 5 | 6 of 6 | 5 of 5 |", report)
        self.assertIn("| Threshold jump | 8 of 8 | 3 of 3 | 3 of 8 |", report)
        section = report.split("### Threshold jump\n")[1]
        self.assertRegex(section, r"no staged update lost \| yes \| 0 lost \| yes \|")
        self.assertRegex(section, r"no committed value replaced unseen \| yes \| 0 overwritten \| no \|")

    def test_report_counts_the_controllable_faults_under_starvation(self):
        self.assertIn("faults there none is policy-controllable", report_of(EXPERIMENT.summarize(ROWS)))
        for count, words in ((1, "1 is"), (3, "3 are")):

            def change(row, count=count):
                row["policies"][2].update(faults={"refetch": count}, pressure_faults={"refetch": 10})

            report = report_of(changed(change, "starvation"))
            self.assertIn(f"Of ClawVM's {10 + count} faults there {words} policy-controllable", report)

    def test_every_scenario_has_its_section(self):
        report = report_of(EXPERIMENT.summarize(ROWS))
        for row in ROWS:
            if "scenario" in row:
                self.assertIn(f"### {row['title']}\n", report)

    def test_a_check_that_fails_is_named(self):
        def change(row):
            row["checks"][0].update(holds=False, observed="3 faults")
            row["holds"] = False

        results = changed(change)
        report = report_of(results)
        self.assertIn("- **Churn**: no policy-controllable fault. Observed: 3 faults.", report)
        self.assertIn("churn.no_controllable_fault", results["findings"]["adversarial_checks_failed"])
        self.assertIs(results["findings"]["adversarial_churn_holds"], False)

    def test_a_control_that_breaks_nothing_is_named(self):
        def change(row):
            row["controls"][0].update(broke=[], fails=False)
            row["holds"] = False

        results = changed(change)
        findings = results["findings"]
        self.assertEqual(findings["adversarial_controls_failing"], findings["adversarial_controls_total"] - 1)
        self.assertIn('the control "without pointer resolution" does not break', report_of(results))


class ReportedSizesTest(unittest.TestCase):
    def test_the_sizes_are_those_that_the_source_reports(self):
        starvation, churn, cascade = (REPORTED_SIZES[name]() for name in ("starvation", "churn", "cascade"))
        self.assertEqual(starvation.header.budget, 40)
        self.assertEqual({turn.needed_tokens for turn in witness(starvation).turns}, {60})
        self.assertEqual(len(churn.turns), 50)
        self.assertEqual(len({access.page_id for access in witness(churn).accesses}), 50)
        self.assertEqual(len(cascade.turns), 30)
        resets = [item for turn in cascade.turns for item in turn.events_before if isinstance(item, BoundaryEvent)]
        self.assertEqual(len(resets), 9)

    def test_every_reported_count_is_beside_ours_and_marked_as_weak(self):
        section = report_of(EXPERIMENT.summarize(ROWS)).split("### At the sizes that a secondary source reports\n")[1]
        section = section.split("\n###")[0]
        self.assertIn("**Weak**", section)
        self.assertIn("published (secondary source, weak)", section)
        for fact in REPORTED_ADVERSARIAL:
            self.assertIn(f"| {fact.test} | {fact.parameters} |", section)
            self.assertIn(f"| {fact.counted} | {fact.count} |", section)
        self.assertIn("0.032 (weak)", section)

    def test_clawvm_has_no_controllable_fault_at_these_sizes_and_the_others_have(self):
        for row in ROWS:
            if "reported" in row:
                faults = {item["policy"]: item["explicit_faults"] for item in row["policies"]}
                self.assertEqual(faults["clawvm"], 0)
                self.assertEqual(faults["retrieval"] > 0, row["reported"] != "starvation")
        starved = next(row for row in ROWS if row.get("reported") == "starvation")["policies"]
        self.assertTrue(all(item["pressure_faults"] and item["below_floor_turns"] == 10 for item in starved))


class VerdictTest(unittest.TestCase):
    def test_a_scenario_holds_when_all_checks_hold_and_all_controls_break(self):
        for row in ROWS:
            if "scenario" in row:
                checks = all(check["holds"] for check in row["checks"])
                controls = all(set(control["must_break"]) <= set(control["broke"]) for control in row["controls"])
                with self.subTest(scenario=row["scenario"]):
                    self.assertEqual(row["holds"], checks and controls)

    def test_a_wrong_report_of_pressure_is_noticed_in_every_scenario_that_is_a_trace(self):
        for row in ROWS:
            if any(check["name"] == "pressure_exact" for check in row.get("checks", ())):
                broke = {name for control in row["controls"] for name in control["broke"]}
                self.assertIn("pressure_exact", broke, row["scenario"])

    def test_a_control_that_takes_nothing_away_does_not_count_as_failing(self):
        toothless = Control("nothing", ("no_controllable_fault",))
        scenario = dataclasses.replace(SCENARIOS["threshold_jump"], controls=(toothless,))
        with mock.patch.object(adversarial, "SCENARIOS", {scenario.id: scenario}):
            row = EXPERIMENT.run_cell(Cell(scenario.id, {"scenario": scenario.id}))
        self.assertEqual([control["fails"] for control in row["controls"]], [False])
        self.assertIs(row["holds"], False)
