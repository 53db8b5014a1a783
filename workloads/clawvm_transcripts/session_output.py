"""The files of one converted session, written as it is read and named when it is known.

==============  ==========================================================================
SessionOutput   spools the turns, observations and texts of a session, then writes its folder
request_stop    asks the jobs of a conversion, in whichever process, to end soon
is_stopped      whether that was asked for
remove_spools   removes what a conversion that was killed left behind, and takes a request to stop back
==============  ==========================================================================

A trace begins with a header that is only known at the end (window, working set), so its body waits in a spool
file in the output folder. Memory does not grow with the session.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from clawvm_replay.errors import InputError
from clawvm_replay.output import WrittenFile
from clawvm_replay.trace_format import TraceHeader, Turn, end_line, header_line, turn_lines
from clawvm_runtime.canonical import canonical_json
from clawvm_transcripts.observations import Observed, observations_end, observations_header
from clawvm_transcripts.views import View

__all__ = ["SessionOutput", "is_stopped", "remove_spools", "request_stop"]

CHUNK = 1 << 18

SPOOL_FILES = ".job-*.partial"

STOP_FILE = ".job-stop.partial"

TEXTS = "texts.jsonl"

LONGEST_TEXT, LONGEST_WORDS = 2_000_000, 100_000
"""Characters: escaped, they fit into the longest line that the project's readers take."""


class _Spool:
    """One growing file, which is open only while a piece is added to it: a file may hold thousands of sessions.

    By descriptor, not by file object: an interrupt between opening and closing must not end in a warning about it.
    """

    def __init__(self, path: Path) -> None:
        """Begin the file at once, so that a folder that cannot be written shows at once."""
        self.path = path
        self._waiting: list[bytes] = []
        self._size = 0
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))

    def write(self, content: bytes) -> None:
        self._waiting.append(content)
        self._size += len(content)
        if self._size >= CHUNK:
            self.flush()

    def flush(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            _write_all(descriptor, b"".join(self._waiting))
            self._waiting, self._size = [], 0
        finally:
            os.close(descriptor)

    def content(self) -> Iterator[bytes]:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            while content := os.read(descriptor, CHUNK):
                yield content
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class SessionOutput:
    """Spools one session's parts in the folder *root*; ``finish`` gives them their names.

    Leaving the context removes the spool, whatever happened. Raises InputError with one line when something cannot be
    written.
    """

    def __init__(self, root: Path, spool_name: str) -> None:
        self._root = root
        self._spool_name = spool_name
        self._spools: dict[str, _Spool] = {}
        self._turns = dict.fromkeys(View, 0)
        self._observed = dict.fromkeys(View, 0)
        self._texts = 0
        self._told: tuple[Turn, str] | None = None  # The last turn with its lines: mostly both views have the same.

    def __enter__(self) -> SessionOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in self._spools.values():
            with suppress(OSError):
                spool.path.unlink()

    def _spool_path(self, part: str) -> Path:
        return self._root / f".job-{self._spool_name}.{part}.partial"

    def _write(self, part: str, lines: str) -> None:
        spool = self._spools.get(part)
        try:
            if spool is None:
                self._root.mkdir(parents=True, exist_ok=True)
                spool = self._spools[part] = _Spool(self._spool_path(part))
            spool.write(lines.encode("ascii"))
        except OSError as error:
            raise _unwritable(self._spool_path(part), error) from None

    def turn(self, view: View, turn: Turn) -> None:
        """Take the next turn of a view."""
        self._turns[view] += 1
        if self._told is None or self._told[0] != turn:
            self._told = turn, "".join(turn_lines(turn))
        self._write(f"{view.value}.trace.jsonl", self._told[1])

    def observed(self, view: View, observed: Observed) -> None:
        """Take the next observation of a view."""
        self._observed[view] += 1
        self._write(f"{view.value}.observed.jsonl", canonical_json(observed.to_record()) + "\n")

    def text(self, page_id: str, words: str, text: str) -> None:
        """Take the text of a page: for people's own use. A longer one than ``LONGEST_TEXT`` is cut."""
        record = {"page": page_id, "record": "text", "text": text[:LONGEST_TEXT], "words": words[:LONGEST_WORDS]}
        self._texts += 1
        self._write(TEXTS, canonical_json(record) + "\n")

    def end(self) -> None:
        """Write what is still in memory: nothing more comes, but a file with many sessions is not at its end yet."""
        self._told = None
        for spool in self._spools.values():
            try:
                spool.flush()
            except OSError as error:
                raise _unwritable(spool.path, error) from None

    def finish(self, name: str, headers: dict[View, TraceHeader], facts: str) -> list[WrittenFile]:
        """Write the session's folder ``sessions/NAME`` and return its files; ``end`` came before."""
        written = []
        for view, header in headers.items():
            part = f"{view.value}.trace.jsonl"
            content = self._framed(part, header_line(header), end_line(self._turns[view]))
            written.append(self._write_file(f"sessions/{name}/{part}", content))
            part = f"{view.value}.observed.jsonl"
            first = canonical_json(observations_header(name, view.value)) + "\n"
            last = canonical_json(observations_end(self._observed[view])) + "\n"
            written.append(self._write_file(f"sessions/{name}/{part}", self._framed(part, first, last)))
        if TEXTS in self._spools:
            beginning = {"format": "clawvm.texts", "record": "header", "version": 1, "workload": name}
            first = canonical_json(beginning) + "\n"
            last = canonical_json({"record": "end", "records": self._texts}) + "\n"
            written.append(self._write_file(f"sessions/{name}/{TEXTS}", self._framed(TEXTS, first, last)))
        written.append(self._write_file(f"sessions/{name}/session.json", iter([facts.encode("ascii")])))
        return written

    def _framed(self, part: str, first: str, last: str) -> Iterator[bytes]:
        yield first.encode("ascii")
        if part in self._spools:
            yield from self._spools[part].content()
        yield last.encode("ascii")

    def _write_file(self, name: str, content: Iterator[bytes]) -> WrittenFile:
        path = self._root / name
        # Two jobs may write one session, if a recording was given twice: each has a partial file of its own.
        partial = self._spool_path(path.name + ".final")
        digest, size = hashlib.sha256(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
                try:
                    for piece in content:
                        _write_all(descriptor, piece)
                        digest.update(piece)
                        size += len(piece)
                finally:
                    os.close(descriptor)
                os.replace(partial, path)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        except OSError as error:
            raise _unwritable(path, error) from None
        return WrittenFile(name, size, digest.hexdigest())


def request_stop(root: Path) -> None:
    """Ask every job that writes to *root* to end soon: no signal reaches the workers of all kinds of executors."""
    with suppress(OSError):
        (root / STOP_FILE).touch()


def is_stopped(root: Path) -> bool:
    """Return whether the jobs that write to *root* were asked to end."""
    return (root / STOP_FILE).exists()


OTHER_PARTS = ("session.json", "texts.jsonl")


def remove_spools(root: Path) -> None:
    """Remove the spool files in *root*, those of an earlier run that was killed, and a request to stop."""
    for path in root.glob(SPOOL_FILES):
        with suppress(OSError):
            path.unlink()


def remove_sessions(root: Path) -> None:
    """Remove the session folders that an earlier run left in *root*, and nothing else.

    A run that was interrupted lists them in no manifest, and they may hold the texts that this one is not to keep.
    """
    for folder in root.glob("sessions/*"):
        for part in (*(f"{view.value}.{kind}.jsonl" for view in View for kind in ("trace", "observed")), *OTHER_PARTS):
            with suppress(OSError):
                (folder / part).unlink()
        with suppress(OSError):
            folder.rmdir()


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror or error}")
