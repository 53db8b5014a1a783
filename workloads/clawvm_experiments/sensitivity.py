"""Sensitivity: which conclusions survive every setting of the simulated harness and every counting decision.

One cell per setting; the cell of the default setting is also counted under every rule set, by the reference model. A
conclusion survives if it holds under every setting; which settings break it is computed from the rows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from clawvm_experiments.counting_rules import RULE_SETS, Counts, count, metrics_counts, with_prompts
from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.sensitivity_conclusions import (
    CONCLUSIONS,
    CONDITIONS,
    FREE_FEATURES,
    HYBRID,
    OWN_KINDS,
    STRUCTURED,
    TASK_BUDGET,
    CountTable,
)
from clawvm_experiments.sensitivity_settings import GROUPS, OTHER_SIZINGS, SETTINGS, Setting, select_in_one_order
from clawvm_pictures.charts import Dot, dot_grid
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, Value
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES, Policy
from clawvm_workloads.families import COMMITTED_SIZING, PAPER_BUDGETS, PAPER_FAMILIES, SHAPED_FAMILIES, SIZINGS
from clawvm_workloads.generated import generate
from clawvm_workloads.reference_model import witness
from clawvm_workloads.tasks import TASKS, task_trace

__all__ = ["EXPERIMENT", "compare_orders", "task_counts", "tried"]

ABLATION_BUDGET = 180
"""The budget of the published ablation, in tokens."""

QUICK_SETTINGS = (*OTHER_SIZINGS, "limit_x2", "decay_0.5", "one_order")

GENERATED, QUICK_GENERATED = 100, 22
"""Generated workloads in which the two orders of installation are compared."""

# Rules about pressure and unmet demands can only differ in runs that have them.
RULES_UNDER_PRESSURE = ("default", "pinned_each_prompt", "unmet_ignored", "pressure_counted", "strict", "lenient")

RULES_OF_THE_CACHE = ("page_in_fault", "judged_after")
"""Rule sets under which the credit for pointer resolution may vanish."""


# --- Cells.


def cells(quick: bool) -> list[Cell]:
    """List one cell per setting; a quick run has the smallest and the largest budget and a few settings."""
    budgets = [PAPER_BUDGETS[0], PAPER_BUDGETS[-1]] if quick else list(PAPER_BUDGETS)
    task_budgets = [TASK_BUDGET] if quick else [PAPER_BUDGETS[0], TASK_BUDGET]
    orders = {"generated": QUICK_GENERATED if quick else GENERATED, "budgets": budgets[:1] if quick else budgets}
    rules = {"default": list(RULE_SETS), "half_budget": list(RULES_UNDER_PRESSURE)}
    chosen = ("default", *QUICK_SETTINGS, "half_budget") if quick else tuple(SETTINGS)
    return [
        Cell(
            setting,
            {
                "setting": setting,
                "rules": rules.get(setting, ["default"]),
                "budgets": budgets,
                "ablation_budget": ABLATION_BUDGET,
                "task_budgets": task_budgets if SETTINGS[setting].group in ("default", "harness") else [],
                "orders": orders if setting == "one_order" else None,
            },
        )
        for setting in chosen
    ]


def run_cell(cell: Cell) -> Row:
    """Return the outcome of every conclusion under the cell's setting, for each of the cell's rule sets."""
    parameters = cell.parameters
    setting, rule_ids, orders = SETTINGS[parameters["setting"]], parameters["rules"], parameters["orders"]
    runs = list(_runs(setting, parameters["budgets"], parameters["ablation_budget"]))
    equal = None
    if rule_ids == ["default"]:
        counted = {"default": [_counts(setting, *run) for run in runs]}
    else:
        counted, equal = _recounted(setting, runs, rule_ids)
    tasks = list(task_counts(setting, parameters["task_budgets"]))
    return {
        "tried": [
            tried(setting, rule_id, counts, tasks if rule_id == "default" else ())
            for rule_id, counts in counted.items()
        ],
        "recount_equals_engine": equal,
        "orders": orders and compare_orders(orders["generated"], orders["budgets"]),
    }


Run = tuple[str, int, Policy]
"""Family or task, budget in tokens, policy."""


def _runs(setting: Setting, budgets: Sequence[int], ablation_budget: int) -> Iterator[Run]:
    for policy in PAPER_POLICIES:
        for workload in PAPER_FAMILIES:
            for budget in budgets:
                yield workload, budget, setting.policy(POLICIES[policy])
    clawvm = setting.policy(POLICIES["clawvm"])
    for feature in (*OWN_KINDS, *FREE_FEATURES):
        for workload in PAPER_FAMILIES:
            yield workload, ablation_budget, clawvm.without(FEATURES[feature])


@cache
def _plain_counts(workload: str, budget: int, policy: Policy) -> Counts:
    metrics = replay_trace(_trace(COMMITTED_SIZING, workload, budget), policy)
    return with_prompts(metrics_counts(metrics), metrics)


@cache
def _trace(sizing: str, workload: str, budget: int) -> Trace:
    if workload in TASKS:
        return task_trace(workload, budget)
    if sizing == COMMITTED_SIZING:
        return family_trace(workload, budget)
    return SHAPED_FAMILIES[workload](budget, SIZINGS[sizing][workload])


def _counts(setting: Setting, workload: str, budget: int, policy: Policy) -> Counts:
    """Return the counts of a family or task; runs that a setting does not change are replayed once."""
    if setting.changes_runs_of(policy):
        trace, tokens = _trace_and_budget(setting, workload, budget)
        metrics = replay_trace(trace, policy, tokens, selector=setting.selector)
        counts = with_prompts(metrics_counts(metrics), metrics)
    else:
        counts = _plain_counts(workload, budget, policy)
    return dataclasses.replace(counts, workload=workload)


def _trace_and_budget(setting: Setting, workload: str, budget: int) -> tuple[Trace, int]:
    trace = _trace(setting.sizing, workload, budget)
    if setting.trace_change is not None:
        trace = setting.trace_change(trace)
    return trace, budget * setting.budget_percent // 100


def _recounted(setting: Setting, runs: Iterable[Run], rule_ids: Sequence[str]) -> tuple[dict[str, list[Counts]], bool]:
    """Return the counts of every run under every rule set, and whether the default rules give the engine's tally."""
    counted: dict[str, list[Counts]] = {rule_id: [] for rule_id in rule_ids}
    equal = True
    for workload, budget, policy in runs:
        prompts: list[AssembledPrompt] = []
        trace, tokens = _trace_and_budget(setting, workload, budget)
        metrics = replay_trace(trace, policy, tokens, selector=setting.selector, observe=prompts.append)
        levels = [{block.page_id: block.level for block in prompt.blocks} for prompt in prompts]
        seen = witness(trace, levels, policy, tokens)
        for rule_id in rule_ids:
            counts = count(seen, RULE_SETS[rule_id].rules, workload=workload, budget=tokens, policy=policy.id)
            counted[rule_id].append(with_prompts(counts, metrics))
            if rule_id == "default":
                equal = equal and counts == metrics_counts(metrics)
    return counted, equal


def tried(setting: Setting, rule_id: str, counts: Sequence[Counts], tasks: Sequence[Counts] = ()) -> dict[str, Any]:
    """Return the outcome of every conclusion for *counts*, with the totals by policy and budget.

    Conclusions about tasks get the counts in *tasks*; they are not tried without any.
    """
    table = CountTable(counts, tasks)
    parts = [part for part in (setting, RULE_SETS[rule_id]) if part.id != "default"]
    outcomes = {item.id: item.judge(table) for item in CONCLUSIONS.values()}
    group = setting.group
    if rule_id != "default":  # Two changes at once are a corner.
        group = "counting" if setting.id == "default" else "corner"
    return {
        "id": "+".join(part.id for part in parts) or "default",
        "group": group,
        "recounted": rule_id != "default",
        "title": ", ".join(part.title for part in parts) or setting.title,
        "holds": {name: outcome.holds for name, outcome in outcomes.items()},
        "numbers": {name: outcome.number for name, outcome in outcomes.items()},
        "runs": _digest(counts),
        "totals": {policy: [_totals(table, policy, budget) for budget in table.budgets] for policy in PAPER_POLICIES},
    }


def _totals(table: CountTable, policy: str, budget: int) -> dict[str, Any]:
    return {
        "faults": table.faults(policy, budget),
        "thrash": table.thrash(policy, budget),
        "page_in_tokens": table.page_in_tokens(policy, budget),
        "pressure_turns": sum(item.pressure_turns for item in table.of(policy, budget)),
    }


def _digest(counts: Iterable[Counts]) -> str:
    """Return a digest of the counts of every run in their order: equal if and only if all but their budgets are."""
    return hashlib.sha256(repr([dataclasses.replace(item, budget=0) for item in counts]).encode()).hexdigest()


def task_counts(setting: Setting, budgets: Sequence[int]) -> Iterator[Counts]:
    """Yield the counts of every plain task: ClawVM at each of *budgets* (tokens), Compaction-Hybrid at TASK_BUDGET.

    Nothing is yielded without budgets.
    """
    runs = [("clawvm", budget) for budget in budgets] + ([(HYBRID, TASK_BUDGET)] if budgets else [])
    for policy_id, budget in runs:
        policy = setting.policy(POLICIES[policy_id])
        for task in TASKS:
            yield _counts(setting, task, budget, policy)


def compare_orders(seeds: int, budgets: Sequence[int]) -> Row:
    """Return what one order changes in the first *seeds* generated workloads and in the families at half of *budgets*.

    The orders differ only if a hard page is demanded far above its floor and another hard page's floor then does not
    fit. The families have no such turn, but the budgets of generated workloads are drawn around what is needed. Every
    policy with auto-pin is tried. A run is under pressure if a turn of it is.
    """
    families = ((family_trace(workload, budget), budget // 2) for workload in PAPER_FAMILIES for budget in budgets)
    return {
        "generated": _compared((generate(seed), None) for seed in range(seeds)),
        "families": _compared(families),
    }


def _compared(traces: Iterable[tuple[Trace, int | None]]) -> dict[str, int]:
    """Return the runs with and without pressure, and how many of each have other metrics in one order."""
    counts = dict.fromkeys(("under_pressure", "changed_under", "without_pressure", "changed_without"), 0)
    for trace, tokens in traces:
        for policy_id in STRUCTURED:
            policy = POLICIES[policy_id]
            usual = replay_trace(trace, policy, tokens)
            pressed = usual.pressure_turns > 0
            counts["under_pressure" if pressed else "without_pressure"] += 1
            if replay_trace(trace, policy, tokens, selector=select_in_one_order) != usual:
                counts["changed_under" if pressed else "changed_without"] += 1
    return counts


# --- Results.


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
    sized = {item["id"]: _in_sizings(item, by_id) for item in conclusions}
    held = [outcomes for outcomes in sized.values() if None not in outcomes]
    findings["conclusions_in_every_sizing"] = sum(all(outcomes) for outcomes in held)
    findings["conclusions_in_no_sizing"] = sum(not any(outcomes) for outcomes in held)
    findings["conclusions_that_depend_on_the_sizing"] = sum(len(set(outcomes)) > 1 for outcomes in held)
    for rule_id in RULES_OF_THE_CACHE:
        totals = by_id[rule_id]["totals"]
        findings[f"{rule_id}_makes_cache_equal_retrieval"] = all(
            own["faults"] == other["faults"] for own, other in zip(totals["retrieval_cache"], totals["retrieval"])
        )
    for item in conclusions:
        findings[f"claim_{item['id']}_survives_all"] = item["survives_all"]
        findings[f"claim_{item['id']}_settings_tried"] = item["tried"]
        findings[f"claim_{item['id']}_settings_broken"] = len(item["broken"])
        findings[f"claim_{item['id']}_broken_without_recounting"] = item["broken_without_recounting"]
        outcomes = sized[item["id"]]
        findings[f"claim_{item['id']}_in_every_sizing"] = None if None in outcomes else all(outcomes)
    return {
        "conclusions": conclusions,
        "settings": settings,
        "runs_of_the_default": like_default,
        "runs_of_another": like_another,
        "findings": findings,
    }


def _in_sizings(conclusion: Mapping[str, Any], by_id: Mapping[str, Mapping[str, Any]]) -> list[bool | None]:
    """Return whether a conclusion holds in the committed sizing and in each other one, None where it was not tried."""
    return [by_id[setting]["holds"][conclusion["id"]] for setting in ("default", *OTHER_SIZINGS)]


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
    broken = [item for item in others if item["holds"][name] is False]  # None: not tried.
    numbers = [item["numbers"][name] for item in settings if item["numbers"][name] is not None]
    conclusion = CONCLUSIONS[name]
    return {
        "id": name,
        "statement": conclusion.statement,
        "number": conclusion.number,
        "holds_by_default": default["holds"][name] is True,
        "default_number": default["numbers"][name],
        "lowest_number": min(numbers, default=None),
        "highest_number": max(numbers, default=None),
        "tried": sum(item["holds"][name] is not None for item in others),
        "survives_all": default["holds"][name] is True and not broken,
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
    runs_stay = not any(part["changed_without"] for part in parts)
    return {
        "one_order_changes_nothing_without_pressure": totals_stay and runs_stay,
        "one_order_changes_under_pressure": sum(part["changed_under"] for part in parts),
        "one_order_changes_under_pressure_in_families": orders["families"]["changed_under"],
        "one_order_runs_under_pressure": sum(part["under_pressure"] for part in parts),
        "one_order_runs_without_pressure": sum(part["without_pressure"] for part in parts),
    }


# --- The report and the figure.


def report(results: dict[str, Any]) -> list[Block]:
    """Return the result, the conclusions by group of settings, and the whole matrix."""
    findings, conclusions, settings = results["findings"], results["conclusions"], results["settings"]
    names = conclusion_names(conclusions)
    broken = findings["conclusions"] - findings["conclusions_that_survive_all"]
    equal = "equals" if findings["default_recount_equals_engine"] else "DOES NOT EQUAL"
    return [
        Heading(2, "Sensitivity of the conclusions"),
        Paragraph(
            f"{findings['conclusions_that_survive_all']} of {findings['conclusions']} conclusions hold under all "
            f"{findings['settings']} other settings. {broken} fail under at least one of them, "
            f"{findings['conclusions_that_only_recounting_breaks']} of these only under other counting rules, never "
            "under another harness, decay or structure."
        ),
        Paragraph(
            f"{findings['settings_that_change_a_total']} of the settings change at least one total. The reference "
            f"model's recount under the default rules {equal} the engine's count in every run that was recounted. "
            f"Turns under pressure by default: {findings['pressure_turns_by_default']:,}."
        ),
        *_sizings(results, names),
        Heading(3, "Settings that break each conclusion, by group"),
        Table.of(
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
        Paragraph(
            "*Of*: the settings under which the conclusion was tried; for those about tasks only the simulated "
            "harness. What the number of each conclusion is, and when the conclusion holds:"
        ),
        Bullets(tuple(f"{names[item['id']]}: {item['number']}." for item in conclusions)),
        *_details(results),
        Heading(3, "Conclusions and settings"),
        Paragraph(
            "Under a setting with a bold number the conclusion fails; a dash: not tried, or no number. *Changed* "
            "counts the totals, one for each policy and budget, that differ from the default's: those of faults / of "
            "any kind."
        ),
        Table.of(["setting", "changed", *names.values()], (_matrix_row(item, names) for item in settings)),
    ]


def _sizings(results: Mapping[str, Any], names: Mapping[str, str]) -> list[Block]:
    """Return which conclusions hold in every sizing, and which depend on the sizing."""
    by_id = {item["id"]: item for item in results["settings"]}
    sizings = ("default", *OTHER_SIZINGS)
    tried = [item for item in results["conclusions"] if None not in _in_sizings(item, by_id)]
    findings = results["findings"]
    return [
        Heading(3, "Sizings of the families"),
        Paragraph(
            f"{findings['conclusions_in_every_sizing']} of {len(tried)} conclusions hold in all {len(sizings)} "
            f"sizings, {findings['conclusions_in_no_sizing']} in none, "
            f"{findings['conclusions_that_depend_on_the_sizing']} in some. "
            f"The constants of `{COMMITTED_SIZING}`, the committed traces, were chosen for Tables 4 and 6 and for "
            "Compaction-Hybrid at 120 tokens, those of `table_4` for the means of Table 4 alone. A workload sized for "
            "published numbers cannot confirm them. A conclusion that was a *condition* held in every sizing that was "
            "accepted, so it shows nothing here. Conclusions about tasks are not tried: the tasks have one sizing."
        ),
        Table.of(
            ["conclusion", "condition", COMMITTED_SIZING, *OTHER_SIZINGS, "holds in"],
            (
                (
                    f"{names[item['id']]}: {item['statement']}",
                    item["id"] in CONDITIONS,
                    *(_shown(by_id[sizing]["numbers"][item["id"]]) for sizing in sizings),
                    f"{sum(map(bool, _in_sizings(item, by_id)))} of {len(sizings)}",
                )
                for item in tried
            ),
        ),
    ]


def conclusion_names(conclusions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return, by id, the name of each conclusion in tables and figures."""
    return {item["id"]: f"S{place} {item['id'].replace('_', ' ')}" for place, item in enumerate(conclusions, start=1)}


def _details(results: Mapping[str, Any]) -> list[Block]:
    """Return which settings repeat the runs of another, and what single decisions change."""
    findings = results["findings"]
    without = "no" if findings["one_order_changes_nothing_without_pressure"] else "SOME"
    equal = ", ".join(
        f"`{rule_id}`: {'yes' if findings[f'{rule_id}_makes_cache_equal_retrieval'] else 'no'}"
        for rule_id in RULES_OF_THE_CACHE
    )
    return [
        Paragraph(
            "Settings that repeat other runs are no evidence of their own. All runs equal the default's: "
            f"{'; '.join(results['runs_of_the_default']) or 'none'}. All runs equal those of another setting: "
            f"{'; '.join(results['runs_of_another']) or 'none'}."
        ),
        Paragraph(
            f"Does Retrieval+Cache have exactly Retrieval's faults? {equal}. Placing floors and demands in one order "
            f"changes {findings['one_order_changes_under_pressure']} of "
            f"{findings['one_order_runs_under_pressure']} runs under pressure (generated workloads, and "
            f"families at half budget, of which {findings['one_order_changes_under_pressure_in_families']} change) and "
            f"{without} total or run without it ({findings['one_order_runs_without_pressure']} further runs)."
        ),
    ]


def _matrix_row(item: Mapping[str, Any], names: Mapping[str, str]) -> list[Value]:
    numbers = [
        Number(f"**{_shown(item['numbers'][name])}**")
        if item["holds"][name] is False
        else _shown(item["numbers"][name])
        for name in names
    ]
    changed = Number(f"{item['changed_fault_totals']} / {item['changed_totals']} of {item['of_totals']}")
    return [item["title"], changed, *numbers]


def _shown(number: float | None) -> Number:
    if number is None:
        return Number("-")
    return Number(f"{number:,.0f}" if math.isclose(number, round(number), abs_tol=1e-9) else f"{number:,.3f}")


def figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the grid of conclusions and settings."""
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
    question="Which conclusions survive every sizing, every setting of the harness and every counting decision?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
    figures=figures,
)
