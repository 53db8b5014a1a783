"""Behaviour of explanations: every sentence comes from the decision trace, and what is unknown is named in one line."""

import unittest

from clawvm_replay.errors import InputError
from clawvm_replay.explanation import explain
from clawvm_replay.replay import replay_trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import FAMILIES


class ExplanationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        decisions = DecisionTrace()
        replay_trace(FAMILIES["daily_assistant"](120), POLICIES["clawvm"], decisions=decisions)
        cls.events = decisions.events
        cls.prompt = next(event for event in cls.events if event["event"] == "assemble" and event["turn"] == 5)

    def test_level_budget_and_reason_are_those_of_the_prompt(self):
        for page, level in self.prompt["levels"].items():
            head, budget, *lines = explain(self.events, 5, page)
            self.assertRegex(head, f"^turn 5: page {page!r} is at {level} ")
            self.assertEqual(budget, f"the prompt uses {self.prompt['tokens']} of {self.prompt['budget']} tokens")
            required = [item for item in self.prompt["required"] if item[0] == page]
            self.assertEqual(
                len([line for line in lines if line.startswith(("injected at", "floor:", "demand:"))]), len(required)
            )
            self.assertTrue(lines)

    def test_an_unknown_page_lists_the_known_ones(self):
        with self.assertRaisesRegex(InputError, "no page 'nothing' up to turn 5; known: ") as caught:
            explain(self.events, 5, "nothing")
        for page in self.prompt["levels"]:
            self.assertIn(page, str(caught.exception))
        many = [{"event": "page", "turn": 1, "page": f"{number:03}" + "x" * 1000} for number in range(500)]
        with self.assertRaises(InputError) as caught:
            explain([*many, {"event": "assemble", "turn": 1, "levels": {}}], 1, "y" * 10_000)
        self.assertLess(len(str(caught.exception)), 2_000)

    def test_a_turn_without_a_prompt_is_one_line(self):
        with self.assertRaisesRegex(InputError, "has no prompt for turn 9999"):
            explain(self.events, 9999, "plan")
