"""The writeback journal: staged -> validated -> committed; nothing is lost silently, nothing counts twice.

Staging appends and changes nothing else. A writeback validates the staged entries in journal order, each against what
the entries before it would commit, and makes the accepted ones effective with a single commit record: a crash before
that record leaves them staged, a crash after it leaves them committed.

Format: ``schemas/journal.schema.json``. Source: paper, writeback protocol; ``docs/journal.md``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.errors import JournalCorruptError, JournalError
from clawvm_runtime.updates import Rejection, Update, destroys, merged
from clawvm_runtime.vocabulary import RejectCode

__all__ = [
    "Check",
    "CommittedField",
    "EntryStatus",
    "FileJournalStorage",
    "Journal",
    "JournalEntry",
    "JournalStorage",
    "MemoryJournalStorage",
    "Writeback",
]
__all__ += ["MemoryJournalStorage", "Writeback"]

MAXIMUM_DEPTH = 100
"""How deep the value of an update may be nested: what is staged must be readable again under any call stack."""

Record = dict[str, Any]

HEADER: Record = {"format": "clawvm.journal", "record": "header", "version": 1}
"""The first record of every journal."""


class JournalStorage(Protocol):
    """Where the journal's records live."""

    def read(self) -> list[Record]:
        """Return every record that the storage held when it was opened, in order."""

    def append(self, records: Sequence[Record], *, durable: bool) -> None:
        """Append all of *records* or none; *durable* returns only when they would survive a crash."""

    def close(self) -> None:
        """Release what the storage holds; appending afterwards raises JournalError."""


class MemoryJournalStorage:
    """Keeps the records in a list: for replays, which need no durability.

    >>> storage = MemoryJournalStorage()
    >>> entry = Journal(storage).stage(Update("plan", "step", "append", "x", scope="session", evidence_ref="plan"))
    >>> [record["record"] for record in storage.read()]
    ['header', 'staged']
    """

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

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = os.path.join(folder.name, "memory.jsonl")
    >>> journal = Journal(FileJournalStorage(path))
    >>> entry = journal.stage(Update("plan", "step", "append", "x", scope="session", evidence_ref="plan"))
    >>> journal.close()
    >>> journal = Journal(FileJournalStorage(path))
    >>> journal.staged == (entry,)
    True
    >>> journal.close()
    >>> folder.cleanup()
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
        # A new file is durable only when its directory entry is. Some systems cannot open or sync directories.
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
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


class EntryStatus(str, Enum):
    """What became of a staged update."""

    STAGED = "staged"
    COMMITTED = "committed"
    REJECTED = "rejected"
    LOST = "lost"  # A boundary destroyed it before a writeback ran.


@dataclass(slots=True)
class JournalEntry:
    """One staged update and what became of it."""

    sequence: int
    update: Update
    status: EntryStatus = EntryStatus.STAGED
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class CommittedField:
    """The last committed version and value of one (page, field); version 0 means never committed."""

    version: int = 0
    value: Any = None


@dataclass(frozen=True, slots=True)
class Writeback:
    """What one run of ``write_back`` did; ``commit`` is None when nothing was accepted.

    ``overwrote`` holds the committed entries that destroyed a committed value unseen, which validation never lets pass.
    """

    commit: int | None = None
    committed: tuple[JournalEntry, ...] = ()
    rejected: tuple[JournalEntry, ...] = ()
    overwrote: tuple[JournalEntry, ...] = ()


Check = Callable[[Update, int, Any], Rejection | None]

_NEVER_COMMITTED = CommittedField()


class Journal:
    """Stages updates and commits them; with a file storage it survives a crash.

    >>> journal = Journal()
    >>> entry = journal.stage(Update("plan", "step", "append", ["tests pass"], scope="session", evidence_ref="plan"))
    >>> journal.write_back(check=None).commit
    1
    >>> journal.committed("plan", "step")
    CommittedField(version=1, value=['tests pass'])
    """

    def __init__(self, storage: JournalStorage | None = None) -> None:
        self._storage: JournalStorage = MemoryJournalStorage() if storage is None else storage
        self._entries: list[JournalEntry] = []
        self._staged: dict[int, JournalEntry] = {}
        self._by_update_id: dict[str, JournalEntry] = {}
        self._fields: dict[tuple[str, str], CommittedField] = {}
        self._committed_of_page: dict[str, list[JournalEntry]] = {}
        self._commits = 0
        records = self._storage.read()
        if records:
            self._recover(records)
        else:
            self._storage.append([HEADER], durable=False)

    @property
    def entries(self) -> tuple[JournalEntry, ...]:
        """Every entry in journal order, O(entries)."""
        return tuple(self._entries)

    @property
    def staged(self) -> tuple[JournalEntry, ...]:
        """The entries that wait for a writeback, in journal order."""
        return tuple(self._staged.values())

    def count(self, status: EntryStatus) -> int:
        """Return how many entries have this status, O(entries)."""
        return sum(entry.status is status for entry in self._entries)

    def committed(self, page_id: str, field: str) -> CommittedField:
        """Return the last committed version and value of (page, field)."""
        return self._fields.get((page_id, field), _NEVER_COMMITTED)

    def committed_fields(self, page_id: str) -> dict[str, Any]:
        """Return the committed value of every field of a page, by field name, O(fields of all pages)."""
        return {field: item.value for (page, field), item in sorted(self._fields.items()) if page == page_id}

    def committed_entries(self, page_id: str) -> tuple[JournalEntry, ...]:
        """Return the committed entries of a page, in the order of their commits."""
        return tuple(self._committed_of_page.get(page_id, ()))

    def expected_version(self, page_id: str, field: str) -> int:
        """Return the version that (page, field) has once everything staged for it is committed."""
        waiting = sum((entry.update.page_id, entry.update.field) == (page_id, field) for entry in self.staged)
        return self.committed(page_id, field).version + waiting

    def stage(self, update: Update) -> JournalEntry:
        """Append one update; see ``stage_all``."""
        return self.stage_all([update])[0]

    def stage_all(self, updates: Iterable[Update]) -> tuple[JournalEntry, ...]:
        """Append all of *updates* or none, and change nothing else.

        An ``update_id`` that waits or was committed returns the entry that it has; one that was rejected or lost may be
        staged again.

        Raises JournalError when the update is no JSON data or its page and field are no names, OSError when the storage
        refuses. Validation reports everything else that is wrong with it.
        """
        entries: list[JournalEntry] = []
        records: list[Record] = []
        known = dict(self._by_update_id)
        for update in updates:
            plain = self._plain(update)
            entry = known.get(plain["update_id"]) if plain["update_id"] is not None else None
            if entry is None or entry.status in (EntryStatus.REJECTED, EntryStatus.LOST):
                sequence = len(self._entries) + len(records) + 1
                entry = JournalEntry(sequence, Update.from_record(plain))
                records.append({"record": "staged", "sequence": sequence, "update": plain})
                if plain["update_id"] is not None:
                    known[plain["update_id"]] = entry
            entries.append(entry)
        if records:
            self._storage.append(records, durable=False)
        for entry in entries:
            if entry.sequence > len(self._entries):
                self._add(entry)
        return tuple(entries)

    @staticmethod
    def _plain(update: Update) -> Record:
        """Return the update as a reader of the journal would get it; raises JournalError where it cannot be written.

        What the caller does to the value afterwards must not change the entry, hence a copy.
        """
        if not isinstance(update.page_id, str) or not isinstance(update.field, str):
            raise JournalError(f"an update names a page and a field, not {update.page_id!r} and {update.field!r}")
        if update.update_id is not None and not isinstance(update.update_id, str):
            raise JournalError(f"an update_id is a string, not {update.update_id!r:.80}")
        if _depth(update.value) > MAXIMUM_DEPTH:
            raise JournalError(f"update of page {update.page_id!r} is nested deeper than {MAXIMUM_DEPTH}")
        try:
            plain: Record = json.loads(canonical_json(update.to_record()))
        except (TypeError, ValueError, RecursionError) as error:
            raise JournalError(f"update of page {update.page_id!r} is no JSON data: {error}") from None
        return plain

    def _add(self, entry: JournalEntry) -> None:
        self._entries.append(entry)
        self._staged[entry.sequence] = entry
        if entry.update.update_id is not None:
            self._by_update_id[entry.update.update_id] = entry

    def write_back(self, check: Check | None, deferred: Collection[int] = ()) -> Writeback:
        """Validate everything staged and commit what passes behind one commit point; *deferred* entries go on waiting.

        *check* gets the update with the version and value that it would be applied to; None commits everything unseen,
        as a best-effort flush does. After an OSError nothing has changed: the entries are still staged.
        """
        if not self._staged:
            return Writeback()
        accepted: list[JournalEntry] = []
        overwrote: list[JournalEntry] = []
        rejected: list[tuple[JournalEntry, Rejection]] = []
        fields: dict[tuple[str, str], CommittedField] = {}
        for entry in self.staged:
            if entry.sequence in deferred:
                continue
            update = entry.update
            current = self._current(update, fields)
            rejection = check(update, current.version, current.value) if check is not None else None
            if rejection is not None:
                rejected.append((entry, rejection))
                continue
            self._apply(update, fields)
            accepted.append(entry)
            if current.version and destroys(update, current.version):
                overwrote.append(entry)
        records: list[Record] = [
            {"code": rejection.code.value, "detail": rejection.detail, "record": "rejected", "sequence": entry.sequence}
            for entry, rejection in rejected
        ]
        records += ({"record": "validated", "sequence": entry.sequence} for entry in accepted)
        if accepted:
            sequences = [entry.sequence for entry in accepted]
            records.append({"commit": self._commits + 1, "record": "commit", "sequences": sequences})
        if records:
            self._storage.append(records, durable=True)
        for entry, rejection in rejected:
            self._reject(entry, rejection)
        commit = self._commit(accepted, fields) if accepted else None
        return Writeback(commit, tuple(accepted), tuple(entry for entry, _ in rejected), tuple(overwrote))

    def _current(self, update: Update, pending: Mapping[tuple[str, str], CommittedField]) -> CommittedField:
        """Return the field that *update* would be applied to, after the *pending* ones."""
        return pending.get((update.page_id, update.field), self.committed(update.page_id, update.field))

    def _apply(self, update: Update, pending: dict[tuple[str, str], CommittedField]) -> None:
        current = self._current(update, pending)
        value = merged(update.operation, current.value, update.value)
        pending[update.page_id, update.field] = CommittedField(current.version + 1, value)

    def _reject(self, entry: JournalEntry, rejection: Rejection) -> None:
        entry.status, entry.rejection = EntryStatus.REJECTED, rejection
        del self._staged[entry.sequence]

    def _commit(self, entries: list[JournalEntry], fields: Mapping[tuple[str, str], CommittedField]) -> int:
        for entry in entries:
            entry.status = EntryStatus.COMMITTED
            del self._staged[entry.sequence]
            self._committed_of_page.setdefault(entry.update.page_id, []).append(entry)
        self._fields.update(fields)
        self._commits += 1
        return self._commits

    def abandon(self, boundary: str, deferred: Collection[int] = ()) -> tuple[JournalEntry, ...]:
        """Record that *boundary* destroyed everything staged but the *deferred* entries; return what is lost."""
        lost = tuple(entry for entry in self.staged if entry.sequence not in deferred)
        if lost:
            sequences = [entry.sequence for entry in lost]
            self._storage.append([{"boundary": boundary, "record": "lost", "sequences": sequences}], durable=True)
            self._lose(lost)
        return lost

    def _lose(self, entries: tuple[JournalEntry, ...]) -> None:
        for entry in entries:
            entry.status = EntryStatus.LOST
            del self._staged[entry.sequence]

    def _recover(self, records: list[Record]) -> None:
        """Bring a new journal to the state that its *records* describe."""
        header = records[0]
        if header.get("record") != "header" or header.get("format") != HEADER["format"]:
            raise JournalCorruptError(1, f"is not the header of a {HEADER['format']} file")
        if header.get("version") != HEADER["version"]:
            raise JournalCorruptError(1, f"unknown version {header.get('version')!r}; known: {HEADER['version']}")
        for line, record in enumerate(records[1:], start=2):
            try:
                self._redo(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise JournalCorruptError(line, f"broken {record['record']} record: {error}") from None

    def _redo(self, record: Record) -> None:
        kind = record["record"]
        if kind == "staged":
            if record["sequence"] != len(self._entries) + 1:
                raise ValueError(f"sequence {record['sequence']} is out of order")
            self._add(JournalEntry(record["sequence"], Update.from_record(record["update"])))
        elif kind == "validated":
            # Only the commit point makes it effective; without one the entry is still staged.
            self._waiting(record["sequence"])
        elif kind == "rejected":
            rejection = Rejection(RejectCode(record["code"]), record["detail"])
            self._reject(self._waiting(record["sequence"]), rejection)
        elif kind == "commit":
            if record["commit"] != self._commits + 1:
                raise ValueError(f"commit {record['commit']} is out of order")
            entries = [self._waiting(sequence) for sequence in record["sequences"]]
            fields: dict[tuple[str, str], CommittedField] = {}
            for entry in entries:
                self._apply(entry.update, fields)
            self._commit(entries, fields)
        elif kind == "lost":
            self._lose(tuple(self._waiting(sequence) for sequence in record["sequences"]))
        else:
            raise ValueError("unknown kind")

    def _waiting(self, sequence: int) -> JournalEntry:
        if sequence not in self._staged:
            raise ValueError(f"entry {sequence} is not staged")
        return self._staged[sequence]

    def close(self) -> None:
        """Close the storage."""
        self._storage.close()

    def _check(self) -> None:
        """Assert that every entry is in exactly one state and that versions count the commits of their field."""
        commits: dict[tuple[str, str], int] = {}
        for position, entry in enumerate(self._entries, start=1):
            assert entry.sequence == position, (position, entry)
            assert (entry.status is EntryStatus.STAGED) == (entry.sequence in self._staged), entry
            assert (entry.status is EntryStatus.REJECTED) == (entry.rejection is not None), entry
            if entry.status is EntryStatus.COMMITTED:
                key = (entry.update.page_id, entry.update.field)
                commits[key] = commits.get(key, 0) + 1
        assert commits == {key: item.version for key, item in self._fields.items()}, (commits, self._fields)


def _depth(value: Any) -> int:
    """Return how deep lists and objects are nested in *value*; stops counting above the maximum."""
    depth, level = 0, [value]
    while level and depth <= MAXIMUM_DEPTH:
        level = [
            child
            for item in level
            if isinstance(item, (dict, list, tuple))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth
