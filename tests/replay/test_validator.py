"""Behaviour of the schema validator, keyword by keyword; ``test_schemas`` compares it with another implementation."""

import itertools
import json
import os
import threading
import unittest
from unittest import mock

from clawvm_replay import schemas
from clawvm_replay.errors import InputError
from clawvm_replay.schemas import SchemaError, Schemas, check_file, read_document
from tests.support import temporary_folder


def load(schema, **definitions):
    return Schemas({"s": {"$id": "s", "$defs": definitions, **schema}})


def lines(schema, instance, **definitions):
    return [str(violation) for violation in load(schema, **definitions).violations(instance, "s")]


PASSES = ()
CASES = (  # A schema, and instances with the path and the keyword of their first violation, or that pass.
    ({"type": "null"}, ((None, PASSES), (False, ("", "type")), (0, ("", "type")))),
    ({"type": "boolean"}, ((True, PASSES), (1, ("", "type")))),
    ({"type": "integer"}, ((1, PASSES), (1.0, PASSES), (10**30, PASSES), (1.5, ("", "type")), (True, ("", "type")))),
    ({"type": ["number", "null"]}, ((1.5, PASSES), (None, PASSES), ("1", ("", "type")), (False, ("", "type")))),
    ({"type": "string"}, (("", PASSES), (1, ("", "type")))),
    ({"type": "array"}, (([], PASSES), ({}, ("", "type")))),
    ({"type": "object"}, (({}, PASSES), ([], ("", "type")))),
    ({"enum": ["a", 1]}, (("a", PASSES), (1.0, PASSES), ("b", ("", "enum")), (True, ("", "enum")))),
    ({"const": False}, ((False, PASSES), (0, ("", "const")))),
    ({"minimum": 2}, ((2, PASSES), ("x", PASSES), (True, PASSES), (1.9, ("", "minimum")))),
    ({"maximum": 2}, ((2, PASSES), (10**400, ("", "maximum")))),
    ({"minLength": 1}, (("a", PASSES), ([], PASSES), ("", ("", "minLength")))),
    ({"maxLength": 1}, (("a", PASSES), ("ab", ("", "maxLength")))),
    ({"minItems": 1}, (([1], PASSES), ("", PASSES), ([], ("", "minItems")))),
    ({"uniqueItems": True}, (([1, True, "1"], PASSES), ({}, PASSES), ([1, 1.0], ("", "uniqueItems")))),
    ({"pattern": "^a"}, (("ab", PASSES), (1, PASSES), ("ba", ("", "pattern")))),
    ({"required": ["a"]}, (({"a": None}, PASSES), ([], PASSES), ({"b": 1}, ("", "required")))),
    ({"properties": {"a": {"type": "null"}}}, (({"b": 1}, PASSES), ([], PASSES), ({"a": 1}, ("/a", "type")))),
    (
        {"properties": {"a": True}, "additionalProperties": False},
        (({"a": 1}, PASSES), ({"a": 1, "b/~": 1}, ("/b~1~0", "false"))),
    ),
    ({"additionalProperties": {"minimum": 1}}, (({"a": 1}, PASSES), ({"a": 0}, ("/a", "minimum")))),
    ({"propertyNames": {"enum": ["a"]}}, (({"a": 1}, PASSES), ({"b": 1}, ("/b", "enum")))),
    ({"items": {"minimum": 1}}, (([1], PASSES), ({"a": 0}, PASSES), ([1, 0], ("/1", "minimum")))),
    (
        {"prefixItems": [True, {"minimum": 1}], "items": False},
        (([0], PASSES), ([0, 1], PASSES), ([0, 0], ("/1", "minimum")), ([0, 1, 2], ("/2", "false"))),
    ),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, ((1, PASSES), (3, ("", "maximum")))),
    ({"anyOf": [{"minimum": 5}, {"type": "integer"}]}, ((1, PASSES), (6, PASSES), (1.5, ("", "minimum")))),
    ({"oneOf": [{"minimum": 5}, {"type": "integer"}]}, ((1, PASSES), (5.5, PASSES), (6, ("", "oneOf")))),
    ({"not": {"const": 1}}, ((2, PASSES), (1, ("", "not")))),
    (
        {"if": {"minimum": 1}, "then": {"const": 2}, "else": {"const": 0}},
        ((2, PASSES), (0, PASSES), (1, ("", "const"))),
    ),
    ({"if": {"minimum": 1}, "else": {"const": 0}}, ((2, PASSES), (-1, ("", "const")))),
    ({"$ref": "#/$defs/d", "maximum": 9}, ((5, PASSES), (1, ("", "minimum")), (10, ("", "maximum")))),
)


class KeywordTest(unittest.TestCase):
    def test_every_keyword_accepts_and_refuses_what_the_standard_says(self) -> None:
        for schema, instances in CASES:
            for instance, expected in instances:
                with self.subTest(schema=schema, instance=str(instance)[:40]):
                    found = list(load(schema, d={"minimum": 2}).violations(instance, "s"))
                    self.assertEqual((found[0].path, found[0].keyword) if found else PASSES, expected)

    def test_the_cases_cover_every_keyword(self) -> None:
        used = set(itertools.chain.from_iterable(schema for schema, _ in CASES))
        combined = schemas._WITH_ONE_SCHEMA | schemas._WITH_SCHEMAS | {"properties", "$ref"}
        self.assertEqual(used, combined | set(schemas._TESTS))

    def test_references_lead_to_other_documents(self) -> None:
        store = Schemas({"a": {"$id": "urn:a", "$ref": "urn:b#/$defs/d"}, "b": {"$id": "urn:b", "$defs": {"d": False}}})
        self.assertEqual(len(list(store.violations(1, "a"))), 1)
        self.assertEqual(list(store.violations(1, "b")), [])


class LoadingTest(unittest.TestCase):
    def test_what_is_not_supported_is_refused_when_it_is_loaded(self) -> None:
        for schema, words in (
            ({"maxItems": 1}, "unknown keyword 'maxItems'"),
            (
                {"properties": {"a": {"oneOf": [{"format": "date"}]}}},
                "s/properties/a/oneOf/0: unknown keyword 'format'",
            ),
            ({"items": 1}, "an object or a boolean"),
            ({"$ref": "#/$defs/x"}, "in no schema"),
            ({"$ref": "elsewhere"}, "in no schema"),
            ({"items": {"$ref": "s"}}, "back to itself"),
        ):
            with self.subTest(schema=schema), self.assertRaisesRegex(SchemaError, words.replace("$", r"\$")):
                load(schema)


class MessageTest(unittest.TestCase):
    def test_a_message_has_the_place_what_is_expected_and_what_is_there(self) -> None:
        for schema, instance, line in (
            ({"type": ["integer", "null"]}, "x", '(root): expected integer or null, found "x"'),
            ({"items": {"enum": ["a", "b"]}}, [1], '/0: expected "a" or "b", found 1'),
            ({"required": ["a", "b"]}, {"c": 1}, '(root): expected a property "a" and "b", found an object of 1'),
            ({"minLength": 2}, "x", '(root): expected a length of at least 2, found "x"'),
            ({"additionalProperties": False}, {"a\nb": 1}, "/a\\nb: expected no such part, found 1"),
        ):
            self.assertEqual(lines(schema, instance), [line])

    def test_the_alternative_that_is_meant_explains_why_none_fits(self) -> None:
        def record(name, **properties):
            return {"properties": {"record": {"const": name}, **properties}, "required": ["record", *properties]}

        schema = {"oneOf": [record("a", x={"minimum": 1}), record("b", x={"minimum": 5}, y=True), {"type": "null"}]}
        self.assertEqual(lines(schema, {"record": "b", "x": 2, "y": 0}), ["/x: expected at least 5, found 2"])
        self.assertEqual(lines(schema, {"record": "c", "x": 9, "y": 9}), ['/record: expected "a" or "b", found "c"'])
        self.assertEqual(
            lines({"anyOf": [{"type": "null"}, {"type": "array"}]}, 1)[0][:40],
            "(root): expected null or array, found 1",
        )

    def test_hostile_instances_give_short_messages(self) -> None:
        huge = "9" * 1_000_000
        for schema, instance in (
            ({"type": "null"}, huge),
            ({"type": "null"}, 10**4000),
            ({"maximum": 1}, 10**4000),
            ({"additionalProperties": False}, {huge: 1}),
            ({"required": [huge]}, {}),
            ({"propertyNames": {"enum": ["a"]}}, {huge: 1}),
            ({"enum": [huge, huge + "1"]}, 1),
            ({"oneOf": [{"const": huge}, {"type": "null"}]}, huge),
        ):
            for line in lines(schema, instance):
                self.assertLess(len(line), 1000)

    def test_depth_costs_nothing_and_violations_come_one_by_one(self) -> None:
        deep = []
        for _ in range(10_000):
            deep = [deep]
        self.assertEqual(lines({"items": True}, deep), [])
        self.assertEqual(lines({"items": {"type": "null"}}, deep), ["/0: expected null, found an array of 1"])
        first = next(load({"items": {"type": "null"}}).violations([1] * 100_000, "s"))
        self.assertEqual(first.path, "/0")


HEADER = '{"record":"header","format":"clawvm.trace","version":1,"workload":"w","budget":1}\n'
TURN = '{"record":"turn","turn":1,"transcript_tokens":0}\n'
END = '{"record":"end","turns":1}\n'
EMPTY_MANIFEST = {
    "format": "clawvm.suite_manifest",
    "version": 1,
    "configuration": {"budgets": [], "horizon": 0, "policies": [], "workloads": []},
    "schemas": [],
    "files": [],
}


class FileTest(unittest.TestCase):
    def setUp(self) -> None:
        self.path = temporary_folder(self) / "file"

    def problems(self, content):
        self.path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [line.removeprefix(str(self.path)) for line in check_file(self.path)]

    def test_a_trace_is_checked_line_by_line_and_as_a_whole(self) -> None:
        self.assertEqual(self.problems(HEADER + TURN + END), [])
        self.assertEqual(self.problems(HEADER + END), [":2: the end record has 1 turns, the trace 0"])
        self.assertEqual(self.problems(HEADER + TURN), [":3: the trace is truncated: it has no end record"])
        wrong = TURN.replace(":0}", ':-1,"x":1}')
        found = self.problems(HEADER + wrong + "{\n" + wrong + END)
        self.assertEqual([line.partition(": ")[0] for line in found], [":2", ":2", ":3", ":4", ":4"])
        self.assertIn("not JSON", found[2])

    def test_json_is_read_strictly(self) -> None:
        document = json.dumps(EMPTY_MANIFEST)
        self.assertEqual(self.problems(document), [])
        twice = document[:-1] + ', "version": 1}'
        wrong = ("", "[]", '{"format": []}', "[" * 100_000, document[:-1], twice)
        for broken in (*wrong, *(document.replace("1", number) for number in ("NaN", "1e999", "01"))):
            with self.subTest(broken[:20]), self.assertRaisesRegex(InputError, "in no known format, or damaged"):
                self.problems(broken)
        with self.assertRaisesRegex(InputError, "no known format"):
            self.problems(json.dumps({"format": "clawvm.trace"}, indent=1))

    def test_files_without_end_are_refused_after_the_maximum(self) -> None:
        with (
            mock.patch("clawvm_replay.trace_format.MAXIMUM_LINE_BYTES", 100),
            self.assertRaisesRegex(InputError, ":1: line is longer than 100"),
        ):
            self.problems(b"\0" * 101)
        with (
            mock.patch.object(schemas, "MAXIMUM_DOCUMENT_BYTES", 100),
            self.assertRaisesRegex(InputError, "is longer than 100"),
        ):
            self.problems(b"{\n" * 60)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "needs named pipes")
    def test_a_pipe_is_read_once(self) -> None:
        for number, content in enumerate((HEADER + TURN + END, json.dumps(EMPTY_MANIFEST, indent=1))):
            pipe = self.path.with_name(f"pipe-{number}")
            os.mkfifo(pipe)
            writer = threading.Thread(target=pipe.write_text, args=(content,), daemon=True)
            writer.start()
            self.assertEqual(list(check_file(pipe)), [])
            writer.join(10)

    def test_a_document_of_another_format_is_one_line(self) -> None:
        for content, words in (
            (HEADER, "is in the format clawvm.trace, not clawvm.sweep_summary"),
            (json.dumps(EMPTY_MANIFEST), "is in the format clawvm.suite_manifest, not"),
            ('{"format":"clawvm.sweep_summary"}', "expected a property"),
            ('{"format":"clawvm.sweep_summary"', "damaged"),
        ):
            self.path.write_text(content)
            with self.subTest(content), self.assertRaisesRegex(InputError, words) as caught:
                read_document(self.path, "sweep_summary")
            self.assertNotIn("\n", str(caught.exception))
