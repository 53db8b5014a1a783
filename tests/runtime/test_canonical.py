"""Behaviour of canonical JSON and tool signatures."""

import json
import random
import unittest

from clawvm_runtime.canonical import PRESENTATION_ARGUMENTS, canonical_json, tool_signature

SEED = 20263


def random_value(rng: random.Random, depth: int = 3) -> object:
    """Return random JSON data."""
    kind = rng.randrange(7 if depth else 5)
    if kind == 5:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {
            rng.choice("abcdéü") * rng.randrange(1, 3): random_value(rng, depth - 1) for _ in range(rng.randrange(4))
        }
    return [None, rng.random() < 0.5, rng.randrange(-99, 99), rng.random(), rng.choice(["", "a b", "ß\n", "\ud800"])][
        kind
    ]


def shuffled(rng: random.Random, value: object) -> object:
    """Return the same value with every object's keys inserted in another order."""
    if isinstance(value, list):
        return [shuffled(rng, item) for item in value]
    if isinstance(value, dict):
        items = list(value.items())
        rng.shuffle(items)
        return {key: shuffled(rng, item) for key, item in items}
    return value


class CanonicalTests(unittest.TestCase):
    def test_canonical_json_is_one_ascii_line_that_reads_back_and_ignores_insertion_order(self) -> None:
        rng = random.Random(SEED)
        for case in range(200):
            value = random_value(rng)
            text = canonical_json(value)
            message = f"seed {SEED}, case {case}"
            self.assertTrue(text.isascii() and "\n" not in text and "\r" not in text, message)
            self.assertEqual(json.loads(text), value, message)
            self.assertEqual(canonical_json(shuffled(rng, value)), text, message)

    def test_what_is_not_a_number_is_refused(self) -> None:
        for bad in (float("nan"), float("inf"), [-float("inf")]):
            with self.assertRaises(ValueError):
                canonical_json(bad)
        with self.assertRaises(TypeError):
            canonical_json({1, 2})


class SignatureTests(unittest.TestCase):
    def test_presentation_only_arguments_do_not_change_a_signature(self) -> None:
        plain = tool_signature("read", {"path": "a", "limit": 3})
        for name in PRESENTATION_ARGUMENTS:
            self.assertEqual(tool_signature("read", {"limit": 3, name: "x", "path": "a"}), plain)

    def test_presentation_only_arguments_can_be_named_per_tool(self) -> None:
        self.assertEqual(tool_signature("t", {"a": 1, "style": "x"}, {"style"}), 't({"a":1})')
        self.assertEqual(tool_signature("t", {"timeout": 1}, ()), 't({"timeout":1})')

    def test_another_tool_or_another_argument_is_another_signature(self) -> None:
        signatures = [
            tool_signature(tool, {"a": value}) for tool in ("read", "grep") for value in (1, "1", True, None, [1])
        ]
        self.assertEqual(len(set(signatures)), len(signatures))
