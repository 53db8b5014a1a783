"""To-do and plan tools: what a call does to the plan page."""

import unittest
from typing import Any
from unittest.mock import patch

from clawvm_runtime.vocabulary import PageType
from clawvm_transcripts import recorded_pages as plans
from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.events import RecordedCall
from clawvm_transcripts.evidence import Answer
from clawvm_transcripts.recorded_pages import PlanChange, PlanKeeper
from tests.transcripts.hand_made import PlainNames


class PlansTest(unittest.TestCase):
    def setUp(self) -> None:
        self.keeper = PlanKeeper(PlainNames())

    def take(self, tool: str, arguments: Any, text: str = "ok", failed: bool = False) -> PlanChange | None:
        call = RecordedCall("1", tool, arguments)
        return self.keeper.take(Answer(facts_of(call), text, failed, 1, call))

    def todo(self, **steps: str) -> PlanChange:
        todos = [{"content": words, "status": status} for words, status in steps.items()]
        change = self.take("TodoWrite", {"todos": todos})
        assert change is not None
        return change

    def states(self, change: PlanChange | None) -> dict[str, Any]:
        assert change is not None
        return {update.field: update.value for update in change.updates}


class WholePlansTest(PlansTest):
    def test_the_first_call_writes_the_page(self) -> None:
        change = self.todo(a="pending", b="in_progress")
        self.assertTrue(change.is_new)
        assert change.page is not None
        self.assertIs(change.page.type, PageType.PLAN)
        self.assertEqual((change.page_id, change.page.id), ("plan 1", "plan 1"))
        self.assertEqual(change.text, "- [open] a\n- [active] b")

    def test_other_statuses_only_update_it_and_other_steps_write_it_anew(self) -> None:
        self.todo(a="pending", b="pending")
        change = self.todo(a="completed", b="pending")
        self.assertEqual((change.page, change.is_new), (None, False))
        self.assertEqual(self.states(change), {"steps": {"step a": "done", "step b": "open"}})
        change = self.todo(a="completed", c="pending")
        self.assertEqual((change.page_id, change.page is None, change.is_new), ("plan 1", False, False))

    def test_statuses_become_five_words(self) -> None:
        written = {
            "completed": "done",
            "done": "done",
            " In_Progress ": "active",
            "pending": "open",
            "todo": "open",
            "cancelled": "dropped",
            "with the secret team": "other",
        }
        for status, expected in written.items():
            self.setUp()
            self.assertEqual(
                self.states(self.todo(a=status, b="pending"))["steps"], {"step a": expected, "step b": "open"}
            )

    def test_a_plan_whose_steps_are_all_done_is_done_and_the_next_call_begins_another(self) -> None:
        self.assertNotIn("status", self.states(self.todo(a="completed", b="pending")))
        self.assertEqual(self.states(self.todo(a="completed", b="cancelled"))["status"], "done")
        change = self.todo(a="pending")
        self.assertEqual((change.page_id, change.is_new), ("plan 2", True))

    def test_a_call_that_failed_or_holds_nothing_does_nothing(self) -> None:
        self.assertIsNone(self.take("TodoWrite", {"todos": [{"content": "a"}]}, failed=True))
        nothing: tuple[Any, ...] = ({"todos": []}, {}, None, [], 7, {"plan": " "})
        for arguments in nothing:
            self.assertIsNone(self.take("TodoWrite", arguments), arguments)

    def test_a_plan_may_be_a_text(self) -> None:
        for arguments in ({"plan": "first this, then that", "file": "x"}, "first this, then that"):
            self.setUp()
            change = self.take("ExitPlanMode", arguments)
            assert change is not None
            self.assertEqual(change.text, "first this, then that")
            self.assertEqual(self.states(change), {"text": "written"})
            again = self.take("ExitPlanMode", arguments)
            assert again is not None
            self.assertIsNone(again.page)

    def test_only_so_many_steps_are_carried(self) -> None:
        with patch.object(plans, "MOST_STEPS", 2):
            self.assertEqual(len(self.states(self.todo(a="", b="", c=""))["steps"]), 2)


class StepByStepTest(PlansTest):
    def create(self, subject: str, number: str = "") -> PlanChange:
        text = f"Task #{number} created" if number else "created"
        change = self.take("TaskCreate", {"subject": subject, "description": "long"}, text)
        assert change is not None
        return change

    def test_the_page_holds_all_steps_so_far(self) -> None:
        self.assertTrue(self.create("a", "1").is_new)
        change = self.create("b", "2")
        self.assertFalse(change.is_new)
        self.assertEqual(change.text, "- [open] a\n- [open] b")
        self.assertIsNotNone(change.page)

    def test_a_step_is_changed_by_its_number(self) -> None:
        self.create("a", "7")
        self.create("b", "8")
        change = self.take("TaskUpdate", {"taskId": "7", "status": "in_progress"})
        assert change is not None
        self.assertIsNone(change.page)
        self.assertEqual(self.states(change), {"steps": {"step a": "active", "step b": "open"}})
        change = self.take("TaskUpdate", {"taskId": "8", "subject": "c"})
        assert change is not None
        self.assertIsNotNone(change.page)
        self.assertEqual(change.text, "- [active] a\n- [open] c")

    def test_without_a_number_in_the_result_steps_are_numbered_in_order(self) -> None:
        self.create("a")
        self.create("b")
        self.assertEqual(
            self.states(self.take("TaskUpdate", {"taskId": "2", "status": "completed"}))["steps"]["step b"], "done"
        )

    def test_an_unknown_number_changes_nothing(self) -> None:
        self.assertIsNone(self.take("TaskUpdate", {"taskId": "1", "status": "completed"}))
        self.create("a", "1")
        others: tuple[Any, ...] = ({"taskId": "9", "status": "completed"}, {}, None, {"taskId": {}})
        for arguments in others:
            self.assertIsNone(self.take("TaskUpdate", arguments), arguments)

    def test_when_all_are_done_the_next_one_begins_another_plan(self) -> None:
        self.create("a", "1")
        self.assertEqual(self.states(self.take("TaskUpdate", {"taskId": "1", "status": "completed"}))["status"], "done")
        self.assertIsNone(self.take("TaskUpdate", {"taskId": "1", "status": "pending"}))
        change = self.create("b", "2")
        self.assertEqual((change.page_id, change.is_new, change.text), ("plan 2", True, "- [open] b"))

    def test_there_is_an_end_to_the_steps(self) -> None:
        with patch.object(plans, "MOST_STEPS", 2):
            for number in range(4):
                change = self.create(f"step {number}", str(number))
            self.assertEqual(change.text, "- [open] step 0\n- [open] step 1")
