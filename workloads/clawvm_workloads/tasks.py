"""Thirty small single-session tasks in three categories: who must be able to finish them without one lifecycle fault.

==============  ================================================================
TASKS           every task by name, debugging first, then research, then routine
CATEGORIES      the names of the tasks of each category
task_trace      the trace of a task for a token budget
==============  ================================================================

A task is a frozen record, a category is one builder: ``tasks_debugging``, ``tasks_research``, ``tasks_routine``.
Source of the numbers of tasks and categories: paper, task replays; the tasks themselves are ours (``docs/tasks.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clawvm_replay.trace_format import Trace
from clawvm_workloads import tasks_debugging, tasks_research, tasks_routine
from clawvm_workloads.tasks_base import STRETCH_REFERENCE, TaskRecord
from clawvm_workloads.tasks_debugging import DebuggingTask
from clawvm_workloads.tasks_research import ResearchTask
from clawvm_workloads.tasks_routine import RoutineTask

__all__ = ["CATEGORIES", "STRETCH_REFERENCE", "TASKS", "category_of", "task_trace"]

CATEGORIES: Mapping[str, tuple[TaskRecord, ...]] = MappingProxyType(
    {
        "debugging": tasks_debugging.TASKS,
        "research": tasks_research.TASKS,
        "routine": tasks_routine.TASKS,
    }
)

TASKS: Mapping[str, TaskRecord] = MappingProxyType({task.name: task for tasks in CATEGORIES.values() for task in tasks})


def category_of(name: str) -> str:
    """Return the category of a task; raises KeyError for an unknown name."""
    task = TASKS[name]
    return next(category for category, tasks in CATEGORIES.items() if task in tasks)


def task_trace(name: str, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens; a *stretched* session grows with the budget.

    Only the accounting and, if stretched, the growth of the transcript depend on the budget. Raises KeyError for an
    unknown name.
    """
    task = TASKS[name]
    if isinstance(task, DebuggingTask):
        return tasks_debugging.build(task, budget, stretched)
    if isinstance(task, ResearchTask):
        return tasks_research.build(task, budget, stretched)
    assert isinstance(task, RoutineTask)
    return tasks_routine.build(task, budget, stretched)
