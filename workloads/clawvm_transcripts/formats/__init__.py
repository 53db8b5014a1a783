"""What a format of recorded session offers, and what the formats share; one module each over the common events.

``read`` yields, for every session in the file, one SessionStart, then events, then one SessionEnd; it raises nothing
for what is wrong inside the file: a Broken says which line it was, and reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart, Skipped, Usage
from clawvm_transcripts.reading import decoded, documents, json_records

__all__ = [
    "HARNESS_LINE",
    "Format",
    "Head",
    "Reader",
    "RecordError",
    "arguments_of",
    "count_of",
    "document_format",
    "images_of",
    "line_format",
    "names",
    "object_of",
    "required_text",
    "session_events",
    "text_of",
    "texts_of",
    "usage_of",
    "words_of",
]

RECORD_ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)
"""What reading a record of an unexpected shape may raise."""

MOST_WAITING = 1000
"""Events without substance that wait for the record that names the session."""

MOST_TOKENS = 10**9
"""No request takes more; what is larger is no count."""

HARNESS_LINE = Skipped("line written by the harness", known=True)


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
    """One format: ``id`` for tables, ``title`` for people.

    ``recognizes`` decides from the head whether a file is of this format; at most one format may accept a file.
    ``read`` takes the open, uncompressed stream. ``needs_path`` marks formats that no stream can serve (a database):
    their ``read`` is given a stream of a plain file whose ``name`` is its path.
    """

    id: str
    title: str
    recognizes: Callable[[Head], bool]
    read: Callable[[BinaryIO], Iterator[Event]]
    needs_path: bool = False


class RecordError(ValueError):
    """A record is not what its format says; the message, without any text of the recording, says what is wrong."""


class Reader:
    """Reads the records of one session, in the order of the file; made anew for every session."""

    def record(self, record: Any) -> Iterable[Event]:
        """Return the events of one record: an object of JSON lines, or an Element of a document.

        May raise any of ``RECORD_ERRORS`` for a record of another shape, which becomes a Broken behind the events that
        came before. It has to leave its own state usable.
        """
        raise NotImplementedError

    def finish(self) -> Iterable[Event]:
        """Return the events that waited for the end of the session."""
        return ()


def line_format(format_id: str, title: str, recognizes: Callable[[Head], bool], reader: Callable[[], Reader]) -> Format:
    """Return the Format of sessions kept as JSON lines, one session in a file."""

    return Format(format_id, title, recognizes, lambda stream: session_events(json_records(stream), reader()))


def session_events(records: Iterable[tuple[int, dict[str, Any] | Broken | None]], reader: Reader) -> Iterator[Event]:
    """Yield the events of one session, whose *records* are what ``json_records`` yields."""

    def events() -> Iterator[Event]:
        number = 0
        for number, record in records:
            if isinstance(record, Broken):
                yield record
            elif record is not None:
                yield from _events(reader.record, record, number)
        yield from reader.finish()
        yield SessionEnd(number)

    return _with_starts(events())


def document_format(
    format_id: str,
    title: str,
    recognizes: Callable[[Head], bool],
    reader: Callable[[], Reader],
    keys: Collection[str],
) -> Format:
    """Return the Format of sessions kept as JSON documents, one session in a document.

    The reader is given the elements and values under the top-level *keys*. A document that holds none of them belongs
    to the session before it, or to the first one.
    """

    def read(stream: BinaryIO) -> Iterator[Event]:
        session, lines, begun = reader(), 0, False
        for document in documents(stream):
            further = begun
            for item in document.elements():
                if isinstance(item, Broken):
                    yield item
                elif item.key in keys:
                    if further:
                        yield from session.finish()
                        yield SessionEnd(lines)
                        session, lines = reader(), 0
                    begun, further = True, False
                    yield from _events(session.record, item, item.line)
            lines += document.lines
        yield from session.finish()
        yield SessionEnd(lines)

    return Format(format_id, title, recognizes, lambda stream: _with_starts(read(stream)))


def _events(reads: Callable[[Any], Iterable[Event]], record: Any, line: int) -> list[Event]:
    """Return the events of one record; those before its shape turned out wrong stay."""
    events: list[Event] = []
    try:
        for event in reads(record):
            events.append(event)
    except RECORD_ERRORS as error:
        # Only words of our own: those of other errors change between versions of Python, and may hold text recorded.
        reason = str(error) if isinstance(error, RecordError) else "a record of an unexpected shape"
        events.append(Broken(line, reason))
    return events


def _with_starts(events: Iterable[Event]) -> Iterator[Event]:
    """Put a SessionStart first in every session, and drop its repetitions.

    Events without substance wait for the record that names the session. A name that comes behind an event of
    substance, or behind ``MOST_WAITING`` others, comes too late: the session has none.
    """
    waiting: list[Event] = []
    begun = False
    for event in events:
        if begun:
            if not isinstance(event, SessionStart):
                yield event
        elif isinstance(event, (Skipped, Broken)) and len(waiting) < MOST_WAITING:
            waiting.append(event)
        else:
            begun = True
            if isinstance(event, SessionStart):
                yield event
                yield from waiting
            else:
                yield SessionStart()
                yield from waiting
                yield event
            waiting.clear()
        if isinstance(event, SessionEnd):
            begun = False


def names(text: str) -> frozenset[str]:
    """Return the names in *text*, separated by white space: types of records, or fields."""
    return frozenset(text.split())


def text_of(value: Any) -> str:
    """Return *value* if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def object_of(value: Any) -> dict[str, Any]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def texts_of(record: dict[str, Any], *fields: str) -> tuple[str, ...]:
    """Return the texts under *fields*, "" for each that holds none."""
    return tuple(text_of(record.get(field)) for field in fields)


def required_text(record: dict[str, Any], name: str) -> str:
    """Return the text under *name*; raises RecordError where there is none."""
    value = record.get(name)
    if not isinstance(value, str):
        raise RecordError(f"{name} is no text")
    return value


def words_of(content: Any) -> str:
    """Return the words of a message's content, a text or a list of parts; parts without words (images) give none."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
    return text_of(content)


IMAGE_TYPES = frozenset({"image", "image_url", "input_image", "output_image"})


def images_of(content: Any) -> tuple[str, ...]:
    """Return the images among the parts of a message's content: their data, or what refers to them.

    An image without either has an empty text.
    """
    if not isinstance(content, list):
        return ()
    return tuple(_image(part) for part in content if isinstance(part, dict) and str(part.get("type")) in IMAGE_TYPES)


def _image(part: dict[str, Any]) -> str:
    for holder in (part, object_of(part.get("source")), object_of(part.get("image_url"))):
        for name in ("data", "image_url", "url", "file_id"):
            if text := text_of(holder.get(name)):
                return text
    return ""


def arguments_of(arguments: Any) -> Any:
    """Return the JSON inside *arguments*; what is no JSON text stays as it is."""
    if not isinstance(arguments, str):
        return arguments
    text = arguments.strip()
    try:
        value, end = decoded(text)
    except ValueError:
        return arguments
    return value if end == len(text) else arguments


def count_of(value: Any) -> int | None:
    """Return *value* if it can be a count of tokens, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else None


def usage_of(usage: Any, message: str) -> Usage | None:
    """Return the tokens in the usage object of a chat completion or a response; None where it counts no prompt.

    Its prompt tokens include the cached and the written ones.
    """
    usage = object_of(usage)
    prompt = count_of(usage.get("prompt_tokens")) or count_of(usage.get("input_tokens"))
    if not prompt:
        return None
    details = object_of(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    written = count_of(usage.get("cache_creation_input_tokens")) or 0
    output = count_of(usage.get("completion_tokens")) or count_of(usage.get("output_tokens")) or 0
    return Usage(prompt, count_of(details.get("cached_tokens")) or 0, written, output, message)
