"""Runs of the experiments that are killed, interrupted, or lose their output: the bytes of a whole run in the end."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import time
from pathlib import Path

from clawvm_cli import experiments
from tests.cli.support import CommandTest, command, run, tree
from tests.support import temporary_folder

ALL = "experiments"
SMALL = ("--quick", "--experiments", "gates,table4,ablations")


class UnfinishedRunTest(CommandTest):
    root: Path
    whole: dict[str, bytes]

    @classmethod
    def setUpClass(cls) -> None:
        cls.root = temporary_folder(cls)
        done = run(ALL, "--out-root", cls.root / "whole", "--jobs", 1, *SMALL)
        assert done.returncode == 0, done.stderr
        cls.whole = tree(cls.root / "whole")

    def assert_refused(self, words: str, *arguments: object) -> None:
        self.assert_one_line(run(ALL, *arguments), 2, words)

    def test_a_killed_run_resumes_where_it_stopped(self) -> None:
        folder = self.root / "killed"
        with open(os.devnull, "wb") as devnull:
            process = subprocess.Popen(
                command(ALL, "--out-root", folder, "--jobs", 1, *SMALL), stdout=devnull, stderr=devnull
            )
            rows = folder / experiments.UNFINISHED / "ablations.rows.jsonl"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not (rows.exists() and rows.read_bytes().count(b"\n") > 2):
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
        if not (folder / "suite.manifest.json").exists():
            self.assert_refused("--resume to go on", "--out-root", folder, *SMALL)
            finished = sum(path.read_bytes().count(b"\n") for path in (folder / experiments.UNFINISHED).iterdir())
            self.assertGreater(finished, 3)
            done = run(ALL, "--out-root", folder, "--resume", "--jobs", 1, *SMALL)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree(folder), self.whole)
        self.assert_refused("no interrupted run", "--out-root", folder, "--resume", *SMALL)

    def test_a_signal_that_ends_a_job_interrupts_and_the_run_can_be_resumed(self) -> None:
        folder = self.root / "terminated"
        process = subprocess.Popen(
            command(ALL, "--out-root", folder, "--jobs", 2, *SMALL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        rows = folder / experiments.UNFINISHED / "gates.rows.jsonl"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (rows.exists() and rows.read_bytes().count(b"\n") > 1):
            time.sleep(0.001)
        process.terminate()
        _, printed = process.communicate(timeout=60)
        if process.returncode:  # Otherwise it was done before the signal came.
            self.assertEqual(process.returncode, 130, printed)
            self.assertIn("interrupted; the same command with --resume goes on", printed.splitlines()[-1])
            self.assertNotIn("Traceback", printed)
            self.assertEqual(run(ALL, "--out-root", folder, "--resume", *SMALL).returncode, 0)
        self.assertEqual(tree(folder), self.whole)

    def test_timings_are_those_of_the_last_run_and_overhead_alone_has_no_report(self) -> None:
        folder = self.root / "timed"
        done = run(ALL, "--out-root", folder, "--quick", "--experiments", "overhead")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("No claim that must hold was judged", done.stdout)
        self.assertIn("timings/overhead.md", done.stdout)
        timings = {"claims.json", "overhead.json", "overhead.md", "usage.json"}
        self.assertEqual({path.name for path in (folder / "timings").iterdir()}, timings)
        self.assertEqual(tree(folder), {})
        self.assertEqual(run(ALL, "--out-root", folder, "--force", *SMALL).returncode, 0)
        self.assertEqual({path.name for path in (folder / "timings").iterdir()}, {"usage.json"})

    def test_a_disk_that_is_full_ends_in_one_line_and_can_be_resumed(self) -> None:
        folder = self.root / "full"
        whole = command(ALL, "--out-root", folder, "--jobs", 1, *SMALL)
        # A limit on the size of any file acts as a full disk: the same error at the same call.
        done = subprocess.run(
            whole,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: (
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000)),
            ),
        )
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("cannot be written", done.stderr.splitlines()[-1])
        self.assertNotIn("Traceback", done.stderr)
        done = run(ALL, "--out-root", folder, "--resume", "--jobs", 1, *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree(folder), self.whole)

    def test_a_closed_output_changes_neither_files_nor_exit_code(self) -> None:
        for number, closed in enumerate((">&-", "2>&-", "2>/dev/full")):
            folder = self.root / f"closed-{number}"
            words = " ".join(map(shlex.quote, command(ALL, "--out-root", folder, "--jobs", 1, *SMALL)))
            done = subprocess.run(f"exec {words} {closed}", shell=True, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, "Traceback" in done.stderr), (0, False), (closed, done.stderr))
            self.assertEqual(tree(folder), self.whole)
