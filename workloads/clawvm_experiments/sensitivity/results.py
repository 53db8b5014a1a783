"""From the rows of all settings to results: the matrix, what breaks each conclusion, the findings.

==========  =================================================================================
summarize   the results; ``findings`` are the numbers that claims refer to
==========  =================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import Row
from clawvm_experiments.sensitivity.conclusions import CONCLUSIONS, STRUCTURED
from clawvm_experiments.sensitivity.settings import GROUPS

__all__ = ["summarize"]

RULES_OF_THE_CACHE = ("page_in_fault", "judged_after")
"""Rule sets under which the credit for pointer resolution may vanish."""


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


def _cache_equals_retrieval(entry: Mapping[str, Any]) -> bool:
    """Return whether Retrieval+Cache has Retrieval's faults at every budget."""
    cache_totals, retrieval_totals = (entry["totals"][policy] for policy in ("retrieval_cache", "retrieval"))
    return all(own["faults"] == other["faults"] for own, other in zip(cache_totals, retrieval_totals))
