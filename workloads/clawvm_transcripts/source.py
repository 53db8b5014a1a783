"""The bytes of a recorded session: a plain or gzip-compressed file, read in pieces, never as a whole.

==================  =====================================================================
Source              one input file: opens anew for each pass, counts what was read
Line                one numbered line
MAXIMUM_LINE        the longest line that is parsed, in bytes; longer ones are reported
lines_of            numbered lines of a stream, in constant memory
==================  =====================================================================
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from clawvm_replay.errors import InputError

__all__ = ["CHUNK", "GZIP_MAGIC", "MAXIMUM_LINE", "Line", "Source", "lines_of"]

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
