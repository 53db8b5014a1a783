"""Behaviour of the referee: floors, demands, fates and boundaries, worked out by hand here and by it from the trace."""

import ast
import unittest
from pathlib import Path

import clawvm_experiments.property_model as property_model
from clawvm_experiments.property_model import Fate, expect
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
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, PageType, PinClass, ToolOutcome

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


def expected(*turns, budget=100, accounting=None):
    numbered = tuple(
        Turn(**{"number": number, **turn}) if isinstance(turn, dict) else turn
        for number, turn in enumerate(turns, start=1)
    )
    return expect(Trace(TraceHeader("hand", budget, accounting=accounting), numbered))


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
        self.assertTrue(result.fits)
        self.assertFalse(expected({"events_before": (RULE,)}, budget=2).fits)

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
    def accesses(self, *turns):
        return [turn.accesses for turn in expected(*turns).turns]

    def test_the_first_turn_of_a_page_is_cold(self):
        demand = (("plan", FULL),)
        accesses = self.accesses({"events_before": (page(),), "demands": demand * 2}, {"demands": demand})
        self.assertEqual([[access.cold for access in turn] for turn in accesses], [[True, True], [False]])

    def test_instructions_were_shown_at_session_start(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        ((access,),) = self.accesses({"events_before": (rules,), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.shown), (False, STRUCTURED))

    def test_instructions_behind_the_first_boundary_were_not(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        ((access,),) = self.accesses({"events_before": (COMPACTION, rules), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.shown), (True, Level.NONE))

    def test_instructions_that_come_later_were_not(self):
        rules = page("instructions", PageType.BOOTSTRAP_POLICY)
        _, (access,) = self.accesses({}, {"events_before": (rules,), "demands": (("instructions", FULL),)})
        self.assertEqual((access.cold, access.shown), (True, Level.NONE))

    def test_pages_come_before_the_rest_of_the_first_prelude(self):
        self.accesses({"events_before": (Replacement(page()), page()), "demands": (("plan", FULL),)})

    def test_a_boundary_and_an_edit_leave_nothing_to_see(self):
        demand = (("plan", FULL),)
        accesses = self.accesses(
            {"events_before": (page(),), "demands": demand},
            {"demands": demand},
            {"events_before": (COMPACTION,), "demands": demand},
            {"events_before": (Replacement(page()),), "demands": demand},
        )
        seen = [(access.shown, access.cold) for (access,) in accesses]
        self.assertEqual(seen, [(Level.NONE, True), (None, False), (Level.NONE, False), (Level.NONE, True)])

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
        self.assertEqual(expected(*turns).harness["displaced_result"], 2)

    def test_calls_with_equal_results_share_a_page(self):
        turns = [{"calls": (Call(name, FULL),)} for name in ("first", "second", "first", "second")]
        turns[0]["events_before"] = (tool("first", "shared"), tool("second", "shared"))
        repeated = [access.repeated for turn in self.accesses(*turns) for access in turn]
        self.assertEqual(repeated, [False, False, True, True])
        self.assertNotIn("displaced_result", expected(*turns).harness)

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
            "DESTRUCTIVE_OP": [
                {"operation": "overwrite"},
                {"operation": "set_with_version", "base_version": 1},
            ],
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
        ladder = {POINTER: 1, STRUCTURED: 4, FULL: 10}
        minimum = update(field="minimum", operation="set_with_version", value="pointer")
        done, active = (page(costs=ladder, pin=PinClass.HARD, active=active) for active in (False, True))
        self.assertEqual(self.after(minimum, first=(done,)).floors, {"plan": POINTER})
        self.assertEqual(self.after(minimum, first=(done,), then=(Replacement(active),)).floors, {"plan": STRUCTURED})

    def test_commits_outlive_an_edit(self):
        pin = update(field="pin", operation="set_with_version", value="hard")
        turn = self.after(pin, update(), then=(Replacement(page(costs={FULL: 7})),))
        self.assertEqual((turn.floors, turn.needed_tokens), ({"plan": FULL}, 7))
        self.assertEqual(turn.contents["plan"].version, 6)  # Two commits, an edit, and the two commits upon it.


class HarnessTest(unittest.TestCase):
    ACCOUNTING = Accounting(compaction_limit=100, soft_threshold=60, summary_tokens=10)

    def harness(self, *growth, **more):
        turns = [{"transcript_tokens": tokens} for tokens in growth]
        return expected(*turns, accounting=self.ACCOUNTING, **more).harness

    def test_reaching_a_threshold_is_not_passing_it(self):
        self.assertEqual(self.harness(60), {})
        self.assertEqual(dict(self.harness(60, 1, 39)), {"due_flush": 1})

    def test_a_flush_that_the_trace_names_is_no_boundary_and_the_only_one_of_its_cycle(self):
        first = {"events_before": (PLAN, FlushEvent()), "updates": (update(),), "transcript_tokens": 90}
        result = expected(first, accounting=self.ACCOUNTING)
        self.assertEqual(dict(result.harness), {})
        self.assertEqual([fate.status for fate in result.fates], ["staged"])

    def test_a_jump_passes_the_flush(self):
        counts = self.harness(60, 41)
        self.assertEqual((counts["due_compaction"], counts["threshold_jump"], counts["due_flush"]), (1, 1, 0))

    def test_a_compaction_leaves_the_summary_and_begins_a_new_cycle(self):
        counts = self.harness(61, 40, 50, 1, 40)
        self.assertEqual((counts["due_compaction"], counts["threshold_jump"], counts["due_flush"]), (2, 0, 2))

    def test_a_reset_empties_the_transcript(self):
        turns = ({"transcript_tokens": 90}, {"events_before": (RESET,), "transcript_tokens": 60})
        self.assertEqual(expected(*turns, accounting=self.ACCOUNTING).harness["due_flush"], 1)

    def test_one_prompt_is_the_first_after_a_boundary(self):
        turns = expected({}, {"events_before": (COMPACTION,)}, {}).turns
        self.assertEqual([turn.after_boundary for turn in turns], [False, True, False])

    def test_a_compaction_that_falls_due_comes_before_the_prompt(self):
        pin = update(field="pin", operation="set_with_version", value="hard")
        turn = {"events_before": (page(),), "updates": (pin,), "transcript_tokens": 101}
        result = expected(turn, accounting=self.ACCOUNTING)
        self.assertEqual((result.fates, result.turns[0].floors), ((Fate("committed", 1),), {"plan": STRUCTURED}))
        self.assertTrue(result.turns[0].after_boundary)


REFEREE = ("model.py", "model_updates.py", "expected.py")
DATA = {
    "clawvm_replay.errors": {"TraceError"},
    "clawvm_runtime.pages": {"Page"},
    "clawvm_runtime.updates": {"Update"},
    "clawvm_runtime.vocabulary": {"TYPE_RULES", "Boundary", "Level", "PageType", "PinClass", "Scope"},
}
LOGIC = {"level_at_least", "floor_level", "floor_cost", "floor_for", "is_hard", "is_bootstrap", "steps", "changed"}


class IndependenceTest(unittest.TestCase):
    """The referee shares data with the runtime, and no logic."""

    def trees(self):
        folder = Path(property_model.__file__).parent
        return [ast.parse((folder / name).read_text(encoding="utf-8")) for name in REFEREE]

    def test_imports_are_data(self):
        for tree in self.trees():
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module.startswith(("clawvm_runtime", "clawvm_replay")):
                    if node.module == "clawvm_replay.trace_format":
                        continue  # The records of a trace.
                    names = {alias.name for alias in node.names}
                    self.assertLessEqual(names, DATA.get(node.module, set()), node.module)

    def test_the_logic_of_pages_is_not_used(self):
        for tree in self.trees():
            used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            self.assertFalse(used & LOGIC)


if __name__ == "__main__":
    unittest.main()
