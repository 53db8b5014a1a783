"""Behaviour of a run: a resumed run gives the rows of one whole run, and nothing is run twice."""

import unittest
from collections import Counter
from unittest import mock

from clawvm_experiments import running
from clawvm_experiments.experiment import Cell, Experiment
from clawvm_experiments.running import Plan, row_path, run_plan
from clawvm_replay.errors import InputError
from tests.support import temporary_folder

RUNS = Counter()
"""How often each cell was run, over all experiments of this file."""


class Interrupted(Exception):
    """Acts as whatever ends a run before its time."""


def made_up(name, cells):
    def run_cell(cell):
        RUNS[name, cell.id] += 1
        return {"square": cell.parameters["number"] ** 2}

    return Experiment(
        id=name,
        title=name,
        question="?",
        cells=lambda quick: [Cell(f"cell-{number}", {"number": number}) for number in range(2 if quick else cells)],
        run_cell=run_cell,
        summarize=lambda rows: {"findings": {"sum": sum(row["square"] for row in rows)}},
        report=lambda results: "## made up\n",
    )


class RunningTest(unittest.TestCase):
    def setUp(self):
        self.root = temporary_folder(self)
        RUNS.clear()
        self.experiments = [made_up("first", 7), made_up("second", 4)]
        self.plan = Plan.of(self.experiments, quick=False)
        self.expected = {
            "first": [{"square": number**2} for number in range(7)],
            "second": [{"square": number**2} for number in range(4)],
        }

    def run_part(self, folder, *, resume=False, stop_after=None, plan=None):
        def progress(done, total, name):
            if done == stop_after:
                raise Interrupted

        return run_plan(plan or self.plan, self.root / folder, resume=resume, executor=None, progress=progress)

    def test_a_whole_run_gives_the_rows_in_the_order_of_the_cells(self):
        self.assertEqual(self.run_part("whole"), self.expected)
        self.assertEqual(set(RUNS.values()), {1})

    def test_a_run_interrupted_anywhere_resumes_where_it_stopped(self):
        for stop_after in (1, 6, 7, 10):
            with self.subTest(stop_after=stop_after):
                RUNS.clear()
                folder = f"interrupted-{stop_after}"
                with self.assertRaises(Interrupted):
                    self.run_part(folder, stop_after=stop_after)
                self.assertEqual(RUNS.total(), stop_after)
                rows = self.run_part(folder, resume=True)
                self.assertEqual(rows, self.expected)
                self.assertEqual(set(RUNS.values()), {1}, "a cell was run twice")
                self.assertEqual(len(RUNS), 11)

    def test_without_resume_everything_runs_again(self):
        self.run_part("again")
        self.run_part("again")
        self.assertEqual(set(RUNS.values()), {2})

    def test_a_run_is_resumed_only_with_the_experiments_that_it_was_made_of(self):
        with self.assertRaises(Interrupted):
            self.run_part("whole", stop_after=9)
        with self.assertRaisesRegex(InputError, "second.rows.jsonl: was part of the interrupted run"):
            self.run_part("whole", resume=True, plan=Plan.of(self.experiments[:1], quick=False))

    def test_rows_of_other_code_are_refused(self):
        with self.assertRaises(Interrupted):
            self.run_part("changed", stop_after=3)
        with (
            mock.patch.object(running, "source_digest", lambda: "5" * 64),
            self.assertRaisesRegex(InputError, "other code"),
        ):
            self.run_part("changed", resume=True)

    def test_a_row_that_is_no_cell_of_the_run_is_refused(self):
        self.run_part("foreign")
        path = row_path(self.root / "foreign", "first")
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:-1], b'{"cell":"smuggled","record":"row","row":{}}\n']))
        with self.assertRaisesRegex(InputError, "'smuggled', which is no cell"):
            self.run_part("foreign", resume=True)

    def test_the_processor_time_of_each_experiment_is_summed(self):
        seconds = {}
        run_plan(
            self.plan,
            self.root / "timed",
            resume=False,
            executor=None,
            progress=lambda done, total, name: None,
            seconds=seconds,
        )
        self.assertEqual(list(seconds), ["first", "second"])

    def test_an_executor_that_hands_on_anything_but_a_row_is_one_line(self):
        for answer in (None, {}, ({}, 1.0, 2), ([], 1.0)):
            with (
                mock.patch.object(running, "completed", lambda function, work, executor, answer=answer: [(0, answer)]),
                self.assertRaisesRegex(InputError, "the executor returned no row for first cell-0"),
            ):
                self.run_part("odd")

    def test_rows_of_a_quick_run_are_not_rows_of_a_full_one(self):
        self.run_part("mixed", plan=Plan.of(self.experiments, quick=True))
        with self.assertRaisesRegex(InputError, "other cells"):
            self.run_part("mixed", resume=True)
