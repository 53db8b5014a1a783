"""What the figures of several experiments share: a policy looks the same in each, and the maps of one session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clawvm_experiments.experiment import family_trace
from clawvm_pictures.charts import Series
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
    "budget_series",
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
