"""OpenClaw's database: ``~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite``, the entries of its sessions in rows.

Facts (openclaw 2026.9.6, docs/reference/database-schemas): the table ``transcript_events`` holds ``session_id``,
``seq`` and the entry in ``event_json``, the header first. From schema 23 on an entry of 1 KiB or more may be in
``event_zstd`` instead, compressed with Zstandard. Sessions in cold storage are in files of their own, not read here.

Sessions come in the order in which their first rows were written; a line is a row of the session. The file is opened as
it is: what is only in the write-ahead log of a running agent's database is not read.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from clawvm_transcripts import events
from clawvm_transcripts.formats import Format, Head, session_events
from clawvm_transcripts.formats.pi import PiReader
from clawvm_transcripts.reading import MAXIMUM_LINE, parsed

__all__ = ["OPENCLAW_DATABASE"]

MAGIC = b"SQLite format 3\0"

DATABASE_ERRORS = (sqlite3.Error, ValueError, MemoryError)
"""What a damaged database may raise: names and messages that are no text give a ValueError, absurd sizes the last."""

SESSIONS = "SELECT session_id FROM transcript_events GROUP BY session_id ORDER BY MIN(rowid)"

ROWS = f"""
SELECT CASE WHEN typeof(event_json) = 'text' AND length(event_json) <= {MAXIMUM_LINE} THEN event_json END, %s
FROM transcript_events WHERE session_id IS ? ORDER BY seq, rowid
"""

COMPRESSED = "event_zstd"

ZSTANDARD_MODULES = ("compression.zstd", "backports.zstd")
"""The first is in the standard library from Python 3.14 on."""

NO_ZSTANDARD = "a row compressed with Zstandard; to read it, use Python 3.14 or later, or: pip install backports.zstd"

WINDOW_BITS = 24
"""Zstandard takes a window of so many bits of memory; the longest entry fits into it."""


def _recognizes(head: Head) -> bool:
    return head.start.startswith(MAGIC)


def _read(stream: BinaryIO) -> Iterator[events.Event]:
    location = Path(stream.name).absolute().as_uri() + "?mode=ro&immutable=1"
    problem = "the database holds no rows of a session"
    try:
        with closing(sqlite3.connect(location, uri=True)) as database:
            # Damaged text is met by the reader of lines, in the same way as in files.
            database.text_factory = bytes
            columns = {row[1] for row in database.execute("PRAGMA table_info(transcript_events)")}
            rows = ROWS % (COMPRESSED if COMPRESSED.encode() in columns else "NULL")
            for (session,) in database.execute(SESSIONS).fetchall() if columns else ():
                name = session.decode("utf-8", "replace") if isinstance(session, bytes) else session
                problem = ""
                yield from session_events(_records(database.execute(rows, (name,))), PiReader())
    except DATABASE_ERRORS:
        problem = "the database is damaged"
    if problem:
        yield events.SessionStart()
        yield events.Broken(0, problem)
        yield events.SessionEnd(0)


def _records(rows: sqlite3.Cursor) -> Iterator[tuple[int, dict[str, Any] | events.Broken | None]]:
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
            yield number, events.Broken(number, str(error))
            continue
        except DATABASE_ERRORS:
            yield number, events.Broken(number, "the database is damaged from this row on")
            return
        if content is None:
            yield number, events.Broken(number, f"a row without text, or longer than {MAXIMUM_LINE} characters")
            continue
        text = content.decode("utf-8", "replace").strip()
        for record in parsed(text) if text else ():
            yield number, events.Broken(number, record) if isinstance(record, str) else record


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


OPENCLAW_DATABASE = Format("openclaw-database", "OpenClaw database", _recognizes, _read, needs_path=True)
