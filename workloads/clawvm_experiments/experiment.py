"""What an experiment is: cells, a pure function from a cell to its row, and pure functions from rows to a report.

Rows and results are plain JSON data, so that they can be written and resumed. Nothing here reads a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from clawvm_experiments.claims import Claim
from clawvm_replay.document import Block
from clawvm_replay.metrics import DIGITS, CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import Policy
from clawvm_workloads.families import FAMILIES, PAPER_FAMILIES

__all__ = [
    "QUALITY",
    "Cell",
    "Experiment",
    "Row",
    "aggregate",
    "displayed",
    "family_cells",
    "family_trace",
    "replay_cell",
]

Row = dict[str, Any]
"""What running a cell returns: plain JSON data."""

# Lower is better: -1, higher is better: 1; budget use is neither.
QUALITY: Mapping[str, tuple[str, int]] = {
    "page_in_tokens": ("page-in tokens", -1),
    "mean_level_at_demand": ("level at demand (0 to 4)", 1),
    "share_served_at_full": ("served at full", 1),
    "prefix_reuse": ("prefix reuse", 1),
    "prompt_cost": ("prompt cost", -1),
    "mean_budget_use": ("budget use", 0),
}
"""What separates upgrade scores once faults are zero: each metric in words, and which direction is better."""

_SUMMED = ("page_in_tokens", "prompt_cost")


@dataclass(frozen=True, slots=True)
class Cell:
    """One independent unit of work; ``id`` is unique in its experiment, ``parameters`` is plain JSON data."""

    id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _no_files(results: dict[str, Any]) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment; a row of ``clawvm_experiments.registry.EXPERIMENTS``.

    ``cells`` takes whether the run is quick; a quick run has the same structure with fewer cells. ``run_cell`` is a
    function at the top level of a module, so that a worker process can import it; it depends on nothing but its cell.
    ``summarize`` takes the rows in the order of the cells and returns the results; their ``findings`` are the numbers
    that claims refer to by name. ``report`` begins with a second-level heading; ``figures`` are SVG texts and
    ``attachments`` other texts, both by file name. ``claims`` are those of an experiment from outside: the claims of
    the experiments in this package are in ``claims.json``.
    """

    id: str
    title: str
    question: str
    cells: Callable[[bool], Sequence[Cell]]
    run_cell: Callable[[Cell], Row]
    summarize: Callable[[Sequence[Row]], dict[str, Any]]
    report: Callable[[dict[str, Any]], Sequence[Block]]
    figures: Callable[[dict[str, Any]], Mapping[str, str]] = _no_files
    attachments: Callable[[dict[str, Any]], Mapping[str, str]] = _no_files
    claims: tuple[Claim, ...] = ()


def family_cells(name: str, variants: Iterable[str], budgets: Sequence[int]) -> list[Cell]:
    """Return a cell for each of *variants*, a parameter called *name*, in each family of the paper at each budget."""
    return [
        Cell(f"{workload}-b{budget:04d}-{variant}", {"workload": workload, "budget": budget, name: variant})
        for variant in variants
        for workload in PAPER_FAMILIES
        for budget in budgets
    ]


@cache
def family_trace(workload: str, budget: int) -> Trace:
    """Return the trace of a family at a budget (tokens); built once per process."""
    return FAMILIES[workload](budget)


def replay_cell(workload: str, budget: int, policy: Policy) -> CellMetrics:
    """Return the metrics of a family at a budget (tokens) under *policy*."""
    return replay_trace(family_trace(workload, budget), policy)


def aggregate(rows: Sequence[Row], metric: str) -> float:
    """Return tokens and costs summed over *rows*, other metrics as their mean."""
    total = math.fsum(row[metric] for row in rows)
    return round(total if metric in _SUMMED else total / len(rows), DIGITS)


def displayed(value: float, metric: str) -> float | int:
    """Return a value as a table shows it: tokens and costs without digits."""
    return round(value) if metric in _SUMMED else value
