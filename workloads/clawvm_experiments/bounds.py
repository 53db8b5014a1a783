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
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_trace
from clawvm_experiments.figures import bounds_figures
from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    plan,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import DemandSequence, ObservedRun, observe_run
from clawvm_oracle.knapsack import (
    ADVERSARIAL_LADDERS,
    EDGES,
    UNITS,
    UtilityRecorder,
    UtilityShare,
    adversarial_case,
    distribution,
)
from clawvm_oracle.small_cases import check_small_case, check_unit_case, is_demand_only
from clawvm_replay.metrics import DIGITS
from clawvm_replay.reports import table
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS

__all__ = ["EXPERIMENT", "trace_row"]


# --- Rows of plain data: what one trace, one range of seeds or one adversarial request gives.

BOUND_NAMES = ("any_policy", "demand_only", "brought_in")

UTILITY_POLICIES = ("lru", "clawvm", "oracle_h3")

_Known = list[tuple[DemandSequence, dict[str, int]]]


def trace_row(trace: Trace) -> dict[str, Any]:
    """Return what every policy, the demand-only oracle and the any-policy plan reach on *trace*, beside the bounds.

    Under pressure no policy can meet everything: then ``bounds`` and ``any_policy_plan`` are None and the oracle is
    left out.
    """
    recorders = {policy_id: UtilityRecorder() for policy_id in UTILITY_POLICIES}
    runs = {
        policy.id: observe_run(trace, policy, recorders[policy.id])
        if policy.id in recorders
        else observe_run(trace, policy)
        for policy in POLICIES.values()
    }
    sequence = runs["clawvm"].sequence
    pressed = sequence.under_pressure
    if not pressed:
        runs[DEMAND_ONLY.id] = observe_run(trace, DEMAND_ONLY, PlannedSelector(plan(sequence)))
    known: _Known = []
    return {
        "workload": trace.header.workload,
        "budget": trace.header.budget,
        "pressure_turns": runs["clawvm"].metrics.pressure_turns,
        "bounds": None if pressed else _bounds(sequence, known),
        "any_policy_plan": None if pressed else _plan_row(trace, sequence, known),
        "policies": {
            policy_id: {
                "demand_only": is_demand_only(POLICIES.get(policy_id, DEMAND_ONLY)),
                **_policy_row(run, sequence, known),
            }
            for policy_id, run in runs.items()
        },
        "utility": {policy_id: _utility(recorder.shares) for policy_id, recorder in recorders.items()},
    }


def _bounds(sequence: DemandSequence, known: _Known) -> dict[str, int]:
    """Return the three bounds of a sequence; most policies meet the same one, which is then computed once."""
    for other, bounds in known:
        if other == sequence:
            return bounds
    bounds = {
        "any_policy": any_policy_bound(sequence),
        "demand_only": demand_only_bound(sequence),
        "brought_in": brought_in_bound(sequence),
    }
    known.append((sequence, bounds))
    return bounds


def _policy_row(run: ObservedRun, sequence: DemandSequence, known: _Known) -> dict[str, Any]:
    """Return a policy's tokens beside bounds for policies that meet the same requirements as this run did."""
    met = run.met
    return {
        "page_in_tokens": run.metrics.page_in_tokens,
        "reloaded": reloaded_tokens(run.sequence, run.prompts),
        "brought_in": brought_in_tokens(run.sequence, run.prompts),
        "meets_all": met == run.sequence,
        "same_needs": run.sequence == sequence,
        "bounds": _bounds(met, known),
    }


def _plan_row(trace: Trace, sequence: DemandSequence, known: _Known) -> dict[str, Any]:
    """Return what the engine counts when it plays the plan that is said to reach the bound for any policy."""
    run = observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(sequence)))
    return _policy_row(run, sequence, known)


def _utility(shares: Iterable[UtilityShare]) -> dict[str, Any]:
    known = [(share.ratio, share) for share in shares if share.ratio is not None]
    worst = min(known, key=lambda item: (item[0], item[1].turn), default=None)
    return {"ratios": [ratio for ratio, _ in known], "worst": None if worst is None else _described(worst[1])}


def _described(share: UtilityShare) -> dict[str, Any]:
    problem = share.problem
    return {
        "ratio": share.ratio,
        "turn": share.turn,
        "tokens_left": problem.left,
        "pages": [[page_id, problem.scores[page_id] / UNITS, list(steps)] for page_id, steps in problem.steps.items()],
    }


def small_row(first_seed: int, cases: int) -> dict[str, Any]:
    """Return the checks of the small cases of *cases* seeds."""
    checks = [(seed, check_small_case(seed)) for seed in range(first_seed, first_seed + cases)]
    return {
        "cases": len(checks),
        "comparisons": sum(check.comparisons for _, check in checks),
        "violations": [f"seed {seed}: {text}" for seed, check in checks for text in check.violations],
        "bound_is_exact": sum(check.bound_is_exact for _, check in checks),
        "oracle_is_exact": sum(check.oracle_is_exact for _, check in checks),
    }


def unit_row(first_seed: int, cases: int) -> dict[str, Any]:
    """Return the checks of the reference strings of *cases* seeds."""
    checks = [(seed, check_unit_case(seed)) for seed in range(first_seed, first_seed + cases)]
    return {
        "cases": len(checks),
        "searched": sum(check.exhaustive is not None for _, check in checks),
        "different": [f"seed {seed}: {check}" for seed, check in checks if not check.equal],
    }


def upgrade_row(name: str) -> dict[str, Any]:
    """Return what the greedy upgrades reach on the adversarial request of this name."""
    return {"name": name, **_described(adversarial_case(name))}


# --- The report of the bounds: two tables by budget, every policy against its own bounds, upgrades, checks.

NAMES = {DEMAND_ONLY.id: DEMAND_ONLY.name, **{policy.id: policy.name for policy in POLICIES.values()}}


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    findings, small, unit = (results[name] for name in ("findings", "small", "unit"))
    defined = findings["cells_with_bounds"]
    parts = [
        "## Bounds: how far from optimal\n",
        f"{defined} of {results['cells']} cells (families x budgets); {results['cells_under_pressure']} left out "
        "because their minimum set does not fit. Reloaded tokens: page-ins, or the same content retrieved again where "
        "a policy cannot page in. Brought in: tokens that the prompt before did not hold. The bounds in the first two "
        "tables are for policies that meet every floor and demand; after that, each policy is held against bounds "
        "for what its own prompts met. The bound for any policy is the exact optimum with prefetching: its plan, "
        f"played by the engine, reaches it in {findings['any_policy_plan_reaches_bound']} of {defined} cells. It is "
        f"zero in {findings['cells_where_any_policy_bound_is_zero']} cells: foresight alone would remove every "
        "page-in there, and no ratio is defined.\n",
        _report_by_budget(results),
        _own_bounds(results),
        f"The demand-only oracle reaches the demand-only bound in "
        f"{findings['cells_where_demand_only_oracle_reaches_bound']} of {defined} cells; at most it is "
        f"{_number(findings['largest_demand_only_oracle_over_bound'])} times the bound.\n",
        "### Greedy upgrades against the exact knapsack\n",
        _utility_table(results),
        _worst_text(results),
        "### Checks\n",
        f"- Exhaustive search: {small['cases']} small cases, {small['comparisons']:,} comparisons, "
        f"{len(small['violations'])} violated. The demand-only bound is exact in {small['bound_is_exact']}, the oracle "
        f"in {small['oracle_is_exact']}.\n"
        f"- Belady's MIN: {unit['cases']} strings of references ({unit['searched']} also searched exhaustively), "
        f"{len(unit['different'])} with another number of misses.\n",
        *(f"- {text}\n" for text in (*small["violations"], *unit["different"])),
    ]
    return "\n".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"


def _tokens(values: Mapping[str, float | None]) -> list[str]:
    """Return means in tokens with three significant digits, and at least whole tokens."""
    return ["-" if value is None else f"{value:,.{_decimals(value)}f}" for value in values.values()]


def _decimals(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0


def _report_by_budget(results: Mapping[str, Any]) -> str:
    header = ["policy or bound", *(str(budget) for budget in results["budgets"])]
    series, bounds, plan = results["series"], results["bounds"], results["any_policy_plan"]
    oracle = series["reloaded"][DEMAND_ONLY.id]
    reloaded = [
        ["lower bound, any policy", *_tokens(bounds["any_policy"])],
        ["any-policy plan, played", *_tokens(plan["reloaded"])],
        ["lower bound, demand-only", *_tokens(bounds["demand_only"])],
        ["upper bound: demand-only oracle", *_tokens(oracle)],
        *([NAMES[key], *_tokens(row)] for key, row in series["reloaded"].items() if key != DEMAND_ONLY.id),
    ]
    brought_in = [
        ["lower bound, any policy", *_tokens(bounds["brought_in"])],
        ["any-policy plan, played", *_tokens(plan["brought_in"])],
        *([NAMES[key], *_tokens(row)] for key, row in series["brought_in"].items()),
    ]
    return "\n".join(
        [
            "### Reloaded tokens, mean over the families\n",
            table(header, reloaded),
            "### Brought-in tokens, mean over the families\n",
            table(header, brought_in),
        ]
    )


def _own_bounds(results: Mapping[str, Any]) -> str:
    policies = results["policies"]
    return "\n".join(
        [
            "### Every policy against its own bounds\n",
            "Tokens are sums over the cells. **The denominators differ**: a policy that leaves a floor or a demand "
            "unmet has fewer requirements and so lower bounds, and its ratio must not be ranked against another row's. "
            "Each bound stands beside its ratio. `-`: the bound is zero.\n",
            table(
                [
                    "policy",
                    "reloaded",
                    "any-policy bound",
                    "reloaded / any-policy bound",
                    "brought in",
                    "brought-in bound",
                    "brought in / bound",
                    "below a bound",
                    "meets everything in",
                ],
                (
                    (
                        NAMES[policy_id],
                        item["reloaded"],
                        item["bounds"]["any_policy"],
                        item["reloaded_over_any_policy_bound"],
                        item["brought_in"],
                        item["bounds"]["brought_in"],
                        item["brought_in_over_bound"],
                        f"{item['below_a_bound_in']} cells",
                        f"{item['meets_all_in']} cells",
                    )
                    for policy_id, item in policies.items()
                ),
            ),
            "These two bounds hold for every policy: no ratio here can be below 1. By budget, reloaded over the "
            "any-policy bound; the first row is the bound where everything is met, in tokens. Above a bound of a few "
            "tokens a ratio is large and says little.\n",
            table(
                ["policy", *(str(budget) for budget in results["budgets"])],
                [
                    ["any-policy bound, mean over the families", *_tokens(results["bounds"]["any_policy"])],
                    *(
                        [NAMES[policy_id], *item["reloaded_over_any_policy_bound_by_budget"].values()]
                        for policy_id, item in policies.items()
                    ),
                ],
            ),
            "The demand-only bound bounds only policies that neither prefetch nor upgrade. For the others its ratio is "
            "a comparison and no distance from an optimum: below 1, prefetch or upgrades saved more than any policy "
            "without them could.\n",
            table(
                ["policy", "reloaded", "demand-only bound", "reloaded / demand-only bound", "the bound is"],
                (
                    (
                        NAMES[policy_id],
                        item["reloaded"],
                        item["bounds"]["demand_only"],
                        item["reloaded_over_demand_only_bound"],
                        "a bound" if item["demand_only"] else "a comparison",
                    )
                    for policy_id, item in policies.items()
                ),
            ),
        ]
    )


def _utility_table(results: Mapping[str, Any]) -> str:
    columns = ("count", "minimum", "p1", "p5", "quartile_1", "median", "quartile_3", "mean", "share_optimal")
    return table(
        ["score", "prompts", *(name.replace("_", " ") for name in columns[1:])],
        ((NAMES[policy_id], *(item[name] for name in columns)) for policy_id, item in results["utility"].items()),
    )


def _worst_text(results: Mapping[str, Any]) -> str:
    lines = []
    for policy_id, item in results["utility"].items():
        worst = item["worst"]
        if worst is not None:
            lines.append(
                f"- Worst for {NAMES[policy_id]}: {worst['ratio']:.3g} in turn {worst['turn']} of {worst['workload']} "
                f"at {worst['budget']}, {worst['tokens_left']} tokens left for {len(worst['pages'])} pages."
            )
    for name, worst in results["upgrades"].items():
        pages = "; ".join(f"score {score:g}, steps {steps}" for _, score, steps in worst["pages"])
        lines.append(
            f"- Made to mislead ({name.replace('_', ' ')}): {worst['ratio']:.3g} with {worst['tokens_left']} tokens "
            f"left and pages of {pages}."
        )
    return "\n".join(lines) + "\n"


# --- Bounds: how far every policy is from the best possible, by what it reloads, brings in and upgrades.

QUICK_BUDGETS = (120, 300)
SMALL_CASES, SMALL_CHUNK = 600, 50
UNIT_CASES, UNIT_CHUNK = 600, 100
QUICK_CASES = 30


def _cells(quick: bool) -> list[Cell]:
    cells = [
        Cell(f"family-{workload}-b{budget:04d}", {"kind": "family", "workload": workload, "budget": budget})
        for workload in FAMILIES
        for budget in (QUICK_BUDGETS if quick else PAPER_BUDGETS)
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
