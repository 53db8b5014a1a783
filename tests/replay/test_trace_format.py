"""Behaviour of the trace format: what is written reads back, and everything else is an error with its line."""

import copy
import io
import json
import math
import random
import tempfile
import tracemalloc
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay import trace_format
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.sweep import SweepCell, run_cell
from clawvm_replay.trace_format import FlushEvent, Trace, open_trace, read_trace, write_trace
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import FAMILIES

SEED = 40417
SOURCE = "small.jsonl"

HEADER = {
    "record": "header",
    "format": "clawvm.trace",
    "version": 1,
    "workload": "small",
    "budget": 100,
    "description": "d",
    "accounting": {"compaction_limit": 200, "soft_threshold": 100, "summary_tokens": 10},
}
PLAN = {
    "id": "plan",
    "type": "plan",
    "costs": {"pointer": 1, "structured": 5, "full": 9},
    "provenance": {"kind": "user", "reference": "turn-1"},
}
RESULT = {
    "id": "file",
    "type": "evidence",
    "costs": {"pointer": 2, "structured": 6, "compressed": 9, "full": 20},
    "provenance": {"kind": "tool_call", "reference": "read"},
    "base_utility": 5.0,
    "recompute_cost": 8,
}
TOOL = {
    "record": "tool",
    "tool": "read",
    "signature": 'read({"path":"a"})',
    "outcome": "ok",
    "deterministic": True,
    "arguments": {"path": "a", "timeout": 5},
    "presentation": ["timeout"],
    "page": RESULT,
}
UPDATE = {
    "page": "plan",
    "field": "notes",
    "operation": "append",
    "value": ["x"],
    "scope": "session",
    "evidence_ref": "plan",
    "principal": "agent",
    "base_version": None,
    "update_id": None,
}
FIRST = {
    "record": "turn",
    "turn": 1,
    "transcript_tokens": 120,
    "calls": [{"signature": TOOL["signature"], "level": "full"}],
    "demands": [{"page": "plan", "level": "structured"}],
    "lookups": [{"query": "q", "outcome": "denied"}],
    "updates": [UPDATE],
}
SECOND = {"record": "turn", "turn": 2, "transcript_tokens": 90}
SMALL = (
    HEADER,
    {"record": "page", "page": PLAN},
    TOOL,
    FIRST,
    {"record": "replace", "page": RESULT},
    {"record": "boundary", "boundary": "compaction"},
    {"record": "boundary", "boundary": "reset", "session": "session-2"},
    SECOND,
    {"record": "end", "turns": 2},
)


def encoded(records):
    return b"".join(json.dumps(record).encode("ascii") + b"\n" for record in records)


def read_bytes(content):
    header, turns = read_trace(io.BytesIO(content), SOURCE)
    return header, tuple(turns)


def changed(index, **fields):
    """Return the small trace with fields of one record replaced; ``...`` takes a field away."""
    records = copy.deepcopy(list(SMALL))
    for name, value in fields.items():
        if value is ...:
            del records[index][name]
        else:
            records[index][name] = value
    return records


class TraceFormatCase(unittest.TestCase):
    def assert_error(self, content, line, fragment=""):
        if not isinstance(content, bytes):
            content = encoded(content)
        with self.assertRaises(TraceError) as caught:
            read_bytes(content)
        error = caught.exception
        self.assertEqual(error.source, SOURCE)
        self.assertEqual(error.line, line, str(error))
        self.assertIn(fragment, error.message)
        self.assertTrue(str(error).startswith(f"{SOURCE}:{line}: "))
        self.assertNotIn("\n", str(error))


class RoundTripTest(TraceFormatCase):
    def test_every_family_reads_back_as_it_was_written(self):
        for name, family in FAMILIES.items():
            with self.subTest(family=name):
                trace = family(180)
                lines = list(write_trace(trace.header, trace.turns))
                header, turns = read_bytes("".join(lines).encode("ascii"))
                self.assertEqual(header, trace.header)
                self.assertEqual(list(write_trace(header, turns)), lines)
                self.assertEqual([turn.events_before for turn in turns], [turn.events_before for turn in trace.turns])

    def test_every_kind_of_record_survives(self):
        header, turns = read_bytes(encoded(SMALL))
        again = "".join(write_trace(header, turns)).encode("ascii")
        header_again, turns_again = read_bytes(again)
        self.assertEqual(header, header_again)
        for turn, same in zip(turns, turns_again, strict=True):
            self.assertEqual(turn, same)
        self.assertEqual("".join(write_trace(header_again, turns_again)).encode("ascii"), again)

    def test_a_flush_stays_where_it_was(self):
        records = [*SMALL[:4], {"record": "flush"}, *SMALL[4:]]
        header, turns = read_bytes(encoded(records))
        self.assertEqual(turns[1].events_before[0], FlushEvent())
        lines = list(write_trace(header, turns))
        self.assertEqual(lines[4], '{"record":"flush"}\n')
        self.assertEqual(read_bytes("".join(lines).encode("ascii")), (header, turns))

    def test_turns_carry_the_line_that_they_stand_on(self):
        self.assertEqual([turn.line for turn in read_bytes(encoded(SMALL))[1]], [4, 8])

    def test_trace_without_turns_is_a_trace(self):
        self.assertEqual(read_bytes(encoded([HEADER, {"record": "end", "turns": 0}]))[1], ())

    def test_what_may_be_left_out_has_its_default(self):
        header, _ = read_bytes(encoded([{**HEADER, "accounting": None}, {"record": "end", "turns": 0}]))
        self.assertIsNone(header.accounting)
        _, turns = read_bytes(encoded(SMALL))
        second = turns[1]
        self.assertEqual((second.calls, second.demands, second.recalls, second.updates), ((), (), (), ()))


class BadInputTest(TraceFormatCase):
    def test_empty_file(self):
        self.assert_error(b"", 1, "empty")

    def test_no_header_first(self):
        self.assert_error(SMALL[1:], 1, "header")
        self.assert_error(changed(0, format="another"), 1, "header")
        self.assert_error(b"[]\n", 1, "object")

    def test_unknown_version(self):
        for version in (0, 2, "1", None, True, []):
            with self.subTest(version=version):
                self.assert_error(changed(0, version=version), 1, "version")
        self.assert_error(changed(0, version=...), 1, "version")

    def test_truncated_after_every_line(self):
        for kept in range(1, len(SMALL)):
            with self.subTest(kept=kept):
                self.assert_error(SMALL[:kept], kept + 1, "truncated")

    def test_truncated_at_every_byte(self):
        content = encoded(SMALL)
        for size in range(len(content)):
            kept = content[:size]
            line = kept.count(b"\n") + 1
            with self.assertRaises(TraceError) as caught:
                read_bytes(kept)
            self.assertEqual(caught.exception.line, line, size)

    def test_turn_out_of_order(self):
        for number in (1, 3):
            self.assert_error(changed(7, turn=number), 8, "out of order")
        self.assert_error(changed(3, turn=2), 4, "out of order")

    def test_undeclared_page_is_demanded_or_replaced(self):
        self.assert_error(changed(3, demands=[{"page": "unknown"}]), 4, "never declared")
        self.assert_error(changed(4, page={**RESULT, "id": "unknown"}), 5, "never declared")

    def test_undeclared_signature_is_called(self):
        self.assert_error(changed(3, calls=[{"signature": "unknown"}]), 4, "never declared")

    def test_page_is_declared_twice(self):
        self.assert_error([*SMALL[:2], *SMALL[1:]], 3, "twice")

    def test_signature_contradicts_its_arguments(self):
        self.assert_error(changed(2, signature="read({})"), 3, "signature")

    def test_result_page_without_success_and_success_without_result_page(self):
        self.assert_error(changed(2, outcome="error"), 3, "result page")
        self.assert_error(changed(2, page=None), 3, "result page")

    def test_second_header_and_unknown_record(self):
        self.assert_error([HEADER, *SMALL], 2, "second header")
        self.assert_error(changed(1, record="what"), 2, "unknown record")
        self.assert_error(changed(1, record=...), 2, "unknown record")

    def test_end_record_with_another_count(self):
        self.assert_error(changed(8, turns=1), 9, "end record")

    def test_record_after_the_end(self):
        self.assert_error([*SMALL, SECOND], 10, "after the end")
        self.assert_error(encoded(SMALL) + b"\n", 10)

    def test_records_that_belong_to_no_turn(self):
        self.assert_error([*SMALL[:8], SMALL[5], SMALL[8]], 10, "no turn")

    def test_numbers_that_json_does_not_have(self):
        for word in (b"NaN", b"Infinity", b"-Infinity"):
            with self.subTest(word=word):
                self.assert_error(encoded(SMALL).replace(b"90", word), 8, "not a JSON number")

    def test_same_key_twice(self):
        self.assert_error(encoded(SMALL).replace(b'{"record": "turn", "turn": 2', b'{"turn": 2, "turn": 2'), 8, "twice")

    def test_deep_nesting(self):
        for depth in (100_000,):
            deep = b"[" * depth + b"]" * depth
            with self.subTest(depth=depth):
                self.assert_error(encoded(SMALL).replace(b'["x"]', deep), 4, "nested")

    def test_huge_numbers(self):
        for number in ("1" + "0" * 13, "9" * 4_000, "9" * 100_000, "1e400", "-1", "1.5"):
            with self.subTest(number=number[:20]):
                self.assert_error(encoded(SMALL).replace(b": 90", b": " + number.encode()), 8)
        costs = {**PLAN["costs"], "full": 10**13}
        self.assert_error(changed(1, page={**PLAN, "costs": costs}), 2, "at most")
        self.assert_error(changed(1, page={**PLAN, "base_utility": 10**400}), 2)

    def test_line_that_is_too_long(self):
        longest = max(len(line) for line in encoded(SMALL).splitlines(keepends=True))
        with mock.patch.object(trace_format, "MAXIMUM_LINE_BYTES", longest):
            read_bytes(encoded(SMALL))
            long = encoded(changed(7, note="x" * longest))
            self.assert_error(long, 8, "longer than")

    def test_bytes_that_are_no_utf8(self):
        for bad in (b"\xff", b"\xc3(", b"\x80"):
            with self.subTest(bad=bad):
                self.assert_error(encoded(SMALL).replace(b'"q"', b'"' + bad + b'"'), 4)

    def test_nul_bytes(self):
        content = encoded(SMALL)
        self.assert_error(b"\0" * 20 + b"\n", 1)
        self.assert_error(content.replace(b'"q"', b'"\0"'), 4)
        self.assert_error(content + b"\0\n", 10)

    def test_line_that_is_blank_or_no_json(self):
        for line in (b"\n", b"turn\n", b"{\n", b"{} {}\n", b"null\n"):
            with self.subTest(line=line):
                lines = encoded(SMALL).splitlines(keepends=True)
                self.assert_error(b"".join([*lines[:7], line, *lines[8:]]), 8)

    def test_accounting_that_contradicts_itself(self):
        for values in ((100, 200, 10), (200, 100, 150), (0, 0, 0)):
            accounting = dict(zip(("compaction_limit", "soft_threshold", "summary_tokens"), values))
            with self.subTest(values=values):
                self.assert_error(changed(0, accounting=accounting), 1)

    def test_page_that_breaks_the_rules_of_its_type(self):
        for broken in ({"type": "what"}, {"costs": {"full": 0}}, {"costs": {}}, {"minimum": "none"}, {"pin": "x"}):
            with self.subTest(broken=broken):
                self.assert_error(changed(1, page={**PLAN, **broken}), 2)

    def test_reset_names_its_session(self):
        self.assert_error(changed(6, session=...), 7, "session")
        self.assert_error(changed(6, session=""), 7, "session")

    def test_failing_read_names_the_line(self):
        class Failing(io.BytesIO):
            def readline(self, size=-1, /):
                line = super().readline(size)
                if b'"replace"' in line:
                    raise OSError(5, "Input/output error")
                return line

        _, turns = read_trace(Failing(encoded(SMALL)), SOURCE)
        with self.assertRaises(TraceError) as caught:
            list(turns)
        self.assertIn("Input/output error", str(caught.exception))

    def test_file_that_cannot_be_opened(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in (Path(folder), Path(folder) / "missing"):
                with self.subTest(path=path), self.assertRaises(InputError) as caught:
                    open_trace(path)
                self.assertNotIn("\n", str(caught.exception))


def places(value, path=()):
    """Yield the path of every value inside *value*."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


WRONG = (None, True, False, 0, -1, 1, 10**30, 1.5, -0.0, math.pi, "", "x", "\ud800", "\0", [], [[]], [1], {}, {"a": 1})


class MutationTest(TraceFormatCase):
    """Whatever is done to a record, reading returns a trace or raises TraceError, nothing else."""

    ATTEMPTS = 60
    STEP = 2
    """Every second wrong value; ``tests/long`` tries all."""

    def read_or_refuse(self, content, label):
        try:
            read_bytes(content)
        except TraceError as error:
            self.assertGreaterEqual(error.line, 1)
            return False
        except BaseException as error:
            self.fail(f"{label}: {type(error).__name__}: {error}")
        return True

    def test_every_value_replaced_by_every_wrong_one(self):
        refused = 0
        for index, record in enumerate(SMALL):
            for path in places(record):
                for wrong in (*WRONG[:: self.STEP], ...):
                    records = list(SMALL)
                    records[index] = copy.deepcopy(record)
                    parent = records[index]
                    for key in path[:-1]:
                        parent = parent[key]
                    if wrong is ...:
                        del parent[path[-1]]
                    else:
                        parent[path[-1]] = wrong
                    refused += not self.read_or_refuse(encoded(records), (index, path, wrong))
        self.assertGreater(refused, 900 // self.STEP)

    def test_wrong_types_of_what_a_replay_computes_with_are_refused(self):
        for index, name in ((0, "budget"), (0, "workload"), (3, "turn"), (3, "transcript_tokens"), (8, "turns")):
            for wrong in (None, False, -1, 1.5, "", [], {}, ...):
                with self.subTest(record=index, name=name, wrong=wrong):
                    self.assert_error(changed(index, **{name: wrong}), index + 1)
        for name in ("calls", "demands", "lookups", "updates"):
            for wrong in (None, True, 1, "x", {}, {"a": 1}, [1], [[]], [{}], [None]):
                with self.subTest(name=name, wrong=wrong):
                    self.assert_error(changed(3, **{name: wrong}), 4)

    def test_random_bytes_replaced(self):
        draw = random.Random(SEED)
        content = encoded(SMALL)
        for attempt in range(self.ATTEMPTS):
            mutant = bytearray(content)
            for _ in range(draw.randint(1, 3)):
                place = draw.randrange(len(mutant))
                kind = draw.randrange(3)
                if kind == 0:
                    mutant[place] = draw.randrange(256)
                elif kind == 1:
                    del mutant[place : place + draw.randint(1, 8)]
                else:
                    mutant[place:place] = bytes(draw.choices(b'{}[]",:0123456789eE-.\n\0\xff', k=draw.randint(1, 4)))
            self.read_or_refuse(bytes(mutant), (SEED, attempt))


class GeneratedLines(io.RawIOBase):
    """A trace that is made while it is read."""

    def __init__(self, turns):
        super().__init__()
        self._lines = self._generate(turns)

    @staticmethod
    def _generate(turns):
        yield encoded([HEADER, SMALL[1], TOOL])
        for number in range(1, turns + 1):
            yield encoded([{**(FIRST if number % 20 == 1 else SECOND), "turn": number}])
        yield encoded([{"record": "end", "turns": turns}])

    def readable(self):
        return True

    def readinto(self, buffer):
        chunk = next(self._lines, b"")
        buffer[: len(chunk)] = chunk
        return len(chunk)


class StreamingTest(unittest.TestCase):
    def peak(self, turns):
        _, stream = read_trace(io.BufferedReader(GeneratedLines(turns)), SOURCE)
        tracemalloc.start()
        try:
            count = sum(1 for _ in stream)
            return count, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_memory_does_not_grow_with_the_trace(self):
        count, small = self.peak(200)
        self.assertEqual(count, 200)
        count, large = self.peak(1_000)
        self.assertEqual(count, 1_000)
        self.assertLess(large, small + 256 * 1024)

    def test_turns_come_before_the_rest_is_read(self):
        broken = encoded(SMALL[:4]) + b"broken\n"
        _, turns = read_trace(io.BytesIO(broken), SOURCE)
        self.assertEqual(next(turns).number, 1)
        with self.assertRaises(TraceError):
            next(turns)


class StrictnessTest(TraceFormatCase):
    """What a reader lets through must not break what comes after it."""

    def outcome(self, content, policy_id):
        """Replay as the sweep does; a TraceError is a good outcome as well."""
        try:
            header, turns = read_bytes(content)
            return run_cell(SweepCell(Trace(header, turns, SOURCE), POLICIES[policy_id]))
        except TraceError as error:
            return error

    def test_update_id_of_any_type(self):
        self.outcome(encoded(changed(3, updates=[{**UPDATE, "update_id": [1]}])), "clawvm")

    def test_control_field_with_an_unknown_value_under_unvalidated_writeback(self):
        bad = {**UPDATE, "field": "pin", "operation": "set_with_version", "value": "what"}
        self.outcome(encoded(changed(3, updates=[bad])), "compaction_hybrid")

    def test_utility_that_overflows_the_score(self):
        page = {**PLAN, "base_utility": 1.7e308, "recompute_cost": 1.7e308}
        self.outcome(encoded(changed(1, page=page)), "clawvm")

    def test_arguments_that_can_be_read_but_are_nested_too_deeply_to_be_written(self):
        # The depth at which only the writer gives up differs between Python versions; on 3.11 it is near 990.
        with mock.patch.object(trace_format, "tool_signature", side_effect=RecursionError):
            self.assert_error(SMALL, 3, "nested")
