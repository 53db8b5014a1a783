"""Behaviour of the edge to the file system: whole files or none, and nothing touched that is not ours."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay.errors import InputError
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory, write_atomically
from tests.support import temporary_folder


class OutputCase(unittest.TestCase):
    def setUp(self):
        self.outside = temporary_folder(self)
        self.root = self.outside / "out"

    def names(self):
        return sorted(str(path.relative_to(self.outside)) for path in self.outside.rglob("*") if path.is_file())

    def put(self, name, text="x"):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def list_in_manifest(self, *paths):
        self.put(MANIFEST_NAME, json.dumps({"files": [{"path": str(path)} for path in paths]}))

    def assert_refused(self, action):
        with self.assertRaises(InputError) as caught:
            action()
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)


class SpecialFileTest(OutputCase):
    def test_what_is_no_regular_file_is_written_to_and_not_replaced(self):
        pipe = self.outside / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        write_atomically(pipe, b"x")
        self.assertTrue(pipe.is_fifo())
        self.assertEqual(os.read(reader, 9), b"x")

    def test_an_empty_name_and_a_folder_are_refused(self):
        for path in (Path(""), self.outside):
            self.assert_refused(lambda path=path: write_atomically(path, b"x"))

    def test_a_link_in_place_of_a_folder_is_not_followed(self):
        victim = self.outside / "victim"
        victim.mkdir()
        kept = victim / "file"
        kept.write_text("x")
        self.list_in_manifest("deep/file")
        (self.root / "deep").symlink_to(victim)
        self.assert_refused(lambda: OutputDirectory(self.root, force=True))
        self.assert_refused(lambda: OutputDirectory(self.root, resume=True).write("deep/file", b"y"))
        self.assertEqual(kept.read_text(), "x")


class OutputDirectoryTest(OutputCase):
    def test_missing_and_empty_folders_are_accepted(self):
        OutputDirectory(self.root / "deep")
        OutputDirectory(self.root / "deep")

    def test_folder_that_is_not_empty_is_refused_and_left_alone(self):
        for name in ("file", ".hidden", MANIFEST_NAME):
            with self.subTest(name=name):
                path = self.put(name)
                self.assertIn("--force", self.assert_refused(lambda: OutputDirectory(self.root)))
                self.assertEqual(path.read_text(), "x")
                path.unlink()

    def test_file_in_place_of_the_folder_is_refused(self):
        self.root.write_text("x")
        for force in (False, True):
            self.assert_refused(lambda force=force: OutputDirectory(self.root, force=force))
        self.assertEqual(self.root.read_text(), "x")

    def test_written_files_have_their_size_and_hash(self):
        output = OutputDirectory(self.root)
        written = output.write("a/b.json", b"content")
        self.assertEqual((self.root / "a" / "b.json").read_bytes(), b"content")
        expected = {"bytes": 7, "path": "a/b.json", "sha256": hashlib.sha256(b"content").hexdigest()}
        self.assertEqual(written.to_record(), expected)
        self.assertEqual(output.files, [written])
        self.assertEqual(self.names(), ["out/a/b.json"])


class ForceTest(OutputCase):
    def test_files_of_the_earlier_run_go_and_others_stay(self):
        self.put("old.csv")
        self.put("cells/old.jsonl")
        self.put("mine.txt")
        self.list_in_manifest("old.csv", "cells/old.jsonl", "gone-already.csv")
        OutputDirectory(self.root, force=True)
        self.assertEqual(self.names(), ["out/mine.txt"])

    def test_without_a_manifest_nothing_is_removed(self):
        self.put("mine.txt")
        OutputDirectory(self.root, force=True)
        self.assertEqual(self.names(), ["out/mine.txt"])

    def test_foreign_manifest_is_refused_and_nothing_is_removed(self):
        for content in ("", "{", "[]", "null", "1", '{"files": 1}', '{"files": [1]}', '{"files": [{}]}', "[" * 100_000):
            with self.subTest(content=content[:20]):
                self.put("mine.txt")
                self.put(MANIFEST_NAME, content)
                self.assert_refused(lambda: OutputDirectory(self.root, force=True))
                self.assertEqual(self.names(), ["out/mine.txt", f"out/{MANIFEST_NAME}"])

    def test_paths_that_lead_outside_are_never_removed(self):
        precious = self.outside / "precious.txt"
        precious.write_text("x")
        self.put("cells/x")
        self.list_in_manifest("../precious.txt", "cells/../../precious.txt", precious)
        OutputDirectory(self.root, force=True)
        self.assertTrue(precious.exists())

    def test_manifest_goes_before_the_files_that_it_lists(self):
        self.put("old.csv")
        self.list_in_manifest("old.csv")
        removed = []
        unlink = Path.unlink

        def noted(path, missing_ok=False):
            removed.append(path.name)
            unlink(path, missing_ok=missing_ok)

        with mock.patch.object(Path, "unlink", noted):
            OutputDirectory(self.root, force=True)
        self.assertEqual(removed, [MANIFEST_NAME, "old.csv"])

    def test_manifest_path_with_a_nul_byte_is_one_line(self):
        self.list_in_manifest("a\0b")
        self.assert_refused(lambda: OutputDirectory(self.root, force=True))


def full_disk(path, content):
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


LIMITED = """
import resource, signal, sys
from pathlib import Path
from clawvm_replay.errors import InputError
from clawvm_replay.output import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 100_000)
except InputError as error:
    print(error)
    sys.exit(2)
"""


class DurableWriteTest(OutputCase):
    def test_a_link_planted_at_the_partial_name_is_not_followed(self):
        self.root.mkdir()
        precious = self.outside / "precious.txt"
        for target in (precious, self.outside / "missing.txt", Path("/dev/full")):
            precious.write_text("x")
            (self.root / "a.csv.partial").symlink_to(target)
            write_atomically(self.root / "a.csv", b"content")
            self.assertEqual(precious.read_text(), "x")
            self.assertEqual(self.names(), ["out/a.csv", "precious.txt"])
            self.assertFalse((self.root / "a.csv").is_symlink())

    def test_a_link_planted_in_the_last_moment_is_refused(self):
        self.root.mkdir()
        with mock.patch.object(Path, "unlink"):
            (self.root / "a.csv.partial").symlink_to(self.outside / "missing.txt")
            self.assert_refused(lambda: write_atomically(self.root / "a.csv", b"content"))
        self.assertEqual(self.names(), [])

    def test_file_and_folder_are_synchronized_before_and_after_the_rename(self):
        done = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            patch = mock.patch.object(os, name, lambda *a, name=name, real=real: (done.append(name), real(*a)))
            patch.start()
            self.addCleanup(patch.stop)
        write_atomically(self.root / "a.csv", b"content")
        self.assertEqual(done, ["fsync", "replace", "fsync"])


class FailingWriteTest(OutputCase):
    def test_full_disk_leaves_nothing(self):
        output = OutputDirectory(self.root)
        with mock.patch("clawvm_replay.output._write", full_disk):
            message = self.assert_refused(lambda: output.write("a.csv", b"content"))
        self.assertIn(os.strerror(errno.ENOSPC), message)
        self.assertEqual(self.names(), [])
        self.assertEqual(output.files, [])

    def test_full_disk_keeps_the_file_that_was_there(self):
        path = self.put("a.csv", "before")
        with mock.patch("clawvm_replay.output._write", full_disk):
            self.assert_refused(lambda: write_atomically(path, b"content"))
        self.assertEqual(path.read_text(), "before")
        self.assertEqual(self.names(), ["out/a.csv"])

    def test_interrupt_leaves_nothing_and_passes_through(self):
        def interrupted(path, content):
            with open(path, "wb") as file:
                file.write(b"half")
            raise KeyboardInterrupt

        with mock.patch("clawvm_replay.output._write", interrupted), self.assertRaises(KeyboardInterrupt):
            write_atomically(self.root / "a.csv", b"content")
        self.assertEqual(self.names(), [])

    def test_failing_rename_leaves_nothing(self):
        (self.root / "a.csv").mkdir(parents=True)
        (self.root / "a.csv" / "inside").write_text("x")
        self.assert_refused(lambda: write_atomically(self.root / "a.csv", b"content"))
        self.assertEqual(self.names(), ["out/a.csv/inside"])

    def test_file_in_place_of_a_folder_is_one_line(self):
        self.put("a")
        self.assert_refused(lambda: write_atomically(self.root / "a" / "b.csv", b"content"))
        self.assertEqual(self.names(), ["out/a"])

    @unittest.skipUnless(sys.platform.startswith("linux"), "needs RLIMIT_FSIZE")
    def test_limit_of_the_file_size_leaves_nothing(self):
        self.root.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(self.root / "a.csv")],
            capture_output=True,
            text=True,
            env=environment,
            timeout=30,
        )
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertEqual(self.names(), [])
