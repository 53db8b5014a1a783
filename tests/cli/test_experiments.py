"""Behaviour of the experiment commands: same bytes however the work is done, resumption, one line for errors."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import resource
import shlex
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from clawvm_cli import experiments
from clawvm_experiments import finishing
from clawvm_experiments.claims import read_claims
from tests.cli.support import command, run

ALL = "workloads/run_all_experiments.py"
SMALL = ("--quick", "--experiments", "gates,table4,ablations")


def tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, without what a clock measured."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "timings" not in path.parts
    }


class ExperimentCommandsTest(unittest.TestCase):
    root: Path
    whole: dict[str, bytes]

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name)
        done = run(ALL, "--out-root", cls.root / "whole", "--jobs", 1, *SMALL)
        assert done.returncode == 0, done.stderr
        cls.printed = done.stdout
        cls.whole = tree(cls.root / "whole")

    def assert_refused(self, words: str, *arguments: object, script: str = ALL) -> None:
        done = run(script, *arguments)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_the_run_prints_the_claims_and_pass(self) -> None:
        self.assertIn("| C01 |", self.printed)
        self.assertRegex(self.printed, r"PASS: \d+ of \d+ claims that must hold do; report: ")

    def test_every_file_is_what_its_schema_says_and_what_the_manifest_lists(self) -> None:
        manifest = self.root / "whole" / "suite.manifest.json"
        listed = {entry["path"] for entry in json.loads(manifest.read_bytes())["files"]}
        self.assertEqual(listed | {"suite.manifest.json"}, set(self.whole))
        documents = [self.root / "whole" / name for name in self.whole if name.endswith((".json", ".jsonl"))]
        done = run("replay_py/validate_file.py", *documents)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.count(": valid\n"), len(documents))

    def test_no_interrupted_run_is_left_behind(self) -> None:
        self.assertFalse((self.root / "whole" / experiments.UNFINISHED).exists())

    def test_jobs_hash_seed_locale_time_zone_and_directory_change_no_byte(self) -> None:
        elsewhere = self.root / "elsewhere"
        elsewhere.mkdir()
        done = run(
            ALL,
            "--out-root",
            "out",
            "--jobs",
            3,
            *SMALL,
            cwd=elsewhere,
            PYTHONHASHSEED="99",
            TZ="Asia/Kathmandu",
            LC_ALL="C",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree(elsewhere / "out"), self.whole)

    def test_another_executor_changes_no_byte(self) -> None:
        for number, name in enumerate(("thread", "concurrent.futures:ThreadPoolExecutor")):
            done = run(ALL, "--out-root", self.root / f"executor-{number}", "--executor", name, *SMALL)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(tree(self.root / f"executor-{number}"), self.whole)

    def test_merged_shards_are_the_bytes_of_one_run(self) -> None:
        for number in (2, 3, 1):
            folder = self.root / f"shards-{number % 2}"
            done = run(ALL, "--out-root", folder, "--shard", f"{number}/3", *SMALL)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"shard {number} of 3", done.stdout)
        merged = self.root / "merged"
        done = run(
            "workloads/merge_shards.py", self.root / "shards-0", self.root / "shards-1", "--out-root", merged, *SMALL
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree(merged), self.whole)
        self.assert_refused("is there already", "--out-root", self.root / "shards-0", "--shard", "2/3", *SMALL)
        self.assert_refused(
            "is missing",
            self.root / "shards-0",
            "--out-root",
            self.root / "m",
            *SMALL,
            script="workloads/merge_shards.py",
        )

    def test_a_killed_run_resumes_where_it_stopped(self) -> None:
        folder = self.root / "killed"
        with open(os.devnull, "wb") as devnull:
            process = subprocess.Popen(
                command(ALL, "--out-root", folder, "--jobs", 1, *SMALL), stdout=devnull, stderr=devnull
            )
            rows = folder / experiments.UNFINISHED / "table4.rows.jsonl"
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

    def test_a_folder_in_use_is_refused_and_replaced_only_by_force(self) -> None:
        folder = self.root / "used"
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        self.assert_refused("is not empty", "--out-root", folder, *SMALL)
        self.assertEqual(run(ALL, "--out-root", folder, "--force", *SMALL).returncode, 0)
        self.assertEqual((folder / "notes.txt").read_text(), "mine")
        self.assertEqual(run(ALL, "--out-root", folder, "--force", *SMALL).returncode, 0)
        self.assertEqual(tree(folder), {**self.whole, "notes.txt": b"mine"})

    def test_a_run_that_is_refused_leaves_an_earlier_one_as_it_was(self) -> None:
        folder = self.root / "kept"
        self.assertEqual(run(ALL, "--out-root", folder, *SMALL).returncode, 0)
        self.assert_refused("unknown executor", "--out-root", folder, "--force", "--executor", "warp", *SMALL)
        self.assert_refused("unknown experiment", "--out-root", folder, "--force", "--experiments", "warp")
        self.assertEqual(tree(folder), self.whole)

    def test_rows_that_cannot_be_gone_on_with_are_refused_before_anything_is_measured(self) -> None:
        unfinished = self.root / "foreign" / experiments.UNFINISHED
        unfinished.mkdir(parents=True)
        (unfinished / "gates.rows.jsonl").write_text('{"record":"header"}\n')
        self.assert_refused(
            "other code", "--out-root", unfinished.parent, "--resume", "--quick", "--experiments", "gates,overhead"
        )

    def test_a_single_shard_is_merged_like_any_other(self) -> None:
        done = run(ALL, "--out-root", self.root / "single", "--shard", "1/1", *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = run("workloads/merge_shards.py", self.root / "single", "--out-root", self.root / "single-merged", *SMALL)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree(self.root / "single-merged"), self.whole)

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
        _, told = process.communicate(timeout=60)
        if process.returncode:  # Otherwise it was done before the signal came.
            self.assertEqual(process.returncode, 130, told)
            self.assertIn("interrupted; the same command with --resume goes on", told.splitlines()[-1])
            self.assertNotIn("Traceback", told)
            self.assertEqual(run(ALL, "--out-root", folder, "--resume", *SMALL).returncode, 0)
        self.assertEqual(tree(folder), self.whole)

    def test_a_closed_output_changes_neither_files_nor_exit_code(self) -> None:
        for number, closed in enumerate((">&-", "2>&-", "2>/dev/full")):
            folder = self.root / f"closed-{number}"
            words = " ".join(map(shlex.quote, command(ALL, "--out-root", folder, "--jobs", 1, *SMALL)))
            done = subprocess.run(f"exec {words} {closed}", shell=True, capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, "Traceback" in done.stderr), (0, False), (closed, done.stderr))
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

    def test_wrong_usage_is_one_line(self) -> None:
        root = self.root / "never"
        self.assert_refused("unknown experiment 'astrology'", "--out-root", root, "--experiments", "astrology")
        self.assert_refused("unknown executor 'warp'", "--out-root", root, "--executor", "warp", *SMALL)
        self.assert_refused("must be i/n", "--out-root", root, "--shard", "3/2", *SMALL)
        self.assert_refused("no interrupted run", "--out-root", root, "--resume", *SMALL)
        self.assert_refused("go with --out-root", "--resume", script="workloads/run_gates.py")
        self.assert_refused("no file of a shard", root, "--out-root", root, script="workloads/merge_shards.py")

    def test_a_script_of_its_own_prints_its_report_or_writes_the_same_files(self) -> None:
        done = run("workloads/run_table4.py", "--quick")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), self.whole["table4/report.md"].decode().strip())
        folder = self.root / "table4"
        for arguments in ((), ("--force",)):
            done = run("workloads/run_table4.py", "--quick", "--out-root", folder, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
        own = tree(folder)
        for name in self.whole:
            if name.startswith("table4/"):
                self.assertEqual(own[name], self.whole[name], name)

    def test_a_disk_that_is_full_ends_in_one_line_and_can_be_resumed(self) -> None:
        folder = self.root / "full"
        whole = command(ALL, "--out-root", folder, "--jobs", 1, *SMALL)
        # A limit on the size of any file stands for a full disk: the same error at the same call.
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


class StartingOverTest(unittest.TestCase):
    def test_force_leaves_no_rows_of_an_interrupted_run_of_other_experiments(self) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(experiments, "write_results", side_effect=KeyboardInterrupt),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            unfinished = Path(folder, "out", experiments.UNFINISHED)
            for names in ("gates,table4", "gates"):
                arguments = ["--out-root", f"{folder}/out", "--experiments", names, "--jobs", "1", "--force"]
                self.assertEqual(experiments.main(arguments), 130)
                left = {path.name for path in unfinished.iterdir()}
                self.assertEqual(left, {f"{name}.rows.jsonl" for name in names.split(",")})


class FailingClaimTest(unittest.TestCase):
    def test_a_claim_that_must_hold_and_does_not_exits_with_1(self) -> None:
        gate_claims = [claim for claim in read_claims() if claim.experiment == "gates"]
        for must_hold, code, word in ((True, 1, "FAIL"), (False, 0, "No claim")):
            broken = [dataclasses.replace(item, expected={"value": -1}, must_hold=must_hold) for item in gate_claims]
            with (
                tempfile.TemporaryDirectory() as folder,
                mock.patch.object(finishing, "read_claims", lambda broken=broken: broken),
                contextlib.redirect_stdout(io.StringIO()) as printed,
                contextlib.redirect_stderr(io.StringIO()),
            ):
                arguments = ["--out-root", f"{folder}/out", "--experiments", "gates", "--jobs", "1"]
                self.assertEqual(experiments.main(arguments), code)
            self.assertIn(f"\n{word}", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
