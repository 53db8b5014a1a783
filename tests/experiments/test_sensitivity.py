"""Behaviour of the sensitivity experiment: changes change only what they say, conclusions can fail, results add up."""

import dataclasses
import json
import random
import unittest
from unittest import mock

from clawvm_experiments.experiment import Cell
from clawvm_experiments.sensitivity import experiment as sensitivity
from clawvm_experiments.sensitivity import harness_settings as change
from clawvm_experiments.sensitivity.conclusions import CONCLUSIONS, FREE_FEATURES, OWN_KINDS, STRUCTURED, CountTable
from clawvm_experiments.sensitivity.counting_rules import RULE_SETS, Counts
from clawvm_experiments.sensitivity.experiment import EXPERIMENT, tried
from clawvm_experiments.sensitivity.report import dependence
from clawvm_experiments.sensitivity.settings import GROUPS, SETTINGS, select_in_one_order, select_without_injection
from clawvm_replay.harness import Due, TranscriptAccount
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Accounting, BoundaryEvent, Replacement, ToolDeclaration
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import FEATURES, POLICIES, Writeback
from clawvm_runtime.selector import SelectionRequest, minimum_set, select
from clawvm_runtime.vocabulary import Boundary, FaultKind, Level, PageType, PinClass
from clawvm_workloads.families import FAMILIES

CLAWVM = POLICIES["clawvm"]
LADDER = Ladder(2, 7, 14, 28)


def family(name="long_horizon", budget=120):
    return FAMILIES[name](budget)


def growth(trace):
    return [turn.transcript_tokens for turn in trace.turns]


def pages_of(trace):
    for turn in trace.turns:
        for item in turn.prelude:
            if isinstance(item, Page):
                yield item
            elif isinstance(item, Replacement) or (isinstance(item, ToolDeclaration) and item.page is not None):
                yield item.page


class AccountingChangesTest(unittest.TestCase):
    """Changes of the thresholds leave every turn alone."""

    def accounting(self, change_of, trace=None):
        before = family() if trace is None else trace
        after = change_of(before)
        self.assertEqual(after.turns, before.turns)
        self.assertEqual(
            dataclasses.replace(after.header, accounting=None), dataclasses.replace(before.header, accounting=None)
        )
        return before.header.accounting, after.header.accounting

    def test_each_changes_only_its_own_thresholds(self):
        limit, soft, summary = "compaction_limit", "soft_threshold", "summary_tokens"
        expected = {
            change.soft_threshold_scaled(50): {soft: lambda old: old.soft_threshold // 2},
            change.flush_at_once: {soft: lambda old: 0},
            change.flush_never: {soft: lambda old: old.compaction_limit},
            change.limit_scaled(200): {
                limit: lambda old: old.compaction_limit * 2,
                soft: lambda old: old.soft_threshold * 2,
                summary: lambda old: old.summary_tokens * 2,
            },
            change.compaction_never: {limit: lambda old: change.OUT_OF_REACH},
            change.compaction_every_turn: {limit: lambda old: 0},
            change.summary_scaled(0): {summary: lambda old: 0},
        }
        for change_of, fields in expected.items():
            old, new = self.accounting(change_of)
            changed = {
                item.name for item in dataclasses.fields(old) if getattr(old, item.name) != getattr(new, item.name)
            }
            self.assertEqual(changed, set(fields))
            for name, value in fields.items():
                self.assertEqual(getattr(new, name), value(old))

    def test_trace_without_accounting_stays_as_it_is(self):
        trace = dataclasses.replace(family(), header=dataclasses.replace(family().header, accounting=None))
        for change_of in (change.flush_never, change.limit_scaled(200), change.summary_scaled(0)):
            self.assertIs(change_of(trace), trace)

    def dues(self, trace):
        account = TranscriptAccount(trace.header.accounting)
        return [account.grow(turn.transcript_tokens) for turn in trace.turns]

    def test_extremes_do_what_their_names_say(self):
        self.assertEqual(set(self.dues(change.compaction_every_turn(family()))), {Due.COMPACTION})
        self.assertNotIn(Due.COMPACTION, self.dues(change.compaction_never(family())))
        self.assertNotIn(Due.FLUSH, self.dues(change.flush_never(family())))
        early = self.dues(change.flush_at_once(family()))
        self.assertEqual(early[0], Due.FLUSH)
        for before, after in zip(early, early[1:]):
            self.assertEqual(after is Due.FLUSH, before is Due.COMPACTION)

    def test_every_setting_that_only_moves_flushes_keeps_the_compactions(self):
        for setting in SETTINGS.values():
            if setting.only_flushes:
                for name in FAMILIES:
                    with self.subTest(setting=setting.id, family=name):
                        before, after = self.dues(family(name)), self.dues(setting.trace_change(family(name)))
                        self.assertEqual(
                            [due is Due.COMPACTION for due in before], [due is Due.COMPACTION for due in after]
                        )


class GrowthChangesTest(unittest.TestCase):
    def assert_only_growth_changed(self, before, after):
        self.assertEqual(after.header, before.header)
        self.assertEqual(
            [dataclasses.replace(turn, transcript_tokens=0) for turn in after.turns],
            [dataclasses.replace(turn, transcript_tokens=0) for turn in before.turns],
        )

    def test_scaled_growth_is_rounded_down_turn_by_turn(self):
        trace = family()
        after = change.growth_scaled(150)(trace)
        self.assert_only_growth_changed(trace, after)
        self.assertEqual(growth(after), [tokens * 3 // 2 for tokens in growth(trace)])

    def test_gathered_growth_comes_with_the_last_turn_of_each_group(self):
        builder = TraceBuilder("story", 120, "", None)
        for tokens in (1, 2, 4, 8, 16):
            builder.turn(tokens)
        trace = builder.trace()
        after = change.growth_gathered(3)(trace)
        self.assert_only_growth_changed(trace, after)
        self.assertEqual(growth(after), [0, 0, 7, 0, 24])

    def test_even_growth_keeps_the_total(self):
        trace = family()
        after = change.growth_even(trace)
        self.assert_only_growth_changed(trace, after)
        self.assertEqual(sum(growth(after)), sum(growth(trace)))
        self.assertLessEqual(max(growth(after)) - min(growth(after)), 1)
        self.assertEqual(growth(after), sorted(growth(after), reverse=True))


class PreludeChangesTest(unittest.TestCase):
    def assert_only_preludes_changed(self, before, after):
        self.assertEqual(after.header, before.header)
        self.assertEqual(
            [dataclasses.replace(turn, prelude=()) for turn in after.turns],
            [dataclasses.replace(turn, prelude=()) for turn in before.turns],
        )

    def test_pin_class_changes_for_one_type_only(self):
        for name in FAMILIES:
            for page_type, pin in ((PageType.PLAN, PinClass.HARD), (PageType.PREFERENCE, PinClass.SOFT)):
                before = family(name)
                after = change.pinned_as(page_type, pin)(before)
                self.assert_only_preludes_changed(before, after)
                for old, new in zip(pages_of(before), pages_of(after), strict=True):
                    self.assertEqual(new, old.changed(pin=pin) if old.type is page_type else old)

    def test_replacements_and_tool_results_change_too(self):
        after = change.pinned_as(PageType.EVIDENCE, PinClass.NONE)(family("evidence_heavy"))
        kinds = {type(item) for turn in after.turns for item in turn.prelude}
        self.assertGreaterEqual(kinds, {Page, Replacement, ToolDeclaration})
        self.assertEqual({page.pin for page in pages_of(after) if page.type is PageType.EVIDENCE}, {PinClass.NONE})

    def test_durable_sources_keep_their_references(self):
        before = family("multi_session")
        after = change.durable_sources(before)
        self.assert_only_preludes_changed(before, after)
        for old, new in zip(pages_of(before), pages_of(after), strict=True):
            self.assertEqual(new, old.changed(provenance=Provenance("file", old.provenance.reference)))

    def test_a_page_from_a_durable_source_can_be_resolved_after_a_reset(self):
        trace = uncommitted_result()
        self.assertEqual(replay_trace(trace, POLICIES["retrieval_cache"]).duplicate_tool, 1)
        self.assertEqual(replay_trace(change.durable_sources(trace), POLICIES["retrieval_cache"]).duplicate_tool, 0)

    def test_compaction_first_adds_one_boundary_behind_the_declarations(self):
        before = family()
        after = change.compaction_first(before)
        self.assertEqual(after.turns[1:], before.turns[1:])
        self.assertEqual(after.turns[0].prelude, (*before.turns[0].prelude, BoundaryEvent(Boundary.COMPACTION)))
        bare = change.summary_scaled(0)(before)  # Without a summary the added compaction hastens no other.
        first, second = (replay_trace(trace, POLICIES["retrieval"]) for trace in (bare, change.compaction_first(bare)))
        self.assertEqual(second.compactions - first.compactions, 1)
        extra = second.post_compaction_bootstrap - first.post_compaction_bootstrap
        self.assertEqual(extra, sum(page.is_bootstrap for page in pages_of(before)))

    def test_in_order_applies_the_first_change_first(self):
        trace = change.in_order(change.limit_scaled(50), change.flush_never)(family())
        self.assertEqual(trace.header.accounting.soft_threshold, trace.header.accounting.compaction_limit)


def uncommitted_result():
    """A result that is not committed, a reset, and the same call again."""
    builder = TraceBuilder("story", 120, "", Accounting(1000, 800, 0))
    call = builder.tool("read", {"path": 1}, "file", LADDER)
    builder.turn(0, calls=[call])
    builder.reset("session-2")
    builder.turn(0)
    builder.turn(0, calls=[call])
    return builder.trace()


class OneOrderTest(unittest.TestCase):
    def test_levels_are_the_same_wherever_everything_required_fits(self):
        for seed in range(200):
            chance = random.Random(seed)
            pages = [generated_page(chance, number) for number in range(chance.randrange(1, 9))]
            demands = {page.id: list(Level)[chance.randrange(1, 5)] for page in pages if chance.random() < 0.5}
            policy = dataclasses.replace(CLAWVM, auto_pin=chance.random() < 0.7)
            injected = {page.id for page in pages if page.is_bootstrap and chance.random() < 0.5}
            needed = minimum_set(pages, demands, injected)
            request = SelectionRequest(pages, needed + chance.randrange(20), policy, demands, injected)
            with self.subTest(seed=seed):
                self.assertEqual(select_in_one_order(request).levels, select(request).levels)

    def test_under_pressure_a_costly_demand_takes_the_room_of_a_floor(self):
        """The demanded rule comes first by utility and takes 28 of 30 tokens, so that the other's floor has no room."""

        def rule(page_id, utility):
            costs = LADDER.costs(PageType.CONSTRAINT)
            return Page(page_id, PageType.CONSTRAINT, costs, Provenance("user", "turn-1"), base_utility=utility)

        pages = [rule("asked", 9.0), rule("other", 1.0)]
        request = SelectionRequest(pages, 30, CLAWVM, {"asked": Level.FULL})
        self.assertEqual(select(request).levels, {"asked": Level.STRUCTURED, "other": Level.STRUCTURED})
        self.assertEqual(select_in_one_order(request).levels, {"asked": Level.FULL})


def generated_page(chance, number):
    page_type = list(PageType)[chance.randrange(len(PageType))]
    sizes = [chance.randrange(1, 9) for _ in range(4)]
    ladder = Ladder(*(sum(sizes[: place + 1]) for place in range(4)))
    utility = float(chance.randrange(10))
    source = Provenance("user", "turn-1")
    return Page(f"page-{number}", page_type, ladder.costs(page_type), source, base_utility=utility)


class InjectionTest(unittest.TestCase):
    def test_without_injection_a_policy_without_auto_pin_never_has_the_page(self):
        trace = family("long_horizon", 500)
        for selector, kept in ((select, True), (select_without_injection, False)):
            prompts = []
            replay_trace(trace, POLICIES["retrieval"], selector=selector, observe=prompts.append)
            pages = {block.page_id for block in prompts[0].blocks}
            self.assertEqual({page.id for page in pages_of(trace) if page.is_bootstrap} <= pages, kept)

    def test_without_injection_auto_pin_makes_up_for_it(self):
        for name in FAMILIES:
            trace = family(name)
            without_injection = replay_trace(trace, CLAWVM, selector=select_without_injection)
            self.assertEqual(without_injection, replay_trace(trace, CLAWVM))


BUDGETS = (120, 500)
FAULTS = {"retrieval": 40, "retrieval_cache": 12, "compaction_hybrid": 4}
TOKENS = {"lru": 80, "clawvm": 100, "oracle_h3": 60}
THRASH = {"retrieval": 4.0, "retrieval_cache": 1.6, "compaction_hybrid": 1.1}


def made_up_counts():
    """Counts that meet every conclusion."""
    counts = []
    for policy in POLICIES:
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
    return Counts("story", budget, policy, faults, 0, 5, 9, 2, tokens, 0, 0, thrash)


def without(feature):
    return CLAWVM.without(FEATURES[feature]).id


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
        table = CountTable(made_up_counts())
        for conclusion in CONCLUSIONS.values():
            with self.subTest(conclusion=conclusion.id):
                self.assertTrue(conclusion.judge(table).holds)

    def test_each_fails_on_counts_that_violate_it(self):
        self.assertEqual(set(VIOLATIONS), set(CONCLUSIONS))
        for name, violations in VIOLATIONS.items():
            with self.subTest(conclusion=name):
                self.assertFalse(CONCLUSIONS[name].judge(CountTable(violated(violations))).holds)

    def test_numbers(self):
        table = CountTable(made_up_counts())
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


class SettingsTest(unittest.TestCase):
    def test_every_setting_belongs_to_a_group_and_has_a_title_of_its_own(self):
        settings = [item for item in SETTINGS.values() if item.id != "default"]
        self.assertLessEqual({item.group for item in settings}, set(GROUPS))
        self.assertEqual(len({item.title for item in settings}), len(settings))

    def test_policies_keep_their_ids(self):
        for setting in SETTINGS.values():
            for policy in POLICIES.values():
                self.assertEqual(setting.policy(policy).id, policy.id)

    def test_default_changes_nothing(self):
        default = SETTINGS["default"]
        for policy in POLICIES.values():
            self.assertIs(default.policy(policy), policy)
            self.assertFalse(default.changes_runs_of(policy))

    def test_settings_of_one_policy_leave_the_others_alone(self):
        for name, value in (("hybrid_at_boundary", Writeback.BOUNDARY), ("hybrid_never", Writeback.NEVER)):
            for policy in POLICIES.values():
                changed = SETTINGS[name].policy(policy)
                if policy.id == "compaction_hybrid":
                    self.assertEqual(changed, dataclasses.replace(policy, writeback_at_compaction=value))
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
            for policy in POLICIES.values():
                self.assertEqual(SETTINGS[name].policy(policy), dataclasses.replace(policy, **fields))

    def test_a_moved_flush_is_noticed_only_by_a_policy_that_flushes(self):
        flush_never = SETTINGS["flush_never"]
        self.assertEqual(
            [policy.id for policy in POLICIES.values() if flush_never.changes_runs_of(policy)], ["compaction_hybrid"]
        )


def made_up_rows():
    """Rows of the default, of a rule set that breaks one conclusion, of a setting that breaks another."""
    broken = violated(VIOLATIONS["lru_tokens"])
    return [
        {
            "tried": [
                tried(SETTINGS["default"], "default", made_up_counts()),
                tried(SETTINGS["default"], "page_in_fault", violated(VIOLATIONS["no_faults"])),
            ],
            "recount_equals_engine": True,
        },
        {"tried": [tried(SETTINGS["decay_0.5"], "default", broken)], "recount_equals_engine": None},
        {"tried": [tried(SETTINGS["one_order"], "default", made_up_counts())], "recount_equals_engine": None},
    ]


class ResultsTest(unittest.TestCase):
    def setUp(self):
        self.results = EXPERIMENT.summarize(json.loads(json.dumps(made_up_rows())))
        self.conclusions = {item["id"]: item for item in self.results["conclusions"]}

    def test_findings_count_settings_and_what_they_break(self):
        findings = self.results["findings"]
        self.assertEqual((findings["settings"], findings["settings_that_change_a_total"]), (3, 2))
        self.assertEqual(findings["conclusions_that_survive_all"], len(CONCLUSIONS) - 2)
        self.assertEqual(findings["conclusions_that_only_recounting_breaks"], 1)
        self.assertTrue(findings["default_recount_equals_engine"])
        self.assertTrue(findings["one_order_changes_nothing_without_pressure"])
        expected = {"no_faults": (False, 1, 0), "lru_tokens": (False, 1, 1), "fault_order": (True, 0, 0)}
        for name, (survives, broken, without_recounting) in expected.items():
            self.assertEqual(findings[f"claim_{name}_survives_all"], survives)
            self.assertEqual(findings[f"claim_{name}_settings_broken"], broken)
            self.assertEqual(findings[f"claim_{name}_broken_without_recounting"], without_recounting)

    def test_a_wrong_recount_shows(self):
        rows = made_up_rows()
        rows[0]["recount_equals_engine"] = False
        results = EXPERIMENT.summarize(rows)
        self.assertFalse(results["findings"]["default_recount_equals_engine"])
        self.assertIn("DOES NOT EQUAL", EXPERIMENT.report(results))

    def test_a_changed_total_of_one_order_shows(self):
        rows = made_up_rows()
        rows[-1]["tried"] = [tried(SETTINGS["one_order"], "default", violated(VIOLATIONS["lru_tokens"]))]
        self.assertFalse(EXPERIMENT.summarize(rows)["findings"]["one_order_changes_nothing_without_pressure"])

    def test_dependence_in_words(self):
        def words(name):
            return dependence(self.conclusions[name], self.results["settings"])

        self.assertEqual(words("fault_order"), "survives every setting (3)")
        self.assertEqual(words("lru_tokens"), "depends on 1 of 3 settings - recency decay: recency decay 0.5 (1.400)")
        self.assertEqual(words("no_faults"), "depends on 1 of 3 settings - counting: page-in is a fault (1)")

    def test_a_conclusion_that_fails_by_default_does_not_survive(self):
        rows = made_up_rows()
        rows[0]["tried"][0] = tried(SETTINGS["default"], "default", violated(VIOLATIONS["fault_steps"]))
        results = EXPERIMENT.summarize(rows)
        record = next(item for item in results["conclusions"] if item["id"] == "fault_steps")
        self.assertFalse(record["survives_all"])
        self.assertEqual(
            dependence(record, results["settings"]), "does not hold by default, and holds under 3 of 3 other settings"
        )

    def test_report_marks_what_breaks(self):
        report = EXPERIMENT.report(self.results)
        self.assertTrue(report.startswith("## "))
        rows = {line.split(" | ")[0].lstrip("| "): line for line in report.splitlines() if line.startswith("| ")}
        self.assertIn("**1**", rows["page-in is a fault"])
        self.assertIn("**1.400**", rows["recency decay 0.5"])
        self.assertNotIn("**", rows["nothing changed"])


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

    def test_parameters_are_plain_data(self):
        for cell in EXPERIMENT.cells(False):
            self.assertEqual(json.loads(json.dumps(cell.parameters)), cell.parameters)

    def test_a_cell_gives_the_same_row_again_and_recounts_like_the_engine(self):
        cell = Cell(
            "half_budget",
            {"setting": "half_budget", "rules": ["default", "strict"], "budgets": [120, 500], "ablation_budget": 180},
        )
        row = EXPERIMENT.run_cell(cell)
        self.assertTrue(row["recount_equals_engine"])
        self.assertEqual([item["id"] for item in row["tried"]], ["half_budget", "half_budget+strict"])
        self.assertEqual([item["group"] for item in row["tried"]], ["corner", "corner"])
        plain = EXPERIMENT.run_cell(Cell("half_budget", {**cell.parameters, "rules": ["default"]}))
        self.assertEqual(json.dumps(plain["tried"][0]), json.dumps(row["tried"][0]))

    def test_a_recount_that_differs_from_the_engine_is_reported(self):
        wrong = {**RULE_SETS, "default": RULE_SETS["page_in_fault"]}
        parameters = {
            "setting": "default",
            "rules": ["default", "strict"],
            "budgets": [120, 500],
            "ablation_budget": 180,
        }
        cell = Cell("default", parameters)
        with mock.patch.object(sensitivity, "RULE_SETS", wrong):
            self.assertFalse(EXPERIMENT.run_cell(cell)["recount_equals_engine"])

    def test_structured_policies_are_without_faults_under_another_harness(self):
        cell = Cell(
            "limit_x0.5",
            {"setting": "limit_x0.5", "rules": ["default"], "budgets": [120, 500], "ablation_budget": 180},
        )
        (entry,) = EXPERIMENT.run_cell(cell)["tried"]
        for policy in STRUCTURED:
            self.assertEqual([total["faults"] for total in entry["totals"][policy]], [0, 0])


if __name__ == "__main__":
    unittest.main()
