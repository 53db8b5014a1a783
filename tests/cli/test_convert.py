"""The command that converts recorded sessions does what the docs say; a user's mistake is one line."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any
from unittest import mock

from clawvm_cli import sessions
from clawvm_transcripts.private_names import PRIVATE_NAMES
from tests.cli.support import ROOT, CommandTest, largest_file, run, tree
from tests.support import temporary_folder
from tests.transcripts.recorded_files import Recording, recording

CONVERT = "convert"
VALIDATE = "validate"
FIXTURE = ROOT / "tests/transcripts/fixtures/codex/bare.jsonl"


class ConvertTest(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        self.inputs = self.folder / "in"
        self.out = self.folder / "out"

    def add(self, path: str, made: Recording | None = None, project: str = "/srv/toy") -> Path:
        name = path.replace("/", "-").partition(".")[0]
        return (recording(name, project=project) if made is None else made).write(self.inputs / path)

    def convert(
        self, *arguments: object, out: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        jobs = () if "--jobs" in arguments else ("--jobs", 1)
        return run(CONVERT, *arguments, *jobs, "--out", out or self.out, **environment)

    def report(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.out / "conversion.report.json").read_bytes())
        return found

    def assertNothingHalf(self) -> None:
        """Assert that no spool file is left, and that what has its final name is whole."""
        if self.out.exists():
            self.assertEqual([str(path) for path in self.out.rglob(".*")], [])
            for path in self.out.rglob("*.jsonl"):
                self.assertIn(b'"record":"end"', path.read_bytes()[-80:])


class UsageTest(ConvertTest):
    def test_help_names_what_is_known(self) -> None:
        result = run(CONVERT, "--help")
        self.assertEqual(result.returncode, 0)
        for word in ("Claude Code", "Codex", "OpenHands", "--chain", "--keep-text", "--jobs", "--force"):
            self.assertIn(word, result.stdout)

    def test_wrong_usage_is_one_line(self) -> None:
        path = self.add("a.jsonl")
        self.assert_one_line(run(CONVERT, path), 2, "--out")
        self.assert_one_line(self.convert(path, "--chain", "some"), 2, "none, all, project")
        self.assert_one_line(self.convert(path, "--jobs", 0), 2, "whole number from 1")
        self.assert_one_line(run(CONVERT, "--out", self.out), 2, "INPUT")
        self.assertFalse(self.out.exists())

    def test_an_input_that_is_not_there_is_one_line(self) -> None:
        self.assert_one_line(self.convert(self.folder / "nowhere"), 2, "nowhere", "No such file")
        self.assert_one_line(self.convert("/dev/null"), 2, "/dev/null")

    def test_a_named_file_in_no_known_format_is_refused_with_what_is_known(self) -> None:
        path = self.folder / "notes.txt"
        for content in (b"notes\n", b"", b"\x00\xff", gzip.compress(b"notes")):
            path.write_bytes(content)
            self.assert_one_line(self.convert(path, "--force"), 2, "notes.txt", "known: Claude Code", "OpenHands")
        self.assertNothingHalf()

    def test_an_odd_name_of_a_file_is_still_one_line_and_no_escape_for_the_terminal(self) -> None:
        self.inputs.mkdir()
        odd = self.inputs / "bad\n\x1b[2J.txt"
        odd.write_text("notes")
        self.assert_one_line(run(CONVERT, odd, "--out", self.out), 2, "bad\\n\\x1b[2J.txt")
        self.add("a.jsonl")
        self.assertNotIn("\x1b", self.convert(self.inputs).stderr)

    def test_a_folder_without_sessions_is_one_line(self) -> None:
        self.inputs.mkdir()
        self.assert_one_line(self.convert(self.inputs), 2, "no file in any of them")
        (self.inputs / "notes.txt").write_text("notes")
        result = self.convert(self.inputs, "--force")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no recorded session in a known format", result.stderr)


class ResultTest(ConvertTest):
    def test_a_foreign_file_in_a_folder_is_skipped_reported_and_counted(self) -> None:
        self.add("a.jsonl")
        (self.inputs / "notes.txt").write_text("notes")
        for chain in ("none", "all", "project"):
            result = self.convert(self.inputs, "--chain", chain, "--force")
            self.assertEqual(result.returncode, 0)
            self.assertIn("not read: 1 other file\n", result.stderr)
            self.assertEqual((self.report()["other_files"], len(self.report()["sessions"])), (1, 1))  # type: ignore[arg-type]

    def test_progress_is_reported_on_stderr_and_the_result_on_stdout(self) -> None:
        result = self.convert(self.add("a.jsonl"))
        self.assertIn("1/1 files converted", result.stderr)
        self.assertEqual(result.stdout, f"1 session in {self.out}; report: {self.out}/conversion.report.md\n")

    def test_every_file_of_a_conversion_is_valid(self) -> None:
        for name in ("a", "b"):
            self.add(f"{name}.jsonl")
        for options in ((), ("--chain", "all"), ("--keep-text",)):
            self.assertEqual(self.convert(self.inputs, "--force", *options).returncode, 0)
            files = [self.out / name for name in tree(self.out) if name.endswith((".json", ".jsonl"))]
            self.assertGreater(len(files), 3)
            result = run(VALIDATE, *files)
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_manifest_lists_every_file(self) -> None:
        self.convert(self.add("a.jsonl"), "--keep-text")
        manifest = json.loads((self.out / "suite.manifest.json").read_bytes())
        self.assertEqual(
            sorted(entry["path"] for entry in manifest["files"]),
            sorted(tree(self.out).keys() - {"suite.manifest.json"}),
        )
        self.assertEqual(manifest["configuration"], {"chain": "none", "keep_text": True})

    def test_a_folder_that_is_not_empty_is_refused_without_force(self) -> None:
        first, second = self.add("a.jsonl"), self.add("b.jsonl")
        self.assertEqual(self.convert(first).returncode, 0)
        before = tree(self.out)
        self.assert_one_line(self.convert(second), 2, "is not empty", "--force")
        self.assertEqual(tree(self.out), before)
        self.assertEqual(self.convert(second, "--force").returncode, 0)
        self.assertEqual(len(list((self.out / "sessions").glob("*/session.json"))), 1)
        fresh = self.folder / "fresh"
        self.convert(second, out=fresh)
        self.assertEqual(tree(self.out), tree(fresh))

    def test_sessions_that_are_given_twice_count_once(self) -> None:
        path = self.add("a.jsonl")
        self.add("deep/again.jsonl.gz", recording("a"))
        self.assertEqual(self.convert(path, self.inputs, path, self.inputs / "deep").returncode, 0)
        self.assertEqual((len(self.report()["sessions"]), self.report()["sessions_given_twice"]), (1, 1))  # type: ignore[arg-type]

    def test_chains(self) -> None:
        for name, project in (("a", "/p"), ("b", "/p"), ("c", "/q")):
            self.add(f"{name}.jsonl", project=project)
        for chain, number in (("none", 3), ("all", 1), ("project", 2)):
            self.convert(self.inputs, "--chain", chain, "--force")
            self.assertEqual(len(self.report()["sessions"]), number, chain)  # type: ignore[arg-type]

    def test_what_lies_in_the_output_is_no_input(self) -> None:
        self.add("a.jsonl")
        self.out = self.inputs / "out"
        self.assertEqual(self.convert(self.inputs, "--keep-text").returncode, 0)
        first = tree(self.out)
        self.assertEqual(self.convert(self.inputs, "--keep-text", "--force").returncode, 0)
        self.assertEqual(tree(self.out), first)
        (trace,) = self.out.rglob("signatures.trace.jsonl")
        self.assert_one_line(self.convert(trace, "--force"), 2, "is in the folder of the output")


class PrivateNamesTest(ConvertTest):
    def private(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / PRIVATE_NAMES).read_bytes())
        return found

    def test_the_map_has_every_session_and_only_its_owner_may_read_it(self) -> None:
        self.add("a.jsonl")
        umask = os.umask(0)
        self.addCleanup(os.umask, umask)
        self.assertEqual(self.convert(self.inputs).returncode, 0)
        self.assertEqual(stat.S_IMODE((self.out / PRIVATE_NAMES).stat().st_mode), 0o600)
        self.assertEqual(
            list(self.private()["sessions"]),
            [session["name"] for session in self.report()["sessions"]],  # type: ignore[attr-defined]
        )
        self.assertEqual(next(iter(self.private())), "private")
        self.assertIn("do not share it", self.private()["private"])

    def test_the_map_is_in_no_manifest(self) -> None:
        self.convert(self.add("a.jsonl"))
        self.assertNotIn(PRIVATE_NAMES.encode(), (self.out / "suite.manifest.json").read_bytes())

    def test_a_later_run_replaces_it_and_one_that_fails_leaves_none(self) -> None:
        self.convert(self.add("a.jsonl"))
        first = self.private()
        self.convert(self.add("b.jsonl"), "--force")
        self.assertNotEqual(self.private()["sessions"].keys(), first["sessions"].keys())
        (self.folder / "foreign").mkdir()
        (self.folder / "foreign/notes.txt").write_text("notes")
        self.assertEqual(self.convert(self.folder / "foreign", "--force").returncode, 2)
        self.assertFalse(self.out.exists())

    def test_git_ignores_it(self) -> None:
        self.assertIn(PRIVATE_NAMES, (ROOT / ".gitignore").read_text().splitlines())

    def test_names_are_printed_where_they_are_asked_for(self) -> None:
        path = self.add("a.jsonl")
        name = "claude-code-[0-9a-f]{12}"
        self.assertNotRegex(self.convert(path).stdout, name)
        self.assertRegex(self.convert(path, "--force", "--names").stdout, rf"\n{name}  2026-\d\d-\d\d  ")


class SameBytesTest(ConvertTest):
    made: Path
    expected: dict[str, bytes]

    @classmethod
    def setUpClass(cls) -> None:
        cls.made = Path(temporary_folder(cls), "in")
        for number in range(4):
            name = f"session-{number}"
            recording(name, turns=3 + number, project=f"/p{number % 2}").write(cls.made / f"{number}.jsonl")
        (cls.made / "notes.txt").write_text("notes")
        assert run(CONVERT, cls.made, FIXTURE, "--jobs", 1, "--out", cls.made.parent / "out").returncode == 0
        cls.expected = tree(cls.made.parent / "out")

    def setUp(self) -> None:
        super().setUp()
        self.inputs = self.made

    def same(self, *inputs: object, out: str = "other", **environment: str) -> None:
        folder = self.folder / out
        result = self.convert(*inputs, "--force", out=folder, **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(tree(folder), self.expected)

    def test_whatever_the_number_of_jobs(self) -> None:
        self.same(self.inputs, FIXTURE, "--jobs", 2)

    def test_whatever_the_order_of_inputs_and_the_files_among_them(self) -> None:
        self.same(FIXTURE, self.inputs)
        self.same(FIXTURE, *sorted(self.inputs.iterdir(), reverse=True)[1:], self.inputs)

    def test_whatever_hash_seed_locale_and_time_zone(self) -> None:
        zone = "Pacific/Kiritimati"
        self.same(self.inputs, FIXTURE, PYTHONHASHSEED="77", TZ=zone, LC_ALL="C.UTF-8", COLUMNS="40")

    def test_whatever_the_folder_and_the_names_of_files_plain_or_compressed(self) -> None:
        moved = self.folder / "elsewhere" / "deep"
        moved.mkdir(parents=True)
        for number, path in enumerate(sorted(self.inputs.iterdir())):
            content = path.read_bytes()
            if number % 2:
                (moved / f"{9 - number}.gz").write_bytes(gzip.compress(content))
            else:
                (moved / f"{9 - number}").write_bytes(content)
        self.same(moved, FIXTURE, out="one/two")


class TroubleTest(ConvertTest):
    def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(self) -> None:
        for name in ("a", "b"):
            self.add(f"{name}.jsonl", recording(name, turns=20))
        self.convert(self.inputs)
        largest = max(len(content) for content in tree(self.out).values())
        for limit in (10, largest - 1):
            with largest_file(limit):
                result = self.convert(self.inputs, "--force")
            self.assertEqual(result.returncode, 2, limit)
            self.assertIn("cannot be written: File too large", result.stderr.splitlines()[-1])
            self.assertNothingHalf()

    def test_an_output_that_cannot_be_written_is_one_line(self) -> None:
        path = self.add("a.jsonl")
        (self.folder / "file").write_text("x")
        self.assert_one_line(self.convert(path, out=self.folder / "file"), 2, "cannot be used for output")
        self.assert_one_line(self.convert(path, out=self.folder / "file" / "deep"), 2, "cannot be used for output")

    def test_an_input_that_vanishes_is_reported(self) -> None:
        # A link to nowhere acts as a file that was there when the folder was read.
        path = self.add("a.jsonl")
        whole = sessions.jobs_for

        def jobs_for(*arguments: Any, **options: Any) -> Any:
            jobs = whole(*arguments, **options)
            path.unlink()
            return jobs

        with mock.patch.object(sessions, "jobs_for", jobs_for):
            self.assert_one_line(self.convert(path), 2, "a.jsonl")
            self.add("a.jsonl")
            self.add("b.jsonl")
            result = self.convert(self.inputs, "--force")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"not read: {path}: is not a file", result.stderr)
        report = self.report()
        self.assertEqual((len(report["refused_recordings"]), len(report["sessions"])), (1, 1))  # type: ignore[arg-type]

    def test_a_run_after_one_that_was_killed_removes_what_it_left(self) -> None:
        path = self.add("a.jsonl")
        self.out.mkdir()
        (self.out / ".job-7-0.signatures.trace.jsonl.partial").write_text("half")
        self.assertEqual(self.convert(path, "--force").returncode, 0)
        self.assertNothingHalf()
