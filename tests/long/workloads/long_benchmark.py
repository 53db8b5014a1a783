"""The benchmark runs and reports every field; what it measures is never judged here, because machines differ."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path

import benchmark_policy_engine

PARTS = ["select", "turn", "turn+trace", "turn, lru", "turn, compaction_hybrid", "turn, retrieval"]
SMALL = ("--pages", "1", "12", "--turns", "2", "--repeats", "1")


def run(*arguments: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed to standard output and error."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = benchmark_policy_engine.main(list(arguments))
    return code, stdout.getvalue(), stderr.getvalue()


class BenchmarkTest(unittest.TestCase):
    def test_the_report_has_every_part_at_every_size_and_warnings_go_to_stderr(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            code, report, warnings = run(*SMALL, "--json", f"{folder}/timings.json")
            measured = json.loads(Path(folder, "timings.json").read_text(encoding="utf-8"))
        self.assertEqual(code, 0)
        configuration = measured["configuration"]
        self.assertEqual([(pages, turns) for pages, _, turns in configuration["sizes"]], [(1, 2), (12, 2)])
        self.assertEqual(warnings.splitlines(), [f"warning: {text}" for text in measured["warnings"]])
        self.assertEqual(
            [(row["pages"], row["part"]) for row in measured["timings"]],
            [(pages, part) for pages in (1, 12) for part in PARTS],
        )
        for row in measured["timings"]:
            self.assertLess(0, row["median_us"])
            self.assertLessEqual(row["median_us"], row["p95_us"])
            self.assertLessEqual(max(row["p95_us"], row["costliest_us"]), row["worst_us"])
            if "," not in row["part"]:  # Other policies are only timed.
                self.assertGreater(row["peak_kb"], 0)
        self.assertTrue(report.startswith("## "))
        for word in ("published", "memory_flush", "long_horizon", *PARTS[:3]):
            self.assertIn(word, report)
