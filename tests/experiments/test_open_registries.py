"""Everything that is listed somewhere can be extended from outside: nothing breaks, and the paper's tables stay."""

import dataclasses
import json
import unittest
from unittest import mock

from clawvm_experiments.claims import Claim
from clawvm_experiments.experiment import Cell, Experiment
from clawvm_experiments.registry import EXPERIMENTS, all_claims, experiments_table
from clawvm_replay.document import Heading, Paragraph, markdown
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_transcripts.detection import FORMATS
from clawvm_transcripts.formats import Format
from clawvm_transcripts.formats.pi import PI
from clawvm_workloads.families import FAMILIES, PAPER_FAMILIES
from tests.cli.support import ROOT, run
from tests.experiments.test_table4 import rows
from tests.support import temporary_folder

OURS = Experiment(
    id="made_up",
    title="Made up",
    question="Does an experiment from outside run?",
    cells=lambda quick: [Cell("only", {"number": 3})],
    run_cell=lambda cell: dict(cell.parameters),
    summarize=lambda rows: {"findings": {"number": rows[0]["number"]}},
    report=lambda results: [Heading(2, "Made up"), Paragraph(f"The number is {results['findings']['number']}.")],
    claims=(
        Claim(
            id="X01",
            statement="The number is 3.",
            source="ours",
            kind="property",
            experiment="made_up",
            file="made_up/results.json",
            field="findings.number",
            expected={"value": 3},
            must_hold=True,
        ),
    ),
)


def evening_assistant(budget):
    trace = FAMILIES["daily_assistant"](budget)
    return dataclasses.replace(trace, header=dataclasses.replace(trace.header, workload="evening_assistant"))


def read_toy(stream):
    stream.readline()
    return PI.read(stream)


TOY = Format("toy", "Toy sessions", lambda head: head.start.startswith(b"#toy"), read_toy)


class OpenRegistriesTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)
        small = dataclasses.replace(POLICIES["clawvm"], id="clawvm_small", name="ClawVM, small")
        for patch in (
            mock.patch.dict(FAMILIES, {"evening_assistant": evening_assistant}),
            mock.patch.dict(POLICIES, {"clawvm_small": small}),
            mock.patch.dict(EXPERIMENTS, {OURS.id: OURS}),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        FORMATS.append(TOY)
        self.addCleanup(FORMATS.remove, TOY)

    def experiments(self, names):
        out = self.root / names
        done = run("experiments", "--quick", "--jobs", 1, "--out-root", out, "--experiments", names)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout, out

    def test_the_suite_runs_the_papers_sets_and_takes_any_registered_id(self):
        words = ("suite", "--out-root", self.root / "suite", "--budgets", "120", "--workloads")
        done = run(*words, "evening_assistant", "--policies", "clawvm_small,lru")
        self.assertEqual(done.returncode, 0, done.stderr)
        summary = json.loads((self.root / "suite/tier2/results/tier2.summary.json").read_bytes())
        self.assertEqual({row["workload"] for row in summary["rows"]}, {"evening_assistant"})
        run(*words, "daily_assistant", "--force")
        summary = json.loads((self.root / "suite/tier2/results/tier2.summary.json").read_bytes())
        self.assertEqual({row["policy"] for row in summary["rows"]}, set(PAPER_POLICIES))

    def test_the_papers_tables_have_the_papers_sets(self):
        made = rows()
        results = EXPERIMENTS["table4"].summarize(made)
        self.assertEqual(results["cells"], 144)
        self.assertEqual((tuple(results["policies"]), results["workloads"]), (PAPER_POLICIES, list(PAPER_FAMILIES)))
        expected = [(row["policy"], row["workload"], row["budget"]) for row in made]
        for quick in (False, True):
            cells = [cell.parameters for cell in EXPERIMENTS["table4"].cells(quick)]
            measured = [(cell["policy"], cell["workload"], cell["budget"]) for cell in cells]
            self.assertEqual(sorted(measured), sorted(expected))

    def test_an_experiment_brings_its_claims_its_command_and_its_row(self):
        printed, out = self.experiments("made_up")
        self.assertIn("| X01 | holds | The number is 3. |", printed)
        self.assertIn("The number is 3.", (out / "report.html").read_text(encoding="utf-8"))
        self.assertEqual(run("experiment", "made_up", "--jobs", 1).stdout, "## Made up\n\nThe number is 3.\n")
        self.assertIn("made_up", run("experiment", "--help").stdout)
        self.assertEqual(all_claims()[-1].id, "X01")
        self.assertIn("| X01 | The number is 3. |", run("claims").stdout)
        self.assertIn("`clawvm experiment made_up", markdown([experiments_table()]))

    def test_an_experiment_without_claims_has_no_table_of_claims(self):
        bare = dataclasses.replace(OURS, id="bare", claims=())
        with mock.patch.dict(EXPERIMENTS, {"bare": bare}):
            printed, out = self.experiments("bare")
            guide = run("claims").stdout
        self.assertNotIn("|", printed)
        self.assertIn("No claim that must hold was judged", printed)
        report = (out / "report.md").read_text(encoding="utf-8")
        self.assertIn("No claim that must hold was judged.", report)
        self.assertNotIn("## Claims", report)
        self.assertNotIn("is not reproduced", report)
        self.assertRegex(guide, r"(?m)^\| `bare` \| .* \| - \| - \|$")

    def test_sessions_in_a_format_are_converted_replayed_and_reported(self):
        path = self.root / "toy.session"
        fixture = ROOT / "tests/transcripts/fixtures/pi/version-1.jsonl"
        path.write_bytes(b"#toy\n" + fixture.read_bytes())
        out = self.root / "sessions"
        done = run("sessions", path, "--out-root", out, "--jobs", 1, "--cuts", "whole", "--budgets", "20%")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 session (1 pi)", (out / "sessions/report.md").read_text(encoding="utf-8"))
        documents = [path for path in out.rglob("*") if path.suffix in (".json", ".jsonl")]
        self.assertEqual(run("validate", *documents).returncode, 0)
        self.assertIn("Toy sessions", run("convert", "--help").stdout)
        self.assertIn("Toy sessions", run("convert", ROOT / "LICENSE", "--out", self.root / "out").stderr)
