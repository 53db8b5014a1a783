"""A finished conversion, and the reports of what was read and what was not.

Everything here may be shared: a file goes by a hash of its content. Who owns the recordings finds their paths in the
private map (``private_names``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, Value, counted, markdown, plain
from clawvm_replay.errors import InputError
from clawvm_replay.output import OutputDirectory
from clawvm_replay.suite import document
from clawvm_transcripts.output import Converted, JobResult, Refused
from clawvm_transcripts.reading import Source
from clawvm_transcripts.subagents import SubagentFile

__all__ = [
    "Conversion",
    "conversion_report",
    "name_of_refused",
    "not_read",
    "reading_record",
    "write_conversion",
]

REPORT_FORMAT = "clawvm.conversion_report"
REPORT_VERSION = 2

ROWS_MOST = 200
"""Sessions in the tables of the report for people."""

NAMES_MOST = 5
"""Files with one reason, or subagents, that a list names; conversion.report.json has all."""

LONGEST_KIND = 80
"""Characters of an unknown type's name that are shown."""

NAMED_BYTES = 1 << 20
"""The beginning of a file from which its name is made."""


def name_of_refused(path: str) -> str:
    """Return the name of a file that was not converted: from its first MiB, uncompressed, and nothing of its path.

    A file that cannot be read has the name of an empty one.
    """
    content = b""
    try:
        with Source(Path(path)).open() as stream:
            content = stream.read(NAMED_BYTES)
    except InputError:
        pass
    return f"recording-{hashlib.sha256(content).hexdigest()[:12]}"


def _subagents_of(results: Iterable[JobResult]) -> tuple[SubagentFile, ...]:
    """Return the recording of every subagent once, with its session if any result has it."""
    found: dict[str, SubagentFile] = {}
    for item in sorted((item for result in results for item in result.subagents), key=lambda item: item.session):
        found[item.path] = item
    return tuple(sorted(found.values(), key=lambda item: (item.name, item.path)))


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion: its sessions by name, each once, and what became of the other files.

    ``refused`` are files that look like recordings, by the names that stand for them; ``others`` is everything else.
    ``left_out`` counts sessions in a file with others that give no turn or are mostly broken.
    """

    sessions: tuple[Converted, ...]
    refused: tuple[tuple[str, Refused], ...]
    others: tuple[Refused, ...]
    subagents: tuple[SubagentFile, ...]
    duplicates: int
    left_out: int
    raw_bytes: int

    @classmethod
    def of(cls, results: Sequence[JobResult]) -> Conversion:
        """Return the results of all jobs together, which the order of the jobs does not change.

        Reads the beginning of every refused recording.
        """
        sessions = [session for result in results for session in result.sessions]
        by_name: dict[str, Converted] = {}
        for session in sorted(sessions, key=lambda item: (item.name, item.paths)):
            # One that was given twice has both paths.
            first = by_name.get(session.name, session)
            paths = dict.fromkeys((*first.paths, *session.paths))
            by_name[session.name] = replace(first, paths=tuple(paths))
        refused = sorted((result.refused for result in results if result.refused), key=lambda item: item.path)
        named = ((name_of_refused(item.path), item) for item in refused if item.recording)
        return cls(
            tuple(by_name.values()),
            tuple(sorted(named, key=lambda pair: (pair[1].reason, pair[0]))),
            tuple(item for item in refused if not item.recording),
            _subagents_of(results),
            len(sessions) - len(by_name) + sum(result.duplicates for result in results),
            sum(result.left_out for result in results),
            sum(result.raw_bytes for result in results),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the report as plain JSON data."""
        return {
            "format": REPORT_FORMAT,
            "other_files": len(self.others),
            "refused_recordings": [{"name": name, "reason": item.reason} for name, item in self.refused],
            "sessions": [session.facts for session in self.sessions],
            "sessions_given_twice": self.duplicates,
            "sessions_left_out": self.left_out,
            "subagents": [
                {
                    "counts": dict(sorted(item.counts.items())),
                    "harness": item.harness,
                    "name": item.name,
                    "session": item.session,
                }
                for item in self.subagents
            ],
            "version": REPORT_VERSION,
        }


def write_conversion(output: OutputDirectory, conversion: Conversion, folder: str = "") -> None:
    """Write the reports of a finished conversion into *folder* of the output, where its sessions are."""
    prefix = f"{folder}/" if folder else ""
    for session in conversion.sessions:
        for file in session.files:
            output.note(replace(file, path=prefix + file.path))
    record = conversion.to_record()
    output.write(f"{prefix}conversion.report.json", document(record))
    output.write(f"{prefix}conversion.report.md", markdown(conversion_report(record)).encode("ascii"))


def conversion_report(record: Mapping[str, Any]) -> list[Block]:
    """Return the report of a conversion for people: what was not read, what was counted, what became pages."""
    sessions = record["sessions"]
    reading = reading_record(record)
    blocks: list[Block] = [Heading(1, "ClawVM: converted sessions"), *(not_read(reading) or [EVERYTHING_READ])]
    blocks += _unread_lines(sessions)
    converted = f"Converted: {counted(len(sessions), 'session')}."
    if record["sessions_given_twice"]:
        converted += (
            f" Counted once although given more than once: {counted(record['sessions_given_twice'], 'session')}."
        )
    blocks.append(Paragraph(converted))
    if len(sessions) > ROWS_MOST:
        blocks.append(Paragraph(f"The tables show the first {ROWS_MOST} sessions; conversion.report.json has all."))
    shown = sessions[:ROWS_MOST]
    return [*blocks, Heading(2, "Counts"), Paragraph(COUNTED), _counts(shown), Heading(2, "Pages"), _pages(shown)]


# --- What was not read.

EVERYTHING_READ = Paragraph("Every file was read, and every line of it.")


def reading_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a conversion did not read or did not make a session of, as plain data, from its *record*."""
    sources = [source for facts in record["sessions"] for source in facts["sources"]]
    counts = [session for facts in record["sessions"] for session in facts["sessions"]]
    return {
        "broken_lines": sum(session["bad_lines"] for session in counts),
        "damaged_files": sum(bool(source["damage"]) for source in sources),
        "lone_subagents": [item for item in record["subagents"] if not item["session"]],
        "other_files": record["other_files"],
        "refused_recordings": record["refused_recordings"],
        "sessions_left_out": record["sessions_left_out"],
        "unknown_lines": sum(sum(session["skipped"].values()) for session in counts),
    }


def not_read(reading: Mapping[str, Any]) -> list[Block]:
    """Return what was not read, recordings first and each with its reason; nothing when everything was read.

    *reading* is a ``reading_record``.
    """
    refused = reading["refused_recordings"]
    parts = [
        f"{counted(number, noun)} {what}".rstrip()
        for number, noun, what in (
            (len(refused), "file", "that looks like a recording" if len(refused) == 1 else "that look like recordings"),
            (reading["sessions_left_out"], "session", "without a turn, or mostly broken, in a file with others"),
            (reading["damaged_files"], "recording", "behind the damage in it"),
            (reading["broken_lines"], "broken line", ""),
            (reading["unknown_lines"], "line", "of unknown types"),
            (reading["other_files"], "other file" if refused else "file", "in no known format"),
        )
        if number
    ]
    blocks: list[Block] = [Paragraph(f"**Not read:** {'; '.join(parts)}.")] if parts else []
    by_reason: dict[str, list[str]] = {}
    for item in refused:
        by_reason.setdefault(item["reason"], []).append(item["name"])
    if by_reason:
        blocks.append(
            Bullets(tuple(f"**{plain(why)}** ({len(names):,}): {_few(names)}" for why, names in by_reason.items()))
        )
    if lone := reading["lone_subagents"]:
        calls = sum(item["counts"].get("tool_calls", 0) for item in lone)
        named = _few([f"{item['name']} ({item['harness']})" for item in lone])
        count = f"{counted(len(lone), 'subagent')} ({counted(calls, 'call')})"
        blocks.append(Paragraph(f"**Without their session among the inputs:** {count}: {named}."))
    return blocks


def _few(names: Sequence[str]) -> str:
    more = len(names) - NAMES_MOST
    return ", ".join(map(plain, names[:NAMES_MOST])) + (f" and {more:,} more" if more > 0 else "")


def _unread_lines(sessions: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return a table of the sessions with damage, unknown types or broken lines; nothing where there are none."""
    rows = []
    for facts in sessions:
        damage = "; ".join(source["damage"] for source in facts["sources"] if source["damage"])
        for number, session in enumerate(facts["sessions"], start=1):
            unknown = ", ".join(f"{_shown(kind)} ({count})" for kind, count in sorted(session["skipped"].items()))
            if damage or unknown or session["bad_lines"]:
                broken = [item for item in facts["broken_lines"] if item["session"] == number]
                rows.append(
                    (facts["name"], damage or None, unknown or None, session["bad_lines"], _reasons(broken) or None)
                )
    columns = ["session", "damage of its files", "lines of unknown types", "broken lines", "the first of them"]
    return [Table.of(columns, rows)] if rows else []


def _reasons(broken: list[dict[str, Any]]) -> str:
    """Return the numbers of broken lines by the reason why they were not read."""
    lines: dict[str, list[str]] = {}
    for item in broken:
        lines.setdefault(item["reason"], []).append(str(item["line"]))
    return "; ".join(f"{', '.join(numbers)}: {plain(reason)}" for reason, numbers in lines.items())


def _shown(kind: str) -> str:
    """Return the name of a type so that it can be in a table, whatever it holds."""
    return plain(ascii(kind[:LONGEST_KIND])[1:-1])


# --- What was counted, and what became pages.

COUNTED = (
    "A turn is one reply of the model, for which the harness assembled one prompt; a user prompt is what the user "
    "typed. Compactions, cleared results, rewinds, resets and resumes are the recorded ones; a chain has one more "
    "reset between any two sessions. Subagents are those whose recordings are among the inputs, and count in no other "
    "column. Names are keyed hashes of what the recording calls things."
)

COUNTS = {
    "user prompts": "turns",
    "calls": "tool_calls",
    "unanswered": "unanswered_calls",
    "repeated exactly": "repeated_signatures",
    "repeated in core, no polls": "repeated_core_nopoll",
    "reads": "path_reads",
    "repeated reads": "path_rereads",
    "compactions": "compactions",
    "cleared results": "cleared_results",
    "rewinds": "rewinds",
    "resets": "resets",
    "resumes": "resumes",
    "subagents": "subagents",
    "calls of subagents": "subagent_tool_calls",
}
"""Columns of the table of counts and the fields that they sum."""


def _counts(sessions: Sequence[Mapping[str, Any]]) -> Table:
    rows: list[Sequence[Value]] = []
    for facts in sessions:
        sums = [sum(session[name] for session in facts["sessions"]) for name in COUNTS.values()]
        rows.append((facts["name"], facts["started"] or None, ", ".join(facts["harnesses"]), facts["turns"], *sums))
    return Table.of(["session", "day", "harness", "turns", *COUNTS], rows)


def _pages(sessions: Sequence[Mapping[str, Any]]) -> Table:
    kinds = sorted({kind for facts in sessions for kind in facts["pages"]})
    sets = ("signatures", "resources")
    rows = []
    for facts in sessions:
        window, about = facts["recorded"]["window"], "" if facts["recorded"]["window_is_recorded"] else "~"
        numbers = [*(facts["pages"].get(kind, 0) for kind in kinds), *(facts["working_set"][name] for name in sets)]
        rows.append((facts["name"], *numbers, Number(f"{about}{window:,}") if window else None))
    window_column = "window (~: the largest prompt that was compacted)"
    return Table.of(["session", *kinds, *(f"working set, {name}" for name in sets), window_column], rows)
