"""What the figures of several experiments share: a policy looks the same in each, and the maps of one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import family_trace
from clawvm_pictures.charts import Band, Bin, Mark, Series, histogram, line_chart
from clawvm_pictures.residency_map import residency_map
from clawvm_replay.replay import replay_trace
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES

__all__ = [
    "BUDGET_LABEL",
    "MAPPED_BUDGET",
    "MAPPED_WORKLOAD",
    "NAMES",
    "STYLES",
    "bounds_figures",
    "budget_series",
    "prompt_cache_figures",
    "session_maps",
]

BUDGET_LABEL = "budget (tokens)"

NAMES = {
    **{policy_id: POLICIES[policy_id].name for policy_id in PAPER_POLICIES},
    "demand_only_oracle": "Demand-only oracle",
    "no_upgrades": "No upgrades",
}
STYLES = {policy_id: number for number, policy_id in enumerate(NAMES)}

MAPPED_WORKLOAD, MAPPED_BUDGET = "long_horizon", 120
MAPPED_POLICIES = ("compaction_hybrid", "clawvm")
"""The session whose residency is drawn: several compactions at the tightest budget, under two policies."""


def budget_series(values: Mapping[str, Sequence[float | None]], budgets: Sequence[int]) -> list[Series]:
    """Return a line for each policy that has a style; *values* holds one number per budget (tokens)."""
    return [
        Series(NAMES[policy], list(zip(budgets, row)), STYLES[policy])
        for policy, row in values.items()
        if policy in STYLES
    ]


def session_maps() -> dict[str, str]:
    """Return the residency map of one session under each of two policies, by policy id."""
    trace = family_trace(MAPPED_WORKLOAD, MAPPED_BUDGET)
    maps = {}
    for policy in MAPPED_POLICIES:
        decisions = DecisionTrace()
        replay_trace(trace, POLICIES[policy], decisions=decisions)
        maps[policy] = residency_map(decisions.events)
    return maps


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
    return budget_series({name: [row[str(budget)] for budget in budgets] for name, row in series.items()}, budgets)


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
            series=budget_series(results["reuse_by_budget"], results["budgets"]),
        ),
        "cost.svg": line_chart(
            title="Prompt cost per turn against the budget",
            x_label=BUDGET_LABEL,
            y_label="plain input tokens per turn (cached read 0.1, write 1.25)",
            series=budget_series(results["cost_by_budget"], results["budgets"]),
        ),
    }
