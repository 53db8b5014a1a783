"""Tier 1 as an experiment: each lifecycle gate is a cell, so that its verdict is among the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.document import Block, Heading, Paragraph
from clawvm_replay.gates import GATES, gates_table, report_record, run_gates
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


def _report(results: dict[str, Any]) -> list[Block]:
    findings = results["findings"]
    return [
        Heading(2, "The six lifecycle gates"),
        Paragraph(
            f"{findings['gates_passed']} of {findings['gates_total']} gates pass. Each gate runs the same trace twice. "
            "Without one protection the fault must occur; with it the fault must not occur, or the update must be "
            "rejected with its reason."
        ),
        gates_table(results["gates"]),
    ]


EXPERIMENT = Experiment(
    id="gates",
    title="Lifecycle gates (Tier 1)",
    question="Does each protection prevent the fault that it exists for, and is the fault there without it?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
)
