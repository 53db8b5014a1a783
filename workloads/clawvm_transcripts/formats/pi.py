"""The pi family: pi, OpenClaw and Oh My Pi keep JSON lines, a header and then entries that form a tree.

- pi: ``~/.pi/agent/sessions/<project>/<time>_<session>.jsonl`` (@mariozechner/pi-coding-agent 0.73.1)
- OpenClaw: ``~/.openclaw/agents/<agent>/sessions/<session>.jsonl``, later the rows of a database,
  ``~/.openclaw/agents/<agent>/agent/openclaw-agent.sqlite`` (openclaw 2026.9.6, docs/reference/database-schemas)
- Oh My Pi: ``~/.omp/agent/sessions/<project>/<time>_<session>.jsonl``

pi writes nothing that its descendants could not have written as well: a file of the family is pi's as long as nothing
in its first lines is theirs.
"""

from __future__ import annotations

import importlib
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from clawvm_transcripts import events
from clawvm_transcripts.formats import (
    HARNESS_LINE,
    Format,
    Head,
    Reader,
    count_of,
    images_of,
    line_format,
    names,
    object_of,
    session_events,
    text_of,
)
from clawvm_transcripts.formats.branches import ROOT, Branches
from clawvm_transcripts.reading import MAXIMUM_LINE, parsed

__all__ = ["OH_MY_PI", "OPENCLAW", "OPENCLAW_DATABASE", "PI"]

WITHOUT_USE = names(
    """
    credential_pin custom custom_message label mode_change model_change model_usage service_tier_change session_info
    thinking_level_change title title_change ttsr_injection
    """
)
"""Entry types without any lasting effect on memory."""

ROLES_WITHOUT_USE = names(
    """
    bashExecution branchSummary compactionSummary custom developer fileMention hookMessage pythonExecution
    """
)
"""Roles of messages that are no prompt, no answer and no result."""

MIRRORS = frozenset({"delivery-mirror", "gateway-injected"})
"""Models of provider ``openclaw`` that are none: the gateway's copy of a reply, or a note of its own."""

MOVES = frozenset({"branch_summary", "compaction", "message"})
"""Entry types that move the conversation to where they hang, as resets do; any other may hang anywhere."""

RESETS = {"reset": "reset", "reset_boundary": "start:clear"}
"""Entries from which on the model sees nothing older: OpenClaw's, and Oh My Pi's of ``/clear``."""


def _in_family(head: Head) -> bool:
    """Return whether a header or a message of the family is in the first lines, and no line of Factory Droid's."""
    family = any(_is_header(record) or _is_message(record) for record in head.records)
    return family and not any(map(_is_foreign, head.records))


def _is_foreign(record: dict[str, Any]) -> bool:
    """Return whether a line is one that the family never writes: it calls tools in blocks of another kind."""
    message = record.get("message")
    content = message.get("content") if record.get("type") == "message" and isinstance(message, dict) else None
    blocks = [block.get("type") for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    return record.get("type") == "session_start" or "tool_use" in blocks or "tool_result" in blocks


def _is_header(record: dict[str, Any]) -> bool:
    return (
        record.get("type") == "session"
        and isinstance(record.get("id"), str)
        and (isinstance(record.get("cwd"), str) or isinstance(record.get("timestamp"), str))
    )


def _is_message(record: dict[str, Any]) -> bool:
    message = record.get("message")
    return (
        record.get("type") == "message"
        and isinstance(record.get("timestamp"), str)
        and isinstance(message, dict)
        and isinstance(message.get("role"), str)
    )


class PiReader(Reader):
    """Reads the records of one session of pi, OpenClaw or Oh My Pi."""

    def __init__(self) -> None:
        self._branches = Branches()
        self._places: dict[str, int] = {}  # Of every entry by its id.
        # The first place that may come with every record of the file: version 1 names entries by number.
        self._numbered = array("Q")
        self._numbers: dict[str, int] = {}  # Of the records, by the ids of their entries.
        self._started = False
        self._session_id = ""
        self._forked = ""  # When the fork was made, while its copied entries may still be read.
        self._copies = False  # Whether any was read.

    def record(self, record: dict[str, Any]) -> Iterator[events.Event]:
        """Return the events of one record; raises ``RECORD_ERRORS`` before the conversation has moved."""
        kind = record["type"]
        self._numbered.append(self._branches.next)
        if kind == "session":
            yield from self._header(record)
        else:
            yield from self._body(kind, record)

    def _body(self, kind: Any, record: dict[str, Any]) -> Iterator[events.Event]:
        entry = text_of(record.get("id"))
        if entry and entry in self._places:
            yield events.Skipped("entry again", known=True)
            return
        if record.get("appendMode") == "side" and kind != "leaf":
            yield events.Skipped("entry outside the conversation", known=True)
            return
        if entry:
            self._numbers[entry] = len(self._numbered) - 1
        moves = kind in MOVES or kind in RESETS
        place = self._place(record, "targetId" if kind == "leaf" else "parentId")
        if not moves:
            # Such an entry may hang below any other without anything having been rewound.
            yield from self._entry(kind, record, entry)
            if entry:
                self._places[entry] = place
            return
        found = tuple(self._entry(kind, record, entry))
        yield from self._fork_behind(record.get("timestamp"))
        rewind = self._branches.go_to(place)
        if rewind.dropped:
            yield rewind
        self._branches.append()
        for event in found:
            yield self._placed(event, record)
        if entry:
            self._places[entry] = self._branches.here
        if kind == "reset":
            # OpenClaw hangs whatever comes later below the reset, even if it names an older parent.
            self._branches.set_barrier()

    def _placed(self, event: events.Event, record: dict[str, Any]) -> events.Event:
        """Remember where a result is; return the event, a compaction with what it kept."""
        if isinstance(event, events.RecordedResult):
            self._branches.add_result(event.call)
        elif isinstance(event, events.Compaction):
            event = replace(event, kept=self._kept(record))
            self._branches.compacted(event.kept)
        elif isinstance(event, events.Reset):
            self._branches.compacted()
        return event

    def finish(self) -> Iterator[events.Event]:
        """Return the fork of a file that holds nothing but copies."""
        if self._copies:
            yield events.Reset("start:fork")

    def _header(self, record: dict[str, Any]) -> Iterator[events.Event]:
        time = text_of(record.get("timestamp"))
        fork = bool(text_of(record.get("parentSession")) or text_of(record.get("branchedFrom")))
        if not self._started:
            self._started = True
            self._forked = time if fork else ""
            self._session_id = text_of(record.get("id"))
            yield events.SessionStart(self._session_id, "", text_of(record.get("cwd")), time)
            return
        same, self._session_id = record.get("id") == self._session_id, text_of(record.get("id"))
        # Ids are unique within one session only.
        self._branches, self._places, self._numbers = Branches(), {}, {}
        if fork or not same:
            yield events.Reset("start:fork" if fork else "other_session")
        else:
            yield events.Resume("start:resume")

    def _fork_behind(self, time: Any) -> Iterator[events.Event]:
        if not self._forked or not isinstance(time, str):
            return
        if time < self._forked:
            self._copies = True
            return
        if self._copies:
            yield events.Reset("start:fork")
        self._forked, self._copies = "", False

    def _place(self, record: dict[str, Any], field: str) -> int:
        """Return the place that *record* names under *field*; the current one where it names none that is open."""
        parent = record.get(field, "")
        place = ROOT if parent is None else self._places.get(text_of(parent))
        return self._branches.here if place is None or not self._branches.is_open(place) else place

    def _entry(self, kind: Any, record: dict[str, Any], entry: str) -> Iterator[events.Event]:
        if kind == "message":
            yield from _message(record["message"], entry)
        elif kind == "compaction":
            yield _compaction(record)
            words = text_of(record.get("summary"))
            if words:
                yield events.CompactionSummary(words)
        elif kind == "branch_summary":
            yield events.CompactionSummary(text_of(record["summary"]))
        elif kind == "session_init":
            yield events.Instruction("system", text_of(record["systemPrompt"]))
        elif kind in RESETS:
            yield events.Reset(RESETS[kind])
        else:
            yield events.Skipped(str(kind), known=kind == "leaf" or kind in WITHOUT_USE)

    def _kept(self, record: dict[str, Any]) -> tuple[str, ...]:
        """Return the calls whose results a compaction keeps: those from its first kept entry on."""
        number = self._numbers.get(text_of(record.get("firstKeptEntryId")), record.get("firstKeptEntryIndex"))
        if type(number) is int and 0 < number < len(self._numbered):
            return tuple(self._branches.results_since(self._numbered[number]))
        return ()


def _message(message: dict[str, Any], entry: str) -> Iterator[events.Event]:
    role = message["role"]
    if role == "assistant":
        yield from _assistant(message, entry)
    elif role == "user":
        words = _words(message["content"])
        if _written_by_harness(message):
            yield HARNESS_LINE
        elif words or images_of(message["content"]):
            yield events.Prompt(words)
        else:
            yield events.Skipped("prompt without words", known=True)
    elif role == "toolResult":
        yield events.RecordedResult(
            text_of(message.get("toolCallId")),
            _words(message["content"]),
            message.get("isError") is True,
            images=images_of(message["content"]),
        )
    else:
        yield events.Skipped(f"message/{role}", known=role in ROLES_WITHOUT_USE)


def _assistant(message: dict[str, Any], entry: str) -> Iterator[events.Event]:
    if message.get("provider") == "openclaw" and message.get("model") in MIRRORS:
        yield events.Skipped("reply written by the harness", known=True)
        return
    content = message["content"]
    yield events.AssistantMessage(_words(content), entry)
    usage = message.get("usage")
    if isinstance(usage, dict):
        fresh, cached, written, output = (
            count_of(usage.get(name)) or 0 for name in ("input", "cacheRead", "cacheWrite", "output")
        )
        prompt = fresh + cached + written
        if prompt or output:
            yield events.Usage(prompt, cached, written, output, entry)
    for part in content if isinstance(content, list) else ():
        if part["type"] == "toolCall":
            yield events.RecordedCall(text_of(part.get("id")), str(part["name"]), part.get("arguments", {}), entry)


def _written_by_harness(message: dict[str, Any]) -> bool:
    """Return whether a user message is none: OpenClaw records its provenance, Oh My Pi to whom it is attributed."""
    origin = object_of(message.get("provenance")).get("kind")
    return origin in ("inter_session", "internal_system") or message.get("attribution") == "agent"


def _compaction(record: dict[str, Any]) -> events.Compaction:
    by_extension = record.get("fromHook") is True or record.get("fromExtension") is True
    kind = text_of(record.get("method")) or ("extension" if by_extension else "compaction")
    return events.Compaction(kind, count_of(record.get("tokensBefore")), count_of(record.get("tokensAfter")))


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


HEADER_FIELDS = frozenset(
    {"additionalDirectories", "previousSessionFiles", "providerPromptCacheKey", "title", "titleSource"}
)
"""Fields of the header that only Oh My Pi writes."""

ENTRY_TYPES = names(
    """
    credential_pin mode_change model_usage reset_boundary service_tier_change session_init title_change ttsr_injection
    """
)
"""Entry types that only Oh My Pi writes."""

ROLES = frozenset({"developer", "fileMention", "pythonExecution"})
"""Roles of messages that only Oh My Pi writes."""


def _oh_my_pi_recognizes(head: Head) -> bool:
    return _in_family(head) and any(map(_oh_my_pi_is_own, head.records))


def _oh_my_pi_is_own(record: dict[str, Any]) -> bool:
    kind, message = record.get("type"), record.get("message")
    if kind == "session":
        return not HEADER_FIELDS.isdisjoint(record)
    if kind == "message" and isinstance(message, dict):
        return "attribution" in message or text_of(message.get("role")) in ROLES
    if kind == "model_change":
        return isinstance(record.get("model"), str)
    return text_of(kind) in ENTRY_TYPES or (kind == "title" and "pad" in record)


OH_MY_PI = line_format("oh-my-pi", "Oh My Pi", _oh_my_pi_recognizes, PiReader)


def _openclaw_recognizes(head: Head) -> bool:
    return _in_family(head) and not OH_MY_PI.recognizes(head) and any(map(_is_own, head.records))


def _is_own(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    if kind == "session":
        return ".openclaw" in text_of(record.get("cwd")).replace("\\", "/").split("/")
    if kind in ("custom", "custom_message"):
        name = text_of(record.get("customType"))
        return name == "model-snapshot" or name.startswith("openclaw")
    message = record.get("message")
    if kind == "message" and isinstance(message, dict):
        return "__openclaw" in message or "provenance" in message or message.get("provider") == "openclaw"
    return kind in ("leaf", "reset") or record.get("appendMode") == "side"


OPENCLAW = line_format("openclaw", "OpenClaw", _openclaw_recognizes, PiReader)


def _recognizes(head: Head) -> bool:
    return _in_family(head) and not OPENCLAW.recognizes(head) and not OH_MY_PI.recognizes(head)


PI = line_format("pi", "pi", _recognizes, PiReader)


# OpenClaw's database: the table ``transcript_events`` has ``session_id``, ``seq`` and the entry in ``event_json``, the
# header first. From schema 23 on an entry of 1 KiB or more may be in ``event_zstd`` instead. Not read: sessions in
# cold storage, which are in files of their own, and what is only in the write-ahead log of a running agent. Sessions
# come in the order in which their first rows were written; a line is a row of the session.

MAGIC = b"SQLite format 3\0"

TABLE = b"transcript_events"

SMALLEST_PAGE = 512

FILE_HEADER = 100
"""Bytes before the first page's own header; see https://www.sqlite.org/fileformat.html, sections 1.3 and 1.6."""

INNER_PAGE = 5
PAGE_HEADER = 12
"""Bytes of the header of an inner page; its last four are the number of a page, and so are the first four of a cell."""

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


def _is_database(head: Head) -> bool:
    """Return whether the file is a database with the table, or one whose tables are not all named within the head."""
    if not head.start.startswith(MAGIC):
        return False
    seen, complete = _schema(head.start)
    return TABLE in seen or not complete


def _schema(start: bytes) -> tuple[bytes, bool]:
    """Return the pages of a database's schema in its first bytes, and whether these are all pages of the schema."""
    size = int.from_bytes(start[16:18], "big")
    size = 1 << 16 if size == 1 else max(size, SMALLEST_PAGE)
    pages, found = [1], list[bytes]()
    for number in pages:
        page = start[(number - 1) * size : number * size] if number else b""
        if len(page) < size:
            return b"".join(found), False
        found.append(page)
        header = FILE_HEADER if number == 1 else 0
        if page[header] == INNER_PAGE:
            cells = range(header + PAGE_HEADER, size, 2)[: int.from_bytes(page[header + 3 : header + 5], "big")]
            places = [header + 8, *(int.from_bytes(page[cell : cell + 2], "big") for cell in cells)]
            children = [int.from_bytes(page[place : place + 4], "big") for place in places]
            pages.extend(child for child in dict.fromkeys(children) if child not in pages)
    return b"".join(found), True


def _read_database(stream: BinaryIO) -> Iterator[events.Event]:
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
                yield from session_events(_rows(database.execute(rows, (name,))), PiReader())
    except DATABASE_ERRORS:
        problem = "the database is damaged"
    if problem:
        yield events.SessionStart()
        yield events.Broken(0, problem)
        yield events.SessionEnd(0)


def _rows(rows: sqlite3.Cursor) -> Iterator[tuple[int, dict[str, Any] | events.Broken | None]]:
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


OPENCLAW_DATABASE = Format("openclaw-database", "OpenClaw database", _is_database, _read_database, needs_path=True)
