"""Task replays: thirty small tasks, six budgets, six policies; a task succeeds when it ends without an explicit fault.

==============  ===============================================================
EXPERIMENT      one cell for each task; its row holds every replay of the task
==============  ===============================================================

Three kinds of session are replayed: *plain*; *stretched*, where the transcript grows in proportion to the budget, so
that a larger budget does not put the compaction off; and at 180 tokens the plain one under Compaction-Hybrid with
auto-pin, which shows what its failures come from.

Source: paper, task replays; ``docs/tasks.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_experiments.tasks.report import (
    HYBRID,
    HYBRID_PINNED,
    PLAIN,
    PUBLISHED,
    ROOMY,
    STRETCHED,
    TIGHT,
    failures_returning,
    report,
)
from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_runtime.policy import POLICIES, Policy
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.families import BUDGETS
from clawvm_workloads.tasks import CATEGORIES, STRETCH_REFERENCE, TASKS, category_of, task_trace

__all__ = ["EXPERIMENT"]

QUICK_BUDGETS = (120, TIGHT, ROOMY)
QUICK_TASKS = {
    "debugging": ("flaky_login_test", "crash_in_checkout", "broken_pagination"),
    "research": ("choose_a_queue", "trace_a_quotation", "check_a_claim"),
    "routine": ("onboard_a_colleague", "morning_mail", "rotate_keys"),
}

BOOTSTRAP = FaultKind.POST_COMPACTION_BOOTSTRAP.value


def cells(quick: bool) -> list[Cell]:
    """Return one cell for each task; a quick run has three tasks of each category and three budgets."""
    names = [name for names in QUICK_TASKS.values() for name in names] if quick else list(TASKS)
    budgets = QUICK_BUDGETS if quick else BUDGETS
    return [Cell(name, {"task": name, "budgets": list(budgets)}) for name in names]


def run_cell(cell: Cell) -> Row:
    """Return every replay of one task."""
    name, budgets = cell.parameters["task"], cell.parameters["budgets"]
    runs = [_run(name, PLAIN, budget, policy) for budget in budgets for policy in POLICIES.values()]
    runs += [
        _run(name, STRETCHED, budget, policy)
        for budget in budgets
        if budget != STRETCH_REFERENCE
        for policy in POLICIES.values()
    ]
    runs.append(_run(name, PLAIN, TIGHT, HYBRID_PINNED))
    return {"task": name, "category": category_of(name), "story": TASKS[name].story, "runs": runs}


def _run(name: str, session: str, budget: int, policy: Policy) -> Row:
    metrics = replay_trace(task_trace(name, budget, session == STRETCHED), policy)
    return {
        "session": session,
        "budget": budget,
        "policy": policy.id,
        "success": metrics.success,
        "faults": _faults(metrics),
        "compactions": metrics.compactions,
        "pressure_turns": metrics.pressure_turns,
    }


def _faults(metrics: CellMetrics) -> dict[str, int]:
    return {kind: getattr(metrics, kind) for kind in FAULT_FIELDS if getattr(metrics, kind)}


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return success rates, faults by kind, the failures of Compaction-Hybrid one by one, and the findings."""
    runs = [{"task": row["task"], "category": row["category"], **run} for row in rows for run in row["runs"]]
    sessions = list(dict.fromkeys((run["session"], run["budget"], run["policy"]) for run in runs))
    aggregates = [_aggregate(runs, *session) for session in sessions]
    failures = _failures(runs)
    return {
        "tasks": [{"task": row["task"], "category": row["category"], "story": row["story"]} for row in rows],
        "budgets": list(dict.fromkeys(run["budget"] for run in runs)),
        "published": [
            {"policy": policy, "budget": budget, "success": rate} for (policy, budget), rate in PUBLISHED.items()
        ],
        "aggregates": aggregates,
        "hybrid_failures": failures,
        "findings": _findings(runs, aggregates, failures, whole=len(rows) == len(TASKS)),
    }


def _aggregate(runs: Sequence[Row], session: str, budget: int, policy: str) -> Row:
    """Return what the tasks of one session kind, budget and policy amount to."""
    chosen = [run for run in runs if (run["session"], run["budget"], run["policy"]) == (session, budget, policy)]
    faults: Counter[str] = Counter()
    for run in chosen:
        faults.update(run["faults"])
    categories = {}
    for category in CATEGORIES:
        of_category = [run for run in chosen if run["category"] == category]
        categories[category] = {"tasks": len(of_category), "successes": sum(run["success"] for run in of_category)}
    return {
        "session": session,
        "budget": budget,
        "policy": policy,
        "tasks": len(chosen),
        "successes": sum(run["success"] for run in chosen),
        "success_rate": round(sum(run["success"] for run in chosen) / len(chosen), 6),
        "categories": categories,
        "faults": {kind: faults[kind] for kind in FAULT_FIELDS if faults[kind]},
        "compacted_tasks": sum(run["compactions"] > 0 for run in chosen),
        "pressure_turns": sum(run["pressure_turns"] for run in chosen),
    }


def _failures(runs: Sequence[Row]) -> list[Row]:
    """Return the tasks in which Compaction-Hybrid fails at the tight budget, and what becomes of each elsewhere."""
    by_key = {(run["task"], run["session"], run["budget"], run["policy"]): run for run in runs}
    failures = []
    for task in dict.fromkeys(run["task"] for run in runs):
        tight = by_key[task, PLAIN, TIGHT, HYBRID]
        if not tight["success"]:
            roomy = by_key[task, PLAIN, ROOMY, HYBRID]
            stretched = by_key[task, STRETCHED, ROOMY, HYBRID]
            failures.append(
                {
                    "task": task,
                    "category": tight["category"],
                    "faults": tight["faults"],
                    "compactions": tight["compactions"],
                    "compactions_at_300": roomy["compactions"],
                    "success_at_300": roomy["success"],
                    "compactions_stretched_at_300": stretched["compactions"],
                    "faults_stretched_at_300": stretched["faults"],
                    "success_with_auto_pin": by_key[task, PLAIN, TIGHT, HYBRID_PINNED.id]["success"],
                }
            )
    return failures


def _findings(
    runs: Sequence[Row], aggregates: Sequence[Row], failures: Sequence[Row], *, whole: bool
) -> dict[str, Any]:
    """Return the flat numbers that claims refer to; those that need every task are None in a quick run."""
    rates = {(item["session"], item["budget"], item["policy"]): item["success_rate"] for item in aggregates}
    findings: dict[str, Any] = {}
    for policy in POLICIES:
        for budget in BUDGETS:
            name = f"tasks_{_word(policy)}_success_{budget}"
            findings[name] = rates.get((PLAIN, budget, policy)) if whole else None
            if budget != STRETCH_REFERENCE:
                findings[f"{name}_stretched"] = rates.get((STRETCHED, budget, policy)) if whole else None
    pinned = [run for run in runs if run["policy"] == HYBRID_PINNED.id]
    clawvm = [run for run in runs if run["policy"] == "clawvm"]
    findings.update(
        {
            "tasks_total": len({run["task"] for run in runs}),
            "tasks_replays": len(runs),
            "tasks_hybrid_failures_180": len(failures) if whole else None,
            "tasks_hybrid_failures_outside_debugging_180": sum(item["category"] != "debugging" for item in failures),
            "tasks_hybrid_faults_other_than_bootstrap_180": sum(
                count for item in failures for kind, count in item["faults"].items() if kind != BOOTSTRAP
            ),
            "tasks_hybrid_failures_without_compaction_180": sum(not item["compactions"] for item in failures),
            "tasks_hybrid_compactions_300": sum(item["compactions_at_300"] for item in failures),
            "tasks_hybrid_failures_returning_300_stretched": failures_returning(failures) if whole else None,
            "tasks_hybrid_failures_180_with_auto_pin": sum(not run["success"] for run in pinned),
            "tasks_clawvm_faults": sum(sum(run["faults"].values()) for run in clawvm),
            "tasks_pressure_turns": sum(run["pressure_turns"] for run in runs),
        }
    )
    return findings


def _word(policy: str) -> str:
    """Return the policy's word in the names of findings."""
    return {HYBRID: "hybrid", "oracle_h3": "oracle"}.get(policy, policy)


EXPERIMENT = Experiment(
    id="tasks",
    title="Task replays",
    question="Does a task end without a lifecycle fault, and if it does: because of the policy, or because no boundary "
    "came?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
)
