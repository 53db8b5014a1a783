"""Records of a file of JSON lines, read tolerantly: torn, halved and damaged lines cost only themselves.

===============  ========================================================================================
json_records     every object of a stream with its line number, and a Broken for what could not be read
parsed           the objects in one line
decoded          one JSON value in a text; the same on every version of Python
RecordError      what a reader raises for a record that is not what its format says
is_crowded       whether a text may hold more objects than are kept in memory
NestingError     a value is nested too deeply
===============  ========================================================================================

An append that was torn leaves two objects in one line, or half of one before a whole one. Both are met here, so that
no format has to think of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from clawvm_transcripts.events import Broken
from clawvm_transcripts.source import MAXIMUM_LINE, lines_of

__all__ = [
    "CROWDED",
    "MAXIMUM_DEPTH",
    "MOST_CONTAINERS",
    "NO_JSON",
    "NestingError",
    "RecordError",
    "decoded",
    "is_crowded",
    "json_records",
    "parsed",
]

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

_TORN = re.compile(r'(?<=[^:,\[\s])\{"')
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
    torn = _TORN.search(text, position)
    return torn.start() if torn is not None else text.find('{"', position)
