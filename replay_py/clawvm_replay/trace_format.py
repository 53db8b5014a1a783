"""The trace format: what happened in an agent's life, as JSON lines, the header first and an end record last.

Schema: ``schemas/trace.schema.json``. Meaning: ``docs/trace-format.md``. Reading takes constant memory, and every error
carries the line number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from clawvm_replay.errors import InputError, TraceError
from clawvm_runtime.canonical import canonical_json, tool_signature
from clawvm_runtime.errors import PageError
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, RecallOutcome, ToolOutcome, level_from_name

__all__ = [
    "Accounting",
    "BoundaryEvent",
    "BoundedLines",
    "Call",
    "EventBefore",
    "FlushEvent",
    "RecallQuery",
    "Replacement",
    "ToolDeclaration",
    "Trace",
    "TraceHeader",
    "Turn",
    "end_line",
    "header_line",
    "open_trace",
    "parsed",
    "read_trace",
    "turn_lines",
    "write_trace",
]

_Built = TypeVar("_Built")

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


@dataclass(frozen=True, slots=True)
class BoundaryEvent:
    """A boundary that the trace names; a reset names the session that it begins."""

    boundary: Boundary
    session: str = ""


@dataclass(frozen=True, slots=True)
class FlushEvent:
    """The harness's best-effort memory flush is due here; only a policy that has one performs it."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """New content for a known page: an edit made the old content stale."""

    page: Page


EventBefore = Page | Replacement | ToolDeclaration | BoundaryEvent | FlushEvent
"""What may precede a turn; it happens in the order of the file."""


@dataclass(frozen=True, slots=True)
class RecallQuery:
    """A query to memory and the backend's outcome."""

    query: str
    outcome: RecallOutcome


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call by its canonical signature, and the level at which the model needs the result."""

    signature: str
    level: Level = Level.FULL


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what precedes it, then its calls, demands, recalls, updates and the growth of the transcript."""

    number: int
    transcript_tokens: int = 0
    events_before: tuple[EventBefore, ...] = ()
    calls: tuple[Call, ...] = ()
    demands: tuple[tuple[str, Level], ...] = ()
    recalls: tuple[RecallQuery, ...] = ()
    updates: tuple[Update, ...] = ()
    line: int = 0


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
    return _line("header", format=FORMAT_NAME, version=FORMAT_VERSION, **asdict(header))


def turn_lines(turn: Turn) -> Iterator[str]:
    """Yield the lines of one turn, those of what precedes it first."""
    yield from map(_line_before, turn.events_before)
    yield _line(
        "turn",
        turn=turn.number,
        transcript_tokens=turn.transcript_tokens,
        calls=[{"level": call.level.label, "signature": call.signature} for call in turn.calls],
        demands=[{"level": level.label, "page": page_id} for page_id, level in turn.demands],
        lookups=[{"outcome": recall.outcome.value, "query": recall.query} for recall in turn.recalls],
        updates=[update.to_record() for update in turn.updates],
    )


def end_line(turns: int) -> str:
    """Return the last line of a trace of so many *turns*."""
    return _line("end", turns=turns)


def _line_before(item: EventBefore) -> str:
    if isinstance(item, Page):
        return _line("page", page=item.to_record())
    if isinstance(item, Replacement):
        return _line("replace", page=item.page.to_record())
    if isinstance(item, BoundaryEvent):
        return _line("boundary", boundary=item.boundary.value, **({"session": item.session} if item.session else {}))
    if isinstance(item, FlushEvent):
        return _line("flush")
    return _line(
        "tool",
        tool=item.tool,
        signature=item.signature,
        outcome=item.outcome.value,
        page=None if item.page is None else item.page.to_record(),
        deterministic=item.deterministic,
        arguments=item.arguments,
        presentation=list(item.presentation),
    )


def _line(record: str, **fields: Any) -> str:
    return canonical_json({"record": record, **fields}) + "\n"


def open_trace(path: Path) -> BinaryIO:
    """Open a trace file for ``read_trace``; raises InputError with one line when that is impossible."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory, not a trace file")
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


class BoundedLines:
    """The lines of a binary stream, read once and each bounded; ``peek`` looks at the next one without taking it.

    ``number`` is that of the line taken last, from 1. Raises TraceError for a read that fails and a line that is longer
    than MAXIMUM_LINE_BYTES.
    """

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self.source = source
        self.number = 0
        self._stream = stream
        self._peeked: bytes | None = None

    def peek(self) -> bytes:
        """Return the next line with its newline, empty at the end."""
        if self._peeked is None:
            self._peeked = self._read(lambda: self._stream.readline(MAXIMUM_LINE_BYTES + 1))
            if len(self._peeked) > MAXIMUM_LINE_BYTES:
                raise TraceError(self.source, self.number + 1, f"line is longer than {MAXIMUM_LINE_BYTES} bytes")
        return self._peeked

    def take(self) -> bytes:
        """Return the next line and move past it."""
        line = self.peek()
        self._peeked = None
        self.number += 1
        return line

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.take, b"")

    def rest(self, size: int) -> bytes:
        """Return the next line and up to *size* bytes behind it."""
        return self.peek() + self._read(lambda: self._stream.read(size))

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except OSError as error:
            raise TraceError(self.source, self.number + 1, f"cannot be read: {error.strerror or error}") from None

    def error(self, message: str) -> TraceError:
        """Return an error about the line taken last."""
        return TraceError(self.source, self.number, message)


def parsed(text: bytes) -> Any:
    """Return the value of a JSON text; raises ValueError with a reason.

    Stricter than ``json.loads``: no NaN, no number beyond a double, no object with the same key twice.
    """
    try:
        return json.loads(
            text.decode("utf-8"), parse_constant=_refused, parse_float=_finite, object_pairs_hook=_with_unique_keys
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refused(number: str) -> Any:
    raise ValueError(f"{number:.80} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refused(text)


def _with_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("an object has the same key twice")
    return record


def read_trace(stream: BinaryIO | BoundedLines, source: str) -> tuple[TraceHeader, Iterator[Turn]]:
    """Return the header and a lazy stream of turns, in constant memory.

    Both raise TraceError with *source* and the line number: for a line that is not JSON or not what the format says,
    an unknown version, turns out of order, names that were never declared, and a trace that ends before its end record.
    """
    reader = _Reader(stream if isinstance(stream, BoundedLines) else BoundedLines(stream, source))
    return reader.header(), reader.turns()


class _Reader:
    """Reads a trace line by line and knows which names were declared."""

    def __init__(self, lines: BoundedLines) -> None:
        self._lines = lines
        self._error = lines.error
        self._pages: set[str] = set()
        self._signatures: set[str] = set()

    def _next_record(self) -> dict[str, Any] | None:
        """Return the next record, or None at the end of the file."""
        line = self._lines.take()
        if not line:
            return None
        if not line.endswith(b"\n"):
            raise self._error("line is cut off: the trace is truncated")
        try:
            record = parsed(line)
        except ValueError as error:
            raise self._error(f"not JSON: {error}") from None
        if not isinstance(record, dict):
            raise self._error("a record is a JSON object")
        return record

    def header(self) -> TraceHeader:
        record = self._next_record()
        if record is None:
            raise self._error("is empty; a trace begins with a header record")
        if record.get("record") != "header" or record.get("format") != FORMAT_NAME:
            raise self._error(f'a trace begins with a header record of format "{FORMAT_NAME}"')
        if type(record.get("version")) is not int or record["version"] != FORMAT_VERSION:
            raise self._error(f"unknown trace version {record.get('version')!r:.80}; known: {FORMAT_VERSION}")
        return self._built(_header, record)

    def turns(self) -> Iterator[Turn]:
        events_before: list[EventBefore] = []
        count = 0
        while True:
            record = self._next_record()
            if record is None:
                raise self._error("the trace is truncated: it has no end record")
            kind = record.get("record")
            if kind == "turn":
                turn = self._turn(record, tuple(events_before))
                if turn.number != count + 1:
                    raise self._error(f"turn {turn.number} is out of order; expected turn {count + 1}")
                count += 1
                events_before = []
                yield turn
            elif kind == "end":
                self._end(record, count, events_before)
                return
            else:
                events_before.append(self._event_before(kind, record))

    def _end(self, record: dict[str, Any], count: int, events_before: list[EventBefore]) -> None:
        if type(record.get("turns")) is not int or record["turns"] != count:
            raise self._error(f"the end record has {record.get('turns')!r:.80} turns, the trace {count}")
        if events_before:
            raise self._error("records after the last turn belong to no turn")
        if self._next_record() is not None:
            raise self._error("a record after the end record")

    def _built(self, build: Callable[[dict[str, Any]], _Built], record: dict[str, Any]) -> _Built:
        """Return what *build* makes of a record; whatever it finds wrong becomes a line-numbered error."""
        try:
            return build(record)
        except KeyError as error:
            raise self._error(f"missing field {error}") from None
        except RecursionError:
            raise self._error("JSON is nested too deeply") from None
        except (PageError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self._error(str(error)) from None

    def _event_before(self, kind: Any, record: dict[str, Any]) -> EventBefore:
        if kind == "header":
            raise self._error("a second header")
        if not isinstance(kind, str) or kind not in _EVENTS_BEFORE:
            raise self._error(f"unknown record {kind!r:.80}")
        event: EventBefore = self._built(_EVENTS_BEFORE[kind], record)
        if isinstance(event, Page):
            if event.id in self._pages:
                raise self._error(f"page {event.id!r} is declared twice; a replace record gives it new content")
            self._pages.add(event.id)
        elif isinstance(event, Replacement):
            self._require_page(event.page.id)
        elif isinstance(event, ToolDeclaration):
            if event.page is not None:
                self._pages.add(event.page.id)
            self._signatures.add(event.signature)
        return event

    def _require_page(self, page_id: str) -> None:
        if page_id not in self._pages:
            raise self._error(f"page {page_id!r} was never declared")

    def _turn(self, record: dict[str, Any], events_before: tuple[EventBefore, ...]) -> Turn:
        turn = self._built(lambda record: _turn(record, events_before, self._lines.number), record)
        for page_id, _ in turn.demands:
            self._require_page(page_id)
        for call in turn.calls:
            if call.signature not in self._signatures:
                raise self._error(f"tool signature {call.signature!r} was never declared")
        return turn


def _typed(record: dict[str, Any], name: str, kind: type[_Built], default: _Built | None = None) -> _Built:
    value = record[name] if default is None else record.get(name, default)
    if type(value) is not kind:
        raise ValueError(f"{name} must be {_KINDS[kind]}, not {value!r:.80}")
    return value


_KINDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


def _name(record: dict[str, Any], name: str) -> str:
    value = _typed(record, name, str)
    if not value:
        raise ValueError(f"{name} must not be empty")
    return value


def _count(record: dict[str, Any], name: str, least: int = 0) -> int:
    value = _typed(record, name, int)
    if not least <= value <= MAXIMUM_NUMBER:
        raise ValueError(f"{name} must be from {least} to {MAXIMUM_NUMBER}, not {value!r:.80}")
    return value


def _objects(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values: list[Any] = _typed(record, name, list, [])
    if not all(isinstance(value, dict) for value in values):
        raise ValueError(f"each of {name} must be an object")
    return values


def _header(record: dict[str, Any]) -> TraceHeader:
    return TraceHeader(
        workload=_name(record, "workload"),
        budget=_count(record, "budget", least=1),
        description=_typed(record, "description", str, ""),
        accounting=None if record.get("accounting") is None else _accounting(_typed(record, "accounting", dict)),
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


def _page(record: dict[str, Any]) -> Page:
    page = Page.from_record(_typed(record, "page", dict))
    for level, cost in page.costs.items():
        if cost > MAXIMUM_NUMBER:
            raise ValueError(f"{level.label} must cost at most {MAXIMUM_NUMBER} tokens")
    return page


def _tool(record: dict[str, Any]) -> ToolDeclaration:
    tool = ToolDeclaration(
        tool=_name(record, "tool"),
        signature=_name(record, "signature"),
        outcome=ToolOutcome(record["outcome"]),
        page=None if record.get("page") is None else _page(record),
        deterministic=_typed(record, "deterministic", bool, True),
        arguments=None if record.get("arguments") is None else _typed(record, "arguments", dict),
        presentation=tuple(_typed(record, "presentation", list, [])),
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


_EVENTS_BEFORE: Mapping[str, Callable[[dict[str, Any]], EventBefore]] = {
    "page": _page,
    "replace": lambda record: Replacement(_page(record)),
    "tool": _tool,
    "boundary": _boundary,
    "flush": lambda record: FlushEvent(),
}


def _turn(record: dict[str, Any], events_before: tuple[EventBefore, ...], line: int) -> Turn:
    return Turn(
        number=_count(record, "turn", least=1),
        transcript_tokens=_count(record, "transcript_tokens"),
        events_before=events_before,
        calls=tuple(Call(_name(item, "signature"), _demanded_level(item)) for item in _objects(record, "calls")),
        demands=tuple((_name(item, "page"), _demanded_level(item)) for item in _objects(record, "demands")),
        recalls=tuple(
            RecallQuery(_name(item, "query"), RecallOutcome(item["outcome"])) for item in _objects(record, "lookups")
        ),
        updates=tuple(_update(item) for item in _objects(record, "updates")),
        line=line,
    )


def _update(record: dict[str, Any]) -> Update:
    for name in ("page", "field", "operation", "scope", "evidence_ref"):
        _typed(record, name, str)  # May be empty or unknown: the journal judges the words.
    for name in ("principal", "update_id"):
        if record.get(name) is not None:
            _typed(record, name, str)
    if record.get("base_version") is not None:
        _count(record, "base_version")
    return Update.from_record(record)


def _demanded_level(record: dict[str, Any]) -> Level:
    level = level_from_name(record.get("level", "full"))
    if level is Level.NONE:
        raise ValueError("a demand needs a level above none")
    return level
