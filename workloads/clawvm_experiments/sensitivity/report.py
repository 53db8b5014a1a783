"""The sensitivity results for people: what each conclusion depends on, and the matrix of conclusions and settings.

==========  =====================================================================================
report      the whole section as Markdown
dependence  what one conclusion depends on, in words
==========  =====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.sensitivity.settings import GROUPS
from clawvm_replay.reports import table

__all__ = ["dependence", "report"]


def report(results: dict[str, Any]) -> str:
    """Return the conclusions, what each depends on, and the whole matrix as Markdown."""
    conclusions, settings = results["conclusions"], results["settings"]
    labels = {item["id"]: f"C{place}" for place, item in enumerate(conclusions, start=1)}
    return "\n".join(
        (
            "## Sensitivity of the conclusions\n",
            _overview(results["findings"]),
            "### Settings that break each conclusion, by group\n",
            table(
                ["conclusion", "by default", "number", "lowest", "highest", *GROUPS.values(), "broken in all"],
                (
                    (
                        f"{labels[item['id']]}: {item['statement']}",
                        "holds" if item["holds_by_default"] else "does not hold",
                        *(_shown(item[name]) for name in ("default_number", "lowest_number", "highest_number")),
                        *item["broken_by_group"].values(),
                        len(item["broken"]),
                    )
                    for item in conclusions
                ),
            ),
            "What the numbers are:\n",
            "\n".join(f"- {labels[item['id']]}: {item['number']}" for item in conclusions) + "\n",
            "### What each conclusion depends on\n",
            "\n".join(f"- {labels[item['id']]} (`{item['id']}`) {dependence(item, settings)}." for item in conclusions)
            + "\n",
            "### Conclusions and settings\n",
            "A bold number breaks the conclusion. *Changed* counts the totals, one for each policy and budget, that "
            "differ from the default's: those of faults, and behind the stroke those of any kind.\n",
            table(["setting", "changed", *labels.values()], (_matrix_row(item, labels) for item in settings)),
        )
    )


def _overview(findings: Mapping[str, Any]) -> str:
    equal = "equals" if findings["default_recount_equals_engine"] else "DOES NOT EQUAL"
    return (
        f"{findings['conclusions']} conclusions under {findings['settings']} settings beside the default; "
        f"{findings['settings_that_change_a_total']} of the settings change at least one total. "
        f"{findings['conclusions_that_survive_all']} conclusions survive every setting; "
        f"{findings['conclusions_that_only_recounting_breaks']} more survive every setting of the harness, the decay "
        "and the structure, and break only under other ways of counting. The recount from the decision trace under "
        f"the default rules {equal} the engine's tally in every run that was recounted.\n"
    )


def dependence(conclusion: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> str:
    """Return what *conclusion* (a record of the results) depends on, with the number that each setting gives it."""
    name = conclusion["id"]
    others = [item for item in settings if item["id"] != "default"]
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


def _matrix_row(item: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    numbers = [
        _shown(item["numbers"][name]) if item["holds"][name] else f"**{_shown(item['numbers'][name])}**"
        for name in labels
    ]
    changed = f"{item['changed_fault_totals']} / {item['changed_totals']} of {item['of_totals']}"
    return [item["title"], changed, *numbers]


def _shown(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:.0f}" if math.isclose(number, round(number), abs_tol=1e-9) else f"{number:.3f}"
