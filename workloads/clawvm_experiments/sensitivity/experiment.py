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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.figures import sensitivity_figures
from clawvm_experiments.sensitivity.conclusions import CONCLUSIONS, FREE_FEATURES, OWN_KINDS, STRUCTURED
from clawvm_experiments.sensitivity.count_table import CountTable
from clawvm_experiments.sensitivity.counting_rules import RULE_SETS, Counts, count, metrics_counts
from clawvm_experiments.sensitivity.orders import compare_orders
from clawvm_experiments.sensitivity.report import report
from clawvm_experiments.sensitivity.run_facts import facts_of_run
from clawvm_experiments.sensitivity.settings import GROUPS, SETTINGS, Setting
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

QUICK_SETTINGS = ("soft_x0.5", "limit_x2", "decay_0.5", "one_order")

GENERATED, QUICK_GENERATED = 100, 30
"""Generated workloads in which the two orders of installation are compared."""

RULES_OF_THE_CACHE = ("page_in_fault", "judged_after")
"""Rule sets under which the credit for pointer resolution may vanish."""

# Rules about pressure and unmet demands can only differ in runs that have them.
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
                "task_budgets": _task_budgets(SETTINGS[setting], quick),
                "generated": (QUICK_GENERATED if quick else GENERATED) if setting == "one_order" else 0,
            },
        )
        for setting in chosen
    ]


def _task_budgets(setting: Setting, quick: bool) -> list[int]:
    """Return the budgets of ClawVM's tasks: they are replayed by default and for the settings of the harness."""
    if setting.group not in ("default", "harness"):
        return []
    return [TASK_BUDGET] if quick else [BUDGETS[0], TASK_BUDGET]


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
    seeds = cell.parameters["generated"]
    return {
        "tried": [
            tried(setting, rule_id, counts, tasks if rule_id == "default" else ())
            for rule_id, counts in counted.items()
        ],
        "recount_equals_engine": equal,
        "orders": compare_orders(seeds, cell.parameters["budgets"]) if seeds else None,
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


def tried(
    setting: Setting, rule_id: str, counts: Sequence[Counts], tasks: Sequence[Counts] = ()
) -> dict[str, Any]:
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


def _digest(counts: Iterable[Counts]) -> str:
    """Return a digest of the counts of every run in their order: equal if and only if all of them are."""
    text = json.dumps(
        [
            [
                [item.workload, item.policy, [item.faults[kind] for kind in FaultKind], item.pressure_faults, item.hits],
                [item.alerts, item.page_ins, item.page_in_tokens, item.unmet_demands, item.pressure_turns],
            ]
            for item in counts
        ]
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


# --- results -------------------------------------------------------------------------------------------


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the matrix of conclusions and settings, what breaks each conclusion, and the findings."""
    entries = [entry for row in rows for entry in row["tried"]]
    by_id = {entry["id"]: entry for entry in entries}
    default = by_id["default"]
    like_default, like_another = _same_runs(entries, default)
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
        "settings_with_the_runs_of_the_default": len(like_default),
        "settings_with_the_runs_of_another": len(like_another),
        "pressure_turns_by_default": sum(
            total["pressure_turns"] for totals in default["totals"].values() for total in totals
        ),
        **_order_findings(rows, by_id),
    }
    for rule_id in RULES_OF_THE_CACHE:
        findings[f"{rule_id}_makes_cache_equal_retrieval"] = _cache_equals_retrieval(by_id[rule_id])
    for item in conclusions:
        findings[f"claim_{item['id']}_survives_all"] = item["survives_all"]
        findings[f"claim_{item['id']}_settings_tried"] = item["tried"]
        findings[f"claim_{item['id']}_settings_broken"] = len(item["broken"])
        findings[f"claim_{item['id']}_broken_without_recounting"] = item["broken_without_recounting"]
    return {
        "conclusions": conclusions,
        "settings": settings,
        "runs_of_the_default": like_default,
        "runs_of_another": like_another,
        "findings": findings,
    }


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
    # None is a setting under which the conclusion was not tried.
    broken = [item for item in others if item["holds"][name] is False]
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
        "tried": sum(item["holds"][name] is not None for item in others),
        "survives_all": default["holds"][name] and not broken,
        "broken": [item["id"] for item in broken],
        "broken_without_recounting": sum(not item["recounted"] for item in broken),
        "broken_by_group": {group: sum(item["group"] == group for item in broken) for group in GROUPS},
    }


def _same_runs(entries: Sequence[Mapping[str, Any]], default: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the settings whose runs are all the default's, and those whose runs are all another setting's.

    Rule sets are no settings of a run and are left out.
    """
    like_default, like_another = [], []
    known: set[str] = set()
    for entry in entries:
        if entry["recounted"] or entry["id"] == "default":
            continue
        if entry["runs"] == default["runs"]:
            like_default.append(entry["title"])
        elif entry["runs"] in known:
            like_another.append(entry["title"])
        known.add(entry["runs"])
    return like_default, like_another


def _order_findings(rows: Sequence[Row], by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what floors and demands in one order change, with and without pressure."""
    orders = next(row["orders"] for row in rows if row["orders"] is not None)
    parts = (orders["generated"], orders["families"])
    changed, kept = by_id["one_order"]["totals"], by_id["default"]["totals"]
    totals_stay = all(
        total == usual
        for policy in STRUCTURED
        for total, usual in zip(changed[policy], kept[policy])
        if not usual["pressure_turns"]
    )
    return {
        "one_order_changes_nothing_without_pressure": totals_stay and not any(part["changed_without"] for part in parts),
        "one_order_changes_under_pressure": sum(part["changed_under"] for part in parts),
        "one_order_changes_under_pressure_in_families": orders["families"]["changed_under"],
        "one_order_runs_under_pressure": sum(part["under_pressure"] for part in parts),
        "one_order_runs_without_pressure": sum(part["without_pressure"] for part in parts),
    }


def _cache_equals_retrieval(entry: Mapping[str, Any]) -> bool:
    """Return whether Retrieval+Cache has Retrieval's faults at every budget."""
    cache_totals, retrieval_totals = (entry["totals"][policy] for policy in ("retrieval_cache", "retrieval"))
    return all(own["faults"] == other["faults"] for own, other in zip(cache_totals, retrieval_totals))


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
