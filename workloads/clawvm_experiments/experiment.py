"""What an experiment is: cells, a pure function from a cell to its row, and a pure function from rows to results.

==============  ====================================================================================
Cell            one independent unit of work: an id and plain data
Experiment      one row of the registry; runs nowhere by itself, any executor can map its cells
family_cells    a cell for each policy (or other variant) in each family at each budget
replay_cell     the metrics of one family at one budget under one policy, as most experiments need it
==============  ====================================================================================

Rows and results are plain JSON data, so that they can be written, merged and resumed. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from clawvm_replay.document import Block
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import Policy
from clawvm_workloads.families import FAMILIES

__all__ = ["Cell", "Experiment", "Report", "Row", "family_cells", "family_trace", "no_files", "replay_cell"]

Report = str | Sequence[Block]

Row = dict[str, Any]
"""What a cell gives: plain JSON data."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One independent unit of work; ``id`` is unique in its experiment, ``parameters`` is plain JSON data."""

    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def no_files(results: dict[str, Any]) -> dict[str, str]:
    """Return no file: for experiments whose tables say it all."""
    return {}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment.

    ``cells`` takes whether the run is a quick one and lists the work; a quick run has the same structure with fewer
    cells. ``run_cell`` is a function at the top level of a module, so that a worker process can import it; it depends
    on nothing but its cell. ``summarize`` takes the rows in the order of the cells and returns the results, whose
    ``findings`` are the numbers that claims refer to by name. ``report`` returns the results as Markdown that begins
    with a second-level heading, ``figures`` as SVG texts by file name, ``attachments`` further texts by file name.
    """

    id: str
    title: str
    question: str
    cells: Callable[[bool], Sequence[Cell]]
    run_cell: Callable[[Cell], Row]
    summarize: Callable[[Sequence[Row]], dict[str, Any]]
    report: Callable[[dict[str, Any]], Report]
    figures: Callable[[dict[str, Any]], Mapping[str, str]] = no_files
    attachments: Callable[[dict[str, Any]], Mapping[str, str]] = no_files


def family_cells(name: str, variants: Iterable[str], budgets: Sequence[int]) -> list[Cell]:
    """Return a cell for each of *variants*, a parameter called *name*, in each family at each budget (tokens)."""
    return [
        Cell(f"{workload}-b{budget:04d}-{variant}", {"workload": workload, "budget": budget, name: variant})
        for variant in variants
        for workload in FAMILIES
        for budget in budgets
    ]


@cache
def family_trace(workload: str, budget: int) -> Trace:
    """Return the trace of a family at a budget (tokens); built once per process."""
    return FAMILIES[workload](budget)


def replay_cell(workload: str, budget: int, policy: Policy) -> CellMetrics:
    """Return the metrics of a family at a budget (tokens) under *policy*."""
    return replay_trace(family_trace(workload, budget), policy)
