"""Behaviour of the experiment commands: same bytes however the work is done, resumption, one line for errors."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from clawvm_cli import experiments, main
from clawvm_experiments import finishing
from clawvm_experiments.claims import read_claims
from clawvm_experiments.registry import EXPERIMENTS
from tests.cli.support import CommandTest, run, tree
from tests.experiments.test_open_registries import OURS
from tests.support import temporary_folder

ALL = "experiments"
SMALL = ("--quick", "--experiments", "gates")


class ExperimentCommandsTest(CommandTest):
    root: Path
    whole: dict[str, bytes]

    @classmethod
    def setUpClass(cls) -> None:
        cls.root = temporary_folder(cls)
        done = run(ALL, "--out-root", cls.root / "whole", "--jobs", 1, *SMALL)
        assert done.returncode == 0, done.stderr
        cls.printed = done.stdout
        cls.whole = tree(cls.root / "whole")

    def assert_refused(self, words: str, *arguments: object, name: str = ALL) -> None:
        done = run(name, *arguments)
        self.assert_one_line(done, 2, words)
        self.assertEqual(done.stdout, "")

    def test_the_run_prints_the_claims_and_pass(self) -> None:
        self.assertIn("| C01 | reproduced |", self.printed)
        self.assertRegex(self.printed, r"PASS: \d+ of \d+ claims that must hold do; report: ")

    def test_every_file_is_what_its_schema_says_and_what_the_manifest_lists(self) -> None:
        manifest = self.root / "whole" / "suite.manifest.json"
        listed = {entry["path"] for entry in json.loads(manifest.read_bytes())["files"]}
        self.assertEqual(listed | {"suite.manifest.json"}, set(self.whole))
        documents = [self.root / "whole" / name for name in self.whole if name.endswith((".json", ".jsonl"))]
        done = run("validate", *documents)
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
            2,
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
            folder = self.root / f"executor-{number}"
            done = run("experiment", "gates", "--quick", "--out-root", folder, "--executor", name)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(tree(folder / "gates"), tree(self.root / "whole" / "gates"))

    def test_a_folder_in_use_is_refused_and_replaced_only_by_force(self) -> None:
        folder = self.root / "used"
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        self.assert_refused("is not empty", "--out-root", folder, *SMALL)
        for _ in range(2):
            self.assertEqual(run(ALL, "--out-root", folder, "--force", *SMALL, "--jobs", 1).returncode, 0)
        self.assertEqual((folder / "notes.txt").read_text(), "mine")
        self.assertEqual(set(tree(folder)) - set(self.whole), {"notes.txt"})

    def test_a_run_that_is_refused_leaves_an_earlier_one_as_it_was(self) -> None:
        folder = self.root / "kept"
        shutil.copytree(self.root / "whole", folder)
        self.assert_refused("unknown executor", "--out-root", folder, "--force", "--executor", "warp", *SMALL)
        self.assert_refused("unknown experiment", "--out-root", folder, "--force", "--experiments", "warp")
        self.assertEqual(tree(folder), self.whole)

    def test_rows_that_cannot_be_resumed_are_refused_before_anything_is_measured(self) -> None:
        unfinished = self.root / "foreign" / experiments.UNFINISHED
        unfinished.mkdir(parents=True)
        (unfinished / "gates.rows.jsonl").write_text('{"record":"header"}\n')
        self.assert_refused(
            "other code", "--out-root", unfinished.parent, "--resume", "--quick", "--experiments", "gates,overhead"
        )

    def test_a_link_in_place_of_the_unfinished_rows_is_refused_before_a_cell_runs(self) -> None:
        (self.folder / "victim").mkdir()
        (self.folder / "out").mkdir()
        (self.folder / "out/unfinished").symlink_to(self.folder / "victim")
        done = run("experiment", "gates", "--quick", "--out-root", self.folder / "out", "--force")
        self.assert_one_line(done, 2, "is a link")
        self.assertEqual(list((self.folder / "victim").iterdir()), [])

    def test_wrong_usage_is_one_line(self) -> None:
        root = self.root / "never"
        self.assert_refused("unknown experiment 'astrology'", "--out-root", root, "--experiments", "astrology")
        self.assert_refused("unknown executor 'warp'", "--out-root", root, "--executor", "warp", *SMALL)
        self.assert_refused("no interrupted run", "--out-root", root, "--resume", *SMALL)
        self.assert_refused("go with --out-root", "gates", "--resume", name="experiment")
        self.assert_refused("unknown experiment 'astrology'", "astrology", name="experiment")

    def test_one_experiment_prints_its_report_or_writes_the_same_files(self) -> None:
        done = run("experiment", "gates", "--quick", "--jobs", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), self.whole["gates/report.md"].decode().strip())
        folder = self.root / "gates"
        for arguments in ((), ("--force",)):
            done = run("experiment", "gates", "--quick", "--jobs", 1, "--out-root", folder, *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
        own = tree(folder)
        for name in self.whole:
            if name.startswith("gates/"):
                self.assertEqual(own[name], self.whole[name], name)


class StartingOverTest(unittest.TestCase):
    def test_force_leaves_no_rows_of_an_interrupted_run_of_other_experiments(self) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.dict(EXPERIMENTS, {OURS.id: OURS}),
            mock.patch.object(experiments, "write_results", side_effect=KeyboardInterrupt),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            unfinished = Path(folder, "out", experiments.UNFINISHED)
            for names in (f"gates,{OURS.id}", "gates"):
                arguments = ["--quick", "--out-root", f"{folder}/out", "--experiments", names, "--jobs", "1", "--force"]
                self.assertEqual(main([ALL, *arguments]), 130)
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
                self.assertEqual(main([ALL, *arguments]), code)
            self.assertIn(f"\n{word}", printed.getvalue())
