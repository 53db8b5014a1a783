"""Records of JSON lines: what is whole is read, whatever stands beside it."""

import io
import json
import unittest

from clawvm_transcripts.detection import (
    CROWDED,
    LONGEST_INTEGER,
    MAXIMUM_DEPTH,
    MOST_CONTAINERS,
    NO_JSON,
    RECOVERIES,
    NestingError,
    decoded,
    json_records,
    parsed,
)
from clawvm_transcripts.events import Broken

ONE, TWO = '{"type": "one", "a": {"b": [{"c": 1}]}}', '{"type": "two"}'
FIRST, SECOND = json.loads(ONE), json.loads(TWO)
TOO_DEEP = "JSON is nested too deeply"


def records(content):
    return list(json_records(io.BytesIO(content)))


def nested(depth):
    return "[" * depth + "]" * depth


class ParsedTest(unittest.TestCase):
    def test_whole_objects(self):
        for text in (ONE, TWO):
            self.assertEqual(parsed(text), [json.loads(text)])

    def test_two_objects_in_one_line(self):
        for between in ("", " ", "\t  "):
            self.assertEqual(parsed(ONE + between + TWO), [FIRST, SECOND])
            self.assertEqual(parsed(TWO + between + ONE), [SECOND, FIRST])

    def test_half_an_object_alone_or_behind_a_whole_one(self):
        for size in range(1, len(ONE)):
            self.assertEqual(parsed(ONE[:size]), [NO_JSON], size)
            self.assertEqual(parsed(TWO + ONE[:size]), [SECOND, NO_JSON], size)

    def test_half_an_object_before_a_whole_one_wherever_it_was_cut(self):
        for size in range(1, len(ONE)):
            self.assertEqual(parsed(ONE[:size] + TWO), [NO_JSON, SECOND], size)
            if size > 1:
                self.assertEqual(parsed(ONE[size:] + TWO)[-1], SECOND, size)

    def test_the_whole_one_is_found_behind_more_openings_than_are_tried(self):
        crowded = '{"list": [' + '{"a": {"b": 1}}, ' * (4 * RECOVERIES) + '{"a": "cut'
        self.assertEqual(parsed(crowded + ONE), [NO_JSON, FIRST])

    def test_a_part_of_a_broken_object_is_no_record(self):
        self.assertEqual(parsed('{"a": tru, "b": {"type": "part"}}'), [NO_JSON])
        self.assertEqual(parsed('{"a": tru, "b": {"c": 1}'), [NO_JSON])

    def test_json_that_is_no_object(self):
        for text in ("[1]", "1", '"text"', "null", "NaN"):
            self.assertEqual(parsed(text), ["is JSON, but no object"])

    def test_more_objects_in_a_line_than_are_read_are_told(self):
        *read, told = parsed(TWO * (RECOVERIES + 1))
        self.assertEqual((read, told), ([SECOND] * RECOVERIES, f"holds more than {RECOVERIES} objects"))
        self.assertEqual(parsed(TWO * RECOVERIES), [SECOND] * RECOVERIES)

    def test_nul_bytes_around_and_control_characters_inside(self):
        self.assertEqual(parsed("\x00\x00" + TWO + "\x00"), [SECOND])
        self.assertEqual(parsed('{"a": "\x00\x1b\t"}'), [{"a": "\x00\x1b\t"}])

    def test_more_containers_than_are_kept_in_memory(self):
        self.assertEqual(parsed('{"a":[' + "{}," * MOST_CONTAINERS + "1]}"), [CROWDED])
        self.assertIsInstance(parsed('{"a":[' + "{}," * (MOST_CONTAINERS - 2) + "1]}")[0], dict)


class DecodedTest(unittest.TestCase):
    def test_nesting_has_the_same_limit_everywhere(self):
        self.assertEqual(decoded(nested(MAXIMUM_DEPTH)), (json.loads(nested(MAXIMUM_DEPTH)), 2 * MAXIMUM_DEPTH))
        for depth in (MAXIMUM_DEPTH + 1, 800, 3000, 100_000):
            with self.assertRaises(NestingError):
                decoded(nested(depth))
            self.assertEqual(parsed('{"a":' * depth + "1" + "}" * depth), [TOO_DEEP])

    def test_many_brackets_that_are_not_nested_are_no_nesting(self):
        wide = [[]] * (MAXIMUM_DEPTH * 3)
        self.assertEqual(decoded(json.dumps(wide))[0], wide)
        self.assertEqual(decoded(json.dumps("[" * 1000))[0], "[" * 1000)

    def test_integers_of_absurd_length_become_infinite(self):
        longest = "9" * LONGEST_INTEGER
        self.assertEqual(decoded(longest)[0], int(longest))
        self.assertEqual(decoded("9" * 5000)[0], float("inf"))
        self.assertEqual(decoded("-" + "9" * 5000)[0], float("-inf"))
        self.assertEqual(decoded("[1e999, -1e999]")[0], [float("inf"), float("-inf")])

    def test_lone_surrogates_are_replaced_and_pairs_are_not(self):
        for text in ('"\\ud800"', '"\\uDFFF"', '"\\uD83Dx"', '"\\ude00\\ud83d"'):
            value = decoded(f'{{"key": [{text}]}}')[0]
            self.assertEqual(set(value["key"][0]) - {"x"}, {"\ufffd"})
        self.assertEqual(decoded('{"\\ud800": 1}')[0], {"\ufffd": 1})
        self.assertEqual(decoded('"\\ud83d\\ude00"')[0], "\U0001f600")
        self.assertEqual(decoded('"\\\\ud800"')[0], "\\ud800")


class RecordsTest(unittest.TestCase):
    def test_numbers_blank_lines_and_all_ends(self):
        content = f"\ufeff{TWO}\n\r\n{TWO}\r\n  {TWO}".encode()
        self.assertEqual(records(content), [(1, SECOND), (2, None), (3, SECOND), (4, SECOND)])
        self.assertEqual(records(b""), [])
        self.assertEqual(records(b"\xef\xbb\xbf\n"), [(1, None)])

    def test_damage_stands_in_its_place(self):
        content = f"{ONE[:5]}{TWO}\nrubbish\n{TWO}{ONE[:9]}\n[]\n".encode()
        self.assertEqual(
            records(content),
            [
                (1, Broken(1, NO_JSON)),
                (1, SECOND),
                (2, Broken(2, NO_JSON)),
                (3, SECOND),
                (3, Broken(3, NO_JSON)),
                (4, Broken(4, "is JSON, but no object")),
            ],
        )

    def test_bytes_that_are_no_text_cost_only_themselves(self):
        self.assertEqual(records(b'{"a": "x\xff\xc3y"}\n'), [(1, {"a": "x\ufffd\ufffdy"})])

    def test_a_line_end_of_another_alphabet_is_none(self):
        self.assertEqual(records('{"a": "x\u2028y\x85z"}\n'.encode()), [(1, {"a": "x\u2028y\x85z"})])

    def test_a_line_that_is_too_long(self):
        content = b'{"a": "' + b"x" * (16 << 20) + b'"}\n' + TWO.encode()
        self.assertEqual(records(content), [(1, Broken(1, "line is longer than 16777216 bytes")), (2, SECOND)])


if __name__ == "__main__":
    unittest.main()
