"""Tier 2: a sweep over independent cells, one per workload, budget and policy; its summary; two sweeps compared."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from clawvm_replay.execution import completed, executor_named, in_order
from clawvm_replay.metrics import DIGITS, FAULT_FIELDS, PRICE_MODELS, CellMetrics
from clawvm_replay.published import CONFIGURATIONS, TABLE_4
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import Policy

__all__ = ["UNSERVED_FIELDS", "CellOutcome", "SweepCell", "SweepSummary", "differences", "run_cell", "sweep"]

FORMAT_NAME = "clawvm.sweep_summary"
FORMAT_VERSION = 2


@dataclass(frozen=True, slots=True)
class SweepCell:
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
    """The results of a cell: its metrics, and its decision trace as canonical JSON lines."""

    name: str
    metrics: CellMetrics
    decisions: bytes


def run_cell(cell: SweepCell) -> CellOutcome:
    """Replay one cell; depends on nothing but the cell."""
    lines: list[str] = []
    decisions = DecisionTrace(lambda event: lines.append(canonical_json(event)))
    metrics = replay_trace(cell.trace, cell.policy, decisions=decisions)
    return CellOutcome(cell.name, metrics, ("\n".join(lines) + "\n").encode("ascii"))


def sweep(cells: Sequence[SweepCell], jobs: int = 1, executor: Executor | None = None) -> Iterator[CellOutcome]:
    """Yield the outcome of every cell, in the order of *cells*, computed by *executor* or by *jobs* processes."""
    with nullcontext(executor) if executor is not None else executor_named("process", jobs) as worker:
        yield from in_order(completed(run_cell, cells, worker))


UNSERVED_FIELDS = (
    "unmet_demands",
    "pressure_turns",
    "pressure_faults",
    "below_floor_turns",
    "plan_below_floor_turns",
)
"""Columns of a row that keep a zero of explicit faults from being read as a success; an aggregate sums them."""


class SweepSummary:
    """Rows with their oracle gap, and an aggregate per policy, as data, CSV and JSON.

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
        """Return the means and totals of one policy over its cells, and the published row of the same policy."""
        rows = self.of_policy(policy.id)

        def total(field: str) -> int:
            return sum(row[field] for row in rows)

        def mean(field: str) -> float | None:
            known = [row[field] for row in rows if row[field] is not None]
            return round(math.fsum(known) / len(known), DIGITS) if known else None

        published = TABLE_4.get(policy.id)
        return {
            "policy": policy.id,
            "name": policy.name,
            "cells": len(rows),
            "successful_cells": total("success"),
            "served_cells": total("served"),
            "total_explicit_faults": total("explicit_faults"),
            "mean_explicit_faults": mean("explicit_faults"),
            "mean_thrash_index": mean("thrash_index"),
            "faults_by_kind": {kind: total(kind) for kind in FAULT_FIELDS},
            "mean_alerts": mean("alerts"),
            "mean_hits": mean("hits"),
            "mean_page_in_tokens": mean("page_in_tokens"),
            "mean_level_at_demand": mean("mean_level_at_demand"),
            "mean_share_served_at_full": mean("share_served_at_full"),
            "mean_budget_use": mean("mean_budget_use"),
            "mean_prefix_reuse": mean("prefix_reuse"),
            "mean_prompt_cost": mean("prompt_cost"),
            "mean_oracle_gap": mean("oracle_gap"),
            **{field: total(field) for field in UNSERVED_FIELDS},
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
            "price_model": asdict(PRICE_MODELS["default"]),
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
