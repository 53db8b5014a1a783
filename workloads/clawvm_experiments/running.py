"""Running: every cell of every experiment that is not done yet, through any executor, into files of rows.

==============  ================================================================================
Plan            which experiments, quick or full, and the cells of each
run_plan        run what is missing; rows go to disk as they come
check_resumable whether what lies in a folder can be gone on with
collect         the rows of finished shards, each cell exactly once
Usage           processor time per experiment, for the file of timings
==============  ================================================================================
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_experiments.row_store import RowFile, Shard
from clawvm_experiments.source_digest import source_digest
from clawvm_replay.errors import InputError
from clawvm_replay.execution import completed
from clawvm_runtime.canonical import canonical_json

__all__ = ["Plan", "Rows", "Usage", "check_resumable", "collect", "row_path", "run_plan"]

Rows = dict[str, list[Row]]
"""The rows of each experiment, in the order of its cells."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds that the cells of each experiment took in this run."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, experiment_id: str, seconds: float) -> None:
        """Add the time of one cell."""
        self.seconds[experiment_id] = self.seconds.get(experiment_id, 0.0) + seconds


@dataclass(frozen=True, slots=True)
class Plan:
    """Which experiments run, quick or full, and the cells of each."""

    quick: bool
    experiments: tuple[Experiment, ...]
    cells: dict[str, tuple[Cell, ...]]

    @classmethod
    def of(cls, experiments: Sequence[Experiment], quick: bool) -> Plan:
        """Return the plan for these experiments."""
        return cls(quick, tuple(experiments), {item.id: tuple(item.cells(quick)) for item in experiments})

    def part(self, shard: Shard | None) -> dict[str, list[Cell]]:
        """Return the cells of each experiment that belong to a shard; None is all of them."""
        chosen: dict[str, list[Cell]] = {item.id: [] for item in self.experiments}
        work = [(name, cell) for name in self.cells for cell in self.cells[name]]
        for experiment_id, cell in work if shard is None else shard.part_of(work):
            chosen[experiment_id].append(cell)
        return chosen

    def header(self, experiment_id: str, shard: Shard | None = None) -> dict[str, Any]:
        """Return what the header of a row file says: experiment, shard, and the digests of code and own cells."""
        cells = [[cell.id, cell.parameters] for cell in self.part(shard)[experiment_id]]
        return {
            "cells": hashlib.sha256(canonical_json(cells).encode("ascii")).hexdigest(),
            "code": source_digest(),
            "experiment": experiment_id,
            "shard": [1, 1] if shard is None else [shard.number, shard.count],
        }

    def ordered(self, rows: dict[str, dict[str, Row]]) -> Rows:
        """Return the rows of each experiment in the order of its cells; every cell must be there."""
        return {name: [rows[name][cell.id] for cell in cells] for name, cells in self.cells.items()}


def row_path(folder: Path, experiment_id: str, shard: Shard | None) -> Path:
    """Return where the rows of an experiment's shard lie."""
    part = "" if shard is None else f".shard-{shard.number:04d}-of-{shard.count:04d}"
    return folder / f"{experiment_id}{part}.rows.jsonl"


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    shard: Shard | None,
    resume: bool,
    executor: Executor | None,
    progress: Progress,
    usage: Usage,
) -> dict[str, dict[str, Row]]:
    """Run the cells of *shard* that have no row in *folder* yet; return all rows of the shard by cell id.

    Rows are on disk before they count: a run that is interrupted at any point can be resumed.
    """
    wanted = plan.part(shard)
    with _row_files(plan, folder, shard, resume=resume) as files:
        missing = [(name, cell) for name, cells in wanted.items() for cell in cells if cell.id not in files[name].rows]
        run_cell = {item.id: item.run_cell for item in plan.experiments}
        work = [(run_cell[name], cell) for name, cell in missing]
        total = sum(map(len, wanted.values()))
        done = total - len(work)
        for index, result in completed(_run, work, executor):
            name, cell = missing[index]
            row, seconds = _checked(result, name, cell)
            files[name].add(cell.id, row)
            usage.add(name, seconds)
            done += 1
            progress(done, total, f"{name} {cell.id}")
        for file in files.values():
            file.finish()
        return {name: file.rows for name, file in files.items()}


@contextmanager
def _row_files(plan: Plan, folder: Path, shard: Shard | None, *, resume: bool) -> Iterator[dict[str, RowFile]]:
    if resume:
        check_resumable(plan, folder, shard)
    with ExitStack() as stack:
        files = {}
        for item in plan.experiments:
            file = RowFile(row_path(folder, item.id, shard), plan.header(item.id, shard), resume=resume)
            stack.callback(file.close)
            files[item.id] = file
        yield files


def check_resumable(plan: Plan, folder: Path, shard: Shard | None) -> None:
    """Raise InputError unless the files of rows in *folder* are an interrupted run of this plan and shard."""
    wanted = plan.part(shard)
    for item in plan.experiments:
        path = row_path(folder, item.id, shard)
        if path.exists():
            _refuse_foreign(path, RowFile.read(path, plan.header(item.id, shard)), wanted[item.id])
    if shard is None:
        known = {row_path(folder, item.id, None).name for item in plan.experiments}
        others = sorted(path.name for path in folder.glob("*.rows.jsonl") if path.name not in known)
        if others:
            raise InputError(
                f"{folder / others[0]}: was part of the interrupted run; resume with the same --experiments"
            )


def _refuse_foreign(path: Path, rows: Iterable[str], cells: Sequence[Cell]) -> None:
    foreign = sorted(set(rows) - {cell.id for cell in cells})
    if foreign:
        raise InputError(f"{path}: holds a row of {foreign[0]!r}, which is no cell of this shard")


def _checked(result: Any, experiment_id: str, cell: Cell) -> tuple[Row, float]:
    """Return what ``_run`` returned; an executor that somebody else wrote may have handed on anything."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], dict) and isinstance(result[1], float):
        return result
    raise InputError(f"the executor returned no row for {experiment_id} {cell.id}: {result!r:.80}")


def _run(work: tuple[Callable[[Cell], Row], Cell]) -> tuple[Row, float]:
    """Run one cell wherever this is called; the time goes to the file of timings only."""
    run_cell, cell = work
    begin = time.process_time()
    row = run_cell(cell)
    return row, time.process_time() - begin


def collect(plan: Plan, folders: Sequence[Path]) -> dict[str, dict[str, Row]]:
    """Return the rows of all shards that lie in *folders*, by experiment and cell id.

    Raises InputError when a shard is missing, unfinished, there twice, or made by other code.
    """
    rows: dict[str, dict[str, Row]] = {item.id: {} for item in plan.experiments}
    for shard, found in _shards(plan, folders).items():
        wanted = plan.part(shard)
        for name, path in found.items():
            finished = RowFile.finished(path, plan.header(name, shard))
            _refuse_foreign(path, finished, wanted[name])
            rows[name].update(finished)
    for name, cells in plan.cells.items():
        missing = [cell.id for cell in cells if cell.id not in rows[name]]
        if missing:
            raise InputError(f"{name}: no shard holds the row of cell {missing[0]!r} ({len(missing)} missing)")
    return rows


def _shards(plan: Plan, folders: Sequence[Path]) -> dict[Shard, dict[str, Path]]:
    """Return the row files of each shard; all of them belong to one division into shards."""
    found: dict[Shard, dict[str, Path]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.shard-*-of-*.rows.jsonl")):
            experiment_id, _, part = path.name.removesuffix(".rows.jsonl").partition(".shard-")
            number, _, count = part.partition("-of-")
            if experiment_id not in plan.cells or not (number.isdecimal() and count.isdecimal()):
                raise InputError(f"{path}: belongs to no experiment of this merge")
            files = found.setdefault(Shard(int(number), int(count)), {})
            if experiment_id in files:
                raise InputError(f"{path}: this shard is there twice; the other is {files[experiment_id]}")
            files[experiment_id] = path
    counts = sorted({shard.count for shard in found})
    if not counts:
        raise InputError(f"{', '.join(map(str, folders))}: no file of a shard (*.shard-*-of-*.rows.jsonl)")
    if len(counts) > 1:
        raise InputError(f"shards of different divisions: of {counts[0]} and of {counts[1]}")
    for shard in (Shard(number, counts[0]) for number in range(1, counts[0] + 1)):
        absent = [name for name in plan.cells if name not in found.get(shard, {})]
        if absent:
            raise InputError(f"shard {shard.number} of {shard.count} is missing for {absent[0]}")
    return found
