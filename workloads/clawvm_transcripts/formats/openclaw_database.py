"""OpenClaw's database: ``~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite``, the same entries in rows.

Facts (openclaw 2026.9.6, docs/reference/database-schemas): the table ``transcript_events`` holds ``session_id``,
``seq`` and the entry in ``event_json``, the header first. From schema 23 on an entry of 1 KiB or more may stand in
``event_zstd`` instead, compressed with Zstandard. Sessions in cold storage are in files of their own, not read here.

Tables are found by what their rows hold, so a table of another name serves as well: one session per value of the
column that names the session, in the order in which their first rows were written; without such a column, one session
per table. A line is a row of the session. The file is opened as it is: what stands only in the write-ahead log beside a
running agent's database is not read.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart
from clawvm_transcripts.formats import Format, Head, session_events
from clawvm_transcripts.formats.pi import PiReader, in_family
from clawvm_transcripts.reading import MAXIMUM_LINE, parsed

__all__ = ["OPENCLAW_DATABASE"]

MAGIC = b"SQLite format 3\0"

SAMPLE = 64
"""Rows of a column that are looked at to find the entries."""

SEQUENCE_NAMES = frozenset({"event_seq", "position", "seq", "sequence"})
"""Names of a column that gives the order of a session's rows; else the order of writing counts."""

DATABASE_ERRORS = (sqlite3.Error, ValueError, MemoryError)
"""What a damaged database may raise: names and messages that are no text give a ValueError, absurd sizes the last."""

COMPRESSED = "event_zstd"
"""The column of compressed entries."""

ZSTANDARD_MODULES = ("compression.zstd", "backports.zstd")
"""The first is in the standard library from Python 3.14 on."""

NO_ZSTANDARD = "a row compressed with Zstandard; to read it, use Python 3.14 or later, or: pip install backports.zstd"

WINDOW_BITS = 24
"""Zstandard takes a window of so many bits of memory; the longest entry fits into it."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Where entries are: names in quotes, as they stand in a query; ``session`` is "NULL" where no column names it."""

    name: str
    entry: str
    compressed: str
    session: str
    sequence: str


def _recognizes(head: Head) -> bool:
    return head.start.startswith(MAGIC)


def _read(stream: BinaryIO) -> Iterator[Event]:
    location = Path(stream.name).absolute().as_uri() + "?mode=ro&immutable=1"
    found, damaged = False, ""
    try:
        with closing(sqlite3.connect(location, uri=True)) as database:
            # Damaged text is met by the reader of lines, in the same way as in files.
            database.text_factory = bytes
            for table in _tables(database):
                for session in _sessions(database, table):
                    found = True
                    yield from _session(database, table, session)
    except DATABASE_ERRORS:
        damaged = "the database is damaged"
    if damaged or not found:
        yield SessionStart()
        yield Broken(0, damaged or "the database holds no rows of a session")
        yield SessionEnd(0)


def _tables(database: sqlite3.Connection) -> list[_Table]:
    names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [table for name in names for table in _table(database, _quoted(name))]


def _table(database: sqlite3.Connection, name: str) -> list[_Table]:
    """Return the table if its rows hold entries."""
    try:
        columns = [row[1].decode("utf-8", "replace") for row in database.execute(f"PRAGMA table_info({name})")]
        entry = next((column for column in columns if _holds_entries(database, name, _quoted(column))), None)
    except DATABASE_ERRORS:
        return []  # A table of an extension that is not here, or one without row ids.
    if entry is None:
        return []
    session = next((column for column in columns if "session" in column.lower()), None)
    sequence = next((column for column in columns if column.lower() in SEQUENCE_NAMES), None)
    return [
        _Table(
            name,
            _quoted(entry),
            _quoted(COMPRESSED) if COMPRESSED in columns else "NULL",
            "NULL" if session is None else _quoted(session),
            "rowid" if sequence is None else _quoted(sequence),
        )
    ]


def _holds_entries(database: sqlite3.Connection, table: str, column: str) -> bool:
    query = f"SELECT rowid, {_bounded(column)} FROM {table} WHERE typeof({column}) = 'text' LIMIT {SAMPLE}"
    for _, content in database.execute(query):
        records = parsed((content or b"").decode("utf-8", "replace").strip())
        if in_family(Head(b"", tuple(record for record in records if isinstance(record, dict)))):
            return True
    return False


def _sessions(database: sqlite3.Connection, table: _Table) -> list[object]:
    query = f"SELECT {table.session} AS session FROM {table.name} GROUP BY session ORDER BY MIN(rowid)"
    return [row[0] for row in database.execute(query)]


def _session(database: sqlite3.Connection, table: _Table, session: object) -> Iterator[Event]:
    query = (
        f"SELECT {_bounded(table.entry)}, {table.compressed} FROM {table.name}"
        f" WHERE {table.session} IS ? ORDER BY {table.sequence}, rowid"
    )
    name = session.decode("utf-8", "replace") if isinstance(session, bytes) else session
    return session_events(_records(database.execute(query, (name,))), PiReader())


def _records(rows: sqlite3.Cursor) -> Iterator[tuple[int, dict[str, Any] | Broken | None]]:
    """Yield the rows of one session as ``json_records`` yields lines."""
    number = 0
    while True:
        number += 1
        try:
            row = rows.fetchone()
            if row is None:
                return
            content = _decompressed(row[1]) if row[0] is None and row[1] is not None else row[0]
        except _NotReadError as error:
            yield number, Broken(number, str(error))
            continue
        except DATABASE_ERRORS:
            yield number, Broken(number, "the database is damaged from this row on")
            return
        if content is None:
            yield number, Broken(number, f"a row without text, or longer than {MAXIMUM_LINE} characters")
            continue
        text = content.decode("utf-8", "replace").strip()
        for record in parsed(text) if text else ():
            yield number, Broken(number, record) if isinstance(record, str) else record


class _NotReadError(Exception):
    """A compressed row is not read; the message says why."""


def _decompressed(content: Any) -> bytes:
    """Return the bytes in a Zstandard frame, in memory bounded by ``MAXIMUM_LINE``."""
    zstandard = _zstandard()
    if zstandard is None:
        raise _NotReadError(NO_ZSTANDARD)
    decompressor = zstandard.ZstdDecompressor(options={zstandard.DecompressionParameter.window_log_max: WINDOW_BITS})
    try:
        entry = bytes(decompressor.decompress(content, MAXIMUM_LINE + 1))
    except (TypeError, zstandard.ZstdError):
        raise _NotReadError("a compressed row that is damaged") from None
    if len(entry) > MAXIMUM_LINE or not decompressor.eof:
        raise _NotReadError(f"a compressed row that is cut off, or longer than {MAXIMUM_LINE} bytes")
    return entry


def _zstandard() -> Any:
    """Return the module that decompresses Zstandard, None where there is none."""
    for name in ZSTANDARD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _bounded(column: str) -> str:
    return f"CASE WHEN typeof({column}) = 'text' AND length({column}) <= {MAXIMUM_LINE} THEN {column} END"


def _quoted(name: str | bytes) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return '"' + text.replace('"', '""') + '"'


OPENCLAW_DATABASE = Format("openclaw-database", "OpenClaw database", _recognizes, _read, needs_path=True)
