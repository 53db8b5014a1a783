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

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.execution import completed
from clawvm_runtime.canonical import canonical_json

__all__ = [
    "Plan",
    "RowFile",
    "Rows",
    "Shard",
    "Usage",
    "check_resumable",
    "collect",
    "digest_of",
    "end_record",
    "header_record",
    "row_path",
    "row_record",
    "run_plan",
    "source_digest",
]


# --- The digest of the code that makes results: rows of one code are never merged with rows of another.

_PACKAGES = (
    "clawvm_runtime",
    "clawvm_replay",
    "clawvm_oracle",
    "clawvm_workloads",
    "clawvm_transcripts",
    "clawvm_experiments",
)


@cache
def source_digest() -> str:
    """Return the SHA-256 over every module of the packages that take part in a result, in a fixed order."""
    roots = {}
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None, package
        roots[package] = Path(spec.origin).parent
    return digest_of(roots)


def digest_of(roots: Mapping[str, Path]) -> str:
    """Return the SHA-256 over the names and contents of every module below these folders, each under its package."""
    digest = hashlib.sha256()
    for package, root in roots.items():
        for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
            content = path.read_bytes()
            digest.update(f"{package}/{path.relative_to(root).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


# --- The rows of one experiment on disk: appended as they come, read back by a resumed run or by a merge.

FORMAT_NAME = "clawvm.experiment_rows"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Shard:
    """Part *number* (from 1) of *count*: every *count*-th item, so that long and short cells spread evenly."""

    number: int = 1
    count: int = 1

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """Return the shard that ``i/n`` names, for argparse."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= 10_000):
            raise argparse.ArgumentTypeError(f"must be i/n with 1 <= i <= n <= 10000, not {text!r:.80}")
        return cls(int(number), int(count))

    def part_of(self, items: Sequence[Any]) -> list[Any]:
        """Return the items that belong to this shard."""
        return list(items[self.number - 1 :: self.count])


def _lock(descriptor: int, path: Path) -> None:
    """Keep a second run out of a file of rows; raises InputError when another one has it."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InputError(f"{path}: another run is writing it") from None


def header_record(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first record of a file of rows."""
    return {"record": "header", "format": FORMAT_NAME, "version": FORMAT_VERSION, **header}


def row_record(cell_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a finished cell."""
    return {"record": "row", "cell": cell_id, "row": row}


def end_record(rows: int) -> dict[str, Any]:
    """Return the record that ends a file with this many rows."""
    return {"record": "end", "rows": rows}


class RowFile:
    """The rows of one experiment and shard in one file.

    ``rows`` maps cell ids to rows. With *resume* an existing file is continued, without it the file starts empty.
    Raises InputError when the file cannot be used or belongs to other code, other cells or another shard.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.is_complete = False
        self._header = header_record(header)
        kept = 0
        if resume and path.exists():
            kept = self._read()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            _lock(self._descriptor, path)
            os.ftruncate(self._descriptor, kept)
            os.lseek(self._descriptor, kept, os.SEEK_SET)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
        if not kept:
            self._append(self._header)

    @classmethod
    def read(cls, path: Path, header: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the rows of a file, finished or not; raises InputError when it is not what *header* says."""
        return cls._reading(path, header).rows

    @classmethod
    def finished(cls, path: Path, header: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the rows of a finished file; raises InputError when it is unfinished or not what *header* says."""
        file = cls._reading(path, header)
        if not file.is_complete:
            raise InputError(f"{path}: is not finished; run its shard again with --resume")
        return file.rows

    @classmethod
    def _reading(cls, path: Path, header: Mapping[str, Any]) -> RowFile:
        file = cls.__new__(cls)
        file.path = path
        file.rows = {}
        file.is_complete = False
        file._header = header_record(header)
        file._read()
        return file

    def _read(self) -> int:
        """Read what is there and return the length in bytes of its whole lines, an end record not counted."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read: {error.strerror or error}") from None
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.split(b"\n")[:-1]
        for number, line in enumerate(lines, start=1):
            self._take(number, line)
        return len(whole) - (len(lines[-1]) + 1 if self.is_complete else 0)

    def _take(self, number: int, line: bytes) -> None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if number == 1:
            if record != self._header:
                raise InputError(f"{self.path}: holds rows of other code, other cells or another shard")
        elif self.is_complete:
            raise TraceError(str(self.path), number, "a record after the end record")
        elif record == end_record(len(self.rows)):
            self.is_complete = True
        elif (
            isinstance(record, dict)
            and record.get("record") == "row"
            and isinstance(record.get("cell"), str)
            and isinstance(record.get("row"), dict)
            and record["cell"] not in self.rows
        ):
            self.rows[record["cell"]] = record["row"]
        else:
            raise TraceError(str(self.path), number, "is no row of a cell")

    def _append(self, record: Mapping[str, Any]) -> None:
        rest = memoryview((canonical_json(record) + "\n").encode("ascii"))
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def add(self, cell_id: str, row: Mapping[str, Any]) -> None:
        """Append the row of a finished cell."""
        # What a later run would read back is what this run goes on with, down to the order of the keys.
        self._append(row_record(cell_id, row))
        self.rows[cell_id] = json.loads(canonical_json(row))

    def finish(self) -> None:
        """Append the end record."""
        self._append(end_record(len(self.rows)))
        self.is_complete = True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


# --- Running: every cell of every experiment that is not done yet, through any executor, into files of rows.

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
