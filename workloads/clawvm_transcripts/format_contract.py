"""What a format of recorded session has to offer, and the frames around those kept as JSON.

===============  ==========================================================================================
Head             the beginning of a file, for detection
Format           one format: how it is recognized and how it is read
LineReader       reads the records of one session kept as JSON lines
line_format      the Format around a LineReader: damage, blank lines and unknown shapes are met here
DocumentReader   reads the elements of one session kept as a JSON document
document_format  the Format around a DocumentReader: damage and unknown shapes are met here
===============  ==========================================================================================

``read`` yields, for every session in the file, one SessionStart, then events, then one SessionEnd; it raises nothing
for what is wrong inside the file: a Broken says which line it was, and reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO, Protocol

from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart, Skipped
from clawvm_transcripts.json_documents import DocumentBroken, DocumentEnd, Element, ElementBroken, elements
from clawvm_transcripts.json_lines import RecordError, json_records

__all__ = ["RECORD_ERRORS", "DocumentReader", "Format", "Head", "LineReader", "document_format", "line_format"]

RECORD_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)
"""What reading a record of an unexpected shape may raise."""

WAITING = 1000
"""Events without substance that wait for the record that tells the session's name."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file.

    ``start`` is its first bytes, uncompressed; ``records`` the objects in its first lines, the last of them without the
    values that the end of the head cut off; ``keys`` the top-level keys seen of the document that begins the file;
    ``firsts`` the first element of each of its top-level arrays of objects.
    """

    start: bytes
    records: tuple[dict[str, Any], ...] = ()
    keys: frozenset[str] = frozenset()
    firsts: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """One format: ``id`` as it stands in tables, ``title`` for people.

    ``recognizes`` tells from the head whether a file is of this format; at most one format may say yes to a file.
    ``read`` takes the open, uncompressed stream. ``needs_path`` marks formats that no stream can serve (a database):
    their ``read`` is given a stream of a plain file whose ``name`` is its path.
    """

    id: str
    title: str
    recognizes: Callable[[Head], bool]
    read: Callable[[BinaryIO], Iterator[Event]]
    needs_path: bool = False


class LineReader(Protocol):
    """Reads the records of one session, in the order of the file; made anew for every file."""

    def record(self, record: dict[str, Any]) -> Iterable[Event]:
        """Return the events of one record.

        May raise any of ``RECORD_ERRORS`` for a record of another shape: it is reported, behind the events that were
        given before. It has to leave its own state usable.
        """
        ...

    def finish(self) -> Iterable[Event]:
        """Return the events that waited for the end of the file."""
        ...


def line_format(
    format_id: str, title: str, recognizes: Callable[[Head], bool], reader: Callable[[], LineReader]
) -> Format:
    """Return the Format of sessions kept as JSON lines, one session in a file."""

    def read(stream: BinaryIO) -> Iterator[Event]:
        return _with_start(_events(stream, reader()))

    return Format(format_id, title, recognizes, read)


def _events(stream: BinaryIO, reader: LineReader) -> Iterator[Event]:
    number = 0
    for number, record in json_records(stream):
        if record is None:
            continue
        if isinstance(record, Broken):
            yield record
            continue
        yield from _read(reader.record, record, number)
    yield from reader.finish()
    yield SessionEnd(number)


class DocumentReader(Protocol):
    """Reads the elements of one session, in the order of the document; made anew for every session."""

    def element(self, element: Element) -> Iterable[Event]:
        """Return the events of one element; the rules are those of ``LineReader.record``."""
        ...

    def finish(self) -> Iterable[Event]:
        """Return the events that waited for the end of the document."""
        ...


def document_format(
    format_id: str,
    title: str,
    recognizes: Callable[[Head], bool],
    reader: Callable[[], DocumentReader],
    arrays: Collection[str],
    values: Collection[str] = (),
) -> Format:
    """Return the Format of sessions kept as JSON documents, one session in a document.

    The reader is given the elements of the top-level *arrays* and the top-level *values*, as ``elements`` gives them.
    """

    def read(stream: BinaryIO) -> Iterator[Event]:
        documents = _Documents(elements(stream, arrays, values))
        while not documents.over:
            yield from _with_start(documents.session(reader()))

    return Format(format_id, title, recognizes, read)


class _Documents:
    """Parts the elements of a stream into sessions; what holds nothing to read belongs to the session before it."""

    def __init__(self, items: Iterator[Element | ElementBroken | DocumentEnd | DocumentBroken]) -> None:
        self.over = False
        self._items = items
        self._next: tuple[Element, ...] = ()  # The first element of the next session.

    def session(self, reader: DocumentReader) -> Iterator[Event]:
        lines, seen, ended = 0, False, False
        for item in chain(self._next, self._items):
            if isinstance(item, Element):
                if ended:
                    self._next = (item,)
                    break
                seen = True
                yield from _read(reader.element, item, item.line)
            elif isinstance(item, DocumentEnd):
                lines += item.lines
                ended = seen
            else:
                yield Broken(item.line, item.reason)
        else:
            self.over = True
        yield from reader.finish()
        yield SessionEnd(lines)


def _read(reads: Callable[[Any], Iterable[Event]], record: Any, line: int) -> list[Event]:
    """Return the events of one record; what was told before its shape turned out wrong stays told."""
    events: list[Event] = []
    try:
        for event in reads(record):
            events.append(event)
    except RECORD_ERRORS as error:
        # Only words of our own: those of other errors change between versions of Python, and may hold text recorded.
        reason = str(error) if isinstance(error, RecordError) else "a record of an unexpected shape"
        events.append(Broken(line, reason))
    return events


def _with_start(events: Iterator[Event]) -> Iterator[Event]:
    """Put the SessionStart first: what has no substance waits for the record that tells the session's name.

    A name that comes behind an event of substance, or behind ``WAITING`` others, comes too late: the session has none.
    """
    waiting: list[Event] = []
    for event in events:
        if isinstance(event, (Skipped, Broken)) and len(waiting) < WAITING:
            waiting.append(event)
            continue
        if isinstance(event, SessionStart):
            yield event
        else:
            yield SessionStart()
            waiting.append(event)
        yield from waiting
        break
    # A session says only once who it is; what a later record repeats says nothing new.
    yield from (event for event in events if not isinstance(event, SessionStart))
