"""Reports for people: Markdown tables of the gates and the sweep, made from the same data as the JSON files.

====================  ============================================================
table                 a Markdown table
with_thousands        a text whose long whole numbers have thousands separators
gates_table           what both halves of each gate showed
tier2_markdown        every cell of the sweep and the aggregate per policy
preliminary_markdown  the five-minute report: what was run, gates, tables, gaps
====================  ============================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clawvm_replay.gates import GateReport
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import CONFIGURATIONS
from clawvm_replay.sweep import Summary

__all__ = ["gates_table", "preliminary_markdown", "table", "tier2_markdown", "with_thousands"]

_VALUE = r"(?:[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:[.][0-9]+)?|-)(?:\s?%)?"
_RANGE = rf"{_VALUE}(?:\s?(?:/|to|of|\u00b1|[+]-)\s?{_VALUE})*"
_NUMERIC = re.compile(
    rf"[*`]*(?:(?:at least|at most|about)\s)?{_RANGE}(?:\s(?:tokens?|turns?|cells?|seconds?))?"
    rf"(?:\s[(]{_RANGE}[)])?[*`]*"
)
_LONG = re.compile(r"(?<![\w.,])[0-9]{4,}(?![\w,]|[.][0-9])")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; columns of numbers stand right-aligned, columns with words left.

    A number may have a sign, thousands separators, a unit, a tolerance or a bound (``at least 600``); ``34 to 36``,
    ``143 / 126`` and ``5 of 5`` are numbers too, ``5 of 5 held`` is words.
    """
    content = [tuple(row) for row in rows]
    rules = ["---"]
    for column in range(1, len(header)):
        rules.append("---" if any(_is_words(row[column]) for row in content) else "---:")
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(rules) + "|"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in content]
    return "\n".join(lines) + "\n"


def _is_words(value: object) -> bool:
    """Whether a cell holds words: yes, no, and any text that is not a number from its first to its last letter."""
    if isinstance(value, str):
        return value != "" and _NUMERIC.fullmatch(value) is None
    return isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def with_thousands(text: str) -> str:
    """Return *text* with separators in its whole numbers of four or more digits: ``1626`` becomes ``1,626``."""
    return _LONG.sub(lambda match: f"{int(match[0]):,}", text)


def _words(field: str) -> str:
    return field.replace("_", " ")


def tier2_markdown(summary: Summary) -> str:
    """Return the sweep as Markdown: aggregates, faults by kind, every cell."""
    parts = [
        "# Tier 2: the sweep\n",
        "Every number of every cell is in `tier2.summary.json` and `tier2.summary.csv`; `docs/fault-model.md` "
        "defines each.\n",
        "## Means per policy\n",
        _means(summary),
        "## What separates the policies once faults are zero\n",
        _quality(summary),
        "## Faults by kind, summed over the cells\n",
        _by_kind(summary),
        "## Every cell\n",
        _cells(summary),
    ]
    return "\n".join(parts)


def _means(summary: Summary) -> str:
    return table(
        ["policy", "cells", "mean faults", "total", "mean thrash index", "mean oracle gap", "cells without a fault"],
        (
            (
                item["name"],
                item["cells"],
                item["mean_explicit_faults"],
                item["total_explicit_faults"],
                item["mean_thrash_index"],
                item["mean_oracle_gap"],
                item["successful_cells"],
            )
            for item in summary.aggregates()
        ),
    )


def _quality(summary: Summary) -> str:
    return table(
        [
            "policy",
            "page-in tokens",
            "level at demand (0 to 4)",
            "served at full",
            "budget use",
            "prefix reuse",
            "cost",
        ],
        (
            (
                item["name"],
                round(item["mean_page_in_tokens"]),
                item["mean_level_at_demand"],
                item["mean_share_served_at_full"],
                item["mean_budget_use"],
                item["mean_prefix_reuse"],
                round(item["mean_prompt_cost"]),
            )
            for item in summary.aggregates()
        ),
    )


def _by_kind(summary: Summary) -> str:
    return table(
        ["policy", *(_words(kind) for kind in FAULT_FIELDS)],
        ((item["name"], *(item["faults_by_kind"][kind] for kind in FAULT_FIELDS)) for item in summary.aggregates()),
    )


def _cells(summary: Summary) -> str:
    fields = ("explicit_faults", "alerts", "hits", "thrash_index", "page_in_tokens", "pressure_turns", "prefix_reuse")
    return table(
        ["workload", "budget", "policy", *(_words(field) for field in fields)],
        ((row["workload"], row["budget"], row["policy"], *(row[field] for field in fields)) for row in summary.rows),
    )


def _table_4(summary: Summary) -> str:
    rows = []
    for item in summary.aggregates():
        published = item["published"] or {}
        rows.append(
            (
                item["name"],
                item["mean_explicit_faults"],
                published.get("mean_explicit_faults"),
                item["total_explicit_faults"],
                with_thousands(published["total_explicit_faults"]) if published else None,
                item["mean_thrash_index"],
                published.get("mean_thrash_index"),
            )
        )
    header = ["policy", "mean faults", "published", "total", "published", "thrash index", "published"]
    return table(header, rows)


def _faults_by(field: str, values: Sequence[Any], summary: Summary) -> str:
    """Return the explicit faults of each policy, summed over the cells that share a workload or a budget."""
    return table(
        ["policy", *(_words(str(value)) for value in values)],
        (
            (
                policy.name,
                *(
                    sum(row["explicit_faults"] for row in summary.of_policy(policy.id) if row[field] == value)
                    for value in values
                ),
            )
            for policy in summary.policies
        ),
    )


def gates_table(gates: Iterable[Mapping[str, Any]]) -> str:
    """Return the table of gates, each as ``GateReport.to_record`` gives it: what both halves showed, the verdict."""
    lines = ["| gate | protection off | protection on | verdict |", "|---|---|---|---|"]
    for gate in gates:
        off, on = (_observed(half["observation"]) for half in gate["halves"])
        lines.append(f"| {gate['title']} | {off} | {on} | {gate['verdict'].upper()} |")
    return "\n".join(lines) + "\n"


def _observed(observation: Mapping[str, Any]) -> str:
    parts = [f"{count} {_words(kind)}" for kind, count in sorted(observation["faults"].items())]
    if observation["overwritten"]:
        parts.append(f"{observation['overwritten']} overwritten")
    if observation["rejected"]:
        parts.append(f"{len(observation['rejected'])} rejected")
    if observation["committed"]:
        parts.append(f"{observation['committed']} committed")
    return ", ".join(parts) or "no fault"


def _shortfalls(summary: Summary, configuration: dict[str, Any]) -> list[str]:
    """Return what falls short of the published results, computed from the numbers of this run."""
    lines = []
    for item in summary.aggregates():
        published = item["published"]
        if published is None:
            continue
        if item["cells"] != CONFIGURATIONS:
            lines.append(
                f"{item['name']}: {item['cells']} cells were run, the published means are over {CONFIGURATIONS}."
            )
            continue
        for ours, name in (("mean_explicit_faults", "faults"), ("mean_thrash_index", "thrash index")):
            value, target = item[ours], published[ours]
            if target == 0:
                if value:
                    lines.append(f"{item['name']}: mean {name} {value:.3f}, published 0.")
            elif abs(value / target - 1) > 0.15:
                lines.append(
                    f"{item['name']}: mean {name} {value:.3f}, published {target:.3f} "
                    f"({100 * (value / target - 1):+.0f} %)."
                )
    pressure = sum(item["pressure_turns"] for item in summary.aggregates())
    if pressure:
        lines.append(f"{pressure:,} turns were under invariant pressure: the minimum set and the demands did not fit.")
    lines.append(
        "The authors' workloads are not public. The sizes and schedules of ours were calibrated to the published means "
        "of this table, so that their agreement is no evidence by itself; `docs/workloads.md` tells what was chosen."
    )
    if configuration["horizon"]:
        lines.append(
            "The oracle is the published one: the same greedy selector with look-ahead. It is no optimum; provable "
            "bounds are an experiment of their own (`workloads/run_bounds.py`)."
        )
    return lines


def preliminary_markdown(reports: Sequence[GateReport], summary: Summary, configuration: dict[str, Any]) -> str:
    """Return the report that a reviewer reads from top to bottom in five minutes."""
    workloads, budgets = configuration["workloads"], configuration["budgets"]
    passed = sum(report.passed for report in reports)
    cells = len(summary.rows)
    return "\n".join(
        [
            "# ClawVM: preliminary evaluation\n",
            f"Six lifecycle gates (Tier 1): **{passed} of {len(reports)} pass**. Sweep (Tier 2): {len(workloads)} "
            f"workloads x {len(budgets)} budgets x {len(summary.policies)} policies = {cells} cells, replayed through "
            "the runtime that a harness embeds. No model, no tool and no clock took part: the same input "
            "gives these bytes again.\n",
            f"- workloads: {', '.join(workloads)}",
            f"- budgets in tokens: {', '.join(map(str, budgets))}",
            f"- policies: {', '.join(policy.name for policy in summary.policies)}",
            f"- look-ahead of the oracle in turns: {configuration['horizon']}\n",
            "## Tier 1: the gates\n",
            "Each gate runs the same trace twice. With one protection removed the fault must be seen; with it, it "
            "must not happen, or the update must be rejected with its reason. Evidence: `tier1/tier1.report.json`.\n",
            gates_table(report.to_record() for report in reports),
            "## Table 4 beside the published one\n",
            "Means over the cells of a policy. The published numbers come from the authors' own workloads, which "
            "are not public: they stand beside ours, not against them. All of them are *calibrated*: the sizes and "
            "schedules of our workloads were chosen to come close to them (`docs/workloads.md`).\n",
            _table_4(summary),
            "## Faults by kind\n",
            "Policy-controllable faults, summed over all cells.\n",
            _by_kind(summary),
            "## Faults by workload\n",
            _faults_by("workload", workloads, summary),
            "## Faults by budget\n",
            "A larger budget can hide a weak policy by never reaching a compaction.\n",
            _faults_by("budget", budgets, summary),
            "## What separates the policies once faults are zero\n",
            _quality(summary),
            "## What falls short\n",
            *(f"- {line}" for line in _shortfalls(summary, configuration)),
            "",
        ]
    )
