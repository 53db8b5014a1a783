"""Which jobs a conversion has: one per file, or one per chain of sessions; and what came out of them together.

=================  ===================================================================================
Chain              none: every session by itself; all: one chain of them all; project: one per project
jobs_for           the jobs for some inputs, in an order that only their content decides
write_conversion   the reports of a finished conversion
=================  ===================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.output import OutputDirectory
from clawvm_replay.reports import table
from clawvm_replay.suite import document
from clawvm_transcripts.detection import SessionFile, detect, session_files
from clawvm_transcripts.output import Beginning, Converted, Job, JobResult, beginning_of
from clawvm_transcripts.reading import Source

__all__ = ["Chain", "Conversion", "conversion_markdown", "jobs_for", "write_conversion"]


# --- The report of a conversion for people: what was read, what was skipped, what became pages.

ROWS_MOST = 200

LONGEST_KIND = 80
"""Characters of an unknown type's name that are shown."""


def conversion_markdown(record: dict[str, Any]) -> str:
    """Return the report of a conversion as Markdown."""
    sessions = record["sessions"]
    parts = ["# ClawVM: converted sessions\n", _lead(record)]
    if len(sessions) > ROWS_MOST:
        parts.append(f"The tables hold the first {ROWS_MOST} of {len(sessions)}; conversion.report.json holds all.\n")
    parts += ["## Counts\n", _counts(sessions[:ROWS_MOST]), "## Pages\n", _pages(sessions[:ROWS_MOST])]
    parts += ["## Lines that were not read\n", _not_read(sessions)]
    return "\n".join(parts)


def _lead(record: dict[str, Any]) -> str:
    lines = [
        f"{_counted(len(record['sessions']), 'session')}. A turn is one reply of the model: the harness assembled one "
        "prompt for it; a prompt is what the user typed. Names are keyed hashes of what the recording calls things. "
        "Compactions, resets and rewinds are those that the recording tells: a trace has a reset between any two "
        "sessions of a chain beside them, and none behind the last reply. A window with a ~ is the largest prompt that "
        "was compacted by itself.",
    ]
    if record["refused_files"]:
        lines.append(f"{record['refused_files']} files found in folders are in no known format; they were passed over.")
    if record["sessions_given_twice"]:
        lines.append(f"{record['sessions_given_twice']} sessions were given more than once and are counted once.")
    return "\n\n".join(lines) + "\n"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sum(facts: dict[str, Any], name: str) -> int:
    return sum(session[name] for session in facts["sessions"])


def _counts(sessions: list[dict[str, Any]]) -> str:
    header = [
        "session",
        "harness",
        "prompts",
        "turns",
        "calls",
        "unanswered",
        "repeated exactly",
        "repeated in core, no polls",
        "reads",
        "read again",
        "recorded compactions",
        "recorded resets",
        "recorded rewinds",
    ]
    names = (
        "tool_calls",
        "unanswered_calls",
        "repeated_signatures",
        "repeated_core_nopoll",
        "path_reads",
        "path_rereads",
        "compactions",
        "resets",
        "rewinds",
    )
    return table(
        header,
        (
            (
                facts["name"],
                ", ".join(facts["harnesses"]),
                _sum(facts, "turns"),
                facts["turns"],
                *(_sum(facts, name) for name in names),
            )
            for facts in sessions
        ),
    )


def _pages(sessions: list[dict[str, Any]]) -> str:
    kinds = sorted({kind for facts in sessions for kind in facts["pages"]})
    return table(
        ["session", *kinds, "working set, signatures", "working set, resources", "window"],
        (
            (
                facts["name"],
                *(facts["pages"].get(kind, 0) for kind in kinds),
                facts["working_set"]["signatures"],
                facts["working_set"]["resources"],
                _window(facts["recorded"]),
            )
            for facts in sessions
        ),
    )


def _window(recorded: dict[str, Any]) -> str:
    if not recorded["window"]:
        return "-"
    return f"{'' if recorded['window_is_recorded'] else '~'}{recorded['window']:,}"


def _not_read(sessions: list[dict[str, Any]]) -> str:
    rows = []
    for facts in sessions:
        for number, session in enumerate(facts["sessions"], start=1):
            unknown = ", ".join(f"{_in_a_cell(kind)} ({count})" for kind, count in sorted(session["skipped"].items()))
            broken = [item["line"] for item in facts["broken_lines"] if item["session"] == number]
            if unknown or session["bad_lines"]:
                shown = ", ".join(map(str, broken)) + (", ..." if session["bad_lines"] > len(broken) else "")
                rows.append((facts["name"], unknown or "-", session["bad_lines"], shown or "-"))
    damaged = "".join(
        f"{facts['name']} was read only in part: {source['damage']}.\n\n"
        for facts in sessions
        for source in facts["sources"]
        if source["damage"]
    )
    if not rows:
        lines = "Every line that was read" if damaged else "Every line"
        return f"{damaged}{lines} was of a known type, and none was broken.\n"
    return damaged + table(["session", "lines of unknown types", "broken lines", "their numbers"], rows)


def _in_a_cell(kind: str) -> str:
    """Return the name of a type so that it can stand in a table, whatever it holds."""
    return ascii(kind[:LONGEST_KIND])[1:-1].replace("|", "/")


# --- Which jobs a conversion has: one per file, or one per chain of sessions; and what came out of them together.

REPORT_FORMAT = "clawvm.conversion_report"
REPORT_VERSION = 1


class Chain(str, Enum):
    """Which sessions become one trace, replayed as one agent with a reset between any two."""

    NONE = "none"
    ALL = "all"
    PROJECT = "project"


def jobs_for(
    inputs: Sequence[Path],
    out: Path,
    *,
    own: Path | None = None,
    chain: Chain = Chain.NONE,
    keep_text: bool = False,
) -> list[Job]:
    """Return the jobs for *inputs*, largest first, so that parallel ones end together.

    Sessions of a chain are ordered by the time at which they were recorded; those that tell none come last, by content.
    A session that tells no project is a chain of its own. What lies in *own*, the folder of the whole run (*out* unless
    given), is no input: it is what an earlier run wrote. Raises InputError for an input that is not there, for a named
    file in no known format, and when there is nothing to convert.
    """
    written = (out if own is None else own).resolve()
    files = []
    for file in session_files(inputs):
        if written not in file.path.resolve().parents:
            files.append(file)
        elif file.named:
            raise InputError(f"{file.path}: lies in the folder of the output; name another folder")
    if not files:
        raise InputError(f"{', '.join(map(str, inputs))}: no file in any of them")
    for file in files:
        if file.named:
            # What the user named and nobody can read is refused before anything is written.
            detect(Source(file.path))
    if chain is Chain.NONE:
        jobs = [Job(0, (str(file.path),), str(out), keep_text=keep_text, named=file.named) for file in files]
    else:
        jobs = list(_chains(files, chain, Job(0, (), str(out), keep_text=keep_text)))
    jobs.sort(key=lambda job: -sum(map(_size, job.paths)))
    return [replace(job, number=number) for number, job in enumerate(jobs)]


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # It is gone: the job that reads it will say so.


def _chains(files: Iterable[SessionFile], chain: Chain, job: Job) -> Iterable[Job]:
    """Yield *job* for every chain, and by itself for every file that was found and cannot be read."""
    members: dict[tuple[str, str], list[tuple[str, Beginning]]] = {}
    for file in files:
        path = str(file.path)
        try:
            beginning = beginning_of(path)
        except InputError:
            if file.named:
                raise
            yield replace(job, paths=(path,), named=False)
            continue
        group = ("", "") if chain is Chain.ALL else (beginning.project, "" if beginning.project else beginning.sha256)
        members.setdefault(group, []).append((path, beginning))
    for _, group_members in sorted(members.items()):
        once = {beginning.sha256: (path, beginning) for path, beginning in group_members}
        ordered = sorted(once.values(), key=lambda member: (*_moment(member[1].started), member[1].sha256))
        twice = len(group_members) - len(once)
        yield replace(job, paths=tuple(path for path, _ in ordered), chain=True, twice=twice)


def _moment(started: str) -> tuple[bool, float, str]:
    """Return what orders recorded times: those that can be read, whatever their zone, then others, then none."""
    found = _TIME.fullmatch(started.strip())
    try:
        if found is None:
            raise ValueError("no time")
        date, clock, fraction, zone = found.groups()
        # datetime.fromisoformat takes other forms on every version of Python.
        moment = datetime.strptime(f"{date} {clock}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
        offset = 0 if zone in (None, "Z") else int(zone[:3]) * 3600 + int(zone[0] + zone[-2:]) * 60
        return (False, moment.timestamp() - offset + float(f"0.{(fraction or '0')[:6]}"), "")
    except (ValueError, OverflowError):
        return (True, 0.0 if started else 1.0, started)


_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d+))?(Z|[+-]\d{2}:?\d{2})?", re.ASCII | re.IGNORECASE
)
"""A recorded time: date, clock, fraction of a second, zone."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion: its sessions by name, each once, and what became of the other files."""

    sessions: tuple[Converted, ...]
    refused: int
    twice: int
    raw_bytes: int

    @classmethod
    def of(cls, results: Sequence[JobResult]) -> Conversion:
        """Return what all jobs gave together; the order of the jobs has no say."""
        by_name: dict[str, Converted] = {}
        count = 0
        for result in results:
            for session in result.sessions:
                count += 1
                by_name[session.name] = session
        sessions = tuple(by_name[name] for name in sorted(by_name))
        return cls(
            sessions,
            sum(bool(result.refused) for result in results),
            count - len(sessions) + sum(result.twice for result in results),
            sum(result.raw_bytes for result in results),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the report as plain JSON data."""
        return {
            "format": REPORT_FORMAT,
            "refused_files": self.refused,
            "sessions": [session.facts for session in self.sessions],
            "sessions_given_twice": self.twice,
            "version": REPORT_VERSION,
        }


def write_conversion(output: OutputDirectory, conversion: Conversion, folder: str = "") -> None:
    """Write the reports of a finished conversion into *folder* of the output, where its sessions are."""
    prefix = f"{folder}/" if folder else ""
    for session in conversion.sessions:
        for file in session.files:
            output.note(replace(file, path=prefix + file.path))
    output.write(f"{prefix}conversion.report.json", document(conversion.to_record()))
    output.write(f"{prefix}conversion.report.md", conversion_markdown(conversion.to_record()).encode("ascii"))
