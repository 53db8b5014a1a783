"""A run over recorded sessions that is interrupted ends, resumed, in the bytes of a whole one."""

from __future__ import annotations

import tempfile
import time
import unittest
from pathlib import Path

from tests.cli.support import ROOT, CommandTest, run, start, tree
from tests.cli.test_sessions import SESSIONS, SMALL, differences
from tests.transcripts.recorded_files import recording


class InterruptedSessionsTest(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.inputs = self.folder / "in"
        recording("quixotry", turns=12).write(self.inputs / "a" / "one.jsonl")
        recording("barge", turns=4).write(self.inputs / "b" / "two.jsonl.gz")
        run(SESSIONS, self.inputs, "--out-root", self.folder / "out", *SMALL)
        self.whole = tree(self.folder / "out")

    def assert_refused(self, words: str, *arguments: object) -> None:
        self.assert_one_line(run(SESSIONS, *arguments), 2, words)

    def test_an_interrupted_run_is_resumed_and_ends_in_the_same_bytes(self) -> None:
        out = self.folder / "interrupted"
        process = start(SESSIONS, self.inputs, "--out-root", out, *SMALL, "--jobs", 2)
        rows = out / "unfinished/sessions.rows.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (rows.exists() and rows.read_bytes().count(b"\n") > 1):
            time.sleep(0.001)
        process.terminate()
        _, printed = process.communicate(timeout=60)
        if process.returncode:  # Otherwise it was done before the signal came.
            self.assertEqual(process.returncode, 130, printed)
            self.assertIn("--resume goes on", printed.splitlines()[-1])
            self.assert_refused("holds an interrupted run", self.inputs, "--out-root", out, *SMALL)
            done = run(SESSIONS, self.inputs, "--out-root", out, "--resume", *SMALL)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(differences(tree(out), self.whole), [])


class FixturesTest(unittest.TestCase):
    def test_the_hand_made_recordings_of_the_docs_pass(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            fixtures = ROOT / "tests/transcripts/fixtures"
            done = run(SESSIONS, fixtures, "--out-root", Path(folder, "out"), "--cuts", "whole", "--budgets", "20%")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("6 of 6 claims that must hold do", done.stdout)
