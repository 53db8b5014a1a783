"""The Codex reader: every generation of its files gives the same events, and reports nothing twice."""

from __future__ import annotations

import io
import json
import random
import unittest
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clawvm_transcripts.detection import FORMATS, head_of
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
    Rewind,
    SessionEnd,
    SessionStart,
    Skipped,
    Usage,
    Window,
)
from clawvm_transcripts.formats import Head
from clawvm_transcripts.formats.codex import CODEX, tool_result
from clawvm_transcripts.reading import NO_JSON

FIXTURES = Path(__file__).parent / "fixtures" / "codex"
RULES = "# AGENTS.md instructions for /toy/lantern\n\n<INSTRUCTIONS>\nTrim the wick first.\n</INSTRUCTIONS>"
HARNESS = Skipped("line written by the harness", known=True)
PROGRAM = (
    'const r = await tools.exec_command({cmd: "sed -n \'1,80p\' wick.py", workdir: "/toy/lantern"}); text(r.output)'
)


def events_in(name: str) -> list[Event]:
    with open(FIXTURES / name, "rb") as stream:
        return list(CODEX.read(stream))


def read(records: Iterable[tuple[str, Any]]) -> list[Event]:
    """Return what records of (type, payload) say, without SessionStart, what is skipped, and SessionEnd."""
    lines = "".join(json.dumps({"timestamp": "", "type": kind, "payload": payload}) + "\n" for kind, payload in records)
    events = list(CODEX.read(io.BytesIO(lines.encode())))
    return [event for event in events if not isinstance(event, (SessionStart, Skipped, SessionEnd))]


def substance(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Skipped)]


def message(role: str, *texts: Any) -> tuple[str, Any]:
    return "response_item", {"type": "message", "role": role, "content": [{"text": text} for text in texts]}


def header(name: str, **more: Any) -> tuple[str, Any]:
    return "session_meta", {"id": name, **more}


def screen(event: str, **fields: Any) -> tuple[str, Any]:
    return "event_msg", {"type": event, **fields}


def call(name: str) -> tuple[str, Any]:
    return "response_item", {"type": "function_call", "name": "ls", "arguments": "{}", "call_id": name}


def token_count(total: int, prompt: int, cached: int = 0) -> tuple[str, Any]:
    latest = {"input_tokens": prompt, "cached_input_tokens": cached, "output_tokens": 1}
    return screen("token_count", info={"total_token_usage": {"total_tokens": total}, "last_token_usage": latest})


class WholeSessions(unittest.TestCase):
    def test_a_session_with_every_trap_of_the_format(self) -> None:
        head = "Chunk ID: {}\nWall time: 0.0{} seconds\nProcess exited with code {}\nOriginal token count: 3\nOutput:\n"
        expected: list[Event] = [
            SessionStart("lantern-1", "0.125.0", "/toy/lantern", "2026-02-03T09:59:59.000Z"),
            Instruction("system", "You keep lanterns."),
            Window(9000),
            Instruction("system", "<permissions instructions>\nAsk first."),
            Instruction("system", "<skills_instructions>\nNone."),
            Instruction("rules", RULES),
            Prompt("Why does it flicker?"),
            AssistantMessage("I look at the wick."),
            RecordedCall("call_1", "exec_command", {"cmd": "cat wick.py", "workdir": "/toy/lantern"}),
            RecordedCall("call_2", "exec_command", '{"cmd": "cat oil.py"'),
            RecordedResult("call_1", head.format("a1b2c3", 1, 0) + "length = 3\n", head=100),
            RecordedResult("call_2", "failed to parse function arguments: EOF", failed=True),
            Usage(100, 40, 0, 10),
            RecordedCall("call_3", "apply_patch", "*** Begin Patch\n*** Update File: wick.py\n*** End Patch"),
            RecordedResult("call_3", "Success.\n"),
            RecordedCall("", "web_search", {"type": "search", "query": "wick length"}),
            RecordedCall("ws_2", "web_search", {"type": "open_page", "url": "https://lantern.example/wick"}),
            RecordedCall("call_4", "tool_search", {"query": "lamp tools", "limit": 2}),
            RecordedResult("call_4", ""),
            RecordedCall("call_5", "mcp__lamp.light", {}),
            Broken(28, NO_JSON),
            Rewind(1, lost=("call_1", "call_2", "call_3", "call_4")),
            Resume("session_meta_again"),
            Prompt("And the glass?"),
            Compaction("replacement_history"),
            CompactionSummary("And the glass?"),
            Window(12000),
            Usage(200, 50, 0, 10),
            Compaction("summary"),
            CompactionSummary("The glass is clean."),
            RecordedCall("call_6", "exec_command", {"cmd": "make glass"}),
            RecordedResult("call_6", head.format("d4e5f6", 2, 2) + "no sand\n", True, 100, ("data:",)),
            RecordedCall("call_7", "write_stdin", {"session_id": 7, "chars": ""}),
            SessionEnd(47),
        ]
        self.assertEqual(substance(events_in("two-sessions.jsonl")), expected)

    def test_only_types_that_no_release_is_known_to_write_are_reported_as_unknown(self) -> None:
        skipped = [event for event in events_in("two-sessions.jsonl") if isinstance(event, Skipped)]
        unknown = [event.kind for event in skipped if not event.known]
        self.assertEqual(unknown, ["response_item/hologram", "event_msg/lamp_lit", "world"])
        self.assertIn(Skipped("event_msg/turn_aborted", known=True), skipped)

    def test_a_program_is_one_call_with_its_text_as_recorded(self) -> None:
        expected: list[Event] = [
            SessionStart("lantern-2", "0.144.0", "/toy/lantern", "2026-02-03T09:59:59.000Z"),
            Instruction("system", "You keep lanterns."),
            Prompt("Read the wick."),
            RecordedCall("call_1", "exec", '// @exec: {"yield_time_ms": 1000}\n' + PROGRAM),
            RecordedResult("call_1", "Script completed\nWall time 0.2 seconds\nOutput:\nlength = 3\n", head=47),
            RecordedCall("call_2", "exec", PROGRAM),
            RecordedResult("call_2", "Script failed\nWall time 0.1 seconds\nOutput:\nno such file\n", True, 44),
            RecordedCall("call_3", "wait", {"cell_id": "1"}),
            RecordedResult("call_3", "done", failed=True),
            SessionEnd(9),
        ]
        self.assertEqual(substance(events_in("programs.jsonl")), expected)

    def test_an_early_file_without_events_is_read_from_its_items(self) -> None:
        output = "Exit code: 1\nWall time: 0 seconds\nTotal output lines: 1\nOutput:\nno lamps"
        expected: list[Event] = [
            SessionStart("lantern-3", "0.30.0", "/toy/lantern", "2026-02-03T10:00:01.000Z"),
            Instruction("rules", "Trim the wick first."),
            Prompt("Count the lamps."),
            RecordedCall("call_1", "local_shell", {"type": "exec", "command": ["bash", "-lc", "ls lamps"]}),
            RecordedResult("call_1", output, failed=True, head=len(output) - len("no lamps")),
            AssistantMessage("There are none."),
            Prompt("Then light one."),
            SessionEnd(9),
        ]
        self.assertEqual(substance(events_in("items-only.jsonl")), expected)

    def test_the_first_releases_wrote_the_same_without_an_envelope(self) -> None:
        expected: list[Event] = [
            SessionStart("lantern-4", "", "", "2025-07-01T08:00:00.000Z"),
            Prompt("Count the lamps."),
            RecordedCall("call_1", "shell", {"command": ["ls"]}),
            RecordedResult("call_1", "lamp\n", failed=True),
            AssistantMessage("One."),
            SessionEnd(8),
        ]
        events = events_in("bare.jsonl")
        self.assertEqual(substance(events), expected)
        self.assertTrue(all(event.known for event in events if isinstance(event, Skipped)))

    def test_every_fixture_is_recognized_by_this_format_alone(self) -> None:
        for path in sorted(FIXTURES.iterdir()):
            with self.subTest(path.name), open(path, "rb") as stream:
                head = head_of(stream)
                self.assertEqual([item.id for item in FORMATS if item.recognizes(head)], ["codex"])

    def test_a_header_of_another_format_is_not_recognized(self) -> None:
        bare = {"id": "s", "timestamp": "t", "instructions": None}
        for record, recognized in (
            (bare, True),
            ({**bare, "type": "session"}, False),
            ({**bare, "timestamp": 5}, False),
        ):
            self.assertEqual(CODEX.recognizes(Head(b"", (record,))), recognized)
        for kind, payload, recognized in (("event_msg", {}, True), ("event_msg", 5, False), ("event", {}, False)):
            self.assertEqual(CODEX.recognizes(Head(b"", ({"type": kind, "payload": payload},))), recognized)


class SaidTwice(unittest.TestCase):
    def test_an_item_and_its_event_are_one_in_either_order(self) -> None:
        item, event = message("user", "Go."), screen("user_message", message="Go.")
        for records in ([item, event], [event, item]):
            self.assertEqual(read([*records, call("c")]), [Prompt("Go."), RecordedCall("c", "ls", {})])

    def test_the_same_words_typed_twice_are_two_prompts(self) -> None:
        item, event = message("user", "Go."), screen("user_message", message="Go.")
        self.assertEqual(read([item, event, item, event]), [Prompt("Go.")] * 2)

    def test_an_item_that_is_no_prompt_stays_none_in_a_file_with_events(self) -> None:
        records = [screen("user_message", message="Go."), call("c"), message("user", "<skill_v9>\nwords"), call("d")]
        self.assertEqual([type(event) for event in read(records)], [Prompt, RecordedCall, RecordedCall])

    def test_words_wait_until_the_conversation_goes_on(self) -> None:
        records = [message("user", "Go."), screen("task_started"), message("assistant", "Yes."), call("c")]
        expected = [Prompt("Go."), AssistantMessage("Yes."), RecordedCall("c", "ls", {})]
        self.assertEqual(read(records), expected)

    def test_what_both_sides_said_keeps_its_order(self) -> None:
        records = [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d")]
        expected = [Prompt("a"), AssistantMessage("b"), Prompt("c"), AssistantMessage("d")]
        self.assertEqual(read(records), expected)
        records = [message("assistant", "b"), screen("user_message", message="c"), message("assistant", "d")]
        self.assertEqual(read(records), expected[1:])

    def test_words_that_wait_are_reported_before_whatever_follows(self) -> None:
        followers = {
            "a call": call("c"),
            "a result": ("response_item", {"type": "function_call_output", "call_id": "c", "output": ""}),
            "a compaction": ("compacted", {"message": "s"}),
            "a rewind": screen("thread_rolled_back", num_turns=1),
            "the end": screen("turn_aborted"),
        }
        for name, follower in followers.items():
            with self.subTest(name):
                self.assertEqual(read([message("user", "Go."), follower])[0], Prompt("Go."))
                self.assertEqual(read([message("assistant", "Yes."), follower])[0], AssistantMessage("Yes."))
        header = ("session_meta", {"id": "s"})
        self.assertEqual(read([header, message("user", "Go."), header]), [Prompt("Go."), Resume("session_meta_again")])

    def test_an_event_that_repeats_an_item_is_not_reported_again(self) -> None:
        records = [
            message("user", "Go."),
            message("assistant", "Yes."),
            call("c"),
            screen("agent_message", message="Yes."),
            screen("agent_message", message="Yes."),
        ]
        self.assertEqual(
            read(records),
            [Prompt("Go."), AssistantMessage("Yes."), RecordedCall("c", "ls", {}), AssistantMessage("Yes.")],
        )

    def test_no_more_than_a_few_words_wait(self) -> None:
        records = [message("user", str(number)) for number in range(100)]
        self.assertEqual(read(records), [Prompt(str(number)) for number in range(100)])
        # So many were reported before the event came: it cannot take them back.
        event = screen("user_message", message="typed")
        self.assertEqual(len(read([*records[:65], event])), 66)
        self.assertEqual(read([*records[:64], event]), [Prompt("typed")])


class Prompts(unittest.TestCase):
    def test_what_the_harness_injected_is_no_prompt(self) -> None:
        injected = (
            "<environment_context>x",
            "\n<turn_aborted>\nx",
            "<skill>\n<name>x",
            "<user_shell_command>x",
            "<subagent_notification>x",
        )
        for words in injected:
            with self.subTest(words):
                self.assertEqual(read([message("user", words), call("c")]), [RecordedCall("c", "ls", {})])
                self.assertEqual(read([screen("user_message", message=words)]), [])

    def test_events_of_an_injected_kind_are_no_prompts_but_tell_that_there_are_events(self) -> None:
        injected = screen("user_message", message="cwd", kind="environment_context")
        records = [injected, message("user", "Go."), screen("user_message", message="Go.", kind="plain"), call("c")]
        self.assertEqual(read(records), [Prompt("Go."), RecordedCall("c", "ls", {})])
        self.assertEqual(read([injected, message("user", "Go."), call("c")]), [RecordedCall("c", "ls", {})])

    def test_typed_parts_beside_injected_ones_are_the_prompt(self) -> None:
        records = [message("user", RULES, "<environment_context>x", "Go ", "on.")]
        self.assertEqual(read(records), [Instruction("rules", RULES), Prompt("Go on.")])

    def test_words_that_only_mention_a_tag_are_typed(self) -> None:
        words = "What is <environment_context>?"
        self.assertEqual(read([message("user", words)]), [Prompt(words)])
        self.assertEqual(read([message("user", "<skills> are what?")]), [Prompt("<skills> are what?")])


class Instructions(unittest.TestCase):
    def test_the_same_rules_in_another_frame_are_not_reported_again(self) -> None:
        frames = ("keep", f"# AGENTS.md instructions for /a\n\n<INSTRUCTIONS>\n{'keep'}\n</INSTRUCTIONS>")
        for first, second in (frames, frames[::-1]):
            turns = [("turn_context", {"user_instructions": words}) for words in (first, second)]
            self.assertEqual(read(turns), [Instruction("rules", first)])

    def test_changed_instructions_are_reported(self) -> None:
        records = [message("developer", "one", "two"), message("developer", "one", "three")]
        self.assertEqual(read(records), [Instruction("system", words) for words in ("one", "two", "three")])

    def test_a_frame_full_of_white_space_takes_no_time(self) -> None:
        words = "# AGENTS.md instructions" + " " * 200_000 + "\n" + " \n" * 100_000 + "</INSTRUCTIONS>" * 1000
        self.assertEqual(read([message("user", words)]), [Instruction("rules", words)])


class Tokens(unittest.TestCase):
    def test_the_same_total_again_is_no_new_request(self) -> None:
        records = [token_count(5, 4), token_count(5, 4), token_count(9, 4), token_count(5, 4)]
        self.assertEqual(read(records), [Usage(4, 0, 0, 1)] * 3)

    def test_an_estimate_after_a_compaction_is_no_request(self) -> None:
        self.assertEqual(read([token_count(5, 0)]), [])

    def test_cached_tokens_are_part_of_the_prompt(self) -> None:
        self.assertEqual(read([token_count(1, 5, cached=4)]), [Usage(5, 4, 0, 1)])
        self.assertEqual(read([token_count(1, 5, cached=9)]), [Usage(5, 5, 0, 1)])

    def test_a_window_is_reported_when_it_changes(self) -> None:
        windows = [screen("task_started", model_context_window=size) for size in (7, 7, 0, None, 8, 7)]
        self.assertEqual(read(windows), [Window(7), Window(8), Window(7)])


class Compactions(unittest.TestCase):
    def test_the_summary_is_what_was_left_of_the_conversation(self) -> None:
        history = [
            {"role": "developer", "content": [{"text": "instructions"}]},
            {"role": "user", "content": [{"text": RULES}, {"text": "typed"}]},
            {"role": "assistant", "content": "said"},
            {"role": "user", "content": 5},
            {"type": "compaction", "encrypted_content": "x"},
            6,
        ]
        kept = ("compacted", {"message": "m", "replacement_history": history})
        self.assertEqual(read([kept]), [Compaction("replacement_history"), CompactionSummary("typed\nsaid")])

    def test_without_such_words_the_message_is_the_summary(self) -> None:
        for history, kind in ((None, "summary"), (5, "summary"), ([], "replacement_history")):
            record = ("compacted", {"message": "m", "replacement_history": history})
            self.assertEqual(read([record]), [Compaction(kind), CompactionSummary("m")])
        self.assertEqual(read([("compacted", {})]), [Compaction("summary")])

    def test_results_in_the_history_that_replaces_the_conversation_are_kept(self) -> None:
        history = [
            {"type": "function_call", "call_id": "a"},
            {"type": "function_call_output", "call_id": "b", "output": "x"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": None},
            {"type": "function_call_output", "call_id": 7, "output": "x"},
            {"type": "function_call_output", "output": "x"},
            ["output"],
        ]
        (compaction,) = read([("compacted", {"replacement_history": history})])
        self.assertEqual(compaction, Compaction("replacement_history", kept=("b", "c")))


def result(name: str) -> tuple[str, Any]:
    return "response_item", {"type": "function_call_output", "call_id": name, "output": "x"}


class Headers(unittest.TestCase):
    def boundaries(self, *records: tuple[str, Any]) -> list[Event]:
        return [event for event in read([header("s"), *records]) if isinstance(event, (Reset, Resume))]

    def test_a_header_is_a_resume_only_if_something_was_said_since_the_last_one(self) -> None:
        again = header("s")
        quiet = [("turn_context", {}), screen("task_started"), screen("thread_settings_applied"), ("compacted", {})]
        for between, number in (
            ([], 0),
            (quiet, 0),
            ([screen("user_message", message="Go.")], 1),
            ([message("user", "Go.")], 1),
            ([message("user", "<environment_context>x")], 0),
            ([screen("agent_message", message="Yes.")], 1),
            ([call("c")], 1),
            ([result("c")], 1),
        ):
            with self.subTest(between=between):
                resume = [Resume("session_meta_again")]
                self.assertEqual(self.boundaries(*between, again), resume * number)
                self.assertEqual(self.boundaries(*between, again, *quiet, again, again), resume * number)
                self.assertEqual(self.boundaries(*between, again, *between, again), resume * (2 * number))

    def test_a_header_of_another_session_is_a_reset_and_so_is_the_way_back(self) -> None:
        other = Reset("other_session")
        self.assertEqual(self.boundaries(header("t")), [other])
        self.assertEqual(self.boundaries(header("t"), header("t"), header("s"), header("s")), [other, other])
        self.assertEqual(self.boundaries(call("c"), header("")), [Resume("session_meta_again")])

    def test_a_fork_is_one_however_often_its_origin_is_named(self) -> None:
        fork, again = Reset("start:fork"), Resume("session_meta_again")
        start = header("s", forked_from_id="o")
        records = [header("o"), call("c"), header("o"), call("d"), header("s"), call("e"), header("o")]
        records += [call("f"), header("")]  # One without a name is of the session that it is in.
        found = [event for event in read([start, *records]) if isinstance(event, (Reset, Resume))]
        self.assertEqual(found, [fork, again, again, again, again])
        self.assertEqual(self.boundaries(header("o")), [Reset("other_session")], "where no fork is named")


class RolledBack(unittest.TestCase):
    def rewinds(self, *records: tuple[str, Any]) -> list[Event]:
        return [event for event in read([header("s"), *records]) if isinstance(event, Rewind)]

    def prompts(self, *names: str) -> list[tuple[str, Any]]:
        return [record for name in names for record in (screen("user_message", message=name), call(name), result(name))]

    def test_so_many_prompts_are_taken_back_with_what_followed(self) -> None:
        for number, lost in ((1, ("c",)), (2, ("c", "b")), (3, ("c", "b", "a")), (9, ("c", "b", "a"))):
            back = screen("thread_rolled_back", num_turns=number)
            self.assertEqual(self.rewinds(*self.prompts("a", "b", "c"), back), [Rewind(number, lost)])

    def test_what_was_taken_back_is_not_counted_again(self) -> None:
        back = screen("thread_rolled_back", num_turns=1)
        records = [*self.prompts("a", "b", "c"), back, *self.prompts("d"), back, back]
        self.assertEqual([event.lost for event in self.rewinds(*records)], [("c",), ("d",), ("b",)])

    def test_over_a_compaction_what_it_took_is_back(self) -> None:
        kept = ("compacted", {"replacement_history": [{"call_id": "b", "output": "x"}]})
        for number, lost, restored in ((1, ("c",), ()), (2, ("c", "b"), ("a",)), (3, ("c", "b", "a"), ())):
            back = screen("thread_rolled_back", num_turns=number)
            (rewind,) = self.rewinds(*self.prompts("a", "b"), kept, *self.prompts("c"), back)
            self.assertEqual(rewind, Rewind(number, lost, restored))

    def test_what_came_before_a_compaction_is_not_back_behind_it(self) -> None:
        records = [*self.prompts("a"), ("compacted", {}), call("b"), result("b"), *self.prompts("c"), ("compacted", {})]
        (rewind,) = self.rewinds(*records, *self.prompts("d"), screen("thread_rolled_back", num_turns=2))
        self.assertEqual(rewind, Rewind(2, ("d", "c"), ("b",)))

    def test_a_number_that_is_none_takes_back_nothing(self) -> None:
        for number in (None, -1, "1", 1.5, True, [1], 0):
            back = screen("thread_rolled_back", num_turns=number)
            self.assertEqual(self.rewinds(*self.prompts("a"), back), [])


class Results(unittest.TestCase):
    def result(self, output: Any) -> RecordedResult:
        return tool_result({"call_id": "c", "output": output})

    def test_the_head_ends_behind_its_last_line(self) -> None:
        for head in (
            "Chunk ID: 1a\nWall time: 0.1 seconds\nProcess running with session ID 4\nOutput:\n",
            "Command: /bin/sh -c ls\nChunk ID: 1a\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\n",
            "Command: cat <<X\nOutput:\nX\nChunk ID: 1a\nWall time: 0.1 seconds\nOutput:\n",
            "Wall time: 0.1 seconds\nOutput:\n",
            "Exit code: 0\nWall time: 3 seconds\nOutput:\r\n",
            "Script running with cell ID 3\nWall time 0.1 seconds\nOutput:\n",
        ):
            for body in ("", "words\nOutput:\nmore", "\n"):
                self.assertEqual(self.result(head + body), RecordedResult("c", head + body, head=len(head)))
        self.assertEqual(self.result("Wall time: 1 seconds\nOutput:").head, 28)

    def test_one_image_without_a_list_around_it_is_an_image(self) -> None:
        for output in (
            {"type": "input_image", "image_url": "data:a"},
            [{"type": "input_image", "image_url": "data:a"}],
        ):
            self.assertEqual(self.result(output), RecordedResult("c", "", images=("data:a",)))

    def test_an_output_that_looks_like_a_head_has_none(self) -> None:
        for text in (
            "",
            "Output:\nwords",
            "x\nWall time: 1 seconds\nOutput:\n",
            "Chunk ID: 1a\nOutput:\n",
            "Exit code: 0\nWall time: 3 seconds\nmy own words\nOutput:\n",
            "Wall time: 3 seconds\n",
        ):
            self.assertEqual(self.result(text), RecordedResult("c", text))

    def test_failures_are_recognized_by_exit_code_or_by_the_harness(self) -> None:
        head = "Chunk ID: 1a\nWall time: 0.1 seconds\nProcess exited with code {}\nOutput:\n"
        for output, failed in (
            (head.format(0), False),
            (head.format(1), True),
            (head.format(-1), True),
            ("Command: cat <<X\nExit code: 3\nX\n" + head.format(0), False),
            ('{"output": "failed to parse function arguments", "metadata": {"exit_code": 0}}', False),
            ('{"output": "x", "metadata": {"exit_code": 2}}', True),
            ("apply_patch verification failed: no such line", True),
            ("write_stdin failed: no such process", True),
            ("the build failed", False),
            ({"content": "x", "success": True}, False),
            ({"content": "x", "success": False}, True),
        ):
            self.assertEqual(self.result(output).failed, failed, output)

    def test_json_that_a_tool_printed_is_its_output(self) -> None:
        wrapped = '{"output": "x", "metadata": {}'
        for text in ('{"output": "x"}', wrapped + ', "more": 1}', wrapped + "} y"):
            self.assertEqual(self.result(text), RecordedResult("c", text))

    def test_images_are_those_of_its_parts(self) -> None:
        image = {"type": "input_image", "image_url": "data:a"}
        for output, images in (
            ([image, {"text": "x"}, image], ("data:a", "data:a")),
            ({"content_items": [image]}, ("data:a",)),
            ([{"type": "input_image"}, {"type": "input_image", "image_url": {"url": "b"}}], ("", "b")),
            ([{"type": "output_image", "file_id": "f"}, "image", None, 7], ("f",)),
            ("input_image", ()),
        ):
            self.assertEqual(self.result(output).images, images)

    def test_outputs_of_any_shape(self) -> None:
        self.assertEqual(self.result([{"text": "a"}, "b", {"text": 3}, {"text": "c"}]).text, "ac")
        self.assertEqual(self.result({"content_items": [{"text": "a"}]}).text, "a")
        for output in (None, 4, True, {}, [], [None], {"content": 5}):
            self.assertEqual(self.result(output), RecordedResult("c", ""))


class Calls(unittest.TestCase):
    def test_arguments_are_the_object_inside_the_text_or_the_text(self) -> None:
        for text, expected in (
            ('{"a": 1}', {"a": 1}),
            (' {"a": 1}', {"a": 1}),
            ('{"a": 1', '{"a": 1'),
            ("[1]", "[1]"),
            ("5", "5"),
            ("", ""),
            ('{"a":' * 200_000, '{"a":' * 200_000),
        ):
            payload = {"type": "function_call", "name": "t", "arguments": text, "call_id": "c"}
            self.assertEqual(read([("response_item", payload)]), [RecordedCall("c", "t", expected)])

    def test_a_call_without_arguments_has_none(self) -> None:
        for fields in ({}, {"arguments": None}, {"arguments": "{}"}):
            payload = {"type": "function_call", "name": "t", "call_id": "c", **fields}
            self.assertEqual(read([("response_item", payload)]), [RecordedCall("c", "t", {})])

    def test_a_call_type_that_is_not_known_yet_is_a_call(self) -> None:
        payload = {"type": "polish_call", "id": "p", "action": {"lamp": 1}}
        self.assertEqual(read([("response_item", payload)]), [RecordedCall("p", "polish", {"lamp": 1})])

    def test_a_picture_that_was_made_is_the_result_of_its_call(self) -> None:
        for picture, images in (("AAAA", [("AAAA",)]), ("", []), (None, []), ({"data": "AAAA"}, [])):
            payload = {"type": "image_generation_call", "id": "i", "result": picture}
            found = read([("response_item", payload)])
            self.assertEqual([event.images for event in found if isinstance(event, RecordedResult)], images)
            self.assertEqual(sum(isinstance(event, RecordedCall) for event in found), 1)
        self.assertEqual(len(read([("response_item", {"type": "polish_call", "id": "p", "result": "AAAA"})])), 1)

    def test_a_function_call_without_a_name_is_reported(self) -> None:
        for payload in ({"type": "function_call"}, {"type": "custom_tool_call", "name": 3}):
            (event,) = read([("response_item", payload)])
            self.assertIsInstance(event, Broken)


class Damage(unittest.TestCase):
    def assert_whole(self, content: bytes, hint: str) -> None:
        events = list(CODEX.read(io.BytesIO(content)))
        kinds = [type(event) for event in events]
        self.assertEqual((kinds[0], kinds[-1]), (SessionStart, SessionEnd), hint)
        self.assertEqual(kinds.count(SessionStart) + kinds.count(SessionEnd), 2, hint)

    def test_any_field_may_hold_anything(self) -> None:
        seed = 20260203
        source = random.Random(seed)
        values: tuple[Any, ...] = (None, True, 0, -1, 1e300, 10**30, "", "\x00", [], {}, [[]], [{"text": []}], {"a": 1})
        for path in sorted(FIXTURES.iterdir()):
            records = [line for line in path.read_bytes().split(b"\n") if line.startswith(b"{")]
            for _ in range(60):
                position = source.randrange(len(records))
                try:
                    record = json.loads(records[position])
                except ValueError:
                    continue
                place = record
                while True:
                    key = sorted(place)[source.randrange(len(place))]
                    if isinstance(place[key], dict) and place[key] and source.random() < 0.8:
                        place = place[key]
                        continue
                    place[key] = values[source.randrange(len(values))]
                    break
                changed = [*records[:position], json.dumps(record).encode(), *records[position + 1 :]]
                self.assert_whole(b"\n".join(changed), f"seed {seed}, {path.name}: {json.dumps(record)}")

    def test_a_file_cut_off_anywhere_is_read(self) -> None:
        content = (FIXTURES / "bare.jsonl").read_bytes()
        for length in range(0, len(content), 7):
            self.assert_whole(content[:length], f"{length} bytes")

    def test_what_waits_survives_a_broken_record(self) -> None:
        records = [message("user", "Go."), screen("agent_message", message=5), call("c")]
        events = read(records)
        self.assertEqual([type(event) for event in events], [Broken, Prompt, RecordedCall])

    def test_a_message_without_content_is_reported(self) -> None:
        for content in (None, 5, {}):
            (event,) = read([("response_item", {"type": "message", "role": "user", "content": content})])
            self.assertIsInstance(event, Broken)
