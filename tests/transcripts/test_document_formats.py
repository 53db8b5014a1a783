"""Sessions kept as JSON documents (SWE-agent, mini-swe-agent, OpenHands) become the events that happened."""

from __future__ import annotations

import io
import json
import unittest
from pathlib import Path
from typing import Any

from clawvm_transcripts.detection import FORMATS, detect, events_of, head_of
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Compaction,
    CompactionSummary,
    Event,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    SessionEnd,
    SessionStart,
    Skipped,
    Usage,
)
from clawvm_transcripts.formats import Format, arguments_of, usage_of, words_of
from clawvm_transcripts.formats.openhands import OPENHANDS
from clawvm_transcripts.formats.swe_agent import MINI_SWE_AGENT, SWE_AGENT
from clawvm_transcripts.reading import Source

FIXTURES = Path(__file__).parent / "fixtures"

INJECTED = Skipped("line written by the harness", known=True)
HISTORY = Skipped("history", known=True)


def known(kind: str) -> Skipped:
    return Skipped(kind, known=True)


def read(file_format: Format, text: str) -> list[Event]:
    return list(file_format.read(io.BytesIO(text.encode())))


class FixtureCase(unittest.TestCase):
    def assert_events(self, file_format: Format, name: str, expected: list[Event]) -> None:
        source = Source(FIXTURES / file_format.id / name)
        self.assertIs(detect(source), file_format)
        with source.open() as stream:
            head = head_of(stream)
        self.assertEqual([file_format], [candidate for candidate in FORMATS if candidate.recognizes(head)])
        self.assertEqual(expected, list(events_of(source, file_format)))


class SweAgentTest(FixtureCase):
    def test_the_words_before_the_first_step_come_first_though_the_file_has_them_last(self) -> None:
        self.assert_events(
            SWE_AGENT,
            "history-behind.traj",
            [
                SessionStart(),
                Broken(23, "action is no text"),
                Broken(26, "trajectory holds something else than objects"),
                Instruction("system", "You are at a shell."),
                Instruction("system", "Here is a demonstration."),
                Prompt("Fix the limit."),
                AssistantMessage("I open it.", "0"),
                RecordedCall("0", "action", "open sensor.py\n", "0"),
                RecordedResult("0", "[File: sensor.py]\n1:limit = 120"),
                AssistantMessage("Again.", "1"),
                RecordedCall("1", "action", "open sensor.py\n", "1"),
                RecordedResult("1", ""),
                AssistantMessage("Nothing to run.", "2"),
                known("step without an action"),
                AssistantMessage("Done.", "5"),
                RecordedCall("5", "action", "submit", "5"),  # The session ends in it.
                HISTORY,
                HISTORY,
                SessionEnd(70),
            ],
        )

    def test_the_words_before_the_first_step_are_taken_from_its_messages(self) -> None:
        self.assert_events(
            SWE_AGENT,
            "messages-in-steps.traj",
            [
                SessionStart(),
                Instruction("system", "You are at a shell."),
                Prompt("Fix the limit."),
                AssistantMessage("I list.", "0"),
                RecordedCall("0", "action", "ls -F", "0"),
                RecordedResult("0", "sensor.py"),
                AssistantMessage("I edit.", "1"),
                RecordedCall("1", "action", "edit '120' '95'", "1"),
                RecordedResult("1", "edited"),
                *[HISTORY] * 4,
                SessionEnd(66),
            ],
        )

    def test_the_words_of_a_step_are_reported_once_under_either_name(self) -> None:
        system, task = {"role": "system", "content": "A shell."}, {"role": "user", "content": "Boil."}
        for name in ("messages", "query"):
            with self.subTest(name):
                steps = [
                    {"action": "ls", "observation": "a", name: [system]},
                    {"action": "ls", "observation": "a", name: [system, task]},
                ]
                events = read(SWE_AGENT, json.dumps({"trajectory": steps}))
                words = [event for event in events if isinstance(event, (Instruction, Prompt, RecordedCall))]
                calls = [RecordedCall(number, "action", "ls", number) for number in "01"]
                self.assertEqual([Instruction("system", "A shell."), Prompt("Boil."), *calls], words)

    def test_steps_come_at_the_end_where_nothing_names_the_task(self) -> None:
        events = read(SWE_AGENT, '{"trajectory": [{"action": "ls", "observation": "a"}], "history": null}')
        self.assertEqual(
            [
                SessionStart(),
                Broken(1, "history holds something else than objects"),
                AssistantMessage("", "0"),
                RecordedCall("0", "action", "ls", "0"),
                RecordedResult("0", "a"),
                SessionEnd(1),
            ],
            events,
        )


class MiniSweAgentTest(FixtureCase):
    def test_calls_of_tools(self) -> None:
        self.assert_events(
            MINI_SWE_AGENT,
            "tools.traj.json",
            [
                SessionStart(version="2.1.0"),
                Instruction("system", "You can use a shell."),
                Prompt("Fix the limit."),
                AssistantMessage("I look.", "2"),
                Usage(100, cached=40, output=7, message="2"),
                RecordedCall("c1", "bash", {"command": "cat sensor.py"}, "2"),
                RecordedCall("c2", "bash", '{"command": "ls', "2"),  # Arguments that are no JSON.
                RecordedResult("c2", "<returncode>2</returncode>", failed=True),
                RecordedResult("c1", "<output>limit = 120</output>"),
                INJECTED,
                Prompt("Interrupted by user: use 95"),
                AssistantMessage("", "7"),
                RecordedCall("c3", "bash", {"command": "sed -i s/120/95/ sensor.py"}, "7"),
                Broken(100, "a record of an unexpected shape"),
                Skipped("kettle"),
                known("exit"),
                SessionEnd(123),
            ],
        )

    def test_commands_in_the_text_of_the_reply(self) -> None:
        self.assert_events(
            MINI_SWE_AGENT,
            "text.traj.json",
            [
                SessionStart(version="1.9.0"),
                Instruction("system", "Answer with one command."),
                Prompt("Fix the limit."),
                AssistantMessage("I look.\n```bash\ncat sensor.py\n```\n", "2"),
                RecordedCall("2.0", "bash", {"command": "cat sensor.py"}, "2"),
                RecordedResult("2.0", "Observation: limit = 120"),
                AssistantMessage("```bash\na\n```\n```bash\nb\n```", "4"),  # Of two commands none is run.
                INJECTED,
                AssistantMessage("```mswea_bash_command\nls\n```", "6"),
                RecordedCall("6.0", "bash", {"command": "ls"}, "6"),
                RecordedResult("6.0", "sensor.py", failed=True),
                AssistantMessage("<run>date</run>", "8"),  # Marks of its own: the agent wrote down what it ran.
                RecordedCall("8.0", "bash", {"command": "date"}, "8"),
                RecordedResult("8.0", "Sunday"),
                Prompt("User command: date"),
                AssistantMessage("Not closed.\n```bash\nls", "11"),
                SessionEnd(1),
            ],
        )

    def test_replies_of_the_responses_interface(self) -> None:
        self.assert_events(
            MINI_SWE_AGENT,
            "responses.traj.json",
            [
                SessionStart(),
                Instruction("system", "You can use a shell."),
                Prompt("Fix the limit."),
                AssistantMessage("I look.", "2"),
                Usage(50, cached=10, output=5, message="2"),
                RecordedCall("c1", "bash", {"command": "cat sensor.py"}, "2"),
                RecordedResult("c1", "limit = 120"),
                SessionEnd(63),
            ],
        )

    def test_a_reply_leaves_no_unanswered_command_of_an_earlier_one_to_answer(self) -> None:
        messages = [
            {"role": "user", "content": "Boil."},
            {"role": "assistant", "content": "```bash\nls\n```"},
            {"role": "assistant", "content": "No command."},
            {"role": "user", "content": "Please give a command."},
        ]
        events = read(MINI_SWE_AGENT, json.dumps({"messages": messages}))
        self.assertEqual([], [event for event in events if isinstance(event, RecordedResult)])
        self.assertEqual(INJECTED, events[-2])

    def test_openings_without_an_end_are_no_commands(self) -> None:
        for words in ("```bash\nls", "```bash\n" * 20_000):
            with self.subTest(words[:20]):
                messages = [{"role": "user", "content": ""}, {"role": "assistant", "content": words}]
                events = read(MINI_SWE_AGENT, json.dumps({"messages": messages}))
                self.assertEqual([], [event for event in events if isinstance(event, (RecordedCall, Broken))])


class OpenHandsTest(FixtureCase):
    def test_every_line_is_a_session(self) -> None:
        started = "2026-03-01T08:00:00"
        edit = {"path": "sensor.py", "command": "str_replace", "old_str": "120", "new_str": "95"}
        self.assert_events(
            OPENHANDS,
            "output.jsonl",
            [
                SessionStart("kettle-1", "0.40.0", "", started),
                Instruction("system", "You are at a computer."),
                Prompt("Fix the limit."),
                known("recall"),
                Instruction("rules", "Tests first."),
                Instruction("rules", "Use fresh water."),
                AssistantMessage("I look.", "4"),
                Usage(100, output=4, message="4"),
                RecordedCall("4", "run", {"command": "cat sensor.py", "is_input": False}, "4"),
                RecordedResult("4", "limit = 120"),
                AssistantMessage("", "6"),
                Usage(120, output=4, message="6"),  # One response asked for both files.
                RecordedCall("6", "read", {"path": "lid.py"}, "6"),
                AssistantMessage("", "7"),
                RecordedCall("7", "read", {"path": "sensor.py"}, "7"),
                RecordedResult("7", "limit = 120"),
                RecordedResult("6", "ERROR:\nno such file", failed=True),
                AssistantMessage("The limit is too high.", "7"),  # A thought is no call, but it is answered.
                Usage(100, output=4, message="7"),
                RecordedResult("10", "Your thought has been logged."),
                known("error"),
                Compaction("condensation", lost=("4",)),
                CompactionSummary("The limit is 120."),
                known("agent_state_changed"),
                AssistantMessage("Shall I?", "15"),
                Prompt("Please continue."),
                known("run"),  # The user's own.
                AssistantMessage("I edit.", "18"),
                RecordedCall("18", "edit", edit, "18"),
                RecordedResult("18", "It failed.", failed=True),
                Skipped("boil"),
                Broken(1, "the arguments of an action are no object"),
                Broken(1, "history holds something else than objects"),
                AssistantMessage("Last.", "22"),
                RecordedCall("22", "run", {"command": "make", "is_input": False}, "22"),
                AssistantMessage("Done.", "22"),
                SessionEnd(1),
                SessionStart("kettle-torn"),
                Broken(2, "is no JSON, or only a part of it"),
                SessionEnd(1),
                SessionStart("kettle-2", "0.40.0", "", started),
                Instruction("system", "You are at a computer."),
                Prompt("Fix the limit."),
                AssistantMessage("I list.", "2"),
                RecordedCall("2", "run", {"command": "ls", "is_input": False}, "2"),
                RecordedResult("2", "sensor.py", failed=True),
                SessionEnd(1),
            ],
        )

    def test_a_file_may_be_one_array_of_events(self) -> None:
        self.assert_events(
            OPENHANDS,
            "events.json",
            [
                SessionStart("", "0.40.0", "", "2026-03-01T08:00:00"),
                Instruction("system", "You are at a computer."),
                Prompt("Fix the limit."),
                AssistantMessage("I list.", "2"),
                RecordedCall("2", "run", {"command": "ls", "is_input": False}, "2"),
                RecordedResult("2", "sensor.py"),
                SessionEnd(47),
            ],
        )

    def test_a_file_with_a_damaged_first_line_is_recognized(self) -> None:
        whole = (FIXTURES / "openhands" / "output.jsonl").read_bytes()
        head = head_of(io.BytesIO(b'{"instance_id": "kett\n' + whole))
        self.assertEqual([OPENHANDS], [candidate for candidate in FORMATS if candidate.recognizes(head)])

    def test_events_of_another_shape_are_broken(self) -> None:
        for event in [
            {"id": 1, "source": "agent"},
            {"id": None, "source": "agent", "action": "run", "args": {}},
            {"id": 1, "source": "user", "action": "message", "args": {"content": None}},
            {"id": 1, "source": "agent", "action": ["run"], "args": {}},
            {"id": 1, "source": "agent", "observation": "run", "cause": 0},
            {"id": 1, "source": "agent", "observation": "run", "cause": [0], "content": ""},
        ]:
            with self.subTest(event=event):
                self.assertEqual(
                    [SessionStart, Broken, SessionEnd],
                    [type(item) for item in read(OPENHANDS, json.dumps({"history": [event]}))],
                )

    def test_a_condensation_forgets_the_results_that_it_names(self) -> None:
        history = [_run(1), _ran(2, 1), _run(3), _ran(4, 3), _run("5"), _ran("6", "5")]
        for named, lost in (
            ({"forgotten_event_ids": [2]}, ("1",)),
            ({"forgotten_event_ids": [4, 2, 1, 99]}, ("3", "1")),
            ({"forgotten_event_ids": ["6", 4, None, [2], {}]}, ("5", "3")),
            ({"forgotten_event_ids": []}, ()),
            ({"forgotten_events_start_id": 2, "forgotten_events_end_id": 3}, ("1",)),
            ({"forgotten_events_start_id": 1, "forgotten_events_end_id": 9}, ("1", "3")),
            ({"forgotten_events_start_id": 3, "forgotten_events_end_id": 1}, ()),
            ({"forgotten_events_start_id": 3}, None),
            ({"forgotten_event_ids": None}, None),
            ({"forgotten_event_ids": "2"}, None),
            ({}, None),
        ):
            with self.subTest(named=named):
                condensation = {"id": 9, "source": "agent", "action": "condensation", "args": named}
                events = read(OPENHANDS, json.dumps({"history": [*history, condensation]}))
                self.assertEqual([Compaction("condensation", lost=lost)], events[-2:-1])

    def test_what_was_forgotten_is_not_forgotten_again(self) -> None:
        condensation = {"id": 9, "source": "agent", "action": "condensation", "args": {"forgotten_event_ids": [2]}}
        events = read(OPENHANDS, json.dumps({"history": [_run(1), _ran(2, 1), condensation, condensation]}))
        found = [event.lost for event in events if isinstance(event, Compaction)]
        self.assertEqual([("1",), ()], found)


class DocumentsTest(unittest.TestCase):
    """What goes wrong between and inside the documents."""

    def test_what_was_read_before_the_damage_stays(self) -> None:
        whole = json.dumps({"messages": [{"role": "user", "content": "Boil."}] * 2}, indent=1)
        events = read(MINI_SWE_AGENT, whole[: whole.rindex("user")])
        self.assertEqual([SessionStart(), Prompt("Boil.")], events[:2])
        self.assertEqual([Broken, SessionEnd], [type(event) for event in events[2:]])

    def test_a_damaged_first_line_belongs_to_the_session_behind_it(self) -> None:
        line = json.dumps({"instance_id": "kettle", "history": [_run(1)]})
        events = read(OPENHANDS, f"{{broken\n{line}\n")
        self.assertEqual([SessionStart("kettle"), Broken], [events[0], type(events[1])])
        self.assertEqual(1, sum(isinstance(event, SessionStart) for event in events))
        self.assertEqual(SessionEnd(2), events[-1])

    def test_a_damaged_last_line_belongs_to_the_session_before_it(self) -> None:
        line = json.dumps({"instance_id": "kettle", "history": [_run(1)]})
        events = read(OPENHANDS, f"{line}\n{{broken\n")
        self.assertEqual(1, sum(isinstance(event, SessionStart) for event in events))
        self.assertEqual([Broken, SessionEnd], [type(event) for event in events[-2:]])

    def test_lines_are_counted_for_each_session(self) -> None:
        lines = [json.dumps({"instance_id": str(number), "history": [_run(number)]}) for number in range(3)]
        ends = [event for event in read(OPENHANDS, "\n".join(lines)) if isinstance(event, SessionEnd)]
        self.assertEqual([SessionEnd(1)] * 3, ends)

    def test_a_session_without_events_is_one(self) -> None:
        self.assertEqual(
            [SessionStart("kettle"), SessionEnd(1)], read(OPENHANDS, '{"instance_id": "kettle", "history": []}')
        )
        for file_format in (SWE_AGENT, MINI_SWE_AGENT, OPENHANDS):
            with self.subTest(file_format.id):
                self.assertEqual([SessionStart(), SessionEnd(0)], read(file_format, ""))
                self.assertEqual([SessionStart(), SessionEnd(1)], read(file_format, "{}"))


def _run(number: int | str) -> dict[str, Any]:
    return {"id": number, "source": "agent", "action": "run", "args": {"command": "ls"}}


def _ran(number: int | str, cause: int | str) -> dict[str, Any]:
    return {"id": number, "source": "agent", "observation": "run", "cause": cause, "content": "lid.py"}


class MessagePartsTest(unittest.TestCase):
    def test_arguments_are_the_json_inside_a_text(self) -> None:
        self.assertEqual({"a": 1}, arguments_of(' {"a": 1}\n'))
        self.assertEqual({"a": 1}, arguments_of({"a": 1}))
        for text in ("ls -l", '{"a": 1} and more', '{"a"', "[" * 100_000):
            with self.subTest(text[:20]):
                self.assertEqual(text, arguments_of(text))

    def test_words_are_those_of_all_text_parts(self) -> None:
        self.assertEqual("Warm water", words_of([{"text": "Warm "}, {"image": 1}, "no part", {"text": "water"}]))
        self.assertEqual("", words_of(None))

    def test_usage_needs_a_prompt(self) -> None:
        written = {"prompt_tokens": 9, "cache_creation_input_tokens": 4, "completion_tokens": 2}
        self.assertEqual(Usage(9, written=4, output=2, message="m"), usage_of(written, "m"))
        for usage in (None, {}, {"prompt_tokens": 0}, {"prompt_tokens": True}, {"prompt_tokens": 10**12}):
            with self.subTest(usage=usage):
                self.assertIsNone(usage_of(usage, "m"))
