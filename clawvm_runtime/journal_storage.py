"""Where the journal's records live: in memory, or in an append-only file that survives a crash.

====================  ==========================================================================
JournalStorage        the seam: read all records once, append some at the end, make them durable
MemoryJournalStorage  keeps the records in a list
FileJournalStorage    one canonical JSON line per record; a torn last line is cut off when opened
====================  ==========================================================================

One test suite runs over both. Source: paper, writeback journal; ``docs/journal.md``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.errors import JournalCorruptError, JournalError

__all__ = ["HEADER", "FileJournalStorage", "JournalStorage", "MemoryJournalStorage", "Record"]

Record = dict[str, Any]

HEADER: Record = {"format": "clawvm.journal", "record": "header", "version": 1}
"""The first record of every journal."""


class JournalStorage(Protocol):
    """Where the journal's records live."""

    def read(self) -> list[Record]:
        """Return every record that the storage held when it was opened, in order."""
        ...

    def append(self, records: Sequence[Record], *, durable: bool) -> None:
        """Append all of *records* or none; *durable* returns only when they would survive a crash."""
        ...

    def close(self) -> None:
        """Release what the storage holds; appending afterwards raises JournalError."""
        ...


class MemoryJournalStorage:
    """Keeps the records in a list: for replays, which need no durability."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._closed = False

    def read(self) -> list[Record]:
        """Return every record that was appended, in order."""
        return list(self._records)

    def append(self, records: Sequence[Record], *, durable: bool) -> None:
        """Append *records*."""
        if self._closed:
            raise JournalError("the journal is closed")
        self._records.extend(records)

    def close(self) -> None:
        """Refuse further appends."""
        self._closed = True


class FileJournalStorage:
    """Keeps one canonical JSON line per record in a file that one process at a time may write.

    Opening cuts off a torn last line (a crash in the middle of an append) and reports its bytes in ``torn_bytes``; a
    broken line anywhere else raises JournalCorruptError with its number. A failed append (full disk) is taken back, so
    that the file always ends with a whole record.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        self.path = Path(path)
        self.torn_bytes = 0
        self._durable = durable
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - held open until close()
        self._lock()
        self._records = self._recover()
        if durable:
            self._sync_directory()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # pragma: no cover - a system without POSIX locks; the caller keeps to one writer
            return
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise JournalError(f"{self.path.name}: another process is writing this journal") from None

    def _recover(self) -> list[Record]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        self.torn_bytes = len(content) - whole
        records = []
        try:
            # A journal torn in its first line is a part of the header; anything else is not ours to cut.
            if not whole and not canonical_json(HEADER).encode("ascii").startswith(content):
                raise JournalCorruptError(1, "is not a journal")
            for number, line in enumerate(content[:whole].splitlines(), start=1):
                records.append(_parse(line, number))
            if self.torn_bytes:
                self._file.truncate(whole)
        except BaseException:
            self._file.close()
            raise
        self._size = whole
        return records

    def _sync_directory(self) -> None:
        # A new file is durable only when its directory entry is.
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY)
        except OSError:  # pragma: no cover - systems that cannot open directories
            return
        try:
            os.fsync(descriptor)
        except OSError:  # pragma: no cover - file systems that cannot sync directories
            pass
        finally:
            os.close(descriptor)

    def read(self) -> list[Record]:
        """Return every record that the file held when it was opened; they are handed over, not kept."""
        records, self._records = self._records, []
        return records

    def append(self, records: Sequence[Record], *, durable: bool) -> None:
        """Append all of *records* or none; raises OSError when the disk refuses, JournalError when closed."""
        if self._file.closed:
            raise JournalError("the journal is closed")
        data = "".join(canonical_json(record) + "\n" for record in records).encode("ascii")
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if durable and self._durable:
                os.fsync(self._file.fileno())
        except BaseException:  # An interrupt in the middle of a write leaves half a record just as a full disk does.
            self._take_back()
            raise
        self._size += len(data)

    def _take_back(self) -> None:
        try:
            self._file.truncate(self._size)
        except OSError:
            # The file may end in half a record now: nothing may be appended behind it. Opening it again repairs it.
            self._file.close()

    def close(self) -> None:
        """Make everything durable and close the file."""
        if not self._file.closed:
            if self._durable:
                os.fsync(self._file.fileno())
            self._file.close()


def _parse(line: bytes, number: int) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise JournalCorruptError(number, f"not JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("record"), str):
        raise JournalCorruptError(number, "not a journal record")
    return record
