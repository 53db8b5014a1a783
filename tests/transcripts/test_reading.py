"""From bytes to JSON: what is whole is read, whatever surrounds it; the rest is reported where it is."""

import gzip
import hashlib
import io
import json
import os
import random
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay.errors import InputError
from clawvm_transcripts import reading
from clawvm_transcripts.events import Broken
from clawvm_transcripts.reading import (
    CHUNK,
    MOST_OBJECTS,
    NO_JSON,
    NO_OBJECT,
    TOP,
    Document,
    Element,
    Source,
    decoded,
    documents,
    json_records,
    lines_of,
    parsed,
)
from tests.support import temporary_folder

TEXT = b"".join(b'{"line": %d}\n' % number for number in range(3000))

ONE, TWO = '{"type": "one", "a": {"b": [{"c": 1}]}}', '{"type": "two"}'
FIRST, SECOND = json.loads(ONE), json.loads(TWO)


def noise(size):
    return random.Random(7).getrandbits(8 * size).to_bytes(size, "big")


class SourceTest(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder(self)

    def read(self, content):
        path = self.folder / "session.jsonl"
        path.write_bytes(content)
        source = Source(path)
        with source.open() as stream:
            self.content = stream.read()
        self.assertEqual(source.read, len(self.content))
        return source

    def test_plain_and_gzip_give_the_same_bytes(self):
        for content in (b"", b"a", TEXT, noise(2 * CHUNK + 1)):
            for packed in (content, gzip.compress(content, 1)):
                source = self.read(packed)
                self.assertEqual((self.content, source.damage), (content, ""))

    def test_every_pass_reads_and_counts_anew(self):
        source = self.read(gzip.compress(TEXT)[:-1])
        self.assertNotEqual(source.damage, "")
        source.path.write_bytes(TEXT)
        with source.open() as stream:
            self.assertEqual((source.read, source.damage), (0, ""))
            self.assertEqual(stream.read(), TEXT)
        self.assertEqual(source.digest, hashlib.sha256(TEXT).hexdigest())

    def test_members_in_a_row_are_one_file(self):
        source = self.read(b"".join(map(gzip.compress, (TEXT, b"", b"the end"))))
        self.assertEqual((self.content, source.damage), (TEXT + b"the end", ""))

    def test_a_file_that_is_cut_off_gives_all_that_is_there(self):
        packed = gzip.compress(TEXT, mtime=0)
        before = -1
        for size in [*range(2, 40), *range(40, len(packed), 97), *range(len(packed) - 10, len(packed))]:
            source = self.read(packed[:size])
            self.assertEqual(source.damage, "the compressed data is cut off")
            self.assertTrue(TEXT.startswith(self.content))
            self.assertGreaterEqual(len(self.content), before)
            before = len(self.content)
        self.assertEqual(self.content, TEXT)  # Only the checksum is missing.

    def test_damage_ends_the_content_and_is_reported(self):
        content = noise(1 << 18)
        packed = bytearray(gzip.compress(content, mtime=0))
        packed[1 << 17] ^= 0xFF
        source = self.read(bytes(packed))
        self.assertEqual(source.damage, "the compressed data is damaged")
        self.assertGreater(len(self.content), 1 << 16)
        self.assertEqual(self.content[: 1 << 16], content[: 1 << 16])
        source = self.read(gzip.compress(TEXT) + b"rubbish")
        self.assertEqual((self.content, source.damage), (TEXT, "the compressed data is damaged"))

    def test_a_bomb_is_read_in_pieces(self):
        source = Source(self.folder / "bomb")
        source.path.write_bytes(gzip.compress(bytes(50 * CHUNK), 1))
        with source.open() as stream:
            self.assertEqual(stream.read(10), bytes(10))
            self.assertLessEqual(source.read, 2 * CHUNK)

    def refused(self, path, reason):
        with self.assertRaises(InputError) as caught:
            Source(path).open()
        self.assertEqual(str(caught.exception), f"{path}: {reason}")

    def test_folders_pipes_and_what_is_not_there_are_refused(self):
        self.refused(self.folder, "is not a file")
        self.refused(self.folder / "nowhere", "is not a file")
        if hasattr(os, "mkfifo"):
            os.mkfifo(self.folder / "pipe")
            self.refused(self.folder / "pipe", "is not a file")

    def test_a_file_that_cannot_be_opened_or_read_is_one_line(self):
        path = self.folder / "secret"
        path.write_bytes(TEXT)
        with mock.patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied")):
            self.refused(path, "cannot be read: Permission denied")
        raw = mock.Mock(spec=io.BufferedReader)
        raw.peek.side_effect = OSError(5, "Input/output error")
        with mock.patch.object(Path, "open", return_value=raw):
            stream = Source(path).open()
        with self.assertRaisesRegex(InputError, "secret: cannot be read: Input/output error"):
            stream.read()

    def test_a_file_that_shrinks_while_it_is_read_ends(self):
        path = self.folder / "going"
        path.write_bytes(bytes(8 * CHUNK))
        with Source(path).open() as stream:
            stream.read(10)
            os.truncate(path, 20)
            self.assertLess(len(stream.read()), 4 * CHUNK)


class LinesTest(unittest.TestCase):
    def test_lines_are_numbered_and_the_last_needs_no_end(self):
        for content, expected in (
            (b"", []),
            (b"\n", [b"\n"]),
            (b"a\nb", [b"a\n", b"b"]),
            (b"a\r\n\nb\n", [b"a\r\n", b"\n", b"b\n"]),
        ):
            self.assertEqual(list(lines_of(io.BytesIO(content))), list(enumerate(expected, 1)))

    def test_a_line_that_is_too_long_is_skipped(self):
        with mock.patch.object(reading, "CHUNK", 4):
            for length, kept in ((9, True), (10, True), (11, False), (12, False), (40, False)):
                for end in (b"\n", b""):
                    content = b"a\n" + b"x" * length + end + (b"z\n" if end else b"")
                    lines = [line for _, line in lines_of(io.BytesIO(content), longest=10)]
                    expected = [b"a\n", b"x" * length + end if kept else None, *([b"z\n"] if end else [])]
                    self.assertEqual(lines, expected, (length, end))


class ParsedTest(unittest.TestCase):
    def test_whole_objects_alone_or_two_in_a_line(self):
        self.assertEqual((parsed(ONE), parsed(TWO)), ([FIRST], [SECOND]))
        for between in ("", " ", "\t  "):
            self.assertEqual(parsed(ONE + between + TWO), [FIRST, SECOND])

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
        crowded = '{"list": [' + '{"a": {"b": 1}}, ' * (4 * MOST_OBJECTS) + '{"a": "cut'
        self.assertEqual(parsed(crowded + ONE), [NO_JSON, FIRST])

    def test_a_part_of_a_broken_object_is_no_record(self):
        self.assertEqual(parsed('{"a": tru, "b": {"type": "part"}}'), [NO_JSON])
        self.assertEqual(parsed('{"a": tru, "b": {"c": 1}'), [NO_JSON])

    def test_json_that_is_no_object(self):
        for text in ("[1]", "1", '"text"', "null", "NaN"):
            self.assertEqual(parsed(text), [NO_OBJECT])

    def test_a_line_holds_a_bounded_number_of_objects(self):
        *read, reported = parsed(TWO * (MOST_OBJECTS + 1))
        self.assertEqual((read, reported), ([SECOND] * MOST_OBJECTS, f"holds more than {MOST_OBJECTS} objects"))

    def test_nul_bytes_around_and_control_characters_inside(self):
        self.assertEqual(parsed("\x00\x00" + TWO + "\x00"), [SECOND])
        self.assertEqual(parsed('{"a": "\x00\x1b\t"}'), [{"a": "\x00\x1b\t"}])


class DecodedTest(unittest.TestCase):
    def test_what_python_cannot_follow_is_no_json(self):
        with self.assertRaises(ValueError):
            decoded("[" * 200_000 + "]" * 200_000)
        self.assertEqual(parsed('{"a":' * 200_000 + "1" + "}" * 200_000), [NO_JSON])

    def test_lone_surrogates_are_replaced_and_pairs_are_not(self):
        for text in ('"\\ud800"', '"\\uDFFF"', '"\\uD83Dx"', '"\\ude00\\ud83d"'):
            value = decoded(f'{{"key": [{text}]}}')[0]
            self.assertEqual(set(value["key"][0]) - {"x"}, {"\ufffd"})
        self.assertEqual(decoded('{"\\ud800": 1}')[0], {"\ufffd": 1})
        self.assertEqual(decoded('"\\ud83d\\ude00"')[0], "\U0001f600")
        self.assertEqual(decoded('"\\\\ud800"')[0], "\\ud800")


class RecordsTest(unittest.TestCase):
    def records(self, content):
        return list(json_records(io.BytesIO(content)))

    def test_numbers_blank_lines_and_all_ends(self):
        content = f"\ufeff{TWO}\n\r\n{TWO}\r\n  {TWO}".encode()
        self.assertEqual(self.records(content), [(1, SECOND), (2, None), (3, SECOND), (4, SECOND)])
        self.assertEqual(self.records(b""), [])
        self.assertEqual(self.records(b"\xef\xbb\xbf\n"), [(1, None)])

    def test_damage_is_in_its_place(self):
        self.assertEqual(
            self.records(f"{ONE[:5]}{TWO}\nrubbish\n{TWO}{ONE[:9]}\n[]\n".encode()),
            [
                (1, Broken(1, NO_JSON)),
                (1, SECOND),
                (2, Broken(2, NO_JSON)),
                (3, SECOND),
                (3, Broken(3, NO_JSON)),
                (4, Broken(4, NO_OBJECT)),
            ],
        )

    def test_bytes_that_are_no_text_cost_only_themselves(self):
        self.assertEqual(self.records(b'{"a": "x\xff\xc3y"}\n'), [(1, {"a": "x\ufffd\ufffdy"})])

    def test_a_line_end_of_another_alphabet_is_none(self):
        self.assertEqual(self.records('{"a": "x\u2028y\x85z"}\n'.encode()), [(1, {"a": "x\u2028y\x85z"})])

    def test_a_line_that_is_too_long(self):
        content = b'{"a": "' + b"x" * (16 << 20) + b'"}\n' + TWO.encode()
        self.assertEqual(self.records(content), [(1, Broken(1, "line is longer than 16777216 bytes")), (2, SECOND)])


class DocumentTest(unittest.TestCase):
    def elements(self, text):
        return list(Document(text).elements())

    def test_elements_and_values_in_the_order_of_the_document(self):
        document = Document('{"list": [1, {"a": []}], "name": "n",\n "none": [], "name": {"b": 2}}\n')
        self.assertEqual(
            list(document.elements()),
            [
                Element("list", 0, 1, 1),
                Element("list", 1, {"a": []}, 1),
                Element("name", -1, "n", 1),
                Element("name", -1, {"b": 2}, 2),
            ],
        )
        self.assertEqual(document.keys, {"list", "name", "none"})

    def test_a_document_may_be_an_array_or_nothing(self):
        self.assertEqual(self.elements("[1,\n2]"), [Element(TOP, 0, 1, 1), Element(TOP, 1, 2, 2)])
        for text in ("", " \n\t\r\n", "\0\0", "{}", "[]", " {\n} "):
            self.assertEqual(self.elements(text), [], text)

    def test_what_precedes_damage_is_read_and_the_damage_has_its_line(self):
        text = '{"list": [{"a": 1},\n{"b": 2},\n{"c": 3}]}'
        for size in range(1, len(text)):
            *read, last = self.elements(text[:size])
            self.assertEqual(read, self.elements(text)[: len(read)], size)
            self.assertEqual(last, Broken(text.count("\n", 0, size) + 1, NO_JSON), size)
        for rubbish in ("nonsense", "{1: 2}", '{"a" 1}', '{"a": 1 "b": 2}', "{} {}", '{"a": 1,}', "[1 2]"):
            self.assertEqual(self.elements(rubbish)[-1], Broken(1, NO_JSON), rubbish)


class DocumentsTest(unittest.TestCase):
    def read(self, text):
        content = text if isinstance(text, bytes) else text.encode()
        return [(document.lines, list(document.elements())) for document in documents(io.BytesIO(content))]

    def values(self, text):
        return [[getattr(item, "value", None) for item in items] for _, items in self.read(text)]

    def test_one_in_each_line_or_one_over_many(self):
        self.assertEqual(self.read('{"a": 1}\n{"a": 2}'), [(1, [Element("a", -1, n, n)]) for n in (1, 2)])
        for indent in (None, 0, 1):
            whole = json.dumps({"list": [{"x": 1}, {"y": [{}]}]}, indent=indent)
            self.assertEqual(self.values(f"{whole}\n{whole}\n"), [[{"x": 1}, {"y": [{}]}]] * 2, indent)
        self.assertEqual(self.read(b""), [])
        self.assertEqual(self.values(b'\xef\xbb\xbf{"a": "\xff"}'), [["\ufffd"]])

    def test_a_damaged_one_costs_only_itself(self):
        self.assertEqual(self.values('{"a": 1}\n{"a": "torn\n{"a": 3}\n'), [[1], [None], [3]])
        self.assertEqual(self.values('{"a": 1\n{"a": 2}\n'), [[1, None], [2]])

    def test_one_that_is_too_long_is_refused_without_being_kept(self):
        with mock.patch.object(reading, "MAXIMUM_DOCUMENT", 40):
            for long in ('{"a": "' + "x" * 99 + '"}', '{"a": [' + "\n1," * 30 + "1]}"):
                lines = long.count("\n") + 1
                (_, first), (number, refused), (_, last) = self.read(f'{{"a": 1}}\n{long}\n{{"a": 3}}')
                self.assertEqual((first[0].value, last[0].value, last[0].line), (1, 3, lines + 2))
                self.assertEqual((number, refused), (lines, [Broken(2, "document is longer than 40 bytes")]))
