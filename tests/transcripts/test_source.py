"""The bytes of a recording: plain and gzip alike, damage as an end, and one clear line for what cannot be read."""

import gzip
import hashlib
import io
import os
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay.errors import InputError
from clawvm_transcripts import reading as module
from clawvm_transcripts.detection import CHUNK, Line, Source, lines_of

SEED = 7

TEXT = b"".join(b'{"line": %d}\n' % number for number in range(3000))


def noise(size):
    return random.Random(SEED).getrandbits(8 * size).to_bytes(size, "big")


class SourceTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def read(self, content, name="session.jsonl"):
        path = self.folder / name
        path.write_bytes(content)
        source = Source(path)
        with source.open() as stream:
            self.content = stream.read()
        self.assertEqual(source.read, len(self.content))
        return source

    def test_plain_and_gzip_give_the_same_bytes(self):
        for content in (b"", b"a", TEXT, noise(3 * CHUNK + 1)):
            for packed in (content, gzip.compress(content)):
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

    def test_members_behind_each_other_are_one_file_and_zeros_fill_space(self):
        members = [gzip.compress(part) for part in (TEXT, b"", b"the end")]
        for between in (b"", b"\0" * 7, b"\0" * (1 << 17)):
            source = self.read(between.join(members) + between)
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

    def test_a_wrong_checksum_costs_nothing(self):
        packed = bytearray(gzip.compress(TEXT))
        packed[-5] ^= 1
        source = self.read(bytes(packed))
        self.assertEqual((self.content, source.damage), (TEXT, "the compressed data is damaged"))

    def test_what_stands_before_damage_is_read_whatever_the_size_of_the_pieces(self):
        content = noise(1 << 16) + TEXT * 20
        packed = bytearray(gzip.compress(content, mtime=0))
        packed[(1 << 16) + 300] ^= 0xFF
        read = set()
        for size in (1, 1000, 1 << 16, 1 << 20):
            with mock.patch.object(module, "_COMPRESSED", size):
                source = self.read(bytes(packed))
            self.assertEqual(source.damage, "the compressed data is damaged")
            read.add(self.content)
        (only,) = read
        self.assertGreaterEqual(len(only), 1 << 16)
        self.assertEqual(only[: 1 << 16], content[: 1 << 16])

    def test_bytes_behind_the_last_member_are_damage(self):
        source = self.read(gzip.compress(TEXT) + b"rubbish")
        self.assertEqual((self.content, source.damage), (TEXT, "the compressed data is damaged"))

    def test_a_bomb_is_read_in_pieces(self):
        source = Source(self.folder / "bomb")
        source.path.write_bytes(gzip.compress(bytes(50 * CHUNK)))
        with source.open() as stream:
            self.assertEqual(stream.read(10), bytes(10))
            self.assertLessEqual(source.read, 2 * CHUNK)
            self.assertLessEqual(len(stream.raw._piece), CHUNK)

    def test_small_pieces_of_a_cut_file_give_as_much_as_large_ones(self):
        packed = gzip.compress(b"kettle" * 2000, mtime=0)
        for size in range(18, len(packed) + 1):
            read = set()
            for chunk in (10, CHUNK):
                with mock.patch.object(module, "CHUNK", chunk):
                    source = self.read(packed[:size])
                self.assertEqual(source.damage, "" if size == len(packed) else "the compressed data is cut off")
                read.add(self.content)
            self.assertEqual(len(read), 1, size)

    def test_the_magic_alone_is_a_damaged_file(self):
        source = self.read(b"\x1f\x8b")
        self.assertEqual((self.content, source.damage), (b"", "the compressed data is cut off"))

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
        link = self.folder / "circle"
        link.symlink_to(link)
        self.refused(link, "is not a file")

    def test_a_file_without_permission_is_refused(self):
        path = self.folder / "secret"
        path.write_bytes(TEXT)
        with mock.patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied")):
            self.refused(path, "cannot be read: Permission denied")

    def test_reading_that_fails_later_is_one_line(self):
        path = self.folder / "failing"
        path.write_bytes(TEXT)
        raw = mock.Mock(spec=io.BufferedReader)
        raw.peek.side_effect = OSError(5, "Input/output error")
        with mock.patch.object(Path, "open", return_value=raw):
            stream = Source(path).open()
        with self.assertRaisesRegex(InputError, "failing: cannot be read: Input/output error"):
            stream.read()

    def test_a_file_that_vanishes_or_shrinks_while_it_is_read_ends(self):
        path = self.folder / "going"
        path.write_bytes(noise(8 * CHUNK))
        with Source(path).open() as stream:
            stream.read(10)
            os.truncate(path, 20)
            self.assertLess(len(stream.read()), 4 * CHUNK)
        path.write_bytes(TEXT)
        with Source(path).open() as stream:
            path.unlink()
            self.assertEqual(stream.read(), TEXT)


class LinesTest(unittest.TestCase):
    def test_lines_are_numbered_and_the_last_needs_no_end(self):
        for content, expected in (
            (b"", []),
            (b"\n", [b"\n"]),
            (b"a\nb", [b"a\n", b"b"]),
            (b"a\r\n\nb\n", [b"a\r\n", b"\n", b"b\n"]),
        ):
            lines = [Line(number, line) for number, line in enumerate(expected, 1)]
            self.assertEqual(list(lines_of(io.BytesIO(content))), lines)

    def test_a_line_that_is_too_long_is_passed_over(self):
        with mock.patch.object(module, "MAXIMUM_LINE", 10), mock.patch.object(module, "CHUNK", 4):
            for length, kept in ((9, True), (10, True), (11, False), (12, False), (40, False)):
                for end in (b"\n", b""):
                    content = b"a\n" + b"x" * length + end + (b"z\n" if end else b"")
                    lines = [line.content for line in lines_of(io.BytesIO(content))]
                    expected = [b"a\n", b"x" * length + end if kept else None, *([b"z\n"] if end else [])]
                    self.assertEqual(lines, expected, (length, end))


if __name__ == "__main__":
    unittest.main()
