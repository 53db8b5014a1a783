"""The figures of the experiments: from results to SVG texts by file name; a policy looks the same in each of them.

=========================  ==================================================
table4_figures             faults and thrash index against the budget
ablation_figures           what each removed feature costs, by kind of fault
bounds_figures             tokens reloaded and brought in with bands; the utility reached
prompt_cache_figures       prefix reuse and cost against the budget
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
    Band,
    BarSeries,
    Bin,
    Mark,
    Series,
    bar_chart,
    histogram,
    line_chart,
)
from clawvm_pictures.residency_map import residency_map
from clawvm_replay.replay import replay_trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.vocabulary import FaultKind

__all__ = [
    "MAPPED_BUDGET",
    "MAPPED_POLICIES",
    "MAPPED_WORKLOAD",
    "ablation_figures",
    "bounds_figures",
    "prompt_cache_figures",
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


def _series(values: Mapping[str, Sequence[float | None]], budgets: Sequence[int]) -> list[Series]:
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
            series=_series(faults, budgets),
            logarithmic=True,
        ),
        "thrash.svg": line_chart(
            title="Thrash index against the budget",
            x_label=BUDGET_LABEL,
            y_label="(faults + alerts) / (hits + 1), mean",
            series=_series(results["thrash_by_budget"], budgets),
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
        stacked=True,
    )


def bounds_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return reloaded tokens and tokens brought in with their bounds, and the distribution of the utility reached."""
    budgets = results["budgets"]
    edges = results["utility_edges"]
    reached = results["utility"]["clawvm"]
    oracle = results["series"]["reloaded"]["demand_only_oracle"]
    return {
        "page_in_tokens.svg": line_chart(
            title="Reloaded tokens (page-ins, or the same content fetched again) against the budget",
            x_label=BUDGET_LABEL,
            y_label="reloaded tokens per workload (mean)",
            series=_by_budget(results["series"]["reloaded"], budgets),
            band=Band(
                "optimum with prefetching, to oracle without",
                [(b, results["bounds"]["any_policy"][str(b)], oracle[str(b)]) for b in budgets],
            ),
            logarithmic=True,
        ),
        "brought_in.svg": line_chart(
            title="Tokens brought into the prompt against the budget",
            x_label=BUDGET_LABEL,
            y_label="tokens per workload (mean)",
            series=_by_budget(results["series"]["brought_in"], budgets),
            band=Band(
                "any policy: bound to demand-only oracle",
                [
                    (
                        b,
                        results["bounds"]["brought_in"][str(b)],
                        results["series"]["brought_in"]["demand_only_oracle"][str(b)],
                    )
                    for b in budgets
                ],
            ),
        ),
        "utility.svg": histogram(
            title="Utility reached by ClawVM's greedy upgrades",
            x_label="share of the exact optimum (multiple-choice knapsack)",
            y_label="prompts",
            bins=_from_first_used(
                [Bin(low, high, count) for low, high, count in zip(edges, edges[1:], reached["histogram"])]
            ),
            marks=[Mark("worst", reached["minimum"]), Mark("median", reached["median"])],
        ),
    }


def _by_budget(series: Mapping[str, Mapping[str, float]], budgets: Sequence[int]) -> list[Series]:
    return _series({name: [row[str(budget)] for budget in budgets] for name, row in series.items()}, budgets)


def _from_first_used(bins: list[Bin]) -> list[Bin]:
    """Leave out the empty bins below the worst prompt."""
    first = next((number for number, one in enumerate(bins) if one.count), 0)
    return bins[first:]


def prompt_cache_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return prefix reuse and cost per turn against the budget."""
    return {
        "prefix_reuse.svg": line_chart(
            title="Prefix reuse against the budget",
            x_label=BUDGET_LABEL,
            y_label="share of prompt tokens that the cache serves",
            series=_series(results["reuse_by_budget"], results["budgets"]),
        ),
        "cost.svg": line_chart(
            title="Prompt cost per turn against the budget",
            x_label=BUDGET_LABEL,
            y_label="plain input tokens per turn (cached read 0.1, write 1.25)",
            series=_series(results["cost_by_budget"], results["budgets"]),
        ),
    }


def quality_figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the page-in tokens of the upgrade orders against the budget."""
    values = {name: row["page_in_tokens"] for name, row in results["by_budget"].items()}
    return {
        "page_in_tokens.svg": line_chart(
            title="Page-in tokens by upgrade order",
            x_label=BUDGET_LABEL,
            y_label="page-in tokens, summed over the workloads",
            series=_series(values, results["budgets"]),
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
