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
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.sensitivity_conclusions import (
    CONCLUSIONS,
    FREE_FEATURES,
    OWN_KINDS,
    TASK_BUDGET,
    compare_orders,
    summarize,
    task_counts,
)
from clawvm_experiments.sensitivity_rules import RULE_SETS, Counts, CountTable, count, facts_of_run, metrics_counts
from clawvm_experiments.sensitivity_settings import GROUPS, SETTINGS, Setting
from clawvm_pictures.charts import Dot, dot_grid
from clawvm_replay.replay import replay_trace
from clawvm_replay.reports import table
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.families import BUDGETS, FAMILIES

__all__ = ["EXPERIMENT", "conclusion_names", "dependence", "report", "tried"]


# --- The sensitivity results for people: what each conclusion depends on, and the matrix of conclusions and settings.


def report(results: dict[str, Any]) -> str:
    """Return the conclusions, what each depends on, and the whole matrix as Markdown."""
    conclusions, settings = results["conclusions"], results["settings"]
    names = conclusion_names(conclusions)
    return "\n".join(
        (
            "## Sensitivity of the conclusions\n",
            _overview(results["findings"]),
            "### Settings that break each conclusion, by group\n",
            table(
                ["conclusion", "by default", "number", "lowest", "highest", *GROUPS.values(), "broken in all", "of"],
                (
                    (
                        f"{names[item['id']]}: {item['statement']}",
                        "holds" if item["holds_by_default"] else "does not hold",
                        *(_shown(item[name]) for name in ("default_number", "lowest_number", "highest_number")),
                        *item["broken_by_group"].values(),
                        len(item["broken"]),
                        item["tried"],
                    )
                    for item in conclusions
                ),
            ),
            "*Of*: the settings under which the conclusion was tried; for those about tasks only the simulated "
            "harness.\n",
            _same_runs(results),
            _report_orders(results["findings"]),
            "What the numbers are:\n",
            "\n".join(f"- {names[item['id']]}: {item['number']}" for item in conclusions) + "\n",
            "### What each conclusion depends on\n",
            "\n".join(f"- {names[item['id']]} {dependence(item, settings)}." for item in conclusions) + "\n",
            "### Conclusions and settings\n",
            "A bold number breaks the conclusion; a dash stands where it was not tried, or where there is no number. "
            "*Changed* counts the totals, one for each policy and budget, that differ from the default's: those of "
            "faults, and behind the stroke those of any kind.\n",
            table(["setting", "changed", *names.values()], (_matrix_row(item, names) for item in settings)),
        )
    )


def conclusion_names(conclusions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return by id what tables and figures call each conclusion: its place and its id in words."""
    return {item["id"]: f"S{place} {item['id'].replace('_', ' ')}" for place, item in enumerate(conclusions, start=1)}


def _overview(findings: Mapping[str, Any]) -> str:
    equal = "equals" if findings["default_recount_equals_engine"] else "DOES NOT EQUAL"
    equal_policies = ", ".join(
        f"`{rule_id}`: {'yes' if findings[f'{rule_id}_makes_cache_equal_retrieval'] else 'no'}"
        for rule_id in ("page_in_fault", "judged_after")
    )
    return (
        f"{findings['conclusions']} conclusions under {findings['settings']} settings beside the default; "
        f"{findings['settings_that_change_a_total']} of the settings change at least one total. "
        f"{findings['conclusions_that_survive_all']} conclusions survive every setting; "
        f"{findings['conclusions_that_only_recounting_breaks']} more survive every setting of the harness, the decay "
        "and the structure, and break only under other ways of counting. The recount from the decision trace under "
        f"the default rules {equal} the engine's tally in every run that was recounted. "
        f"Turns under invariant pressure by default: {findings['pressure_turns_by_default']}. Rule sets under which "
        f"Retrieval+Cache has exactly Retrieval's faults: {equal_policies}.\n"
    )


def _same_runs(results: Mapping[str, Any]) -> str:
    """Return which settings are no evidence of their own."""
    return (
        f"Settings whose runs are all the default's: {'; '.join(results['runs_of_the_default']) or 'none'}. Settings "
        f"whose runs are all those of another one: {'; '.join(results['runs_of_another']) or 'none'}.\n"
    )


def _report_orders(findings: Mapping[str, Any]) -> str:
    """Return what floors and demands in one order change."""
    without = "no" if findings["one_order_changes_nothing_without_pressure"] else "SOME"
    return (
        f"Floors and demands in one order change {findings['one_order_changes_under_pressure']} of "
        f"{findings['one_order_runs_under_pressure']} runs under invariant pressure (generated workloads, and families "
        f"at half budget, of which {findings['one_order_changes_under_pressure_in_families']} change) and {without} "
        f"total or run without it ({findings['one_order_runs_without_pressure']} further runs).\n"
    )


def dependence(conclusion: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> str:
    """Return what *conclusion* (a record of the results) depends on, with the number that each setting gives it."""
    name = conclusion["id"]
    others = [item for item in settings if item["id"] != "default" and item["holds"][name] is not None]
    broken = [item for item in others if not item["holds"][name]]
    if not conclusion["holds_by_default"]:
        return f"does not hold by default, and holds under {len(others) - len(broken)} of {len(others)} other settings"
    if not broken:
        return f"survives every setting ({len(others)})"
    groups = []
    for group, title in GROUPS.items():
        named = [f"{item['title']} ({_shown(item['numbers'][name])})" for item in broken if item["group"] == group]
        if named:
            groups.append(f"{title}: {', '.join(named)}")
    return f"depends on {len(broken)} of {len(others)} settings - {'; '.join(groups)}"


def _matrix_row(item: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    numbers = [
        f"**{_shown(item['numbers'][name])}**" if item["holds"][name] is False else _shown(item["numbers"][name])
        for name in names
    ]
    changed = f"{item['changed_fault_totals']} / {item['changed_totals']} of {item['of_totals']}"
    return [item["title"], changed, *numbers]


def _shown(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.0f}" if math.isclose(number, round(number), abs_tol=1e-9) else f"{number:,.3f}"


# --- Sensitivity: which conclusions survive every setting of the simulated harness and every counting decision.

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


def sensitivity_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the grid of claims and settings."""
    settings, conclusions = results["settings"], results["conclusions"]
    names = conclusion_names(conclusions)
    return {
        "claims_and_settings.svg": dot_grid(
            title="Which conclusion holds under which setting",
            rows=[setting["title"] for setting in settings],
            columns=[names[item["id"]] for item in conclusions],
            dots=[
                [
                    Dot(setting["holds"][item["id"]], f"{item['statement']}: {setting['numbers'][item['id']]}")
                    for item in conclusions
                ]
                for setting in settings
            ],
            column_label="conclusions; the table says what each one states",
        )
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
