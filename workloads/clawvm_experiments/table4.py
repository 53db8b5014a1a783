"""Table 4: six policies over four workloads and six budgets, with the published table.

Each published figure carries its mark: our workloads' sizes and schedules were chosen to come close to the *calibrated*
ones, and under the *conditions*, so that both show nothing but the choice; *predictions* had no part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, aggregate, family_cells, replay_cell
from clawvm_experiments.figures import BUDGET_LABEL, budget_series
from clawvm_pictures.charts import line_chart
from clawvm_replay.document import Block, Heading, Number, Paragraph, ReportVerdict, Table
from clawvm_replay.metrics import DIGITS, FAULT_FIELDS, CellMetrics
from clawvm_replay.published import (
    CONFIGURATIONS,
    COUNT_TOLERANCE,
    FAULT_FREE,
    HYBRID_BUDGET,
    HYBRID_FAULTS,
    TABLE_4,
    THRASH_REDUCTION,
    TOLERANCE,
    Mark,
    PublishedFigure,
)
from clawvm_replay.sweep import SweepSummary
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["EXPERIMENT"]

HYBRID = "compaction_hybrid"
HYBRID_FINDINGS = {
    "explicit_faults": "hybrid_120_faults",
    "post_compaction_bootstrap": "hybrid_120_bootstrap",
    "flush_miss": "hybrid_120_flush_miss",
}


def _cells(quick: bool) -> list[Cell]:
    return family_cells("policy", PAPER_POLICIES, PAPER_BUDGETS)


def _run(cell: Cell) -> Row:
    parameters = cell.parameters
    return replay_cell(parameters["workload"], parameters["budget"], POLICIES[parameters["policy"]]).to_record()


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    summary = SweepSummary([CellMetrics(**row) for row in rows], [POLICIES[policy_id] for policy_id in PAPER_POLICIES])
    aggregates = {item["policy"]: item for item in summary.aggregates()}
    budgets = sorted({row["budget"] for row in rows})
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    complete = all(item["cells"] == CONFIGURATIONS for item in aggregates.values())
    hybrid = [row for row in summary.of_policy(HYBRID) if row["budget"] == HYBRID_BUDGET]
    hybrid_faults = {field: sum(row[field] for row in hybrid) for field in ("explicit_faults", *FAULT_FIELDS)}
    thrash = _fault_free_thrash(summary, workloads, budgets)
    figures = [*(_mean_figures(aggregates) if complete else []), *_hybrid_figures(hybrid_faults)]
    return {
        "cells": len(rows),
        "complete": complete,
        "names": {policy.id: policy.name for policy in summary.policies},
        "budgets": budgets,
        "workloads": workloads,
        "means": {policy_id: _means(item) for policy_id, item in aggregates.items()},
        "figures": figures,
        "faults_by_kind": {policy_id: item["faults_by_kind"] for policy_id, item in aggregates.items()},
        "faults_by_budget": _series(summary, "budget", budgets, _total_faults),
        "faults_by_workload": _series(summary, "workload", workloads, _total_faults),
        "thrash_by_budget": _series(summary, "budget", budgets, partial(aggregate, metric="thrash_index")),
        "hybrid_at_120": hybrid_faults,
        "fault_free_thrash": thrash,
        "findings": _findings(aggregates, figures, hybrid_faults, thrash, complete),
    }


def _means(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "mean_faults": item["mean_explicit_faults"],
        "total_faults": item["total_explicit_faults"],
        "mean_thrash": item["mean_thrash_index"],
        "cells": item["cells"],
        "cells_without_fault": item["successful_cells"],
        "pressure_turns": item["pressure_turns"],
    }


def _total_faults(rows: list[dict[str, Any]]) -> int:
    return sum(row["explicit_faults"] for row in rows)


def _series(
    summary: SweepSummary, field: str, values: Sequence[Any], measure: Callable[[list[dict[str, Any]]], float]
) -> dict[str, list[float]]:
    return {
        policy.id: [measure([row for row in summary.of_policy(policy.id) if row[field] == value]) for value in values]
        for policy in summary.policies
    }


def _fault_free_thrash(summary: SweepSummary, workloads: Sequence[str], budgets: Sequence[int]) -> list[dict[str, Any]]:
    """Return the thrash index of every cell of the policies that are published without faults."""
    cells = {(row["policy"], row["workload"], row["budget"]): row["thrash_index"] for row in summary.rows}
    return [
        {
            "workload": workload,
            "by_budget": {
                policy_id: [cells[policy_id, workload, budget] for budget in budgets] for policy_id in FAULT_FREE
            },
        }
        for workload in workloads
    ]


def _figure(figure: PublishedFigure, ours: float, published: str = "") -> dict[str, Any]:
    return {
        "name": figure.name,
        "ours": ours,
        "published": published or f"{figure.value:g}",
        "mark": figure.mark.value,
        "gap": figure.gap(ours),
        "reproduced": figure.reproduced(ours),
    }


def _thrash_reduction(clawvm: float, other: float) -> float:
    """Return ClawVM's thrash index against another one, as a share of the latter: -0.5 is half of it."""
    return round(clawvm / other - 1, DIGITS) if other else 0.0


def _mean_figures(aggregates: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    figures = []
    for policy_id, row in TABLE_4.items():
        item = aggregates[policy_id]
        faults_mark = Mark.CONDITION if policy_id in FAULT_FREE else Mark.CALIBRATED
        faults = PublishedFigure(f"{item['name']}: mean faults", row.mean_faults, faults_mark)
        thrash = PublishedFigure(f"{item['name']}: mean thrash index", row.thrash_index, Mark.CALIBRATED)
        figures.append(_figure(faults, item["mean_explicit_faults"]))
        figures.append(_figure(thrash, item["mean_thrash_index"]))
    clawvm = aggregates["clawvm"]["mean_thrash_index"]
    for policy_id, value in THRASH_REDUCTION.items():
        item = aggregates[policy_id]
        # Two calibrated means give it, so it is calibrated too.
        figure = PublishedFigure(f"ClawVM's thrash against {item['name']}", value, Mark.CALIBRATED)
        figures.append(_figure(figure, _thrash_reduction(clawvm, item["mean_thrash_index"])))
    return figures


def _hybrid_figures(faults: dict[str, int]) -> list[dict[str, Any]]:
    kinds = {"explicit_faults": "all faults", "post_compaction_bootstrap": "bootstrap", "flush_miss": "flush-miss"}
    return [
        _figure(
            PublishedFigure(
                f"Compaction-Hybrid at {HYBRID_BUDGET} tokens: {kinds[field]}", value, Mark.PREDICTION, is_count=True
            ),
            faults[field],
        )
        for field, value in HYBRID_FAULTS.items()
    ]


def _equal_across_budgets(thrash: Sequence[dict[str, Any]]) -> bool:
    """Return whether each fault-free policy has one thrash index per workload, whatever the budget."""
    return all(len(set(values)) == 1 for item in thrash for values in item["by_budget"].values())


def _equal_across_upgrade_orders(thrash: Sequence[dict[str, Any]]) -> bool:
    """Return whether the fault-free policies, which differ in their upgrades, agree in every cell."""
    return all(len(set(map(tuple, item["by_budget"].values()))) == 1 for item in thrash)


def _findings(
    aggregates: dict[str, dict[str, Any]],
    figures: Sequence[dict[str, Any]],
    hybrid_faults: dict[str, int],
    thrash: Sequence[dict[str, Any]],
    complete: bool,
) -> dict[str, Any]:
    findings: dict[str, Any] = {}
    for policy_id, item in aggregates.items():
        findings[f"{policy_id}_mean_faults"] = item["mean_explicit_faults"]
        findings[f"{policy_id}_total_faults"] = item["total_explicit_faults"]
        findings[f"{policy_id}_mean_thrash"] = item["mean_thrash_index"]
        findings[f"{policy_id}_cells_without_fault"] = item["successful_cells"]
    clawvm = aggregates["clawvm"]["mean_thrash_index"]
    for policy_id in THRASH_REDUCTION:
        findings[f"thrash_reduction_against_{policy_id}"] = _thrash_reduction(
            clawvm, aggregates[policy_id]["mean_thrash_index"]
        )
    findings["fault_free_thrash_equal_across_budgets"] = _equal_across_budgets(thrash)
    findings["fault_free_thrash_equal_across_upgrade_orders"] = _equal_across_upgrade_orders(thrash)
    findings["faults_in_published_order"] = (
        aggregates["retrieval"]["total_explicit_faults"]
        > aggregates["retrieval_cache"]["total_explicit_faults"]
        > aggregates[HYBRID]["total_explicit_faults"]
        > max(aggregates[policy_id]["total_explicit_faults"] for policy_id in FAULT_FREE)
    )
    for mark in Mark:
        outcomes = [figure["reproduced"] for figure in figures if figure["mark"] == mark.value]
        findings[f"{mark.value}_figures"] = len(outcomes)
        findings[f"{mark.value}_figures_reproduced"] = sum(outcomes)
    if not complete:
        findings = dict.fromkeys(findings)
    # These do not need all cells.
    findings["pressure_turns"] = sum(item["pressure_turns"] for item in aggregates.values())
    findings.update({name: hybrid_faults[field] for field, name in HYBRID_FINDINGS.items()})
    return findings


def _report(results: dict[str, Any]) -> list[Block]:
    names, means = results["names"], results["means"]
    blocks: list[Block] = [
        Heading(2, "Table 4: six policies over the sweep"),
        Paragraph(
            f"{results['cells']} cells: {len(results['workloads'])} workloads x {len(results['budgets'])} budgets x "
            f"{len(names)} policies. The authors' workloads are not public; the published numbers come from theirs, "
            "ours from our own."
        ),
        Table.of(
            ["policy", "mean faults", "published", "total", "published", "thrash index", "published"],
            (
                (
                    names[policy_id],
                    means[policy_id]["mean_faults"],
                    row.mean_faults,
                    means[policy_id]["total_faults"],
                    int(row.total_faults) if row.total_faults.isdecimal() else Number(row.total_faults),
                    means[policy_id]["mean_thrash"],
                    row.thrash_index,
                )
                for policy_id, row in TABLE_4.items()
            ),
        ),
        Heading(3, "Every published figure with its mark"),
        Paragraph(
            "The sizes and schedules of our workloads were chosen to come close to the *calibrated* figures (a change "
            "of thrash between two calibrated means is calibrated too), and no choice was allowed to break a "
            "*condition*: that these are reproduced shows the choice, nothing more. *Predictions* had no part in it, "
            "but were known, so they are not blind; one rule touches the bootstrap count, which must not be 0 "
            f"(`docs/workloads.md`). A figure is reproduced within {100 * TOLERANCE:.0f} %, a count also within "
            f"{COUNT_TOLERANCE}, a zero only as zero."
        ),
        Table.of(
            ["figure", "ours", "published", "gap", "mark", "verdict"],
            (
                (
                    figure["name"],
                    figure["ours"],
                    Number(figure["published"]),
                    Number(figure["gap"]),
                    figure["mark"],
                    ReportVerdict("reproduced" if figure["reproduced"] else "not reproduced", figure["reproduced"]),
                )
                for figure in results["figures"]
            ),
        ),
    ]
    if not results["complete"]:
        blocks.append(Paragraph(f"The published means are over {CONFIGURATIONS} cells; this run has fewer."))
    return [
        *blocks,
        Paragraph(_thrash_sentences(results)),
        Heading(3, "Faults by kind"),
        Table.of(
            ["policy", *(kind.replace("_", " ") for kind in FAULT_FIELDS)],
            ((names[policy_id], *kinds.values()) for policy_id, kinds in results["faults_by_kind"].items()),
        ),
        Paragraph(f"Compaction-Hybrid at {HYBRID_BUDGET} tokens has {_kinds(results['hybrid_at_120'])}."),
        Heading(3, "Faults by budget in tokens"),
        Paragraph("A larger budget can hide a weak policy by never reaching a compaction."),
        _series_table(results["budgets"], results["faults_by_budget"], names),
        Heading(3, "Faults by workload"),
        _series_table(results["workloads"], results["faults_by_workload"], names),
        Heading(3, "Mean thrash index by budget"),
        _series_table(results["budgets"], results["thrash_by_budget"], names),
    ]


def _thrash_sentences(results: dict[str, Any]) -> str:
    thrash = results["fault_free_thrash"]
    budgets = "the same at every budget" if _equal_across_budgets(thrash) else "not the same at every budget"
    orders = "the same" if _equal_across_upgrade_orders(thrash) else "not the same"
    free = ", ".join(results["names"][policy_id] for policy_id in FAULT_FREE)
    return (
        f"The paper also reports that the thrash index of the fault-free policies ({free}) depends neither on the "
        f"budget nor on the upgrade order. Here it is {budgets} (*condition*) and {orders} for the three upgrade "
        "orders. Where a policy has no fault this follows from the counting rules: every access that is not cold is "
        "then a hit, and every repeated call an alert, so the index measures the workload."
    )


def _kinds(faults: dict[str, int]) -> str:
    parts = [f"{faults[kind]} {kind.replace('_', ' ')}" for kind in FAULT_FIELDS if faults[kind]]
    return f"{faults['explicit_faults']} faults: " + (", ".join(parts) or "none of any kind")


def _series_table(values: Sequence[Any], series: dict[str, list[float]], names: dict[str, str]) -> Table:
    return Table.of(
        ["policy", *map(str, values)], ((names[policy_id], *numbers) for policy_id, numbers in series.items())
    )


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return faults and thrash index against the budget."""
    budgets, workloads = results["budgets"], len(results["workloads"])
    faults = {name: [value / workloads for value in row] for name, row in results["faults_by_budget"].items()}
    return {
        "faults.svg": line_chart(
            title="Explicit faults against the budget",
            x_label=BUDGET_LABEL,
            y_label="faults per workload (mean)",
            series=budget_series(faults, budgets),
            logarithmic=True,
        ),
        "thrash.svg": line_chart(
            title="Thrash index against the budget",
            x_label=BUDGET_LABEL,
            y_label="(faults + alerts) / (hits + 1), mean",
            series=budget_series(results["thrash_by_budget"], budgets),
        ),
    }


EXPERIMENT = Experiment(
    id="table4",
    title="Table 4: six policies over 24 cells",
    question="How many faults does each policy show, how much does it thrash, and how close is that to the paper?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
    figures=_figures,
)
