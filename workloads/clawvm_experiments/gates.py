"""Tier 1 as an experiment: each lifecycle gate is a cell, so that its verdict stands among the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.gates import GATES, report_record, run_gates
from clawvm_replay.reports import gates_table
from clawvm_runtime.policy import POLICIES

__all__ = ["EXPERIMENT"]


def _cells(quick: bool) -> list[Cell]:
    return [Cell(gate.id) for gate in GATES]


def _run(cell: Cell) -> Row:
    gate = next(gate for gate in GATES if gate.id == cell.id)
    record: Row = report_record(run_gates([gate], POLICIES["clawvm"]))["gates"][0]
    return record


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    halves = [half for row in rows for half in row["halves"]]
    return {
        "gates": [{name: row[name] for name in ("id", "title", "scenario", "verdict", "halves")} for row in rows],
        "findings": {
            "gates_passed": sum(row["verdict"] == "pass" for row in rows),
            "gates_total": len(rows),
            "halves_passed": sum(half["verdict"] == "pass" for half in halves),
        },
    }


def _report(results: dict[str, Any]) -> str:
    findings = results["findings"]
    return (
        "## The six lifecycle gates\n\n"
        "Each gate runs the same trace twice. With one protection removed the fault must be seen; with it, it must not "
        "happen, or the update must be rejected with its reason.\n\n"
        f"{findings['gates_passed']} of {findings['gates_total']} gates pass.\n\n" + gates_table(results["gates"])
    )


EXPERIMENT = Experiment(
    id="gates",
    title="Lifecycle gates (Tier 1)",
    question="Does each protection prevent the fault that it exists for, and is the fault there without it?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
)
