"""Compare two sweeps cell by cell.

=============  ====================================================================
differences    one line for every field of every cell that is not the same in both
=============  ====================================================================
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from clawvm_replay.execution import completed, executor_named, in_order
from clawvm_replay.metrics import DIGITS, FAULT_FIELDS, PRICE_MODELS, CellMetrics
from clawvm_replay.published import CONFIGURATIONS, TABLE_4
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import Policy

__all__ = ["Cell", "CellOutcome", "Summary", "differences", "run_cell", "sweep"]


# --- Tier 2: a sweep over independent cells, one per workload, budget and policy.

FORMAT_NAME = "clawvm.sweep_summary"
FORMAT_VERSION = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """A trace and a policy; the budget is the trace's own."""

    trace: Trace
    policy: Policy

    @property
    def name(self) -> str:
        """The cell's name in paths and messages."""
        header = self.trace.header
        return f"{header.workload}-b{header.budget:04d}-{self.policy.id}"


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What a cell gave: its metrics, and its decision trace as canonical JSON lines."""

    name: str
    metrics: CellMetrics
    decisions: bytes


def run_cell(cell: Cell) -> CellOutcome:
    """Replay one cell; depends on nothing but the cell."""
    lines: list[str] = []
    decisions = DecisionTrace(lambda event: lines.append(canonical_json(event)))
    metrics = replay_trace(cell.trace, cell.policy, decisions=decisions)
    return CellOutcome(cell.name, metrics, ("\n".join(lines) + "\n").encode("ascii"))


def sweep(cells: Sequence[Cell], jobs: int = 1, executor: Executor | None = None) -> Iterator[CellOutcome]:
    """Yield the outcome of every cell, in the order of *cells*, whatever the number of jobs.

    With *executor* it does the work; otherwise *jobs* processes do.
    """
    if executor is not None:
        yield from in_order(completed(run_cell, cells, executor))
        return
    with executor_named("process", jobs) as processes:
        yield from in_order(completed(run_cell, cells, processes))


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), DIGITS)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


class Summary:
    """Rows with their oracle gap and aggregates per policy, as data, CSV and JSON.

    The oracle is the first policy of the sweep that looks ahead; without one the gaps are None.
    """

    def __init__(self, rows: Iterable[CellMetrics], policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        metrics = tuple(rows)
        oracle = next((policy.id for policy in self.policies if policy.horizon), None)
        reference = {(row.workload, row.budget): row for row in metrics if row.policy == oracle}
        self.rows = [self._row(row, reference.get((row.workload, row.budget))) for row in metrics]

    @staticmethod
    def _row(row: CellMetrics, oracle: CellMetrics | None) -> dict[str, Any]:
        record = row.to_record()
        record["oracle_gap"] = None if oracle is None else row.explicit_faults - oracle.explicit_faults
        record["oracle_gap_page_in_tokens"] = None if oracle is None else row.page_in_tokens - oracle.page_in_tokens
        return record

    def of_policy(self, policy_id: str) -> list[dict[str, Any]]:
        """Return the rows of one policy."""
        return [row for row in self.rows if row["policy"] == policy_id]

    def aggregate(self, policy: Policy) -> dict[str, Any]:
        """Return the means and totals of one policy over its cells, with the published row beside them."""
        rows = self.of_policy(policy.id)
        published = TABLE_4.get(policy.id)
        return {
            "policy": policy.id,
            "name": policy.name,
            "cells": len(rows),
            "successful_cells": sum(row["success"] for row in rows),
            "total_explicit_faults": sum(row["explicit_faults"] for row in rows),
            "mean_explicit_faults": _mean([row["explicit_faults"] for row in rows]),
            "mean_thrash_index": _mean([row["thrash_index"] for row in rows]),
            "faults_by_kind": {kind: sum(row[kind] for row in rows) for kind in FAULT_FIELDS},
            "mean_alerts": _mean([row["alerts"] for row in rows]),
            "mean_hits": _mean([row["hits"] for row in rows]),
            "mean_page_in_tokens": _mean([row["page_in_tokens"] for row in rows]),
            "mean_level_at_demand": _mean_of_known([row["mean_level_at_demand"] for row in rows]),
            "mean_share_served_at_full": _mean_of_known([row["share_served_at_full"] for row in rows]),
            "mean_budget_use": _mean([row["mean_budget_use"] for row in rows]),
            "mean_prefix_reuse": _mean([row["prefix_reuse"] for row in rows]),
            "mean_prompt_cost": _mean([row["prompt_cost"] for row in rows]),
            "mean_oracle_gap": _mean_of_known([row["oracle_gap"] for row in rows]),
            "pressure_turns": sum(row["pressure_turns"] for row in rows),
            "published": None
            if published is None
            else {
                "cells": CONFIGURATIONS,
                "mean_explicit_faults": published.mean_faults,
                "total_explicit_faults": published.total_faults,
                "mean_thrash_index": published.thrash_index,
            },
        }

    def aggregates(self) -> list[dict[str, Any]]:
        """Return the aggregate of every policy, in the order of the sweep."""
        return [self.aggregate(policy) for policy in self.policies]

    def to_record(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """Return the summary as plain JSON data."""
        return {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "configuration": configuration,
            "price_model": _price_record(),
            "aggregates": self.aggregates(),
            "rows": self.rows,
        }

    def to_csv(self) -> str:
        """Return the rows as CSV; an empty field means that the number does not exist for the cell."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({name: _csv_value(value) for name, value in row.items()})
        return text.getvalue()


def _csv_value(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (bool, float)) else value


def _price_record() -> dict[str, Any]:
    prices = PRICE_MODELS["default"]
    return {
        "name": prices.name,
        "cached_read": prices.cached_read,
        "write": prices.write,
        "plain": prices.plain,
    }


# --- Compare two sweeps cell by cell.


def differences(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Yield what differs between two summaries: cells that only one has, then fields that differ, in order."""
    ours, theirs = _by_cell(first), _by_cell(second)
    for cell in ours:
        if cell not in theirs:
            yield f"{_name(cell)}: only in the first"
    for cell in theirs:
        if cell not in ours:
            yield f"{_name(cell)}: only in the second"
    for cell, row in ours.items():
        other = theirs.get(cell)
        if other is None:
            continue
        for field in sorted(row.keys() | other.keys()):
            if row.get(field) != other.get(field):
                yield f"{_name(cell)}: {field}: {row.get(field)} -> {other.get(field)}{_change(row, other, field)}"


_Key = tuple[str, int, str]


def _by_cell(summary: dict[str, Any]) -> dict[_Key, dict[str, Any]]:
    return {(row["workload"], row["budget"], row["policy"]): row for row in summary["rows"]}


def _name(cell: _Key) -> str:
    workload, budget, policy = cell
    return f"{workload} at {budget}, {policy}"


def _change(row: dict[str, Any], other: dict[str, Any], field: str) -> str:
    before, after = row.get(field), other.get(field)
    if isinstance(before, bool) or not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return ""
    return f" ({after - before:+g})"
