"""What an experiment is: cells, a pure function from a cell to its row, and pure functions from rows to a report.

Rows and results are plain JSON data, so that they can be written and resumed. Nothing here reads a clock. Below the
definition: what the experiments over the paper's families share, from their cells to their tables and figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from clawvm_experiments.claims import Claim
from clawvm_pictures.charts import Band, Series, line_chart
from clawvm_replay.document import Block, Table, Value
from clawvm_replay.metrics import DIGITS
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES, Policy
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, PAPER_FAMILIES

__all__ = [
    "NAMES",
    "QUALITY",
    "STYLES",
    "Cell",
    "Experiment",
    "Row",
    "aggregate",
    "budget_chart",
    "displayed",
    "distinct",
    "family_cells",
    "family_trace",
    "kind_words",
    "policy_table",
    "replay_cell",
    "rows_with",
    "total",
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


NAMES = {
    **{policy_id: POLICIES[policy_id].name for policy_id in PAPER_POLICIES},
    "demand_only_oracle": "Demand-only oracle",
    "no_upgrades": "No upgrades",
}
"""What has a row or a line of its own in several experiments, by id."""

STYLES = {policy_id: number for number, policy_id in enumerate(NAMES)}
"""The style of a policy's line, the same in every figure."""


def family_cells(name: str, variants: Iterable[str], budgets: Sequence[int] = PAPER_BUDGETS) -> list[Cell]:
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


def replay_cell(workload: str, budget: int, policy: Policy) -> dict[str, Any]:
    """Return the metrics of a family at a budget (tokens) under *policy*."""
    return replay_trace(family_trace(workload, budget), policy).to_record()


def rows_with(rows: Sequence[Row], **fields: Any) -> list[Row]:
    """Return the rows that have these values.

    >>> rows_with([{"policy": "lru", "budget": 120}, {"policy": "clawvm", "budget": 120}], policy="lru")
    [{'policy': 'lru', 'budget': 120}]
    """
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def distinct(rows: Iterable[Row], field: str) -> list[Any]:
    """Return the values of a field, each once, in the order of the rows."""
    return list(dict.fromkeys(row[field] for row in rows))


def total(rows: Iterable[Row], field: str) -> int:
    """Return the sum of a count over *rows*."""
    return sum(row[field] for row in rows)


def aggregate(rows: Sequence[Row], metric: str) -> float:
    """Return tokens and costs summed over *rows*, other metrics as their mean."""
    amount = math.fsum(row[metric] for row in rows)
    return round(amount if metric in _SUMMED else amount / len(rows), DIGITS)


def displayed(value: float, metric: str) -> float | int:
    """Return a value as a table shows it: tokens and costs without digits."""
    return round(value) if metric in _SUMMED else value


def kind_words(counts: Mapping[str, int]) -> str:
    """Return counts by kind of fault in words.

    >>> kind_words({"refetch": 2, "flush_miss": 0}), kind_words({})
    ('2 refetch', 'no fault')
    """
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count) or "no fault"


def policy_table(columns: Iterable[object], rows: Mapping[str, Iterable[Value]]) -> Table:
    """Return a table with a row for each policy, by its id; *columns* are the titles of the others."""
    return Table.of(["policy", *map(str, columns)], ([NAMES[name], *values] for name, values in rows.items()))


def budget_chart(
    title: str,
    y_label: str,
    values: Mapping[str, Sequence[float | None]],
    budgets: Sequence[int],
    *,
    logarithmic: bool = False,
    band: Band | None = None,
) -> str:
    """Return a chart with a line for each policy in ``NAMES``; *values* holds one number for each budget (tokens)."""
    lines = [
        Series(NAMES[name], list(zip(budgets, row)), STYLES[name]) for name, row in values.items() if name in NAMES
    ]
    return line_chart(
        title=title, x_label="budget (tokens)", y_label=y_label, series=lines, band=band, logarithmic=logarithmic
    )
