"""A command as a process: how it starts, how signals end it, and what a lost output does to its exit code."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import clawvm_cli
from clawvm_cli import COMMANDS
from tests.cli.support import ENVIRONMENT, ROOT, command, run, start

TRACE = ROOT / "traces/evidence_heavy/evidence_heavy-b0120.trace.jsonl"
SCRIPTS = sorted(path for folder in ("replay_py", "workloads") for path in (ROOT / folder).glob("*.py"))


class StartTest(unittest.TestCase):
    def test_help_lists_every_command_and_other_words_are_refused(self) -> None:
        listed = run("--help")
        self.assertEqual(listed.returncode, 0)
        for name in COMMANDS:
            self.assertIn(f"\n  {name} ", listed.stdout)
        self.assertEqual(run("magic").returncode, 2)
        self.assertEqual(run().returncode, 2)
        self.assertEqual(run("--version").stdout, "clawvm 0.2.0\n")

    def test_every_command_knows_its_help(self) -> None:
        for name in COMMANDS:
            done = run(name, "--help")
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertTrue(done.stdout.startswith(f"usage: clawvm {name}"), name)

    def test_a_script_of_one_command_has_its_own_name(self) -> None:
        script = str(ROOT / "replay_py/run_tier1_gates.py")
        done = subprocess.run(
            [sys.executable, "-S", "-W", "error", script, "--help"], capture_output=True, text=True, check=True
        )
        self.assertTrue(done.stdout.startswith("usage: run_tier1_gates.py"), done.stdout)

    def test_help_and_version_import_no_command(self) -> None:
        for word in ("--help", "--version"):
            done = subprocess.run(
                [*command(word)[:1], "-X", "importtime", *command(word)[1:]], capture_output=True, text=True, check=True
            )
            for module in ("argparse", "clawvm_replay", "clawvm_experiments", "clawvm_transcripts"):
                self.assertNotRegex(done.stderr, rf"\| +{module}\b")

    def test_an_old_python_is_one_line(self) -> None:
        with mock.patch.object(clawvm_cli.sys, "version_info", (3, 9, 1)), self.assertRaises(SystemExit) as end:
            run("--help")
        self.assertEqual(end.exception.code, 2)

    def test_what_an_old_python_reads_first_has_no_newer_syntax(self) -> None:
        import ast

        for path in (*SCRIPTS, ROOT / "workloads/clawvm_cli/__init__.py"):
            ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


class SignalTest(unittest.TestCase):
    def test_an_interrupt_while_modules_are_imported_is_one_line(self) -> None:
        program = (
            f"import sys; sys.path[:0] = {[str(ROOT / name) for name in ('', 'replay_py', 'workloads')]}\n"
            "from clawvm_cli import start\n"
            "start('clawvm')\n"
            "print('started', flush=True)\n"
            "import clawvm_experiments.registry, time\n"
            "time.sleep(60)\n"
        )
        for delay in (0.0, 0.03):
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", program],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, errors), (130, "clawvm: interrupted\n"), delay)

    def test_an_interrupt_that_is_ignored_from_outside_stays_ignored(self) -> None:
        process = subprocess.Popen(
            command("gates"), stdout=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
        )
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0)


class OutputTest(unittest.TestCase):
    """In an environment without PYTHONUNBUFFERED, so that Python holds back what is printed."""

    def shell(self, redirection: str, *words: object) -> subprocess.CompletedProcess[str]:
        line = " ".join(map(shlex.quote, command(*words)))
        return subprocess.run(
            f"exec {line} {redirection}", shell=True, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_a_full_standard_output_is_one_line_and_2(self) -> None:
        for words in (("replay", TRACE), ("--help",)):
            done = self.shell(">/dev/full", *words)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), (words, done.stderr))

    def test_a_closed_output_changes_no_exit_code(self) -> None:
        for redirection, *words in (
            (">&-", "replay", TRACE),
            (">&-", "--help"),
            ("2>&-", "--help"),
            ("2>/dev/full", "--help"),
            (">&- 2>&-", "--help"),
        ):
            done = self.shell(redirection, *words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), redirection)

    def test_a_closed_pipe_is_no_error(self) -> None:
        process = start("--help")
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), errors), (0, ""))

    def test_an_error_that_nobody_reads_keeps_its_exit_code(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(self.shell("2>/dev/full", "replay", Path(folder, "none")).returncode, 2)
        self.assertEqual(self.shell("2>&-", "magic").returncode, 2)
