"""From the bytes of a recorded session to JSON: plain or gzip files, lines of objects, whole documents.

What is wrong inside a file raises nothing: damage is reported where it is, and reading goes on behind it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from clawvm_replay.errors import InputError
from clawvm_transcripts.events import Broken

__all__ = [
    "CHUNK",
    "GZIP_MAGIC",
    "MAXIMUM_LINE",
    "MOST_OBJECTS",
    "NO_JSON",
    "NO_OBJECT",
    "TOP",
    "Document",
    "Element",
    "Source",
    "decoded",
    "documents",
    "json_records",
    "lines_of",
    "parsed",
]

CHUNK = 1 << 17
"""Bytes read at once."""

COMPRESSED_CHUNK = 1 << 16
"""Compressed bytes read at once."""

GZIP_MAGIC = b"\x1f\x8b"

GZIP_WINDOW = 31
"""zlib's name for data with a gzip header and a checksum."""

MAXIMUM_LINE = 16 << 20
"""The longest line that is parsed, in bytes: text takes up to four times this much memory, and its value as much."""

MAXIMUM_DOCUMENT = 100 << 20
"""The longest document that is parsed, in bytes; it is in memory as a whole."""

MOST_OBJECTS = 16
"""Objects that a line may hold, and attempts to find a whole one behind a damaged one."""

TOP = ""
"""The key of the elements of a document that is itself an array."""

NO_JSON = "is no JSON, or only a part of it"
NO_OBJECT = "is JSON, but no object"


@dataclass(slots=True)
class Source:
    """One input file.

    ``read`` counts the uncompressed bytes of the latest pass; ``damage`` says what is wrong with the compression of a
    file that is read only in part, and is "" when all is well.
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
    """The uncompressed bytes of a file, counted and hashed in its *source*."""

    def __init__(self, raw: io.BufferedReader, source: Source) -> None:
        self._raw = raw
        self._source = source
        self._pieces = _pieces(raw, source)
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            while not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    return 0
                self._piece = piece
        except OSError as error:
            raise InputError(f"{self._source.path}: cannot be read: {_cause(error)}") from None
        content, self._piece = self._piece[: len(buffer)], self._piece[len(buffer) :]
        buffer[: len(content)] = content
        self._source.read += len(content)
        self._source._hash.update(content)
        return len(content)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pieces(raw: io.BufferedReader, source: Source) -> Iterator[bytes]:
    """Yield the uncompressed content of a file in pieces of at most ``CHUNK`` bytes, up to its end or its damage.

    What was decompressed before damage counts: a compressed recording that was cut off is read like any other.
    """
    if raw.peek(len(GZIP_MAGIC))[: len(GZIP_MAGIC)] != GZIP_MAGIC:
        yield from iter(lambda: raw.read(CHUNK), b"")
        return
    member, content = None, b""  # A gzip file is one or more members in a row.
    while content := content or raw.read(COMPRESSED_CHUNK):
        member = member or zlib.decompressobj(GZIP_WINDOW)
        try:
            yield member.decompress(content, CHUNK)
        except zlib.error:
            source.damage = "the compressed data is damaged"
            return
        content = member.unconsumed_tail
        if member.eof:
            content, member = member.unused_data, None
    if member is not None:
        yield member.flush()
        source.damage = "" if member.eof else "the compressed data is cut off"


def _cause(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def lines_of(stream: BinaryIO, longest: int = MAXIMUM_LINE) -> Iterator[tuple[int, bytes | None]]:
    """Yield every line of *stream* with its number, from 1; None in place of one of more than *longest* bytes."""
    number = 0
    while content := stream.readline(longest + 1):
        number += 1
        if len(content) <= longest or content.endswith(b"\n"):
            yield number, content
            continue
        del content  # Its memory is free while the rest is skipped.
        while (rest := stream.readline(CHUNK)) and not rest.endswith(b"\n"):
            pass
        yield number, None


# Control characters may be inside strings: a tool may print anything.
_DECODER = json.JSONDecoder(strict=False)

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decoded(text: str, position: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at *position*, and where it ends.

    Lone surrogates, which cannot be encoded again, become U+FFFD. Raises ValueError for what is no JSON, or is nested
    more deeply than the interpreter can follow.
    """
    try:
        value, end = _DECODER.raw_decode(text, position)
        if _ESCAPED_SURROGATE.search(text, position, end):
            value = _without_surrogates(value)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    return value, end


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
    for number, content in lines_of(stream):
        if content is None:
            yield number, Broken(number, f"line is longer than {MAXIMUM_LINE} bytes")
            continue
        text = content.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
        if not text:
            yield number, None
            continue
        for record in parsed(text):
            yield number, Broken(number, record) if isinstance(record, str) else record


def parsed(text: str) -> list[dict[str, Any] | str]:
    """Return the objects in one line (no white space around it); damage is described in words where it is."""
    try:
        record, end = decoded(text)
    except ValueError:
        end = -1
    if end != len(text):
        return _recovered(text.strip("\x00").strip())
    return [record if isinstance(record, dict) else NO_OBJECT]


_TORN = re.compile(r'(?<=[^:,\[\s])\{"')
"""Where no valid JSON has the beginning of an object: the one before it was cut off."""


def _recovered(text: str) -> list[dict[str, Any] | str]:
    """Return what can be saved of a line that is no single object: two objects, or a whole one behind half of one."""
    found: list[dict[str, Any] | str] = []
    position, damaged = 0, ""
    for _ in range(MOST_OBJECTS):
        try:
            record, end = decoded(text, position)
        except ValueError:
            damaged = damaged or NO_JSON
        else:
            rest = text[end:].lstrip()
            # Behind damage, an object that does not reach the end of the line is a part of a broken one.
            if isinstance(record, dict) and (not damaged or (not rest and "type" in record)):
                found += [damaged, record] if damaged else [record]
                if not rest:
                    return found
                position, damaged = len(text) - len(rest), ""
                continue
            damaged = damaged or NO_OBJECT
        torn = _TORN.search(text, position + 1)
        position = torn.start() if torn else text.find('{"', position + 1)
        if position < 0:
            break
    return [*found, damaged or f"holds more than {MOST_OBJECTS} objects"]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the top-level array under ``key`` (``index`` from 0), or the value under it (``index`` -1)."""

    key: str
    index: int
    value: Any
    line: int


_SPACE = re.compile(r"[\s\x00]*")


class Document:
    """The text of one JSON document, which begins at *line* of its file and takes *lines*; read element by element."""

    def __init__(self, text: str, line: int = 1, lines: int = 1, refused: str = "") -> None:
        self.lines = lines
        self.refused = refused
        """Why nothing of it is read."""
        self.keys: set[str] = set()
        """The top-level keys read so far."""
        self._text = text
        self._position = 0
        self._line = line
        self._counted = 0  # Line ends before this position are in _line.

    def elements(self) -> Iterator[Element | Broken]:
        """Yield all top-level elements and values in order; a Broken ends them where the text is no JSON."""
        if self.refused:
            yield Broken(self._line, self.refused)
            return
        try:
            first = self._peek()
            if first == "[":
                yield from self._array(TOP)
            elif first:
                yield from self._object()
            if self._peek():
                raise ValueError("more than one document")
        except ValueError:
            yield Broken(self._here(), NO_JSON)

    def _object(self) -> Iterator[Element]:
        for _ in self._items("{", "}"):
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("a key is no string")
            self.keys.add(key)
            self._expect(":")
            if self._peek() == "[":
                yield from self._array(key)
            else:
                yield Element(key, -1, *self._value_and_line())

    def _array(self, key: str) -> Iterator[Element]:
        for index in self._items("[", "]"):
            yield Element(key, index, *self._value_and_line())

    def _items(self, opening: str, closing: str) -> Iterator[int]:
        """Yield the index of every item between two brackets, each time in front of the item."""
        self._expect(opening)
        index = 0
        while self._peek() != closing:
            if index:
                self._expect(",")
            yield index
            index += 1
        self._expect(closing)

    def _value_and_line(self) -> tuple[Any, int]:
        self._peek()
        line = self._here()
        return self._value(), line

    def _value(self) -> Any:
        self._peek()
        value, self._position = decoded(self._text, self._position)
        return value

    def _peek(self) -> str:
        """Skip white space and return the next character; "" at the end."""
        match = _SPACE.match(self._text, self._position)
        self._position = match.end() if match else self._position
        return self._text[self._position : self._position + 1]

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise ValueError(f"expected {character}")
        self._position += 1

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line


def documents(stream: BinaryIO) -> Iterator[Document]:
    """Yield every document of *stream*: one in each line, or one over many lines.

    A document begins in a line that begins with a bracket and does not continue the line before it. A document that is
    longer than ``MAXIMUM_DOCUMENT`` is refused and takes no memory.
    """
    pieces: list[bytes] = []
    size, first, number = 0, 1, 0
    for number, content in lines_of(stream, MAXIMUM_DOCUMENT):
        starts = content is None or (content.startswith((b"{", b"[")) and not _continues(pieces))
        if starts and number > first:
            yield _document(pieces, size, first, number - first)
            pieces, size, first = [], 0, number
        size += MAXIMUM_DOCUMENT + 1 if content is None else len(content)
        if content is None or size > MAXIMUM_DOCUMENT:
            pieces = []
        else:
            pieces.append(content)
        del content  # The document is decoded while this generator waits.
    if number:
        yield _document(pieces, size, first, number + 1 - first)


def _continues(pieces: list[bytes]) -> bool:
    return bool(pieces) and pieces[-1].rstrip().endswith((b",", b":", b"[", b"{"))


def _document(pieces: list[bytes], size: int, line: int, lines: int) -> Document:
    if size > MAXIMUM_DOCUMENT:
        return Document("", line, lines, f"document is longer than {MAXIMUM_DOCUMENT} bytes")
    content = b"".join(pieces)
    pieces.clear()
    return Document(content.decode("utf-8-sig" if line == 1 else "utf-8", "replace"), line, lines)
