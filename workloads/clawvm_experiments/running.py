"""Running: every cell of every experiment that is not done yet, through any executor, into files of rows.

Rows are on disk before they count, so a run that ends at any point can be resumed. Rows made by other code are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
    "check_resumable",
    "digest_of",
    "end_record",
    "header_record",
    "row_path",
    "row_record",
    "run_plan",
    "source_digest",
]

FORMAT_NAME = "clawvm.experiment_rows"
FORMAT_VERSION = 2

_PACKAGES = (
    "clawvm_runtime",
    "clawvm_replay",
    "clawvm_oracle",
    "clawvm_workloads",
    "clawvm_transcripts",
    "clawvm_experiments",
)
"""The packages that take part in a result."""

Rows = dict[str, list[Row]]
"""The rows of each experiment, in the order of its cells."""

Progress = Callable[[int, int, str], None]


@cache
def source_digest() -> str:
    """Return the SHA-256 over every module that takes part in a result, in a fixed order."""
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
    """The rows of one experiment in one file, appended as they come.

    ``rows`` maps cell ids to rows. With *resume* an existing file is continued, without it the file starts empty.
    Raises InputError when the file cannot be used, is in use, or belongs to other code or other cells.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self.rows, kept = self.read(path, header) if resume and path.exists() else ({}, 0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            _lock(self._descriptor, path)
            os.ftruncate(self._descriptor, kept)
            os.lseek(self._descriptor, kept, os.SEEK_SET)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
        if not kept:
            self._append(header_record(header))

    @staticmethod
    def read(path: Path, header: Mapping[str, Any]) -> tuple[dict[str, Row], int]:
        """Return the rows of a file, finished or not, and the length of its whole records but the end in bytes.

        Raises InputError when the file is not what *header* says, TraceError with the line of what is no row.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
        rows: dict[str, Row] = {}
        kept, ended = 0, False
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            record = _parsed(line)
            if number == 1:
                if record != header_record(header):
                    raise InputError(f"{path}: holds rows of other code or other cells")
            elif ended:
                raise TraceError(str(path), number, "a record after the end record")
            elif record == end_record(len(rows)):
                ended = True
                continue
            elif _is_row(record) and record["cell"] not in rows:
                rows[record["cell"]] = record["row"]
            else:
                raise TraceError(str(path), number, "is no row of a cell")
            kept += len(line) + 1
        return rows, kept

    def _append(self, record: Mapping[str, Any]) -> None:
        rest = memoryview((canonical_json(record) + "\n").encode("ascii"))
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def add(self, cell_id: str, row: Mapping[str, Any]) -> None:
        """Append the row of a finished cell."""
        self._append(row_record(cell_id, row))
        # This run goes on with what a resumed one would read, down to the order of the keys.
        self.rows[cell_id] = json.loads(canonical_json(row))

    def finish(self) -> None:
        """Append the end record."""
        self._append(end_record(len(self.rows)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


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


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and record.get("record") == "row"
        and isinstance(record.get("cell"), str)
        and isinstance(record.get("row"), dict)
    )


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

    def header(self, experiment_id: str) -> dict[str, Any]:
        """Return what the header of a row file says: the experiment, and the digests of the code and of its cells."""
        cells = [[cell.id, cell.parameters] for cell in self.cells[experiment_id]]
        return {
            "cells": hashlib.sha256(canonical_json(cells).encode("ascii")).hexdigest(),
            "code": source_digest(),
            "experiment": experiment_id,
        }


def row_path(folder: Path, experiment_id: str) -> Path:
    """Return where the rows of an experiment lie."""
    return folder / f"{experiment_id}.rows.jsonl"


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    resume: bool,
    executor: Executor | None,
    progress: Progress,
    seconds: dict[str, float] | None = None,
) -> Rows:
    """Run the cells that have no row in *folder* yet, and return the rows of all.

    *seconds* gets the processor time of each experiment added. Raises InputError for what cannot be resumed or written.
    """
    with _row_files(plan, folder, resume=resume) as files:
        work = [
            (item, cell)
            for item in plan.experiments
            for cell in plan.cells[item.id]
            if cell.id not in files[item.id].rows
        ]
        total = sum(map(len, plan.cells.values()))
        done = total - len(work)
        for index, result in completed(_run, [(item.run_cell, cell) for item, cell in work], executor):
            item, cell = work[index]
            row, taken = _checked(result, item.id, cell)
            files[item.id].add(cell.id, row)
            if seconds is not None:
                seconds[item.id] = seconds.get(item.id, 0.0) + taken
            done += 1
            progress(done, total, f"{item.id} {cell.id}")
        for file in files.values():
            file.finish()
        return {name: [files[name].rows[cell.id] for cell in cells] for name, cells in plan.cells.items()}


@contextmanager
def _row_files(plan: Plan, folder: Path, *, resume: bool) -> Iterator[dict[str, RowFile]]:
    if resume:
        check_resumable(plan, folder)
    with ExitStack() as stack:
        files = {}
        for item in plan.experiments:
            file = RowFile(row_path(folder, item.id), plan.header(item.id), resume=resume)
            stack.callback(file.close)
            files[item.id] = file
        yield files


def check_resumable(plan: Plan, folder: Path) -> None:
    """Raise InputError unless the files of rows in *folder* are an interrupted run of this plan."""
    paths = {row_path(folder, name): name for name in plan.cells}
    for path in sorted({*paths, *folder.glob("*.rows.jsonl")}):
        if path not in paths:
            raise InputError(f"{path}: was part of the interrupted run; resume with the same --experiments")
        if path.exists():
            rows, _ = RowFile.read(path, plan.header(paths[path]))
            foreign = sorted(set(rows) - {cell.id for cell in plan.cells[paths[path]]})
            if foreign:
                raise InputError(f"{path}: holds a row of {foreign[0]!r}, which is no cell of this run")


def _checked(result: Any, experiment_id: str, cell: Cell) -> tuple[Row, float]:
    """Return what ``_run`` returned; an executor that somebody else wrote may have returned anything."""
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], dict) and isinstance(result[1], float):
        return result
    raise InputError(f"the executor returned no row for {experiment_id} {cell.id}: {result!r:.80}")


def _run(work: tuple[Callable[[Cell], Row], Cell]) -> tuple[Row, float]:
    """Run one cell, here or in a worker; the processor time goes to the file of timings only."""
    run_cell, cell = work
    begin = time.process_time()
    row = run_cell(cell)
    return row, time.process_time() - begin
