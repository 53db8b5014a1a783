"""Behaviour of finishing: every file of an experiment is written and listed; what a clock measured is separate."""

import json
import unittest
from unittest import mock

from clawvm_experiments import finishing
from clawvm_experiments.claims import Claim
from clawvm_experiments.experiment import Cell, Experiment
from clawvm_experiments.finishing import OVERHEAD, TIMED_CLAIMS, Timings, write_results
from clawvm_experiments.running import Plan
from clawvm_pictures.charts import Series, line_chart
from clawvm_replay.document import Heading, Paragraph
from clawvm_replay.output import OutputDirectory
from tests.support import temporary_folder

FIGURE = line_chart(title="t", x_label="x", y_label="y", series=[Series("s", [(1, 2)])])
MADE_UP = Experiment(
    id="made_up",
    title="made up",
    question="What is written?",
    cells=lambda quick: [Cell("only", {"number": 3})],
    run_cell=lambda cell: dict(cell.parameters),
    summarize=lambda rows: {"findings": {"number": rows[0]["number"]}, "table": [1, 2]},
    report=lambda results: [
        Heading(2, "Made up"),
        Paragraph(f"The number is {results['findings']['number']}, {results['table']}."),
    ],
    figures=lambda results: {"figure.svg": FIGURE},
    attachments=lambda results: {"small.trace.jsonl": "{}\n"},
)


def claim(identity, experiment, file, expected):
    return Claim(
        identity, "The number is this.", "ours", "property", experiment, file, "findings.number", expected, True
    )


CLAIMS = [
    claim("C01", "made_up", "made_up/results.json", {"value": 3}),
    claim("C02", "overhead", OVERHEAD, {"value": 5}),
    claim("C03", "another", "another/results.json", {"value": 1}),
]


class FinishingTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)
        patch = mock.patch.object(finishing, "read_claims", lambda: CLAIMS)
        patch.start()
        self.addCleanup(patch.stop)

    def write(self, experiments=(MADE_UP,), timings=Timings()):  # noqa: B008 - a frozen record
        plan = Plan.of(experiments, quick=False)
        rows = {item.id: [{"number": 3}] for item in experiments}
        judged = write_results(OutputDirectory(self.root), plan, rows, timings)
        files = {path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()}
        return [(item.claim.id, item.verdict) for item in judged], files

    def ids(self, name):
        return [item["id"] for item in json.loads((self.root / name).read_bytes())["claims"]]

    def test_every_file_of_an_experiment_is_written_and_listed(self):
        judged, files = self.write()
        own = {"results.json", "rows.jsonl", "report.md", "figure.svg", "small.trace.jsonl"}
        common = {"claims.json", "report.md", "report.html", "suite.manifest.json"}
        self.assertEqual(files, {f"made_up/{name}" for name in own} | common)
        listed = {entry["path"] for entry in json.loads((self.root / "suite.manifest.json").read_bytes())["files"]}
        self.assertEqual(listed, files - {"suite.manifest.json"})
        self.assertEqual(judged, [("C01", "holds")])
        self.assertEqual((self.root / "made_up" / "small.trace.jsonl").read_text(), "{}\n")
        page = (self.root / "report.html").read_text(encoding="utf-8")
        for words in ("What is written?", "The number is 3, [1, 2].", "<svg", "The number is this."):
            self.assertIn(words, page)

    def test_what_a_clock_measured_is_separate_and_is_not_listed(self):
        measured = Timings({OVERHEAD: {"findings": {"number": 5}}}, {"timings/overhead.md": "## Overhead\n"})
        judged, files = self.write(timings=measured)
        self.assertEqual(judged, [("C01", "holds"), ("C02", "holds")])
        self.assertLessEqual({OVERHEAD, TIMED_CLAIMS, "timings/overhead.md"}, files)
        self.assertEqual((self.ids("claims.json"), self.ids(TIMED_CLAIMS)), (["C01"], ["C02"]))
        manifest = (self.root / "suite.manifest.json").read_text()
        self.assertNotIn("timings", manifest)
        self.assertNotIn("C02", (self.root / "report.md").read_text())

    def test_a_report_opens_with_the_result_before_the_claims(self):
        self.write()
        for name, first, second in (
            ("report.md", "## Result", "## Claims"),
            ("report.html", ">Result</h2>", ">Claims</h2>"),
        ):
            text = (self.root / name).read_text(encoding="utf-8")
            self.assertLess(text.index(first), text.index(second), name)
            self.assertLess(text.index(second), text.index("The number is 3, [1, 2]."), name)

    def test_without_an_experiment_only_timings_are_written(self):
        measured = Timings({OVERHEAD: {"findings": {"number": 4}}}, {})
        judged, files = self.write((), measured)
        self.assertEqual(judged, [("C02", "fails")])
        self.assertEqual(files, {OVERHEAD, TIMED_CLAIMS})


class MapTest(unittest.TestCase):
    def test_a_map_has_the_name_of_its_policy(self):
        (section,) = finishing.EXPERIMENTS.sections()
        self.assertIn("policy Compaction-Hybrid, budget 120 tokens", section.body)
