"""The files of one converted session, written as it is read and named when it is known.

==============  ==========================================================================
SessionOutput   spools the turns, observations and texts of a session, then writes its folder
remove_spools   removes what a conversion that was killed left behind
==============  ==========================================================================

A trace begins with a header that is only known at the end (working set, compactions), so its body waits in a spool
file in the output folder. Memory does not grow with the session.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from clawvm_replay.errors import InputError
from clawvm_replay.output import WrittenFile
from clawvm_replay.trace_format import TraceHeader, Turn, end_line, header_line, turn_lines
from clawvm_runtime.canonical import canonical_json
from clawvm_transcripts.observations import Observed, observations_end, observations_header
from clawvm_transcripts.views import View

__all__ = ["SessionOutput", "remove_spools"]

CHUNK = 1 << 18

SPOOL_FILES = ".job-*.partial"


class SessionOutput:
    """Spools one session's parts in the folder *root*; ``finish`` gives them their names.

    Leaving the context removes the spool, whatever happened. Raises InputError with one line when something cannot be
    written.
    """

    def __init__(self, root: Path, spool_name: str) -> None:
        self._root = root
        self._spool_name = spool_name
        self._open: dict[str, IO[bytes]] = {}
        self._parts: set[str] = set()
        self._turns = dict.fromkeys(View, 0)
        self._observed = dict.fromkeys(View, 0)

    def __enter__(self) -> SessionOutput:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for spool in self._open.values():
            # Closing writes what is still in memory, which fails once more where writing failed.
            with suppress(OSError):
                spool.close()
        for part in self._parts:
            with suppress(OSError):
                self._spool_path(part).unlink()

    def _spool_path(self, part: str) -> Path:
        return self._root / f".job-{self._spool_name}.{part}.partial"

    def _write(self, part: str, line: str) -> None:
        try:
            spool = self._open.get(part)
            if spool is None:
                self._root.mkdir(parents=True, exist_ok=True)
                self._parts.add(part)
                spool = open(self._spool_path(part), "wb", buffering=CHUNK)  # noqa: SIM115 - open as long as the session
                self._open[part] = spool
            spool.write(line.encode("ascii"))
        except OSError as error:
            raise _unwritable(self._spool_path(part), error) from None

    def turn(self, view: View, turn: Turn) -> None:
        """Take the next turn of a view."""
        self._turns[view] += 1
        for line in turn_lines(turn):
            self._write(f"{view.value}.trace.jsonl", line)

    def observed(self, view: View, observed: Observed) -> None:
        """Take the next observation of a view."""
        self._observed[view] += 1
        self._write(f"{view.value}.observed.jsonl", canonical_json(observed.to_record()) + "\n")

    def text(self, page_id: str, words: str, text: str) -> None:
        """Take the text of a page: for people's own use."""
        self._write("texts.jsonl", canonical_json({"page": page_id, "text": text, "words": words}) + "\n")

    def end(self) -> None:
        """Close the spool: nothing more comes, but a file with many sessions is not at its end yet."""
        with ExitStack() as closing:
            for part, spool in self._open.items():
                closing.callback(self._close, part, spool)
            self._open = {}

    def _close(self, part: str, spool: IO[bytes]) -> None:
        try:
            spool.close()
        except OSError as error:
            raise _unwritable(self._spool_path(part), error) from None

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
        if "texts.jsonl" in self._parts:
            written.append(self._write_file(f"sessions/{name}/texts.jsonl", self._framed("texts.jsonl")))
        written.append(self._write_file(f"sessions/{name}/session.json", iter([facts.encode("ascii")])))
        return written

    def _framed(self, part: str, first: str = "", last: str = "") -> Iterator[bytes]:
        yield first.encode("ascii")
        if part in self._parts:
            with open(self._spool_path(part), "rb") as spool:
                while content := spool.read(CHUNK):
                    yield content
        yield last.encode("ascii")

    def _write_file(self, name: str, content: Iterator[bytes]) -> WrittenFile:
        path = self._root / name
        # Two jobs may write one session, if a recording was given twice: each has a partial file of its own.
        partial = self._spool_path(path.name + ".final")
        digest, size = hashlib.sha256(), 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "wb") as file:
                    for piece in content:
                        file.write(piece)
                        digest.update(piece)
                        size += len(piece)
                os.replace(partial, path)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        except OSError as error:
            raise _unwritable(path, error) from None
        return WrittenFile(name, size, digest.hexdigest())


def remove_spools(root: Path) -> None:
    """Remove the spool files in *root*: those of workers that were ended, or of an earlier run that was killed."""
    for path in root.glob(SPOOL_FILES):
        with suppress(OSError):
            path.unlink()


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror or error}")
