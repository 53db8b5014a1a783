"""The sensitivity results for people: what each conclusion depends on, and the matrix of conclusions and settings.

================  ===============================================================================
report            the whole section as Markdown
conclusion_names  what tables and figures call each conclusion
dependence        what one conclusion depends on, in words
================  ===============================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.sensitivity.settings import GROUPS
from clawvm_replay.reports import table

__all__ = ["conclusion_names", "dependence", "report"]


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
            _orders(results["findings"]),
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


def _orders(findings: Mapping[str, Any]) -> str:
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
