"""Behaviour of the sensitivity experiment: conclusions can fail, settings differ from each other, results add up."""

import dataclasses
import io
import json
import unittest
from pathlib import Path
from unittest import mock

from clawvm_experiments import sensitivity
from clawvm_experiments import sensitivity_settings as change
from clawvm_experiments.counting_rules import RULE_SETS, Counts
from clawvm_experiments.experiment import Cell, family_trace
from clawvm_experiments.sensitivity import EXPERIMENT, task_counts, tried
from clawvm_experiments.sensitivity_conclusions import (
    CONCLUSIONS,
    CONDITIONS,
    FREE_FEATURES,
    OWN_KINDS,
    STRUCTURED,
    TASK_BUDGET,
    CountTable,
)
from clawvm_experiments.sensitivity_settings import GROUPS, OTHER_SIZINGS, SETTINGS
from clawvm_replay.document import markdown
from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import read_trace, write_trace
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES, WritebackMode, policy_named
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.families import PAPER_FAMILIES

CLAWVM = POLICIES["clawvm"]
WITHOUT_EFFECT = ("one_order", "validated_writeback")
OUTSIDE_TRACE_FORMAT = ("flush_at_once", "long_early_flush")
"""Their soft threshold of 0 tokens is below the summary, which no header may have."""

BUDGETS = (120, 500)
FAULTS = {"retrieval": 40, "retrieval_cache": 12, "compaction_hybrid": 4}
TOKENS = {"lru": 80, "clawvm": 100, "oracle_h3": 60}
PROMPTS = {
    "compaction_hybrid": (1, 100, 50, 9.0),
    "lru": (5, 100, 50, 12.0),
    "clawvm": (2, 100, 60, 10.0),
    "oracle_h3": (4, 100, 40, 14.0),
}
"""Turns with a plan below its floor, tokens of the prompts, those reused, their cost."""
THRASH = {"retrieval": 4.0, "retrieval_cache": 1.6, "compaction_hybrid": 1.1}


def report_of(results):
    return markdown(EXPERIMENT.report(results))


def made_up_counts():
    """Counts that meet every conclusion."""
    counts = []
    for policy in PAPER_POLICIES:
        for budget in BUDGETS:
            faults = dict.fromkeys(FaultKind, 0)
            total = FAULTS.get(policy, 0)
            faults[FaultKind.POST_COMPACTION_BOOTSTRAP] = total // 2
            faults[FaultKind.FLUSH_MISS] = total // 4 if budget == BUDGETS[0] else 0
            counts.append(made_up(policy, budget, faults, TOKENS.get(policy, 0), THRASH.get(policy, 0.9)))
    for feature in (*OWN_KINDS, *FREE_FEATURES):
        faults = dict.fromkeys(FaultKind, 0)
        for kind in OWN_KINDS.get(feature, ()):
            faults[kind] = 3
        counts.append(made_up(CLAWVM.without(FEATURES[feature]).id, 180, faults, 100, 0.9))
    return counts


def made_up(policy, budget, faults, tokens, thrash):
    prompts = PROMPTS.get(policy, (0, 0, 0, 0.0))
    return Counts("story", budget, policy, faults, 0, 5, 9, 2, tokens, 0, 0, thrash, *prompts)


def without(feature):
    return CLAWVM.without(FEATURES[feature]).id


def made_up_tasks():
    """Tasks that meet the conclusions about tasks: one failure in debugging, none anywhere else."""
    nothing = dict.fromkeys(FaultKind, 0)
    failed = {**nothing, FaultKind.POST_COMPACTION_BOOTSTRAP: 2}
    return [
        made_up_task("flaky_login_test", "compaction_hybrid", failed),
        made_up_task("morning_mail", "compaction_hybrid", nothing),
        made_up_task("flaky_login_test", "clawvm", nothing),
    ]


def made_up_task(task, policy, faults):
    return dataclasses.replace(made_up(policy, TASK_BUDGET, faults, 0, 0.0), workload=task)


def with_faults(place, **faults):
    tasks = made_up_tasks()
    changed = {FaultKind(kind): number for kind, number in faults.items()}
    tasks[place] = dataclasses.replace(tasks[place], faults={**tasks[place].faults, **changed})
    return tasks


TASK_VIOLATIONS = {
    "task_kinds": with_faults(0, flush_miss=1),
    "task_debugging": with_faults(1, post_compaction_bootstrap=1),
    "task_clawvm": with_faults(2, refetch=1),
}

VIOLATIONS = {
    "no_faults": [("lru", 500, {FaultKind.REFETCH: 1})],
    "fault_order": [("clawvm", 120, {FaultKind.REFETCH: 6})],
    "fault_steps": [("compaction_hybrid", 120, {FaultKind.REFETCH: 5})],
    "thrash_lowest": [("lru", 120, {"thrash_index": 0.8})],
    "thrash_equal": [("oracle_h3", 500, {"thrash_index": 0.8})],
    "hybrid_falls": [("compaction_hybrid", 500, {FaultKind.REFETCH: 1})],
    "hybrid_never_rises": [("compaction_hybrid", 500, {FaultKind.REFETCH: 2})],
    "hybrid_kinds": [("compaction_hybrid", 120, {FaultKind.FLUSH_MISS: 0})],
    "own_kinds": [(without("auto_pin"), 180, {FaultKind.REFETCH: 1})],
    "each_needed": [(without("writeback_at_reset"), 180, {FaultKind.FLUSH_MISS: 0})],
    "free_features": [(without("prefetch"), 180, {FaultKind.REFETCH: 1})],
    "lru_tokens": [("lru", 120, {"page_in_tokens": 200})],
    "lookahead_saves": [("oracle_h3", 120, {"page_in_tokens": 200})],
    "lookahead_fewest": [("oracle_h3", 120, {"page_in_tokens": 101})],
    "lru_tokens_each_cell": [("lru", 120, {"page_in_tokens": 101})],
    "reuse_above_lru": [("lru", 120, {"reused_tokens": 70})],
    "cost_below_lru": [("lru", 120, {"prompt_cost": 7.9})],
    "plans_kept": [("oracle_h3", 120, {"plan_below_floor_turns": 0})],
    "hybrid_keeps_plans": [("compaction_hybrid", 120, {"plan_below_floor_turns": 3})],
}


def violated(violations):
    counts = made_up_counts()
    for policy, budget, changes in violations:
        place = next(i for i, item in enumerate(counts) if (item.policy, item.budget) == (policy, budget))
        kinds = {key: value for key, value in changes.items() if isinstance(key, FaultKind)}
        fields = {key: value for key, value in changes.items() if not isinstance(key, FaultKind)}
        counts[place] = dataclasses.replace(counts[place], faults={**counts[place].faults, **kinds}, **fields)
    return counts


class ConclusionsTest(unittest.TestCase):
    def test_all_hold_on_counts_that_meet_them(self):
        table = CountTable(made_up_counts(), made_up_tasks())
        for conclusion in CONCLUSIONS.values():
            with self.subTest(conclusion=conclusion.id):
                self.assertTrue(conclusion.judge(table).holds)

    def test_each_fails_on_counts_that_violate_it(self):
        self.assertEqual(VIOLATIONS.keys() | TASK_VIOLATIONS.keys(), set(CONCLUSIONS))
        for name, violations in VIOLATIONS.items():
            with self.subTest(conclusion=name):
                self.assertFalse(CONCLUSIONS[name].judge(CountTable(violated(violations))).holds)

    def test_conclusions_about_tasks_fail_each_on_its_own(self):
        for name, tasks in TASK_VIOLATIONS.items():
            table = CountTable(made_up_counts(), tasks)
            verdicts = {item: CONCLUSIONS[item].judge(table) for item in TASK_VIOLATIONS}
            self.assertEqual(
                {item: verdict.holds for item, verdict in verdicts.items()},
                {item: item != name for item in TASK_VIOLATIONS},
            )
            self.assertEqual(verdicts[name].number, 1)

    def test_conclusions_about_tasks_are_not_tried_without_tasks(self):
        for name in TASK_VIOLATIONS:
            verdict = CONCLUSIONS[name].judge(CountTable(made_up_counts()))
            self.assertEqual((verdict.holds, verdict.number), (None, None))

    def test_without_a_failure_there_is_nothing_that_failures_could_show(self):
        table = CountTable(made_up_counts(), with_faults(0, post_compaction_bootstrap=0))
        for name in ("task_kinds", "task_debugging"):
            verdict = CONCLUSIONS[name].judge(table)
            self.assertEqual((verdict.holds, verdict.number), (False, None))

    def test_numbers(self):
        table = CountTable(made_up_counts(), made_up_tasks())
        numbers = {name: item.judge(table).number for name, item in CONCLUSIONS.items()}
        self.assertEqual(
            numbers,
            {
                "no_faults": 0,
                "fault_order": 5,
                "fault_steps": 3,
                "thrash_lowest": round(0.9 / 1.1, 6),
                "thrash_equal": 0,
                "hybrid_falls": 1,
                "hybrid_never_rises": -1,
                "hybrid_kinds": 1,
                "own_kinds": 0,
                "each_needed": 3,
                "free_features": 0,
                "lru_tokens": 0.8,
                "lookahead_saves": 0.6,
                "lookahead_fewest": 0.75,
                "lru_tokens_each_cell": 0,
                "reuse_above_lru": 0.1,
                "cost_below_lru": round(10 / 12, 6),
                "plans_kept": 4,
                "hybrid_keeps_plans": 2,
                "task_kinds": 0,
                "task_debugging": 0,
                "task_clawvm": 0,
            },
        )

    def test_a_thrash_index_that_a_baseline_has_too_is_not_the_lowest(self):
        counts = violated([("compaction_hybrid", budget, {"thrash_index": 0.9}) for budget in BUDGETS])
        self.assertFalse(CONCLUSIONS["thrash_lowest"].judge(CountTable(counts)).holds)

    def test_faults_in_cells_under_pressure_are_no_counterexample(self):
        counts = violated([("lru", 500, {FaultKind.REFETCH: 1, "pressure_turns": 1})])
        self.assertTrue(CONCLUSIONS["no_faults"].judge(CountTable(counts)).holds)

    def test_pressure_everywhere_is_no_evidence(self):
        counts = [dataclasses.replace(item, pressure_turns=1) for item in made_up_counts()]
        verdict = CONCLUSIONS["no_faults"].judge(CountTable(counts))
        self.assertEqual((verdict.holds, verdict.number), (False, None))

    def test_policies_without_page_ins_or_faults_have_no_quotient(self):
        nothing = dict.fromkeys(FaultKind, 0)
        counts = [dataclasses.replace(item, faults=nothing, page_in_tokens=0) for item in made_up_counts()]
        verdicts = {name: item.judge(CountTable(counts)) for name, item in CONCLUSIONS.items()}
        self.assertEqual((verdicts["fault_steps"].holds, verdicts["fault_steps"].number), (False, None))
        self.assertEqual((verdicts["lru_tokens"].holds, verdicts["lru_tokens"].number), (True, None))


def equal_settings(settings, budgets, policies):
    """Return the groups of *settings*, two or more each, that give every family the same counts."""
    groups = {}
    for name, setting in settings.items():
        counts = tuple(
            repr(sensitivity._counts(setting, workload, budget, setting.policy(POLICIES[policy])))
            for policy in policies
            for workload in PAPER_FAMILIES
            for budget in budgets
        )
        groups.setdefault(counts, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


class SettingsTest(unittest.TestCase):
    def test_every_setting_belongs_to_a_group_and_has_a_title_of_its_own(self):
        settings = [item for item in SETTINGS.values() if item.id != "default"]
        self.assertLessEqual({item.group for item in settings}, set(GROUPS))
        self.assertEqual(len({item.title for item in settings}), len(settings))

    def test_a_soft_threshold_scaled_past_the_limit_would_be_no_flush_ever(self):
        past = dataclasses.replace(SETTINGS["gap_x0.5"], id="past", trace_change=change.soft_threshold_scaled(115))
        settings = {"past": past, "flush_never": SETTINGS["flush_never"], "gap_x0.5": SETTINGS["gap_x0.5"]}
        self.assertEqual(equal_settings(settings, [120], ["compaction_hybrid"]), [["past", "flush_never"]])

    def test_the_trace_of_every_setting_can_be_written_and_read_but_for_those_named(self):
        for setting in SETTINGS.values():
            if setting.trace_change is None:
                continue
            trace = setting.trace_change(family_trace("multi_session", 120))
            with self.subTest(setting=setting.id):
                stream = io.BytesIO("".join(write_trace(trace.header, trace.turns)).encode())
                if setting.id in OUTSIDE_TRACE_FORMAT:
                    with self.assertRaises(TraceError):
                        read_trace(stream, "changed")
                    continue
                header, turns = read_trace(stream, "changed")
                self.assertEqual(header, trace.header)
                self.assertEqual([dataclasses.replace(turn, line=0) for turn in turns], list(trace.turns))

    def test_exceptions_are_settings_and_are_in_the_docs(self):
        page = (Path(__file__).parents[2] / "docs" / "sensitivity.md").read_text(encoding="utf-8")
        for setting_id in (*WITHOUT_EFFECT, *OUTSIDE_TRACE_FORMAT):
            self.assertIn(setting_id, SETTINGS)
            self.assertIn(f"`{setting_id}`", page)

    def test_policies_keep_their_ids(self):
        for setting in SETTINGS.values():
            for policy in map(policy_named, PAPER_POLICIES):
                self.assertEqual(setting.policy(policy).id, policy.id)

    def test_default_changes_nothing(self):
        default = SETTINGS["default"]
        for policy in map(policy_named, PAPER_POLICIES):
            self.assertIs(default.policy(policy), policy)
            self.assertFalse(default.changes_runs_of(policy))

    def test_settings_of_one_policy_leave_the_others_alone(self):
        for policy in map(policy_named, PAPER_POLICIES):
            changed = SETTINGS["hybrid_at_boundary"].policy(policy)
            if policy.id == "compaction_hybrid":
                self.assertEqual(changed, dataclasses.replace(policy, writeback_at_compaction=WritebackMode.BOUNDARY))
            else:
                self.assertEqual(changed, policy)

    def test_settings_of_every_policy(self):
        changes = {
            "decay_0.5": {"recency_decay": 0.5},
            "reset_share_1": {"budget_share_after_reset": 1.0},
            "reasoned_recall": {"reasoned_recall": True},
            "validated_writeback": {"validated_writeback": True},
        }
        for name, fields in changes.items():
            for policy in map(policy_named, PAPER_POLICIES):
                self.assertEqual(SETTINGS[name].policy(policy), dataclasses.replace(policy, **fields))

    def test_a_moved_flush_is_noticed_only_by_a_policy_that_flushes(self):
        flush_never = SETTINGS["flush_never"]
        self.assertEqual(
            [policy.id for policy in map(policy_named, PAPER_POLICIES) if flush_never.changes_runs_of(policy)],
            ["compaction_hybrid"],
        )


def made_up_rows():
    """Rows of the default, of rule sets of which one breaks a conclusion, of a setting that breaks another."""
    broken = violated(VIOLATIONS["lru_tokens"])
    default = SETTINGS["default"]
    return [
        {
            "tried": [
                tried(default, "default", made_up_counts(), made_up_tasks()),
                tried(default, "page_in_fault", violated(VIOLATIONS["no_faults"])),
                tried(default, "judged_after", made_up_counts()),
            ],
            "recount_equals_engine": True,
            "orders": None,
        },
        {"tried": [tried(SETTINGS["decay_0.5"], "default", broken)], "recount_equals_engine": None, "orders": None},
        {
            "tried": [tried(SETTINGS[OTHER_SIZINGS[0]], "default", violated(VIOLATIONS["plans_kept"]))],
            "recount_equals_engine": None,
            "orders": None,
        },
        {
            "tried": [tried(SETTINGS["one_order"], "default", made_up_counts())],
            "recount_equals_engine": None,
            "orders": {"generated": order_counts(changed_under=3), "families": order_counts(changed_under=1)},
        },
    ]


def order_counts(**changed):
    return {"under_pressure": 5, "changed_under": 0, "without_pressure": 7, "changed_without": 0, **changed}


class ResultsTest(unittest.TestCase):
    def setUp(self):
        self.results = EXPERIMENT.summarize(json.loads(json.dumps(made_up_rows())))
        self.conclusions = {item["id"]: item for item in self.results["conclusions"]}

    def test_findings_count_settings_and_what_they_break(self):
        findings = self.results["findings"]
        self.assertEqual((findings["settings"], findings["settings_that_change_a_total"]), (5, 2))
        self.assertEqual(findings["conclusions_that_survive_all"], len(CONCLUSIONS) - 4)
        self.assertEqual(findings["conclusions_that_only_recounting_breaks"], 1)
        self.assertTrue(findings["default_recount_equals_engine"])
        self.assertTrue(findings["one_order_changes_nothing_without_pressure"])
        expected = {"no_faults": (False, 1, 0), "lru_tokens": (False, 1, 1), "fault_order": (True, 0, 0)}
        for name, (survives, broken, without_recounting) in expected.items():
            self.assertEqual(findings[f"claim_{name}_survives_all"], survives)
            self.assertEqual(findings[f"claim_{name}_settings_broken"], broken)
            self.assertEqual(findings[f"claim_{name}_broken_without_recounting"], without_recounting)

    def test_conclusions_are_tried_under_both_sizings(self):
        findings = self.results["findings"]
        tried_in_both = len(CONCLUSIONS) - len(TASK_VIOLATIONS)
        self.assertEqual(findings["conclusions_in_every_sizing"], tried_in_both - 1)
        self.assertEqual(findings["conclusions_that_depend_on_the_sizing"], 1)
        self.assertEqual(findings["conclusions_in_no_sizing"], 0)
        self.assertFalse(findings["claim_plans_kept_in_every_sizing"])
        self.assertTrue(findings["claim_fault_order_in_every_sizing"])
        report = report_of(self.results)
        self.assertIn(
            f"{tried_in_both - 1} of {tried_in_both} conclusions hold in all 2 sizings, 0 in none, 1 in", report
        )
        self.assertRegex(report, r"plans kept: .* \| no \| 4 \| 0 \| 1 of 2 \|")
        self.assertRegex(report, r"no faults: .* \| yes \| 0 \| 0 \| 2 of 2 \|")
        self.assertIsNone(findings["claim_task_clawvm_in_every_sizing"])

    def test_conditions_are_conclusions(self):
        self.assertLess(CONDITIONS, set(CONCLUSIONS))

    def test_a_conclusion_that_fails_in_every_sizing_depends_on_neither(self):
        rows = made_up_rows()
        rows[0]["tried"][0] = tried(SETTINGS["default"], "default", violated(VIOLATIONS["plans_kept"]))
        findings = EXPERIMENT.summarize(rows)["findings"]
        self.assertEqual(findings["conclusions_in_no_sizing"], 1)
        self.assertEqual(findings["conclusions_that_depend_on_the_sizing"], 0)

    def test_findings_about_one_order(self):
        findings = self.results["findings"]
        self.assertEqual(findings["one_order_changes_under_pressure"], 4)
        self.assertEqual(findings["one_order_changes_under_pressure_in_families"], 1)
        self.assertEqual(findings["one_order_runs_under_pressure"], 10)
        self.assertEqual(findings["one_order_runs_without_pressure"], 14)

    def test_a_run_without_pressure_that_one_order_changes_shows(self):
        for part in ("generated", "families"):
            rows = made_up_rows()
            rows[-1]["orders"][part]["changed_without"] = 1
            results = EXPERIMENT.summarize(rows)
            self.assertFalse(results["findings"]["one_order_changes_nothing_without_pressure"])
            self.assertIn("SOME", report_of(results))

    def test_settings_with_the_same_runs_are_counted(self):
        rows = made_up_rows()
        rows.insert(2, {**rows[1], "tried": [{**rows[1]["tried"][0], "id": "twin", "title": "its twin"}]})
        results = EXPERIMENT.summarize(rows)
        self.assertEqual(results["runs_of_the_default"], ["floors and demands in one order"])
        self.assertEqual(results["runs_of_another"], ["its twin"])
        self.assertEqual(results["findings"]["settings_with_the_runs_of_the_default"], 1)
        self.assertEqual(results["findings"]["settings_with_the_runs_of_another"], 1)

    def test_rules_that_make_the_cache_equal_are_findings(self):
        def findings_of(counts):
            rows = made_up_rows()
            rows[0]["tried"][1] = tried(SETTINGS["default"], "page_in_fault", counts)
            return EXPERIMENT.summarize(rows)["findings"]

        counts = made_up_counts()
        faults = {item.budget: item.faults for item in counts if item.policy == "retrieval"}
        equal = [
            dataclasses.replace(item, faults=faults[item.budget]) if item.policy == "retrieval_cache" else item
            for item in counts
        ]
        self.assertTrue(findings_of(equal)["page_in_fault_makes_cache_equal_retrieval"])
        self.assertFalse(findings_of(made_up_counts())["page_in_fault_makes_cache_equal_retrieval"])
        self.assertFalse(self.results["findings"]["judged_after_makes_cache_equal_retrieval"])

    def test_pressure_by_default_is_a_finding(self):
        self.assertEqual(self.results["findings"]["pressure_turns_by_default"], 0)
        rows = made_up_rows()
        pressed = violated([("lru", 500, {"pressure_turns": 2}), ("retrieval", 120, {"pressure_turns": 1})])
        rows[0]["tried"][0] = tried(SETTINGS["default"], "default", pressed)
        self.assertEqual(EXPERIMENT.summarize(rows)["findings"]["pressure_turns_by_default"], 3)

    def test_conclusions_about_tasks_are_broken_only_where_they_were_tried(self):
        record = self.conclusions["task_clawvm"]
        self.assertEqual((record["tried"], record["broken"], record["survives_all"]), (0, [], True))
        rows = made_up_rows()
        broken = tried(SETTINGS["flush_never"], "default", made_up_counts(), TASK_VIOLATIONS["task_clawvm"])
        rows.append({"tried": [broken], "recount_equals_engine": None, "orders": None})
        results = EXPERIMENT.summarize(rows)
        findings = results["findings"]
        self.assertEqual(findings["claim_task_clawvm_settings_tried"], 1)
        self.assertEqual(findings["claim_task_clawvm_settings_broken"], 1)

    def test_labels_are_not_those_of_the_claims(self):
        report = report_of(self.results)
        self.assertIn("| S1 no faults: ", report)
        self.assertIn("| changed | S1 no faults |", report)
        self.assertNotIn("C1", report)

    def test_a_wrong_recount_shows(self):
        rows = made_up_rows()
        rows[0]["recount_equals_engine"] = False
        results = EXPERIMENT.summarize(rows)
        self.assertFalse(results["findings"]["default_recount_equals_engine"])
        self.assertIn("DOES NOT EQUAL", report_of(results))

    def test_a_changed_total_of_one_order_shows(self):
        rows = made_up_rows()
        rows[-1]["tried"] = [tried(SETTINGS["one_order"], "default", violated(VIOLATIONS["lru_tokens"]))]
        self.assertFalse(EXPERIMENT.summarize(rows)["findings"]["one_order_changes_nothing_without_pressure"])

    def test_a_conclusion_that_fails_by_default_does_not_survive(self):
        rows = made_up_rows()
        rows[0]["tried"][0] = tried(SETTINGS["default"], "default", violated(VIOLATIONS["fault_steps"]))
        results = EXPERIMENT.summarize(rows)
        record = next(item for item in results["conclusions"] if item["id"] == "fault_steps")
        self.assertFalse(record["survives_all"])

    def test_report_marks_what_breaks(self):
        report = report_of(self.results)
        self.assertTrue(report.startswith("## "))
        rows = {line.split(" | ")[0].lstrip("| "): line for line in report.splitlines() if line.startswith("| ")}
        self.assertIn("**1**", rows["page-in is a fault"])
        self.assertIn("**1.400**", rows["recency decay 0.5"])
        self.assertNotIn("**", rows["nothing changed"])


class TaskCountsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.default = list(task_counts(SETTINGS["default"], [TASK_BUDGET]))

    def test_tasks_by_default(self):
        counts = self.default
        self.assertEqual([item.policy for item in counts], ["clawvm"] * 30 + ["compaction_hybrid"] * 30)
        for name in TASK_VIOLATIONS:
            self.assertTrue(CONCLUSIONS[name].judge(CountTable(made_up_counts(), counts)).holds)

    def test_a_setting_changes_the_tasks_of_the_policies_that_notice_it(self):
        changed = list(task_counts(SETTINGS["flush_never"], [TASK_BUDGET]))
        self.assertEqual(self.default[:30], changed[:30])
        self.assertGreater(sum(item.faults[FaultKind.FLUSH_MISS] for item in changed[30:]), 0)

    def test_no_budget_no_tasks(self):
        self.assertEqual(list(task_counts(SETTINGS["default"], [])), [])


def run_cell(setting, *rules):
    """Run a cell of one family and two budgets, without tasks and orders."""
    parameters = {"setting": setting, "rules": ["default", *rules], "budgets": [120, 500], "ablation_budget": 180}
    with mock.patch.object(sensitivity, "PAPER_FAMILIES", ("multi_session",)):
        return EXPERIMENT.run_cell(Cell(setting, {**parameters, "task_budgets": [], "orders": None}))


class CellsTest(unittest.TestCase):
    def test_full_run_has_every_setting_and_every_rule_set(self):
        cells = EXPERIMENT.cells(False)
        self.assertEqual([cell.parameters["setting"] for cell in cells], list(SETTINGS))
        self.assertEqual(cells[0].parameters["rules"], list(RULE_SETS))

    def test_quick_run_has_the_same_structure_and_fewer_cells(self):
        full = {cell.id: cell for cell in EXPERIMENT.cells(False)}
        quick = EXPERIMENT.cells(True)
        self.assertLess(len(quick), len(full) // 4)
        for cell in quick:
            self.assertEqual(cell.parameters.keys(), full[cell.id].parameters.keys())
            self.assertEqual(cell.parameters["rules"], full[cell.id].parameters["rules"])

    def test_tasks_are_replayed_for_the_settings_of_the_harness(self):
        for cell in EXPERIMENT.cells(False):
            tasks = SETTINGS[cell.id].group in ("default", "harness")
            self.assertEqual(cell.parameters["task_budgets"], [120, 180] if tasks else [])

    def test_orders_are_compared_in_one_cell(self):
        for quick in (False, True):
            compared = [cell.id for cell in EXPERIMENT.cells(quick) if cell.parameters["orders"]]
            self.assertEqual(compared, ["one_order"])

    def test_parameters_are_plain_data(self):
        for cell in EXPERIMENT.cells(False):
            self.assertEqual(json.loads(json.dumps(cell.parameters)), cell.parameters)

    def test_a_cell_with_rule_sets_recounts_like_the_engine(self):
        row = run_cell("half_budget", "strict")
        self.assertTrue(row["recount_equals_engine"])
        self.assertEqual([item["id"] for item in row["tried"]], ["half_budget", "half_budget+strict"])
        self.assertEqual([item["group"] for item in row["tried"]], ["corner", "corner"])

    def test_a_recount_that_differs_from_the_engine_is_reported(self):
        wrong = {**RULE_SETS, "default": RULE_SETS["page_in_fault"]}
        with mock.patch.object(sensitivity, "RULE_SETS", wrong):
            self.assertFalse(run_cell("default", "strict")["recount_equals_engine"])

    def test_structured_policies_are_without_faults_under_another_harness(self):
        (entry,) = run_cell("limit_x0.5")["tried"]
        for policy in STRUCTURED:
            self.assertEqual([total["faults"] for total in entry["totals"][policy]], [0, 0])
