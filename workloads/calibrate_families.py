#!/usr/bin/env python3
"""Check or repeat the sizing of the four workload families.

Sized: the constants of the families' shapes (sizes in tokens, counts, schedules), against all three published tables at
once: the mean faults and the mean thrash index of Table 4 (6 policies, 4 families x 6 budgets), the four counts of
Table 6 that are not zero (one feature removed at 180 tokens), and the three of Compaction-Hybrid at 120 tokens. Not
touched: policies, weights, the engine, the harness, the counting rules.

    python3 workloads/calibrate_families.py
    python3 workloads/calibrate_families.py --search --jobs 2
    python3 workloads/calibrate_families.py --neighbours
    python3 workloads/calibrate_families.py --recordings CONVERTED

The check takes the committed constants; exit code 1 if a figure is further off than its tolerance or if they break what
no sizing may break. The search is random but repeatable: a seed always gives the same constants, with any number of
jobs; it prints them and writes no file. ``--neighbours`` tries the conclusions of the sensitivity experiment one step
away in each constant. ``--recordings`` takes the folder ``converted`` of a sessions run, or the output of a conversion,
and measures what bounds the constants.
"""

# ruff: noqa: E402 - a plain checkout has to find its own packages first

from __future__ import annotations

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [_ROOT, os.path.join(_ROOT, "replay_py"), os.path.join(_ROOT, "workloads")]

from clawvm_cli import start

PROGRAM = "calibrate_families.py"
if __name__ == "__main__":
    start(PROGRAM)

import dataclasses
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from clawvm_cli.common import Command, add_jobs_argument, execute, path_from, positive
from clawvm_cli.process import FAILED, OK
from clawvm_experiments.ablations import PREVENTS
from clawvm_experiments.counting_rules import Counts, metrics_counts, with_prompts
from clawvm_experiments.sensitivity_conclusions import CONCLUSIONS, CONDITIONS, FREE_FEATURES, OWN_KINDS, CountTable
from clawvm_experiments.sessions.traits import BOUNDS, recorded_compactions, recorded_traits, traits
from clawvm_replay.document import Block, Heading, Number, Paragraph, Table, markdown
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.execution import completed, executor_named, in_order
from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_replay.published import (
    CONFIGURATIONS,
    FAULT_FREE,
    HYBRID_BUDGET,
    HYBRID_FAULTS,
    TABLE_4,
    TABLE_6,
    TABLE_6_BUDGET,
    TOLERANCE,
    AblationRow,
    count_tolerance,
)
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES
from clawvm_workloads.families import COMMITTED_SIZING, PAPER_BUDGETS, SHAPED_FAMILIES, SIZINGS

Shapes = Mapping[str, Any]
"""The shape of each family, by the family's name."""

COMMITTED: Shapes = SIZINGS[COMMITTED_SIZING]

BASELINES = ("retrieval", "retrieval_cache", "compaction_hybrid")

FAULTS_OF_FAMILY = {
    "evidence_heavy": ("refetch", "duplicate_tool"),
    "long_horizon": ("post_compaction_bootstrap", "pinned_invariant_miss", "flush_miss"),
    "multi_session": ("flush_miss", "post_compaction_bootstrap", "refetch"),
    "daily_assistant": ("silent_recall", "duplicate_tool"),
}
"""The faults that a family exists for: Retrieval shows each of them at the smallest budget."""


# --- The published figures.


class Figure(NamedTuple):
    """A published number that the sizing aims at, and how far ours may be from it."""

    name: str
    published: float
    tolerance: float
    cells: int = 1
    """How many cells a mean is over."""


def _figures() -> Iterator[Figure]:
    for policy_id in (*BASELINES, "clawvm"):
        row, name = TABLE_4[policy_id], POLICIES[policy_id].name
        if policy_id not in FAULT_FREE:
            yield Figure(f"{name}: mean faults", row.mean_faults, TOLERANCE * row.mean_faults, CONFIGURATIONS)
        yield Figure(f"{name}: thrash index", row.thrash_index, TOLERANCE * row.thrash_index, CONFIGURATIONS)
    for feature_id, removal in TABLE_6.items():
        if removal.total:
            name = f"ClawVM at {TABLE_6_BUDGET} without {FEATURES[feature_id].name}"
            yield Figure(name, removal.total, count_tolerance(removal.total))
    for field, count in HYBRID_FAULTS.items():
        name = f"Compaction-Hybrid at {HYBRID_BUDGET}: {field.replace('_', ' ')}"
        yield Figure(name, count, count_tolerance(count))


FIGURES = tuple(_figures())
"""All numbers are sums over the families, so that a family is measured alone.

LRU and Oracle count what ClawVM counts where none has a fault, and that they have none is a condition.
"""


Totals = tuple[float, ...]


class FamilyMeasurement(NamedTuple):
    """What a family adds to each of ``FIGURES``, what of ``BOUNDS`` it shows, and what its shape breaks."""

    totals: Totals
    traits: Mapping[str, float]
    complaints: tuple[str, ...]


def measure(name: str, shape: Any, policy_ids: Sequence[str] = ("clawvm", *BASELINES)) -> FamilyMeasurement:
    """Return what a family of this *shape* adds to the figures.

    A shape that breaks a condition is not replayed further, and its totals are empty. Without LRU and Oracle in
    *policy_ids* their conditions are not tried.
    """
    traces = {budget: SHAPED_FAMILIES[name](budget, shape) for budget in PAPER_BUDGETS}
    ablated = traces[TABLE_6_BUDGET]
    found = traits(ablated.turns, TABLE_6_BUDGET)
    try:
        compactions = replay_trace(ablated, POLICIES["clawvm"]).compactions
    except TraceError as error:  # A schedule may edit a file in the turn in which it is first read.
        return FamilyMeasurement((), found, (str(error),))
    if compactions:
        found["turns per compaction"] = len(ablated.turns) / compactions
        found["transcript at a compaction, in budgets"] = shape.limit_in_budgets
    if broken := tuple(_implausible(name, found)):
        return FamilyMeasurement((), found, broken)
    rows: dict[str, list[CellMetrics]] = {}
    for policy_id in policy_ids:
        rows[policy_id] = [replay_trace(trace, POLICIES[policy_id]) for trace in traces.values()]
        if broken := tuple(_broken_by(policy_id, rows[policy_id])):
            return FamilyMeasurement((), found, broken)
    removed = {
        feature_id: replay_trace(ablated, POLICIES["clawvm"].without(FEATURES[feature_id])) for feature_id in TABLE_6
    }
    if compactions:
        lost = removed["writeback_at_compaction"].flush_miss
        found["pages with staged updates per compaction"] = lost / compactions
    if broken := (*_impure(name, removed), *_implausible(name, found)):
        return FamilyMeasurement((), found, broken)
    hybrid = next(row for row in rows["compaction_hybrid"] if row.budget == HYBRID_BUDGET)
    totals: list[float] = []
    for policy_id in (*BASELINES, "clawvm"):
        if policy_id not in FAULT_FREE:
            totals.append(sum(row.explicit_faults for row in rows[policy_id]))
        totals.append(math.fsum(row.thrash_index for row in rows[policy_id]))
    totals += [
        AblationRow.of_counts(removed[feature_id].to_record()).total
        for feature_id, published in TABLE_6.items()
        if published.total
    ]
    totals += [getattr(hybrid, field) for field in HYBRID_FAULTS]
    return FamilyMeasurement(tuple(totals), found, ())


# --- What no sizing may break.


def _broken_by(policy_id: str, rows: Sequence[CellMetrics]) -> Iterator[str]:
    """Yield what the cells of one family under one policy break."""
    smallest = next(row for row in rows if row.budget == PAPER_BUDGETS[0])
    for row in rows:
        where = f"{row.workload} at {row.budget}, {policy_id}"
        if row.pressure_turns:
            yield f"{where}: {row.pressure_turns} turns under pressure"
        if policy_id in FAULT_FREE and row.explicit_faults:
            yield f"{where}: {row.explicit_faults} faults"
    if policy_id in FAULT_FREE and len({row.thrash_index for row in rows}) > 1:
        yield f"{smallest.workload}, {policy_id}: the thrash index depends on the budget"
    if policy_id == "retrieval":
        for kind in FAULTS_OF_FAMILY[smallest.workload]:
            if not getattr(smallest, kind):
                yield f"{smallest.workload}: no {kind}, which the family exists for"
    hybrid_reads_on = (policy_id, smallest.workload) == ("compaction_hybrid", "long_horizon")
    if hybrid_reads_on and not smallest.post_compaction_bootstrap:
        yield "long_horizon: a compaction of today's harnesses leaves the instructions in place"


def _impure(name: str, removed: Mapping[str, CellMetrics]) -> Iterator[str]:
    """Yield the faults that a removed feature causes and does not exist to prevent."""
    for feature_id, row in removed.items():
        for kind in FAULT_FIELDS:
            if getattr(row, kind) and kind not in PREVENTS[feature_id]:
                yield f"{name} without {feature_id}: {getattr(row, kind)} {kind}"


def _implausible(name: str, found: Mapping[str, float]) -> Iterator[str]:
    """Yield the traits of a family that no recording shows."""
    for trait, value in found.items():
        low, high = BOUNDS[trait]
        if not low <= value <= high:
            yield f"{name}: {trait} {value:.3f}, recorded {low} to {high}"


# --- The search.

_INSTRUCTION = tuple(
    LevelCosts(3, *costs)
    for costs in ((6, 10, 17), (6, 10, 20), (8, 13, 22), (10, 16, 28), (12, 20, 33), (14, 22, 36), (16, 26, 42))
)
_RULE = tuple(LevelCosts(2, *costs) for costs in ((5, 8, 12), (6, 9, 14), (7, 10, 16), (8, 12, 18)))
_PLAN = tuple(LevelCosts(3, *costs) for costs in ((8, 13, 22), (9, 15, 24), (10, 16, 28)))
_PREFERENCE = (LevelCosts(1, 3, 6, 10), LevelCosts(2, 5, 9, 14))

RANGES: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "evidence_heavy": {
        "turns": range(96, 145, 8),
        # The stride of 5 has to reach every resource, so no multiple of 5.
        "resources": (7, 8, 9, 11, 12, 13, 14),
        "new_resource_every": (4, 5, 6, 8, 10),
        "front_turns": (2, 3, 4),
        "returns_per_turn": (0, 1, 2),
        "edit_every": (10, 12, 16, 20, 24),
        "finding_every": (6, 7, 8, 9, 10, 12, 14),
        "plans": (1, 2, 3, 4),
        "rules": (1, 2, 3, 4),
        "instructions": (1, 2, 3),
        "instruction": _INSTRUCTION,
        "constraint": _RULE,
        "plan": _PLAN,
        "transcript_per_turn": range(12, 39, 2),
        "limit_in_budgets": (3.2, 3.6, 4.0, 4.5, 5.0, 5.5, 6.0),
    },
    "long_horizon": {
        "turns": range(72, 145, 8),
        "rules_at": ((2,), (2, 25), (2, 11, 25), (2, 11, 25, 40), (2, 8, 14, 20, 26)),
        "rule_consulted_every": (10, 15, 20, 30),
        "plans": (1, 2, 3, 4),
        "step_update_every": (5, 6, 7, 8, 10, 12, 14),
        "chapter_every": (6, 8, 10, 12),
        "looked_at_again": (0, 1, 2, 3),
        "long_result_every": (8, 10, 12, 14, 16, 18, 20),
        "long_result": (60, 75, 90, 120),
        "instructions": (1, 2, 3),
        "instruction": _INSTRUCTION,
        "constraint": _RULE,
        "plan": _PLAN,
        "transcript_per_turn": range(12, 29, 2),
        "limit_in_budgets": (3.2, 3.6, 4.0, 4.5, 5.0),
    },
    "multi_session": {
        "sessions": (4, 5, 6),
        "turns_per_session": (8, 9, 10, 11, 12, 14),
        "returns_in": ((), (2,), (2, 4), (1, 3, 5), (1, 2, 4, 5)),
        "dirty_at_end": ((1, 3), (2, 3), (2, 4), (3, 4), (1, 2, 4), (1, 3, 4), (2, 3, 4)),
        "preferences": (2, 3, 4),
        "instructions": (1, 2, 3, 4),
        "instruction": _INSTRUCTION,
        "preference": _PREFERENCE,
        "transcript_per_turn": range(14, 41, 2),
        "limit_in_budgets": (1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 2.8),
    },
    "daily_assistant": {
        "turns": range(40, 97, 8),
        "preference_every": (6, 8, 10, 12, 16),
        "habit_every": (3, 4, 5, 6, 7, 8, 9, 10),
        "rules": (1, 2, 3, 4),
        "preferences": (2, 3, 4),
        "instructions": (1, 2, 3),
        "instruction": _INSTRUCTION,
        "constraint": _RULE,
        "preference": _PREFERENCE,
        "transcript_per_turn": range(10, 29, 2),
        "limit_in_budgets": (1.6, 2.0, 2.4, 2.8, 3.2, 3.6),
    },
}
"""What a search may move. The soft threshold and the summary are not in it: all families share one harness."""

Candidate = tuple[str, Any]
"""A family's name and a shape of it."""


def distances(totals: Totals) -> Iterator[float]:
    """Yield how far each total is off, in tolerances of its figure."""
    for figure, total in zip(FIGURES, totals, strict=True):
        yield (total / figure.cells - figure.published) / figure.tolerance


def loss(totals: Totals) -> float:
    """Return the sum over ``FIGURES`` of the distance in tolerances to the fourth power.

    So one figure outside its tolerance weighs more than several well inside.
    """
    return sum(_fourth_power(distance) for distance in distances(totals))


def _fourth_power(number: float) -> float:
    return number * number * (number * number)  # A power of floats may round otherwise on another machine.


def summed(parts: Iterable[Totals]) -> Totals:
    """Return the totals of a sizing: the families' own, added in their order."""
    return tuple(math.fsum(column) for column in zip(*parts, strict=True))


class Pool:
    """The valid shapes of each family that a search has measured, and what each adds to the figures."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"families {seed}")
        self._seen: set[Candidate] = set()
        self.shapes: dict[str, list[tuple[Any, Totals]]] = {name: [] for name in RANGES}

    def _pick(self, values: Sequence[Any], *, rather_first: bool = False) -> Any:
        """Return one of *values*, the first ones more often if so asked; the same on every version of Python."""
        number = self._random.random()
        return values[int((number * number if rather_first else number) * len(values))]

    def drawn(self, number: int) -> list[Candidate]:
        """Return up to *number* new shapes of each family with every constant drawn from its range."""
        drawn = []
        for name, fields in RANGES.items():
            for _ in range(number):
                values = {field: self._pick(values) for field, values in fields.items()}
                drawn.append((name, dataclasses.replace(COMMITTED[name], **values)))
        return self._new(drawn)

    def changed(self, number: int, best: Sequence[Shapes]) -> list[Candidate]:
        """Return up to *number* new shapes: one of *best*, the first more often, with one to four constants changed.

        A constant moves one step within its range, or to any value of it.
        """
        changed = []
        for _ in range(number):
            name = self._pick(tuple(RANGES))
            shape = self._pick(best, rather_first=True)[name]
            fields = [self._pick(tuple(RANGES[name])) for _ in range(self._pick((1, 1, 2, 2, 3, 4)))]
            values = {field: self._moved(RANGES[name][field], getattr(shape, field)) for field in fields}
            changed.append((name, dataclasses.replace(shape, **values)))
        return self._new(changed)

    def _moved(self, values: Sequence[Any], value: Any) -> Any:
        if self._pick((True, False)):
            return self._pick(values)
        place = values.index(value) + self._pick((-1, 1))
        return values[min(max(place, 0), len(values) - 1)]

    def _new(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        fresh = [item for item in dict.fromkeys(candidates) if item not in self._seen]
        self._seen.update(fresh)
        return fresh

    def measure(self, candidates: Sequence[Candidate], executor: Executor | None) -> None:
        """Measure *candidates* and keep the valid ones, in their order whoever measured them."""
        results = in_order(completed(_measured, candidates, executor))
        for (name, shape), measurement in zip(candidates, results, strict=True):
            if not measurement.complaints:
                self.shapes[name].append((shape, measurement.totals))

    def best(self, starts: int, number: int) -> list[tuple[float, Shapes]]:
        """Return up to *number* sizings of the pool with their losses, the lowest first.

        From each of *starts* random sizings, the best shape of one family for the others' takes turns until none moves.
        O(starts x size of the pool).
        """
        found: dict[tuple[Any, ...], tuple[float, Shapes]] = {}
        for _ in range(starts):
            chosen = {name: self._pick(shapes) for name, shapes in self.shapes.items()}
            lowest, moved = math.inf, True
            while moved:
                moved = False
                for name, shapes in self.shapes.items():
                    others = [totals for other, (_, totals) in chosen.items() if other != name]
                    value, place = _nearest([totals for _, totals in shapes], summed(others))
                    if value < lowest - 1e-9:
                        lowest, moved = value, True
                        chosen[name] = shapes[place]
            sizing = {name: shape for name, (shape, _) in chosen.items()}
            found[tuple(sizing.values())] = (lowest, sizing)
        return sorted(found.values(), key=lambda item: item[0])[:number]


def _nearest(choices: Sequence[Totals], rest: Totals) -> tuple[float, int]:
    """Return the lowest loss of one of *choices* added to *rest*, and its place: ``loss`` without its overhead."""
    scales = [1 / (figure.cells * figure.tolerance) for figure in FIGURES]
    missing = [figure.published * figure.cells - total for figure, total in zip(FIGURES, rest, strict=True)]
    columns = tuple(zip(missing, scales))
    lowest, found = math.inf, 0
    for place, totals in enumerate(choices):
        value = 0.0
        for total, (aim, scale) in zip(totals, columns):
            distance = (total - aim) * scale
            value += distance * distance * (distance * distance)
        if value < lowest:
            lowest, found = value, place
    return lowest, found


def _measured(candidate: Candidate) -> FamilyMeasurement:
    return measure(*candidate)


SEED, DRAWN, ROUNDS = 2, 400, 60
"""The search that found the committed constants: shapes drawn per family, then rounds of ``CHANGED`` changed ones."""

CHANGED, STARTS, KEPT = 64, 24, 8


def search(seed: int, drawn: int, rounds: int, executor: Executor | None, report: Callable[[str], None]) -> Shapes:
    """Return the sizing of the lowest loss that breaks nothing, by an evolutionary search.

    It measures *drawn* random shapes of each family, then *rounds* times changes those of the best sizings. A sizing is
    one shape for each family, chosen jointly from all that were measured. *report* gets a line for every lower loss.
    Raises InputError if a family has no valid shape, or no sizing is left.
    """
    pool = Pool(seed)
    pool.measure(pool.drawn(drawn), executor)
    if missing := [name for name, shapes in pool.shapes.items() if not shapes]:
        raise InputError(f"no valid shape of {', '.join(missing)} among {drawn}: draw more")
    best = pool.best(STARTS, KEPT)
    lowest = math.inf
    for number in range(rounds + 1):
        if number:
            pool.measure(pool.changed(CHANGED, [sizing for _, sizing in best]), executor)
            best = pool.best(STARTS, KEPT)
        if best[0][0] < lowest:
            lowest = best[0][0]
            report(f"round {number}: {lowest:.6f}")
    for _, sizing in best:
        if not complaints(sizing):
            return sizing
    raise InputError("every sizing that was found breaks something under LRU or the oracle: search on")


@cache
def _complete(name: str, shape: Any) -> FamilyMeasurement:
    return measure(name, shape, tuple(TABLE_4))


def complaints(shapes: Shapes) -> list[str]:
    """Return what *shapes* break of what no sizing may break, one line each; all six policies are tried."""
    return [line for name, shape in shapes.items() for line in _complete(name, shape).complaints]


def totals_of(shapes: Shapes) -> Totals:
    """Return the totals of a sizing that breaks nothing."""
    return summed(_complete(name, shape).totals for name, shape in shapes.items())


# --- The command.


def _search(seed: int, drawn: int, rounds: int, jobs: int) -> int:
    with executor_named("process", jobs) as executor:
        end = search(seed, drawn, rounds, executor, lambda line: print(line, file=sys.stderr, flush=True))
    found = [
        (name, field, str(getattr(end[name], field)), str(getattr(COMMITTED[name], field)))
        for name, fields in RANGES.items()
        for field in fields
    ]
    same = "They are" if end == COMMITTED else "They are not"
    blocks = [
        Heading(2, f"Constants found from seed {seed}"),
        Table.of(["family", "constant", "found", "committed"], found),
        Paragraph(f"{same} the committed ones."),
    ]
    print(markdown(blocks))
    return _check(end)


def _check(shapes: Shapes) -> int:
    """Print our numbers under *shapes* beside the published ones; return FAILED if one is too far off."""
    broken = complaints(shapes)
    if broken:
        print(markdown([Paragraph(f"BROKEN: {line}") for line in broken]), end="")
        return FAILED
    totals = totals_of(shapes)
    rows = [
        (figure.name, total / figure.cells if figure.cells > 1 else round(total), figure.published, distance)
        for figure, total, distance in zip(FIGURES, totals, distances(totals))
    ]
    near = [abs(distance) <= 1 + 1e-9 for *_, distance in rows]
    conditions = f"LRU, ClawVM and Oracle have no fault in {CONFIGURATIONS} cells, no turn is under pressure"
    blocks: list[Block] = [
        Heading(2, "Calibrated figures: ours and the published ones"),
        Table.of(
            ["figure", "ours", "published", "gap", "within 10 % or 1"],
            (
                (name, ours, published, Number(f"{ours / published - 1:+.1%}"), good)
                for (name, ours, published, _), good in zip(rows, near)
            ),
        ),
        Paragraph(
            f"{sum(near)} of {len(near)} figures are within their tolerance; the loss is {loss(totals):.6f}. Nothing "
            f"is broken: {conditions}, and without upgrade scoring or prefetch ClawVM has no fault."
        ),
    ]
    print(markdown(blocks), end="")
    return OK if all(near) else FAILED


MOST_NAMED = 4
"""How many neighbours a table names."""


def neighbours(shapes: Shapes) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield family, constant, value and shape for every step of one constant within its range."""
    for name, fields in RANGES.items():
        for field, values in fields.items():
            place = values.index(getattr(shapes[name], field))
            for near in (place - 1, place + 1):
                if 0 <= near < len(values):
                    yield name, field, values[near], dataclasses.replace(shapes[name], **{field: values[near]})


def family_counts(candidate: Candidate) -> list[Counts]:
    """Return the counts of a family that the conclusions of the sensitivity experiment are about."""
    name, shape = candidate
    clawvm = POLICIES["clawvm"]
    runs = [(budget, POLICIES[policy_id]) for policy_id in PAPER_POLICIES for budget in PAPER_BUDGETS]
    runs += [(TABLE_6_BUDGET, clawvm.without(FEATURES[feature])) for feature in (*OWN_KINDS, *FREE_FEATURES)]
    found = []
    for budget, policy in runs:
        metrics = replay_trace(SHAPED_FAMILIES[name](budget, shape), policy)
        found.append(with_prompts(metrics_counts(metrics), metrics))
    return found


def _near(candidate: Candidate) -> tuple[FamilyMeasurement, list[Counts]]:
    measurement = _complete(*candidate)
    return measurement, [] if measurement.complaints else family_counts(candidate)


def _neighbours(jobs: int) -> int:
    """Print which conclusions hold one step away from the committed constants."""
    steps = list(neighbours(COMMITTED))
    candidates = [*COMMITTED.items(), *((name, shape) for name, _, _, shape in steps)]
    with executor_named("process", jobs) as executor:
        results = list(in_order(completed(_near, candidates, executor)))
    committed = dict(zip(COMMITTED, results))
    tried, near = 0, 0
    broken: dict[str, list[str]] = {name: [] for name in CONCLUSIONS}
    for (family, field, value, _), (measurement, counts) in zip(steps, results[len(COMMITTED) :]):
        if measurement.complaints:
            continue
        tried += 1
        parts = {**committed, family: (measurement, counts)}
        totals = summed(part.totals for part, _ in parts.values())
        near += all(abs(distance) <= 1 + 1e-9 for distance in distances(totals))
        table = CountTable([item for _, items in parts.values() for item in items])
        for name, conclusion in CONCLUSIONS.items():
            if conclusion.judge(table).holds is False:
                broken[name].append(f"{family}.{field} = {value}")
    rows = [
        (conclusion.statement, name in CONDITIONS, len(broken[name]), "; ".join(broken[name][:MOST_NAMED]) or "none")
        for name, conclusion in CONCLUSIONS.items()
        if conclusion.judge(CountTable([item for _, items in committed.values() for item in items])).holds
    ]
    blocks: list[Block] = [
        Heading(2, "Conclusions one step away from the committed constants"),
        Paragraph(
            f"{tried} of {len(steps)} neighbours break no condition; {near} of them are within every tolerance too. "
            f"Conclusions that hold in the committed sizing, each with up to {MOST_NAMED} neighbours that break it:"
        ),
        Table.of(["conclusion", "condition", "broken by", "which"], rows),
    ]
    print(markdown(blocks), end="")
    return OK


def _at_180(name: str, shape: Any) -> CellMetrics:
    return replay_trace(SHAPED_FAMILIES[name](TABLE_6_BUDGET, shape), POLICIES["clawvm"])


def _recordings(converted: Path) -> int:
    """Print what the recordings below *converted* show, and the families; FAILED if one leaves the bounds."""
    recorded = recorded_traits(converted)
    families = {name: _complete(name, shape).traits for name, shape in COMMITTED.items()}
    rows = []
    inside = True
    for trait, (low, high) in BOUNDS.items():
        values = [found[trait] for found in recorded if trait in found]
        inside = inside and all(low <= value <= high for value in values)
        numbers = (min(values), median(values), max(values)) if values else (None, None, None)
        rows.append((trait, len(values), *numbers, *(found.get(trait) for found in families.values())))
    blocks: list[Block] = [
        Heading(2, f"{len(recorded)} recordings, and the families at {TABLE_6_BUDGET} tokens"),
        Table.of(["trait", "recordings", "least", "median", "most", *families], rows),
        Table.of(
            ["family", "turns", f"compactions at {TABLE_6_BUDGET} tokens", "most in so many recorded turns"],
            (
                (row.workload, row.turns, row.compactions, recorded_compactions(converted, row.turns))
                for row in (_at_180(name, shape) for name, shape in COMMITTED.items())
            ),
        ),
        Paragraph(f"{'No' if inside else 'At least one'} recording is outside the bounds of the search."),
    ]
    print(markdown(blocks), end="")
    return OK if inside else FAILED


def _arguments(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--search", action="store_true", help="repeat the search; writes no file")
    action.add_argument("--neighbours", action="store_true", help="try the conclusions one step away in each constant")
    action.add_argument("--recordings", type=path_from, metavar="CONVERTED", help="measure converted recordings")
    parser.add_argument("--seed", type=positive, default=SEED, metavar="N", help=f"of the search (default {SEED})")
    parser.add_argument(
        "--drawn", type=positive, default=DRAWN, metavar="N", help=f"shapes drawn per family (default {DRAWN})"
    )
    parser.add_argument(
        "--rounds", type=positive, default=ROUNDS, metavar="N", help=f"rounds of {CHANGED} changes (default {ROUNDS})"
    )
    add_jobs_argument(parser)


def _run(arguments: argparse.Namespace) -> int:
    chosen = {name: getattr(arguments, name) for name in ("seed", "drawn", "rounds")}
    if not arguments.search and chosen != {"seed": SEED, "drawn": DRAWN, "rounds": ROUNDS}:
        raise InputError("--seed, --drawn and --rounds are options of --search")
    if arguments.recordings:
        return _recordings(Path(arguments.recordings))
    if arguments.neighbours:
        return _neighbours(arguments.jobs)
    if arguments.search:
        return _search(arguments.seed, arguments.drawn, arguments.rounds, arguments.jobs)
    return _check(COMMITTED)


def main(argv: list[str] | None = None) -> int:
    """Check, search or measure, and return the exit code."""
    summary = "check or repeat the sizing of the four workload families"
    return execute(Command(_arguments, _run), PROGRAM, summary, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
