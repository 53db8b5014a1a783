"""A window over the text of a JSON stream: what is consumed is dropped, what is needed is read.

===========  ========================================================================
JsonText     the window: steps over white space, marks, whole values
Damage       the text is not JSON here
Oversize     a value that is not decoded, but can be passed over
===========  ========================================================================
"""

from __future__ import annotations

import codecs
import json
import re
from itertools import accumulate
from typing import Any, BinaryIO

from clawvm_transcripts.json_lines import CROWDED, NO_JSON, NestingError, decoded, is_crowded
from clawvm_transcripts.source import CHUNK, MAXIMUM_LINE

__all__ = ["Damage", "JsonText", "Oversize"]

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

    def pass_over(self) -> None:
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
