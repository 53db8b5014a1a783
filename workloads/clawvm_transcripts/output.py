"""One job of conversion: a file, or the files of a chain, into session folders. Runs in any process.

A session's name and budget are known only at its end, so what becomes of it is spooled in hidden files until then.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.output import WrittenFile
from clawvm_replay.trace_format import TraceHeader, Turn, end_line, header_line, turn_lines
from clawvm_runtime.canonical import canonical_json
from clawvm_transcripts.calls import facts_of
from clawvm_transcripts.conversion import SessionConverter, Sinks
from clawvm_transcripts.counts import SessionCounter, SessionCounts, shown_counts
from clawvm_transcripts.detection import FORMATS, NotReadError, detect, events_of
from clawvm_transcripts.events import (
    Broken,
    Compaction,
    Event,
    RecordedCall,
    SessionEnd,
    SessionStart,
    Skipped,
    Subagent,
    Usage,
    Window,
)
from clawvm_transcripts.pseudonyms import Pseudonyms, number_of
from clawvm_transcripts.reading import Source
from clawvm_transcripts.subagents import NAME_DIGITS, SubagentFile, read_subagent
from clawvm_transcripts.views import Observed, View, observations_end, observations_header

__all__ = [
    "FACTS_FORMAT",
    "FACTS_VERSION",
    "Converted",
    "Job",
    "JobResult",
    "RecordedUsage",
    "Refused",
    "SessionOutput",
    "convert",
    "reason_against",
    "remove_sessions",
    "remove_spools",
]

FACTS_FORMAT = "clawvm.session"
FACTS_VERSION = 2

FACTS = "session.json"
TEXTS = "texts.jsonl"
TRACES = {view: f"{view.value}.trace.jsonl" for view in View}
OBSERVED = {view: f"{view.value}.observed.jsonl" for view in View}
PARTS = (*TRACES.values(), *OBSERVED.values())
"""The files in the folder of a session."""

LONGEST_TEXT, LONGEST_WORDS = 2_000_000, 100_000
"""Characters: escaped, they fit into the longest line that the project's readers take."""

SPOOL_CHUNK = 1 << 18
"""Bytes that a spool writes or reads at once."""

SPOOL_FILES = ".job-*.partial"

BROKEN_LINES_SHOWN = 20

BUDGET_SHARE = 0.2
"""Of the working set: the budget in a trace's header where the recording has no window."""

PROGRESS_BYTES = 1 << 22
"""Raw bytes between two reports of progress."""

KEY_BYTES = 1 << 16
"""The beginning of a file from which the key of its pseudonyms is made."""


class RecordedUsage:
    """Sums usage, in tokens; the window is the recorded one, else the largest prompt that the harness compacted.

    Harnesses compact shortly before the window is full, so the second is a little less than the window. Compactions
    that the user asked for say nothing about it.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._sums = {"cached": 0, "output": 0, "prompt": 0, "written": 0}
        self._largest_prompt = 0
        self._window = 0
        self._compacted_at = 0
        self._newest = Usage(0)

    @property
    def window(self) -> int | None:
        """The real window in tokens, None where the recording has none."""
        return self._window or self._compacted_at or None

    def add(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, Window):
            self._window = max(self._window, event.tokens)
        elif isinstance(event, Compaction) and event.kind != "manual":
            self._compacted_at = max(self._compacted_at, event.tokens_before or 0)
        elif isinstance(event, Usage):
            # Of one request, the later usage takes the place of the earlier; joined replies have prompts of their own.
            if event.message and (event.message, event.prompt) == (self._newest.message, self._newest.prompt):
                self._count(self._newest, -1)
            self._count(event, 1)
            self._newest = event
            self._largest_prompt = max(self._largest_prompt, event.prompt)

    def _count(self, usage: Usage, times: int) -> None:
        self._requests += times
        for name in self._sums:
            self._sums[name] += times * getattr(usage, name)

    def to_record(self) -> dict[str, Any]:
        """Return the sums as plain JSON data."""
        return {
            "largest_prompt": self._largest_prompt,
            "requests": self._requests,
            "window": self.window,
            "window_is_recorded": self._window > 0,
            **{f"{name}_tokens": tokens for name, tokens in self._sums.items()},
        }


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


class _Spool:
    """One growing file, which is open only while a piece is added to it: a file may hold thousands of sessions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0
        self._waiting: list[bytes] = []
        self._size = 0
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

    def add(self, lines: str) -> None:
        """Add the lines of one record."""
        self.records += 1
        self._waiting.append(lines.encode("ascii"))
        self._size += len(lines)
        if self._size >= SPOOL_CHUNK:
            self.flush()

    def flush(self) -> None:
        with _writing(self.path), self.path.open("r+b") as file:  # A spool that was removed is not made again.
            file.seek(0, os.SEEK_END)
            file.write(b"".join(self._waiting))
        self._waiting, self._size = [], 0

    def content(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from iter(lambda: file.read(SPOOL_CHUNK), b"")


class SessionOutput:
    """Spools one session's parts in the folder *root*; ``finish`` gives them their names.

    Leaving the context removes the spools, whatever happened. Raises InputError with one line when something cannot be
    written.
    """

    def __init__(self, root: Path, spool_name: str, *, keep_text: bool = False) -> None:
        self._root = root
        self._spool_name = spool_name
        self._spools: dict[str, _Spool] = {}
        for part in (*PARTS, TEXTS) if keep_text else PARTS:
            self._spools[part] = _Spool(self._spool_path(part))
        self._newest: tuple[Turn, str] | None = None  # With its lines: mostly both views have the same turn.

    def __enter__(self) -> SessionOutput:
        return self

    def __exit__(self, *_: object) -> None:
        for spool in self._spools.values():
            with suppress(OSError):
                spool.path.unlink()

    def _spool_path(self, part: str) -> Path:
        return self._root / f".job-{self._spool_name}.{part}.partial"

    def turn(self, view: View, turn: Turn) -> None:
        """Take the next turn of a view."""
        if self._newest is None or self._newest[0] != turn:
            self._newest = turn, "".join(turn_lines(turn))
        self._spools[TRACES[view]].add(self._newest[1])

    def observed(self, view: View, observed: Observed) -> None:
        """Take the next observation of a view."""
        self._spools[OBSERVED[view]].add(canonical_json(observed.to_record()) + "\n")

    def text(self, page_id: str, words: str, text: str) -> None:
        """Take the text of a page: for people's own use. A longer one than ``LONGEST_TEXT`` is cut."""
        record = {"page": page_id, "record": "text", "text": text[:LONGEST_TEXT], "words": words[:LONGEST_WORDS]}
        self._spools[TEXTS].add(canonical_json(record) + "\n")

    def end(self) -> None:
        """Write what is still in memory: nothing more comes, but a file with many sessions is not at its end yet."""
        self._newest = None
        for spool in self._spools.values():
            spool.flush()

    def finish(self, name: str, headers: dict[View, TraceHeader], facts: str) -> list[WrittenFile]:
        """Write the session's folder ``sessions/NAME`` and return its files; ``end`` came before."""
        frames = {}
        for view, header in headers.items():
            trace, observed = TRACES[view], OBSERVED[view]
            frames[trace] = (header_line(header), end_line(self._spools[trace].records))
            frames[observed] = (
                canonical_json(observations_header(name, view.value)) + "\n",
                canonical_json(observations_end(self._spools[observed].records)) + "\n",
            )
        if TEXTS in self._spools:
            beginning = {"format": "clawvm.texts", "record": "header", "version": 1, "workload": name}
            end = {"record": "end", "records": self._spools[TEXTS].records}
            frames[TEXTS] = (canonical_json(beginning) + "\n", canonical_json(end) + "\n")
        written = [
            self._write_file(f"sessions/{name}/{part}", self._framed(part, *frame)) for part, frame in frames.items()
        ]
        return [*written, self._write_file(f"sessions/{name}/{FACTS}", iter([facts.encode("ascii")]))]

    def _framed(self, part: str, first: str, last: str) -> Iterator[bytes]:
        yield first.encode("ascii")
        yield from self._spools[part].content()
        yield last.encode("ascii")

    def _write_file(self, name: str, content: Iterator[bytes]) -> WrittenFile:
        path = self._root / name
        # Two jobs may write one session, if a recording was given twice: each has a partial file of its own.
        partial = self._spool_path(path.name + ".final")
        digest, size = hashlib.sha256(), 0
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    for piece in content:
                        file.write(piece)
                        digest.update(piece)
                        size += len(piece)
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        return WrittenFile(name, size, digest.hexdigest())


def remove_spools(root: Path) -> None:
    """Remove the spool files in *root*, also those of a run that was killed; a job that is still running ends soon."""
    for path in root.glob(SPOOL_FILES):
        with suppress(OSError):
            path.unlink()


def remove_sessions(root: Path) -> None:
    """Remove the session folders that an earlier run left in *root*, and nothing else.

    A run that was interrupted lists them in no manifest, and they may hold the texts that this one is not to keep.
    """
    for folder in root.glob("sessions/*"):
        for part in (*PARTS, TEXTS, FACTS):
            with suppress(OSError):
                (folder / part).unlink()
        with suppress(OSError):
            folder.rmdir()


@dataclass(frozen=True, slots=True)
class Job:
    """Files to convert, in order; with ``chain`` they are one agent's life, with a reset between any two.

    ``number`` is unique among the jobs of a run; ``named`` is whether the user named the file, so that an unknown
    format is an error; ``duplicates`` counts files that are not in it because their content is there already.
    ``subagents`` are the recordings of subagents, each with the id of its session; a job may hold nothing else.
    ``formats`` are the ids of the formats of the files as far as they are known already.
    """

    number: int
    paths: tuple[str, ...]
    out: str
    chain: bool = False
    keep_text: bool = False
    named: bool = True
    duplicates: int = 0
    subagents: tuple[tuple[str, str], ...] = ()
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """One session that was written: its name, its facts as in session.json, its files.

    For its owner alone: ``paths`` are the recordings, ``ids`` what the harness calls the sessions in them, ``unknown``
    the unknown types of entries by the names that the facts give them.
    """

    name: str
    facts: dict[str, Any]
    files: tuple[WrittenFile, ...]
    paths: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was not converted, and why; ``recording`` is whether it looks like a recorded session.

    Only ``reason`` is free of the names and words of its owner.
    """

    path: str
    reason: str
    recording: bool


@dataclass(slots=True)
class JobResult:
    """What became of a job: its sessions, the raw bytes read, and why a file was refused, None if none was.

    ``left_out`` are sessions of a file with others, which give no turn or are mostly broken.
    """

    number: int
    sessions: list[Converted] = field(default_factory=list)
    raw_bytes: int = 0
    refused: Refused | None = None
    duplicates: int = 0
    subagents: list[SubagentFile] = field(default_factory=list)
    left_out: int = 0


def convert(job: Job, progress: Callable[[int], None] | None = None) -> JobResult:
    """Convert the files of *job*; raises InputError for what cannot be read or written (also after ``remove_spools``).

    *progress* is called now and then with the number of raw bytes read.
    """
    result = JobResult(job.number, duplicates=job.duplicates)
    subagents = _subagents(job, result)
    known = {file_format.id: file_format for file_format in FORMATS}
    with ExitStack() as outputs:
        sessions: list[_Session] = []
        sources: list[dict[str, Any]] = []
        key = b""
        for path, format_id in zip_longest(job.paths, job.formats, fillvalue=""):
            source = Source(Path(path))
            try:
                file_format = known.get(format_id) or detect(source)
                own_key = _key_of(source)
                key = key or own_key
            except InputError as error:
                if job.named:
                    raise
                result.refused = refusal_of(path, error)
                return result
            reported = 0
            for event in events_of(source, file_format):
                if isinstance(event, SessionStart) and not (job.chain and sessions):
                    spool_name = f"{job.number}-{len(sessions)}"
                    output = outputs.enter_context(SessionOutput(Path(job.out), spool_name, keep_text=job.keep_text))
                    names = Pseudonyms(key, keep_text=job.keep_text)
                    sessions.append(_Session(output, names, subagents, chain=job.chain))
                sessions[-1].take(event, file_format.id)
                if progress is not None and source.read - reported >= PROGRESS_BYTES:
                    reported = source.read
                    progress(result.raw_bytes + reported)
            result.raw_bytes += source.read
            sources.append({"bytes": source.read, "damage": source.damage, "sha256": source.digest})
        reasons = []
        for index, session in enumerate(sessions):
            session.end()
            reason = "" if job.chain else reason_against(session.counts[0])
            if reason:
                reasons.append(reason)
                continue
            name = _name(job, session, sources) + (f"-{index + 1}" if len(sessions) > 1 else "")
            result.sessions.append(session.finish(name, sources, job.paths))
    if result.sessions:
        result.left_out = len(reasons)
    elif job.paths:
        result.refused = Refused(job.paths[0], reasons[0] if reasons else "holds no session", recording=True)
    if result.sessions:
        name = result.sessions[0].name
        result.subagents = [replace(file, session=name) for file in result.subagents]
    return result


def _subagents(job: Job, result: JobResult) -> dict[str, list[Subagent]]:
    """Read the subagents of *job* into *result*; return what they add to the counts of each session, by its id."""
    found: dict[str, list[Subagent]] = {}
    for path, session in job.subagents:
        try:
            file, record, raw_bytes = read_subagent(path)
        except InputError as error:
            result.refused = refusal_of(path, error)
            continue
        result.subagents.append(file)
        result.raw_bytes += raw_bytes
        found.setdefault(session, []).append(record)
    return found


def reason_against(counts: SessionCounts) -> str:
    """Return why what was counted is no session to convert, "" for one that is.

    What a format recognizes by its first lines may turn out to be something else.
    """
    known = counts.turns + counts.assistant_messages + counts.tool_calls
    if not known:
        return "gives no turn"
    # One line may hold a whole document, so lines alone are no measure.
    read = known + counts.tool_results + counts.known_skipped + sum(counts.skipped.values())
    return "most of its lines are broken" if 2 * counts.bad_lines > max(counts.lines, read) else ""


_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def day_of(moment: str) -> str:
    """Return the day of a recorded time as the recording has it, "" where it has none.

    >>> day_of("2026-08-01T10:00:00Z"), day_of("yesterday")
    ('2026-08-01', '')
    """
    found = _DAY.match(moment)
    return found.group() if found else ""


def refusal_of(path: str, error: InputError) -> Refused:
    """Return why the file at *path* was not read."""
    if isinstance(error, NotReadError):
        return Refused(path, error.reason, error.recording)
    # What cannot be read may be anything; its owner wants to know.
    return Refused(path, str(error).removeprefix(f"{path}: "), recording=True)


def _name(job: Job, session: _Session, sources: list[dict[str, Any]]) -> str:
    """Return the name of a session, which its content alone decides."""
    if not job.chain:
        return f"{session.formats[0]}-{sources[0]['sha256'][:NAME_DIGITS]}"
    digest = hashlib.sha256("".join(item["sha256"] for item in sources).encode()).hexdigest()
    return f"chain-{digest[:NAME_DIGITS]}"


def _key_of(source: Source) -> bytes:
    # Not the digest in the outputs: that of a small file would be its key.
    with source.open() as stream:
        return hashlib.blake2b(stream.read(KEY_BYTES), digest_size=32, person=b"clawvm names").digest()


class _Session:
    """One session, or one chain, on its way from events to files."""

    def __init__(
        self, output: SessionOutput, names: Pseudonyms, subagents: Mapping[str, Sequence[Subagent]], *, chain: bool
    ) -> None:
        self._subagents = subagents
        self._output = output
        self._names = names
        self._chain = chain
        text = output.text if names.keep_text else None
        self._converter: SessionConverter | None = SessionConverter(
            names, Sinks(output.turn, output.observed, text), chain=chain
        )
        self._counter = SessionCounter()
        self.counts: list[SessionCounts] = []
        self._ids: list[str] = []
        self._usage = RecordedUsage()
        self._replies: dict[int, int] = {}  # In which session of a chain each reply came first.
        self._broken: list[dict[str, Any]] = []
        self._facts: dict[str, Any] = {}
        self.formats: list[str] = []
        self._started = ""  # The day on which the first session began.

    def take(self, event: Event, format_id: str) -> None:
        """Take the next event."""
        assert self._converter is not None, "a session that ended"
        if isinstance(event, SessionStart):
            self._counter = SessionCounter()
            if event.session and event.session not in self._ids:
                for record in self._subagents.get(event.session, ()):
                    self._counter.add_subagent(record)
            self._ids.append(event.session)
            self.formats.append(format_id)
            self._started = self._started or day_of(event.started)
            self._converter.begin_session()
        facts = facts_of(event) if isinstance(event, RecordedCall) else None
        if not self._counter.add(event, facts) or isinstance(event, Skipped):
            return
        if not self._is_copied(event):
            self._usage.add(event)
        if isinstance(event, Broken) and len(self._broken) < BROKEN_LINES_SHOWN:
            self._broken.append({**asdict(event), "session": len(self.formats)})
        self._converter.feed(event, facts)
        if isinstance(event, SessionEnd):
            self._converter.end_session()
            self.counts.append(self._counter.counts())
            if not self._chain:
                self.end()

    def _is_copied(self, event: Event) -> bool:
        """Return whether an earlier session of the chain has the usage of this reply already."""
        if not (self._chain and isinstance(event, Usage) and event.message):
            return False
        reply = number_of(event.message)
        self._replies.setdefault(reply, len(self.formats))
        return self._replies[reply] != len(self.formats)

    def end(self) -> None:
        """Let go of all that only a running session needs: a file may hold thousands of sessions."""
        converter = self._converter
        if converter is None:
            return
        self._output.end()
        self._facts = {
            "pages": dict(sorted(converter.pages.items())),
            "transcripts_at_compaction": converter.transcripts_at_compaction,
            "turns": converter.turns,
            "working_set": converter.working_set,
        }
        self._converter = None
        self._counter = SessionCounter()

    def finish(self, name: str, sources: list[dict[str, Any]], paths: tuple[str, ...]) -> Converted:
        """Write the session's folder and return what is known of it; ``end`` came before."""
        harnesses = sorted(set(self.formats))
        facts = {
            **self._facts,
            "broken_lines": self._broken,
            "started": self._started,
            "chain": len(self.formats) > 1,
            "format": FACTS_FORMAT,
            "harnesses": harnesses,
            "name": name,
            "recorded": self._usage.to_record(),
            "sessions": [shown_counts(counts, self._names) for counts in self.counts],
            "sources": sources,
            "version": FACTS_VERSION,
        }
        headers = {}
        for view in View:
            budget = self._usage.window or max(1, int(BUDGET_SHARE * self._facts["working_set"][view.value]))
            description = f"recorded session ({', '.join(harnesses)}), demands by {view.value}"
            headers[view] = TraceHeader(workload=name, budget=budget, description=description)
        text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=True) + "\n"
        unknown = {self._names.name("type", kind): kind for counts in self.counts for kind in counts.skipped}
        files = tuple(self._output.finish(name, headers, text))
        return Converted(name, facts, files, paths, tuple(filter(None, self._ids)), dict(sorted(unknown.items())))
