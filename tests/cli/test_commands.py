"""The commands of suite and traces do what the docs say; a user's mistake is one line with the right exit code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay.suite import SuiteOutcome
from tests.cli.support import ROOT, CommandTest, largest_file, run, start, tree
from tests.support import temporary_folder

SUITE = "suite"
GATES = "gates"
REPLAY = "replay"
EXPLAIN = "explain"
VALIDATE = "validate"
COMPARE = "compare"
TRACES = "traces"
TRACE = ROOT / "traces/evidence_heavy/evidence_heavy-b0120.trace.jsonl"
SMALL = ("--budgets", "120", "--workloads", "multi_session,daily_assistant")


class SuiteTest(CommandTest):
    whole: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.whole = Path(temporary_folder(cls), "whole")
        assert run(SUITE, "--out-root", cls.whole, *SMALL).returncode == 0

    def test_the_same_bytes_whatever_directory_hash_seed_locale_and_time_zone(self) -> None:
        elsewhere = run(
            SUITE,
            "--out-root",
            "second",
            *SMALL,
            "--jobs",
            1,
            cwd=self.folder,
            PYTHONHASHSEED="77",
            LC_ALL="C.UTF-8",
            TZ="Asia/Tokyo",
        )
        self.assertEqual(elsewhere.returncode, 0, elsewhere.stderr)
        self.assertEqual(tree(self.whole), tree(self.folder / "second"))

    def test_a_gate_that_fails_ends_with_1(self) -> None:
        with mock.patch("clawvm_cli.suite.run_suite", return_value=SuiteOutcome(False, 1, 2)):
            done = run(SUITE, "--out-root", self.folder / "out", *SMALL)
        self.assertEqual(done.returncode, 1)
        self.assertIn("gates: FAIL; served: 1 of 2 cells", done.stdout)

    def test_too_many_jobs_and_empty_names_are_refused(self) -> None:
        for words in (("--out-root", ""), ("--out-root", self.folder / "out", "--jobs", "100000")):
            self.assert_one_line(run(SUITE, *words), 2)

    def test_the_manifest_lists_every_file_with_its_sha256(self) -> None:
        manifest = json.loads((self.whole / "suite.manifest.json").read_text())
        listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
        found = {name: hashlib.sha256(data).hexdigest() for name, data in tree(self.whole).items()}
        del found["suite.manifest.json"]
        self.assertEqual(listed, found)

    def test_no_output_names_a_path_of_the_machine(self) -> None:
        for name, data in tree(self.whole).items():
            for path in (str(ROOT), str(self.whole.parent)):
                self.assertNotIn(path.encode(), data, name)

    def test_every_file_is_valid_and_a_changed_file_is_found(self) -> None:
        out = self.folder / "out"
        fewer = ("--budgets", "120", "--workloads", "multi_session", "--policies", "retrieval")
        run(SUITE, "--out-root", out, *fewer)
        files = [out / name for name in tree(out) if not name.endswith((".md", ".csv"))]
        result = run(VALIDATE, *files)
        self.assertEqual(result.returncode, 0, result.stdout)
        (out / "preliminary.report.md").write_text("changed")
        result = run(VALIDATE, out / "suite.manifest.json")
        self.assertEqual(result.returncode, 1)
        self.assertIn("preliminary.report.md is not the file that was written", result.stdout)

    def test_a_folder_that_is_not_empty_is_refused_without_force(self) -> None:
        out = self.folder / "out"
        out.mkdir()
        (out / "mine").write_text("keep me")
        fewest = ("--budgets", "120", "--workloads", "multi_session", "--policies", "retrieval")
        self.assert_one_line(run(SUITE, "--out-root", out, *fewest), 2, "not empty", "--force")
        self.assertEqual(tree(out), {"mine": b"keep me"})
        self.assertEqual(run(SUITE, "--out-root", out, *fewest, "--force").returncode, 0)
        self.assertEqual((out / "mine").read_text(), "keep me")

    def test_force_removes_what_an_earlier_run_wrote(self) -> None:
        out = self.folder / "out"
        shutil.copytree(self.whole, out)
        fewer = ("--budgets", "180", "--workloads", "multi_session", "--policies", "clawvm")
        self.assertEqual(run(SUITE, "--out-root", out, *fewer, "--force").returncode, 0)
        self.assertEqual([name for name in tree(out) if "b0120" in name], [])

    def test_bad_arguments_are_one_line_with_exit_code_2(self) -> None:
        out = ("--out-root", self.folder / "out")
        for arguments, word in (
            ((*out, "--budgets", "0"), "budgets"),
            ((*out, "--budgets", "-5"), "budgets"),
            ((*out, "--budgets", "120,120"), "twice"),
            ((*out, "--budgets", "many"), "many"),
            ((*out, "--policies", "magic"), "unknown policy 'magic'"),
            ((*out, "--workloads", "magic"), "unknown workload 'magic'"),
            ((*out, "--jobs", "0"), "jobs"),
            ((*out, "--horizon", "0"), "horizon"),
            ((), "--out-root"),
            (("--out-root", "/proc/nowhere/out"), "/proc/nowhere"),
        ):
            with self.subTest(arguments=arguments):
                self.assert_one_line(run(SUITE, *arguments), 2, word)
        self.assertFalse((self.folder / "out").exists())

    def test_a_full_disk_leaves_no_half_written_file(self) -> None:
        out = self.folder / "out"
        with largest_file(50_000):
            result = run(SUITE, "--out-root", out, *SMALL, "--jobs", 1)
        self.assertEqual(result.returncode, 2)
        self.assertIn("cannot be written", result.stderr)
        self.assertFalse((out / "suite.manifest.json").exists())
        for name, data in tree(out).items():
            self.assertFalse(name.endswith(".partial"), name)
            self.assertTrue(data.endswith(b"\n"), name)

    def test_an_interrupt_is_one_line_and_leaves_whole_files_without_a_manifest(self) -> None:
        out = self.folder / "out"
        process = start(SUITE, "--out-root", out)
        deadline = time.monotonic() + 60
        while not list(out.glob("tier2/decisions/*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, errors)
        self.assertNotIn("Traceback", errors)
        self.assertFalse((out / "suite.manifest.json").exists())
        for name, data in tree(out).items():
            self.assertTrue(data.endswith(b"\n"), name)
            self.assertFalse(name.endswith(".partial"), name)

    def test_another_horizon_makes_another_oracle(self) -> None:
        out = self.folder / "out"
        fewer = ("--budgets", "120", "--workloads", "multi_session", "--policies", "clawvm,oracle_h3")
        run(SUITE, "--out-root", out, *fewer, "--horizon", "5")
        summary = json.loads((out / "tier2/results/tier2.summary.json").read_text())
        self.assertEqual(summary["configuration"]["policies"], ["clawvm", "oracle_h5"])


class GatesTest(CommandTest):
    def test_all_gates_pass_and_the_exit_code_is_0(self) -> None:
        result = run(GATES)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sum(line.startswith("PASS") for line in result.stdout.splitlines()), 6)

    def test_a_policy_that_fails_a_gate_gives_exit_code_1(self) -> None:
        result = run(GATES, "--policy", "clawvm_without_auto_pin")
        self.assertEqual(result.returncode, 1)
        self.assertIn("FAIL  Bootstrap survives compaction", result.stdout)

    def test_an_unknown_policy_is_one_line(self) -> None:
        self.assert_one_line(run(GATES, "--policy", "magic"), 2, "magic")


class ReplayTest(CommandTest):
    def test_prints_the_metrics_and_writes_the_decisions(self) -> None:
        decisions = self.folder / "decisions.jsonl"
        result = run(REPLAY, TRACE, "--policy", "retrieval", "--budget", 180, "--decisions", decisions)
        self.assertEqual(result.returncode, 0, result.stderr)
        metrics = json.loads(result.stdout)
        self.assertEqual((metrics["policy"], metrics["budget"]), ("retrieval", 180))
        faults = [line for line in decisions.read_text().splitlines() if '"event":"fault"' in line]
        self.assertEqual(len(faults), metrics["explicit_faults"])

    def test_a_bad_trace_is_one_line_with_file_and_line(self) -> None:
        lines = TRACE.read_bytes().splitlines(keepends=True)
        for content, where in (
            (b"", ":1:"),
            (b"".join(lines[:9]), ":10:"),
            (b"".join(lines)[:700], ":"),
            (lines[0].replace(b'"version":1', b'"version":99') + b"".join(lines[1:]), ":1: unknown trace version 99"),
            (b"".join(lines).replace(b'"turn":3,', b'"turn":4,', 1), "out of order"),
            (b"\x00\xff" * 100, ":1:"),
        ):
            with self.subTest(where=where):
                path = self.folder / "bad.jsonl"
                path.write_bytes(content)
                self.assert_one_line(run(REPLAY, path), 2, str(path), where)

    def test_a_missing_trace_and_a_folder_are_one_line(self) -> None:
        self.assert_one_line(run(REPLAY, self.folder / "none"), 2, "cannot be read")
        self.assert_one_line(run(REPLAY, self.folder), 2, "directory")

    @unittest.skipUnless(os.path.exists("/dev/fd"), "needs /dev/fd")
    def test_explain_and_map_read_a_pipe_once(self) -> None:
        reading, writing = os.pipe()
        with open(TRACE, "rb") as trace:
            cat = subprocess.Popen(["cat"], stdin=trace, stdout=writing)
        os.close(writing)
        result = run(EXPLAIN, f"/dev/fd/{reading}", "--turn", 7, "--page", "plan")
        os.close(reading)
        cat.wait()
        self.assertEqual(result.stdout, run(EXPLAIN, TRACE, "--turn", 7, "--page", "plan").stdout)


class ExplainTest(CommandTest):
    def test_says_what_required_the_page_which_upgrades_were_tried_and_what_did_not_fit(self) -> None:
        result = run(EXPLAIN, TRACE, "--turn", 10, "--page", "rule-no-migrations")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("floor: auto-pin holds a hard page at structured", result.stdout)
        result = run(EXPLAIN, TRACE, "--turn", 22, "--page", "file-1")
        self.assertIn("upgrade to structured: 4 tokens", result.stdout)
        self.assertIn("no upgrade to full: it needs", result.stdout)

    def test_a_decision_trace_explains_the_same_as_its_trace(self) -> None:
        decisions = self.folder / "decisions.jsonl"
        run(REPLAY, TRACE, "--decisions", decisions)
        arguments = ("--turn", 7, "--page", "plan")
        self.assertEqual(run(EXPLAIN, decisions, *arguments).stdout, run(EXPLAIN, TRACE, *arguments).stdout)

    def test_an_unknown_turn_page_or_file_is_one_line(self) -> None:
        self.assert_one_line(run(EXPLAIN, TRACE, "--turn", 999, "--page", "plan"), 2, "turn 999")
        self.assert_one_line(run(EXPLAIN, TRACE, "--turn", 1, "--page", "nobody"), 2, "nobody")
        self.assert_one_line(run(EXPLAIN, ROOT / "LICENSE", "--turn", 1, "--page", "x"), 2, "LICENSE:1")


class CompareTest(CommandTest):
    def test_equal_runs_do_not_differ_and_different_ones_are_listed_cell_by_cell(self) -> None:
        first, second = self.folder / "first", self.folder / "second"
        small = ("--budgets", "120", "--workloads", "multi_session")
        run(SUITE, "--out-root", first, *small, "--policies", "clawvm,lru")
        run(SUITE, "--out-root", second, *small, "--policies", "clawvm,retrieval")
        same = run(COMPARE, first, first)
        self.assertEqual((same.returncode, same.stdout), (0, "no difference\n"))
        summary = second / "tier2/results/tier2.summary.json"
        record = json.loads(summary.read_text())
        record["rows"][0]["hits"] += 3
        summary.write_text(json.dumps(record))
        result = run(COMPARE, first, second)
        self.assertEqual(result.returncode, 1)
        self.assertIn("multi_session at 120, lru: only in the first", result.stdout)
        self.assertIn("multi_session at 120, retrieval: only in the second", result.stdout)
        self.assertIn("multi_session at 120, clawvm: hits:", result.stdout)
        self.assertIn("(+3)", result.stdout)

    def test_cells_of_table_6_are_compared_between_folders_only(self) -> None:
        first, second = self.folder / "first", self.folder / "second"
        for folder in (first, second):
            run(SUITE, "--out-root", folder, "--budgets", "180", "--workloads", "multi_session", "--policies", "lru")
        table_6 = second / "tier2/results/table6.summary.json"
        record = json.loads(table_6.read_text())
        record["rows"][0]["hits"] += 3
        table_6.write_text(json.dumps(record))
        result = run(COMPARE, first, second)
        self.assertEqual(result.returncode, 1)
        self.assertIn("multi_session at 180, clawvm_without_pointer_resolution: hits:", result.stdout)
        self.assertEqual(run(COMPARE, first / "tier2/results/tier2.summary.json", second).stdout, "no difference\n")

    def test_what_is_no_summary_is_one_line(self) -> None:
        self.assert_one_line(run(COMPARE, self.folder, self.folder), 2, "tier2.summary.json")
        self.assert_one_line(run(COMPARE, TRACE, TRACE), 2, "not clawvm.sweep_summary")


class ValidateTest(CommandTest):
    def test_committed_traces_are_valid(self) -> None:
        traces = sorted((ROOT / "traces").glob("*/*.trace.jsonl"))
        self.assertEqual(len(traces), 24)
        self.assertEqual(run(VALIDATE, *traces[::11]).returncode, 0)

    def test_an_invalid_line_is_named(self) -> None:
        lines = TRACE.read_text().splitlines()
        record = json.loads(lines[-2])
        record["surprise"] = 1
        path = self.folder / "bad.jsonl"
        path.write_text("\n".join([*lines[:-2], json.dumps(record), lines[-1]]) + "\n")
        result = run(VALIDATE, path)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{path}:{len(lines) - 1}: /surprise", result.stdout)

    def test_a_file_of_no_known_format_is_one_line(self) -> None:
        self.assert_one_line(run(VALIDATE, ROOT / "LICENSE"), 2, "no known format")


class TracesTest(CommandTest):
    def test_writes_the_committed_traces_byte_for_byte(self) -> None:
        self.assertEqual(run(TRACES, "--root", self.folder).returncode, 0)
        committed = {name: data for name, data in tree(ROOT / "traces").items() if name.endswith(".jsonl")}
        self.assertEqual(tree(self.folder / "traces"), committed)
