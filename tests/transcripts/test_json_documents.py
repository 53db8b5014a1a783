"""Elements of large JSON documents: the same as reading the whole, in bounded memory, wherever the pieces end."""

import io
import json
import random
import unittest
from unittest import mock

from clawvm_transcripts import reading as json_text
from clawvm_transcripts.detection import (
    CROWDED,
    MOST_CONTAINERS,
    NO_JSON,
    TOP,
    DocumentBroken,
    DocumentEnd,
    Element,
    ElementBroken,
    elements,
)

SEED = 11

CUT_OFF = "the document is cut off"


def read(text, arrays=("list",), values=("name",)):
    content = text if isinstance(text, bytes) else text.encode()
    return list(elements(io.BytesIO(content), arrays, values))


def read_in_pieces(text, chunk, **wanted):
    with mock.patch.object(json_text, "CHUNK", chunk):
        return read(text, **wanted)


def ends(items):
    return [item.lines for item in items if isinstance(item, DocumentEnd)]


class Bytes(io.RawIOBase):
    """Yields *pieces*, and remembers how much was asked for."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)

    def read(self, size=-1):
        return next(self._pieces, b"")


class ElementsTest(unittest.TestCase):
    def test_elements_and_values_in_the_order_of_the_document(self):
        text = '{"skip": {"list": [1]}, "list": [1, {"a": []}], "name": "n",\n "list": [], "name": {"b": 2}}\n'
        self.assertEqual(
            read(text),
            [
                Element("list", 0, 1, 1),
                Element("list", 1, {"a": []}, 1),
                Element("name", -1, "n", 1),
                Element("name", -1, {"b": 2}, 2),
                DocumentEnd(2),
            ],
        )

    def test_an_array_that_is_none_is_a_value(self):
        self.assertEqual(read('{"list": {"a": 1}}'), [Element("list", -1, {"a": 1}, 1), DocumentEnd(1)])

    def test_a_document_that_is_an_array_only_where_it_is_asked_for(self):
        self.assertEqual(read("[1]", arrays=(TOP,)), [Element(TOP, 0, 1, 1), DocumentEnd(1)])
        self.assertEqual(read("[1]"), [DocumentBroken(1, "is no JSON: expected '{'"), DocumentEnd(1)])

    def test_nothing_asked_for_and_nothing_there(self):
        self.assertEqual(read('{"a": "}", "b": [[{}], "]"], "c": -1.5e3, "d": null}'), [DocumentEnd(1)])
        for text in ("{}", " {\n} "):
            self.assertEqual(len(read(text)), 1)
        for text in ("", " \n\t\r\n", "\ufeff", "\0\0"):
            self.assertEqual(read(text), [])

    def test_everything_is_the_same_in_pieces_of_any_size(self):
        chance = random.Random(SEED)
        for round_number in range(40):
            documents = [random_document(chance) for _ in range(1 + chance.randrange(3))]
            indent = [None, 1][chance.randrange(2)]
            text = "\n".join(json.dumps(item, indent=indent, ensure_ascii=chance.random() < 0.5) for item in documents)
            expected = [item for document in documents for item in expected_of(document)]
            for chunk in (1, 2, 3, 7, 64, 1 << 20):
                items = read_in_pieces(text, chunk, values=("name",))
                plain = [(item.key, item.index, item.value) for item in items if isinstance(item, Element)]
                self.assertEqual(plain, expected, f"seed {SEED}, round {round_number}, pieces of {chunk}")
                self.assertEqual(sum(ends(items)), text.count("\n") + 1)

    def test_numbers_and_words_go_on_in_the_next_piece(self):
        text = '{"list": [1.5e+10, -12, true, null, 0.25, 1e999], "name": 12}'
        for chunk in range(1, len(text)):
            values = [item.value for item in read_in_pieces(text, chunk) if isinstance(item, Element)]
            self.assertEqual(values, [1.5e10, -12, True, None, 0.25, float("inf"), 12], chunk)

    def test_escapes_at_the_end_of_a_piece_while_passing_over(self):
        value = json.dumps(["\\", '"', '\\"', "\\\\", '{"[', "\u00e9\U0001f600", ["\\"]])
        text = f'{{"skip": {value}, "also": {json.dumps(chr(92) + chr(34))}, "more": {{}}, "name": 1}}'
        for chunk in range(1, len(text)):
            self.assertEqual(read_in_pieces(text, chunk), [Element("name", -1, 1, 1), DocumentEnd(1)], chunk)


def random_document(chance):
    document = {}
    for name in ("skip", "list", "name", "other"):
        if chance.random() < 0.8:
            document[name] = random_value(chance, 0)
        if name == "list" and chance.random() < 0.8:
            document[name] = [random_value(chance, 1) for _ in range(chance.randrange(5))]
    return document


def random_value(chance, depth):
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind < 3:
        return "".join(chance.choice('ab\\"{}[],:\n\u00e9\u2028\U0001f600') for _ in range(chance.randrange(12)))
    if kind == 3:
        return chance.randrange(-1000, 1000) / (1 + chance.randrange(3))
    if kind == 4:
        return [True, False, None, 0][chance.randrange(4)]
    if kind < 7:
        return [random_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {f"k{number}": random_value(chance, depth + 1) for number in range(chance.randrange(4))}


def expected_of(document):
    for key, value in document.items():
        if key == "list" and isinstance(value, list):
            yield from ((key, index, item) for index, item in enumerate(value))
        elif key in ("list", "name"):
            yield (key, -1, value)


class LinesTest(unittest.TestCase):
    def test_lines_of_a_document(self):
        for text, expected in (
            ("{}", [1]),
            ("{}\n", [1]),
            ("\ufeff{}\r\n", [1]),
            ("{\n}", [2]),
            ("{\r\n}\r\n\r\n", [2]),
            ('{"a":\n[\n1\n]\n}\n', [5]),
            ("{}{}", [1, 1]),
            ("{}\n{\n}\n\n{}", [1, 2, 1]),
            ("{}\n{", [1, 1]),
            ('{"a":\n\n', [2]),
            ('{"a":\n\n ', [3]),
        ):
            for chunk in (1, 2, 1 << 20):
                self.assertEqual(ends(read_in_pieces(text, chunk)), expected, (text, chunk))

    def test_lines_of_elements(self):
        for end in ("\n", "\r\n"):
            text = end.join(["", '{"skip": [', "1],", ' "list": [', "1,", "{", "}", "]}"])
            items = [item for item in read_in_pieces(text, 3) if isinstance(item, Element)]
            self.assertEqual([item.line for item in items], [5, 6])


TORN = (
    '{"list": "unended',
    '{"list": [{"a": "unended',
    '{"skip": "unended',
    '{"skip": [{"a": "unended',
    '{"skip": ["\\"',
    '{"skip": [' + '"a", ' * 900 + '"unended',
)
"""Documents cut off inside a text; the last is one that fills more than a window."""


class DamageTest(unittest.TestCase):
    def test_a_document_that_is_cut_off_gives_what_stands_before(self):
        text = '{"list": [{"a": 1}, {"a": 2}]}'
        for size in range(1, len(text)):
            *before, broken, end = read(text[:size])
            self.assertIsInstance(broken, DocumentBroken)
            self.assertIn(broken.reason, (CUT_OFF, NO_JSON))
            self.assertEqual(end, DocumentEnd(1))
            self.assertEqual([item.value for item in before], [{"a": 1}, {"a": 2}][: text[:size].count("}")])

    def test_the_next_document_is_found_behind_damage(self):
        good = '{"list": [1]}'
        for bad in ('{"list": [tru]}', "{]", "rubbish", "{1: 2}", "{,", *TORN):
            with self.subTest(bad):
                items = read(f"{bad}\n{good}\n")
                self.assertEqual(items[-2:], [Element("list", 0, 1, 2), DocumentEnd(1)])
                self.assertEqual([item.line for item in items if isinstance(item, DocumentBroken)], [1])
                self.assertEqual(ends(items), [1, 1])

    def test_the_rest_of_a_damaged_document_over_many_lines_is_no_document(self):
        bad = json.dumps({"list": [{"a": 1}] * 5, "name": {"list": [1]}}, indent=2).replace("1", "x", 1)
        self.assertEqual(
            read(bad + '\n{"list": [7]}'),
            [
                DocumentBroken(3, NO_JSON),
                DocumentEnd(bad.count("\n") + 1),
                Element("list", 0, 7, bad.count("\n") + 2),
                DocumentEnd(1),
            ],
        )

    def test_damage_is_found_without_reading_on(self):
        pieces = [b'{"list": [tru', b"x, 1]", *[b" " * 50] * 4]
        stream = Bytes(pieces)
        next(iter(elements(stream, ("list",))))
        self.assertEqual(stream.read(), pieces[2])

    def test_an_element_that_is_too_long_or_too_deep_costs_only_itself(self):
        deep = '{"a":' * 5000 + "1" + "}" * 5000
        with mock.patch.object(json_text, "MAXIMUM_LINE", 100):
            for bad, reason in (
                (json.dumps(["x" * 90] * 2), "an element is longer than 100 characters"),
                (json.dumps("\\" * 150), "an element is longer than 100 characters"),
                ("[" * 50 + "]" * 50 + " " * 200, None),
            ):
                for chunk in (1, 8, 30):
                    items = read_in_pieces(f'{{"list": [1, {bad}, 2], "name": 3}}', chunk)
                    values = [item.value for item in items if isinstance(item, Element)]
                    broken = [item for item in items if isinstance(item, ElementBroken)]
                    self.assertEqual(broken, [ElementBroken(1, reason)] if reason else [])
                    self.assertEqual([values[0], *values[-2:]], [1, 2, 3])
        self.assertEqual(
            read(f'{{"list": [{deep}, 2]}}'),
            [ElementBroken(1, "JSON is nested too deeply"), Element("list", 1, 2, 1), DocumentEnd(1)],
        )

    def test_an_element_of_too_many_objects_costs_only_itself(self):
        many = "[" + "{}," * (2 * MOST_CONTAINERS) + "1]"
        self.assertEqual(
            read(f'{{"list": [{many}, 2]}}'), [ElementBroken(1, CROWDED), Element("list", 1, 2, 1), DocumentEnd(1)]
        )

    def test_a_key_that_is_too_long_is_damage(self):
        with mock.patch.object(json_text, "MAXIMUM_LINE", 100):
            (broken, end) = read_in_pieces('{"' + "k" * 300 + '": 1}', 8)
        self.assertEqual((broken.reason, end), ("an element is longer than 100 characters", DocumentEnd(1)))

    def test_bytes_that_are_no_text(self):
        self.assertEqual(read(b'{"name": "\xff"}'), [Element("name", -1, "\ufffd", 1), DocumentEnd(1)])


class WindowTest(unittest.TestCase):
    def test_the_window_stays_small_whatever_is_passed_over(self):
        chunk, total = 1 << 12, 1 << 20
        for kind, piece in (("text", "x" * 50), ("objects", '{"a": [1]},'), ("escapes", '\\\\\\"')):
            inner = piece * (total // len(piece))
            value = f"[{inner}1]" if kind == "objects" else f'"{inner}"'
            with self.subTest(kind), mock.patch.object(json_text, "CHUNK", chunk):
                for place in (value, f"[{value}]", f'{{"deep": {value}}}'):
                    text = json_text.JsonText(io.BytesIO(place.encode() + b","))
                    text.skip_space()
                    largest = 0
                    with mock.patch.object(text, "_read", side_effect=text._read) as reads:
                        text.skip()
                    largest = len(text._buffer)
                    self.assertGreater(reads.call_count, 100)
                    self.assertLess(largest, 4 * chunk)
                    self.assertEqual(text.peek(), ",")

    def test_a_large_element_is_decoded_a_few_times_only(self):
        element = json.dumps(["x" * 100] * 5000)
        with (
            mock.patch.object(json_text, "CHUNK", 1 << 10),
            mock.patch.object(json_text, "decoded", side_effect=json_text.decoded) as decodes,
        ):
            items = read(f'{{"list": [{element}]}}')
        self.assertEqual(items[0].value, json.loads(element))
        self.assertLess(decodes.call_count, 15)


if __name__ == "__main__":
    unittest.main()
