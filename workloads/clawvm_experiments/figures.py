"""The figures of the experiments: from results to SVG texts by file name; a policy looks the same in each of them.

=========================  ==================================================
table4_figures             faults and thrash index against the budget
ablation_figures           what each removed feature costs, by kind of fault
quality_figures            page-in tokens of the upgrade orders
sensitivity_figures        which claim holds under which setting
session_maps               the residency maps of one session
=========================  ==================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import family_trace
from clawvm_pictures.charts import (
    BarSeries,
    Series,
    bar_chart,
    line_chart,
)
from clawvm_pictures.residency_map import residency_map
from clawvm_replay.replay import replay_trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.vocabulary import FaultKind

__all__ = [
    "BUDGET_LABEL",
    "MAPPED_BUDGET",
    "MAPPED_POLICIES",
    "MAPPED_WORKLOAD",
    "NAMES",
    "STYLES",
    "ablation_figures",
    "budget_series",
    "quality_figures",
    "session_maps",
    "table4_figures",
]

BUDGET_LABEL = "budget (tokens)"
STYLES = {policy: number for number, policy in enumerate((*POLICIES, "demand_only_oracle", "no_upgrades"))}
NAMES = {
    **{policy.id: policy.name for policy in POLICIES.values()},
    "demand_only_oracle": "Demand-only oracle",
    "no_upgrades": "No upgrades",
}

MAPPED_WORKLOAD, MAPPED_BUDGET = "long_horizon", 120
MAPPED_POLICIES = ("compaction_hybrid", "clawvm")
"""The session whose residency is drawn: several compactions at the tightest budget, under two policies."""


def budget_series(values: Mapping[str, Sequence[float | None]], budgets: Sequence[int]) -> list[Series]:
    """Return a line for each policy; *values* holds one number per budget."""
    return [
        Series(NAMES[policy], list(zip(budgets, row)), STYLES[policy])
        for policy, row in values.items()
        if policy in STYLES
    ]


def table4_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return faults and thrash index against the budget."""
    budgets, workloads = results["budgets"], len(results["workloads"])
    faults = {name: [value / workloads for value in row] for name, row in results["faults_by_budget"].items()}
    return {
        "faults.svg": line_chart(
            title="Explicit faults against the budget",
            x_label=BUDGET_LABEL,
            y_label="faults per workload (mean)",
            series=budget_series(faults, budgets),
            logarithmic=True,
        ),
        "thrash.svg": line_chart(
            title="Thrash index against the budget",
            x_label=BUDGET_LABEL,
            y_label="(faults + alerts) / (hits + 1), mean",
            series=budget_series(results["thrash_by_budget"], budgets),
        ),
    }


def ablation_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the faults that each removed feature causes, stacked by kind, and those after each added one."""
    removed = list(results["removed"].values())
    steps = results["paths"]["forward"]
    budgets = f"{len(results['budgets'])} budgets" if len(results["budgets"]) > 1 else f"{results['budgets'][0]} tokens"
    return {
        "removed.svg": _stacked_kinds(f"One feature removed from ClawVM ({budgets}, 4 workloads)", removed),
        "added.svg": _stacked_kinds(f"Features added one by one to Retrieval ({budgets}, 4 workloads)", steps),
    }


def _stacked_kinds(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    kinds = [kind.value for kind in FaultKind if any(row["by_kind"][kind.value] for row in rows)]
    return bar_chart(
        title=title,
        value_label="explicit faults",
        categories=[row["name"] for row in rows],
        series=[BarSeries(kind.replace("_", " "), [row["by_kind"][kind] for row in rows]) for kind in kinds],
    )


def quality_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the page-in tokens of the upgrade orders against the budget."""
    values = {name: row["page_in_tokens"] for name, row in results["by_budget"].items()}
    return {
        "page_in_tokens.svg": line_chart(
            title="Page-in tokens by upgrade order",
            x_label=BUDGET_LABEL,
            y_label="page-in tokens, summed over the workloads",
            series=budget_series(values, results["budgets"]),
            logarithmic=True,
        )
    }


def session_maps() -> dict[str, str]:
    """Return the residency map of one session under each of two policies, by policy id."""
    trace = family_trace(MAPPED_WORKLOAD, MAPPED_BUDGET)
    maps = {}
    for policy in MAPPED_POLICIES:
        decisions = DecisionTrace()
        replay_trace(trace, POLICIES[policy], decisions=decisions)
        maps[policy] = residency_map(decisions.events)
    return maps
