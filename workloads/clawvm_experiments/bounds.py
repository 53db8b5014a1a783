"""Bounds: how far every policy is from the best possible, by what it reloads, brings in and upgrades.

Cells are families at budgets, seeded small cases against an exhaustive search, strings of references against Belady's
MIN, and requests that were made to mislead the greedy upgrades. Meanings and proofs: ``docs/bounds.md``.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from clawvm_experiments.experiment import (
    NAMES,
    Cell,
    Experiment,
    Row,
    budget_chart,
    distinct,
    family_trace,
    policy_table,
    rows_with,
    total,
)
from clawvm_oracle.bounds import (
    DEMAND_ONLY,
    PlannedSelector,
    any_policy_bound,
    any_policy_plan,
    brought_in_bound,
    brought_in_tokens,
    demand_only_bound,
    demand_only_plan,
    is_demand_only,
    reloaded_tokens,
)
from clawvm_oracle.demand_sequence import DemandSequence, ObservedRun, observe_run
from clawvm_oracle.knapsack import ADVERSARIAL_CASES, UNITS, UtilityRecorder, UtilityShare, adversarial_case
from clawvm_oracle.small_cases import check_small_case, check_unit_case
from clawvm_pictures.charts import Band, Bin, MarkedValue, histogram
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, plain
from clawvm_replay.metrics import DIGITS
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_runtime.selector import select
from clawvm_workloads.families import PAPER_BUDGETS, PAPER_FAMILIES

__all__ = ["EDGES", "EXPERIMENT", "trace_row"]

QUICK_BUDGETS = (120, 300)
CASES, QUICK_CASES = 600, 30
CHUNKS = {"small": 50, "unit": 100}
"""Seeds in one cell, by kind of check."""

IDS = (*PAPER_POLICIES, DEMAND_ONLY.id)
MEASURES = ("reloaded", "brought_in")
BOUNDS: Mapping[str, Callable[[DemandSequence], int]] = {
    "any_policy": any_policy_bound,
    "demand_only": demand_only_bound,
    "brought_in": brought_in_bound,
}
UTILITY_POLICIES = ("lru", "clawvm", "oracle_h3")
EDGES = (0.0, *(round(number / 100, 2) for number in range(80, 101)))
"""Bins of utility reached: one hundredth each from 0.80 to 1, one for all below; the last one includes 1."""

QUANTILES = {"minimum": 0.0, "p1": 0.01, "p5": 0.05, "quartile_1": 0.25, "median": 0.5, "quartile_3": 0.75}


def _cells(quick: bool) -> list[Cell]:
    cells = [
        Cell(f"family-{workload}-b{budget:04d}", {"kind": "family", "workload": workload, "budget": budget})
        for workload in PAPER_FAMILIES
        for budget in (QUICK_BUDGETS if quick else PAPER_BUDGETS)
    ]
    for kind, chunk in CHUNKS.items():
        count, size = (QUICK_CASES, QUICK_CASES) if quick else (CASES, chunk)
        cells += [
            Cell(f"{kind}-{first:04d}", {"kind": kind, "first_seed": first, "cases": size})
            for first in range(0, count, size)
        ]
    return cells + [Cell(f"upgrade-{name}", {"kind": "upgrade", "name": name}) for name in sorted(ADVERSARIAL_CASES)]


def _run_cell(cell: Cell) -> Row:
    parameters = cell.parameters
    kind = parameters["kind"]
    if kind == "family":
        row = trace_row(family_trace(parameters["workload"], parameters["budget"]))
    elif kind == "upgrade":
        row = {"name": parameters["name"], **_described(adversarial_case(parameters["name"]))}
    else:
        seeds = range(parameters["first_seed"], parameters["first_seed"] + parameters["cases"])
        row = _checks_row(kind, seeds)
    return {"kind": kind, **row}


def trace_row(trace: Trace) -> Row:
    """Return what every policy, the demand-only oracle and the any-policy plan reach on *trace*, with the bounds.

    Under pressure no policy can meet everything: then ``bounds`` and ``any_policy_plan`` are None and the oracle is
    left out.
    """
    recorders = {policy_id: UtilityRecorder() for policy_id in UTILITY_POLICIES}
    runs = {name: observe_run(trace, POLICIES[name], recorders.get(name, select)) for name in PAPER_POLICIES}
    sequence = runs["clawvm"].sequence
    known: list[tuple[DemandSequence, dict[str, int]]] = []

    def bounds(needs: DemandSequence) -> dict[str, int]:
        """Return the bounds of a sequence; most policies meet the same one, whose bounds are computed once."""
        for other, numbers in known:
            if other == needs:
                return numbers
        known.append((needs, {name: bound(needs) for name, bound in BOUNDS.items()}))
        return known[-1][1]

    def measured(run: ObservedRun) -> Row:
        """Return a run's tokens with the bounds for policies that meet the same requirements as it did."""
        return {
            "page_in_tokens": run.metrics.page_in_tokens,
            "reloaded": reloaded_tokens(run.sequence, run.prompts),
            "brought_in": brought_in_tokens(run.sequence, run.prompts),
            "meets_all": run.met == run.sequence,
            "bounds": bounds(run.met),
        }

    filled = None
    if not sequence.under_pressure:
        runs[DEMAND_ONLY.id] = observe_run(trace, DEMAND_ONLY, PlannedSelector(demand_only_plan(sequence)))
        filled = measured(observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(sequence))))
    return {
        "workload": trace.header.workload,
        "budget": trace.header.budget,
        "pressure_turns": runs["clawvm"].metrics.pressure_turns,
        "bounds": None if filled is None else bounds(sequence),
        "any_policy_plan": filled,
        "policies": {
            policy_id: {"demand_only": is_demand_only(POLICIES.get(policy_id, DEMAND_ONLY)), **measured(run)}
            for policy_id, run in runs.items()
        },
        "utility": {policy_id: _utility(recorder.shares) for policy_id, recorder in recorders.items()},
    }


def _utility(shares: Sequence[UtilityShare]) -> Row:
    known = [(share.ratio, share) for share in shares if share.ratio is not None]
    worst = min(known, key=lambda item: (item[0], item[1].turn), default=None)
    return {"ratios": [ratio for ratio, _ in known], "worst": None if worst is None else _described(worst[1])}


def _described(share: UtilityShare) -> Row:
    problem = share.problem
    pages = [[page_id, problem.scores[page_id] / UNITS, list(steps)] for page_id, steps in problem.steps.items()]
    return {"ratio": share.ratio, "turn": share.turn, "tokens_left": problem.left, "pages": pages}


def _checks_row(kind: str, seeds: range) -> Row:
    if kind == "small":
        small = {seed: check_small_case(seed) for seed in seeds}
        return {
            "cases": len(small),
            "comparisons": sum(check.comparisons for check in small.values()),
            "violations": [f"seed {seed}: {text}" for seed, check in small.items() for text in check.violations],
            "bound_is_exact": sum(check.bound_is_exact for check in small.values()),
            "oracle_is_exact": sum(check.oracle_is_exact for check in small.values()),
        }
    unit = {seed: check_unit_case(seed) for seed in seeds}
    return {
        "cases": len(unit),
        "searched": sum(check.exhaustive is not None for check in unit.values()),
        "different": [f"seed {seed}: {check}" for seed, check in unit.items() if not check.equal],
    }


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    families = rows_with(rows, kind="family")
    # Where even the minimum set does not fit no bound is defined; such cells are counted and left out everywhere.
    defined = [row for row in families if row["bounds"] is not None]
    budgets = sorted(distinct(defined, "budget"))

    def means(*path: str) -> list[float]:
        """Return the mean over the families of the number at *path*, by budget."""
        at = (rows_with(defined, budget=budget) for budget in budgets)
        return [_mean([_number(row, path) for row in some]) for some in at]

    plans = [(row["any_policy_plan"], row["bounds"]["any_policy"]) for row in defined]
    pairs = [(row["policies"][DEMAND_ONLY.id]["reloaded"], row["bounds"]["demand_only"]) for row in defined]
    results: dict[str, Any] = {
        "cells": len(families),
        "cells_with_bounds": len(defined),
        "budgets": budgets,
        "policies": {policy_id: _policy_summary([row["policies"][policy_id] for row in defined]) for policy_id in IDS},
        "series": {
            measure: {policy_id: means("policies", policy_id, measure) for policy_id in IDS} for measure in MEASURES
        },
        "bounds": {name: means("bounds", name) for name in BOUNDS},
        "any_policy_plan": means("any_policy_plan", "reloaded"),
        "any_policy_plan_reaches_bound": sum(
            plan["meets_all"] and plan["reloaded"] == plan["page_in_tokens"] == bound for plan, bound in plans
        ),
        "any_policy_bound_is_zero": sum(bound == 0 for _, bound in plans),
        "oracle_reaches_bound": sum(upper == lower for upper, lower in pairs),
        "utility": {policy_id: _utility_summary(families, policy_id) for policy_id in UTILITY_POLICIES},
        "upgrades": {row["name"]: row for row in rows_with(rows, kind="upgrade")},
        "small": _summed(rows_with(rows, kind="small")),
        "unit": _summed(rows_with(rows, kind="unit")),
    }
    return {"findings": _findings(results), **results}


def _number(row: Any, path: Sequence[str]) -> float:
    number: float = reduce(getitem, path, row)
    return number


def _ratio(value: float, reference: float) -> float | None:
    return round(value / reference, DIGITS) if reference else None


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), DIGITS)


def _summed(rows: Sequence[Row]) -> Row:
    """Return the sums of the numbers of the rows, and their texts in one list."""
    sums: Row = {}
    for row in rows:
        for name, value in row.items():
            if name != "kind":
                sums[name] = sums[name] + value if name in sums else value
    return sums


def _policy_summary(cells: Sequence[Row]) -> dict[str, Any]:
    """Return a policy's tokens and bounds, summed over the cells; a ratio is None where the bound is zero."""
    bounds = {name: sum(cell["bounds"][name] for cell in cells) for name in BOUNDS}
    reloaded = total(cells, "reloaded")

    def is_below(cell: Row) -> bool:
        """Return whether a run is below a bound that was proved for it."""
        lower = cell["bounds"]["demand_only" if cell["demand_only"] else "any_policy"]
        return bool(cell["reloaded"] < lower or cell["brought_in"] < cell["bounds"]["brought_in"])

    return {
        "reloaded": reloaded,
        "bounds": bounds,
        "demand_only": all(cell["demand_only"] for cell in cells),
        "over_any_policy_bound": _ratio(reloaded, bounds["any_policy"]),
        "over_demand_only_bound": _ratio(reloaded, bounds["demand_only"]),
        "brought_in_over_bound": _ratio(total(cells, "brought_in"), bounds["brought_in"]),
        "meets_all_in": total(cells, "meets_all"),
        "below_a_bound_in": sum(is_below(cell) for cell in cells),
    }


def _utility_summary(rows: Sequence[Row], policy_id: str) -> dict[str, Any]:
    cells = [(row, row["utility"][policy_id]) for row in rows]
    known = [
        {"workload": row["workload"], "budget": row["budget"], **cell["worst"]} for row, cell in cells if cell["worst"]
    ]
    return {
        **_distribution([ratio for _, cell in cells for ratio in cell["ratios"]]),
        "worst": min(known, key=lambda item: (item["ratio"], item["workload"], item["budget"]), default=None),
    }


def _distribution(ratios: Sequence[float]) -> dict[str, Any]:
    """Return count, nearest-rank quantiles, mean, share that is exactly 1, and counts by bin of ``EDGES``."""
    ordered = sorted(ratios)
    count = len(ordered)
    histogram = [0] * (len(EDGES) - 1)
    for ratio in ordered:
        histogram[min(bisect_right(EDGES, ratio), len(histogram)) - 1] += 1
    return {
        "count": count,
        **{name: ordered[max(0, math.ceil(q * count) - 1)] if ordered else None for name, q in QUANTILES.items()},
        "mean": _mean(ordered) if ordered else None,
        "share_optimal": _ratio(ordered.count(1.0), count),
        "histogram": histogram,
    }


def _findings(results: Mapping[str, Any]) -> dict[str, Any]:
    policies, small, unit = (results[name] for name in ("policies", "small", "unit"))
    return {
        "bounds_respected_by_every_policy": not any(item["below_a_bound_in"] for item in policies.values()),
        "cells_under_pressure": results["cells"] - results["cells_with_bounds"],
        "any_policy_plan_reaches_bound": results["any_policy_plan_reaches_bound"],
        "brute_force_cases": small["cases"],
        "brute_force_violations": len(small["violations"]),
        "belady_cases": unit["cases"],
        "belady_cases_equal": not unit["different"],
        "knapsack_worst_ratio": results["utility"]["clawvm"]["minimum"],
        **{
            f"{policy_id}_{ratio}": item[ratio]
            for policy_id, item in policies.items()
            for ratio in ("over_any_policy_bound", "over_demand_only_bound")
        },
    }


def _report(results: dict[str, Any]) -> list[Block]:
    policies, bounds = results["policies"], results["bounds"]
    small, unit = results["small"], results["unit"]
    defined = results["cells_with_bounds"]
    reloaded = {NAMES[policy_id]: means for policy_id, means in results["series"]["reloaded"].items()}
    numbers = ("count", *QUANTILES, "mean", "share_optimal")
    return [
        Heading(2, EXPERIMENT.title),
        Paragraph(_opening(results)),
        Paragraph(
            f"{defined} of {results['cells']} cells (families x budgets) have bounds; in the others the minimum set "
            "does not fit. *Reloaded*: page-ins, or the same content retrieved again where a policy cannot page in. "
            "The bound for any policy is the exact optimum with prefetching: its plan, played by the engine, reaches "
            f"it in {results['any_policy_plan_reaches_bound']} cells. In {results['any_policy_bound_is_zero']} it is "
            "zero: foresight removes every page-in."
        ),
        Heading(3, "Reloaded tokens by budget, mean over the families"),
        Table.of(
            ["policy", *map(str, results["budgets"])],
            (
                [name, *map(_tokens, means)]
                for name, means in {
                    "Bound, any policy": bounds["any_policy"],
                    "Plan of that bound, played": results["any_policy_plan"],
                    "Bound, demand-only": bounds["demand_only"],
                    **reloaded,
                }.items()
            ),
        ),
        Heading(3, "Every policy against its own bounds"),
        Paragraph(
            "Sums over the cells. **The denominators differ**: a policy that leaves a floor or a demand unmet has "
            "fewer requirements and so lower bounds, and its ratio must not be ranked against another row's. The first "
            "ratio and the last hold for every policy: neither can be below 1. The demand-only bound holds for "
            "policies that neither prefetch nor upgrade; for the others, a ratio below 1 means that prefetch or "
            "upgrades saved more than any policy without them could. The demand-only oracle reaches its bound in "
            f"{results['oracle_reaches_bound']} of {defined} cells."
        ),
        policy_table(
            [
                "reloaded",
                *("any-policy bound", "ratio"),
                *("demand-only bound", "ratio", "holds for it"),
                "brought in / bound",
                "cells with everything met",
            ],
            {
                policy_id: (
                    item["reloaded"],
                    *(item["bounds"]["any_policy"], item["over_any_policy_bound"]),
                    *(item["bounds"]["demand_only"], item["over_demand_only_bound"], item["demand_only"]),
                    item["brought_in_over_bound"],
                    item["meets_all_in"],
                )
                for policy_id, item in policies.items()
            },
        ),
        Heading(3, "Greedy upgrades against the exact knapsack"),
        Table.of(
            ["score", "prompts", *(name.replace("_", " ") for name in numbers[1:])],
            ((NAMES[name], *(item[number] for number in numbers)) for name, item in results["utility"].items()),
        ),
        Bullets(_worst_cases(results)),
        Heading(3, "Checks"),
        Bullets(
            (
                f"Exhaustive search: {small['cases']} small cases, {small['comparisons']:,} comparisons, "
                f"{len(small['violations'])} violated. The demand-only bound is exact in {small['bound_is_exact']}, "
                f"the oracle in {small['oracle_is_exact']}.",
                f"Belady's MIN: {unit['cases']} strings of references ({unit['searched']} also searched exhaustively), "
                f"{len(unit['different'])} with another number of misses.",
                *(plain(text) for text in (*small["violations"], *unit["different"])),
            )
        ),
    ]


def _opening(results: Mapping[str, Any]) -> str:
    policies = results["policies"]
    below = [NAMES[name] for name, item in policies.items() if item["below_a_bound_in"]]
    ratio = policies["clawvm"]["over_any_policy_bound"]
    return (
        f"{', '.join(below) or 'No policy'} reloaded fewer tokens than a bound proved for it; ClawVM reloaded "
        f"{'more than the least possible, which is none' if ratio is None else f'{ratio:.1f} times the least possible'}"
        f", and its upgrades reached at least {results['utility']['clawvm']['minimum']:.3f} of the best utility in a "
        "prompt."
    )


def _tokens(value: float) -> Number:
    """Return a mean in tokens with three significant digits, and at least whole tokens."""
    return Number(f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}")


def _worst_cases(results: Mapping[str, Any]) -> tuple[str, ...]:
    worst = {name: item["worst"] for name, item in results["utility"].items() if item["worst"] is not None}
    return (
        *(
            f"Worst for {NAMES[name]}: {case['ratio']:.3g} in turn {case['turn']} of {case['workload']} at "
            f"{case['budget']}, {case['tokens_left']} tokens left for {len(case['pages'])} pages."
            for name, case in worst.items()
        ),
        *(
            f"Made to mislead ({name.replace('_', ' ')}): {case['ratio']:.3g} with {case['tokens_left']} tokens left: "
            + "; ".join(f"score {score:g}, steps {', '.join(map(str, steps))}" for _, score, steps in case["pages"])
            for name, case in results["upgrades"].items()
        ),
    )


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return reloaded tokens and tokens brought in with their bounds, and the distribution of the utility reached."""
    reached = results["utility"]["clawvm"]
    bins = [Bin(low, high, count) for low, high, count in zip(EDGES, EDGES[1:], reached["histogram"])]
    first = next((number for number, one in enumerate(bins) if one.count), 0)

    def chart(title: str, y_label: str, measure: str, band: str, bound: str, logarithmic: bool) -> str:
        budgets, series = results["budgets"], results["series"][measure]
        between = list(zip(budgets, results["bounds"][bound], series[DEMAND_ONLY.id]))
        return budget_chart(
            f"{title} against the budget", y_label, series, budgets, band=Band(band, between), logarithmic=logarithmic
        )

    return {
        "page_in_tokens.svg": chart(
            "Reloaded tokens (page-ins, or the same content refetched)",
            "reloaded tokens per workload (mean)",
            "reloaded",
            "optimum with prefetching, to oracle without",
            "any_policy",
            True,
        ),
        "brought_in.svg": chart(
            "Tokens brought into the prompt",
            "tokens per workload (mean)",
            "brought_in",
            "any policy: bound to demand-only oracle",
            "brought_in",
            False,
        ),
        "utility.svg": histogram(
            title="Utility reached by ClawVM's greedy upgrades",
            x_label="share of the exact optimum (multiple-choice knapsack)",
            y_label="prompts",
            bins=bins[first:],
            marks=[MarkedValue("worst", reached["minimum"]), MarkedValue("median", reached["median"])],
        ),
    }


EXPERIMENT = Experiment(
    id="bounds",
    title="Bounds: how far from optimal",
    question="How far is every policy from the best possible, and the greedy upgrades from an exact choice?",
    cells=_cells,
    run_cell=_run_cell,
    summarize=_summarize,
    report=_report,
    figures=_figures,
)
