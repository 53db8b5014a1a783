"""The rows of one experiment on disk: appended as they come, read back by a resumed run or by a merge.

============  ==============================================================================================
Shard         which part of the cells a run has to do: part i of n
RowFile       one file of rows: a header, a line per finished cell, an end record once all are there
*_record      the records of such a file as plain data
============  ==============================================================================================

A run that is killed leaves whole lines and at most one torn one at the end; a resumed run drops the torn line and goes
on. The header names the code and the shard's own cells by a digest, so that rows of other code are never taken for
these. A file that is open is locked, where the system has locks.

Schema: ``schemas/experiment-rows.schema.json``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError, TraceError
from clawvm_runtime.canonical import canonical_json

__all__ = ["RowFile", "Shard", "end_record", "header_record", "row_record"]

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
