"""Bounds: how far every policy is from the best possible, by what it reloads, brings in and upgrades.

==============  ================================================================================
family cells    one family at one budget: every policy beside the bounds and what reaches them
small cells     seeded small cases against an exhaustive search
unit cells      strings of references to pages of one size against Belady's MIN
upgrade cells   requests that were made to mislead the greedy upgrades
==============  ================================================================================

What the numbers mean and why the bounds hold: ``docs/bounds.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from clawvm_experiments.bounds.report import NAMES, report
from clawvm_experiments.bounds.rows import BOUND_NAMES, UTILITY_POLICIES, small_row, trace_row, unit_row, upgrade_row
from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.figures import bounds_figures
from clawvm_oracle.demand_only_oracle import DEMAND_ONLY
from clawvm_oracle.distribution import EDGES, distribution
from clawvm_oracle.upgrade_optimum import ADVERSARIAL_LADDERS
from clawvm_replay.metrics import DIGITS
from clawvm_workloads.families import BUDGETS, FAMILIES

__all__ = ["EXPERIMENT"]

QUICK_BUDGETS = (120, 300)
SMALL_CASES, SMALL_CHUNK = 600, 50
UNIT_CASES, UNIT_CHUNK = 600, 100
QUICK_CASES = 30


def _cells(quick: bool) -> list[Cell]:
    cells = [
        Cell(f"family-{workload}-b{budget:04d}", {"kind": "family", "workload": workload, "budget": budget})
        for workload in FAMILIES
        for budget in (QUICK_BUDGETS if quick else BUDGETS)
    ]
    for kind, cases, chunk in (("small", SMALL_CASES, SMALL_CHUNK), ("unit", UNIT_CASES, UNIT_CHUNK)):
        if quick:
            cases = chunk = QUICK_CASES
        cells += [
            Cell(f"{kind}-{first:04d}", {"kind": kind, "first_seed": first, "cases": chunk})
            for first in range(0, cases, chunk)
        ]
    cells += [Cell(f"upgrade-{name}", {"kind": "upgrade", "name": name}) for name in sorted(ADVERSARIAL_LADDERS)]
    return cells


def _family_row(workload: str, budget: int) -> Row:
    return trace_row(family_trace(workload, budget))


_Cell = Mapping[str, Any]
"""What one policy reached in one family cell."""

_KINDS: Mapping[str, Callable[..., Row]] = {
    "family": _family_row,
    "small": small_row,
    "unit": unit_row,
    "upgrade": upgrade_row,
}


def _run_cell(cell: Cell) -> Row:
    kind, arguments = cell.parameters["kind"], {**cell.parameters}
    del arguments["kind"]
    return {"kind": kind, **_KINDS[kind](**arguments)}


# --- from rows to results ---------------------------------------------------------------------------


def _ratio(value: float, reference: float) -> float | None:
    return round(value / reference, DIGITS) if reference else None


def _mean(values: Sequence[float]) -> float | None:
    return round(math.fsum(values) / len(values), DIGITS) if values else None


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    families = [row for row in rows if row["kind"] == "family"]
    # Where even the minimum set does not fit no bound is defined; such cells are counted and left out everywhere.
    defined = [row for row in families if row["bounds"] is not None]
    budgets = sorted({row["budget"] for row in defined})
    results: dict[str, Any] = {
        "cells": len(families),
        "cells_under_pressure": len(families) - len(defined),
        "budgets": budgets,
        "policies": {
            policy_id: _policy_summary(
                [row["policies"][policy_id] for row in defined],
                {
                    str(budget): [row["policies"][policy_id] for row in defined if row["budget"] == budget]
                    for budget in budgets
                },
            )
            for policy_id in NAMES
        },
        "series": {
            measure: {policy_id: _by_budget(defined, budgets, "policies", policy_id, measure) for policy_id in NAMES}
            for measure in ("reloaded", "brought_in")
        },
        "bounds": {name: _by_budget(defined, budgets, "bounds", name) for name in BOUND_NAMES},
        "any_policy_plan": {
            measure: _by_budget(defined, budgets, "any_policy_plan", measure) for measure in ("reloaded", "brought_in")
        },
        "gaps": _gaps(defined),
        "utility_edges": list(EDGES),
        "utility": {policy_id: _utility_summary(families, policy_id) for policy_id in UTILITY_POLICIES},
        "upgrades": {row["name"]: row for row in rows if row["kind"] == "upgrade"},
        "small": _small_summary([row for row in rows if row["kind"] == "small"]),
        "unit": _unit_summary([row for row in rows if row["kind"] == "unit"]),
    }
    return {"findings": _findings(results), **results}


def _at(path: Sequence[str], row: Any) -> int:
    """Return the number at *path* in nested data."""
    value: int = reduce(getitem, path, row)
    return value


def _by_budget(rows: Sequence[Row], budgets: Sequence[int], *path: str) -> dict[str, float | None]:
    """Return the mean over the families of the value at *path* in each row, by budget."""
    return {str(budget): _mean([_at(path, row) for row in rows if row["budget"] == budget]) for budget in budgets}


def _policy_summary(cells: Sequence[_Cell], by_budget: Mapping[str, Sequence[_Cell]]) -> dict[str, Any]:
    return {
        **{measure: _total(cells, measure) for measure in ("reloaded", "brought_in")},
        "bounds": {name: _total(cells, "bounds", name) for name in BOUND_NAMES},
        "demand_only": all(cell["demand_only"] for cell in cells),
        "reloaded_over_any_policy_bound": _over(cells, "reloaded", "any_policy"),
        "reloaded_over_any_policy_bound_by_budget": {
            budget: _over(some, "reloaded", "any_policy") for budget, some in by_budget.items()
        },
        "reloaded_over_demand_only_bound": _over(cells, "reloaded", "demand_only"),
        "brought_in_over_bound": _over(cells, "brought_in", "brought_in"),
        "meets_all_in": sum(cell["meets_all"] for cell in cells),
        "same_needs_in": sum(cell["same_needs"] for cell in cells),
        "below_a_bound_in": sum(_below(cell) for cell in cells),
    }


def _total(cells: Sequence[_Cell], *path: str) -> int:
    return sum(_at(path, cell) for cell in cells)


def _over(cells: Sequence[_Cell], measure: str, bound: str) -> float | None:
    """Return the tokens of all cells over their bounds; None where the bound is zero, so that there is no ratio."""
    return _ratio(_total(cells, measure), _total(cells, "bounds", bound))


def _below(cell: _Cell) -> bool:
    """Return whether a run stayed below a bound that was proved for it."""
    bounds = cell["bounds"]
    lower = bounds["demand_only"] if cell["demand_only"] else bounds["any_policy"]
    return bool(cell["reloaded"] < lower or cell["brought_in"] < bounds["brought_in"])


def _gaps(rows: Sequence[Row]) -> dict[str, Any]:
    """Return, cell by cell, whether the plans that the engine played reach the bounds that they are made for."""
    plans = [(row["any_policy_plan"], row["bounds"]["any_policy"]) for row in rows]
    pairs = [(row["policies"][DEMAND_ONLY.id]["reloaded"], row["bounds"]["demand_only"]) for row in rows]
    ratios = [ratio for upper, lower in pairs if (ratio := _ratio(upper, lower)) is not None]
    return {
        "cells_where_any_policy_plan_reaches_bound": sum(
            plan["meets_all"] and plan["reloaded"] == plan["page_in_tokens"] == bound for plan, bound in plans
        ),
        "cells_where_oracle_reaches_bound": sum(upper == lower for upper, lower in pairs),
        "largest_oracle_over_bound": max(ratios, default=None),
        "cells_where_any_policy_bound_is_zero": sum(row["bounds"]["any_policy"] == 0 for row in rows),
    }


def _utility_summary(rows: Sequence[Row], policy_id: str) -> dict[str, Any]:
    cells = [(row, row["utility"][policy_id]) for row in rows]
    known = [
        {"workload": row["workload"], "budget": row["budget"], **cell["worst"]} for row, cell in cells if cell["worst"]
    ]
    return {
        **distribution([ratio for _, cell in cells for ratio in cell["ratios"]]),
        "worst": min(known, key=lambda item: (item["ratio"], item["workload"], item["budget"]), default=None),
    }


def _small_summary(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        **{
            name: sum(row[name] for row in rows)
            for name in ("cases", "comparisons", "bound_is_exact", "oracle_is_exact")
        },
        "violations": [text for row in rows for text in row["violations"]],
    }


def _unit_summary(rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "cases": sum(row["cases"] for row in rows),
        "searched": sum(row["searched"] for row in rows),
        "different": [text for row in rows for text in row["different"]],
    }


def _findings(results: Mapping[str, Any]) -> dict[str, Any]:
    policies, small, unit = results["policies"], results["small"], results["unit"]
    clawvm = results["utility"]["clawvm"]
    findings = {
        "bounds_respected_by_every_policy": not any(item["below_a_bound_in"] for item in policies.values()),
        "needs_same_for_every_policy": all(
            item["same_needs_in"] == results["cells"] - results["cells_under_pressure"] for item in policies.values()
        ),
        "cells_under_pressure": results["cells_under_pressure"],
        "cells_with_bounds": results["cells"] - results["cells_under_pressure"],
        "any_policy_plan_reaches_bound": results["gaps"]["cells_where_any_policy_plan_reaches_bound"],
        "cells_where_any_policy_bound_is_zero": results["gaps"]["cells_where_any_policy_bound_is_zero"],
        "cells_where_demand_only_oracle_reaches_bound": results["gaps"]["cells_where_oracle_reaches_bound"],
        "largest_demand_only_oracle_over_bound": results["gaps"]["largest_oracle_over_bound"],
        "brute_force_cases": small["cases"],
        "brute_force_comparisons": small["comparisons"],
        "brute_force_violations": len(small["violations"]),
        "brute_force_bound_exact_share": _ratio(small["bound_is_exact"], small["cases"]),
        "brute_force_oracle_exact_share": _ratio(small["oracle_is_exact"], small["cases"]),
        "belady_cases": unit["cases"],
        "belady_cases_equal": not unit["different"],
        "knapsack_prompts": clawvm["count"],
        "knapsack_worst_ratio": clawvm["minimum"],
        "knapsack_median_ratio": clawvm["median"],
        "knapsack_mean_ratio": clawvm["mean"],
        "knapsack_share_optimal": clawvm["share_optimal"],
    }
    for name, row in results["upgrades"].items():
        findings[f"knapsack_adversarial_{name}_ratio"] = row["ratio"]
    for policy_id, item in policies.items():
        findings[f"{policy_id}_over_any_policy_bound"] = item["reloaded_over_any_policy_bound"]
        findings[f"{policy_id}_over_demand_only_bound"] = item["reloaded_over_demand_only_bound"]
        findings[f"{policy_id}_brought_in_over_bound"] = item["brought_in_over_bound"]
    return findings


EXPERIMENT = Experiment(
    id="bounds",
    title="Bounds: how far from optimal",
    question="How far is every policy from the best possible, and the greedy upgrades from an exact choice?",
    cells=_cells,
    run_cell=_run_cell,
    summarize=_summarize,
    report=report,
    figures=bounds_figures,
)
