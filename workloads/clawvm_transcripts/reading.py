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

import codecs
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from clawvm_replay.errors import InputError
from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart, Skipped

__all__ = [
    "CHUNK",
    "CROWDED",
    "GZIP_MAGIC",
    "MAXIMUM_DEPTH",
    "MAXIMUM_LINE",
    "MOST_CONTAINERS",
    "NO_JSON",
    "TOP",
    "DocumentBroken",
    "DocumentEnd",
    "Element",
    "ElementBroken",
    "Format",
    "Head",
    "JsonText",
    "Line",
    "NestingError",
    "RecordError",
    "Source",
    "decoded",
    "document_format",
    "elements",
    "json_records",
    "line_format",
    "lines_of",
    "parsed",
]


# --- The bytes of a recorded session: a plain or gzip-compressed file, read in pieces, never as a whole.

CHUNK = 1 << 20
"""Bytes read at once."""

MAXIMUM_LINE = 16 << 20
"""The longest line that is parsed, in bytes: text takes up to four times this much memory, and its value as much."""

GZIP_MAGIC = b"\x1f\x8b"

_COMPRESSED = 1 << 16
"""Compressed bytes read at once."""

_GZIP_WINDOW = 31
"""zlib's name for data with a gzip header and a checksum."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line (counted from 1) with its end; None where it was too long to be kept."""

    number: int
    content: bytes | None


@dataclass(slots=True)
class Source:
    """One input file.

    ``read`` counts the uncompressed bytes of the latest pass, for progress and speed; ``damage`` says in words what
    is wrong with the compression of a file that is read only in part, and is "" when all is well.
    """

    path: Path
    read: int = field(default=0, compare=False)
    damage: str = field(default="", compare=False)
    _hash: Any = field(default_factory=hashlib.sha256, compare=False, repr=False)

    @property
    def digest(self) -> str:
        """The sha256 of the uncompressed bytes that the latest pass read."""
        return str(self._hash.hexdigest())

    def open(self) -> BinaryIO:
        """Return a stream of the uncompressed bytes; raises InputError with one line when that is impossible.

        The stream raises InputError too, when reading fails later on.
        """
        self.read, self.damage, self._hash = 0, "", hashlib.sha256()
        try:
            # A pipe or a device would keep a reader waiting.
            if not self.path.is_file():
                raise InputError(f"{self.path}: is not a file")
            raw = self.path.open("rb")
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: cannot be read: {_cause(error)}") from None
        return cast(BinaryIO, io.BufferedReader(_Uncompressed(raw, self), CHUNK))


class _Uncompressed(io.RawIOBase):
    """The uncompressed bytes of a file: counts them, and turns damage of a gzip file into its end.

    What could be decompressed before the damage is still read: a recording that was cut off is worth as much
    as a plain one that was.
    """

    def __init__(self, raw: io.BufferedReader, source: Source) -> None:
        self._raw = raw
        self._source = source
        self._pieces: Iterator[bytes] | None = None
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        try:
            if self._pieces is None:
                self._pieces = self._opened()
            while not self._piece:
                self._piece = memoryview(next(self._pieces, b""))
                if not self._piece:
                    return 0
        except OSError as error:
            raise InputError(f"{self._source.path}: cannot be read: {_cause(error)}") from None
        size = min(len(view), len(self._piece))
        view[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        self._source.read += size
        self._source._hash.update(view[:size])
        return size

    def _opened(self) -> Iterator[bytes]:
        if self._raw.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] == GZIP_MAGIC:
            return self._decompressed()
        return iter(lambda: self._raw.read(CHUNK), b"")

    def _decompressed(self) -> Iterator[bytes]:
        """Yield all members of a gzip file in pieces of at most ``CHUNK`` bytes, up to their end or their damage."""
        member = zlib.decompressobj(_GZIP_WINDOW)
        content = self._raw.read(_COMPRESSED)
        while content:
            before = member.copy()
            try:
                piece = member.decompress(content, CHUNK)
            except zlib.error:
                self._source.damage = "the compressed data is damaged"
                yield from _up_to_damage(before, content)
                return
            if piece:
                yield piece
            if member.eof:
                # Zeros may fill the space behind a member.
                content = member.unused_data.lstrip(b"\0")
                while not content:
                    content = self._raw.read(_COMPRESSED)
                    if not content:
                        return
                    content = content.lstrip(b"\0")
                member = zlib.decompressobj(_GZIP_WINDOW)
            else:
                content = member.unconsumed_tail or self._raw.read(_COMPRESSED)
        self._source.damage = "the compressed data is cut off"
        rest = member.flush()
        if rest:
            yield rest

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


def _up_to_damage(member: zlib._Decompress, content: bytes) -> Iterator[bytes]:
    """Yield what *content* holds before the byte at which decompression fails.

    A failing call gives nothing at all, so the bytes are fed one by one: the result is the same whatever the size of
    the pieces in which the file was read.
    """
    for position in range(len(content)):
        try:
            piece = member.decompress(content[position : position + 1])
        except zlib.error:
            return
        if piece:
            yield piece


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def lines_of(stream: BinaryIO) -> Iterator[Line]:
    """Yield every line of *stream*, in memory bounded by ``MAXIMUM_LINE``."""
    number = 0
    while True:
        content: bytes | None = stream.readline(MAXIMUM_LINE + 1)
        if not content:
            return
        number += 1
        if len(content) > MAXIMUM_LINE and not content.endswith(b"\n"):
            content = None  # Given back before the rest is passed over.
            while True:
                rest = stream.readline(CHUNK)
                if not rest or rest.endswith(b"\n"):
                    break
        yield Line(number, content)


# --- Records of a file of JSON lines, read tolerantly: torn, halved and damaged lines cost only themselves.

MAXIMUM_DEPTH = 200
"""Levels of nesting that are read: far below what any version of Python can decode and encode again."""

MOST_CONTAINERS = 400_000
"""Objects and arrays in a value that are read: each takes up to 240 bytes of memory, for as few as two of text."""

LONGEST_INTEGER = 640
"""Digits of an integer that every version and setting of Python can convert; a longer one becomes infinite."""

RECOVERIES = 16
"""How many objects a line may hold, and how often a damaged one is searched for a whole object behind the damage."""

NO_JSON = "is no JSON, or only a part of it"

CROWDED = f"holds more than {MOST_CONTAINERS} objects and arrays"

BYTE_ORDER_MARK = "\ufeff"

_JSON_LINES_TORN = re.compile(r'(?<=[^:,\[\s])\{"')
"""Where no valid JSON has the beginning of an object: the one before it was cut off."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class RecordError(ValueError):
    """A record is not what its format says; the message, without any text of the recording, says what is wrong."""


class NestingError(ValueError):
    """A value is nested more than ``MAXIMUM_DEPTH`` levels deep."""

    def __init__(self) -> None:
        super().__init__("JSON is nested too deeply")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer)
"""Lets control characters stand inside strings: a tool may print anything."""


def decoded(text: str, position: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at *position*, and where it ends.

    Lone surrogates, which cannot be encoded again, become U+FFFD. Raises json.JSONDecodeError, or NestingError.
    """
    try:
        value, end = _DECODER.raw_decode(text, position)
    except RecursionError:
        raise NestingError from None
    if text.count("{", position, end) + text.count("[", position, end) > MAXIMUM_DEPTH and _is_deep(value):
        raise NestingError
    # Three finds: the short one is much the fastest, and mostly there is nothing.
    escape = text.find("\\u", position, end)
    if escape >= 0 and (text.find("\\ud", escape, end) >= 0 or text.find("\\uD", escape, end) >= 0):
        value = _without_surrogates(value)
    return value, end


def is_crowded(text: str, position: int = 0) -> bool:
    """Whether the text from *position* on may hold more than ``MOST_CONTAINERS`` objects and arrays."""
    if len(text) - position <= 2 * MOST_CONTAINERS:
        return False
    return text.count("{", position) + text.count("[", position) > MOST_CONTAINERS


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def json_records(stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any] | Broken | None]]:
    """Yield (line number, object) for every object, Broken in its place for damage, None for a blank line."""
    for line in lines_of(stream):
        if line.content is None:
            yield line.number, Broken(line.number, f"line is longer than {MAXIMUM_LINE} bytes")
            continue
        text = line.content.decode("utf-8", "replace").strip()
        if line.number == 1:
            text = text.removeprefix(BYTE_ORDER_MARK).lstrip()
        if not text:
            yield line.number, None
            continue
        for record in parsed(text):
            yield line.number, Broken(line.number, record) if isinstance(record, str) else record


def parsed(text: str) -> list[dict[str, Any] | str]:
    """Return the objects in one line (no white space around it); a damage is told in words where it stands."""
    if is_crowded(text):
        return [CROWDED]
    try:
        record, end = decoded(text)
    except ValueError:
        return _recovered(text.strip("\x00").strip())
    if end < len(text):
        return _recovered(text.strip("\x00").strip())
    return [record if isinstance(record, dict) else "is JSON, but no object"]


def _recovered(text: str) -> list[dict[str, Any] | str]:
    """Return what can be saved of a line that is no single object: two objects, or a whole one behind half of one."""
    found: list[dict[str, Any] | str] = []
    position, damaged = 0, ""
    for _ in range(RECOVERIES):
        try:
            record, end = decoded(text, position)
        except NestingError as error:
            damaged = damaged or str(error)
        except ValueError:
            damaged = damaged or NO_JSON
        else:
            rest = text[end:].lstrip()
            # Behind damage, an object that does not reach the end of the line is a part of a broken one.
            if isinstance(record, dict) and not (damaged and rest) and ("type" in record or not damaged):
                if damaged:
                    found.append(damaged)
                    damaged = ""
                found.append(record)
                if not rest:
                    return found
                position = len(text) - len(rest)
                continue
            damaged = damaged or "is JSON, but no object"
        position = _next_object(text, position + 1)
        if position < 0:
            break
    return [*found, damaged or f"holds more than {RECOVERIES} objects"]


def _next_object(text: str, position: int) -> int:
    """Return where an object may begin, where one was torn off first; -1 for nowhere."""
    torn = _JSON_LINES_TORN.search(text, position)
    return torn.start() if torn is not None else text.find('{"', position)


# --- A window over the text of a JSON stream: what is consumed is dropped, what is needed is read.

_SPACE = re.compile(r"[\s\x00]*")
_STRUCTURE = re.compile(r'["\[\]{}]')
_STRING_MARK = re.compile(r'["\\\n]')
_SCALAR = re.compile(r"[^\s,\]}]*")

_NO_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEPS = [1 if mark in b"[{" else -1 for mark in range(256)]

_ROUNDS = 4
"""How often pairs of brackets with nothing between them are taken out, before steps are counted one by one."""

_FIRST_WINDOW = 4096
"""Characters of the first window of a structure; most structures are small, so windows begin small and double."""

_TORN = "a text goes on in the next line"
"""In JSON it never does: the document was torn off, and the next one begins in that line."""

_PARTIAL = 16
"""Characters at the end of the window that may be the beginning of something longer: a word, an escape."""

_NUMBER_GOES_ON = 2
"""Characters behind a number that may still belong to it: "e+" before further digits."""


class Damage(Exception):
    """The text is not JSON here."""


class Oversize(Exception):
    """A value is too long, too deep or too crowded to be decoded; it can be passed over."""


class JsonText:
    """A window over the text of *stream*, in memory bounded by ``MAXIMUM_LINE``; a byte order mark is passed over."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._buffer = ""
        self._position = 0
        self._ended = False
        self._counted = 0  # Line ends before this position of the buffer are in _lines.
        self._lines = 0

    @property
    def line(self) -> int:
        """The line of the current position, counted from 1."""
        self._lines += self._buffer.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._lines + 1

    @property
    def at_line_start(self) -> bool:
        """Whether the last character consumed was a line end."""
        return self._position > 0 and self._buffer[self._position - 1] == "\n"

    def _read(self, size: int) -> bool:
        """Read about *size* more bytes; False at the end of the stream."""
        if self._ended:
            return False
        content = self._stream.read(size)
        self._ended = not content
        if self._position > CHUNK or self._position == len(self._buffer):
            _ = self.line
            # One consumed character stays, so that at_line_start can be told.
            kept = max(0, self._position - 1)
            self._buffer = self._buffer[kept:]
            self._counted -= kept
            self._position -= kept
        self._buffer += self._decoder.decode(content, final=self._ended)
        return True

    def skip_space(self) -> bool:
        """Pass over white space; False at the end of the stream."""
        while True:
            match = _SPACE.match(self._buffer, self._position)
            assert match is not None
            self._position = match.end()
            if self._position < len(self._buffer):
                return True
            if not self._read(CHUNK):
                return False

    def skip_document(self) -> None:
        """Pass over everything up to the next line that begins with an object; inside documents, lines are indented."""
        while True:
            end = self._buffer.find("\n{", self._position)
            if end >= 0:
                self._position = end + 1
                return
            # The last character may be the line end of such a line.
            self._position = max(self._position, len(self._buffer) - 1)
            if not self._read(CHUNK):
                self._position = len(self._buffer)
                return

    def peek(self) -> str:
        """Return the next character; "" at the end."""
        return self._buffer[self._position : self._position + 1]

    def next_is(self, character: str) -> bool:
        """Pass over white space, and over *character* if it stands there."""
        if not self.skip_space():
            raise Damage("the document is cut off")
        if self._buffer[self._position] != character:
            return False
        self._position += 1
        return True

    def expect(self, character: str) -> None:
        """Pass over *character*; raises Damage when something else stands there."""
        if not self.next_is(character):
            raise Damage(f"is no JSON: expected {character!r}")

    def decode(self) -> Any:
        """Return the value that begins here; raises Damage, or Oversize without moving."""
        if not self.skip_space():
            raise Damage("the document is cut off")
        size = CHUNK
        while True:
            try:
                value, end = decoded(self._buffer, self._position)
            except NestingError as error:
                raise Oversize(str(error)) from None
            except json.JSONDecodeError as error:
                cut_off = error.pos >= len(self._buffer) - _PARTIAL or error.msg.startswith("Unterminated string")
                if not cut_off:
                    raise Damage(NO_JSON) from None
                have = len(self._buffer) - self._position
                if have > MAXIMUM_LINE:
                    raise Oversize(f"an element is longer than {MAXIMUM_LINE} characters") from None
                # Each try decodes all of the element again; doubling keeps the sum linear.
                if not self._read(min(size, MAXIMUM_LINE + 1 - have)):
                    raise Damage(NO_JSON) from None
                size *= 2
                if is_crowded(self._buffer, self._position):
                    raise Oversize(CROWDED) from None
                continue
            if end < len(self._buffer) - _NUMBER_GOES_ON or not self._read(CHUNK):
                if isinstance(value, str) and self._buffer.find("\n", self._position, end) >= 0:
                    raise Damage(_TORN)
                self._position = end
                return value

    def skip(self) -> None:
        """Pass over the value that begins here, whatever it is, without decoding it."""
        character = self.peek()
        if character == '"':
            self._position += 1
            self._pass_string()
        elif character in ("{", "["):
            self._pass_structure()
        else:
            while True:
                match = _SCALAR.match(self._buffer, self._position)
                assert match is not None
                self._position = match.end()
                if self._position < len(self._buffer) or not self._read(CHUNK):
                    return

    def _find(self, pattern: re.Pattern[str]) -> str:
        """Pass over everything up to and with the next match; return it."""
        while True:
            match = pattern.search(self._buffer, self._position)
            if match is not None:
                self._position = match.end()
                return match.group()
            self._position = len(self._buffer)
            if not self._read(CHUNK):
                raise Damage("the document is cut off")

    def _pass_string(self) -> None:
        while (mark := self._find(_STRING_MARK)) != '"':
            if mark == "\n":
                self._position -= 1
                raise Damage(_TORN)
            if self._position == len(self._buffer) and not self._read(CHUNK):
                raise Damage("the document is cut off")
            self._position += 1

    def _pass_structure(self) -> None:
        """Pass over an array or object: windows that it fills as a whole, then mark by mark to its end."""
        depth, inside = self._pass_windows()
        if inside:
            self._pass_string()
        while True:
            mark = self._find(_STRUCTURE)
            if mark == '"':
                self._pass_string()
            elif mark in "{[":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    return

    def _pass_windows(self) -> tuple[int, bool]:
        """Pass over the windows that lie wholly in the structure that begins here; several times faster than by mark.

        Returns the depth reached, and whether that is inside a string.
        """
        self._position += 1
        depth, inside, size = 1, False, _FIRST_WINDOW
        while True:
            window = self._buffer[self._position : self._position + size + 1]
            size = min(2 * size, CHUNK)
            if (len(window) - len(window.rstrip("\\"))) % 2:
                window = window[:-1]  # What it escapes is not there yet.
            # The quotes that are left begin or end a string.
            pieces = window.replace("\\\\", "").replace('\\"', "").split('"')
            brackets = "".join(pieces[inside::2]).encode("utf-8", "replace").translate(None, _NO_BRACKETS)
            for _ in range(_ROUNDS):
                brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
            # Depth 1 is where this structure begins, so no pair that was taken out can have ended it.
            depths = list(accumulate(map(_STEPS.__getitem__, brackets), initial=depth))
            if min(depths) <= 0:
                return depth, inside
            if "\n" in "".join(pieces[not inside :: 2]):
                raise Damage(_TORN)
            depth = depths[-1]
            inside ^= len(pieces) % 2 == 0
            self._position += len(window)
            if self._position >= len(self._buffer) - 1 and not self._read(CHUNK):
                return depth, inside


# --- Elements of large JSON documents, one by one: a session kept as one document needs no more memory than one in lines.

TOP = ""
"""Stands for the array that is the document itself."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the array under ``key`` (``index`` from 0), or the value under ``key`` (``index`` -1)."""

    key: str
    index: int
    value: Any
    line: int


@dataclass(frozen=True, slots=True)
class ElementBroken:
    """An element at ``line`` that is too long, too deep or too crowded to be read; the document goes on behind it."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class DocumentEnd:
    """A document is over; it took ``lines`` lines."""

    lines: int


@dataclass(frozen=True, slots=True)
class DocumentBroken:
    """The document stops being JSON at ``line``; the rest of it is passed over, and a DocumentEnd follows."""

    line: int
    reason: str


def elements(
    stream: BinaryIO, arrays: Collection[str], values: Collection[str] = ()
) -> Iterator[Element | ElementBroken | DocumentEnd | DocumentBroken]:
    """Yield the elements of the top-level *arrays* and the top-level *values* of every document in *stream*, in order.

    An array that is no array is given as a value; ``TOP`` among the *arrays* takes a document that is itself an array.
    Memory is bounded by the largest element, and that by ``MAXIMUM_LINE``; what is not asked for takes none.
    """
    text = JsonText(stream)
    while text.skip_space():
        first = text.line
        try:
            yield from _document(text, arrays, values)
        except Damage as damage:
            yield DocumentBroken(text.line, str(damage))
            text.skip_document()
        yield DocumentEnd(max(1, text.line - first + (0 if text.line > first and text.at_line_start else 1)))


def _document(text: JsonText, arrays: Collection[str], values: Collection[str]) -> Iterator[Element | ElementBroken]:
    if text.peek() == "[" and TOP in arrays:
        yield from _array(text, TOP)
        return
    text.expect("{")
    if text.next_is("}"):
        return
    while True:
        key = _key(text)
        text.expect(":")
        text.skip_space()
        if key in arrays and text.peek() == "[":
            yield from _array(text, key)
        elif key in arrays or key in values:
            yield _element(text, key, -1)
        else:
            text.skip()
        if text.next_is("}"):
            return
        text.expect(",")


def _key(text: JsonText) -> str:
    try:
        key = text.decode()
    except Oversize as error:
        raise Damage(str(error)) from None
    if not isinstance(key, str):
        raise Damage("a key is no string")
    return key


def _array(text: JsonText, key: str) -> Iterator[Element | ElementBroken]:
    text.expect("[")
    if text.next_is("]"):
        return
    index = 0
    while True:
        yield _element(text, key, index)
        index += 1
        if text.next_is("]"):
            return
        text.expect(",")


def _element(text: JsonText, key: str, index: int) -> Element | ElementBroken:
    text.skip_space()
    line = text.line
    try:
        return Element(key, index, text.decode(), line)
    except Oversize as error:
        text.skip()
        return ElementBroken(line, str(error))


# --- What a format of recorded session has to offer, and the frames around those kept as JSON.

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
