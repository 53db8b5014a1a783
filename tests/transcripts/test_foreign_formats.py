"""Formats that are known and not read: refused by name, none of them taken for one of ours, none of ours for them."""

import gzip
import io
import json
import random
import sqlite3
import tempfile
import unittest
from contextlib import closing
from pathlib import Path
from unittest import mock

from clawvm_transcripts import detection
from clawvm_transcripts.detection import FORMATS, HEAD, NotReadError, detect, head_of
from clawvm_transcripts.foreign_formats import FOREIGN_FORMATS
from clawvm_transcripts.formats import RECORD_ERRORS, Head, line_format
from clawvm_transcripts.reading import Source
from clawvm_transcripts.unknown_recordings import looks_recorded
from tests.support import temporary_folder
from tests.transcripts.recordings import content_of, detected, fixtures_of

SEED = 20260314

PICTURE = "QUJD" * (HEAD // 4)
"""What makes a line longer than all that is read of a file to find its format."""


def text(words):
    return {"type": "text", "text": words}


def tea(kind, **fields):
    """Return a line of Qwen Code."""
    facts = {"uuid": "t1", "parentUuid": None, "sessionId": "tea-1", "timestamp": "2026-03-01T08:00:01Z", "type": kind}
    return {**facts, "cwd": "/home/tea", "version": "0.21.1", **fields}


def said(role, *parts):
    return {"message": {"role": role, "parts": list(parts)}}


def droid(name, role, *blocks):
    message = {"role": role, "content": list(blocks)}
    return {"type": "message", "id": name, "timestamp": "2026-03-01T08:00:02Z", "message": message}


ASKED = text("Boil the water.")
POURED = {"type": "tool_use", "id": "p1", "name": "Pour", "input": {"cup": "blue"}}
FULL = {"type": "tool_result", "tool_use_id": "p1", "content": "full"}
GEMINI_HEAD = {"sessionId": "tea-1", "projectHash": "00", "startTime": "2026-03-01T08:00:00Z"}
GEMINI_ASKED = {"id": "m1", "timestamp": "2026-03-01T08:00:01Z", "type": "user", "content": [{"text": "Boil."}]}
GEMINI_REPLY = {"id": "m2", "timestamp": "2026-03-01T08:00:02Z", "type": "gemini", "content": "Boiling."}
SAVED = [{"role": "user", "parts": [{"text": "Boil."}]}, {"role": "model", "parts": [{"text": "Boiling."}]}]
QWEN_CALL = {"functionCall": {"id": "p1", "name": "pour", "args": {}}}
QWEN_RESULT = {"functionResponse": {"id": "p1", "name": "pour", "response": {"output": "full"}}}
TIME = {"created": 1785578400000}
OC_SESSION = {"id": "ses_1", "projectID": "00", "directory": "/tea", "title": "Tea", "time": TIME}
OC_MESSAGE = {"id": "msg_1", "sessionID": "ses_1", "role": "user", "time": TIME}
OC_PART = {"id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1", "type": "text", "text": "Boil."}
SURROUNDINGS = text("<environment_details>\nThe kitchen.\n</environment_details>")
STEP = {"step_id": 1, "source": "user", "message": "Boil the water."}
OH_EVENT = {"id": "e1", "timestamp": "2026-03-01T08:00:02.000000", "source": "agent", "kind": "ActionEvent"}
OH_CALL = OH_EVENT | {"action": {"kind": "PourAction"}, "tool_name": "pour", "tool_call_id": "p1"}
KIMI_PROTOCOL = {"type": "metadata", "protocol_version": "1.10"}
KIMI_TURN = {"timestamp": 1785578401.0, "message": {"type": "TurnBegin", "payload": {"user_input": "Boil."}}}
CODE_PROTOCOL = {"type": "metadata", "protocol_version": "1.4", "created_at": 1785578400000}
CODE_TURN = {"type": "turn.prompt", "input": [ASKED], "origin": {"kind": "user"}, "time": 1785578401000}
DROID_START = {"type": "session_start", "id": "tea-1", "title": "Tea", "version": 2, "cwd": "/home/tea"}
STREAMED = {"session_id": "tea-1", "timestamp": 1785578400000}

LINES = {
    "Gemini CLI": [
        [GEMINI_HEAD, GEMINI_ASKED, GEMINI_REPLY],
        [GEMINI_HEAD | {"kind": "subagent"}, {"$set": {"lastUpdated": "now"}}],
        [GEMINI_ASKED, GEMINI_REPLY],
    ],
    "Qwen Code": [
        [tea("user", **said("user", {"text": "Boil."})), tea("assistant", **said("model", QWEN_CALL))],
        [
            tea("user", **said("user", {"text": "Boil."}), isSidechain=True, agentId="tea-2"),
            tea("tool_result", **said("user", QWEN_RESULT), isSidechain=True, agentId="tea-2"),
        ],
        [tea("system", subtype="slash_command", systemPayload={"rawCommand": "/tea"}, isSidechain=False)],
    ],
    "opencode": [[{"type": "text", "timestamp": 1785578400000, "sessionID": "ses_1", "part": OC_PART}]],
    "OpenHands V1": [[OH_EVENT, OH_CALL]],
    "Kimi CLI": [
        [{"role": "_system_prompt", "content": "Be calm."}, {"role": "user", "content": [ASKED]}],
        [{"role": "user", "content": "Boil."}, {"role": "_checkpoint", "id": 1}],
        [KIMI_PROTOCOL, KIMI_TURN],
        [KIMI_PROTOCOL],
        [KIMI_TURN],
    ],
    "Kimi Code": [[CODE_PROTOCOL, CODE_TURN], [KIMI_PROTOCOL, CODE_TURN], [CODE_PROTOCOL], [CODE_TURN]],
    "Factory Droid": [
        [DROID_START, droid("d1", "user", ASKED)],
        [droid("d1", "user", ASKED), droid("d2", "assistant", POURED), droid("d3", "user", FULL)],
        [STREAMED | {"type": "message", "role": "user", "text": "Boil."}],
        [STREAMED | {"type": "tool_call", "toolName": "Pour", "parameters": {}}],
        [{"type": "completion", "sessionId": "tea-1", "finalText": "Done."}],
    ],
}
"""Files of JSON lines of every format that has them."""

DOCUMENTS = {
    "Gemini CLI": [GEMINI_HEAD | {"messages": [GEMINI_ASKED, GEMINI_REPLY]}, SAVED, {"history": SAVED}],
    "Qwen Code": [{"agentId": "tea-2", "agentType": "Cook", "parentSessionId": "tea-1", "toolUseId": "p1"}],
    "opencode": [
        {"info": OC_SESSION, "messages": [{"info": OC_MESSAGE, "parts": [OC_PART]}]},
        OC_SESSION,
        OC_MESSAGE,
        OC_PART,
    ],
    "Cline": [
        [{"role": "user", "content": [text("<task>\nBoil.\n</task>"), SURROUNDINGS]}],
        [{"role": "user", "content": "[pour for 'the cup'] Result:\nfull"}],
        [{"role": "user", "content": "Boil."}, {"role": "assistant", "content": [POURED], "modelInfo": {}}],
        [{"role": "assistant", "content": [POURED], "metrics": {}, "ts": 1785578400000}],
        [{"ts": 1785578400000, "type": "say", "say": "text", "text": "Boil."}],
        {"version": 1, "sessionId": "tea-1", "messages": [{"role": "assistant", "content": [], "metrics": {}}]},
    ],
    "Roo Code (Kilo Code)": [
        [{"role": "user", "content": [text("<user_message>\nBoil.\n</user_message>"), SURROUNDINGS]}],
        [{"role": "user", "content": [text("<task>\nBoil.\n</task>")], "ts": 1785578400000}],
        [{"role": "user", "content": "It boils.", "isSummary": True, "condenseId": "c1"}],
        [{"ts": 1785578400000, "type": "say", "say": "condense_context", "contextCondense": {}}],
        {"id": "t1", "number": 1, "ts": 1785578400000, "task": "Boil.", "tokensIn": 9, "workspace": "/home/tea"},
    ],
    "Harbor ATIF": [{"schema_version": "ATIF-v1.6", "agent": {"name": "terminus-2"}, "steps": [STEP]}],
    "OpenHands V1": [
        OH_EVENT,
        [OH_CALL, OH_EVENT],
        {"id": "t1", "agent": {"kind": "Agent"}, "workspace": {"kind": "Kitchen"}, "execution_status": "finished"},
    ],
    "Kimi Code": [{"title": "Tea", "agents": {"main": {"homedir": "agents/main", "type": "main"}}, "workDir": "/tea"}],
}
"""Files that are one JSON document."""


def recordings():
    """Yield the title of a format and the content of a file in it; documents in one line, and over many."""
    for title, files in LINES.items():
        for records in files:
            yield title, b"".join(json.dumps(record).encode() + b"\n" for record in records)
    for title, documents in DOCUMENTS.items():
        for document in documents:
            yield title, json.dumps(document).encode()
            yield title, json.dumps(document, indent=2).encode() + b"\n"


def database(*tables):
    """Return the bytes of a database with *tables*."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.sqlite")
        with closing(sqlite3.connect(path)) as made:
            made.executescript("".join(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, data TEXT);" for table in tables))
        return path.read_bytes()


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder(self)

    def refusal(self, content, name="notes.txt"):
        path = self.folder / name
        path.write_bytes(content)
        with self.assertRaises(NotReadError) as caught:
            detect(Source(path))
        return caught.exception

    def test_every_format_of_the_table_has_an_example(self):
        titles = [item.title for item in FOREIGN_FORMATS]
        self.assertEqual(len(titles), len(set(titles)))
        self.assertEqual(set(titles), LINES.keys() | DOCUMENTS.keys())

    def test_a_recording_is_refused_by_its_name_whatever_the_file_is_called(self):
        for title, content in recordings():
            for packed in (content, gzip.compress(content), b"\xef\xbb\xbf" + content):
                with self.subTest(title, content=content):
                    error = self.refusal(packed)
                    self.assertEqual(error.reason, f"{title}: not supported yet")
                    self.assertTrue(error.recording)

    def test_one_format_alone_recognizes_it_and_none_of_those_that_are_read(self):
        for title, content in recordings():
            with self.subTest(title, content=content):
                self.assertEqual(detected(content), [title])

    def test_a_damaged_first_line_hides_nothing(self):
        for title, files in LINES.items():
            records = max(files, key=len)
            content = "".join(json.dumps(record) + "\n" for record in [records[0], *records]).encode()
            with self.subTest(title):
                self.assertEqual(detected(content[len(content) // 8 :]), [title])

    def test_a_file_whose_first_message_is_longer_than_the_head(self):
        picture = {"type": "image", "source": {"data": PICTURE}}
        inline = {"inlineData": {"data": PICTURE}}
        messages = [{"role": "user", "content": [text("<task>\nBoil.\n</task>"), picture]}]
        cases = [
            ("Gemini CLI", GEMINI_HEAD | {"messages": [GEMINI_ASKED | {"content": [inline]}]}),
            ("Cline", messages),
            ("Roo Code (Kilo Code)", [{"ts": 1785578400000, **messages[0]}]),
            ("opencode", {"info": OC_SESSION, "messages": [{"info": OC_MESSAGE, "parts": [{"url": PICTURE}]}]}),
            ("Harbor ATIF", {"schema_version": "ATIF-v1.6", "steps": [STEP | {"message": PICTURE}]}),
        ]
        for title, document in cases:
            with self.subTest(title):
                self.assertEqual(detected(json.dumps(document).encode()), [title])

    def test_what_cannot_be_named_for_its_length_is_still_a_recording_and_never_one_of_ours(self):
        for kind in ("user", "assistant", "tool_result"):
            line = tea(kind, **said("user", {"inlineData": {"data": PICTURE}}))
            content = json.dumps(line).encode() + b"\n"
            self.assertEqual(detected(content), [])
            self.assertTrue(self.refusal(content).recording)

    def test_records_of_others_that_look_alike_are_in_no_known_format(self):
        for record in (
            {"sessionId": "s", "uuid": "u", "type": "user", "message": {"role": "user", "parts": "Boil."}},
            {"sessionId": "s", "startTime": "now"},
            {"id": "m", "timestamp": "now", "type": "user", "content": "Boil."},
            {"id": "s", "directory": "/tea", "time": 5},
            {"id": "e", "timestamp": "now", "kind": "pour", "source": "pipe"},
            {"type": "completion", "session_id": "s", "text": "full"},
            {"type": "session_start", "id": "s"},
            {"type": "turn.prompt", "time": "now"},
            {"timestamp": "now", "message": {"type": "TurnBegin", "payload": {}}},
            {"schema_version": "1.5", "steps": []},
            {"ts": 5, "type": "tell", "tell": "Boil."},
            [{"role": "user", "content": "Boil."}, {"role": "assistant", "content": [POURED]}],
            [{"role": "user", "parts": []}, {"role": "cook", "parts": []}],
        ):
            with self.subTest(record):
                self.assertEqual(detected(json.dumps(record).encode() + b"\n"), [])

    def test_whoever_adds_a_reader_reads_the_format(self):
        reader = line_format("tea", "Tea", lambda head: "projectHash" in head.keys, mock.Mock())
        path = self.folder / "chat.jsonl"
        path.write_text(json.dumps(GEMINI_HEAD) + "\n")
        with mock.patch.object(detection, "FORMATS", [*FORMATS, reader]):
            self.assertIs(detect(Source(path)), reader)


class OwnFormatsTest(unittest.TestCase):
    """What each of our formats does not take."""

    def detected(self, *records):
        return detected(b"".join(json.dumps(record).encode() + b"\n" for record in records))

    def test_no_recording_of_ours_is_recognized_as_foreign(self):
        for item in FORMATS:
            for path in fixtures_of(item):
                with self.subTest(path.name, format=item.id):
                    self.assertEqual(detected(content_of(path)), [item.id])

    def test_subagents_belong_to_the_format_of_their_parents(self):
        frame = {"parentUuid": None, "isSidechain": True, "agentId": "a1", "sessionId": "s", "uuid": "u"}
        line = frame | {"type": "user", "message": {"role": "user", "content": "Boil."}}
        self.assertEqual(self.detected(line), ["claude-code"])
        source = {"subagent": {"thread_spawn": {"parent_thread_id": "t"}}}
        meta = {"timestamp": "now", "type": "session_meta", "payload": {"id": "s", "source": source}}
        self.assertEqual(self.detected(meta), ["codex"])

    def test_a_line_of_claude_code_holds_its_message_as_content(self):
        frame = {"parentUuid": None, "isSidechain": False, "sessionId": "s", "uuid": "u", "type": "assistant"}
        self.assertEqual(self.detected(frame | {"message": {"content": []}}), ["claude-code"])
        for other in ({"message": {"role": "model"}}, {"message": "Boil."}, {"message": None}):
            self.assertEqual(self.detected(frame | other), [], other)
        del frame["parentUuid"], frame["isSidechain"]
        self.assertEqual(self.detected(frame), [], "a line without a message")

    def test_messages_with_calls_of_another_kind_are_not_of_the_family_of_pi(self):
        header = {"type": "session", "version": 3, "id": "s", "cwd": "/home/tea"}
        prompt = droid("d1", "user", ASKED)
        self.assertEqual(self.detected(header, prompt), ["pi"])
        self.assertEqual(self.detected(prompt), ["pi"])
        for call in (POURED, FULL):
            self.assertEqual(self.detected(header, prompt, droid("d2", "assistant", call)), [])
            self.assertEqual(self.detected(prompt, droid("d2", "assistant", call)), ["Factory Droid"])

    def test_an_event_of_openhands_names_its_action(self):
        event = {"id": 1, "source": "agent", "action": "run", "args": {}}
        self.assertEqual(self.detected({"history": [event]}), ["openhands"])
        self.assertEqual(self.detected({"history": [event | {"action": {"kind": "PourAction"}}]}), [])

    def test_a_chat_with_some_info_is_not_of_mini_swe_agent(self):
        chat = {"messages": [{"role": "user", "content": "Boil."}]}
        self.assertEqual(self.detected({"info": {"exit_status": "Submitted"}} | chat), ["mini-swe-agent"])
        self.assertEqual(self.detected(chat | {"trajectory_format": "mini-swe-agent-1"}), ["mini-swe-agent"])
        self.assertEqual(self.detected({"info": {"title": "Tea"}} | chat), [])

    def test_a_step_of_swe_agent_has_a_command(self):
        step = {"action": "pour", "observation": "full"}
        self.assertEqual(self.detected({"trajectory": [step]}), ["swe-agent"])
        self.assertEqual(self.detected({"trajectory": [step | {"action": [0.5]}]}), [])

    def test_databases_are_distinguished_by_their_tables(self):
        self.assertEqual(detected(database("transcript_events", "notes")), ["openclaw-database"])
        self.assertEqual(detected(database("`session`", "`message`", "`part`")), ["opencode"])
        self.assertEqual(detected(database("boats")), [])

    def test_tables_that_one_page_cannot_name_are_found(self):
        others = [f"boats_of_{'a long ' * 20}name_{number}".replace(" ", "_") for number in range(100)]
        self.assertEqual(detected(database(*others)), [])
        for place in (0, 50, 100):
            tables = [*others[:place], "transcript_events", *others[place:]]
            self.assertEqual(detected(database(*tables)), ["openclaw-database"])

    def test_a_database_with_tables_behind_the_head_may_be_ours(self):
        content = database(*(f"boats_of_{'many_' * 40}{number}" for number in range(100)))
        with mock.patch.object(detection, "HEAD", 8192):
            self.assertEqual(detected(content), ["openclaw-database"])


class AnyValueTest(unittest.TestCase):
    """Recognizers raise nothing: the fields that they look at hold whatever there is in JSON."""

    def setUp(self):
        self.chance = random.Random(SEED)
        deep = "bottom"
        for _ in range(20_000):
            deep = [deep]
        words = ["user", "message", "metadata", "session", "say", "clawvm.tea", "", "\ufffd"]
        numbers = [0, -1, 0.5, 10**30, float("inf")]
        self.values = [None, True, *numbers, *words, [], {}, [None], [[]], [{}], ["user"], {"type": ["user"]}, deep]

    def changed(self, value):
        """Return *value* with other things at some places in it."""
        if self.chance.random() < 0.1:
            return self.chance.choice(self.values)
        if isinstance(value, dict):
            return {key: self.changed(item) for key, item in value.items()}
        return [self.changed(item) for item in value] if isinstance(value, list) else value

    def objects(self, items):
        return tuple(item for item in map(self.changed, items[:8]) if isinstance(item, dict))

    def test_whatever_the_fields_hold(self):
        ours = (content_of(path) for item in FORMATS for path in fixtures_of(item))
        heads = [head_of(io.BytesIO(content)) for content in (*ours, *(content for _, content in recordings()))]
        judges = [item.recognizes for item in (*FORMATS, *FOREIGN_FORMATS)] + [looks_recorded]
        for number, head in enumerate(heads * 20):
            values = {key: self.changed(value) for key, value in head.values.items()}
            lists = {key: self.objects(items) or ({},) for key, items in head.lists.items()}
            changed = Head(head.start[:100], self.objects(head.records), head.keys, values, lists)
            for judge in judges:
                try:
                    self.assertIsInstance(judge(changed), bool)
                except RECORD_ERRORS as error:
                    raise AssertionError(f"seed {SEED}, head {number}: {judge}: {error!r:.200}") from error


class FewBytesTest(unittest.TestCase):
    def test_databases_of_few_bytes_raise_nothing(self):
        content = database("transcript_events", "boats")
        for length in (16, 17, 99, 100, 104, 511, 512, 4095, 4096):
            head = head_of(io.BytesIO(content[:length]))
            self.assertLessEqual(len([item for item in (*FORMATS, *FOREIGN_FORMATS) if item.recognizes(head)]), 1)
