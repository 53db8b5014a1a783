"""Claude Code: every trap of the format, read into exactly these events."""

import io
import json
import unittest
from pathlib import Path
from unittest import mock

from clawvm_transcripts import formats
from clawvm_transcripts.detection import head_of
from clawvm_transcripts.events import (
    AssistantMessage,
    Broken,
    Compaction,
    CompactionSummary,
    Instruction,
    Prompt,
    RecordedCall,
    RecordedResult,
    Reset,
    Resume,
    Rewind,
    SessionEnd,
    SessionStart,
    Skipped,
    Subagent,
    Usage,
)
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE

FIXTURES = Path(__file__).parent / "fixtures" / "claude-code"

NO_JSON = "is no JSON, or only a part of it"
MISSHAPEN = "a record of an unexpected shape"
BY_HARNESS = Skipped("line written by the harness", known=True)


def events_in(name):
    with (FIXTURES / name).open("rb") as stream:
        return list(CLAUDE_CODE.read(stream))


def events_of(*records):
    return list(CLAUDE_CODE.read(io.BytesIO("\n".join(map(json.dumps, records)).encode())))


def line(kind, content, **more):
    return {"type": kind, "uuid": "u", "sessionId": "s", "message": {"content": content}, **more}


def start(session, version="2.1.7"):
    return SessionStart(session, version, "/home/user/kettle", "2026-03-02T09:00:01.000Z")


def known(kind):
    return Skipped(kind, known=True)


def usage(message, output=4):
    return Usage(330, cached=300, written=20, output=output, message=message)


class TurnsTest(unittest.TestCase):
    maxDiff = None

    def test_a_later_line_of_a_reply_that_knows_more_of_its_output_is_reported_too(self):
        lines = [
            {
                "type": "assistant",
                "uuid": f"u{number}",
                "message": {"id": "m", "content": "", "usage": {"input_tokens": 7, "output_tokens": output}},
            }
            for number, output in enumerate((1, 1, 578, 2))
        ]
        reported = [event.output for event in events_of(*lines) if isinstance(event, Usage)]
        self.assertEqual(reported, [1, 578])

    def test_one_reply_over_several_lines_calls_results_and_typed_words(self):
        whistle = "/home/user/kettle/whistle.py"
        edit = {"file_path": whistle, "old_string": "...", "new_string": "blow()"}
        self.assertEqual(
            events_in("turns.jsonl"),
            [
                start("turns"),
                known("file-history-snapshot"),
                known("queue-operation"),
                Prompt("Make the kettle whistle."),
                # Four lines of one reply: its tokens are reported once, its calls each.
                AssistantMessage("", "msg_1"),
                usage("msg_1"),
                AssistantMessage("I look first.", "msg_1"),
                AssistantMessage("", "msg_1"),
                RecordedCall("toolu_1", "Read", {"file_path": whistle}, "msg_1"),
                AssistantMessage("", "msg_1"),
                RecordedCall("toolu_2", "Bash", {"command": "ls", "description": "List"}, "msg_1"),
                # Results come in any order, and may come twice.
                RecordedResult("toolu_2", "whistle.py\nREADME.md"),
                RecordedResult("toolu_1", "def whistle(): ..."),
                RecordedResult("toolu_1", "def whistle(): ..."),
                AssistantMessage("", "msg_2"),
                usage("msg_2", output=9),
                RecordedCall("toolu_3", "Bash", {"command": "make"}, "msg_2"),
                RecordedResult("toolu_3", "make: error", failed=True),
                # A subagent is not the main thread.
                Subagent(""),
                Subagent("", ("toolu_s",)),
                # A slash command was typed; its output, the caveat and the notification were not.
                Prompt("<command-name>/cost</command-name>\n<command-message>cost</command-message>"),
                BY_HARNESS,
                BY_HARNESS,
                BY_HARNESS,
                # A call that was interrupted has no result.
                AssistantMessage("Shall I go on? ", "msg_3"),
                RecordedCall("toolu_4", "Edit", edit, "msg_3"),
                BY_HARNESS,
                Prompt("Yes. Go on."),
                AssistantMessage("Done.", "msg_4"),
                Prompt("Now paint it red."),
                AssistantMessage("Red it is.", "msg_5"),
                Prompt("And a lid."),
                # The last prompt hangs on msg_4: two typed prompts are left behind.
                Rewind(2),
                Prompt("No: paint it blue."),
                known("system/turn_duration"),
                Skipped("hologram"),
                Skipped("weather"),
                AssistantMessage("", "msg_6"),
                RecordedCall("toolu_5", "Bash", {"command": "sleep 100"}, "msg_6"),
                SessionEnd(30),
            ],
        )

    def test_replies_without_a_name_have_their_own_tokens(self):
        reply = {"type": "assistant", "message": {"content": "Yes.", "usage": {"input_tokens": 7}}}
        expected = [AssistantMessage("Yes."), Usage(7)]
        self.assertEqual(events_of(reply, reply)[1:-1], expected * 2)

    def test_a_prompt_behind_the_tip_or_on_an_unknown_line_is_no_rewind(self):
        events = events_of(
            line("user", "One.", uuid="a"),
            line("user", "Two.", uuid="b", parentUuid="a"),
            line("user", "Three.", uuid="c", parentUuid="nowhere"),
            line("user", "Four.", uuid="d", parentUuid="c"),
        )
        self.assertEqual(events[1:-1], [Prompt("One."), Prompt("Two."), Prompt("Three."), Prompt("Four.")])

    def test_a_second_branch_at_the_root_leaves_one_prompt_behind(self):
        events = events_of(
            {"type": "system", "uuid": "root", "subtype": "init", "sessionId": "s"},
            line("user", "One.", uuid="a", parentUuid="root"),
            line("user", "Two.", uuid="b", parentUuid="root"),
        )
        self.assertEqual(events[2:-1], [Prompt("One."), Rewind(1), Prompt("Two.")])

    def test_a_compaction_is_where_it_says_and_not_behind_the_newest_line(self):
        boundary = {"type": "system", "subtype": "compact_boundary", "uuid": "z", "logicalParentUuid": "a"}
        events = events_of(
            line("user", "One.", uuid="a"),
            line("user", "Two.", uuid="b", parentUuid="a"),
            boundary,
            line("user", "Three.", uuid="c", parentUuid="z"),
            line("user", "Four.", uuid="d", parentUuid="a"),
        )
        self.assertEqual(events[3:-1], [Compaction("unknown"), Prompt("Three."), Rewind(1), Prompt("Four.")])

    def test_a_line_marked_as_the_harness_own_is_no_prompt(self):
        self.assertEqual(events_of(line("user", "Go on.", isMeta=True))[1:-1], [BY_HARNESS])


class RecognitionTest(unittest.TestCase):
    def recognized(self, *records):
        return CLAUDE_CODE.recognizes(head_of(io.BytesIO("\n".join(map(json.dumps, records)).encode())))

    def test_lines_that_may_stand_first(self):
        for record in (
            line("user", "Hello."),
            {"type": "queue-operation", "sessionId": "s"},
            {"type": "summary", "summary": "Tea", "leafUuid": "u"},
            {"type": "file-history-snapshot", "messageId": "m"},
            {"parentUuid": None, "isSidechain": False, "type": "user"},
        ):
            self.assertTrue(self.recognized({"type": "hologram"}, record), record)

    def test_lines_of_others(self):
        for record in (
            {"type": "user", "uuid": "u"},
            {"type": "user", "sessionId": "s"},
            {"type": "hologram", "sessionId": 5, "uuid": "u"},
            {"type": ["user"], "sessionId": "s", "uuid": "u"},
            {"type": "summary", "summary": "Tea"},
            {"type": "user", "": 1, "messageId": "m"},
        ):
            self.assertFalse(self.recognized(record), record)


class NameTest(unittest.TestCase):
    def test_the_name_waits_for_some_lines_of_no_substance(self):
        summary = {"type": "summary", "leafUuid": "z"}
        for count, started in ((3, SessionStart("s")), (4, SessionStart())):
            with mock.patch.object(formats, "MOST_WAITING", 3):
                events = events_of(*[summary] * count, line("user", "Hello."))
            expected = [started, *[known("summary")] * count, Prompt("Hello."), SessionEnd(count + 1)]
            self.assertEqual(events, expected)


class DamageTest(unittest.TestCase):
    maxDiff = None

    def test_torn_lines_cost_only_themselves(self):
        self.assertEqual(
            events_in("torn.jsonl"),
            [
                start("torn"),
                Prompt("First."),
                AssistantMessage("One.", "msg_1"),
                AssistantMessage("Two.", "msg_2"),
                Broken(3, NO_JSON),
                Broken(4, NO_JSON),
                Prompt("Third."),
                Broken(6, "is JSON, but no object"),
                Broken(7, NO_JSON),
                Broken(8, MISSHAPEN),
                # What a line reported before it went wrong stays reported.
                AssistantMessage("Half a reply.", "msg_4"),
                Broken(9, "name is no text"),
                Prompt("Fourth."),
                Broken(11, NO_JSON),
                SessionEnd(11),
            ],
        )

    def test_a_broken_first_line_still_names_the_session(self):
        events = events_of(line("user", None, version="9"), line("user", "Hello."))
        expected = [SessionStart("s", "9"), Broken(1, MISSHAPEN), Prompt("Hello."), SessionEnd(2)]
        self.assertEqual(events, expected)

    def test_what_is_no_text_is_no_name(self):
        tool = line("assistant", [{"type": "tool_use", "name": 5, "id": "t"}])
        events = events_of({"type": ["user"]}, tool)
        self.assertEqual(
            events[1:-1], [Broken(1, "type is no text"), AssistantMessage("", "u"), Broken(2, "name is no text")]
        )

    def test_absurd_counts_are_none(self):
        absurd = {"input_tokens": -5, "output_tokens": 1e999, "cache_read_input_tokens": True}
        events = events_of(
            {"type": "assistant", "message": {"content": [], "usage": absurd}},
            {"type": "system", "subtype": "compact_boundary", "compactMetadata": {"preTokens": -1, "postTokens": "9"}},
        )
        self.assertEqual(events[1:-1], [AssistantMessage(""), Compaction("unknown")])


class BoundariesTest(unittest.TestCase):
    maxDiff = None

    def test_compactions_of_both_styles(self):
        self.assertEqual(
            events_in("compactions.jsonl"),
            [
                start("compactions"),
                Prompt("Brew."),
                AssistantMessage("Brewing.", "msg_1"),
                usage("msg_1"),
                Compaction("auto", 155000),
                CompactionSummary("This session is being continued from a previous conversation. It brewed."),
                AssistantMessage("On with it.", "msg_2"),
                usage("msg_2"),
                Prompt("/compact"),
                Compaction("manual", 90000, 7000),
                CompactionSummary("A shorter story."),
                Prompt("Pour."),
                Compaction("unknown"),
                SessionEnd(10),
            ],
        )

    def test_one_start_of_several_lines_is_one_and_a_resume_is_no_reset(self):
        progress, success = known("progress/hook_progress"), known("attachment/hook_success")
        self.assertEqual(
            events_in("starts.jsonl"),
            [
                start("starts", "2.1.39"),
                progress,  # The startup itself leaves nothing behind.
                progress,
                Prompt("Start."),
                Reset("start:clear"),
                progress,
                progress,
                Resume("start:resume"),
                progress,
                Prompt("Again."),
                Resume("start:resume"),
                success,
                success,
                Reset("start:fork"),
                success,
                success,  # A compaction shows as one alone.
                success,
                Instruction("rules", "Use spoons.\nNo forks."),
                Instruction("rules", "Polish daily."),
                Instruction("system", "- brew: makes tea"),
                Instruction("system", "Ask the teapot."),
                known("attachment/todo_reminder"),
                known("progress/bash_progress"),
                SessionEnd(18),
            ],
        )

    def test_side_lines_that_name_no_agent_are_a_subagents_without_a_main_thread(self):
        sidechain = [Subagent(""), Subagent("", ("toolu_1",)), Subagent("")]
        self.assertEqual(events_in("subagent.jsonl"), [start("agent-1"), known("summary"), *sidechain, SessionEnd(4)])

    def test_a_file_that_goes_on_from_another_session_is_one(self):
        self.assertEqual(
            events_in("resumed.jsonl"),
            [
                start("earlier", "2.0.1"),
                known("summary"),
                known("summary"),
                Prompt("Fill it."),
                AssistantMessage("Filled.", "msg_1"),
                usage("msg_1"),
                Prompt("Boil it."),
                AssistantMessage("Boiled.", "msg_2"),
                usage("msg_2"),
                SessionEnd(6),
            ],
        )
