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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.output import WrittenFile
from clawvm_replay.trace_format import TraceHeader
from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounter
from clawvm_transcripts.events import Broken, Event, SessionEnd, SessionStart, Skipped, ToolCall
from clawvm_transcripts.pseudonyms import Pseudonyms
from clawvm_transcripts.reading import detect, events_of
from clawvm_transcripts.recorded_usage import RecordedUsage
from clawvm_transcripts.registry import FORMATS
from clawvm_transcripts.session_output import SessionOutput, is_stopped
from clawvm_transcripts.shown_counts import shown_counts
from clawvm_transcripts.source import CHUNK, Source
from clawvm_transcripts.views import View

__all__ = ["FACTS_FORMAT", "FACTS_VERSION", "Beginning", "Converted", "Job", "JobResult", "beginning_of", "convert"]

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
                file_format = detect(source, FORMATS)
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
    file_format = detect(source, FORMATS)
    start = next((event for event in events_of(source, file_format) if isinstance(event, SessionStart)), SessionStart())
    with source.open() as stream:
        while stream.read(CHUNK):
            pass
    return Beginning(start.started, start.project, source.digest)
