"""The calibration: the committed constants meet the published tables, recordings bound them, the search repeats."""

import contextlib
import io
import math
import re
import unittest

import calibrate_families as calibration
from calibrate_families import COMMITTED, FIGURES
from clawvm_cli import main as clawvm
from clawvm_experiments.sessions import traits as recorded_traits
from tests.support import ROOT, not_checked, temporary_folder


def main(*arguments):
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        code = calibration.main(list(arguments))
    return code, output.getvalue()


class CommittedTest(unittest.TestCase):
    def test_every_figure_is_within_its_tolerance_and_nothing_is_broken(self):
        code, output = main()
        self.assertEqual(code, 0, output)
        self.assertIn(f"{len(FIGURES)} of {len(FIGURES)} figures are within their tolerance", output)
        self.assertEqual(calibration.complaints(COMMITTED), [])

    def test_the_documented_table_is_that_of_the_check(self):
        document = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
        _, output = main()
        rows = re.findall(r"^\| [^|]*: .*|^\| ClawVM at .*", output, re.MULTILINE)
        self.assertEqual(len(rows), len(FIGURES))
        for row in rows:
            self.assertIn(row, document)


class SearchTest(unittest.TestCase):
    def test_a_short_search_gives_the_same_sizing_with_any_number_of_jobs(self):
        outputs = [main("--search", "--drawn", "60", "--rounds", "1", "--jobs", jobs)[1] for jobs in ("1", "2")]
        self.assertEqual(*outputs)
        self.assertIn(f"Constants found from seed {calibration.SEED}", outputs[0])


class RecordingsTest(unittest.TestCase):
    """The bounds of the constants are what the public recordings show."""

    @classmethod
    def setUpClass(cls):
        traces = ROOT.parent / "shared" / "traces"
        if not traces.is_dir():
            raise not_checked("no recorded sessions in ../shared/traces: the bounds of the families' constants")
        cls.converted = temporary_folder(cls) / "converted"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            clawvm(["convert", str(traces), "--out", str(cls.converted)])

    def test_each_bound_is_the_least_or_the_most_of_a_recording(self):
        recorded = recorded_traits.recorded_traits(self.converted)
        self.assertEqual(len(recorded), 26)
        for trait, (low, high) in recorded_traits.BOUNDS.items():
            values = [found[trait] for found in recorded if trait in found]
            with self.subTest(trait):
                self.assertLessEqual(low, min(values))
                if low:  # A bound of 0 includes recordings without such a page.
                    self.assertGreater(low, 0.95 * min(values))
                if high != math.inf:
                    self.assertLessEqual(max(values), high)
                    self.assertLess(high, 1.05 * max(values))

    def test_the_documented_table_is_that_of_the_recordings(self):
        code, output = main("--recordings", str(self.converted))
        self.assertEqual(code, 0, output)
        document = (ROOT / "docs" / "workloads.md").read_text(encoding="utf-8")
        for trait in recorded_traits.BOUNDS:
            (row,) = re.findall(rf"^\| {re.escape(trait)} \|.*", output, re.MULTILINE)
            self.assertIn(row, document)
        rows = re.findall(r"^\| \w+ \| \d+ \| \d+ \| \d+ \|$", output, re.MULTILINE)
        self.assertEqual(len(rows), len(COMMITTED))
        for row in rows:
            self.assertIn(row, document)
