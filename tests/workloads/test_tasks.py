"""Behaviour of the thirty tasks: three categories, one story each, schedules that fall inside the session."""

import io
import unittest

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import read_trace, write_trace
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.reference_model import witness
from clawvm_workloads.tasks import CATEGORIES, STRETCH_REFERENCE, TASKS, category_of, task_trace


def lines_of(trace):
    return list(write_trace(trace.header, trace.turns))


def without_growth(trace):
    return [record for record in lines_of(trace)[1:] if '"record":"turn"' not in record]


class TasksTest(unittest.TestCase):
    def test_thirty_tasks_ten_in_each_category(self):
        self.assertEqual(list(CATEGORIES), ["debugging", "research", "routine"])
        self.assertEqual([len(tasks) for tasks in CATEGORIES.values()], [10, 10, 10])
        self.assertEqual(len(TASKS), 30)

    def test_every_task_has_a_story_of_its_own_in_one_line(self):
        stories = [task.story for task in TASKS.values()]
        self.assertEqual(len(set(stories)), 30)
        for story in stories:
            self.assertTrue(story.endswith("."))
            self.assertNotIn("\n", story)

    def test_category_of_a_task(self):
        self.assertEqual(category_of("crash_in_checkout"), "debugging")
        self.assertEqual(category_of("check_a_claim"), "research")
        self.assertEqual(category_of("morning_mail"), "routine")
        with self.assertRaises(KeyError):
            category_of("no such task")
        with self.assertRaises(KeyError):
            task_trace("no such task", 180)

    def test_schedules_fall_inside_the_session(self):
        for task in TASKS.values():
            for name in ("edits_at", "tests_at", "findings_at", "searches_at", "compares_at", "notes_at"):
                for turn in getattr(task, name, ()):
                    with self.subTest(task=task.name, schedule=name, turn=turn):
                        self.assertTrue(1 <= turn <= task.turns)
            for turn, _ in task.recalls_at:
                self.assertTrue(1 <= turn <= task.turns)
            if getattr(task, "denied", ""):
                self.assertIn(task.denied, task.items)
            if task.category == "routine":  # Each takes two turns, between two overviews.
                self.assertEqual(task.turns, 2 * len(task.items) + 2)


class TraceTest(unittest.TestCase):
    def test_every_trace_is_what_the_format_says(self):
        for name in TASKS:
            with self.subTest(task=name):
                trace = task_trace(name, 180)
                header, turns = read_trace(io.BytesIO("".join(lines_of(trace)).encode("ascii")), name)
                self.assertEqual(len(list(turns)), len(trace.turns))
                self.assertEqual((header.workload, header.budget), (f"task_{name}", 180))
                self.assertEqual(header.description, TASKS[name].story)

    def test_building_twice_gives_the_same_bytes(self):
        for name in list(TASKS)[::10]:
            self.assertEqual(lines_of(task_trace(name, 240, True)), lines_of(task_trace(name, 240, True)))

    def test_only_accounting_depends_on_the_budget_in_a_plain_session(self):
        for name in TASKS:
            with self.subTest(task=name):
                self.assertEqual(lines_of(task_trace(name, 120))[1:], lines_of(task_trace(name, 500))[1:])

    def test_a_stretched_session_differs_in_nothing_but_its_growth(self):
        for name, task in TASKS.items():
            for budget in (120, 500):
                plain, stretched = task_trace(name, budget), task_trace(name, budget, True)
                with self.subTest(task=name, budget=budget):
                    self.assertEqual(without_growth(plain), without_growth(stretched))
                    self.assertEqual(plain.header, stretched.header)
                    growth = {turn.transcript_tokens for turn in stretched.turns}
                    self.assertEqual(growth, {task.growth * budget // 180})

    def test_at_the_reference_budget_a_stretched_session_is_the_plain_one(self):
        for name in TASKS:
            self.assertEqual(
                lines_of(task_trace(name, STRETCH_REFERENCE)), lines_of(task_trace(name, STRETCH_REFERENCE, True))
            )

    def test_stretched_sessions_meet_the_same_number_of_compactions_at_every_budget(self):
        for name in TASKS:
            with self.subTest(task=name):
                counts = {
                    replay_trace(task_trace(name, budget, True), POLICIES["retrieval"]).compactions
                    for budget in (180, 500)
                }
                self.assertEqual(len(counts), 1)

    def test_every_minimum_set_fits_the_smallest_budget(self):
        for name in TASKS:
            with self.subTest(task=name):
                self.assertEqual(witness(task_trace(name, 120)).pressed_turns, [])

    def test_updates_are_good_and_none_is_rejected(self):
        for name in TASKS:
            metrics = replay_trace(task_trace(name, 120), POLICIES["clawvm"])
            with self.subTest(task=name):
                self.assertEqual(metrics.rejected_updates, 0)

    def test_debugging_and_research_come_back_to_what_they_read(self):
        for category in ("debugging", "research"):
            for task in CATEGORIES[category]:
                with self.subTest(task=task.name):
                    metrics = replay_trace(task_trace(task.name, 500), POLICIES["clawvm"])
                    self.assertGreater(metrics.alerts, 0)
