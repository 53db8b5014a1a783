"""The jobs of a conversion: one for each file, or one for each chain of sessions, with their subagents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from clawvm_replay.errors import InputError
from clawvm_transcripts.counts import count_sessions
from clawvm_transcripts.detection import SessionFile, detect, events_of, session_files
from clawvm_transcripts.events import SessionStart
from clawvm_transcripts.formats import Format
from clawvm_transcripts.output import Job, reason_against
from clawvm_transcripts.reading import Source
from clawvm_transcripts.subagents import sessions_of

__all__ = ["Chain", "beginning_of", "jobs_for"]


class Chain(str, Enum):
    """Which sessions become one trace, replayed as one agent with a reset between any two."""

    NONE = "none"
    ALL = "all"
    PROJECT = "project"


def beginning_of(source: Source, file_format: Format) -> SessionStart:
    """Return the start of the first session in a file of this format; raises InputError when it cannot be read."""
    return next((event for event in events_of(source, file_format) if isinstance(event, SessionStart)), SessionStart())


def jobs_for(
    inputs: Sequence[Path],
    out: Path,
    *,
    own: Path | None = None,
    chain: Chain = Chain.NONE,
    keep_text: bool = False,
) -> list[Job]:
    """Return the jobs for *inputs*, largest first, so that parallel ones end together.

    Sessions of a chain are ordered by the time at which they were recorded; those without one come last, by content.
    A session without a project is a chain of its own. What is in *own*, the folder of the whole run (*out* unless
    given), is no input: an earlier run wrote it. Raises InputError for an input that is not there, for a named
    file in no known format, and when there is nothing to convert.
    """
    written = (out if own is None else own).resolve()
    files = []
    for file in session_files(inputs):
        if written not in file.path.resolve().parents:
            files.append(file)
        elif file.named:
            raise InputError(f"{file.path}: is in the folder of the output; name another folder")
    if not files:
        raise InputError(f"{', '.join(map(str, inputs))}: no file in any of them")
    # What the user named and nobody can read is refused before anything is written.
    formats = {str(file.path): detect(Source(file.path)) for file in files if file.named}
    sessions: list[tuple[SessionFile, SessionStart]] = []
    subagents: list[tuple[SessionFile, SessionStart]] = []
    jobs: list[Job] = []
    blank = Job(0, (), str(out), keep_text=keep_text)
    for file in files:
        source, path = Source(file.path), str(file.path)
        try:
            if path not in formats:
                formats[path] = detect(source)
            start = beginning_of(source, formats[path])
        except InputError:
            if file.named:
                raise
            jobs.append(replace(blank, paths=(path,), named=False))
            continue
        (subagents if start.subagent else sessions).append((file, start))
    if chain is Chain.NONE:
        jobs += (replace(blank, paths=(str(file.path),), named=file.named) for file, _ in sessions)
    else:
        jobs += _chains(sessions, chain, blank)
    jobs = _with_subagents(jobs, sessions, subagents, blank)
    jobs.sort(key=lambda job: -sum(map(_size, (*job.paths, *(path for path, _ in job.subagents)))))
    found = {path: file_format.id for path, file_format in formats.items()}
    return [
        replace(job, number=number, formats=tuple(found.get(path, "") for path in job.paths))
        for number, job in enumerate(jobs)
    ]


def _with_subagents(
    jobs: Iterable[Job],
    sessions: Iterable[tuple[SessionFile, SessionStart]],
    subagents: Sequence[tuple[SessionFile, SessionStart]],
    blank: Job,
) -> list[Job]:
    """Return *jobs* with every subagent in that of its session, and one job for each whose session is not there."""
    # One session may be in several files: copies, of which one counts, or files of which some are refused.
    holders: dict[str, list[str]] = {}
    for file, start in sessions:
        if start.session:
            holders.setdefault(start.session, []).append(str(file.path))
    belongs = sessions_of(start for _, start in subagents)
    of_file: dict[str, list[tuple[str, str]]] = {}
    alone: list[Job] = []
    for file, start in subagents:
        session = belongs[start.session]
        for holder in holders.get(session, ()):
            of_file.setdefault(holder, []).append((str(file.path), session))
        if session not in holders:
            alone.append(replace(blank, subagents=((str(file.path), ""),), named=file.named))
    found = (
        replace(job, subagents=tuple(dict.fromkeys(pair for path in job.paths for pair in of_file.get(path, ()))))
        for job in jobs
    )
    return [*found, *alone]


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # It was removed; the job that reads it reports that.


def _chains(sessions: Iterable[tuple[SessionFile, SessionStart]], chain: Chain, blank: Job) -> Iterator[Job]:
    """Yield a job for every chain, and one for every file that turns out to be no recording."""
    members: dict[tuple[str, str], dict[str, tuple[SessionStart, str]]] = {}
    duplicates: dict[tuple[str, str], int] = {}
    for file, start in sessions:
        source = Source(file.path)
        counts = list(count_sessions(events_of(source, detect(source))))
        # It is refused alone, and not with all that it would be in one chain with.
        if all(map(reason_against, counts)):
            yield replace(blank, paths=(str(file.path),), named=file.named)
            continue
        group = ("", "") if chain is Chain.ALL else (start.project, "" if start.project else source.digest)
        chained = members.setdefault(group, {})
        duplicates[group] = duplicates.get(group, 0) + (source.digest in chained)
        chained[source.digest] = (start, str(file.path))
    for group, chained in sorted(members.items()):
        ordered = sorted(chained, key=lambda digest: (*_moment(chained[digest][0].started), digest))
        paths = tuple(chained[digest][1] for digest in ordered)
        yield replace(blank, paths=paths, chain=True, duplicates=duplicates[group])


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d+))?(?:Z|([+-]\d\d):?(\d\d))?", re.ASCII | re.I)
"""A recorded time: date, clock, fraction of a second, hours and minutes of the zone."""


def _moment(started: str) -> tuple[int, datetime, str]:
    """Return what orders recorded times: those that can be read, whatever their zone, then others, then none."""
    found = _TIME.fullmatch(started.strip())
    try:
        if found is None:
            raise ValueError("no time")
        date, clock, fraction, hours, minutes = found.groups()
        # datetime.fromisoformat takes other forms on every version of Python.
        moment = datetime.strptime(f"{date} {clock}", "%Y-%m-%d %H:%M:%S")
        zone = timedelta(hours=int(hours), minutes=int(hours[0] + minutes)) if hours else timedelta()
        return 0, moment - zone + timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0"))), ""
    except (ValueError, OverflowError):
        return 1 if started else 2, datetime.min, started
