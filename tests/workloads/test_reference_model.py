"""Behaviour of the reference model: floors, demands, fates and boundaries that were worked out by hand."""

import ast
import unittest
from pathlib import Path

from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    FlushEvent,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, PageType, PinClass, ToolOutcome
from clawvm_workloads import reference_model
from clawvm_workloads.reference_model import Fate, witness

POINTER, STRUCTURED, COMPRESSED, FULL = Level.POINTER, Level.STRUCTURED, Level.COMPRESSED, Level.FULL
COMPACTION = BoundaryEvent(Boundary.COMPACTION)
RESET = BoundaryEvent(Boundary.RESET, "session-2")


def page(page_id="plan", page_type=PageType.PLAN, costs=None, **more):
    costs = {STRUCTURED: 4, FULL: 10} if costs is None else costs
    return Page(page_id, page_type, costs, Provenance("file", page_id), **more)


PLAN = page()
RULE = page("rule", PageType.CONSTRAINT, {STRUCTURED: 3, FULL: 8})


def tool(signature="read", page_id="result", cost=5, **more):
    result = page(page_id, PageType.EVIDENCE, {POINTER: 1, FULL: cost})
    return ToolDeclaration("read", signature, ToolOutcome.OK, result, **more)


def update(**more):
    attributes = {
        "page_id": "plan",
        "field": "notes",
        "operation": "append",
        "value": ["x"],
        "scope": "session",
        "evidence_ref": "plan",
    }
    return Update(**{**attributes, **more})


def expected(*turns, budget=100, accounting=None, prompts=(), policy="clawvm"):
    numbered = tuple(
        Turn(**{"number": number, **turn}) if isinstance(turn, dict) else turn
        for number, turn in enumerate(turns, start=1)
    )
    trace = Trace(TraceHeader("hand", budget, accounting=accounting), numbered)
    return witness(trace, prompts, POLICIES[policy])


def fates(*updates, first=(PLAN,)):
    """Return the fates of updates that are staged in turn 1 and meet a compaction before turn 2."""
    return expected({"events_before": first, "updates": updates}, {"events_before": (COMPACTION,)}).fates


def codes(*updates, first=(PLAN, RULE)):
    return [fate.code or fate.status for fate in fates(*updates, first=first)]


class MinimumSetTest(unittest.TestCase):
    def test_floors_of_hard_pages_and_demands(self):
        (turn,) = expected({"events_before": (page(), RULE), "demands": (("plan", FULL),)}, budget=12).turns
        self.assertEqual(turn.floors, {"rule": STRUCTURED})
        self.assertEqual(turn.demands, {"plan": FULL})
        self.assertEqual((turn.floor_tokens, turn.needed_tokens, turn.missing_tokens), (3, 13, 1))

    def test_a_turn_that_fits_exactly_misses_nothing(self):
        result = expected({"events_before": (RULE,)}, budget=3)
        self.assertEqual(result.turns[0].missing_tokens, 0)
        self.assertEqual(result.pressed_turns, [])
        self.assertEqual(len(expected({"events_before": (RULE,)}, budget=2).pressed_turns), 1)

    def test_a_demanded_hard_page_counts_once_at_the_higher_level(self):
        (turn,) = expected({"events_before": (RULE,), "demands": (("rule", FULL), ("rule", STRUCTURED))}).turns
        self.assertEqual((turn.floor_tokens, turn.needed_tokens), (3, 8))

    def test_a_demand_below_the_minimum_needs_the_minimum(self):
        plan = page(costs={POINTER: 1, STRUCTURED: 4, FULL: 10})
        (turn,) = expected({"events_before": (plan,), "demands": (("plan", POINTER),)}).turns
        self.assertEqual((turn.demands, turn.needed_tokens), ({"plan": STRUCTURED}, 4))

    def test_a_level_that_the_page_has_not_needs_the_next_one(self):
        (turn,) = expected({"events_before": (page(),), "demands": (("plan", COMPRESSED),)}).turns
        self.assertEqual(turn.demands, {"plan": FULL})

    def test_demands_last_one_turn(self):
        turns = expected({"events_before": (page(),), "demands": (("plan", FULL),)}, {}).turns
        self.assertEqual([turn.needed_tokens for turn in turns], [10, 0])

    def test_a_page_that_is_asked_for_too_early_is_an_error(self):
        for turn in ({"demands": (("result", FULL),)}, {"events_before": (Replacement(page("result")),)}):
            with self.assertRaises(TraceError):
                expected(
                    {"events_before": (tool(), *turn.get("events_before", ())), "demands": turn.get("demands", ())}
                )


class AccessTest(unittest.TestCase):
    def accesses(self, *turns, prompts=()):
        return [turn.accesses for turn in expected(*turns, prompts=prompts).turns]

    def test_the_first_turn_of_a_page_is_cold(self):
        demand = (("plan", FULL),)
        accesses = self.accesses({"events_before": (page(),), "demands": demand * 2}, {"demands": demand})
        self.assertEqual([[access.cold for access in turn] for turn in accesses], [[True, True], [False]])

    def test_instructions_were_shown_at_session_start(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        ((access,),) = self.accesses({"events_before": (rules,), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.resident), (False, STRUCTURED))

    def test_instructions_behind_the_first_boundary_were_not(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        ((access,),) = self.accesses({"events_before": (COMPACTION, rules), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.resident), (True, Level.NONE))

    def test_instructions_that_come_later_were_not(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        _, (access,) = self.accesses({}, {"events_before": (rules,), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.resident), (True, Level.NONE))

    def test_pages_come_before_the_other_events_of_the_first_turn(self):
        self.accesses({"events_before": (Replacement(page()), page()), "demands": (("plan", FULL),)})

    def test_a_boundary_and_an_edit_leave_nothing_to_see(self):
        demand = (("plan", FULL),)
        accesses = self.accesses(
            {"events_before": (page(),), "demands": demand},
            {"demands": demand},
            {"events_before": (COMPACTION,), "demands": demand},
            {"events_before": (Replacement(page()),), "demands": demand},
            prompts=[{"plan": FULL}] * 4,
        )
        seen = [(access.resident, access.cold) for (access,) in accesses]
        self.assertEqual(seen, [(Level.NONE, True), (FULL, False), (Level.NONE, False), (Level.NONE, True)])

    def test_a_tool_that_ran_is_served_from_the_store(self):
        call = (Call("read", FULL),)
        first, second = self.accesses(
            {"events_before": (tool(),), "calls": call},
            {"events_before": (tool(page_id="other", cost=9),), "calls": call},
        )
        self.assertEqual([access.repeated for access in (*first, *second)], [False, True])
        self.assertEqual((second[0].page_id, second[0].cost), ("result", 5))

    def test_a_tool_that_is_not_deterministic_gives_a_new_page(self):
        declaration = tool(deterministic=False)
        first, second = self.accesses(
            {"events_before": (declaration,), "calls": (Call("read", FULL),)}, {"calls": (Call("read", FULL),)}
        )
        self.assertEqual([(access.cold, access.repeated) for access in (*first, *second)], [(True, False)] * 2)

    def test_a_call_whose_page_took_another_calls_result_runs_again(self):
        first, second = tool("first", "shared", 5), tool("second", "shared", 9)
        turns = [{"calls": (Call(name, FULL),)} for name in ("first", "second", "first", "first", "second")]
        turns[0]["events_before"] = (first, second)
        accesses = [access for turn in self.accesses(*turns) for access in turn]
        self.assertEqual([access.repeated for access in accesses], [False, False, False, True, False])
        self.assertEqual([access.cost for access in accesses], [5, 9, 5, 5, 9])
        self.assertEqual([access.ran_again for access in accesses], [False, False, True, False, True])

    def test_calls_with_equal_results_share_a_page(self):
        turns = [{"calls": (Call(name, FULL),)} for name in ("first", "second", "first", "second")]
        turns[0]["events_before"] = (tool("first", "shared"), tool("second", "shared"))
        repeated = [access.repeated for turn in self.accesses(*turns) for access in turn]
        self.assertEqual(repeated, [False, False, True, True])

    def test_a_tool_without_a_result_is_no_access(self):
        denied = ToolDeclaration("read", "read", ToolOutcome.DENIED, None)
        self.assertEqual(self.accesses({"events_before": (denied,), "calls": (Call("read", FULL),)}), [()])


class FateTest(unittest.TestCase):
    def test_every_code(self):
        project = page("taste", PageType.PREFERENCE)
        wrong = {
            "SCHEMA_INVALID": [
                {"scope": ""},
                {"page_id": "nowhere"},
                {"operation": "merge"},
                {"field": "status", "operation": "set_with_version", "value": "paused"},
                {"page_id": "rule", "field": "status", "operation": "set_with_version", "value": "done"},
                {"field": "pin", "operation": "append", "value": "hard"},
                {"field": "pin", "operation": "set_with_version", "value": "tight"},
                {"field": "minimum", "operation": "set_with_version", "value": "compressed"},
                {"field": "minimum", "operation": "set_with_version", "value": ["full"]},
            ],
            "PROVENANCE_DANGLING": [{"evidence_ref": "nothing"}],
            "SCOPE_DENIED": [
                {"principal": "intruder"},
                {"scope": "universe"},
                {"scope": "project"},
                {"page_id": "taste", "scope": "project", "principal": "subagent"},
                {"page_id": "taste", "scope": "project", "principal": "tool"},
            ],
            "DESTRUCTIVE_OP": [{"operation": "overwrite"}, {"operation": "set_with_version", "base_version": 1}],
            "POLICY_VIOLATION": [
                {"field": "minimum", "operation": "set_with_version", "value": "pointer"},
                {"page_id": "rule", "field": "pin", "operation": "set_with_version", "value": "soft"},
                {"page_id": "rule", "operation": "set_with_version", "value": []},
            ],
        }
        for code, cases in wrong.items():
            for case in cases:
                with self.subTest(code=code, case=case):
                    self.assertEqual(codes(update(**case), first=(page(), RULE, project)), [code])

    def test_a_page_that_is_not_hard_may_lose_its_pin_and_its_content(self):
        pin = update(field="pin", operation="set_with_version", value="none")
        self.assertEqual(codes(pin, update(operation="set_with_version", value=[])), ["committed", "committed"])

    def test_the_kind_of_what_is_committed_matters(self):
        facts = update(operation="merge", value={"a": 1})
        self.assertEqual(codes(facts, update()), ["committed", "SCHEMA_INVALID"])
        self.assertEqual(codes(update(), facts), ["committed", "SCHEMA_INVALID"])
        self.assertEqual(codes(update(), update(value={"a": 1}), update()), ["committed"] * 3)
        self.assertEqual(codes(facts, facts, update(operation="append", field="log")), ["committed"] * 3)

    def test_an_open_base_version_counts_what_waits(self):
        step = update(field="step", operation="set_with_version", value="done")
        self.assertEqual(codes(step, step), ["committed", "committed"])

    def test_a_rejected_one_before_it_makes_it_stale(self):
        step = update(field="step", operation="set_with_version", value="done")
        bad = update(field="step", operation="set_with_version", value="done", evidence_ref="nothing")
        self.assertEqual(codes(bad, step), ["PROVENANCE_DANGLING", "DESTRUCTIVE_OP"])

    def test_each_meets_its_page_as_those_before_left_it(self):
        raised = update(field="minimum", operation="set_with_version", value="full")
        lowered = update(field="minimum", operation="set_with_version", value="structured")
        self.assertEqual(codes(raised, lowered), ["committed", "POLICY_VIOLATION"])

    def test_a_tool_that_ran_is_evidence(self):
        turn = {"events_before": (page(), tool()), "updates": (update(evidence_ref="read"),)}
        self.assertEqual(
            expected(turn, {"events_before": (RESET,)}).fates, (Fate("rejected", 2, "PROVENANCE_DANGLING"),)
        )
        turn["calls"] = (Call("read", FULL),)
        self.assertEqual(expected(turn, {"events_before": (RESET,)}).fates, (Fate("committed", 2),))

    def test_what_meets_no_boundary_stays_staged(self):
        self.assertEqual(expected({"events_before": (page(),), "updates": (update(),)}, {}).fates, (Fate("staged"),))

    def test_a_retry_is_staged_once_unless_it_was_rejected(self):
        good, bad = update(update_id="a"), update(update_id="b", evidence_ref="nothing")
        turns = (
            {"events_before": (page(),), "updates": (good, good, bad)},
            {"events_before": (COMPACTION,), "updates": (good, bad)},
        )
        self.assertEqual([fate.status for fate in expected(*turns).fates], ["committed", "rejected", "staged"])


class ControlTest(unittest.TestCase):
    def after(self, *updates, first=(PLAN,), then=()):
        return expected({"events_before": first, "updates": updates}, {"events_before": (COMPACTION, *then)}).turns[1]

    def test_a_committed_pin_makes_the_page_hard(self):
        turn = self.after(update(field="pin", operation="set_with_version", value="hard"))
        self.assertEqual(turn.floors, {"plan": STRUCTURED})

    def test_a_committed_minimum_raises_the_floor(self):
        minimum = update(field="minimum", operation="set_with_version", value="full")
        turn = self.after(minimum, first=(page(pin=PinClass.HARD),))
        self.assertEqual((turn.floors, turn.needed_tokens), ({"plan": FULL}, 10))

    def test_a_plan_that_is_done_needs_its_pointer_only(self):
        plan = page(costs={POINTER: 1, FULL: 10}, pin=PinClass.HARD)
        done = update(field="status", operation="set_with_version", value="done")
        self.assertEqual(self.after(done, first=(plan,)).floors, {"plan": POINTER})
        active = update(field="status", operation="set_with_version", value="active")
        self.assertEqual(self.after(done, active, first=(plan,)).floors, {"plan": FULL})

    def test_a_committed_minimum_is_never_below_the_floor_of_the_page_that_comes(self):
        costs = {POINTER: 1, STRUCTURED: 4, FULL: 10}
        minimum = update(field="minimum", operation="set_with_version", value="pointer")
        done, active = (page(costs=costs, pin=PinClass.HARD, active=active) for active in (False, True))
        self.assertEqual(self.after(minimum, first=(done,)).floors, {"plan": POINTER})
        self.assertEqual(self.after(minimum, first=(done,), then=(Replacement(active),)).floors, {"plan": STRUCTURED})

    def test_commits_outlive_an_edit(self):
        pin = update(field="pin", operation="set_with_version", value="hard")
        turn = self.after(pin, update(), then=(Replacement(page(costs={FULL: 7})),))
        self.assertEqual((turn.floors, turn.needed_tokens), ({"plan": FULL}, 7))
        self.assertEqual(turn.contents["plan"].version, 6)  # Two commits, an edit, and the two commits upon it.


class HarnessTest(unittest.TestCase):
    ACCOUNTING = Accounting(compaction_limit=100, soft_threshold=60, summary_tokens=10)

    def commits(self, *growth, events_before=(PLAN,)):
        """Return when an update of turn 1 is committed under Compaction-Hybrid, and how many boundaries there are."""
        turns = [{"transcript_tokens": tokens} for tokens in growth]
        turns[0].update(events_before=events_before, updates=(update(),))
        result = expected(*turns, accounting=self.ACCOUNTING, policy="compaction_hybrid")
        return result.fates[0], result.boundaries

    def test_reaching_a_threshold_is_not_passing_it(self):
        self.assertEqual(self.commits(60), (Fate("staged"), 0))
        self.assertEqual(self.commits(60, 1, 39), (Fate("committed", 2), 0))

    def test_a_jump_passes_the_flush(self):
        self.assertEqual(self.commits(60, 41), (Fate("lost", 2), 1))

    def test_a_flush_that_the_trace_names_is_the_only_one_of_its_cycle(self):
        self.assertEqual(self.commits(90, events_before=(PLAN, FlushEvent())), (Fate("staged"), 0))

    def test_a_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        turns = [{"transcript_tokens": tokens} for tokens in (61, 40, 50, 1, 40)]
        turns[0]["events_before"] = (PLAN,)
        turns[2]["updates"] = (update(),)
        result = expected(*turns, accounting=self.ACCOUNTING, policy="compaction_hybrid")
        self.assertEqual((result.fates, result.boundaries), ((Fate("committed", 4),), 2))

    def test_a_reset_empties_the_transcript(self):
        self.assertEqual(self.commits(90, 60)[1], 1)
        turns = ({"transcript_tokens": 90}, {"events_before": (RESET,), "transcript_tokens": 60})
        self.assertEqual(expected(*turns, accounting=self.ACCOUNTING).boundaries, 1)

    def test_a_compaction_that_falls_due_comes_before_the_prompt(self):
        pin = update(field="pin", operation="set_with_version", value="hard")
        turn = {"events_before": (page(),), "updates": (pin,), "transcript_tokens": 101}
        result = expected(turn, accounting=self.ACCOUNTING)
        self.assertEqual((result.fates, result.turns[0].floors), ((Fate("committed", 1),), {"plan": STRUCTURED}))

    def test_updates_that_a_boundary_destroys_are_counted_by_page(self):
        first = {"events_before": (page(), RULE), "updates": (update(), update(), update(page_id="nowhere"))}
        result = expected(first, {"events_before": (COMPACTION,)}, policy="retrieval")
        self.assertEqual(([fate.status for fate in result.fates], result.destroyed), (["lost"] * 3, (2,)))


class DueTest(unittest.TestCase):
    """What a prompt must hold under a budget that not everything fits."""

    INSTRUCTIONS = page("instructions", PageType.BOOTSTRAP_POLICY, {STRUCTURED: 30, FULL: 50})
    LARGE_RULE = page("rule", PageType.CONSTRAINT, {STRUCTURED: 20, FULL: 28})

    def due(self, budget, demands=()):
        turn = {"events_before": (self.INSTRUCTIONS, self.LARGE_RULE), "demands": demands}
        return expected(turn, budget=budget).turns[0]

    def test_where_only_the_instructions_fit_only_they_are_due(self):
        self.assertEqual(self.due(50).floors_due, {"instructions": STRUCTURED, "rule": STRUCTURED})
        self.assertEqual(self.due(49).floors_due, {"instructions": STRUCTURED})
        self.assertEqual(self.due(29).floors_due, {})

    def test_demands_are_due_where_everything_fits(self):
        demand = (("rule", FULL),)
        self.assertEqual(self.due(58, demand).demands_due, {"rule": FULL})
        self.assertEqual(self.due(57, demand).demands_due, {})

    def test_the_minimum_of_a_pinned_result_is_due_with_the_call_and_from_then_on(self):
        read = ToolDeclaration(
            "read",
            "read",
            ToolOutcome.OK,
            page(
                "file", PageType.EVIDENCE, {POINTER: 2, STRUCTURED: 8, FULL: 40}, pin=PinClass.HARD, minimum=STRUCTURED
            ),
        )
        turns = expected({"events_before": (RULE, read)}, {"calls": (Call("read", POINTER),)}, {}).turns
        self.assertEqual([turn.needed_tokens for turn in turns], [3, 11, 11])


class ShortfallTest(unittest.TestCase):
    INSTRUCTIONS = page("instructions", PageType.BOOTSTRAP_POLICY)

    def found(self, *turns, prompts, **more):
        shortfalls = expected(*turns, prompts=prompts, **more).shortfalls
        return [(item.turn, item.counted, item.first, item.pressed) for item in shortfalls]

    def test_a_hard_page_is_counted_once_a_loss_until_a_prompt_holds_it_again(self):
        prompts = [{}, {}, {"rule": STRUCTURED}, {}]
        found = self.found({"events_before": (RULE,)}, {}, {}, {}, prompts=prompts)
        self.assertEqual(found, [(1, True, True, False), (2, False, False, False), (4, True, True, False)])

    def test_lost_under_pressure_and_still_lost_when_there_is_room_counts_again(self):
        large = page("large", costs={STRUCTURED: 90, FULL: 98})
        turns = ({"events_before": (RULE, large), "demands": (("large", FULL),)}, {})
        found = self.found(*turns, prompts=[{}, {}])
        self.assertEqual(found, [(1, True, True, True), (2, True, False, False)])

    def test_instructions_are_counted_once_a_boundary(self):
        boundary = {"events_before": (COMPACTION,)}
        turns = ({"events_before": (self.INSTRUCTIONS,)}, boundary, {}, boundary)
        found = self.found(*turns, prompts=[{}, {}, {}, {}])
        expected_turns = [(2, True, True, False), (3, False, False, False), (4, True, False, False)]
        self.assertEqual(found, expected_turns)


class OtherPoliciesTest(unittest.TestCase):
    def verdicts(self, policy, provenance):
        result = Page("result", PageType.EVIDENCE, {POINTER: 1, FULL: 5}, provenance)
        demand = {"demands": (("result", FULL),)}
        turns = ({"events_before": (result,), **demand}, {"events_before": (RESET,), **demand}, {}, demand)
        return [access.verdict for access in expected(*turns, policy=policy).accesses]

    def test_what_a_reset_destroyed_has_to_be_retrieved_once(self):
        message = Provenance("user", "turn-1")
        self.assertEqual(self.verdicts("retrieval_cache", message), ["cold", "fault", "page_in"])
        self.assertEqual(self.verdicts("retrieval_cache", Provenance("file", "x")), ["cold", "page_in", "page_in"])
        self.assertEqual(self.verdicts("clawvm", message), ["cold", "page_in", "page_in"])
        self.assertEqual(self.verdicts("retrieval", message), ["cold", "fault", "fault"])

    def test_a_call_that_must_run_again_gives_what_its_tool_gives_by_now(self):
        call = {"calls": (Call("read", FULL),)}
        turns = ({"events_before": (tool(),), **call}, {"events_before": (tool(cost=9),), **call}, call)
        costs = [access.cost for access in expected(*turns, policy="retrieval").accesses]
        self.assertEqual(costs, [5, 5, 9])

    def test_unvalidated_writeback_commits_everything(self):
        bad = update(scope="universe", field="pin", operation="append", value="hard")
        turns = ({"events_before": (PLAN,), "updates": (bad,), "transcript_tokens": 61}, {})
        result = expected(*turns, accounting=HarnessTest.ACCOUNTING, policy="compaction_hybrid")
        self.assertEqual((result.fates, result.turns[0].floors), ((Fate("committed", 1),), {"plan": STRUCTURED}))


DATA = {
    "clawvm_replay.errors": {"TraceError"},
    "clawvm_runtime.pages": {"Page"},
    "clawvm_runtime.policy": {"POLICIES", "Policy", "WritebackMode"},
    "clawvm_runtime.updates": {"Update"},
    "clawvm_runtime.vocabulary": {"TYPE_RULES", "Boundary", "Level", "PageType", "PinClass", "RecallOutcome", "Scope"},
}
LOGIC = {"level_at_least", "floor_level", "floor_cost", "floor_for", "is_hard", "is_bootstrap", "is_durable", "steps"}


class IndependenceTest(unittest.TestCase):
    """The reference model shares data with the runtime, and no logic."""

    def setUp(self):
        self.tree = ast.parse(Path(reference_model.__file__).read_text(encoding="utf-8"))

    def test_imports_are_data(self):
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("clawvm"):
                if node.module == "clawvm_replay.trace_format":
                    continue  # The records of a trace.
                names = {alias.name for alias in node.names}
                self.assertLessEqual(names, DATA.get(node.module, set()), node.module)

    def test_the_logic_of_pages_is_not_used(self):
        used = {node.attr for node in ast.walk(self.tree) if isinstance(node, ast.Attribute)}
        self.assertFalse(used & LOGIC)
