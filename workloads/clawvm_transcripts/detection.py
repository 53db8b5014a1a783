"""From inputs to events: which files are read, and the format of each, which its content decides and never its name."""

from __future__ import annotations

import codecs
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from clawvm_replay.errors import InputError
from clawvm_transcripts.events import Broken, Event
from clawvm_transcripts.foreign_formats import FOREIGN_FORMATS
from clawvm_transcripts.formats import Format, Head
from clawvm_transcripts.formats.claude_code import CLAUDE_CODE
from clawvm_transcripts.formats.codex import CODEX
from clawvm_transcripts.formats.copilot_cli import COPILOT_CLI
from clawvm_transcripts.formats.openhands import OPENHANDS
from clawvm_transcripts.formats.pi import OH_MY_PI, OPENCLAW, OPENCLAW_DATABASE, PI
from clawvm_transcripts.formats.swe_agent import MINI_SWE_AGENT, SWE_AGENT
from clawvm_transcripts.reading import GZIP_MAGIC, TOP, Document, Source, parsed
from clawvm_transcripts.unknown_recordings import looks_recorded, written_by_clawvm

__all__ = [
    "FORMATS",
    "HEAD",
    "HEAD_ELEMENTS",
    "HEAD_LINES",
    "NotReadError",
    "SessionFile",
    "detect",
    "events_of",
    "head_of",
    "session_files",
]

FORMATS: list[Format] = [
    CLAUDE_CODE,
    CODEX,
    COPILOT_CLI,
    OPENCLAW,
    OPENCLAW_DATABASE,
    OH_MY_PI,
    PI,
    MINI_SWE_AGENT,
    SWE_AGENT,
    OPENHANDS,
]
"""All known formats, in the order in which they are tried; anybody may append one."""

HEAD = 1 << 20
"""Bytes that are read to find the format."""

HEAD_LINES = 64
"""Lines that are read to find the format."""


HEAD_ELEMENTS = 16
"""Elements of each top-level array that are kept to find the format."""


BYTES_FOR_A_NUL = 100
"""Bytes of a line of text that one NUL may be among: a tool may have printed it."""


class NotReadError(InputError):
    """A file that is not converted: ``reason`` says why in a few words, without the path of the file.

    ``recording`` is whether the file looks like a recorded session all the same; ``known`` are the titles of the
    formats that would be read, with which the message ends.
    """

    def __init__(self, path: Path, reason: str, *, recording: bool, known: Sequence[str] = ()) -> None:
        super().__init__(f"{path}: {reason}" + (f"; known: {', '.join(known)}" if known else ""))
        self.path, self.reason, self.recording, self.known = path, reason, recording, known

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.path, self.reason, self.recording, self.known)


def _again(path: Path, reason: str, recording: bool, known: Sequence[str]) -> NotReadError:
    return NotReadError(path, reason, recording=recording, known=known)


def head_of(stream: BinaryIO) -> Head:
    """Return the beginning of a file; reads at most ``HEAD`` bytes."""
    start = stream.read(HEAD)
    document = start.removeprefix(codecs.BOM_UTF8).lstrip()
    lines = start.removeprefix(codecs.BOM_UTF8).split(b"\n", HEAD_LINES)
    rest = lines.pop()
    first = (lines or [rest])[0].strip(b"\0 \t\r")
    if first.count(0) * BYTES_FOR_A_NUL > len(first):
        return Head(start)  # Binary: what looks like a record is a row of a database, or a part of something else.
    records = [record for line in lines for record in _objects(line)]
    if len(lines) < HEAD_LINES:
        # Of the line that the end of the head cuts off, the values before the cut are enough.
        records += [_beginning(rest)[1]] if len(start) == HEAD else _objects(rest)
    keys, values, lists = _beginning(start)
    if not lists and len(start) == HEAD and document.startswith(b"["):
        # The first element of the list is longer than the head.
        _, values_of_first, lists_of_first = _beginning(document[1:])
        lists = {TOP: [{**values_of_first, **lists_of_first}]}
    return Head(start, tuple(records), frozenset(keys), values, {key: tuple(items) for key, items in lists.items()})


def _objects(line: bytes) -> list[dict[str, Any]]:
    return [item for item in parsed(line.decode("utf-8", "replace").strip()) if isinstance(item, dict)]


def _beginning(content: bytes) -> tuple[set[str], dict[str, Any], dict[str, list[dict[str, Any]]]]:
    """Return the top-level keys of a document, its values, and the first objects of its arrays."""
    document = Document(content.decode("utf-8-sig", "replace"))
    values: dict[str, Any] = {}
    lists: dict[str, list[dict[str, Any]]] = {}
    for item in document.elements():
        if isinstance(item, Broken):
            break
        if item.index < 0:
            values[item.key] = item.value
        elif item.index < HEAD_ELEMENTS and isinstance(item.value, dict):
            found = lists.setdefault(item.key, []) if item.index == 0 else lists.get(item.key, [])
            if len(found) == item.index:
                found.append(item.value)
    return document.keys, values, lists


def detect(source: Source) -> Format:
    """Return the format of *source*; raises NotReadError for a file in a format that is not read, or in none."""
    with source.open() as stream:
        head = head_of(stream)
    for candidate in FORMATS:
        if candidate.recognizes(head):
            return candidate
    raise _refusal(source, head)


def _refusal(source: Source, head: Head) -> NotReadError:
    for foreign in FOREIGN_FORMATS:
        if foreign.recognizes(head):
            return NotReadError(source.path, f"{foreign.title}: not supported yet", recording=True)
    if written_by_clawvm(head):
        return NotReadError(source.path, "was written by ClawVM and is no recording", recording=False)
    known = tuple(item.title for item in FORMATS)
    reason = "is in no known format" if head.start.strip() else source.damage or "is empty"
    return NotReadError(source.path, reason, recording=looks_recorded(head), known=known)


def events_of(source: Source, file_format: Format) -> Iterator[Event]:
    """Yield the events of every session in *source*; memory is bounded whatever the size of the file."""
    with source.open() as stream:
        if not file_format.needs_path:
            yield from file_format.read(stream)
            return
        with source.path.open("rb") as plain:
            if plain.read(len(GZIP_MAGIC)) != GZIP_MAGIC:
                while stream.read(HEAD):
                    pass  # Only for its digest.
                yield from file_format.read(plain)
                return
        with tempfile.NamedTemporaryFile(prefix="clawvm-") as copy:
            try:
                shutil.copyfileobj(stream, copy)
                copy.flush()
            except OSError as error:
                raise InputError(f"{source.path}: cannot be unpacked: {error.strerror or error}") from None
            yield from file_format.read(cast(BinaryIO, copy))


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A file to read: ``name`` is its path below the input that holds it; ``named`` is whether it is itself an input.

    A named file in no known format is an error; one found in a folder is only not a session.
    """

    path: Path
    name: str
    named: bool


def session_files(inputs: Iterable[Path]) -> list[SessionFile]:
    """Return every regular file in *inputs*, folders walked, each once, sorted by name, then by input.

    Neither the order of the inputs nor the place of the folders on the machine matters. In a folder, whatever begins
    with a dot is skipped, and links to folders are not followed. Raises InputError for an input that is not there or is
    neither file nor folder, and for a folder that cannot be read.
    """
    found: dict[str, tuple[str, str, Path, bool]] = {}
    for entry in inputs:
        try:
            entries = list(_entries(entry))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise InputError(f"{entry}: cannot be read: {reason or error}") from None
        for path, name, named in entries:
            real = os.path.realpath(path)
            item = (name, str(entry), path, named)
            other = found.get(real, item)
            # The same file by two ways: the first name counts, and that somebody named it.
            found[real] = (*min(item[:3], other[:3]), named or other[3])
    return [SessionFile(path, name, named) for name, _, path, named in sorted(found.values())]


def _entries(entry: Path) -> Iterator[tuple[Path, str, bool]]:
    # stat() follows links, and says why it cannot.
    mode = entry.stat().st_mode
    if stat.S_ISREG(mode):
        yield entry, _printable(entry.name), True
    elif stat.S_ISDIR(mode):
        for folder, folders, files in os.walk(entry, onerror=_raised):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file():
                    yield path, _printable(path.relative_to(entry).as_posix()), False
    else:
        raise ValueError("is neither a file nor a folder")


def _raised(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read: {error.strerror}")


def _printable(name: str) -> str:
    """Return a name that can be written down, whatever bytes the file system holds."""
    return os.fsencode(name).decode("utf-8", "replace")
