"""Every guard of every statement goes red on a run that was forged by hand in one place."""

import dataclasses
import unittest

from clawvm_experiments.property import Property, check_trace, levels_of, violations_of
from clawvm_replay.trace_format import (
    BoundaryEvent,
    Call,
    RecallQuery,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, FaultKind, Level, PageType, PinClass, RecallOutcome, ToolOutcome
from clawvm_workloads.reference_model import witness

BUDGET = 30
FULL, STRUCTURED = Level.FULL, Level.STRUCTURED


def page(page_id, page_type, costs, **more):
    return Page(page_id, page_type, costs, Provenance("user", page_id), **more)


INSTRUCTIONS = page("instructions", PageType.BOOTSTRAP_POLICY, {STRUCTURED: 6, FULL: 9})
RULE = page("rule", PageType.CONSTRAINT, {STRUCTURED: 4, FULL: 7})
LARGE_RULE = page("large-rule", PageType.CONSTRAINT, {STRUCTURED: 24, FULL: 40})
NO_RULE = page("large-rule", PageType.CONSTRAINT, {STRUCTURED: 2, FULL: 3}, pin=PinClass.NONE)
RESULT = page("result", PageType.EVIDENCE, {Level.POINTER: 1, FULL: 12})
READ = ToolDeclaration("read", "read", ToolOutcome.OK, RESULT)


def note(**more):
    attributes = {
        "page_id": "rule",
        "field": "notes",
        "operation": "append",
        "value": ["x"],
        "scope": "session",
        "evidence_ref": "rule",
    }
    return Update(**{**attributes, **more})


def trace(*turns):
    numbered = tuple(Turn(number=number, **turn) for number, turn in enumerate(turns, start=1))
    return Trace(TraceHeader("hand", BUDGET), numbered)


STORY = trace(
    {
        "events_before": (INSTRUCTIONS, RULE, READ),
        "calls": (Call("read", FULL),),
        "updates": (note(), note(scope="universe")),
    },
    {"calls": (Call("read", FULL),), "recalls": (RecallQuery("what", RecallOutcome.DENIED),)},
    {
        "events_before": (BoundaryEvent(Boundary.RESET, "session-2"),),
        "calls": (Call("read", FULL),),
        "demands": (("rule", FULL),),
    },
    {
        "events_before": (LARGE_RULE, BoundaryEvent(Boundary.COMPACTION)),
        "demands": (("result", FULL),),
        "updates": (note(),),
    },
    {"events_before": (Replacement(NO_RULE),)},
)
"""Turns 1 to 3 fit, with a page-in after the reset; in turn 4 a rule comes that does not fit; turn 5 fits again."""


class StatementsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        checked = check_trace(STORY)
        assert not checked.violations, checked.violations
        cls.run_of_story, cls.expected = checked.run, checked.expected

    def forged(self, **attributes):
        return dataclasses.replace(self.run_of_story, **attributes)

    def with_metrics(self, **attributes):
        return self.forged(metrics=dataclasses.replace(self.run_of_story.metrics, **attributes))

    def with_event(self, kind, position=0, **fields):
        """Return the run with one event changed."""
        changed = [event for event in self.run_of_story.events if event["event"] == kind][position]
        return self.forged(
            events=tuple({**event, **fields} if event is changed else event for event in self.run_of_story.events)
        )

    def without_event(self, kind, position=0):
        left_out = [event for event in self.run_of_story.events if event["event"] == kind][position]
        return self.forged(events=tuple(event for event in self.run_of_story.events if event is not left_out))

    def with_event_more(self, **event):
        return self.forged(events=(*self.run_of_story.events, event))

    def with_prompt(self, turn, **attributes):
        prompts = list(self.run_of_story.prompts)
        prompts[turn - 1] = dataclasses.replace(prompts[turn - 1], **attributes)
        return self.forged(prompts=tuple(prompts))

    def with_blocks(self, turn, change):
        """Return the run with the blocks of one prompt changed and its tokens as they should be then."""
        blocks = tuple(change(list(self.run_of_story.prompts[turn - 1].blocks)))
        return self.with_prompt(turn, blocks=blocks, tokens=sum(block.tokens for block in blocks))

    def block(self, turn, page_id):
        return next(block for block in self.run_of_story.prompts[turn - 1].blocks if block.page_id == page_id)

    def assert_broken(self, statement, run, words):
        expected = witness(STORY, [levels_of(prompt) for prompt in run.prompts])
        broken = [item for item in violations_of(expected, run) if item.property is statement]
        self.assertTrue(any(words in item.detail for item in broken), broken)

    def test_the_story_has_both_kinds_of_turns(self):
        missing = [turn.missing_tokens for turn in self.expected.turns]
        self.assertEqual([number > 0 for number in missing], [False, False, False, True, False])
        self.assertEqual(list(violations_of(self.expected, self.run_of_story)), [])

    # --- zero faults

    def test_every_kind_of_fault_that_is_counted(self):
        for kind in FaultKind:
            self.assert_broken(Property.ZERO_FAULTS, self.with_metrics(**{kind.value: 1}), f"counted {kind.value} 1")

    def test_a_fault_that_is_reported_and_not_counted(self):
        run = self.with_event_more(event="fault", turn=2, fault="refetch", controllable=True, page="rule")
        self.assert_broken(Property.ZERO_FAULTS, run, "counted")

    def test_a_hard_page_below_its_floor(self):
        run = self.with_blocks(2, lambda blocks: [block for block in blocks if block.page_id != "rule"])
        self.assert_broken(Property.ZERO_FAULTS, run, "hard page rule is below its floor")

    def test_a_demand_that_was_left_out(self):
        run = self.with_blocks(3, lambda blocks: [block for block in blocks if block.page_id != "result"])
        self.assert_broken(Property.ZERO_FAULTS, run, "demanded page result is below its level")

    def test_under_pressure_a_floor_may_be_missing_only_where_the_floors_do_not_fit(self):
        self.assertNotIn("large-rule", {block.page_id for block in self.run_of_story.prompts[3].blocks})
        fitting = dataclasses.replace(self.expected.turns[3], floor_tokens=BUDGET)
        turns = (*self.expected.turns[:3], fitting, self.expected.turns[4])
        broken = list(violations_of(dataclasses.replace(self.expected, turns=turns), self.run_of_story))
        self.assertEqual([item.property for item in broken], [Property.ZERO_FAULTS])

    def test_a_recall_without_its_reason(self):
        self.assert_broken(Property.ZERO_FAULTS, self.with_event("recall", reasoned=False), "without its reason")

    # --- right verdicts

    def test_a_wrong_verdict(self):
        verdicts = [event["verdict"] for event in self.run_of_story.events if event["event"] == "demand"]
        self.assertEqual(verdicts, ["cold", "hit", "page_in", "cold", "page_in"])
        for position, verdict in enumerate(["hit", "page_in", "hit", "hit", "hit"]):
            run = self.with_event("demand", position, verdict=verdict)
            self.assert_broken(Property.RIGHT_VERDICTS, run, "should be")

    def test_a_page_that_a_boundary_took_is_not_resident(self):
        run = self.with_event("demand", 2, resident="full")
        self.assert_broken(Property.RIGHT_VERDICTS, run, "should be (3, 'result', 'full', 'none', 'page_in')")

    def test_an_access_that_is_not_judged_or_judged_twice(self):
        self.assert_broken(Property.RIGHT_VERDICTS, self.without_event("demand", 4), "should be")
        run = self.with_event_more(
            event="demand", turn=5, page="rule", level="full", resident="full", verdict="hit", signature=None
        )
        self.assert_broken(Property.RIGHT_VERDICTS, run, "should be")

    def test_wrong_counts(self):
        for name in ("hits", "page_ins", "page_in_tokens", "unmet_demands", "alerts"):
            run = self.with_metrics(**{name: getattr(self.run_of_story.metrics, name) + 1})
            self.assert_broken(Property.RIGHT_VERDICTS, run, "should be")

    # --- pressure reported

    def test_pressure_that_is_not_reported(self):
        self.assert_broken(Property.PRESSURE_REPORTED, self.without_event("pressure"), "reported as None")

    def test_pressure_that_is_not_there(self):
        run = self.with_event_more(event="pressure", turn=2, needed=31, budget=BUDGET, missing=1)
        self.assert_broken(Property.PRESSURE_REPORTED, run, "is None, reported as (31, 30, 1)")

    def test_wrong_numbers_of_tokens(self):
        reported = next(event for event in self.run_of_story.events if event["event"] == "pressure")
        for name in ("needed", "budget", "missing"):
            run = self.with_event("pressure", **{name: reported[name] - 1})
            self.assert_broken(Property.PRESSURE_REPORTED, run, "reported as")

    def test_a_prompt_that_hides_what_is_missing(self):
        self.assert_broken(Property.PRESSURE_REPORTED, self.with_prompt(4, missing_tokens=0), "the prompt reports 0")

    def test_wrong_totals(self):
        for name in ("pressure_turns", "pressure_tokens"):
            run = self.with_metrics(**{name: getattr(self.run_of_story.metrics, name) + 1})
            self.assert_broken(Property.PRESSURE_REPORTED, run, "counted as")

    def test_a_fault_that_is_put_down_to_pressure_without_any(self):
        run = self.with_event_more(event="fault", turn=2, fault="refetch", controllable=False, page="rule")
        self.assert_broken(Property.PRESSURE_REPORTED, run, "'refetch', 'rule')")

    def test_a_pressure_fault_that_is_not_reported(self):
        reported = [(event["fault"], event["page"]) for event in self.run_of_story.events if event["event"] == "fault"]
        self.assertEqual(reported, [("pinned_invariant_miss", "large-rule")])
        self.assert_broken(Property.PRESSURE_REPORTED, self.without_event("fault"), "large-rule")

    def test_demands_and_instructions_that_pressure_leaves_out(self):
        run = self.with_blocks(4, lambda blocks: [block for block in blocks if block.page_id == "rule"])
        self.assert_broken(
            Property.PRESSURE_REPORTED,
            run,
            "(4, 'post_compaction_bootstrap', 'instructions'), (4, 'refetch', 'result')",
        )

    # --- within budget

    def test_a_prompt_above_its_budget(self):
        def grown(blocks):
            return [*blocks[:-1], dataclasses.replace(blocks[-1], tokens=BUDGET)]

        self.assert_broken(Property.WITHIN_BUDGET, self.with_blocks(2, grown), "the budget is 30")

    def test_a_prompt_with_another_budget(self):
        self.assert_broken(Property.WITHIN_BUDGET, self.with_prompt(2, budget=BUDGET + 1), "the budget is 30")

    def test_a_prompt_that_misstates_its_tokens(self):
        self.assert_broken(Property.WITHIN_BUDGET, self.with_prompt(2, tokens=1), "the prompt reports 1")

    def test_a_page_that_is_in_the_prompt_twice(self):
        run = self.with_blocks(2, lambda blocks: [*blocks, blocks[0]])
        self.assert_broken(Property.WITHIN_BUDGET, run, "is in the prompt 2 times")

    def test_a_level_that_the_page_has_not_and_a_wrong_price(self):
        for change in ({"level": Level.POINTER}, {"tokens": 1}):
            block = dataclasses.replace(self.block(2, "rule"), **change)
            run = self.with_blocks(2, lambda blocks, block=block: [block, *blocks])
            self.assert_broken(Property.WITHIN_BUDGET, run, "does not cost")

    def test_a_page_that_nobody_declared(self):
        block = dataclasses.replace(self.block(2, "rule"), page_id="ghost")
        run = self.with_blocks(2, lambda blocks: [*blocks, block])
        self.assert_broken(Property.WITHIN_BUDGET, run, "page ghost")

    # --- nothing lost

    def test_a_good_update_that_is_lost_or_forgotten(self):
        lost = tuple(
            {"event": "lost", "turn": 3, "boundary": "reset", "entries": [1]} if event["event"] == "commit" else event
            for event in self.run_of_story.events
        )
        self.assert_broken(
            Property.NOTHING_LOST, self.forged(events=lost), "update 1 should be committed in turn 3, is lost"
        )
        self.assert_broken(Property.NOTHING_LOST, self.without_event("commit"), "update 1 should be committed")
        self.assert_broken(Property.NOTHING_LOST, self.without_event("stage", 2), "update 3 should be staged, is never")

    def test_an_update_that_is_committed_late(self):
        self.assert_broken(Property.NOTHING_LOST, self.with_event("commit", turn=4), "is committed in turn 4")

    def test_a_wrong_update_that_is_committed(self):
        run = self.with_event("commit", entries=[1, 2])
        run = dataclasses.replace(run, events=tuple(event for event in run.events if event["event"] != "reject"))
        self.assert_broken(
            Property.NOTHING_LOST, run, "update 2 should be rejected SCOPE_DENIED in turn 3, is committed"
        )

    def test_a_wrong_code_and_no_reason(self):
        self.assert_broken(Property.NOTHING_LOST, self.with_event("reject", code="SCHEMA_INVALID"), "SCHEMA_INVALID")
        self.assert_broken(Property.NOTHING_LOST, self.with_event("reject", detail=""), "without a reason")

    def test_an_update_that_nobody_staged(self):
        run = self.with_event_more(event="stage", turn=5, entry=4, page="rule", field="notes", operation="append")
        self.assert_broken(Property.NOTHING_LOST, run, "update 4 should be never staged")

    def test_committed_state_that_was_overwritten_unseen(self):
        self.assert_broken(Property.NOTHING_LOST, self.with_event("commit", overwrote=[1]), "destroyed committed state")

    def test_committed_state_that_was_overwritten_unseen_and_not_reported(self):
        (note,) = self.expected.updates[:1]
        stale = dataclasses.replace(note, operation="set_with_version", base_version=0)
        expected = dataclasses.replace(self.expected, updates=(note, stale, *self.expected.updates[2:]))
        run = self.with_event("commit", entries=[1, 2])
        details = [item.detail for item in violations_of(expected, run)]
        self.assertIn("updates [2] destroyed committed state unseen, reported are []", details)

    def test_pages_that_a_reset_destroyed(self):
        run = self.with_event("session_start", 1, gone=["rule"])
        self.assert_broken(Property.NOTHING_LOST, run, "a reset destroyed the pages rule")

    def test_wrong_counts_of_updates(self):
        for name in ("committed_updates", "rejected_updates", "lost_updates"):
            run = self.with_metrics(**{name: getattr(self.run_of_story.metrics, name) + 1})
            self.assert_broken(Property.NOTHING_LOST, run, "(committed, rejected, lost)")

    def test_a_commit_that_its_page_does_not_show(self):
        def stale(blocks):
            return [dataclasses.replace(block, version=1) if block.page_id == "rule" else block for block in blocks]

        self.assert_broken(Property.NOTHING_LOST, self.with_blocks(3, stale), "page rule is at version 1")

    # --- the rest

    def test_a_missing_prompt(self):
        run = self.forged(prompts=self.run_of_story.prompts[:-1])
        self.assertEqual([item.property for item in violations_of(self.expected, run)], [Property.INVARIANTS_HOLD])
