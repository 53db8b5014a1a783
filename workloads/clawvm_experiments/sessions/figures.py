"""The figures on recorded sessions.

================  ==========================================================================
session_figures   faults against the budget, and what became of what was fetched again
================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.figures import NAMES, STYLES
from clawvm_experiments.sessions.cells import Budget
from clawvm_experiments.sessions.findings import totals_of
from clawvm_experiments.sessions.summary import ratio
from clawvm_pictures.charts import BarSeries, Series, bar_chart, line_chart

__all__ = ["session_figures"]

PARTS = {
    "resident": "kept in the prompt",
    "paged_in": "from the store, no tool runs",
    "left_out": "in the store, no room in the prompt",
    "faulted": "tool runs again",
    "not_judged": "first access",
}

HARNESS = "what really happened"


def session_figures(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures as SVG by file name; one that would show nothing is left out."""
    pictures = {}
    if results["shares"]:
        pictures["faults.svg"] = _faults(results, "Explicit faults against the budget", ("explicit_faults",))
        fields = ("explicit_faults", "pressure_faults")
        pictures["faults_with_pressure.svg"] = _faults(results, "The same with what pressure caused", fields)
    view, budget = results["views"][0], results["reference_budget"]
    at_budget = {name: totals_of(results, name, view=view, budget=budget) for name in results["policies"]}
    by_policy = {results["names"][name]: item["refetched"] for name, item in at_budget.items() if item is not None}
    if any(counts["tokens"] for counts in by_policy.values()):
        pictures["refetched.svg"] = _stack(f"Tokens fetched again at {budget}: what each policy would do", by_policy)
    by_budget = {
        label: item["refetched"]
        for label in results["budgets"]
        if (item := totals_of(results, "clawvm", view=view, budget=label)) is not None
    }
    if len(by_budget) > 1 and any(counts["tokens"] for counts in by_budget.values()):
        title = "Tokens fetched again under ClawVM, by budget"
        pictures["refetched_clawvm.svg"] = _stack(title, by_budget, truth=False)
    return pictures


def _faults(results: Mapping[str, Any], title: str, fields: Sequence[str]) -> str:
    series = []
    for policy_id in results["policies"]:
        points: list[tuple[float, float | None]] = []
        for share in results["shares"]:
            item = totals_of(results, policy_id, view=results["views"][0], budget=Budget(share=share).label)
            mean = None if item is None else ratio(sum(item[name] for name in fields), item["sessions"])
            points.append((100 * share, mean))
        series.append(Series(NAMES.get(policy_id, policy_id), points, STYLES.get(policy_id)))
    return line_chart(
        title=title,
        x_label="budget (% of the session's working set)",
        y_label="faults per session (mean)",
        series=series,
        logarithmic=True,
    )


def _stack(title: str, rows: Mapping[str, Mapping[str, Any]], *, truth: bool = True) -> str:
    """Return a bar of tokens for each row by what became of them; with *truth* the recorded harness stands first."""
    names = ([HARNESS] if truth else []) + list(rows)
    tokens = next(iter(rows.values()))["tokens"]
    series = []
    for style, (part, words) in enumerate(PARTS.items(), start=1):
        values = [counts[part]["tokens"] for counts in rows.values()]
        if truth:
            values.insert(0, tokens if part == "faulted" else 0)
        if any(values):
            series.append(BarSeries(words, values, style))
    return bar_chart(title=title, value_label="tokens", categories=names, series=series, stacked=True)
