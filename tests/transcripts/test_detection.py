"""From inputs to sessions: which files are read, in which order, and how the format of each is found."""

import gzip
import hashlib
import io
import itertools
import json
import os
import socket
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay.errors import InputError
from clawvm_transcripts import detection
from clawvm_transcripts.detection import (
    FORMATS,
    HEAD,
    HEAD_ELEMENTS,
    HEAD_LINES,
    NotReadError,
    SessionFile,
    detect,
    events_of,
    head_of,
    session_files,
)
from clawvm_transcripts.events import AssistantMessage, Broken, Prompt, SessionEnd, SessionStart
from clawvm_transcripts.formats import Format, Reader, line_format, required_text
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from clawvm_transcripts.output import Job, convert
from clawvm_transcripts.reading import Source
from tests.support import temporary_folder

RECORD = {"type": "user", "sessionId": "s", "uuid": "u", "version": "1", "message": {"content": "Hello."}}
LINE = json.dumps(RECORD).encode() + b"\n"

KNOWN = ", ".join(item.title for item in FORMATS)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = temporary_folder(self)

    def file(self, name, content=LINE):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


class DetectTest(Folder):
    def refused(self, content):
        path = self.file("kettle.jsonl", content)
        with self.assertRaises(NotReadError) as caught:
            detect(Source(path))
        message = str(caught.exception)
        self.assertTrue(message.startswith(f"{path}: "), message)
        return message.removeprefix(f"{path}: ")

    def test_the_content_decides_and_not_the_name(self):
        for name in ("a.jsonl", "b.traj", "c.json.gz", "d"):
            for content in (LINE, gzip.compress(LINE)):
                self.assertIs(detect(Source(self.file(name, content))), CLAUDE_CODE)

    def test_what_is_in_no_known_format_is_refused_with_all_that_are_known(self):
        self.assertIn("Claude Code, ", KNOWN)
        for content in (b"Boil water.\n", b"{}", bytes(range(256)), b'{"type": "user"}\n', b"%PDF-1.7\n\0\0"):
            self.assertEqual(self.refused(content), f"is in no known format; known: {KNOWN}")
        self.assertEqual(self.refused(b"\x1f\x8b"), f"the compressed data is cut off; known: {KNOWN}")
        self.assertEqual(self.refused(b"\x1f\x8b12"), f"the compressed data is damaged; known: {KNOWN}")

    def test_an_empty_file_is_said_to_be_empty(self):
        for content in (b"", b" \n\n", gzip.compress(b"")):
            self.assertEqual(self.refused(content), f"is empty; known: {KNOWN}")

    def test_events_through_a_damaged_gzip_file_are_those_before_the_damage(self):
        packed = gzip.compress(LINE * 2)
        source = Source(self.file("cut", packed[:-9]))
        events = list(events_of(source, detect(source)))
        self.assertEqual(events[:2], [SessionStart("s", "1"), Prompt("Hello.")])
        self.assertEqual(source.damage, "the compressed data is cut off")

    def test_a_file_that_vanished_or_became_another_after_detection(self):
        source = Source(self.file("kettle"))
        found = detect(source)
        source.path.write_bytes(b"rubbish\n")
        broken = Broken(1, "is no JSON, or only a part of it")
        self.assertEqual(list(events_of(source, found)), [SessionStart(), broken, SessionEnd(1)])
        source.path.unlink()
        with self.assertRaisesRegex(InputError, "kettle: is not a file"):
            list(events_of(source, found))

    def test_formats_that_need_a_path_get_an_uncompressed_file(self):
        paths = []

        def read(stream):
            paths.append(Path(stream.name))
            self.assertEqual(paths[-1].read_bytes(), LINE)
            yield SessionEnd(1)

        needy = Format("needy", "Needy", lambda head: True, read, needs_path=True)
        for content in (LINE, gzip.compress(LINE)):
            source = Source(self.file("kettle", content))
            self.assertEqual(list(events_of(source, needy)), [SessionEnd(1)])
            self.assertEqual(source.digest, hashlib.sha256(LINE).hexdigest())
        plain, unpacked = paths
        self.assertTrue(plain.samefile(source.path), "a plain file needs no copy of its texts")
        self.assertFalse(unpacked.exists())

    def test_no_space_to_unpack_is_one_line(self):
        needy = Format("needy", "Needy", lambda head: True, lambda stream: iter(()), needs_path=True)
        full = mock.patch("shutil.copyfileobj", side_effect=OSError(28, "No space left on device"))
        with full, self.assertRaisesRegex(InputError, "kettle: cannot be unpacked: No space left on device"):
            list(events_of(Source(self.file("kettle", gzip.compress(LINE))), needy))


class DiaryReader(Reader):
    """Reads a format that only this test knows: every line is a word of the user and one of the model."""

    def record(self, record):
        yield Prompt(required_text(record, "asked"))
        yield AssistantMessage(required_text(record, "answered"))


class OpenRegistryTest(Folder):
    def test_a_format_from_outside_is_detected_read_and_converted(self):
        diary = line_format("diary", "Diary", lambda head: any("asked" in item for item in head.records), DiaryReader)
        content = b'{"asked": "Tea?", "answered": "Yes."}\n{"asked": 1}\n'
        path = self.file("diary.jsonl", content)
        with self.assertRaises(NotReadError):
            detect(Source(path))
        with mock.patch.object(detection, "FORMATS", [*FORMATS, diary]):
            self.assertIs(detect(Source(path)), diary)
            self.assertIs(detect(Source(self.file("other.jsonl"))), CLAUDE_CODE)
            (session,) = convert(Job(0, (str(path),), str(self.folder / "out"))).sessions
        self.assertRegex(session.name, "^diary-[0-9a-f]{12}$")
        self.assertEqual((session.facts["harnesses"], session.facts["turns"]), (["diary"], 1))
        self.assertEqual(session.facts["broken_lines"][0]["line"], 2)


class HeadTest(unittest.TestCase):
    def head(self, content):
        stream = io.BytesIO(content)
        head = head_of(stream)
        self.assertLessEqual(stream.tell(), HEAD)
        return head

    def test_records_are_the_objects_of_the_first_lines(self):
        head = self.head(b'\xef\xbb\xbf{"a": 1}\nrubbish\n[1]\n\n{"b": 1}{"c": 1}\n{"d": 1}')
        self.assertEqual(head.records, ({"a": 1}, {"b": 1}, {"c": 1}, {"d": 1}))
        self.assertEqual(len(self.head(b'{"a": 1}\n' * 500).records), HEAD_LINES)

    def test_keys_and_first_elements_of_the_document(self):
        head = self.head(b'{"name": 1, "list": [{"x": 1}, {"y": 2}], "flat": [1], "none": [],\n "last": {"z": 1}}')
        self.assertEqual(head.keys, {"name", "list", "flat", "none", "last"})
        self.assertEqual(head.firsts, {"list": {"x": 1}})
        self.assertEqual(head.lists, {"list": ({"x": 1}, {"y": 2})})
        self.assertEqual(head.values, {"name": 1, "last": {"z": 1}})

    def test_of_a_list_its_first_elements_are_kept_up_to_one_that_is_no_object(self):
        self.assertEqual(self.head(b'[{"x": 1}, 2, {"y": 3}]').lists, {"": ({"x": 1},)})
        self.assertEqual(self.head(b'[1, {"y": 3}]').lists, {})
        self.assertEqual(len(self.head(json.dumps([{"x": 1}] * 500).encode()).lists[""]), HEAD_ELEMENTS)

    def test_of_an_element_longer_than_the_head_what_is_before_the_cut_is_kept(self):
        long = json.dumps([{"role": "user", "content": [{"x": 1}, {"y": "z" * HEAD}], "last": 1}]).encode()
        for content in (long, b"\xef\xbb\xbf\n " + long):
            self.assertEqual(self.head(content).lists, {"": ({"role": "user", "content": [{"x": 1}]},)})

    def test_a_line_longer_than_the_head_is_known_by_the_values_before_the_cut(self):
        long = b'{"parentUuid": null, "type": "user", "message": {"content": "' + b"x" * HEAD + b'"}, "uuid": "u"}\n'
        cut = {"parentUuid": None, "type": "user"}
        self.assertEqual(self.head(long + LINE).records, (cut,))
        self.assertEqual(self.head(LINE + long).records, (RECORD, cut))
        self.assertEqual(self.head(long).keys, {"parentUuid", "type", "message"})

    def test_a_first_prompt_with_a_large_picture_is_recognized(self):
        for before in ({"sessionId": "s"}, {}):
            picture = {"content": [{"type": "image", "source": {"data": "x" * (2 * HEAD)}}]}
            record = {"parentUuid": None, "isSidechain": False, **before, "type": "user", "message": picture}
            content = json.dumps({**record, "uuid": "u", "sessionId": "s"}).encode()
            self.assertTrue(CLAUDE_CODE.recognizes(self.head(content)))

    def test_in_a_binary_file_what_looks_like_a_record_is_none(self):
        self.assertEqual(self.head(b"SQLite format 3\0\x10\n" + LINE * 2).records, ())
        self.assertEqual(self.head(b"\0\0" + LINE + b"\0\0\0\n" + LINE).records, (RECORD, RECORD))

    def test_one_nul_in_a_long_line_of_text_makes_no_binary_file(self):
        long = {**RECORD, "words": "x" * 200}
        line = json.dumps(long).encode().replace(b"xx", b"x\0", 1) + b"\n"
        self.assertEqual(len(self.head(line + LINE).records), 2)


class SessionFilesTest(Folder):
    def names(self, *inputs):
        return [item.name for item in session_files([self.folder / name for name in inputs])]

    def test_named_files_and_walked_folders(self):
        one, two = self.file("one.jsonl"), self.file("more/deep/two.txt")
        self.assertEqual(
            session_files([one, self.folder / "more"]),
            [SessionFile(two, "deep/two.txt", False), SessionFile(one, "one.jsonl", True)],
        )

    def test_the_order_of_the_inputs_and_the_place_of_the_folder_have_no_say(self):
        inputs = ["b", "a", "c/z.jsonl", "c"]
        for name in ("b/2", "b/1", "a/3", "a/x/0", "c/z.jsonl", "c/y"):
            self.file(name)
        orders = {tuple(self.names(*order)) for order in itertools.permutations(inputs)}
        self.assertEqual(orders, {("1", "2", "3", "x/0", "y", "z.jsonl")})
        for name in ("zz/one/f2", "aa/two/f1"):
            self.file(name)
        self.assertEqual(self.names("zz/one", "aa/two"), ["f1", "f2"])

    def test_equal_names_are_ordered_by_their_inputs(self):
        for name in ("b/same", "a/same"):
            self.file(name)
        for inputs in (("a", "b"), ("b", "a")):
            paths = [item.path for item in session_files([self.folder / name for name in inputs])]
            self.assertEqual(paths, [self.folder / "a/same", self.folder / "b/same"])

    def test_a_file_reached_twice_is_read_once_and_stays_named(self):
        path = self.file("in/deep/kettle")
        (self.folder / "link").symlink_to(path)
        inputs = [self.folder / "in", path, self.folder / "in/deep", path, self.folder / "link"]
        for order in (inputs, inputs[::-1]):
            self.assertEqual(session_files(order), [SessionFile(path, "deep/kettle", True)])

    def test_hidden_things_are_skipped_unless_they_are_named(self):
        self.file(".agent/projects/kettle/session")
        self.file(".agent/.cache/session")
        self.file(".agent/projects/.hidden")
        self.assertEqual(self.names("."), [])
        self.assertEqual(self.names(".agent"), ["projects/kettle/session"])
        self.assertEqual(self.names(".agent/projects/.hidden"), [".hidden"])

    def test_links_to_folders_are_not_followed_and_circles_end(self):
        self.file("in/kettle")
        self.file("out/spoon")
        (self.folder / "in/out").symlink_to(self.folder / "out")
        (self.folder / "in/circle").symlink_to(self.folder / "in")
        (self.folder / "in/self").symlink_to("self")
        (self.folder / "in/dangling").symlink_to("nowhere")
        (self.folder / "in/file").symlink_to(self.folder / "out/spoon")
        self.assertEqual(self.names("in"), ["file", "kettle"])
        (self.folder / "entry").symlink_to(self.folder / "in")
        self.assertEqual(self.names("entry"), ["file", "kettle"])

    @unittest.skipUnless(hasattr(os, "mkfifo"), "no pipes on this system")
    def test_pipes_and_sockets_are_skipped_and_refused_when_named(self):
        self.file("in/kettle")
        os.mkfifo(self.folder / "in/pipe")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.folder / "in/socket"))
            self.assertEqual(self.names("in"), ["kettle"])
            for name in ("in/pipe", "in/socket"):
                self.refused(name, "cannot be read: is neither a file nor a folder")

    def refused(self, name, reason):
        with self.assertRaises(InputError) as caught:
            self.names(name)
        self.assertEqual(str(caught.exception), f"{self.folder / name}: {reason}")

    def test_what_is_not_there_is_refused(self):
        (self.folder / "circle").symlink_to("circle")
        self.refused("nowhere", "cannot be read: No such file or directory")
        with self.assertRaisesRegex(InputError, "circle: cannot be read: .*symbolic links"):
            self.names("circle")
        with self.assertRaisesRegex(InputError, "cannot be read"):
            session_files([Path("a\0b")])

    def test_a_folder_that_cannot_be_read_is_refused(self):
        self.file("in/kettle")
        denied = PermissionError(13, "Permission denied", str(self.folder / "in"))
        with mock.patch("os.scandir", side_effect=denied):
            self.refused("in", "cannot be read: Permission denied")

    def test_names_of_any_bytes_can_be_written_down(self):
        try:
            self.file("in/" + os.fsdecode(b"k\xff"))
        except OSError:
            self.skipTest("this file system takes no such name")
        self.assertEqual(self.names("in"), ["k\ufffd"])

    def test_an_empty_folder_holds_nothing(self):
        (self.folder / "empty").mkdir()
        self.assertEqual(self.names("empty"), [])
        self.assertEqual(session_files([]), [])
