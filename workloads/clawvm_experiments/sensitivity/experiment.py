"""Sensitivity: which conclusions survive every setting of the simulated harness and every counting decision.

=============  ===================================================================================
EXPERIMENT     one cell per setting; the cell of the default setting counts under every rule set
tried          one setting and rule set: verdicts, and the totals that they rest on
=============  ===================================================================================

A conclusion survives if it holds under every setting. Which settings break it is computed from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.figures import sensitivity_figures
from clawvm_experiments.sensitivity.conclusions import CONCLUSIONS, FREE_FEATURES, OWN_KINDS, STRUCTURED, CountTable
from clawvm_experiments.sensitivity.counting_rules import RULE_SETS, Counts, count, metrics_counts
from clawvm_experiments.sensitivity.report import report
from clawvm_experiments.sensitivity.run_facts import facts_of_run
from clawvm_experiments.sensitivity.settings import GROUPS, SETTINGS, Setting
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_workloads.families import BUDGETS, FAMILIES

__all__ = ["EXPERIMENT", "tried"]

ABLATION_BUDGET = 180
"""The budget of the published ablation, in tokens."""

QUICK_SETTINGS = ("soft_x0.5", "limit_x2", "decay_0.5", "one_order")

# Rules about pressure and unmet demands need runs that have them; the families at their own budgets have none.
RULES_UNDER_PRESSURE = ("default", "pinned_each_prompt", "unmet_ignored", "pressure_counted", "strict", "lenient")


# --- cells ---------------------------------------------------------------------------------------------


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
            },
        )
        for setting in chosen
    ]


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
    return {
        "tried": [tried(setting, rule_id, counts) for rule_id, counts in counted.items()],
        "recount_equals_engine": equal,
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


def tried(setting: Setting, rule_id: str, counts: Iterable[Counts]) -> dict[str, Any]:
    """Return the verdict on every conclusion for *counts*, with the totals by policy and budget."""
    sweep = CountTable(counts)
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
        "totals": {policy: [_totals(sweep, policy, budget) for budget in sweep.budgets] for policy in POLICIES},
    }


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


# --- results -------------------------------------------------------------------------------------------


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the matrix of conclusions and settings, what breaks each conclusion, and the findings."""
    entries = [entry for row in rows for entry in row["tried"]]
    default = next(entry for entry in entries if entry["id"] == "default")
    settings = [_setting_record(entry, default) for entry in entries]
    conclusions = [_conclusion_record(name, default, settings) for name in CONCLUSIONS]
    recounts = [row["recount_equals_engine"] for row in rows if row["recount_equals_engine"] is not None]
    findings: dict[str, Any] = {
        "settings": len(settings) - 1,
        "settings_that_change_a_total": sum(item["changed_totals"] > 0 for item in settings),
        "conclusions": len(conclusions),
        "conclusions_that_survive_all": sum(item["survives_all"] for item in conclusions),
        "conclusions_that_only_recounting_breaks": sum(
            item["holds_by_default"] and bool(item["broken"]) and not item["broken_without_recounting"]
            for item in conclusions
        ),
        "default_recount_equals_engine": bool(recounts) and all(recounts),
        "one_order_changes_nothing_without_pressure": _one_order_changes_nothing(entries),
    }
    for item in conclusions:
        findings[f"claim_{item['id']}_survives_all"] = item["survives_all"]
        findings[f"claim_{item['id']}_settings_broken"] = len(item["broken"])
        findings[f"claim_{item['id']}_broken_without_recounting"] = item["broken_without_recounting"]
    return {"conclusions": conclusions, "settings": settings, "findings": findings}


def _setting_record(entry: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [
        (total, usual)
        for policy, totals in entry["totals"].items()
        for total, usual in zip(totals, default["totals"][policy])
    ]
    return {
        **{name: entry[name] for name in ("id", "group", "title", "recounted", "holds", "numbers")},
        "changed_totals": sum(total != usual for total, usual in pairs),
        "changed_fault_totals": sum(total["faults"] != usual["faults"] for total, usual in pairs),
        "of_totals": len(pairs),
    }


def _conclusion_record(name: str, default: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    others = [item for item in settings if item["id"] != "default"]
    broken = [item for item in others if not item["holds"][name]]
    numbers = [item["numbers"][name] for item in settings if item["numbers"][name] is not None]
    conclusion = CONCLUSIONS[name]
    return {
        "id": name,
        "statement": conclusion.statement,
        "number": conclusion.number,
        "holds_by_default": default["holds"][name],
        "default_number": default["numbers"][name],
        "lowest_number": min(numbers, default=None),
        "highest_number": max(numbers, default=None),
        "survives_all": default["holds"][name] and not broken,
        "broken": [item["id"] for item in broken],
        "broken_without_recounting": sum(not item["recounted"] for item in broken),
        "broken_by_group": {group: sum(item["group"] == group for item in broken) for group in GROUPS},
    }


def _one_order_changes_nothing(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether one order of installation leaves every total of the auto-pin policies without pressure."""
    by_id = {entry["id"]: entry for entry in entries}
    compared = [("one_order", "default"), ("half_budget_one_order", "half_budget")]
    return all(
        total == usual
        for changed, kept in compared
        if changed in by_id
        for policy in STRUCTURED
        for total, usual in zip(by_id[changed]["totals"][policy], by_id[kept]["totals"][policy])
        if not usual["pressure_turns"]
    )


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
