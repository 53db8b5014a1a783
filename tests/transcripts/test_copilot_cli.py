"""Sessions of the Copilot CLI become the events that happened in the main thread."""

from __future__ import annotations

import io
import json
import unittest
from pathlib import Path
from typing import Any

from clawvm_transcripts.detection import detect, events_of
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
    Reset,
    Resume,
    SessionEnd,
    SessionStart,
    Skipped,
    Subagent,
    Window,
)
from clawvm_transcripts.formats.copilot_cli import COPILOT_CLI
from clawvm_transcripts.reading import Source

FIXTURE = Path(__file__).parent / "fixtures" / "copilot-cli" / "kettle.jsonl"

INJECTED = Skipped("line written by the harness", known=True)
USERS_TOOL = Skipped("tool that the user started", known=True)


def known(kind: str) -> Skipped:
    return Skipped(kind, known=True)


def events_in(*records: tuple[str, Any]) -> list[Event]:
    """Return the events of these records, without the first and the last."""
    lines = [json.dumps({"type": kind, "data": data, "id": "e", "parentId": None}) for kind, data in records]
    return list(COPILOT_CLI.read(io.BytesIO("\n".join(lines).encode())))[1:-1]


class FixtureTest(unittest.TestCase):
    def test_the_session_becomes_these_events(self) -> None:
        source = Source(FIXTURE)
        found = detect(source)
        self.assertIs(found, COPILOT_CLI)
        edit = {"path": "sensor.py", "old_str": "120", "new_str": "95"}
        self.assertEqual(
            [
                SessionStart("s-1", "1.2.3", "/home/tea/kettle", "2026-03-01T08:00:00.000Z"),
                known("session.info"),
                Instruction("system", "You help in a terminal."),
                Prompt("Why does the kettle boil over?"),  # What the user typed, not what was made of it.
                known("assistant.turn_start"),
                AssistantMessage("I look at the sensor.", "m1"),
                RecordedCall("c1", "view", {"path": "sensor.py"}, "m1"),
                RecordedCall(
                    "c2", "bash", {"command": "grep -n limit sensor.py", "description": "Find the limit"}, "m1"
                ),
                known("hook.start"),
                known("hook.end"),
                RecordedResult("c2", "3:limit = 120"),
                RecordedResult("c1", "limit = 120"),
                RecordedCall("c3", "view", {"path": "lid.py"}, "m1"),
                RecordedResult("c3", "", failed=True),  # An error without a result.
                known("assistant.turn_end"),
                known("subagent.started"),
                Subagent("a-1"),
                Subagent("c4", ("c-sub",)),  # The older way to name it.
                known("system instructions again"),
                INJECTED,
                INJECTED,
                Instruction("system", "Warm the pot first."),
                known("tool.user_requested"),
                USERS_TOOL,
                USERS_TOOL,
                Window(128000),
                known("session.compaction_start"),
                known("session.compaction_complete"),  # It failed.
                Compaction("manual", 900, 200),
                CompactionSummary("The limit is 120."),
                Window(64000),
                Compaction("truncation", 700, 600),
                Resume("start:resume"),
                Reset("start:clear"),
                Reset("handoff"),
                CompactionSummary("The lid is loose."),
                Resume("session_meta_again"),
                Instruction("system", "You help in a newer terminal."),
                Prompt("Set the limit to 95."),
                Skipped("session.kettle_warming"),
                Broken(37, "is no JSON, or only a part of it"),
                Broken(38, "content is no text"),
                AssistantMessage("I set it.", "m3"),
                RecordedCall("c5", "edit", edit, "m3"),  # Two objects in one line; the call has no result.
                known("abort"),
                SessionEnd(41),
            ],
            list(events_of(source, found)),
        )


class RecordTest(unittest.TestCase):
    def test_a_window_is_reported_when_it_changes(self) -> None:
        limit = [
            ("session.usage_info", {"tokenLimit": tokens}) for tokens in (1000, 1000, 2000, -1, True, 10**13, None)
        ]
        windows = [event for event in events_in(*limit) if isinstance(event, Window)]
        self.assertEqual([Window(1000), Window(2000)], windows)

    def test_a_session_that_is_started_again_goes_on_and_another_one_in_its_file_is_a_reset(self) -> None:
        first, other = {"sessionId": "s-1"}, {"sessionId": "s-2"}
        starts = [("session.start", data) for data in (first, first, {}, other, other, first)]
        again, reset = Resume("session_meta_again"), Reset("other_session")
        self.assertEqual([again, again, reset, again, reset], events_in(*starts))

    def test_a_resume_is_no_reset(self) -> None:
        self.assertEqual([Resume("start:resume")], events_in(("session.resume", {"eventCount": 9})))
        self.assertEqual([Reset("start:clear")], events_in(("session.context_cleared", {})))

    def test_what_a_subagent_says_and_does_is_its_own(self) -> None:
        agent = {"parentToolCallId": "c4", "toolCallId": "c9", "toolName": "bash", "content": "Hot."}
        for kind, calls in (("assistant.message", ()), ("tool.execution_start", ("c9",)), ("user.message", ())):
            self.assertEqual([Subagent("c4", calls)], events_in((kind, agent)))

    def test_a_compaction_without_counts_or_words_is_one(self) -> None:
        self.assertEqual([Compaction("unknown")], events_in(("session.compaction_complete", {"success": True})))

    def test_a_reply_without_an_id_goes_by_that_of_its_line(self) -> None:
        self.assertEqual([AssistantMessage("Hot.", "e")], events_in(("assistant.message", {"content": "Hot."})))

    def test_a_tool_of_the_user_is_over_with_its_result(self) -> None:
        start, end = {"toolCallId": "1", "toolName": "bash"}, {"toolCallId": "1", "success": True, "result": {}}
        self.assertEqual(
            [known("tool.user_requested"), USERS_TOOL, USERS_TOOL, RecordedCall("1", "bash", {})],
            events_in(
                ("tool.user_requested", start),
                ("tool.execution_start", start),
                ("tool.execution_complete", end),
                ("tool.execution_start", start),
            ),
        )

    def test_events_of_another_shape_are_broken(self) -> None:
        shapes: list[tuple[str, Any]] = [
            ("user.message", {}),
            ("user.message", None),
            ("system.message", {"content": []}),
            ("tool.execution_start", {"toolCallId": "1"}),
            ("skill.invoked", {"content": {}}),
        ]
        for kind, data in shapes:
            with self.subTest(kind=kind, data=data):
                self.assertEqual([Broken], [type(event) for event in events_in((kind, data))])
