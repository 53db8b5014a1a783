"""What a session leaves in memory is bounded."""

import io
import json
import tracemalloc
import unittest

from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounter
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from clawvm_transcripts.formats.codex import CODEX
from clawvm_transcripts.formats.pi import PI
from clawvm_transcripts.pseudonyms import Pseudonyms
from tests.transcripts.hand_made import Hand, edit, read, run


class MemoryTest(unittest.TestCase):
    BYTES_PER_CALL = 1300  # With which calls showed a result, and which results the harness still has.

    def grown(self, calls):
        """Return the bytes that a session of so many calls, all different, holds at its end."""
        names = Pseudonyms(b"key")
        tracemalloc.start()
        try:
            converter = SessionConverter(names, Sinks(lambda view, turn: None, lambda view, observed: None))
            counter = SessionCounter()
            converter.begin_session()
            for number in range(calls // 4):
                hand = Hand(prefix=f"a-longer-prefix-of-names-{number}")
                hand.reply(
                    read(f"/srv/toy/folder/file-{number}.py", "text of a file\n" * 20),
                    run(f"python3 tool.py --number {number}", f"output {number}"),
                    edit(f"/srv/toy/folder/file-{number // 2}.py"),
                    read(f"/srv/toy/folder/file-{number // 3}.py", "lines", number % 90 + 1, number % 90 + 9),
                )
                for event in hand.events[1:]:
                    counter.add(event)
                    converter.feed(event)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    def test_what_a_call_leaves_in_memory_is_bounded(self):
        few, many = self.grown(500), self.grown(2000)
        self.assertLess((many - few) / 1500, self.BYTES_PER_CALL)


class Lines(io.RawIOBase):
    """A file whose lines are made when they are read."""

    def __init__(self, lines):
        self.lines, self.rest = lines, b""

    def readable(self):
        return True

    def readinto(self, buffer):
        self.rest = self.rest or next(self.lines, b"")
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size


def claude_code(number):
    """Return the lines of the call *number* and its result."""
    use = {"type": "tool_use", "id": f"toolu_{number:020d}", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": f"toolu_{number:020d}", "content": "text " * 100}
    line = {"sessionId": "s", "parentUuid": f"result-{number - 1:030d}", "uuid": f"call-{number:030d}"}
    yield line | {"type": "assistant", "message": {"id": f"msg_{number:020d}", "content": [use]}}
    line |= {"parentUuid": line["uuid"], "uuid": f"result-{number:030d}"}
    yield line | {"type": "user", "message": {"content": [result]}}
    if number % 5 == 0:
        line |= {"parentUuid": line["uuid"], "uuid": f"result-{number:030d}-prompt"}
        yield line | {"type": "user", "message": {"content": "Go on."}}


def codex(number):
    call = f"call_{number:020d}"
    if number == 1:
        yield {"type": "session_meta", "payload": {"id": "s"}}
    yield {
        "type": "response_item",
        "payload": {"type": "function_call", "name": "ls", "arguments": "{}", "call_id": call},
    }
    yield {
        "type": "response_item",
        "payload": {"type": "function_call_output", "call_id": call, "output": "text " * 100},
    }
    if number % 5 == 0:
        yield {"type": "event_msg", "payload": {"type": "user_message", "message": "Go on."}}


def pi(number):
    call, parent = f"call-{number:020d}", f"result-{number - 1:020d}"
    if number == 1:
        yield {"type": "session", "id": "s", "cwd": "/toys", "timestamp": ""}
    part = {"type": "toolCall", "id": call, "name": "read", "arguments": {}}
    entry = {"type": "message", "timestamp": ""}
    yield entry | {"id": call, "parentId": parent, "message": {"role": "assistant", "content": [part]}}
    result = {"role": "toolResult", "toolCallId": call, "content": "text " * 100}
    yield entry | {"id": f"result-{number:020d}", "parentId": call, "message": result}


class ReaderTest(unittest.TestCase):
    BYTES_PER_CALL = 500

    def left(self, file_format, records, calls):
        """Return the bytes that reading so many calls and their results leaves, while the file is still open."""
        lines = (json.dumps(record).encode() + b"\n" for number in range(1, calls + 1) for record in records(number))
        events = file_format.read(io.BufferedReader(Lines(lines)))
        tracemalloc.start()
        try:
            for _ in range(2 * calls):
                next(events)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    def test_what_a_reader_remembers_of_a_call_is_bounded(self):
        for file_format, records in ((CLAUDE_CODE, claude_code), (CODEX, codex), (PI, pi)):
            few, many = self.left(file_format, records, 500), self.left(file_format, records, 2000)
            with self.subTest(file_format.id):
                self.assertLess((many - few) / 1500, self.BYTES_PER_CALL)
