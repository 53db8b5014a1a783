"""The conclusions of the task replays, for the settings of the simulated harness.

=================  ==============================================================================
TASK_CONCLUSIONS   the conclusions; where no task was replayed they are not tried
TASK_BUDGET        the budget at which Compaction-Hybrid fails, in tokens
task_counts        the counts of all tasks under one setting
=================  ==============================================================================

Source: paper, task replays; ``docs/tasks.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from clawvm_experiments.sensitivity.count_table import Conclusion, CountTable, Verdict
from clawvm_experiments.sensitivity.counting_rules import Counts, metrics_counts
from clawvm_experiments.sensitivity.settings import Setting
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import POLICIES, Policy
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.tasks import TASKS, category_of, task_trace

__all__ = ["TASK_BUDGET", "TASK_CONCLUSIONS", "task_counts"]

HYBRID = "compaction_hybrid"

TASK_BUDGET = 180
"""The published budget of the failures, in tokens."""


@cache
def _trace(task: str, budget: int) -> Trace:
    return task_trace(task, budget)


@cache
def _plain_counts(task: str, budget: int, policy: Policy) -> Counts:
    return metrics_counts(replay_trace(_trace(task, budget), policy))


def task_counts(setting: Setting, budgets: Sequence[int]) -> Iterator[Counts]:
    """Yield the counts of every plain task: ClawVM at each of *budgets* (tokens), Compaction-Hybrid at TASK_BUDGET.

    The setting's changes of traces and policies apply. Nothing is yielded without budgets.
    """
    runs = [("clawvm", budget) for budget in budgets] + ([(HYBRID, TASK_BUDGET)] if budgets else [])
    for policy_id, budget in runs:
        policy = setting.policy(POLICIES[policy_id])
        for task in TASKS:
            if setting.trace_change is not None and setting.changes_runs_of(policy):
                changed = setting.trace_change(_trace(task, budget))
                counts = metrics_counts(replay_trace(changed, policy))
            else:
                counts = _plain_counts(task, budget, policy)
            # The category is looked up by the task's name, whatever its trace calls itself.
            yield dataclasses.replace(counts, workload=task)


def _of(table: CountTable, policy: str) -> list[Counts]:
    return [item for item in table.tasks if item.policy == policy]


def _failures(table: CountTable) -> list[Counts]:
    return [item for item in _of(table, HYBRID) if item.explicit_faults]


def _about_failures(number: Callable[[list[Counts]], int]) -> Callable[[CountTable], Verdict]:
    """Return the judge of a statement about the failures: *number* must be 0, and without a failure it has no case."""

    def judge(table: CountTable) -> Verdict:
        if not table.tasks:
            return Verdict(None, None)
        failures = _failures(table)
        return Verdict(number(failures) == 0, number(failures)) if failures else Verdict(False, None)

    return judge


def _other_than_bootstrap(failures: Sequence[Counts]) -> int:
    return sum(item.explicit_faults - item.faults[FaultKind.POST_COMPACTION_BOOTSTRAP] for item in failures)


def _outside_debugging(failures: Sequence[Counts]) -> int:
    return sum(category_of(item.workload) != "debugging" for item in failures)


def _clawvm_faults(table: CountTable) -> Verdict:
    if not table.tasks:
        return Verdict(None, None)
    faults = sum(item.explicit_faults for item in _of(table, "clawvm"))
    return Verdict(faults == 0, faults)


TASK_CONCLUSIONS: tuple[Conclusion, ...] = (
    Conclusion(
        "task_kinds",
        f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only by bootstrap faults",
        "other faults in the tasks that fail; holds at 0 if one fails",
        _about_failures(_other_than_bootstrap),
    ),
    Conclusion(
        "task_debugging",
        f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only in debugging",
        "failed tasks of other categories; holds at 0 if one fails",
        _about_failures(_outside_debugging),
    ),
    Conclusion(
        "task_clawvm",
        "ClawVM ends every task that is tried without a fault",
        "faults in its tasks; holds at 0",
        _clawvm_faults,
    ),
)
