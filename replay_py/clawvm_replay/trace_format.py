"""The trace format: what happened in an agent's life, as JSON lines, the header first and an end record last.

==============  ======================================================================================
Accounting      when the simulated harness flushes and compacts, in tokens of transcript
TraceHeader     name and version of the format, workload, budget, accounting
ToolDeclaration one row of the tool simulator: a signature, its outcome, its result page
BoundaryEvent   a boundary that the trace names
FlushEvent      the place where the trace says that the harness's best-effort flush is due
Lookup, Call    a look-up with the backend's outcome; a tool call by its canonical signature
Turn            one turn with everything that precedes it
read_trace      header and a lazy stream of turns; constant memory, errors carry the line number
write_trace     the same back to lines; ``header_line``, ``turn_lines``, ``end_line`` for one that is still growing
==============  ======================================================================================

Schema: ``schemas/trace.schema.json``. Meaning: ``docs/trace-format.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from clawvm_replay.errors import InputError, TraceError
from clawvm_runtime.canonical import canonical_json, tool_signature
from clawvm_runtime.errors import PageError
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, RecallOutcome, ToolOutcome, level_from_name

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "Accounting",
    "BoundaryEvent",
    "Call",
    "EventBefore",
    "FlushEvent",
    "Lookup",
    "Replacement",
    "ToolDeclaration",
    "Trace",
    "TraceHeader",
    "Turn",
    "end_line",
    "header_line",
    "open_trace",
    "read_trace",
    "turn_lines",
    "write_trace",
]

FORMAT_NAME = "clawvm.trace"
FORMAT_VERSION = 1

MAXIMUM_LINE_BYTES = 16 * 1024 * 1024
MAXIMUM_NUMBER = 10**12
"""Token counts above this are refused: they are mistakes, and they would make arithmetic slow without end."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """Transcript accounting of the simulated harness, in tokens.

    Compaction is due when the transcript passes ``compaction_limit``; the best-effort flush when it passes
    ``soft_threshold``, once per compaction cycle; a compaction leaves ``summary_tokens``.
    """

    compaction_limit: int
    soft_threshold: int
    summary_tokens: int


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """The first record; ``budget`` (tokens) is what the trace was made for, a replay may use another."""

    workload: str
    budget: int
    description: str = ""
    accounting: Accounting | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the header as plain JSON data."""
        accounting = self.accounting
        return {
            "accounting": None
            if accounting is None
            else {
                "compaction_limit": accounting.compaction_limit,
                "soft_threshold": accounting.soft_threshold,
                "summary_tokens": accounting.summary_tokens,
            },
            "budget": self.budget,
            "description": self.description,
            "format": FORMAT_NAME,
            "record": "header",
            "version": FORMAT_VERSION,
            "workload": self.workload,
        }


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """One row of the tool simulator; ``page`` is the result, None where the outcome leaves nothing to keep.

    ``arguments`` may be left out (recorded sessions keep only hashed signatures); where they are given, the signature
    must follow from them without the ``presentation`` arguments.
    """

    tool: str
    signature: str
    outcome: ToolOutcome
    page: Page | None
    deterministic: bool = True
    arguments: dict[str, Any] | None = None
    presentation: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the declaration as plain JSON data."""
        return {
            "arguments": self.arguments,
            "deterministic": self.deterministic,
            "outcome": self.outcome.value,
            "page": None if self.page is None else self.page.to_record(),
            "presentation": list(self.presentation),
            "record": "tool",
            "signature": self.signature,
            "tool": self.tool,
        }


@dataclass(frozen=True, slots=True)
class BoundaryEvent:
    """A boundary that the trace names; a reset names the session that it begins."""

    boundary: Boundary
    session: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return the boundary as plain JSON data."""
        record: dict[str, Any] = {"boundary": self.boundary.value, "record": "boundary"}
        if self.session:
            record["session"] = self.session
        return record


@dataclass(frozen=True, slots=True)
class FlushEvent:
    """The harness's best-effort memory flush is due here; only a policy that has one performs it."""

    def to_record(self) -> dict[str, Any]:
        """Return the flush as plain JSON data."""
        return {"record": "flush"}


@dataclass(frozen=True, slots=True)
class Replacement:
    """New content for a known page: an edit made the old content stale."""

    page: Page

    def to_record(self) -> dict[str, Any]:
        """Return the replacement as plain JSON data."""
        return {"page": self.page.to_record(), "record": "replace"}


EventBefore = Page | Replacement | ToolDeclaration | BoundaryEvent | FlushEvent
"""What may stand before a turn; it happens in the order of the file."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A look-up of memory and what the backend makes of it."""

    query: str
    outcome: RecallOutcome

    def to_record(self) -> dict[str, Any]:
        """Return the look-up as plain JSON data."""
        return {"outcome": self.outcome.value, "query": self.query}


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call by its canonical signature, and the level at which the model needs the result."""

    signature: str
    level: Level = Level.FULL

    def to_record(self) -> dict[str, Any]:
        """Return the call as plain JSON data."""
        return {"level": self.level.label, "signature": self.signature}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what precedes it, then its calls, demands, look-ups, updates and the growth of the transcript."""

    number: int
    transcript_tokens: int = 0
    events_before: tuple[EventBefore, ...] = ()
    calls: tuple[Call, ...] = ()
    demands: tuple[tuple[str, Level], ...] = ()
    lookups: tuple[Lookup, ...] = ()
    updates: tuple[Update, ...] = ()
    line: int = 0

    def to_record(self) -> dict[str, Any]:
        """Return the turn (without its events_before) as plain JSON data."""
        return {
            "calls": [call.to_record() for call in self.calls],
            "demands": [{"level": level.label, "page": page_id} for page_id, level in self.demands],
            "lookups": [lookup.to_record() for lookup in self.lookups],
            "record": "turn",
            "transcript_tokens": self.transcript_tokens,
            "turn": self.number,
            "updates": [update.to_record() for update in self.updates],
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole trace in memory: for synthetic workloads, which are small. Can be iterated any number of times."""

    header: TraceHeader
    turns: tuple[Turn, ...] = field(repr=False)
    source: str = "trace"


def write_trace(header: TraceHeader, turns: Iterable[Turn]) -> Iterator[str]:
    """Yield the canonical lines of a trace, each with its newline."""
    yield header_line(header)
    count = 0
    for turn in turns:
        yield from turn_lines(turn)
        count += 1
    yield end_line(count)


def header_line(header: TraceHeader) -> str:
    """Return the first line of a trace."""
    return canonical_json(header.to_record()) + "\n"


def turn_lines(turn: Turn) -> Iterator[str]:
    """Yield the lines of one turn, those of what precedes it first."""
    for item in turn.events_before:
        record = {"page": item.to_record(), "record": "page"} if isinstance(item, Page) else item.to_record()
        yield canonical_json(record) + "\n"
    yield canonical_json(turn.to_record()) + "\n"


def end_line(turns: int) -> str:
    """Return the last line of a trace of so many *turns*."""
    return canonical_json({"record": "end", "turns": turns}) + "\n"


def open_trace(path: Path) -> BinaryIO:
    """Open a trace file for ``read_trace``; raises InputError with one line when that is impossible."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory, not a trace file")
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_trace(stream: BinaryIO, source: str) -> tuple[TraceHeader, Iterator[Turn]]:
    """Return the header and a lazy stream of turns, in constant memory.

    Both raise TraceError with *source* and the line number: for a line that is not JSON or not what the format says,
    an unknown version, turns out of order, names that were never declared, and a trace that ends before its end record.
    """
    reader = _Reader(stream, source)
    return reader.header(), reader.turns()


class _Reader:
    """Reads a trace line by line and knows which names were declared."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream = stream
        self._source = source
        self._line = 0
        self._pages: set[str] = set()
        self._signatures: set[str] = set()

    def _error(self, message: str) -> TraceError:
        return TraceError(self._source, self._line, message)

    def _next_record(self) -> dict[str, Any] | None:
        """Return the next record, or None at the end of the file."""
        try:
            line = self._stream.readline(MAXIMUM_LINE_BYTES + 1)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror or error}") from None
        if not line:
            return None
        self._line += 1
        if len(line) > MAXIMUM_LINE_BYTES:
            raise self._error(f"line is longer than {MAXIMUM_LINE_BYTES} bytes")
        if not line.endswith(b"\n"):
            raise self._error("line is cut off: the trace is truncated")
        try:
            record = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except RecursionError:
            raise self._error("JSON is nested too deeply") from None
        except ValueError as error:
            raise self._error(f"not JSON: {error}") from None
        if not isinstance(record, dict):
            raise self._error("a record is a JSON object")
        return record

    def header(self) -> TraceHeader:
        record = self._next_record()
        if record is None:
            raise TraceError(self._source, 1, "is empty; a trace begins with a header record")
        if record.get("record") != "header" or record.get("format") != FORMAT_NAME:
            raise self._error(f'a trace begins with a header record of format "{FORMAT_NAME}"')
        if type(record.get("version")) is not int or record["version"] != FORMAT_VERSION:
            raise self._error(f"unknown trace version {record.get('version')!r:.80}; known: {FORMAT_VERSION}")
        header: TraceHeader = self._built(lambda: _header(record))
        return header

    def turns(self) -> Iterator[Turn]:
        events_before: list[EventBefore] = []
        count = 0
        while True:
            record = self._next_record()
            if record is None:
                self._line += 1
                raise self._error("the trace is truncated: it has no end record")
            kind = record.get("record")
            if kind == "turn":
                turn = self._turn(record, events_before)
                if turn.number != count + 1:
                    raise self._error(f"turn {turn.number} is out of order; expected turn {count + 1}")
                count += 1
                events_before = []
                yield turn
            elif kind == "end":
                self._end(record, count, events_before)
                return
            else:
                events_before.append(self._prelude(kind, record))

    def _end(self, record: dict[str, Any], count: int, events_before: list[EventBefore]) -> None:
        if type(record.get("turns")) is not int or record["turns"] != count:
            raise self._error(f"end record says {record.get('turns')!r:.80} turns, the trace has {count}")
        if events_before:
            raise self._error("records after the last turn belong to no turn")
        if self._next_record() is not None:
            raise self._error("a record after the end record")

    def _built(self, build: Callable[[], Any]) -> Any:
        """Return what *build* makes; whatever it finds wrong with the record becomes a line-numbered error."""
        try:
            return build()
        except KeyError as error:
            raise self._error(f"missing field {error}") from None
        except PageError as error:
            raise self._error(str(error)) from None
        except RecursionError:
            raise self._error("JSON is nested too deeply") from None
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self._error(str(error)) from None

    def _prelude(self, kind: Any, record: dict[str, Any]) -> EventBefore:
        if kind == "page":
            page: Page = self._built(lambda: _page(record["page"]))
            self._declare(page)
            return page
        if kind == "replace":
            replacement: Replacement = self._built(lambda: Replacement(_page(record["page"])))
            self._known_page(replacement.page.id)
            return replacement
        if kind == "tool":
            tool: ToolDeclaration = self._built(lambda: _tool(record))
            if tool.page is not None:
                self._pages.add(tool.page.id)
            self._signatures.add(tool.signature)
            return tool
        if kind == "boundary":
            boundary: BoundaryEvent = self._built(lambda: _boundary(record))
            return boundary
        if kind == "flush":
            return FlushEvent()
        if kind == "header":
            raise self._error("a second header")
        raise self._error(f"unknown record {kind!r:.80}")

    def _declare(self, page: Page) -> None:
        if page.id in self._pages:
            raise self._error(f"page {page.id!r} is declared twice; a replace record gives it new content")
        self._pages.add(page.id)

    def _known_page(self, page_id: str) -> None:
        if page_id not in self._pages:
            raise self._error(f"page {page_id!r} was never declared")

    def _turn(self, record: dict[str, Any], events_before: list[EventBefore]) -> Turn:
        turn: Turn = self._built(lambda: _turn(record, tuple(events_before), self._line))
        for page_id, _ in turn.demands:
            self._known_page(page_id)
        for call in turn.calls:
            if call.signature not in self._signatures:
                raise self._error(f"tool signature {call.signature!r} was never declared")
        return turn


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("an object has the same key twice")
    return record


def _text(record: dict[str, Any], name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {value!r:.80}")
    return value


def _name(record: dict[str, Any], name: str) -> str:
    value = _text(record, name)
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def _count(record: dict[str, Any], name: str, least: int = 0) -> int:
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAXIMUM_NUMBER:
        raise ValueError(f"{name} must be a whole number from {least} to {MAXIMUM_NUMBER}, not {value!r:.80}")
    return value


def _truth(record: dict[str, Any], name: str, default: bool) -> bool:
    value = record.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, not {value!r:.80}")
    return value


def _list(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")
    return value


def _header(record: dict[str, Any]) -> TraceHeader:
    accounting = record.get("accounting")
    return TraceHeader(
        workload=_name(record, "workload"),
        budget=_count(record, "budget", least=1),
        description=_text(record, "description") if "description" in record else "",
        accounting=None if accounting is None else _accounting(_object(accounting, "accounting")),
    )


def _accounting(record: dict[str, Any]) -> Accounting:
    accounting = Accounting(
        _count(record, "compaction_limit", least=1), _count(record, "soft_threshold"), _count(record, "summary_tokens")
    )
    if not accounting.soft_threshold <= accounting.compaction_limit:
        raise ValueError("soft_threshold must not be above compaction_limit")
    if not accounting.summary_tokens <= accounting.soft_threshold:
        raise ValueError("summary_tokens must not be above soft_threshold, or every turn would compact")
    return accounting


def _page(record: Any) -> Page:
    page = Page.from_record(_object(record, "page"))
    for level, cost in page.costs.items():
        if cost > MAXIMUM_NUMBER:
            raise ValueError(f"{level.label} must cost at most {MAXIMUM_NUMBER} tokens")
    return page


def _tool(record: dict[str, Any]) -> ToolDeclaration:
    tool = ToolDeclaration(
        tool=_name(record, "tool"),
        signature=_name(record, "signature"),
        outcome=ToolOutcome(record["outcome"]),
        page=None if record.get("page") is None else _page(record["page"]),
        deterministic=_truth(record, "deterministic", True),
        arguments=None if record.get("arguments") is None else _object(record["arguments"], "arguments"),
        presentation=tuple(_list(record, "presentation")),
    )
    if not all(isinstance(name, str) for name in tool.presentation):
        raise ValueError("presentation must be a list of argument names")
    if (tool.outcome is ToolOutcome.OK) != (tool.page is not None):
        raise ValueError("a tool has a result page exactly when its outcome is ok")
    if tool.arguments is not None:
        expected = tool_signature(tool.tool, tool.arguments, tool.presentation)
        if tool.signature != expected:
            raise ValueError(f"signature must be {expected!r:.200}, as its arguments say")
    return tool


def _boundary(record: dict[str, Any]) -> BoundaryEvent:
    boundary = Boundary(record["boundary"])
    if boundary is Boundary.RESET:
        return BoundaryEvent(boundary, _name(record, "session"))
    return BoundaryEvent(boundary)


def _turn(record: dict[str, Any], events_before: tuple[EventBefore, ...], line: int) -> Turn:
    return Turn(
        number=_count(record, "turn", least=1),
        transcript_tokens=_count(record, "transcript_tokens"),
        events_before=events_before,
        calls=tuple(Call(_name(item, "signature"), _demanded_level(item)) for item in _objects(record, "calls")),
        demands=tuple((_name(item, "page"), _demanded_level(item)) for item in _objects(record, "demands")),
        lookups=tuple(
            Lookup(_name(item, "query"), RecallOutcome(item["outcome"])) for item in _objects(record, "lookups")
        ),
        updates=tuple(_update(item) for item in _objects(record, "updates")),
        line=line,
    )


def _update(record: dict[str, Any]) -> Update:
    for name in ("page", "field", "operation", "scope", "evidence_ref"):
        _text(record, name)  # May be empty or unknown: what is wrong with the words is for the journal to say.
    for name in ("principal", "update_id"):
        if record.get(name) is not None:
            _text(record, name)
    if record.get("base_version") is not None:
        _count(record, "base_version")
    return Update.from_record(record)


def _objects(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [_object(item, f"each of {name}") for item in _list(record, name)]


def _demanded_level(record: dict[str, Any]) -> Level:
    level = level_from_name(record.get("level", "full"))
    if level is Level.NONE:
        raise ValueError("a demand needs a level above none")
    return level
