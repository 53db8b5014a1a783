"""One step is one reply of the model, with what came before it and what its tools gave."""

import unittest
from typing import Any
from unittest.mock import patch

from clawvm_transcripts import evidence as steps
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Cleared,
    Compaction,
    CompactionSummary,
    Event,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    Skipped,
    Subagent,
    Usage,
    Window,
)
from clawvm_transcripts.evidence import ReplyStep, StepAssembler, Words


def steps_of(*events: Event) -> list[ReplyStep]:
    assembler = StepAssembler()
    found = [step for event in events for step in assembler.feed(event)]
    return [*found, *assembler.finish()]


def shapes(*events: Event) -> list[tuple[list[str], list[str]]]:
    """Return what came before each step, and the texts of its answers."""
    return [
        (
            [item.text if isinstance(item, Words) else type(item).__name__ for item in step.before],
            [answer.text for answer in step.answers],
        )
        for step in steps_of(*events)
    ]


def call(name: str, message: str = "", tool: str = "Bash", arguments: Any = None) -> RecordedCall:
    return RecordedCall(name, tool, {"command": f"run {name}"} if arguments is None else arguments, message)


class TurnsTest(unittest.TestCase):
    def test_a_reply_begins_with_the_first_words_after_a_prompt_or_a_result(self) -> None:
        events = (
            Prompt("please"),
            AssistantMessage("I look"),
            call("1"),
            RecordedResult("1", "one"),
            AssistantMessage("and again"),
            call("2"),
            RecordedResult("2", "two"),
            Prompt("thanks"),
            AssistantMessage("welcome"),
        )
        self.assertEqual(shapes(*events), [(["please"], ["one"]), ([], ["two"]), (["thanks"], [])])

    def test_calls_of_one_reply_are_one_turn_also_when_their_results_come_between_them(self) -> None:
        events = (
            AssistantMessage("both", "m1"),
            call("1", "m1"),
            RecordedResult("1", "one"),
            call("2", "m1"),
            RecordedResult("2", "two"),
            call("3", "m2"),
            RecordedResult("3", "three"),
        )
        self.assertEqual(shapes(*events), [([], ["one", "two"]), ([], ["three"])])

    def test_a_new_message_begins_a_reply_also_without_a_result_between(self) -> None:
        self.assertEqual(len(steps_of(AssistantMessage("a", "m1"), AssistantMessage("b", "m2"))), 2)
        self.assertEqual(len(steps_of(AssistantMessage("a", "m1"), AssistantMessage("b", "m1"))), 1)

    def test_without_names_of_messages_words_and_calls_in_a_row_are_one_reply(self) -> None:
        self.assertEqual(len(steps_of(AssistantMessage("a"), call("1"), call("2"), AssistantMessage("b"))), 1)

    def test_a_late_result_belongs_to_the_turn_in_which_it_arrived(self) -> None:
        events = (
            AssistantMessage("start", "m1"),
            call("1", "m1"),
            AssistantMessage("meanwhile", "m2"),
            RecordedResult("1", "late"),
            AssistantMessage("so", "m3"),
        )
        self.assertEqual(shapes(*events), [([], []), ([], ["late"]), ([], [])])
        waited = (AssistantMessage("start", "m1"), call("1", "m1"), Prompt("wait"), RecordedResult("1", "late"))
        self.assertEqual(shapes(*waited), [([], []), (["wait"], ["late"])])
        self.assertEqual(shapes(*waited, Prompt("more")), [([], []), (["wait"], ["late"]), (["more"], [])])

    def test_a_result_that_comes_twice_or_for_no_call_is_none(self) -> None:
        events = (call("1"), RecordedResult("1", "one"), RecordedResult("1", "one"), RecordedResult("9", "whose?"))
        self.assertEqual(shapes(*events), [([], ["one"])])

    def test_a_call_without_an_id_or_without_a_result_has_no_answer(self) -> None:
        self.assertEqual(shapes(call(""), RecordedResult("", "whose?"), call("2")), [([], []), ([], [])])

    def test_a_session_that_ends_in_the_middle_of_a_call_keeps_the_reply(self) -> None:
        self.assertEqual(shapes(Prompt("do"), AssistantMessage("I do", "m"), call("1", "m")), [(["do"], [])])

    def test_what_came_before_a_reply_is_in_its_order(self) -> None:
        events = (
            Instruction("system", "be brief"),
            Prompt("one"),
            Compaction("auto"),
            CompactionSummary("so far"),
            Reset("start:clear"),
            Resume("start:resume"),
            Cleared(("1",)),
            Rewind(2),
            Prompt("two"),
            AssistantMessage("yes"),
        )
        before = ["be brief", "one", "Compaction", "so far", "Reset", "Resume", "Cleared", "Rewind", "two"]
        self.assertEqual(shapes(*events), [(before, [])])

    def test_words_that_nothing_answered_are_a_step_and_boundaries_alone_are_none(self) -> None:
        self.assertEqual(shapes(AssistantMessage("a"), Prompt("b")), [([], []), (["b"], [])])
        self.assertEqual(shapes(AssistantMessage("a"), Compaction("auto")), [([], [])])
        self.assertEqual(shapes(), [])

    def test_what_says_nothing_about_the_conversation_parts_no_reply(self) -> None:
        between = (Usage(5), Window(9), Skipped("x"), Broken(3, "y"), Subagent("z", ("1",)))
        self.assertEqual(len(steps_of(AssistantMessage("a"), *between, call("1"))), 1)


class AnswersTest(unittest.TestCase):
    def test_a_head_that_changes_on_every_run_is_left_out(self) -> None:
        (step,) = steps_of(call("1"), RecordedResult("1", "Wall time: 3\nOutput:\nhello", head=21))
        self.assertEqual(step.answers[0].text, "hello")
        self.assertEqual(step.answers[0].tokens, 1)

    def test_an_answer_has_the_facts_of_its_call_and_whether_it_failed(self) -> None:
        (step,) = steps_of(
            call("1", tool="Read", arguments={"file_path": "a.py"}), RecordedResult("1", "no", failed=True)
        )
        answer = step.answers[0]
        self.assertEqual([read.path for read in answer.facts.reads], ["a.py"])
        self.assertTrue(answer.failed)
        self.assertIsNone(answer.call)

    def test_only_an_answer_of_a_plan_tool_keeps_its_call(self) -> None:
        made = call("1", tool="TodoWrite", arguments={"todos": []})
        (step,) = steps_of(made, RecordedResult("1", "ok"))
        self.assertIs(step.answers[0].call, made)

    def test_a_transcript_grows_by_words_arguments_and_results(self) -> None:
        (step,) = steps_of(Prompt("aaaa bbbb"), AssistantMessage("cccc"), call("1"), RecordedResult("1", "dddd"))
        arguments = len('Bash {"command":"run 1"}') // 4 + 1
        self.assertEqual(step.tokens, 2 + 1 + arguments + 1)

    def test_images_take_tokens_and_are_known_by_their_content(self) -> None:
        first, second = steps_of(
            call("1"), RecordedResult("1", "", images=("a", "b")), call("2"), RecordedResult("2", "dddd", images=("a",))
        )
        one, other = first.answers[0], second.answers[0]
        self.assertEqual((one.tokens, other.tokens), (2 * steps.IMAGE_TOKENS, steps.IMAGE_TOKENS + 1))
        self.assertEqual((len(set(one.images)), other.images), (2, one.images[:1]))

    def test_an_answer_knows_the_id_of_its_call(self) -> None:
        (step,) = steps_of(call("1"), call("2"), RecordedResult("2", "b"), RecordedResult("1", "a"))
        self.assertEqual([answer.name for answer in step.answers], ["2", "1"])


class BoundsTest(unittest.TestCase):
    def test_the_oldest_of_too_many_waiting_calls_is_given_up(self) -> None:
        with patch.object(steps, "MOST_WAITING", 3):
            calls = [call(str(number)) for number in range(4)]
            (step,) = steps_of(*calls, RecordedResult("0", "lost"), RecordedResult("1", "one"))
        self.assertEqual([answer.text for answer in step.answers], ["one"])

    def test_so_are_the_oldest_of_too_many_characters_but_never_the_newest(self) -> None:
        with patch.object(steps, "MOST_WAITING_CHARACTERS", 1000):
            large = [call(str(number), arguments={"command": "x" * 500}) for number in range(2)]
            results = [RecordedResult(str(number), str(number)) for number in range(2)]
            (step,) = steps_of(*large, *results)
            self.assertEqual([answer.text for answer in step.answers], ["1"])
            (step,) = steps_of(call("0", arguments={"command": "x" * 2000}), RecordedResult("0", "0"))
            self.assertEqual([answer.text for answer in step.answers], ["0"])

    def test_answered_calls_wait_no_longer(self) -> None:
        events: list[Event] = []
        for number in range(8):
            events.append(call(str(number), arguments={"command": "x" * 300}))
            if number:
                events.append(RecordedResult(str(number - 1), str(number - 1)))
        with patch.object(steps, "MOST_WAITING_CHARACTERS", 1000):
            answered = [answer.text for step in steps_of(*events) for answer in step.answers]
        self.assertEqual(answered, list("0123456"))

    def test_a_reply_with_too_much_text_is_parted(self) -> None:
        events: list[Event] = [call(str(number), "m") for number in range(6)]
        events += [RecordedResult(str(number), "x" * 500) for number in range(6)]
        with patch.object(steps, "MOST_CHARACTERS", 1000):
            self.assertEqual([len(step.answers) for step in steps_of(*events)], [3, 3])
            self.assertEqual(len(steps_of(*(Prompt("x" * 500) for _ in range(6)))), 2)
