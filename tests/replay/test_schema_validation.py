"""Behaviour of the schema validator, keyword by keyword, and its agreement with another implementation."""

import copy
import importlib
import json
import pickle
import random
import sys
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from clawvm_replay import schemas as schema_validation
from clawvm_replay.schemas import MAXIMUM_DEPTH, SchemaError, SchemaStore, Violation

ANNOTATIONS = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.test/schemas/annotated",
    "$defs": {"unused": {"type": "string"}},
    "$comment": "why",
    "title": "what",
    "description": "more",
    "examples": [1],
    "default": 1,
    "version": "1",
}


def violations(schema: Any, instance: object) -> list[Violation]:
    """Return the violations of a schema that stands alone."""
    return SchemaStore({"schema": schema}).validate(instance, "schema")


def places(schema: Any, instance: object) -> list[tuple[str, str]]:
    """Return path and keyword of every violation."""
    return [(violation.path, violation.keyword) for violation in violations(schema, instance)]


def texts(schema: Any, instance: object) -> list[str]:
    """Return every violation as a line."""
    return [str(violation) for violation in violations(schema, instance)]


def nested_list(levels: int) -> list[Any]:
    """Return lists inside each other, built without recursion."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@dataclass(frozen=True)
class Case:
    """A schema, instances it accepts, and instances it rejects with the (path, keyword) of each violation."""

    keyword: str
    schema: dict[str, Any]
    accepts: tuple[Any, ...]
    rejects: tuple[tuple[Any, list[tuple[str, str]]], ...]


CASES = (
    Case(
        "type",
        {"type": "null"},
        (None,),
        ((False, [("", "type")]), (0, [("", "type")]), ("", [("", "type")])),
    ),
    Case("type", {"type": "boolean"}, (True, False), ((0, [("", "type")]), (1, [("", "type")]))),
    Case(
        "type",
        {"type": "integer"},
        (1, -3, 1.0, -0.0, 10**30, 1e300),
        ((1.5, [("", "type")]), (True, [("", "type")]), ("1", [("", "type")])),
    ),
    Case("type", {"type": "number"}, (1, 1.5, -2e-9), ((False, [("", "type")]), ("1", [("", "type")]))),
    Case("type", {"type": "string"}, ("", "a"), ((1, [("", "type")]), (None, [("", "type")]))),
    Case("type", {"type": "array"}, ([], [1]), (({}, [("", "type")]), ("[]", [("", "type")]))),
    Case("type", {"type": "object"}, ({}, {"a": 1}), (([], [("", "type")]), (None, [("", "type")]))),
    Case("type", {"type": ["null", "integer"]}, (None, 3), (("a", [("", "type")]), (False, [("", "type")]))),
    Case(
        "enum",
        {"enum": ["a", 1, None, [True], {"x": 2}]},
        ("a", 1, 1.0, None, [True], {"x": 2.0}),
        (
            ("b", [("", "enum")]),
            (True, [("", "enum")]),
            ([1], [("", "enum")]),
            ({"x": 2, "y": 1}, [("", "enum")]),
        ),
    ),
    Case("enum", {"enum": []}, (), ((None, [("", "enum")]),)),
    Case(
        "const",
        {"const": 1},
        (1, 1.0),
        ((True, [("", "const")]), ("1", [("", "const")]), (2, [("", "const")])),
    ),
    Case("const", {"const": False}, (False,), ((0, [("", "const")]), (None, [("", "const")]))),
    Case(
        "const",
        {"const": {"a": [0, {"b": False}]}},
        ({"a": [0, {"b": False}]}, {"a": [0.0, {"b": False}]}),
        (({"a": [False, {"b": False}]}, [("", "const")]), ({"a": [0, {"b": 0}]}, [("", "const")])),
    ),
    Case("const", {"const": 2**53 + 1}, (2**53 + 1,), ((float(2**53), [("", "const")]),)),
    Case(
        "properties",
        {"properties": {"a": {"type": "string"}, "b": {"properties": {"c": {"type": "null"}}}}},
        ({}, {"a": "x"}, {"b": {"c": None}}, {"other": 1}, [], 3),
        (
            ({"a": 1}, [("/a", "type")]),
            ({"b": {"c": 1}}, [("/b/c", "type")]),
            ({"b": {"c": 1}, "a": 1}, [("/b/c", "type"), ("/a", "type")]),
        ),
    ),
    Case(
        "patternProperties",
        {"patternProperties": {"^x": {"type": "integer"}, "y$": {"minimum": 3}}},
        ({}, {"x": 1}, {"xy": 3}, {"ax": "a"}, "x"),
        (({"xa": "s", "b": 0}, [("/xa", "type")]), ({"xy": 2.5}, [("/xy", "type"), ("/xy", "minimum")])),
    ),
    Case(
        "additionalProperties",
        {"properties": {"a": True}, "patternProperties": {"^x": True}, "additionalProperties": False},
        ({}, {"a": 1, "xa": 2}, [1]),
        (({"b": 1, "a": 2, "c": 3}, [("/b", "additionalProperties"), ("/c", "additionalProperties")]),),
    ),
    Case(
        "additionalProperties",
        {"properties": {"a": True}, "additionalProperties": {"type": "integer"}},
        ({"a": "s", "b": 1},),
        (({"b": "s"}, [("/b", "type")]),),
    ),
    Case("additionalProperties", {"additionalProperties": True}, ({"a": 1},), ()),
    Case(
        "propertyNames",
        {"propertyNames": {"pattern": "^[a-z]+$", "maxLength": 3}},
        ({}, {"abc": 1}, ["ABC"]),
        (({"abc": 1, "ABCD": 1}, [("/ABCD", "propertyNames"), ("/ABCD", "propertyNames")]),),
    ),
    Case(
        "required",
        {"required": ["a", "b"]},
        ({"a": None, "b": 1}, [], "a"),
        (({"a": 1}, [("", "required")]), ({}, [("", "required"), ("", "required")])),
    ),
    Case("minProperties", {"minProperties": 1}, ({"a": 1}, []), (({}, [("", "minProperties")]),)),
    Case(
        "maxProperties",
        {"maxProperties": 1},
        ({"a": 1}, [1, 2]),
        (({"a": 1, "b": 2}, [("", "maxProperties")]),),
    ),
    Case(
        "items",
        {"items": {"type": "integer"}},
        ([], [1, 2], {"a": "b"}),
        (([1, "a", 2, None], [("/1", "type"), ("/3", "type")]),),
    ),
    Case("items", {"items": False}, ([],), (([1], [("/0", "false")]),)),
    Case(
        "prefixItems",
        {"prefixItems": [{"type": "integer"}, {"type": "string"}]},
        ([], [1], [1, "a"], [1, "a", None], "ab"),
        ((["a", 1], [("/0", "type"), ("/1", "type")]), ([1, 1], [("/1", "type")])),
    ),
    Case(
        "prefixItems",
        {"prefixItems": [True], "items": {"type": "null"}},
        ([1], [1, None]),
        (([1, None, 2], [("/2", "type")]),),
    ),
    Case("minItems", {"minItems": 2}, ([1, 1], "a"), (([1], [("", "minItems")]), ([], [("", "minItems")]))),
    Case("minItems", {"minItems": 2.0}, ([1, 1],), (([1], [("", "minItems")]),)),
    Case("maxItems", {"maxItems": 1}, ([], [1], {"a": 1, "b": 2}), (([1, 2], [("", "maxItems")]),)),
    Case(
        "uniqueItems",
        {"uniqueItems": True},
        ([], [1, True, "1", None, 0, False], [[1], [True]], [{"a": 1}, {"a": True}], "aa"),
        (
            ([1, 2, 1.0], [("", "uniqueItems")]),
            ([{"a": 1, "b": 2}, {"b": 2, "a": 1}], [("", "uniqueItems")]),
            ([[1], [True], [1]], [("", "uniqueItems")]),
        ),
    ),
    Case("uniqueItems", {"uniqueItems": False}, ([1, 1],), ()),
    Case("minLength", {"minLength": 2}, ("ab", "\U0001f600a", 1, []), (("\U0001f600", [("", "minLength")]),)),
    Case("maxLength", {"maxLength": 1}, ("", "a", "\U0001f600", [1, 2]), (("ab", [("", "maxLength")]),)),
    Case("pattern", {"pattern": "b+"}, ("abbc", 3), (("ac", [("", "pattern")]), ("", [("", "pattern")]))),
    Case("minimum", {"minimum": 2}, (2, 2.0, 3, "1", False), ((1.99, [("", "minimum")]),)),
    Case("maximum", {"maximum": 0}, (0, -1, "1", True), ((0.5, [("", "maximum")]),)),
    Case("exclusiveMinimum", {"exclusiveMinimum": 0}, (1, 0.1, False), ((0, [("", "exclusiveMinimum")]),)),
    Case("exclusiveMaximum", {"exclusiveMaximum": 1}, (0, 0.9, True), ((1.0, [("", "exclusiveMaximum")]),)),
    Case(
        "allOf",
        {"allOf": [{"type": "integer"}, {"minimum": 3}]},
        (3,),
        ((1.5, [("", "type"), ("", "minimum")]), (2, [("", "minimum")])),
    ),
    Case(
        "anyOf",
        {"anyOf": [{"type": "integer"}, {"minimum": 3}]},
        (1, 3.5, 4, "a"),
        ((2.5, [("", "minimum")]),),
    ),
    Case("anyOf", {"anyOf": [{"maximum": 1}, {"minimum": 3}]}, (1, 3), ((2, [("", "anyOf")]),)),
    Case(
        "oneOf",
        {"oneOf": [{"maximum": 3}, {"minimum": 3}, {"const": 9}]},
        (2, 4),
        ((3, [("", "oneOf")]), (9, [("", "oneOf")]), ("a", [("", "oneOf")])),
    ),
    Case("oneOf", {"oneOf": [{"maximum": 1}, {"minimum": 3}]}, (1, 3), ((2, [("", "oneOf")]),)),
    Case("not", {"not": {"type": "string"}}, (1, None), (("a", [("", "not")]),)),
    Case(
        "if",
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 0}},
        ({"a": 1, "b": 2}, {}, []),
        (({"a": 1}, [("", "required")]), ({"b": 1}, [("", "maxProperties")])),
    ),
    Case("then", {"if": {"minimum": 0}, "then": {"maximum": 9}}, (5, -5, "a"), ((10, [("", "maximum")]),)),
    Case("else", {"if": {"minimum": 0}, "else": {"type": "integer"}}, (0.5, -5), ((-0.5, [("", "type")]),)),
    Case("if", {"if": False}, (1,), ()),
    Case(
        "$ref",
        {"$defs": {"size": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/size", "minimum": 1}}},
        ({"a": 1}, {}),
        (({"a": "x"}, [("/a", "type")]), ({"a": 0}, [("/a", "minimum")])),
    ),
    Case(
        "$ref",
        {"type": "object", "additionalProperties": {"$ref": "#"}},
        ({}, {"a": {"b": {}}}),
        (({"a": {"b": {"c": 1}}}, [("/a/b/c", "type")]),),
    ),
    Case(
        "$ref",
        {"$defs": {"a/b~c d": {"type": "null"}}, "$ref": "#/%24defs/a~1b~0c%20d"},
        (None,),
        ((1, [("", "type")]),),
    ),
)


class EachKeyword(unittest.TestCase):
    """Every keyword accepts and rejects what the standard says, at the exact place."""

    def test_an_instance_that_satisfies_the_keyword_has_no_violation(self) -> None:
        for case in CASES:
            for instance in case.accepts:
                with self.subTest(schema=case.schema, instance=instance):
                    self.assertEqual(violations(case.schema, instance), [])
                    self.assertTrue(SchemaStore({"schema": case.schema}).is_valid(instance, "schema"))

    def test_an_instance_that_breaks_the_keyword_is_reported_at_its_place(self) -> None:
        for case in CASES:
            for instance, expected in case.rejects:
                with self.subTest(schema=case.schema, instance=instance):
                    self.assertEqual(places(case.schema, instance), expected)
                    self.assertFalse(SchemaStore({"schema": case.schema}).is_valid(instance, "schema"))

    def test_the_table_of_cases_and_the_module_documentation_list_the_same_keywords(self) -> None:
        documentation = schema_validation.__doc__ or ""
        table = documentation.split("Keywords, by what they speak about:")[1].split("Any other keyword")[0]
        subjects = {"any", "value", "objects", "arrays", "strings", "numbers", "combinations", "annotations"}
        self.assertEqual(set(table.split()) - subjects, {case.keyword for case in CASES} | set(ANNOTATIONS))

    def test_true_accepts_and_false_rejects_every_value(self) -> None:
        instances: tuple[Any, ...] = (None, False, 0, "", [], {})
        for instance in instances:
            self.assertEqual(violations(True, instance), [])
            self.assertEqual(places(False, instance), [("", "false")])
        self.assertEqual(places({"properties": {"a": False}}, {"a": 1}), [("/a", "false")])

    def test_annotations_constrain_nothing(self) -> None:
        self.assertEqual(violations(ANNOTATIONS, "anything"), [])


class Reports(unittest.TestCase):
    """Violations are clear lines, in document order, with exact paths."""

    def test_a_message_says_what_was_expected_and_what_was_found(self) -> None:
        table: tuple[tuple[Any, Any, str], ...] = (
            ({"type": "integer"}, "abc", '(root): expected integer, found string "abc"'),
            ({"type": "integer"}, 1.5, "(root): expected integer, found number 1.5"),
            (
                {"type": ["null", "string", "array"]},
                True,
                "(root): expected null, string or array, found boolean true",
            ),
            ({"type": "string"}, None, "(root): expected string, found null"),
            ({"type": "string"}, {"a": 1}, "(root): expected string, found object of 1 property"),
            ({"type": "string"}, [1, 2], "(root): expected string, found array of 2 items"),
            ({"enum": ["a", 1, None]}, 2, '(root): expected one of "a", 1, null, found integer 2'),
            ({"enum": []}, 2, "(root): no value is allowed here, found integer 2"),
            ({"const": "a"}, "b", '(root): expected "a", found string "b"'),
            ({"required": ["a"]}, {}, '(root): missing property "a"'),
            ({"additionalProperties": False}, {"a": 1}, '/a: property "a" is not allowed'),
            (
                {"minProperties": 2},
                {"a": 1},
                "(root): expected at least 2 properties, found object of 1 property",
            ),
            ({"maxItems": 1}, [1, 2], "(root): expected at most 1 item, found array of 2 items"),
            ({"minLength": 2}, "a", '(root): expected at least 2 characters, found string "a"'),
            ({"pattern": "^a"}, "b", '(root): expected a string matching "^a", found string "b"'),
            ({"minimum": 3}, 2, "(root): expected at least 3, found integer 2"),
            ({"maximum": 3}, 4, "(root): expected at most 3, found integer 4"),
            ({"exclusiveMinimum": 3}, 3, "(root): expected more than 3, found integer 3"),
            ({"exclusiveMaximum": 3}, 3, "(root): expected less than 3, found integer 3"),
            (
                {"uniqueItems": True},
                [1, 2, 1],
                "(root): expected unique items, found integer 1 at 0 and at 2",
            ),
            ({"not": {"type": "null"}}, None, '(root): must not match {"type": "null"}, found null'),
            (
                {"propertyNames": {"maxLength": 1}},
                {"ab": 1},
                '/ab: in the property name: expected at most 1 character, found string "ab"',
            ),
            (
                {"oneOf": [True, False, True]},
                1,
                "(root): matches /oneOf/0 and /oneOf/2, expected exactly one to match",
            ),
        )
        for schema, instance, expected in table:
            with self.subTest(schema=schema, instance=instance):
                self.assertEqual(texts(schema, instance), [expected])

    def test_long_values_are_shortened(self) -> None:
        found = violations({"type": "integer"}, "x" * 5000)[0].message
        self.assertEqual(found, f'expected integer, found string "{"x" * 60}"... (5000 characters)')
        self.assertLess(len(texts({"const": "y" * 5000}, 1)[0]), 120)
        self.assertLess(len(texts({"enum": [f"{number:050}" for number in range(500)]}, 1)[0]), 800)
        self.assertIn("(500 in all)", texts({"enum": list(range(500))}, -1)[0])
        self.assertLess(len(texts({"not": {"enum": ["y" * 5000]}}, "y" * 5000)[0]), 220)

    def test_a_violation_is_one_line_even_if_names_and_values_hold_line_breaks(self) -> None:
        lines = texts({"additionalProperties": {"type": "null"}}, {"a\nb\u2028": "c\nd"})
        self.assertEqual(lines, ['/a\\nb\\u2028: expected null, found string "c\\nd"'])
        self.assertEqual(places({"additionalProperties": False}, {"a\nb": 1})[0][0], "/a\nb")

    def test_paths_are_json_pointers(self) -> None:
        schema = {"additionalProperties": {"items": {"additionalProperties": {"type": "null"}}}}
        self.assertEqual(places(schema, {"a/b~c": [{}, {"": 1}]}), [("/a~1b~0c/1/", "type")])
        pages = {
            "properties": {"pages": {"items": {"properties": {"costs": {"$ref": "#/$defs/costs"}}}}},
            "$defs": {"costs": {"properties": {"full": {"type": "integer"}}}},
        }
        instance = {"pages": [{}, {}, {}, {"costs": {"full": "abc"}}]}
        self.assertEqual(texts(pages, instance), ['/pages/3/costs/full: expected integer, found string "abc"'])

    def test_violations_come_in_the_order_of_the_document_not_of_the_schema(self) -> None:
        schema = {
            "allOf": [{"properties": {"c": False}}, {"properties": {"b": {"items": {"type": "null"}}}}],
            "properties": {"a": {"type": "null"}},
            "required": ["z"],
        }
        expected = [("", "required"), ("/a", "type"), ("/b/0", "type"), ("/b/10", "type"), ("/c", "false")]
        instance = {"a": 1, "b": [1, *[None] * 9, 1], "c": 1}
        self.assertEqual(places(schema, instance), expected)
        expected = [("", "required"), ("/c", "false"), ("/a", "type")]
        self.assertEqual(places(schema, {"c": 1, "a": 1}), expected)

    def test_a_violation_that_is_found_in_two_ways_is_reported_once(self) -> None:
        self.assertEqual(places({"allOf": [{"type": "null"}, {"type": "null"}]}, 1), [("", "type")])

    def test_validation_changes_neither_instance_nor_schema_and_repeats_exactly(self) -> None:
        for case in CASES:
            for instance, _ in case.rejects:
                before = copy.deepcopy((case.schema, instance))
                store = SchemaStore({"schema": case.schema})
                self.assertEqual(store.validate(instance, "schema"), store.validate(instance, "schema"))
                self.assertEqual((case.schema, instance), before)


class Alternatives(unittest.TestCase):
    """A failed anyOf or oneOf is explained by the alternative that is meant."""

    RECORDS: ClassVar[dict[str, Any]] = {
        "oneOf": [
            {"$ref": "#/$defs/page"},
            {"allOf": [{"$ref": "#/$defs/base"}], "properties": {"record": {"enum": ["fault", "alert"]}}},
            {"properties": {"record": {"$ref": "#/$defs/end"}}, "required": ["record"], "maxProperties": 1},
        ],
        "$defs": {
            "base": {
                "type": "object",
                "required": ["record", "turn"],
                "properties": {"turn": {"type": "integer"}},
            },
            "page": {
                "$ref": "#/$defs/base",
                "properties": {"record": {"const": "page"}, "size": {"type": "integer"}, "turn": True},
            },
            "end": {"const": "end"},
        },
    }

    def test_a_constant_property_selects_the_alternative_whose_violations_are_reported(self) -> None:
        table = (
            ({"record": "page", "turn": 1, "size": "x"}, ['/size: expected integer, found string "x"']),
            ({"record": "page", "size": 1}, ['(root): missing property "turn"']),
            ({"record": "alert", "turn": None}, ["/turn: expected integer, found null"]),
            (
                {"record": "end", "turn": 1},
                ["(root): expected at most 1 property, found object of 2 properties"],
            ),
        )
        for instance, expected in table:
            for keyword in ("oneOf", "anyOf"):
                schema = {keyword: self.RECORDS["oneOf"], "$defs": self.RECORDS["$defs"]}
                with self.subTest(instance=instance, keyword=keyword):
                    self.assertEqual(texts(schema, instance), expected)

    def test_an_unknown_constant_is_reported_with_the_known_ones(self) -> None:
        expected = '/record: expected one of "page", "fault", "alert", "end", found string "pgae"'
        self.assertEqual(texts(self.RECORDS, {"record": "pgae"}), [expected])
        self.assertEqual(places(self.RECORDS, {"record": "pgae"}), [("/record", "oneOf")])

    def test_a_missing_discriminator_is_reported_with_the_known_values(self) -> None:
        expected = '(root): missing property "record", expected one of "page", "fault", "alert", "end"'
        self.assertEqual(texts(self.RECORDS, {"turn": 1}), [expected])

    def test_several_constant_properties_select_together_the_narrowest_first(self) -> None:
        def branch(record: str, kind: str, states: list[str]) -> dict[str, Any]:
            properties = {"state": {"enum": states}, "record": {"const": record}, "kind": {"const": kind}}
            return {"properties": {**properties, "value": {"type": "integer"}}}

        schema = {"anyOf": [branch("a", "x", ["on", "off"]), branch("a", "y", ["on"]), branch("b", "x", ["on"])]}
        self.assertEqual(places(schema, {"record": "a", "kind": "y", "value": ""}), [("/value", "type")])
        self.assertEqual(places(schema, {"record": "a", "kind": "y", "state": "off"}), [("/state", "enum")])
        self.assertEqual(places(schema, {"record": "b", "kind": "y"}), [("/kind", "const")])
        self.assertEqual(places(schema, {"record": "a", "kind": "z"}), [("/kind", "anyOf")])

    def test_the_declared_type_selects_too(self) -> None:
        schema = {"anyOf": [{"type": "null"}, {"type": ["object"], "required": ["a"]}]}
        self.assertEqual(texts(schema, {}), ['(root): missing property "a"'])
        self.assertEqual(texts(schema, 3), ["(root): expected null or object, found integer 3"])

    def test_without_a_hint_one_violation_gives_each_reason(self) -> None:
        schema = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}, {"maxProperties": 0}, {"required": ["d"]}]}
        expected = (
            '(root): matches none of 4 alternatives: /anyOf/0 because (root): missing property "a"; '
            '/anyOf/1 because (root): missing property "b"; /anyOf/2 because (root): expected at most '
            "0 properties, found object of 1 property; and 1 more"
        )
        self.assertEqual(texts(schema, {"c": 1}), [expected])

    def test_nested_alternatives_take_time_proportional_to_their_depth(self) -> None:
        schema = {"oneOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}, "minItems": 1}]}
        instance = nested_list(70)
        self.assertEqual(places(schema, instance), [("/0" * 69, "minItems")])


class BadSchemas(unittest.TestCase):
    """A schema outside the subset is refused with its place, without any instance."""

    def assert_refused(self, schema: Any, location: str, problem: str) -> None:
        with self.assertRaises(SchemaError) as caught:
            SchemaStore({"schema": schema}).check_schema("schema")
        self.assertEqual(caught.exception.location, f"schema#{location}")
        self.assertIn(problem, str(caught.exception))

    def test_an_unknown_keyword_is_refused_wherever_it_hides(self) -> None:
        table: tuple[tuple[Any, str], ...] = (
            ({"format": "date"}, ""),
            ({"properties": {"a/b": {"items": {"requierd": []}}}}, "/properties/a~1b/items"),
            ({"patternProperties": {"x": {"contains": True}}}, "/patternProperties/x"),
            ({"additionalProperties": {"multipleOf": 2}}, "/additionalProperties"),
            ({"propertyNames": {"nullable": True}}, "/propertyNames"),
            ({"prefixItems": [True, {"x": 1}]}, "/prefixItems/1"),
            ({"allOf": [{"anyOf": [{"oneOf": [{"not": {"x": 1}}]}]}]}, "/allOf/0/anyOf/0/oneOf/0/not"),
            ({"if": {"x": 1}}, "/if"),
            ({"if": True, "then": {"x": 1}}, "/then"),
            ({"if": True, "else": {"x": 1}}, "/else"),
            ({"$defs": {"unused": {"x": 1}}}, "/$defs/unused"),
            ({"$anchor": "a"}, ""),
            ({"$dynamicRef": "#a"}, ""),
            ({"dependentRequired": {}}, ""),
            ({"unevaluatedProperties": False}, ""),
            ({"definitions": {}}, ""),
        )
        for schema, location in table:
            with self.subTest(schema=schema):
                self.assert_refused(schema, location, "unknown keyword")

    def test_validation_refuses_a_bad_schema_even_if_the_instance_never_reaches_the_flaw(self) -> None:
        store = SchemaStore({"schema": {"properties": {"a": {"unknown": 1}}}})
        with self.assertRaises(SchemaError):
            store.validate({}, "schema")
        with self.assertRaises(SchemaError):
            store.is_valid({}, "schema")

    def test_a_malformed_keyword_is_refused(self) -> None:
        table: tuple[tuple[Any, str, str], ...] = (
            ({"type": "int"}, "", 'type has the unsupported type name "int"'),
            ({"type": []}, "", "type must be"),
            ({"type": ["null", "null"]}, "", "type must be"),
            ({"type": [["null"]]}, "", "type has the unsupported type name"),
            ({"enum": "a"}, "", "enum must be an array"),
            ({"required": "a"}, "", "required must be an array of strings"),
            ({"required": ["a", 1]}, "", "required must be an array of strings"),
            ({"required": ["a", "a"]}, "", "required must not name a property twice"),
            ({"minLength": -1}, "", "minLength must be a non-negative integer"),
            ({"minItems": 1.5}, "", "minItems must be a non-negative integer"),
            ({"maxItems": True}, "", "maxItems must be a non-negative integer"),
            ({"minimum": "1"}, "", "minimum must be a number"),
            ({"uniqueItems": 1}, "", "uniqueItems must be a boolean"),
            ({"pattern": "("}, "", "pattern has the bad regular expression"),
            ({"pattern": 1}, "", "pattern must be a string"),
            ({"patternProperties": {"[": True}}, "", "patternProperties has the bad regular expression"),
            ({"patternProperties": []}, "", "patternProperties must be an object"),
            ({"properties": []}, "", "properties must be an object"),
            ({"properties": {"a": 1}}, "/properties/a", "must be a schema"),
            ({"items": [True]}, "", "items must be a schema"),
            ({"allOf": []}, "", "allOf must be a non-empty array"),
            ({"anyOf": [1]}, "/anyOf/0", "must be a schema"),
            ({"then": True}, "", "then has no effect without if"),
            ({"else": True}, "", "else has no effect without if"),
            ({"title": 1}, "", "title must be a string"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, "", "$schema must be"),
            ({"items": {"$id": "a"}}, "/items", "$id is supported at the root"),
            ({"minimum": float("nan")}, "/minimum", "expected a finite number"),
            ({"const": (1,)}, "/const", "expected a JSON value, found a Python tuple"),
            ("string", "", "must be a schema"),
        )
        for schema, location, problem in table:
            with self.subTest(schema=schema):
                self.assert_refused(schema, location, problem)

    def test_a_reference_that_leads_nowhere_is_refused(self) -> None:
        for reference in (
            "#/$defs/b",
            "#/properties/a",
            "#anchor",
            "other",
            "other#/$defs/a",
            "//[",
            "#/$defs/a/b",
        ):
            with self.subTest(reference=reference):
                schema = {"$defs": {"a": True}, "items": {"$ref": reference}}
                self.assert_refused(schema, "/items", f'cannot resolve $ref "{reference}"')

    def test_a_reference_that_never_descends_into_the_value_is_refused(self) -> None:
        for schema in (
            {"$ref": "#"},
            {"allOf": [{"$ref": "#"}]},
            {"$defs": {"a": {"anyOf": [True, {"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            {"$defs": {"a": {"if": {"$ref": "#/$defs/a"}}}},
        ):
            with (
                self.subTest(schema=schema),
                self.assertRaisesRegex(SchemaError, "refers to itself without end"),
            ):
                SchemaStore({"schema": schema}).check_schema("schema")
        with self.assertRaisesRegex(SchemaError, r"without end: s#/\$defs/a -> t# -> s#/\$defs/a"):
            documents = {"s": {"$defs": {"a": {"$ref": "t"}}}, "t": {"$ref": "s#/$defs/a"}}
            SchemaStore(documents).check_schema("s")

    def test_a_schema_nested_too_deeply_is_refused(self) -> None:
        schema: dict[str, Any] = {}
        for _ in range(5000):
            schema = {"items": schema}
        self.assert_refused(schema, "/items" * MAXIMUM_DEPTH, "nested deeper than")

    def test_the_error_survives_the_way_between_processes(self) -> None:
        error = pickle.loads(pickle.dumps(SchemaError("schema#/a", "is wrong")))
        self.assertEqual((str(error), error.location), ("schema#/a: is wrong", "schema#/a"))


class SeveralDocuments(unittest.TestCase):
    """Documents refer to each other by identifier, relative to it, or by name."""

    COMMON: ClassVar[dict[str, Any]] = {
        "$id": "https://example.test/schemas/common/1",
        "$defs": {"size": {"$ref": "#/$defs/count"}, "count": {"type": "integer", "minimum": 0}},
        "type": "null",
    }

    def store(self, reference: str, identifier: str | None = None) -> SchemaStore:
        trace: dict[str, Any] = {
            "properties": {"a": {"$ref": reference}},
            "$defs": {"count": {"type": "string"}},
        }
        if identifier is not None:
            trace["$id"] = identifier
        return SchemaStore({"trace.schema.json": trace, "common.schema.json": self.COMMON})

    def test_a_reference_reaches_another_document(self) -> None:
        table = (
            ("common.schema.json#/$defs/size", None),
            ("common.schema.json#/$defs/size", "https://example.test/schemas/trace/1"),
            ("https://example.test/schemas/common/1#/$defs/size", None),
            ("../common/1#/$defs/size", "https://example.test/schemas/trace/1"),
            ("/schemas/common/1#/$defs/size", "https://example.test/trace"),
        )
        for reference, identifier in table:
            with self.subTest(reference=reference, identifier=identifier):
                store = self.store(reference, identifier)
                self.assertEqual(store.validate({"a": 3}, "trace.schema.json"), [])
                found = store.validate({"a": -1}, "trace.schema.json")
                self.assertEqual([(each.path, each.keyword) for each in found], [("/a", "minimum")])

    def test_a_reference_without_a_fragment_means_the_whole_document(self) -> None:
        for reference in ("common.schema.json", "common.schema.json#"):
            store = self.store(reference)
            self.assertTrue(store.is_valid({"a": None}, "trace.schema.json"))
            self.assertFalse(store.is_valid({"a": 1}, "trace.schema.json"))

    def test_a_document_answers_to_its_name_and_to_its_identifier(self) -> None:
        store = self.store("common.schema.json")
        for name in ("common.schema.json", "https://example.test/schemas/common/1"):
            self.assertTrue(store.is_valid(None, name))

    def test_a_relative_reference_prefers_the_identifier_it_resolves_to(self) -> None:
        documents = {
            "trace": {"$id": "https://example.test/v2/trace", "$ref": "common"},
            "common": {"const": "by name"},
            "other": {"$id": "https://example.test/v2/common", "const": "by identifier"},
        }
        self.assertTrue(SchemaStore(documents).is_valid("by identifier", "trace"))

    def test_two_documents_may_not_claim_one_name(self) -> None:
        with self.assertRaisesRegex(SchemaError, '"x" already names another document'):
            SchemaStore({"a": {"$id": "x"}, "b": {"$id": "x"}})
        with self.assertRaisesRegex(SchemaError, '"a" already names another document'):
            SchemaStore({"a": {}, "b": {"$id": "a"}})
        with self.assertRaisesRegex(SchemaError, r"\$id must be"):
            SchemaStore({"a": {"$id": "x#y"}})

    def test_one_document_may_have_several_names(self) -> None:
        document = {"$id": "https://example.test/a", "type": "null"}
        store = SchemaStore({"a.schema.json": document, "https://example.test/a": document})
        self.assertTrue(store.is_valid(None, "https://example.test/a"))

    def test_checking_a_document_checks_those_it_refers_to(self) -> None:
        documents = {
            "a": {"items": {"$ref": "b"}},
            "b": {"items": {"$ref": "c"}},
            "c": {"x": 1},
            "d": {"y": 1},
        }
        with self.assertRaisesRegex(SchemaError, 'c#: unknown keyword "x"'):
            SchemaStore(documents).check_schema("a")

    def test_documents_may_refer_to_each_other_in_a_circle_that_descends(self) -> None:
        store = SchemaStore({"a": {"items": {"$ref": "b"}}, "b": {"type": "array", "items": {"$ref": "a"}}})
        self.assertTrue(store.is_valid([[[[]]]], "a"))
        self.assertFalse(store.is_valid([[[1]]], "a"))

    def test_a_name_that_is_not_in_the_store_is_refused_with_the_known_names(self) -> None:
        with self.assertRaisesRegex(SchemaError, 'b: there is no schema of this name; known are "a"'):
            SchemaStore({"a": True}).validate(1, "b")
        with self.assertRaisesRegex(SchemaError, "known are none"):
            SchemaStore({}).check_schema("b")


class Robustness(unittest.TestCase):
    """No instance makes the validator fail."""

    def test_an_instance_is_judged_up_to_the_maximum_depth_and_reported_beyond(self) -> None:
        schema = {
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}, "type": "array"}},
        }
        self.assertEqual(violations(schema, nested_list(MAXIMUM_DEPTH)), [])
        self.assertEqual(places(schema, nested_list(MAXIMUM_DEPTH + 1)), [("/0" * MAXIMUM_DEPTH, "depth")])

    def test_a_very_deep_instance_is_one_violation_whatever_the_schema(self) -> None:
        instance = nested_list(100_000)
        for schema in (
            True,
            {"not": {"items": {"$ref": "#"}}},
            {"uniqueItems": True},
            {"const": 1},
            {"anyOf": [{"type": "null"}, {"items": {"$ref": "#"}}]},
        ):
            with self.subTest(schema=schema):
                self.assertEqual(places(schema, instance), [("/0" * MAXIMUM_DEPTH, "depth")])
                self.assertFalse(SchemaStore({"schema": schema}).is_valid(instance, "schema"))

    def test_a_value_that_contains_itself_is_a_violation(self) -> None:
        instance: dict[str, Any] = {}
        instance["a"] = instance
        self.assertEqual(places(True, instance), [("/a" * MAXIMUM_DEPTH, "depth")])

    def test_the_longest_chain_of_schemas_stays_within_the_recursion_limit(self) -> None:
        self.assertGreaterEqual(sys.getrecursionlimit(), 1000)
        for keyword in ("anyOf", "oneOf", "allOf", "not", "if"):
            with self.subTest(keyword=keyword):
                self.assertNotIn(("", "depth"), self.judge_a_chain(keyword, 119))
                self.assertEqual(self.judge_a_chain(keyword, 120), [("", "depth")])
                self.assertEqual(self.judge_a_chain(keyword, 2000), [("", "depth")])

    def judge_a_chain(self, keyword: str, length: int) -> list[tuple[str, str]]:
        """Apply a chain of references, two nested schemas a link, to items that are costly to compare."""
        definitions: dict[str, Any] = {"0": {"uniqueItems": True}}
        for number in range(1, length + 1):
            reference = {"$ref": f"#/$defs/{number - 1}"}
            definitions[str(number)] = {keyword: reference if keyword in ("not", "if") else [reference]}
        schema = {"$ref": f"#/$defs/{length}", "$defs": definitions}
        instance = [nested_list(MAXIMUM_DEPTH - 1), nested_list(MAXIMUM_DEPTH - 1)]
        return places(schema, instance)

    def test_a_depth_violation_is_not_undone_by_a_negation(self) -> None:
        definitions: dict[str, Any] = {"0": False}
        for number in range(1, 1000):
            definitions[str(number)] = {"$ref": f"#/$defs/{number - 1}"}
        schema = {"not": {"$ref": "#/$defs/999"}, "$defs": definitions}
        self.assertEqual(places(schema, 1), [("", "depth")])

    def test_what_json_cannot_write_is_a_violation(self) -> None:
        table = (
            ({"a": [1, float("nan")]}, "/a/1", "expected a finite number, found nan"),
            (float("inf"), "", "expected a finite number, found inf"),
            ({"a": (1,)}, "/a", "expected a JSON value, found a Python tuple"),
            ({"a": {1: 2}}, "/a", "expected string property names, found a Python int"),
        )
        for instance, path, message in table:
            with self.subTest(instance=instance):
                self.assertEqual(violations(True, instance), [Violation(path, "json", message)])


PROPERTY_NAMES = ("a", "b", "kind", "record", "x1")
SCALARS: tuple[Any, ...] = (
    *(None, True, False, "", "a", "b", "ab", "page", "\U0001f600"),
    *(0, 1, 1.0, -1, 2, 2.5, -0.0, 2**53 + 1, float(2**53)),
)
TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
PATTERNS = ("a", "^a", "b$", "^[a-z]+$", "^.$", "1", "k.nd|record")
DEFINITIONS = ("first", "second")
REFERENCES = tuple(
    f"{document}#/$defs/{name}"
    for document in ("", "shared.schema.json", "https://example.test/schemas/shared.schema.json")
    for name in DEFINITIONS
)


class RandomSchemas:
    """Small random schemas of the subset and random instances, all drawn from one generator."""

    def __init__(self, generator: random.Random) -> None:
        self.generator = generator

    def instance(self, depth: int = 3) -> Any:
        """Return a value of at most the given depth."""
        shape = self.generator.random()
        if depth == 0 or shape < 0.4:
            return self.generator.choice(SCALARS)
        size = self.generator.randrange(4)
        if shape < 0.65:
            return [self.instance(depth - 1) for _ in range(size)]
        return {name: self.instance(depth - 1) for name in self.generator.sample(PROPERTY_NAMES, size)}

    def documents(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a main document and one that it may refer to; definitions descend before they refer."""
        shared = {
            "$id": "https://example.test/schemas/shared.schema.json",
            "$defs": {name: self.definition() for name in DEFINITIONS},
        }
        main = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.test/schemas/main.schema.json",
            "$defs": {name: self.definition() for name in DEFINITIONS},
            **self.keywords(3, may_refer=True),
        }
        return main, shared

    def definition(self) -> Any:
        """Return a schema that refers to definitions only below a property or an item."""
        schema = self.keywords(1, may_refer=False)
        if self.generator.random() < 0.5:
            schema["items"] = {"$ref": self.generator.choice(REFERENCES)}
        if self.generator.random() < 0.5:
            name = self.generator.choice(PROPERTY_NAMES)
            schema["properties"] = {name: {"$ref": self.generator.choice(REFERENCES)}}
        return schema

    def schema(self, depth: int, may_refer: bool) -> Any:
        """Return any schema of at most the given depth."""
        chance = self.generator.random()
        if chance < 0.06:
            return chance < 0.04
        if may_refer and chance < 0.2:
            return {"$ref": self.generator.choice(REFERENCES)}
        return self.keywords(depth, may_refer)

    def keywords(self, depth: int, may_refer: bool) -> dict[str, Any]:
        """Return a schema object with a few keywords."""
        schema: dict[str, Any] = {}
        choices = list(self.LEAVES) + (list(self.BRANCHES) * 2 if depth > 0 else [])
        for keyword in self.generator.sample(choices, self.generator.randrange(1, 4)):
            make = self.LEAVES.get(keyword)
            if make is not None:
                schema[keyword] = make(self)
            else:
                schema[keyword] = self.BRANCHES[keyword](self, depth - 1, may_refer)
        if "if" in schema:
            for keyword in self.generator.sample(("then", "else"), self.generator.randrange(3)):
                schema[keyword] = self.schema(depth - 1, may_refer)
        return schema

    def type_names(self) -> Any:
        """Return a type name or a few."""
        if self.generator.random() < 0.6:
            return self.generator.choice(TYPES)
        return self.generator.sample(TYPES, self.generator.randrange(1, 4))

    def schema_list(self, depth: int, may_refer: bool) -> list[Any]:
        """Return one to three schemas, sometimes told apart by a constant property."""
        schemas = [self.schema(depth, may_refer) for _ in range(self.generator.randrange(1, 4))]
        if self.generator.random() < 0.4:
            for schema in schemas:
                if isinstance(schema, dict):
                    constant = {"const": self.generator.choice(SCALARS)}
                    schema["properties"] = {**schema.get("properties", {}), "kind": constant}
        return schemas

    def schema_map(self, names: tuple[str, ...], depth: int, may_refer: bool) -> dict[str, Any]:
        """Return schemas by some of the names."""
        chosen = self.generator.sample(names, self.generator.randrange(1, 4))
        return {name: self.schema(depth, may_refer) for name in chosen}

    def count(self) -> Any:
        """Return a small bound on a size."""
        return self.generator.choice((0, 1, 2, 3, 2.0))

    def bound(self) -> Any:
        """Return a small bound on a number."""
        return self.generator.choice((-1, 0, 0.5, 1, 2.5, 2**53))

    LEAVES: ClassVar[dict[str, Callable[[Any], Any]]] = {
        "type": type_names,
        "enum": lambda self: [self.instance(2) for _ in range(self.generator.randrange(1, 5))],
        "const": lambda self: self.instance(2),
        "required": lambda self: self.generator.sample(PROPERTY_NAMES, self.generator.randrange(3)),
        "minProperties": count,
        "maxProperties": count,
        "minItems": count,
        "maxItems": count,
        "uniqueItems": lambda self: self.generator.random() < 0.9,
        "minLength": count,
        "maxLength": count,
        "pattern": lambda self: self.generator.choice(PATTERNS),
        "minimum": bound,
        "maximum": bound,
        "exclusiveMinimum": bound,
        "exclusiveMaximum": bound,
    }
    BRANCHES: ClassVar[dict[str, Callable[[Any, int, bool], Any]]] = {
        "properties": lambda self, depth, may_refer: self.schema_map(PROPERTY_NAMES, depth, may_refer),
        "patternProperties": lambda self, depth, may_refer: self.schema_map(PATTERNS, depth, may_refer),
        "additionalProperties": schema,
        "propertyNames": schema,
        "items": schema,
        "prefixItems": schema_list,
        "allOf": schema_list,
        "anyOf": schema_list,
        "oneOf": schema_list,
        "not": schema,
        "if": schema,
    }


class AgreementWithJsonschema(unittest.TestCase):
    """An independent implementation of the standard gives the same verdicts."""

    FIRST_SEED = 20_260_000
    SCHEMAS = 1500
    INSTANCES = 12

    def setUp(self) -> None:
        try:
            jsonschema = importlib.import_module("jsonschema")
            referencing = importlib.import_module("referencing")
            dialects = importlib.import_module("referencing.jsonschema")
        except ImportError as error:
            self.skipTest(f"NOTHING WAS COMPARED: install the package jsonschema to compare ({error})")
        self.validator_class = jsonschema.Draft202012Validator
        self.registry_class = referencing.Registry
        self.make_resource = dialects.DRAFT202012.create_resource

    def test_random_schemas_judge_random_instances_alike(self) -> None:
        verdicts = {True: 0, False: 0}
        for seed in range(self.FIRST_SEED, self.FIRST_SEED + self.SCHEMAS):
            with self.subTest(seed=seed):
                self.compare(seed, verdicts)
        total = sum(verdicts.values())
        self.assertGreater(min(verdicts.values()), total // 10, f"one-sided verdicts {verdicts}")

    def compare(self, seed: int, verdicts: dict[bool, int]) -> None:
        """Judge the instances of one seed both ways and count the verdicts."""
        drawn = RandomSchemas(random.Random(seed))
        main, shared = drawn.documents()
        note = f"seed {seed}: main {json.dumps(main)}, shared {json.dumps(shared)}"
        if seed % 25 == 0:
            # Slow, and it guards the generator rather than the validator.
            self.validator_class.check_schema(main)
            self.validator_class.check_schema(shared)
        registry = self.registry_class().with_resource(shared["$id"], self.make_resource(shared))
        expected_by = self.validator_class(main, registry=registry)
        store = SchemaStore({"main.schema.json": main, "shared.schema.json": shared})
        for _ in range(self.INSTANCES):
            instance = drawn.instance()
            expected = expected_by.is_valid(instance)
            found = store.validate(instance, "main.schema.json")
            message = f"{note}, instance {json.dumps(instance)}: {[str(violation) for violation in found]}"
            self.assertEqual(not found, expected, message)
            self.assertEqual(store.is_valid(instance, "main.schema.json"), expected, message)
            verdicts[expected] += 1


if __name__ == "__main__":
    unittest.main()
