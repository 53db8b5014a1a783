"""Sensitivity: which conclusions survive every setting of the simulated harness and every counting decision.

=============  ===================================================================================
EXPERIMENT     one cell per setting; the cell of the default setting counts under every rule set
tried          one setting and rule set: verdicts, and the totals that they rest on
=============  ===================================================================================

A conclusion survives if it holds under every setting. Which settings break it is computed from the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.figures import sensitivity_figures
from clawvm_experiments.sensitivity.conclusions import CONCLUSIONS, FREE_FEATURES, OWN_KINDS
from clawvm_experiments.sensitivity.count_table import CountTable
from clawvm_experiments.sensitivity.counting_rules import RULE_SETS, Counts, count, metrics_counts
from clawvm_experiments.sensitivity.orders import compare_orders
from clawvm_experiments.sensitivity.report import report
from clawvm_experiments.sensitivity.results import summarize
from clawvm_experiments.sensitivity.run_facts import facts_of_run
from clawvm_experiments.sensitivity.settings import SETTINGS, Setting
from clawvm_experiments.sensitivity.task_conclusions import TASK_BUDGET, task_counts
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.families import BUDGETS, FAMILIES

__all__ = ["EXPERIMENT", "tried"]

ABLATION_BUDGET = 180
"""The budget of the published ablation, in tokens."""

QUICK_SETTINGS = ("limit_x2", "decay_0.5", "one_order")

GENERATED, QUICK_GENERATED = 100, 22
"""Generated workloads in which the two orders of installation are compared."""

# Rules about pressure and unmet demands can only differ in runs that have them.
RULES_UNDER_PRESSURE = ("default", "pinned_each_prompt", "unmet_ignored", "pressure_counted", "strict", "lenient")


def cells(quick: bool) -> list[Cell]:
    """List one cell per setting; a quick run has the smallest and the largest budget and a few settings."""
    budgets = [BUDGETS[0], BUDGETS[-1]] if quick else list(BUDGETS)
    chosen = ("default", *QUICK_SETTINGS, "half_budget") if quick else tuple(SETTINGS)
    rules = {"default": list(RULE_SETS), "half_budget": list(RULES_UNDER_PRESSURE)}
    return [
        Cell(
            setting,
            {
                "setting": setting,
                "rules": rules.get(setting, ["default"]),
                "budgets": budgets,
                "ablation_budget": ABLATION_BUDGET,
                "task_budgets": _task_budgets(SETTINGS[setting], quick),
                "orders": _orders(budgets, quick) if setting == "one_order" else None,
            },
        )
        for setting in chosen
    ]


def _task_budgets(setting: Setting, quick: bool) -> list[int]:
    """Return the budgets of ClawVM's tasks: they are replayed by default and for the settings of the harness."""
    if setting.group not in ("default", "harness"):
        return []
    return [TASK_BUDGET] if quick else [BUDGETS[0], TASK_BUDGET]


def _orders(budgets: list[int], quick: bool) -> dict[str, Any]:
    """Return where the orders of installation are compared: generated workloads, and families at half a budget."""
    return {
        "generated": QUICK_GENERATED if quick else GENERATED,
        "budgets": budgets[:1] if quick else budgets,
    }


def run_cell(cell: Cell) -> Row:
    """Return what every conclusion becomes under the cell's setting, for each of the cell's rule sets."""
    setting = SETTINGS[cell.parameters["setting"]]
    runs = list(_runs(setting, cell.parameters["budgets"], cell.parameters["ablation_budget"]))
    rule_ids = cell.parameters["rules"]
    if rule_ids == ["default"]:
        counted = {"default": [_counts(setting, *run) for run in runs]}
        equal = None
    else:
        counted, equal = _recounted(setting, runs, rule_ids)
    tasks = list(task_counts(setting, cell.parameters["task_budgets"]))
    orders = cell.parameters["orders"]
    return {
        "tried": [
            tried(setting, rule_id, counts, tasks if rule_id == "default" else ())
            for rule_id, counts in counted.items()
        ],
        "recount_equals_engine": equal,
        "orders": orders and compare_orders(orders["generated"], orders["budgets"]),
    }


Run = tuple[str, int, Policy]
"""Family, budget in tokens, policy."""


def _runs(setting: Setting, budgets: Sequence[int], ablation_budget: int) -> Iterator[Run]:
    for policy in POLICIES.values():
        for workload in FAMILIES:
            for budget in budgets:
                yield workload, budget, setting.policy(policy)
    clawvm = setting.policy(POLICIES["clawvm"])
    for feature in (*OWN_KINDS, *FREE_FEATURES):
        for workload in FAMILIES:
            yield workload, ablation_budget, clawvm.without(FEATURES[feature])


@cache
def _plain_counts(workload: str, budget: int, policy: Policy) -> Counts:
    return metrics_counts(replay_trace(family_trace(workload, budget), policy))


def _counts(setting: Setting, workload: str, budget: int, policy: Policy) -> Counts:
    if not setting.changes_runs_of(policy):
        return _plain_counts(workload, budget, policy)
    trace, tokens = _trace_and_budget(setting, workload, budget)
    return metrics_counts(replay_trace(trace, policy, tokens, selector=setting.selector))


def _trace_and_budget(setting: Setting, workload: str, budget: int) -> tuple[Trace, int]:
    trace = family_trace(workload, budget)
    return (
        trace if setting.trace_change is None else setting.trace_change(trace),
        budget * setting.budget_percent // 100,
    )


def _recounted(setting: Setting, runs: Iterable[Run], rule_ids: Sequence[str]) -> tuple[dict[str, list[Counts]], bool]:
    """Return the counts of every run under every rule set, and whether the default rules gave the engine's tally."""
    counted: dict[str, list[Counts]] = {rule_id: [] for rule_id in rule_ids}
    equal = True
    for workload, budget, policy in runs:
        decisions = DecisionTrace()
        trace, tokens = _trace_and_budget(setting, workload, budget)
        metrics = replay_trace(trace, policy, tokens, decisions=decisions, selector=setting.selector)
        facts = facts_of_run(decisions.events)
        for rule_id in rule_ids:
            rules = RULE_SETS[rule_id].rules
            counted[rule_id].append(count(facts, rules, workload=workload, budget=tokens, policy=policy.id))
        equal = equal and counted["default"][-1] == metrics_counts(metrics)
    return counted, equal


def tried(setting: Setting, rule_id: str, counts: Sequence[Counts], tasks: Sequence[Counts] = ()) -> dict[str, Any]:
    """Return the verdict on every conclusion for *counts*, with the totals by policy and budget.

    Conclusions about tasks get the counts in *tasks*; their verdict is None without any.
    """
    sweep = CountTable(counts, tasks)
    rule_set = RULE_SETS[rule_id]
    parts = [part for part in (setting, rule_set) if part.id != "default"]
    verdicts = {item.id: item.judge(sweep) for item in CONCLUSIONS.values()}
    return {
        "id": "+".join(part.id for part in parts) or "default",
        "group": _group(setting, rule_id),
        "recounted": rule_id != "default",
        "title": ", ".join(part.title for part in parts) or setting.title,
        "holds": {name: verdict.holds for name, verdict in verdicts.items()},
        "numbers": {name: verdict.number for name, verdict in verdicts.items()},
        "runs": _digest(counts),
        "totals": {policy: [_totals(sweep, policy, budget) for budget in sweep.budgets] for policy in POLICIES},
    }


_COUNTED = (
    *("workload", "policy", "pressure_faults", "hits", "alerts"),
    *("page_ins", "page_in_tokens", "unmet_demands", "pressure_turns"),
)


def _digest(counts: Iterable[Counts]) -> str:
    """Return a digest of the counts of every run in their order: equal if and only if all of them are."""
    text = json.dumps(
        [[[getattr(item, name) for name in _COUNTED], [item.faults[kind] for kind in FaultKind]] for item in counts]
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _group(setting: Setting, rule_id: str) -> str:
    """Return the group of a setting with a rule set: two changes at once are a corner."""
    if rule_id == "default":
        return setting.group
    return "counting" if setting.id == "default" else "corner"


def _totals(sweep: CountTable, policy: str, budget: int) -> dict[str, Any]:
    runs = sweep.of(policy, budget)
    return {
        "faults": sweep.faults(policy, budget),
        "thrash": sweep.thrash(policy, budget),
        "page_in_tokens": sweep.page_in_tokens(policy, budget),
        "pressure_turns": sum(item.pressure_turns for item in runs),
    }


EXPERIMENT = Experiment(
    id="sensitivity",
    title="Sensitivity of the conclusions",
    question="Which conclusions survive every setting of the simulated harness and every counting decision?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
    figures=sensitivity_figures,
)
