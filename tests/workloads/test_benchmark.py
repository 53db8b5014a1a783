"""The benchmark runs and reports every field; what it measures is never judged here, because machines differ."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "workloads" / "benchmark_policy_engine.py"
PARTS = ["select", "turn", "turn+trace"]
SMALL = ["--pages", "2", "--turns", "2", "--repeats", "1"]


def run(*arguments: str, cwd: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does, from a folder that is not the checkout."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


class BenchmarkTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_report_has_every_part_at_every_size(self) -> None:
        done = run("--pages", "1", "12", "--turns", "5", "--repeats", "2", "--json", "timings.json", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        report = json.loads(Path(self.folder, "timings.json").read_text(encoding="utf-8"))
        self.assertEqual(report["configuration"]["pages"], [1, 12])
        self.assertEqual(report["configuration"]["turns"], [5, 5])
        self.assertEqual(report["configuration"]["repeats"], 2)
        self.assertGreater(report["reference"]["median_us"], 0)
        self.assertEqual(
            [(row["pages"], row["part"]) for row in report["timings"]],
            [(pages, part) for pages in (1, 12) for part in PARTS],
        )
        for row in report["timings"]:
            with self.subTest(pages=row["pages"], part=row["part"]):
                self.assertLess(0, row["median_us"])
                self.assertLessEqual(row["median_us"], row["p95_us"])
                self.assertLessEqual(row["p95_us"], row["worst_us"])
                self.assertLessEqual(row["costliest_us"], row["worst_us"])
                self.assertGreaterEqual(row["spread"], 0)
                self.assertGreater(row["ratio_to_reference"], 0)
                self.assertGreater(row["peak_kb"], 0)

    def test_every_warning_goes_to_stderr_and_the_report_to_stdout(self) -> None:
        done = run(*SMALL, "--json", "timings.json", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(Path(self.folder, "timings.json").read_text(encoding="utf-8"))
        self.assertEqual(done.stderr.splitlines(), [f"warning: {text}" for text in report["warnings"]])
        self.assertEqual([path.name for path in Path(self.folder).iterdir()], ["timings.json"])
        self.assertTrue(done.stdout.startswith("## "))
        for word in ("published", "memory_flush", "long_horizon", *PARTS):
            self.assertIn(word, done.stdout)

    def test_columns_of_every_table_line_up_and_no_file_is_written_unasked(self) -> None:
        done = run(*SMALL, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(Path(self.folder).iterdir()), [])
        tables = [table.splitlines() for table in done.stdout.split("\n\n") if table.startswith("|")]
        self.assertGreaterEqual(len(tables), 6)
        for lines in tables:
            edges = {tuple(index for index, letter in enumerate(line) if letter == "|") for line in lines}
            self.assertEqual(len(edges), 1, lines[0])

    def test_options_left_out_leave_the_configuration_as_it_is(self) -> None:
        done = run("--quick", "--turns", "1", "--repeats", "1", "--json", "timings.json", cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        configuration = json.loads(Path(self.folder, "timings.json").read_text(encoding="utf-8"))["configuration"]
        self.assertEqual(configuration["pages"], [10, 20, 80, 300, 1000])
        self.assertEqual(configuration["budgets"], [500, 500, 500, 8000, 8000])

    def test_wrong_usage_exits_with_2_and_no_traceback(self) -> None:
        for arguments in (["--pages", "0"], ["--turns", "many"], ["--repeats", "-1"], ["--unknown"]):
            with self.subTest(arguments=arguments):
                done = run(*arguments, cwd=self.folder)
                self.assertEqual(done.returncode, 2)
                self.assertNotIn("Traceback", done.stderr)

    def test_unwritable_report_exits_with_2_and_says_what(self) -> None:
        Path(self.folder, "file").touch()
        done = run(*SMALL, "--json", "file/timings.json", cwd=self.folder)
        self.assertEqual(done.returncode, 2)
        self.assertIn("file/timings.json: cannot be written: ", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
