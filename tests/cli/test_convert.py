"""The command that converts recorded sessions does what the docs say; a user's mistake is one line."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tests.cli.support import ROOT, command, run
from tests.transcripts.recorded_files import Recording, recording

CONVERT = "workloads/convert_transcripts.py"
VALIDATE = "replay_py/validate_file.py"
FIXTURES = ROOT / "tests/transcripts/fixtures"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class ConvertTest(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.inputs = self.folder / "in"
        self.out = self.folder / "out"

    def add(self, path: str, made: Recording | None = None, project: str = "/srv/toy") -> Path:
        name = path.replace("/", "-").partition(".")[0]
        return (recording(name, project=project) if made is None else made).write(self.inputs / path)

    def convert(
        self, *arguments: object, out: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return run(CONVERT, *arguments, "--out", out or self.out, cwd=None, **environment)

    def report(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.out / "conversion.report.json").read_bytes())
        return found

    def assertOneLine(self, result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

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

    def test_it_is_a_command_of_the_program_too(self) -> None:
        path = os.pathsep.join(map(str, (ROOT, ROOT / "replay_py", ROOT / "workloads")))
        program = [sys.executable, "-c", "import clawvm_cli; clawvm_cli.main()", "convert", "--help"]
        result = subprocess.run(program, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
        self.assertIn("--keep-text", result.stdout, result.stderr)

    def test_wrong_usage_is_one_line(self) -> None:
        path = self.add("a.jsonl")
        self.assertOneLine(run(CONVERT, path), 2, "--out")
        self.assertOneLine(self.convert(path, "--chain", "some"), 2, "none, all, project")
        self.assertOneLine(self.convert(path, "--jobs", 0), 2, "whole number from 1")
        self.assertOneLine(run(CONVERT, "--out", self.out), 2, "INPUT")
        self.assertFalse(self.out.exists())

    def test_an_input_that_is_not_there_is_one_line(self) -> None:
        self.assertOneLine(self.convert(self.folder / "nowhere"), 2, "nowhere", "No such file")
        self.assertOneLine(self.convert("/dev/null"), 2, "/dev/null")

    def test_a_named_file_in_no_known_format_is_refused_with_what_is_known(self) -> None:
        path = self.folder / "notes.txt"
        for content in (b"notes\n", b"", b"\x00\xff", gzip.compress(b"notes")):
            path.write_bytes(content)
            self.assertOneLine(self.convert(path, "--force"), 2, "notes.txt", "known: Claude Code", "OpenHands")
        self.assertNothingHalf()

    def test_an_odd_name_of_a_file_is_still_one_line_and_no_escape_for_the_terminal(self) -> None:
        self.inputs.mkdir()
        odd = self.inputs / "bad\n\x1b[2J.txt"
        odd.write_text("notes")
        self.assertOneLine(run(CONVERT, odd, "--out", self.out), 2, "bad\\n\\x1b[2J.txt")
        self.add("a.jsonl")
        self.assertNotIn("\x1b", self.convert(self.inputs).stderr)

    def test_a_folder_without_sessions_is_one_line(self) -> None:
        self.inputs.mkdir()
        self.assertOneLine(self.convert(self.inputs), 2, "no file in any of them")
        (self.inputs / "notes.txt").write_text("notes")
        result = self.convert(self.inputs, "--force")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no recorded session in a known format", result.stderr)


class ResultTest(ConvertTest):
    def test_a_foreign_file_in_a_folder_is_passed_over_told_and_counted(self) -> None:
        self.add("a.jsonl")
        (self.inputs / "notes.txt").write_text("notes")
        for chain in ("none", "all", "project"):
            result = self.convert(self.inputs, "--chain", chain, "--force")
            self.assertEqual(result.returncode, 0)
            self.assertIn("passed over", result.stderr)
            self.assertIn("notes.txt", result.stderr)
            self.assertEqual((self.report()["refused_files"], len(self.report()["sessions"])), (1, 1))  # type: ignore[arg-type]

    def test_progress_is_told_on_stderr_and_the_result_on_stdout(self) -> None:
        result = self.convert(self.add("a.jsonl"))
        self.assertIn("1/1 files converted", result.stderr)
        self.assertEqual(result.stdout, f"1 sessions in {self.out}; report: {self.out}/conversion.report.md\n")

    def test_every_file_of_a_conversion_is_valid(self) -> None:
        for options in ((), ("--chain", "all"), ("--keep-text",)):
            self.assertEqual(self.convert(FIXTURES, "--force", *options).returncode, 0)
            files = [path for path in self.out.rglob("*") if path.suffix in (".json", ".jsonl")]
            self.assertGreater(len(files), 5)
            result = run(VALIDATE, *files)
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_the_manifest_lists_every_file(self) -> None:
        self.convert(self.add("a.jsonl"), "--keep-text")
        manifest = json.loads((self.out / "suite.manifest.json").read_bytes())
        self.assertEqual(
            sorted(entry["path"] for entry in manifest["files"]),
            sorted(contents(self.out).keys() - {"suite.manifest.json"}),
        )
        self.assertEqual(manifest["configuration"], {"chain": "none", "keep_text": True})

    def test_a_folder_that_is_not_empty_is_refused_without_force(self) -> None:
        first, second = self.add("a.jsonl"), self.add("b.jsonl")
        self.assertEqual(self.convert(first).returncode, 0)
        before = contents(self.out)
        self.assertOneLine(self.convert(second), 2, "is not empty", "--force")
        self.assertEqual(contents(self.out), before)
        self.assertEqual(self.convert(second, "--force").returncode, 0)
        self.assertEqual(len(list((self.out / "sessions").glob("*/session.json"))), 1)
        fresh = self.folder / "fresh"
        self.convert(second, out=fresh)
        self.assertEqual(contents(self.out), contents(fresh))

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
        first = contents(self.out)
        self.assertEqual(self.convert(self.inputs, "--keep-text", "--force").returncode, 0)
        self.assertEqual(contents(self.out), first)
        (trace,) = self.out.rglob("signatures.trace.jsonl")
        self.assertOneLine(self.convert(trace, "--force"), 2, "is in the folder of the output")


class SameBytesTest(ConvertTest):
    def setUp(self) -> None:
        super().setUp()
        for number in range(5):
            self.add(f"{number}.jsonl", recording(f"session-{number}", turns=3 + number, project=f"/p{number % 2}"))
        (self.inputs / "notes.txt").write_text("notes")
        self.assertEqual(self.convert(self.inputs, FIXTURES, "--jobs", 1).returncode, 0)
        self.expected = contents(self.out)

    def same(self, *inputs: object, out: str = "other", **environment: str) -> None:
        folder = self.folder / out
        result = self.convert(*inputs, "--force", out=folder, **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(contents(folder), self.expected)

    def test_whatever_the_number_of_jobs(self) -> None:
        for jobs in (2, 3):
            self.same(self.inputs, FIXTURES, "--jobs", jobs)

    def test_whatever_the_order_of_inputs_and_the_files_among_them(self) -> None:
        self.same(FIXTURES, self.inputs)
        self.same(FIXTURES, *sorted(self.inputs.iterdir(), reverse=True)[1:], self.inputs)

    def test_whatever_hash_seed_locale_and_time_zone(self) -> None:
        for seed, zone in (("1", "Pacific/Kiritimati"), ("77", "UTC")):
            self.same(self.inputs, FIXTURES, "--jobs", 2, PYTHONHASHSEED=seed, TZ=zone, LC_ALL="C.UTF-8", COLUMNS="40")

    def test_whatever_the_folder_and_the_names_of_files_plain_or_compressed(self) -> None:
        moved = self.folder / "elsewhere" / "deep"
        moved.mkdir(parents=True)
        for number, path in enumerate(sorted(self.inputs.iterdir())):
            content = path.read_bytes()
            if number % 2:
                (moved / f"{9 - number}.gz").write_bytes(gzip.compress(content))
            else:
                (moved / f"{9 - number}").write_bytes(content)
        self.same(moved, FIXTURES, out="one/two")

    def test_chains_too(self) -> None:
        for chain in ("all", "project"):
            self.convert(self.inputs, "--chain", chain, "--jobs", 1, "--force")
            self.expected = contents(self.out)
            self.same(*sorted(self.inputs.iterdir(), reverse=True)[1:], self.inputs, "--chain", chain, "--jobs", 2)


class TroubleTest(ConvertTest):
    def large(self, megabytes: int = 24) -> Path:
        made = Recording("large").prompt("go")
        for number in range(megabytes * 10):
            made.call("Bash", {"command": f"make {number}"}, f"line {number}\n" * 9000)
        return made.write(self.inputs / "large.jsonl")

    def limited(self, limit: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(CONVERT, *arguments, "--out", self.out),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(self) -> None:
        for name in ("a", "b", "c"):
            self.add(f"{name}.jsonl", recording(name, turns=60))
        self.convert(self.inputs)
        largest = max(len(content) for content in contents(self.out).values())
        for limit in (10, 1000, largest // 2, largest - 1):
            for jobs in (1,) if limit == 10 else (1, 2):  # Workers themselves need a few bytes.
                result = self.limited(limit, self.inputs, "--force", "--jobs", jobs)
                self.assertEqual(result.returncode, 2, (limit, jobs))
                self.assertNotIn("Traceback", result.stderr)
                self.assertIn("cannot be written: File too large", result.stderr.splitlines()[-1])
                self.assertNothingHalf()

    def test_an_output_that_cannot_be_written_is_one_line(self) -> None:
        path = self.add("a.jsonl")
        (self.folder / "file").write_text("x")
        self.assertOneLine(self.convert(path, out=self.folder / "file"), 2, "cannot be used for output")
        self.assertOneLine(self.convert(path, out=self.folder / "file" / "deep"), 2, "cannot be used for output")

    def test_an_input_that_vanishes_is_told(self) -> None:
        # A link to nowhere stands for a file that was there when the folder was read.
        path = self.add("a.jsonl")
        program = (
            "import sys; sys.path[:0] = [{!r}, {!r}, {!r}]\n"
            "from pathlib import Path\n"
            "from clawvm_cli import convert\n"
            "true = convert.jobs_for\n"
            "def jobs_for(*arguments, **options):\n"
            "    jobs = true(*arguments, **options)\n"
            "    Path({!r}).unlink()\n"
            "    return jobs\n"
            "convert.jobs_for = jobs_for\n"
            "sys.exit(convert.main(sys.argv[1:]))"
        ).format(str(ROOT), str(ROOT / "replay_py"), str(ROOT / "workloads"), str(path))
        vanishing = [sys.executable, "-c", program]
        result = subprocess.run(
            [*vanishing, str(path), "--out", str(self.out)], capture_output=True, text=True, check=False
        )
        self.assertOneLine(result, 2, "a.jsonl")
        path = self.add("a.jsonl")
        self.add("b.jsonl")
        result = subprocess.run(
            [*vanishing, str(self.inputs), "--out", str(self.out), "--force"],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("passed over", result.stderr)
        self.assertEqual((self.report()["refused_files"], len(self.report()["sessions"])), (1, 1))  # type: ignore[arg-type]

    def interrupt(self, *arguments: object) -> tuple[int, str]:
        """Interrupt a conversion in its middle, as Ctrl-C does; return its exit code and what it said."""
        process = subprocess.Popen(
            command(CONVERT, *arguments, "--out", self.out), stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not any(self.out.glob(".job-*.partial")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
        return process.returncode, told

    def test_an_interrupt_leaves_no_spool_file(self) -> None:
        path = self.large()
        code, told = self.interrupt(path)
        self.assertEqual(code, 130, told)
        self.assertNotIn("Traceback", told)
        self.assertNothingHalf()

    def test_an_interrupt_ends_the_workers_at_once(self) -> None:
        self.large()
        made = Recording("other").prompt("go")
        made.lines += self.inputs.joinpath("large.jsonl").read_text().splitlines()
        made.write(self.inputs / "other.jsonl")
        code, told = self.interrupt(self.inputs, "--jobs", 2)
        self.assertEqual(code, 130, told)
        self.assertNotIn("Traceback", told)
        self.assertNothingHalf()
        self.assertEqual(list(self.out.glob("sessions/*/session.json")), [], "they were not waited for")

    def test_a_run_after_one_that_was_killed_removes_what_it_left(self) -> None:
        path = self.add("a.jsonl")
        self.out.mkdir()
        (self.out / ".job-7-0.signatures.trace.jsonl.partial").write_text("half")
        self.assertEqual(self.convert(path, "--force").returncode, 0)
        self.assertNothingHalf()

    def test_nobody_has_to_read_what_is_printed(self) -> None:
        path = self.add("a.jsonl")
        for closed in ("stdout", "stderr"):
            process = subprocess.Popen(
                command(CONVERT, path, "--force", "--out", self.out), stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            stream = getattr(process, closed)
            stream.close()
            self.assertEqual(process.wait(60), 0)
            for open_stream in (process.stdout, process.stderr):
                assert open_stream is not None
                if not open_stream.closed:
                    self.assertNotIn(b"Traceback", open_stream.read())
                    open_stream.close()


if __name__ == "__main__":
    unittest.main()
