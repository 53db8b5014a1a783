"""A fresh run of the preliminary suite: the committed reference, its report, and a run in which nothing is served."""

import csv
import dataclasses
import io
import json
import re
import unittest
from pathlib import Path
from unittest import mock

from clawvm_replay import suite
from clawvm_replay.document import Bullets, Paragraph, Table, markdown
from clawvm_replay.gates import GATES, run_gates
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.output import OutputDirectory
from clawvm_replay.published import HYBRID_FAULTS, TABLE_4, TABLE_6, THRASH_REDUCTION
from clawvm_replay.schemas import read_document
from clawvm_replay.suite_report import preliminary_blocks, sweep_blocks
from clawvm_replay.sweep import UNSERVED_FIELDS, CellOutcome, SweepCell, SweepSummary, differences, run_cell
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS
from tests.support import temporary_folder

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
SUMMARY = Path("tier2", "results", "tier2.summary.json")
TABLE_6_SUMMARY = Path("tier2", "results", "table6.summary.json")
GATE_REPORT = Path("tier1", "tier1.report.json")
COLUMNS = ("post_compaction_bootstrap", "flush_miss", "duplicate_tool", "refetch")
"""The kinds of fault that Table 6 has columns for."""
COMPLETE = ("lru", "clawvm", "oracle_h3")


class FreshRunTest(unittest.TestCase):
    """One run of the suite for all tests of this class.

    Only cells at the smallest budget are replayed, the others are those of the reference; ``tests/long`` replays all.
    """

    whole = False

    @classmethod
    def outcomes(cls, cells, jobs):
        known = [*cls.reference["rows"], *cls.removals["rows"]]
        rows = {(row["workload"], row["budget"], row["policy"]): row for row in known}
        for cell in cells:
            budget = cell.trace.header.budget
            if cls.whole or budget == min(PAPER_BUDGETS):
                yield run_cell(cell)
            else:
                row = rows[cell.trace.header.workload, budget, cell.policy.id]
                fields = {field.name: row[field.name] for field in dataclasses.fields(CellMetrics)}
                yield CellOutcome(cell.name, CellMetrics(**fields), b"")

    @classmethod
    def setUpClass(cls):
        cls.root = temporary_folder(cls)
        cls.reference = read_document(REFERENCE / SUMMARY, "sweep_summary")
        cls.removals = read_document(REFERENCE / TABLE_6_SUMMARY, "sweep_summary")
        cls.configuration = cls.reference["configuration"]
        traces = [
            FAMILIES[name](budget) for name in cls.configuration["workloads"] for budget in cls.configuration["budgets"]
        ]
        policies = [POLICIES[name] for name in cls.configuration["policies"]]
        with mock.patch.object(suite, "sweep", cls.outcomes):
            cls.outcome = suite.run_suite(OutputDirectory(cls.root), traces, policies, cls.configuration)
        cls.fresh = read_document(cls.root / SUMMARY, "sweep_summary")
        cls.report = (cls.root / "preliminary.report.md").read_text()
        cls.sweep_report = (cls.root / "tier2" / "results" / "tier2.summary.md").read_text()

    def test_it_equals_the_committed_reference(self):
        self.assertEqual(list(differences(self.reference, self.fresh)), [])
        self.assertEqual(self.fresh, self.reference)
        self.assertEqual(read_document(self.root / TABLE_6_SUMMARY, "sweep_summary"), self.removals)
        reference, fresh = (read_document(root / GATE_REPORT, "gate_report") for root in (REFERENCE, self.root))
        self.assertEqual(fresh, reference)
        self.assertEqual(self.outcome, (True, 76, 144))

    def test_complete_policies_have_no_fault_and_no_pressure(self):
        for row in self.fresh["rows"]:
            if row["policy"] in COMPLETE:
                with self.subTest(row["policy"], workload=row["workload"], budget=row["budget"]):
                    self.assertEqual((row["explicit_faults"], row["pressure_turns"], row["success"]), (0, 0, True))

    def test_weak_policies_are_in_the_published_order(self):
        totals = [item["total_explicit_faults"] for item in self.fresh["aggregates"]]
        self.assertEqual(totals, sorted(totals, reverse=True))
        self.assertEqual([total > 0 for total in totals], [True] * 3 + [False] * 3)

    def test_aggregates_sum_their_rows(self):
        for item in self.fresh["aggregates"]:
            rows = [row for row in self.fresh["rows"] if row["policy"] == item["policy"]]
            for field in UNSERVED_FIELDS:
                self.assertEqual(item[field], sum(row[field] for row in rows))
            self.assertEqual(item["served_cells"], sum(row["served"] for row in rows))
            self.assertEqual(item["successful_cells"], sum(row["success"] for row in rows))
            self.assertEqual(sum(item["faults_by_kind"].values()), item["total_explicit_faults"])
            self.assertEqual(item["mean_explicit_faults"], round(item["total_explicit_faults"] / len(rows), 6))

    def test_the_oracle_gap_is_the_difference_in_the_same_cell(self):
        oracle = {(row["workload"], row["budget"]): row for row in self.fresh["rows"] if row["policy"] == "oracle_h3"}
        for row in self.fresh["rows"]:
            other = oracle[row["workload"], row["budget"]]
            self.assertEqual(row["oracle_gap"], row["explicit_faults"] - other["explicit_faults"])
            self.assertEqual(row["oracle_gap_page_in_tokens"], row["page_in_tokens"] - other["page_in_tokens"])

    def test_the_csv_holds_the_same_rows(self):
        text = (self.root / "tier2" / "results" / "tier2.summary.csv").read_text()
        for found, row in zip(csv.DictReader(io.StringIO(text)), self.fresh["rows"], strict=True):
            self.assertEqual(list(found), list(row))
            for name, value in row.items():
                if isinstance(value, (str, bool)) or value is None:
                    self.assertEqual(found[name], {True: "true", False: "false", None: ""}.get(value, value))
                else:
                    self.assertEqual(type(value)(found[name]), value)

    def test_both_reports_open_with_the_result_and_this_one_goes_on_with_what_speaks_against_it(self):
        opening, unfavourable = self.report.split("\n\n")[1:5:3]
        self.assertIn("**Cells served: ClawVM 20, LRU 17 and Oracle (h = 3) 20 of 24; 6 of 6 lifecycle", opening)
        self.assertIn(
            "They have no explicit faults. Retrieval, Retrieval+Cache and Compaction-Hybrid have 1,6", opening
        )
        self.assertIn(opening.partition("**")[2].partition("; ")[0], self.sweep_report.split("\n\n")[1])
        for words in (
            "LRU in the structure of ClawVM has no more explicit faults than ClawVM in 24 of 24 cells",
            "no more page-in tokens in 24 of 24 cells",
            "an active plan below its floor",
            "follow from the contract",
            "changes no fault count",
            "causes no fault at 180 tokens in these workloads",
        ):
            self.assertIn(words, unfavourable)
        words = [word for word in self.report.split() if word != "|"]
        self.assertLess(len(words), 1500, "five minutes of reading")

    def test_the_three_published_tables_are_beside_ours_and_labelled(self):
        section = self.report.split("## The published tables, and ours beside them\n")[1].split("\n## ")[0]
        self.assertEqual(section.count("(calibrated)"), 3)
        self.assertIn("These had no part in the sizing: removals at other budgets than 180 tokens (C22)", section)
        for row in TABLE_4.values():
            self.assertIn(f"| {row.mean_faults:.3f} |", section)
            self.assertIn(f"| {row.thrash_index:.3f} |", section)
        for feature_id, row in TABLE_6.items():
            ours = [item for item in self.removals["rows"] if item["policy"] == f"clawvm_without_{feature_id}"]
            total = sum(item[kind] for item in ours for kind in COLUMNS)
            self.assertRegex(section, rf"\| {FEATURES[feature_id].name} \|.* {total} / {row.total} \|")
        hybrid = [row for row in self.fresh["rows"] if row["policy"] == "compaction_hybrid" and row["budget"] == 120]
        for field, published in HYBRID_FAULTS.items():
            ours = sum(row[field] for row in hybrid)
            self.assertIn(f"| {field.replace('_', ' ')} | {ours} | {published} |", section)

    def test_how_many_published_numbers_are_reproduced_is_counted(self):
        numbers = 2 * len(TABLE_4) + len(THRASH_REDUCTION) + len(TABLE_6) + len(HYBRID_FAULTS)
        self.assertRegex(self.report, f"Of {numbers} numbers below that can be compared, ({numbers - 1}|{numbers}) are")

    def test_only_the_paper_s_own_workloads_and_budgets_are_compared(self):
        policies = [POLICIES[name] for name in PAPER_POLICIES]
        names = [field.name for field in dataclasses.fields(CellMetrics)]
        rows = [CellMetrics(**{name: row[name] for name in names}) for row in self.reference["rows"]]
        for changes in ({"budget": 501}, {"workload": "another"}):
            other = [
                dataclasses.replace(row, **changes) if (row.budget, row.workload) == (500, "multi_session") else row
                for row in rows
            ]
            text = markdown(preliminary_blocks([], SweepSummary(other, policies), None, self.configuration))
            self.assertIn("this run has others, so they cannot be compared", text)
            self.assertRegex(text, r"\| Retrieval \| [0-9.]+ \| - \| [0-9,]+ \| - \|")
            self.assertIn("Of 3 numbers below that can be compared", text)

    def test_a_policy_that_cannot_page_in_has_a_dash_in_reports_and_a_zero_in_data(self):
        self.assertRegex(self.report, r"\n\| Retrieval \| - \| 1\.580")
        self.assertRegex(self.sweep_report, r"\| evidence heavy \| 120 \| Retrieval \|.* \| - \| 0\.189 \|")
        self.assertEqual({row["page_in_tokens"] for row in self.fresh["rows"] if row["policy"] == "retrieval"}, {0})

    def test_every_file_is_in_the_manifest(self):
        manifest = json.loads((self.root / "suite.manifest.json").read_bytes())
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual({entry["path"] for entry in manifest["files"]} | {"suite.manifest.json"}, files)


class ReportTest(unittest.TestCase):
    """Sentences are printed only where they are true."""

    @classmethod
    def setUpClass(cls):
        cls.gates = run_gates(GATES, POLICIES["clawvm"])

    def blocks(self, rows, *policy_ids, removals=None):
        policies = [POLICIES[name] for name in policy_ids]
        configuration = {"budgets": [5], "horizon": 3, "policies": list(policy_ids), "workloads": ["daily_assistant"]}
        return preliminary_blocks(self.gates, SweepSummary(rows, policies), removals, configuration)

    def rows(self, budget, *policy_ids):
        trace = FAMILIES["daily_assistant"](budget)
        return [run_cell(SweepCell(trace, POLICIES[name])).metrics for name in policy_ids]

    def test_a_run_in_which_nothing_is_served_does_not_read_as_a_success(self):
        rows = self.rows(5, *PAPER_POLICIES)
        self.assertTrue(any(row.success for row in rows))
        self.assertEqual({row.served for row in rows}, {False})
        blocks = self.blocks(rows, *PAPER_POLICIES)
        opening = next(block.text for block in blocks if isinstance(block, Paragraph))
        self.assertIn("**0 of 6 cells were served; 6 of 6 lifecycle gates pass.**", opening)
        self.assertIn("no success", opening)
        self.assertNotIn("no explicit faults", opening)
        text = markdown(blocks)
        self.assertNotIn("follow from the contract", text)
        self.assertRegex(text, r"ClawVM \| 1 \| 1 \| 0 \| [1-9]")

    def test_a_cell_that_another_policy_serves_better_is_counted(self):
        clawvm, lru = self.rows(120, "clawvm", "lru")
        worse = dataclasses.replace(lru, page_in_tokens=clawvm.page_in_tokens + 1, explicit_faults=1)
        bullets = next(block for block in self.blocks([clawvm, worse], "clawvm", "lru") if isinstance(block, Bullets))
        self.assertIn("no more explicit faults than ClawVM in 0 of 1 cells", bullets.items[0])
        self.assertNotIn("LRU and ClawVM", markdown([bullets]))

    def test_other_policies_need_no_clawvm_in_the_run(self):
        text = markdown(self.blocks(self.rows(120, "retrieval"), "retrieval"))
        self.assertNotRegex(text, "in the structure of|follow from the contract")
        self.assertIn("this run has others, so they cannot be compared", text)

    def test_a_run_without_the_budget_of_table_6_says_so(self):
        text = markdown(self.blocks(self.rows(120, "clawvm"), "clawvm"))
        self.assertIn("Table 6 is not part of this run, which has no budget of 180 tokens", text)
        self.assertNotIn("Table 6 (calibrated)", text)
        self.assertIsNone(suite.table_6([FAMILIES["daily_assistant"](120)]))

    def test_sums_over_other_workloads_have_no_published_number(self):
        removals = suite.table_6([FAMILIES["daily_assistant"](180)])
        rows = self.rows(120, "compaction_hybrid")
        text = markdown(self.blocks(rows, "compaction_hybrid", removals=removals))
        self.assertRegex(text, r"\| auto-pin \| \d+ / - \|")
        self.assertRegex(text, r"\| explicit faults \| \d+ \| - \|")

    def test_numbers_that_are_not_reproduced_are_named(self):
        reference = read_document(REFERENCE / SUMMARY, "sweep_summary")
        names = [field.name for field in dataclasses.fields(CellMetrics)]
        rows = [CellMetrics(**{name: row[name] for name in names}) for row in reference["rows"]]
        worse = [
            dataclasses.replace(row, explicit_faults=2 * row.explicit_faults, flush_miss=4 * row.flush_miss)
            if row.policy == "compaction_hybrid"
            else row
            for row in rows
        ]
        removals = read_document(REFERENCE / TABLE_6_SUMMARY, "sweep_summary")["rows"]
        removed_rows = [CellMetrics(**{name: row[name] for name in names}) for row in removals]
        changed = {
            "clawvm_without_prefetch": {"refetch": 3},
            "clawvm_without_pointer_resolution": {"refetch": 0, "duplicate_tool": 0},
        }
        removed = SweepSummary(
            [dataclasses.replace(row, **changed.get(row.policy, {})) for row in removed_rows],
            [POLICIES["clawvm"].without(FEATURES[name]) for name in TABLE_6],
        )
        text = markdown(self.blocks(worse, *PAPER_POLICIES, removals=removed))
        missed = text.split(" Outside: ")[1].split("\n")[0]
        self.assertIn("Compaction-Hybrid, mean faults: ", missed)
        self.assertIn("Compaction-Hybrid at 120 tokens, flush miss: 20, not 5", missed)
        self.assertRegex(missed, r"ClawVM without prefetch: 12, not 0")
        self.assertIn("ClawVM without pointer resolution: 0, not 126", missed)
        self.assertNotIn("Retrieval, ", missed)

    def test_without_a_policy_of_clawvms_structure_all_policies_lead(self):
        rows = [dataclasses.replace(row, served=True) for row in self.rows(500, "retrieval", "compaction_hybrid")]
        text = markdown(self.blocks(rows, "retrieval", "compaction_hybrid"))
        self.assertIn("**Cells served: Retrieval 1 and Compaction-Hybrid 1 of 1; 6 of 6", text)
        self.assertRegex(text, r"They have [1-9]\d* and \d+ explicit faults\.\n")

    def test_every_table_has_a_value_for_every_column(self):
        rows = self.rows(120, "retrieval", "clawvm")
        summary = SweepSummary(rows, [POLICIES["retrieval"], POLICIES["clawvm"]])
        for block in [*self.blocks(rows, "retrieval", "clawvm"), *sweep_blocks(summary)]:
            if isinstance(block, Table):
                self.assertEqual({len(row) for row in block.rows}, {len(block.columns)})
        self.assertTrue(re.fullmatch(r"[\x20-\x7e\n]*", markdown(sweep_blocks(summary))))
