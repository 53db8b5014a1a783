"""One job of conversion: a file, or the files of a chain, into session folders. Runs in any process.

================  ===========================================================================
Job               what to convert and where to
Converted         one session that was written
JobResult         the sessions of a job, and the file that was refused, if one was
convert           does the job
beginning_of      only the first facts of a file, for finding chains
================  ===========================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.output import WrittenFile
from clawvm_replay.trace_format import TraceHeader, Turn, end_line, header_line, turn_lines
from clawvm_runtime.canonical import canonical_json
from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounter, shown_counts
from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.events import (
    Broken,
    Compaction,
    Event,
    SessionEnd,
    SessionStart,
    Skipped,
    ToolCall,
    Usage,
    Window,
)
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.reading import CHUNK, Source
from clawvm_transcripts.views import Observed, View, observations_end, observations_header

__all__ = [
    "FACTS_FORMAT",
    "FACTS_VERSION",
    "Beginning",
    "Converted",
    "Job",
    "JobResult",
    "RecordedUsage",
    "SessionOutput",
    "beginning_of",
    "convert",
    "remove_spools",
    "request_stop",
]


# --- What the recording itself says about prompts: tokens, cached tokens, the context window.

MAXIMUM_TOKENS = 10**9
"""Counts above this are mistakes of the recording."""


class RecordedUsage:
    """Sums usage, in tokens; the window is the recorded one, else the largest prompt that was compacted on its own.

    Harnesses compact shortly before the window is full, so the second is a little less than the window.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._sums = {"cached_tokens": 0, "output_tokens": 0, "prompt_tokens": 0, "written_tokens": 0}
        self._largest_prompt = 0
        self._window: int | None = None
        self._compacted_at: int | None = None
        self._newest: Usage | None = None

    @property
    def window(self) -> int | None:
        """The real window in tokens, None where the recording tells none."""
        return self._window or self._compacted_at

    def add(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, Window) and 0 < event.tokens <= MAXIMUM_TOKENS:
            self._window = max(self._window or 0, event.tokens)
        elif isinstance(event, Compaction) and event.tokens_before and 0 < event.tokens_before <= MAXIMUM_TOKENS:
            if event.kind != "manual":
                self._compacted_at = max(self._compacted_at or 0, event.tokens_before)
        elif isinstance(event, Usage) and 0 <= event.prompt <= MAXIMUM_TOKENS:
            if self._newest is not None and _is_of_one_request(self._newest, event):
                self._count(self._newest, -1)
            self._count(event, 1)
            self._newest = event
            self._largest_prompt = max(self._largest_prompt, event.prompt)

    def _count(self, usage: Usage, times: int) -> None:
        self._requests += times
        for name, tokens in (
            ("cached_tokens", usage.cached),
            ("output_tokens", usage.output),
            ("prompt_tokens", usage.prompt),
            ("written_tokens", usage.written),
        ):
            self._sums[name] += times * min(max(0, tokens), MAXIMUM_TOKENS)

    def to_record(self) -> dict[str, Any]:
        """Return the sums as plain JSON data."""
        return {
            "largest_prompt": self._largest_prompt,
            "requests": self._requests,
            "window": self.window,
            "window_is_recorded": self._window is not None,
            **self._sums,
        }


def _is_of_one_request(one: Usage, other: Usage) -> bool:
    """Return whether two usages are told of one request: replies that were joined have prompts of their own."""
    return bool(one.message) and (one.message, one.prompt) == (other.message, other.prompt)


# --- The files of one converted session, written as it is read and named when it is known.

SESSION_OUTPUT_CHUNK = 1 << 18

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
        if self._size >= SESSION_OUTPUT_CHUNK:
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
            while content := os.read(descriptor, SESSION_OUTPUT_CHUNK):
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


# --- One job of conversion: a file, or the files of a chain, into session folders. Runs in any process.

FACTS_FORMAT = "clawvm.session"
FACTS_VERSION = 1

BROKEN_LINES_SHOWN = 20

BUDGET_SHARE = 0.2
"""Of the working set: the budget in a trace's header where the recording tells no window."""

PROGRESS_BYTES = 1 << 22
"""Raw bytes between two reports of progress, and between two looks at whether to stop."""

NAME_DIGITS = 12

KEY_BYTES = 1 << 16
"""The beginning of a file from which the key of its pseudonyms is made."""


@dataclass(frozen=True, slots=True)
class Job:
    """Files to convert, in order; with ``chain`` they are one agent's life, with a reset between any two.

    ``number`` is unique among the jobs of a run; ``named`` tells whether the user named the file, so that an unknown
    format is an error; ``twice`` counts files that are not in it because their content is there already.
    """

    number: int
    paths: tuple[str, ...]
    out: str
    chain: bool = False
    keep_text: bool = False
    named: bool = True
    twice: int = 0


@dataclass(frozen=True, slots=True)
class Converted:
    """One session that was written: its name, its facts as in session.json, its files."""

    name: str
    facts: dict[str, Any]
    files: tuple[WrittenFile, ...]


@dataclass(slots=True)
class JobResult:
    """What became of a job: its sessions, the raw bytes read, and why a file was refused, "" if none was."""

    number: int
    sessions: list[Converted] = field(default_factory=list)
    raw_bytes: int = 0
    refused: str = ""
    twice: int = 0


def convert(job: Job, progress: Callable[[int], None] | None = None) -> JobResult:
    """Convert the files of *job*; raises InputError for what cannot be read or written, and when a stop is requested.

    *progress* is told now and then how many raw bytes were read.
    """
    _end_if_stopped(job)
    result = JobResult(job.number, twice=job.twice)
    with ExitStack() as outputs:
        sessions: list[_Session] = []
        sources: list[dict[str, Any]] = []
        key = b""
        for path in job.paths:
            source = Source(Path(path))
            try:
                file_format = detect(source)
                key = key or _key_of(source)
            except InputError as error:
                if job.named:
                    raise
                result.refused = str(error)
                return result
            told = 0
            for event in events_of(source, file_format):
                if isinstance(event, SessionStart) and not (job.chain and sessions):
                    output = outputs.enter_context(SessionOutput(Path(job.out), f"{job.number}-{len(sessions)}"))
                    sessions.append(_Session(output, Pseudonyms(key, keep_text=job.keep_text), chain=job.chain))
                sessions[-1].take(event, file_format.id)
                if source.read - told >= PROGRESS_BYTES:
                    told = source.read
                    _end_if_stopped(job)
                    if progress is not None:
                        progress(result.raw_bytes + told)
            result.raw_bytes += source.read
            sources.append({"bytes": source.read, "damage": source.damage, "sha256": source.digest})
        if not sessions:
            result.refused = f"{job.paths[0]}: holds no session"
        for index, session in enumerate(sessions):
            session.end()
            name = _name(job, session, sources) + (f"-{index + 1}" if len(sessions) > 1 else "")
            result.sessions.append(session.finish(name, sources))
    return result


def _end_if_stopped(job: Job) -> None:
    if is_stopped(Path(job.out)):
        raise InputError("the conversion was stopped")


def _name(job: Job, session: _Session, sources: list[dict[str, Any]]) -> str:
    """Return the name of a session, which its content alone decides."""
    if not job.chain:
        return f"{session.formats[0]}-{sources[0]['sha256'][:NAME_DIGITS]}"
    digest = hashlib.sha256("".join(item["sha256"] for item in sources).encode()).hexdigest()
    return f"chain-{digest[:NAME_DIGITS]}"


def _key_of(source: Source) -> bytes:
    # Not the digest that stands in the outputs: that of a small file would be its key.
    with source.open() as stream:
        return hashlib.blake2b(stream.read(KEY_BYTES), digest_size=32, person=b"clawvm names").digest()


class _Session:
    """One session, or one chain, on its way from events to files."""

    def __init__(self, output: SessionOutput, names: Pseudonyms, *, chain: bool) -> None:
        self._output = output
        self._names = names
        self._chain = chain
        text = output.text if names.keep_text else None
        self._converter: SessionConverter | None = SessionConverter(
            names, Sinks(output.turn, output.observed, text), chain=chain
        )
        self._counter = SessionCounter()
        self._counts: list[dict[str, Any]] = []
        self._usage = RecordedUsage()
        self._broken: list[dict[str, Any]] = []
        self._facts: dict[str, Any] = {}
        self.formats: list[str] = []

    def take(self, event: Event, format_id: str) -> None:
        assert self._converter is not None, "a session that ended"
        if isinstance(event, SessionStart):
            self._counter = SessionCounter()
            self.formats.append(format_id)
            self._converter.begin_session()
        facts = facts_of(event) if isinstance(event, ToolCall) else None
        if not self._counter.add(event, facts) or isinstance(event, Skipped):
            return
        self._usage.add(event)
        if isinstance(event, Broken) and len(self._broken) < BROKEN_LINES_SHOWN:
            self._broken.append({"line": event.line, "reason": event.reason, "session": len(self.formats)})
        self._converter.feed(event, facts)
        if isinstance(event, SessionEnd):
            self._converter.end_session()
            self._counts.append(shown_counts(self._counter.counts(), self._names))
            if not self._chain:
                self.end()

    def end(self) -> None:
        """Let go of all that only a running session needs: a file may hold thousands of sessions."""
        converter = self._converter
        if converter is None:
            return
        self._output.end()
        self._facts = {
            "pages": {kind: converter.pages[kind] for kind in sorted(converter.pages)},
            "transcripts_at_compaction": converter.transcripts_at_compaction,
            "turns": converter.turns,
            "working_set": converter.working_set,
        }
        self._converter = None
        self._counter = SessionCounter()

    def finish(self, name: str, sources: list[dict[str, Any]]) -> Converted:
        """Write the session's folder and return what is known of it; ``end`` came before."""
        facts = {
            **self._facts,
            "broken_lines": self._broken,
            "chain": len(self.formats) > 1,
            "format": FACTS_FORMAT,
            "harnesses": sorted(set(self.formats)),
            "name": name,
            "recorded": self._usage.to_record(),
            "sessions": self._counts,
            "sources": sources,
            "version": FACTS_VERSION,
        }
        text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=True) + "\n"
        files = self._output.finish(name, {view: self._header(name, view) for view in View}, text)
        return Converted(name, facts, tuple(files))

    def _header(self, name: str, view: View) -> TraceHeader:
        window = self._usage.window or max(1, int(BUDGET_SHARE * self._facts["working_set"][view.value]))
        harnesses = ", ".join(sorted(set(self.formats)))
        return TraceHeader(
            workload=name,
            budget=window,
            description=f"recorded session ({harnesses}), demands by {view.value}",
        )


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the first session of a file tells at once: when it was recorded, its project; and the file's content."""

    started: str
    project: str
    sha256: str


def beginning_of(path: str) -> Beginning:
    """Return the beginning of a file, for finding chains; raises InputError for a file in no known format."""
    source = Source(Path(path))
    file_format = detect(source)
    start = next((event for event in events_of(source, file_format) if isinstance(event, SessionStart)), SessionStart())
    with source.open() as stream:
        while stream.read(CHUNK):
            pass
    return Beginning(start.started, start.project, source.digest)
