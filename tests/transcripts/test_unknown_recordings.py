"""A file in no known format: a recorded session, or any other file."""

import gzip
import json
import pickle
import unittest
from pathlib import Path

from clawvm_transcripts.detection import FORMATS, HEAD, NotReadError, detect
from clawvm_transcripts.output import Job, convert
from clawvm_transcripts.reading import Source
from tests.support import ROOT, temporary_folder
from tests.transcripts.recorded_files import recording

KNOWN = tuple(item.title for item in FORMATS)

ASKED = {"role": "user", "content": "Boil the water."}
SAID = {"role": "assistant", "content": [{"type": "text", "text": "It boils."}]}


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def pretty(document):
    return json.dumps(document, indent=2).encode() + b"\n"


RECORDINGS = {
    "messages in lines": lines(ASKED, SAID, ASKED),
    "behind a header": lines({"version": 3, "cwd": "/tea"}, ASKED, SAID),
    "a message inside each line": lines({"n": 1, "message": ASKED}, {"n": 2, "message": SAID}),
    "events of a session": lines(*({"event": "pour", "session_id": "tea-1", "n": n} for n in range(3))),
    "a stream": lines({"type": "system", "session_id": "s"}, {"type": "assistant", "message": SAID, "session_id": "s"}),
    "a stream that names its session once": lines(
        {"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"}, {"type": "item.started", "item": {}}
    ),
    "calls and results": lines({"type": "tool_call", "name": "pour"}, {"type": "tool_result", "output": "full"}),
    "calls and results by their names": lines({"name": "pour", "call_id": "p"}, {"output": "full", "call_id": "p"}),
    "speakers": lines({"from": "human", "value": "Boil."}, {"from": "bot", "value": "It boils."}),
    "a torn first line": b'll the water."}\n' + lines(ASKED, SAID, SAID),
    "torn lines among others": lines(ASKED) + b'{"role": "assist\n' + lines(SAID),
    "other line ends": lines(ASKED, SAID).replace(b"\n", b"\r\n"),
    "a mark of its encoding": b"\xef\xbb\xbf" + lines(ASKED, SAID),
    "a list": pretty([ASKED, SAID]),
    "a list in one line": lines([ASKED, SAID]),
    "a list in a document": pretty({"title": "Tea", "messages": [ASKED, SAID]}),
    "a list that is deeper": pretty({"chat": {"turns": [{"speaker": "user", "text": "Boil."}, SAID]}}),
    "chats": pretty([{"title": "Tea", "chat": [ASKED, SAID]}, {"title": "Cups", "chat": []}]),
    "requests in lines": lines({"request": {"messages": [ASKED, SAID]}}),
    "a first line longer than the head": lines({"role": "user", "content": "x", "data": "x" * HEAD}, SAID),
    "a document longer than the head": lines({"id": "tea", "messages": [ASKED, SAID], "data": "x" * HEAD}),
}

OTHERS = {
    "package.json": pretty(
        {
            "name": "kettle",
            "version": "1.0.0",
            "type": "module",
            "author": "user",
            "scripts": {"test": "boil"},
            "dependencies": {"water": "^1.0.0"},
        }
    ),
    "a lock file": pretty(
        {"name": "kettle", "lockfileVersion": 3, "packages": {f"node_modules/{n}": {"version": "1.0.0"} for n in "abc"}}
    ),
    "tsconfig.json": pretty({"compilerOptions": {"target": "es2022", "types": ["node"]}, "include": ["src"]}),
    "a notebook": pretty(
        {
            "cells": [
                {"cell_type": kind, "metadata": {}, "source": ["boil()\n"], "outputs": [{"output_type": "stream"}]}
                for kind in ("markdown", "code", "code")
            ],
            "nbformat": 4,
        }
    ),
    "a table": b"role,content\nuser,Boil the water.\nassistant,It boils.\n",
    "source": b'CHAT = [\n    {"role": "user", "content": "Boil."},\n    {"role": "tool", "content": "full"},\n]\n',
    "a README with an example": b"# Tea\n\nA session looks like this:\n\n```\n"
    + lines(ASKED, SAID, ASKED)
    + b"```\n\nIt is read by the kettle.\nNothing else reads it.\nIt is not long.\nNeither is this.\n",
    "a log": b"08:00:01 INFO user logged in\n08:00:02 INFO assistant started\n" * 20,
    "a log in JSON": lines(
        *({"level": "info", "timestamp": "2026-03-01T08:00:01Z", "message": "boiling", "n": n} for n in range(20))
    ),
    "a schema": pretty({"properties": {"role": {"type": "string", "enum": ["user"]}, "content": {"type": "string"}}}),
    "settings of a session": lines({"type": "telemetry", "session_id": "s"}, {"type": "end"}),
    "typed lines of no session": lines(*({"type": "boil", "n": n} for n in range(5))),
    "a map": pretty({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}}] * 3}),
    "counts": pretty({"rows": [{"session": "tea", "tool_calls": 3, "turns": 1}, {"session": "cup", "tool_calls": 4}]}),
    "a to-do list": pretty([{"content": "Boil.", "status": "pending", "id": "1"}, {"content": "Pour."}]),
    "accounts": pretty([{"name": "Ann", "role": "user"}, {"name": "Ben", "role": "system"}]),
    "typed words": lines(*({"session_id": "s", "ts": 1785578400, "text": "Boil."} for _ in range(3))),
    "facts about a subagent": pretty({"agentType": "Cook", "toolUseId": "toolu_1"}),
    "one message": pretty(ASKED),
    "settings": pretty({"model": "sample", "hooks": {"Stop": [{"type": "command", "command": "pour"}]}}),
    "numbers": lines(1, 2, 3),
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "messages in a binary file": b"\x7fELF\0\0" + lines(ASKED, SAID),
}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder(self)

    def refusal(self, path):
        with self.assertRaises(NotReadError) as caught:
            detect(Source(path))
        return caught.exception

    def refusal_of(self, content):
        path = self.folder / "kettle"
        path.write_bytes(content)
        return self.refusal(path)


class LooksRecordedTest(Folder):
    def test_a_session_in_an_unknown_format_looks_like_a_recording(self):
        for name, content in RECORDINGS.items():
            for packed in (content, gzip.compress(content)):
                with self.subTest(name):
                    error = self.refusal_of(packed)
                    self.assertEqual((error.reason, error.recording), ("is in no known format", True))

    def test_any_other_file_does_not(self):
        for name, content in OTHERS.items():
            with self.subTest(name):
                error = self.refusal_of(content)
                self.assertIn(error.reason, ("is in no known format", "is empty"))
                self.assertFalse(error.recording)


class OwnFilesTest(Folder):
    """No file that this project writes or consists of is taken for a recording."""

    def test_files_of_the_repository(self):
        folders = ("clawvm_runtime", "docs", "reference", "replay_py", "schemas", "traces", "workloads")
        paths = [*ROOT.glob("*.*"), *(path for name in folders for path in files(ROOT / name))]
        self.assertGreater(len(paths), 100)
        for path in sorted(paths):
            if path.is_file() and path.stat().st_size:
                with self.subTest(path.relative_to(ROOT)):
                    self.assertFalse(self.refusal(path).recording)

    def test_traces_are_said_to_be_our_own(self):
        for path in sorted(ROOT.glob("traces/*/*.jsonl"))[:2]:
            error = self.refusal(path)
            self.assertEqual(error.reason, "was written by ClawVM and is no recording")
            self.assertEqual(str(error), f"{path}: {error.reason}")

    def test_what_a_conversion_writes(self):
        path = recording().write(self.folder / "in.jsonl")
        out = self.folder / "out"
        convert(Job(0, (str(path),), str(out), keep_text=True))
        written = list(files(out))
        self.assertGreater(len(written), 2)
        for path in written:
            with self.subTest(path.name):
                self.assertFalse(self.refusal(path).recording)


def files(place):
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


class MessageTest(Folder):
    def test_the_message_ends_with_what_is_known_and_the_reason_is_short(self):
        error = self.refusal_of(b"Boil.\n")
        self.assertEqual(error.reason, "is in no known format")
        self.assertEqual(str(error), f"{self.folder / 'kettle'}: is in no known format; known: {', '.join(KNOWN)}")

    def test_a_refusal_survives_the_way_between_processes(self):
        for known in ((), KNOWN):
            error = NotReadError(Path("/tea/kettle"), "is empty", recording=True, known=known)
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((str(again), again.__dict__), (str(error), error.__dict__))
