"""The findings of recorded sessions: flat numbers for claims, None where the sessions have none.

=============  =====================================================
findings_of    every finding, by name; the names are always the same
median_of      the quartiles of a policy's explicit faults at one cut
totals_of      the sums of a policy over sessions
=============  =====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Budget
from clawvm_experiments.sessions.index import ALL_FORMATS, cut_label
from clawvm_experiments.sessions.layout import RESOURCES, SIGNATURES
from clawvm_replay.published import REAL_SESSION_FORMAT, REAL_SESSION_MEDIANS
from clawvm_runtime.policy import POLICIES

__all__ = ["findings_of", "median_of", "totals_of"]

STRUCTURED = ("lru", "clawvm", "oracle_h3")
"""The policies that have ClawVM's structure."""


def findings_of(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the findings.

    Medians and kept shares are those of the resources view at ``REFERENCE_SHARE`` of the working set, None where that
    was not replayed; faults, pressure, and what was served in turns without pressure are over all cells. What was not
    served of nothing is None, too: it shows nothing.
    """
    reference = Budget(share=REFERENCE_SHARE).label
    recorded = results["recorded"][ALL_FORMATS]
    by_resource = recorded["views"].get(RESOURCES, {})
    by_signature = recorded["views"].get(SIGNATURES, {})
    findings: dict[str, Any] = {
        "sessions": recorded["sessions"],
        "cells": results["cells"],
        "turns": recorded["turns"],
        "recorded_compactions": recorded["counts"].get("compactions", 0),
        "recorded_resets": recorded["counts"].get("resets", 0),
        "recorded_cached_share": recorded["usage"]["cached_share"],
        "recorded_cost_share": recorded["usage"]["cost_share"],
        "observed_refetches": by_resource.get("refetch_calls", 0),
        "observed_refetch_tokens": by_resource.get("refetch_tokens", 0),
        "observed_repeats": by_resource.get("repeat_calls", 0),
        "observed_repeat_tokens": by_resource.get("repeat_tokens", 0),
        "observed_reads_after_edit": by_resource.get("edited_kept_calls", 0) + by_resource.get("edited_lost_calls", 0),
        "observed_edited_reads_lost": by_resource.get("edited_lost_calls", 0),
        "observed_edited_read_tokens_lost": by_resource.get("edited_lost_tokens", 0),
        "observed_edited_reads_kept": by_resource.get("edited_kept_calls", 0),
        "observed_edited_read_tokens_kept": by_resource.get("edited_kept_tokens", 0),
        "observed_refetches_by_signature": by_signature.get("refetch_calls", 0),
        "observed_refetch_tokens_by_signature": by_signature.get("refetch_tokens", 0),
    }
    for policy_id in POLICIES:
        everywhere = results["everywhere"].get(policy_id)
        for name in ("explicit_faults", "pressure_faults", "pressure_turns", "refetches_not_served", "served_share"):
            findings[f"{policy_id}_{name}"] = None if everywhere is None else everywhere[name]
        if everywhere is not None and not everywhere["refetches_without_pressure"]:
            findings[f"{policy_id}_refetches_not_served"] = None
        totals = totals_of(results, policy_id, budget=reference)
        refetched = {} if totals is None else totals["refetched"]
        findings[f"{policy_id}_kept_share"] = refetched.get("kept_share")
        findings[f"{policy_id}_kept_tokens"] = None if totals is None else refetched["resident"]["tokens"]
        findings[f"{policy_id}_prefix_reuse"] = None if totals is None else totals["prefix_reuse"]
        for cut in REAL_SESSION_MEDIANS:
            for group, name in ((REAL_SESSION_FORMAT, "claude_code"), (ALL_FORMATS, "all")):
                median = median_of(results, policy_id, cut_label(cut), group, budget=reference)
                findings[f"{policy_id}_median_{name}_cut{cut}"] = None if median is None else median["median"]
    faults = [findings[f"{policy_id}_explicit_faults"] for policy_id in STRUCTURED]
    findings["structured_policies_without_faults"] = None if None in faults else not any(faults)
    findings["retrieval_at_least_hybrid"] = _in_order(results, "retrieval", "compaction_hybrid")
    findings["hybrid_at_least_clawvm"] = _in_order(results, "compaction_hybrid", "clawvm")
    return findings


def median_of(
    results: Mapping[str, Any], policy_id: str, cut: str, group: str, *, view: str = RESOURCES, budget: str = ""
) -> dict[str, Any] | None:
    """Return the quartiles of a policy at a cut over a group of sessions, None where there are no such sessions.

    Without *budget*, at the reference budget.
    """
    wanted = (view, cut, budget or results["reference_budget"], policy_id, group)
    fields = ("view", "cut", "budget_label", "policy", "format")
    return next((item for item in results["faults"] if tuple(item[name] for name in fields) == wanted), None)


def totals_of(
    results: Mapping[str, Any], policy_id: str, *, view: str = RESOURCES, budget: str = ""
) -> dict[str, Any] | None:
    """Return the sums of a policy at the main cut, None where it was not run; without *budget* at the reference."""
    wanted = (view, budget or results["reference_budget"], policy_id)
    fields = ("view", "budget_label", "policy")
    return next((item for item in results["totals"] if tuple(item[name] for name in fields) == wanted), None)


def _in_order(results: Mapping[str, Any], more: str, less: str) -> bool | None:
    """Return whether the median of *more* is nowhere below that of *less*, over all sessions; None without both."""
    medians: dict[tuple[str, ...], dict[str, float]] = {}
    for item in results["faults"]:
        if item["format"] == ALL_FORMATS:
            place = item["view"], item["cut"], item["budget_label"]
            medians.setdefault(place, {})[item["policy"]] = item["median"]
    pairs = [(own[more], own[less]) for own in medians.values() if more in own and less in own]
    return all(high >= low for high, low in pairs) if pairs else None
