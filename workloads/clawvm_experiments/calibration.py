"""Calibration of the workload families: our means beside the published Table 4, what must hold, and a search.

=============  ===========================================================================================
Figure         a calibrated mean: ours, published, the gap between them
Prediction     a published number that took no part in the choice of a constant
COMMITTED      the shapes in use, by family
measure        every cell of the four families with given shapes, under the published policies
calibrated     the figures that the shapes were chosen by
loss           how far these figures are from the published ones
complaints     what shapes break of what no calibration may break
predictions    Compaction-Hybrid at the smallest budget, and Table 6
search         a deterministic coordinate search over ranges of the shapes' constants
=============  ===========================================================================================

Only constants of the families' shapes may move: policies, weights and counting rules are out of reach here.
``docs/workloads.md`` tells what was calibrated, and what was not.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_replay.published import (
    FAULT_FREE,
    HYBRID_BUDGET,
    HYBRID_FAULTS,
    TABLE_4,
    TABLE_6,
    TABLE_6_BUDGET,
    TOLERANCE,
)
from clawvm_replay.replay import replay_trace
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS

__all__ = [
    "COMMITTED",
    "SEARCHED",
    "Figure",
    "Prediction",
    "Ranges",
    "Rows",
    "Shapes",
    "calibrated",
    "complaints",
    "loss",
    "measure",
    "predictions",
    "removals",
    "search",
    "with_values",
]

Shapes = Mapping[str, Any]
"""The shape of each family, by the family's name."""

Rows = Mapping[str, Sequence[CellMetrics]]
"""The cells of each policy, by its id."""

Ranges = Mapping[str, Mapping[str, Sequence[Any]]]
"""The values that a search may give to a constant, by family and field."""

COMMITTED: Shapes = MappingProxyType({name: family.shape for name, family in FAMILIES.items()})

SEARCHED = ("retrieval", "retrieval_cache", "compaction_hybrid", "clawvm")
"""Where they show no fault, LRU and Oracle count what ClawVM counts: a search need not replay them."""

_FAULTS_OF_FAMILY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "evidence_heavy": ("refetch", "duplicate_tool"),
        "long_horizon": ("post_compaction_bootstrap", "pinned_invariant_miss", "flush_miss"),
        "multi_session": ("flush_miss", "post_compaction_bootstrap", "refetch"),
        "daily_assistant": ("silent_recall", "duplicate_tool"),
    }
)
"""The faults that a family exists for: Retrieval shows each of them at the smallest budget."""

_KINDS_OF_REMOVAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pointer_resolution": ("duplicate_tool", "refetch"),
        "writeback_at_compaction": ("flush_miss",),
        "auto_pin": ("post_compaction_bootstrap", "pinned_invariant_miss"),
        "writeback_at_reset": ("flush_miss",),
        "upgrade_scoring": (),
        "prefetch": (),
    }
)
"""The only kinds of fault that removing a feature from ClawVM may bring; the first of them it has to bring."""

_PUBLISHED_KINDS = ("post_compaction_bootstrap", "flush_miss", "duplicate_tool", "refetch")
"""The kinds for which the published Table 6 has a column."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over the 24 cells of a policy, beside the published one."""

    policy: str
    quantity: str
    ours: float
    published: float

    @property
    def gap(self) -> float:
        """The relative gap; where 0 is published, everything but 0 is infinitely far."""
        if self.published == 0:
            return 0.0 if self.ours == 0 else math.inf
        return self.ours / self.published - 1

    @property
    def within_tolerance(self) -> bool:
        """Whether the gap is at most ``TOLERANCE``."""
        return abs(self.gap) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class Prediction:
    """A published number of faults that took no part in the choice of a constant."""

    name: str
    ours: int
    published: int


@cache
def _family_rows(name: str, shape: Any, policy_ids: tuple[str, ...]) -> Mapping[str, tuple[CellMetrics, ...]]:
    traces = [FAMILIES[name](budget, shape) for budget in PAPER_BUDGETS]
    return {policy_id: tuple(replay_trace(trace, POLICIES[policy_id]) for trace in traces) for policy_id in policy_ids}


def measure(shapes: Shapes, policy_ids: Sequence[str] = tuple(TABLE_4)) -> Rows:
    """Return the 24 cells of each policy, family by family and budget by budget."""
    parts = [_family_rows(name, shape, tuple(policy_ids)) for name, shape in shapes.items()]
    return {policy_id: [row for part in parts for row in part[policy_id]] for policy_id in policy_ids}


def calibrated(rows: Rows) -> list[Figure]:
    """Return the mean faults and the mean thrash index of every policy in *rows*, beside Table 4."""
    figures = []
    for policy_id, cells in rows.items():
        published = TABLE_4[policy_id]
        faults = math.fsum(row.explicit_faults for row in cells) / len(cells)
        thrash = math.fsum(row.thrash_index for row in cells) / len(cells)
        figures.append(Figure(policy_id, "mean faults", faults, published.mean_faults))
        figures.append(Figure(policy_id, "thrash index", thrash, published.thrash_index))
    return figures


def loss(rows: Rows) -> float:
    """Return the sum of the squared relative gaps of the calibrated figures."""
    return math.fsum(figure.gap**2 for figure in calibrated(rows))


def removals(shapes: Shapes) -> dict[str, Counter[str]]:
    """Return the faults by kind of ClawVM without one feature, at 180 tokens, summed over the families."""
    traces = [FAMILIES[name](TABLE_6_BUDGET, shape) for name, shape in shapes.items()]
    result = {}
    for feature_id in _KINDS_OF_REMOVAL:
        policy = POLICIES["clawvm"].without(FEATURES[feature_id])
        counts: Counter[str] = Counter()
        for trace in traces:
            row = replay_trace(trace, policy)
            counts.update({kind: getattr(row, kind) for kind in FAULT_FIELDS})
        result[feature_id] = +counts
    return result


def complaints(shapes: Shapes, rows: Rows) -> list[str]:
    """Return what *shapes*, whose cells are *rows*, break of what no calibration may break, one line each."""
    return [*_broken_cells(rows), *_lost_stories(rows), *_impure_removals(shapes)]


def _broken_cells(rows: Rows) -> Iterator[str]:
    """Turns that no policy could serve, faults of a complete policy, thrash that follows the budget."""
    for policy_id, cells in rows.items():
        for row in cells:
            where = f"{row.workload} at {row.budget}, {policy_id}"
            if row.pressure_turns:
                yield f"{where}: {row.pressure_turns} turns under pressure"
            if policy_id in FAULT_FREE and row.explicit_faults:
                yield f"{where}: {row.explicit_faults} faults"
        if policy_id in FAULT_FREE:
            for name in dict.fromkeys(row.workload for row in cells):
                if len({row.thrash_index for row in cells if row.workload == name}) > 1:
                    yield f"{name}, {policy_id}: the thrash index depends on the budget"


def _lost_stories(rows: Rows) -> Iterator[str]:
    for row in rows["retrieval"]:
        if row.budget == PAPER_BUDGETS[0]:
            for kind in _FAULTS_OF_FAMILY[row.workload]:
                if not getattr(row, kind):
                    yield f"{row.workload}: no {kind}, which the family exists for"
    for row in rows["compaction_hybrid"]:
        if (row.workload, row.budget) == ("long_horizon", PAPER_BUDGETS[0]) and not row.post_compaction_bootstrap:
            yield f"{row.workload}: a compaction of today's harnesses leaves the instructions in place"


def _impure_removals(shapes: Shapes) -> Iterator[str]:
    for feature_id, counts in removals(shapes).items():
        kinds = _KINDS_OF_REMOVAL[feature_id]
        if kinds and not counts[kinds[0]]:
            yield f"without {feature_id}: no {kinds[0]}, which the feature prevents"
        for kind in sorted(counts.keys() - set(kinds)):
            yield f"without {feature_id}: {counts[kind]} {kind}"


def predictions(shapes: Shapes, rows: Rows) -> list[Prediction]:
    """Return the published numbers that are no part of the loss: Compaction-Hybrid at 120 tokens, and Table 6."""
    cells = [row for row in rows["compaction_hybrid"] if row.budget == HYBRID_BUDGET]
    result = []
    for field, published in HYBRID_FAULTS.items():
        name = f"Compaction-Hybrid at {HYBRID_BUDGET}: {field.replace('_', ' ')}"
        result.append(Prediction(name, sum(getattr(row, field) for row in cells), published))
    for feature_id, counts in removals(shapes).items():
        name = f"ClawVM at {TABLE_6_BUDGET} without {FEATURES[feature_id].name}"
        # The published table has no column for pinned misses and silent recalls.
        result.append(Prediction(name, sum(counts[kind] for kind in _PUBLISHED_KINDS), TABLE_6[feature_id].total))
    return result


def with_values(shapes: Shapes, values: Mapping[str, Mapping[str, Any]]) -> Shapes:
    """Return *shapes* with the named fields of the named families replaced."""
    return {name: dataclasses.replace(shape, **values.get(name, {})) for name, shape in shapes.items()}


def search(start: Shapes, ranges: Ranges, report: Callable[[str], None]) -> Shapes:
    """Return the shapes at which no single constant can move within its range and lower the loss.

    Families and fields are tried in the order of *ranges*, the values of a range from left to right. A value is taken
    if it lowers the loss and nothing in ``complaints`` speaks against it. Nothing is random: one start has one end.
    *report* gets a line for every value taken.
    """
    shapes = start
    best = loss(measure(shapes, SEARCHED))
    moved = True
    while moved:
        moved = False
        for name, fields in ranges.items():
            for field, values in fields.items():
                for value in values:
                    tried = with_values(shapes, {name: {field: value}})
                    rows = measure(tried, SEARCHED)
                    found = loss(rows)
                    # The margin keeps two values of equal loss from taking turns for ever.
                    if found < best - 1e-9 and not complaints(tried, rows):
                        shapes, best, moved = tried, found, True
                        report(f"{best:.6f} {name}.{field} = {value}")
    return shapes
