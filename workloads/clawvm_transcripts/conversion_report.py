"""A finished conversion, and the reports of what was read and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clawvm_replay.document import Block, Heading, Number, Paragraph, Table, markdown, plain
from clawvm_replay.output import OutputDirectory
from clawvm_replay.suite import document
from clawvm_transcripts.output import Converted, JobResult, Refused
from clawvm_transcripts.subagents import SubagentFile

__all__ = ["Conversion", "conversion_report", "write_conversion"]

REPORT_FORMAT = "clawvm.conversion_report"
REPORT_VERSION = 2

ROWS_MOST = 200
"""Sessions in the tables of the report for people."""

LONGEST_KIND = 80
"""Characters of an unknown type's name that are shown."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A finished conversion: its sessions by name, each once, and what became of the other files."""

    sessions: tuple[Converted, ...]
    refused: tuple[Refused, ...]
    subagents: tuple[SubagentFile, ...]
    duplicates: int
    raw_bytes: int

    @classmethod
    def of(cls, results: Sequence[JobResult]) -> Conversion:
        """Return the results of all jobs together, which the order of the jobs does not change."""
        sessions = [session for result in results for session in result.sessions]
        by_name = {session.name: session for session in sessions}
        return cls(
            tuple(by_name[name] for name in sorted(by_name)),
            tuple(sorted((result.refused for result in results if result.refused), key=lambda item: item.path)),
            tuple(sorted((item for result in results for item in result.subagents), key=lambda item: item.name)),
            len(sessions) - len(by_name) + sum(result.duplicates for result in results),
            sum(result.raw_bytes for result in results),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the report as plain JSON data."""
        return {
            "format": REPORT_FORMAT,
            "refused_files": len(self.refused),
            "sessions": [session.facts for session in self.sessions],
            "sessions_given_twice": self.duplicates,
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


def conversion_report(record: dict[str, Any]) -> list[Block]:
    """Return the report of a conversion for people: what was not read, what was counted, what became pages."""
    sessions = record["sessions"]
    blocks: list[Block] = [Heading(1, "ClawVM: converted sessions"), *_not_read(record)]
    if record["sessions_given_twice"]:
        given = _counted(record["sessions_given_twice"], "session")
        blocks.append(Paragraph(f"Counted once although given more than once: {given}."))
    if len(sessions) > ROWS_MOST:
        blocks.append(Paragraph(f"The tables show the first {ROWS_MOST} sessions; conversion.report.json has all."))
    shown = sessions[:ROWS_MOST]
    return [*blocks, Heading(2, "Counts"), Paragraph(COUNTED), _counts(shown), Heading(2, "Pages"), _pages(shown)]


def _not_read(record: dict[str, Any]) -> list[Block]:
    """Return the sentence that says what was not read, and a table of the sessions that it concerns."""
    rows = []
    broken_lines = unknown_lines = damaged_files = 0
    for facts in record["sessions"]:
        damage = "; ".join(source["damage"] for source in facts["sources"] if source["damage"])
        damaged_files += sum(bool(source["damage"]) for source in facts["sources"])
        for number, session in enumerate(facts["sessions"], start=1):
            unknown = ", ".join(f"{_shown(kind)} ({count})" for kind, count in sorted(session["skipped"].items()))
            broken_lines += session["bad_lines"]
            unknown_lines += sum(session["skipped"].values())
            if damage or unknown or session["bad_lines"]:
                broken = [item for item in facts["broken_lines"] if item["session"] == number]
                rows.append(
                    (facts["name"], damage or None, unknown or None, session["bad_lines"], _reasons(broken) or None)
                )
    parts = [
        f"{_counted(number, noun)} {what}".rstrip()
        for number, noun, what in (
            (record["refused_files"], "file", "in no known format, found in folders"),
            (damaged_files, "file", "read only up to the damage"),
            (broken_lines, "broken line", ""),
            (unknown_lines, "line", "of unknown types"),
        )
        if number
    ]
    converted = f"Converted: {_counted(len(record['sessions']), 'session')}."
    blocks: list[Block] = [Paragraph(f"Not read: {'; '.join(parts) or 'nothing'}. {converted}")]
    if rows:
        columns = ["session", "damage of its files", "lines of unknown types", "broken lines", "the first of them"]
        blocks.append(Table.of(columns, rows))
    return blocks


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _reasons(broken: list[dict[str, Any]]) -> str:
    """Return the numbers of broken lines by the reason why they were not read."""
    lines: dict[str, list[str]] = {}
    for item in broken:
        lines.setdefault(item["reason"], []).append(str(item["line"]))
    return "; ".join(f"{', '.join(numbers)}: {plain(reason)}" for reason, numbers in lines.items())


def _shown(kind: str) -> str:
    """Return the name of a type so that it can be in a table, whatever it holds."""
    return plain(ascii(kind[:LONGEST_KIND])[1:-1])


COUNTED = (
    "A turn is one reply of the model, for which the harness assembled one prompt; a user prompt is what the user "
    "typed. Compactions, resets and rewinds are the recorded ones; a chain has one more reset between any two "
    "sessions. Names are keyed hashes of what the recording calls things."
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
    "resets": "resets",
    "rewinds": "rewinds",
}
"""Columns of the table of counts and the fields that they sum."""


def _counts(sessions: list[dict[str, Any]]) -> Table:
    rows = []
    for facts in sessions:
        sums = [sum(session[name] for session in facts["sessions"]) for name in COUNTS.values()]
        rows.append((facts["name"], ", ".join(facts["harnesses"]), facts["turns"], *sums))
    return Table.of(["session", "harness", "turns", *COUNTS], rows)


def _pages(sessions: list[dict[str, Any]]) -> Table:
    kinds = sorted({kind for facts in sessions for kind in facts["pages"]})
    sets = ("signatures", "resources")
    rows = []
    for facts in sessions:
        window, about = facts["recorded"]["window"], "" if facts["recorded"]["window_is_recorded"] else "~"
        numbers = [*(facts["pages"].get(kind, 0) for kind in kinds), *(facts["working_set"][name] for name in sets)]
        rows.append((facts["name"], *numbers, Number(f"{about}{window:,}") if window else None))
    window_column = "window (~: the largest prompt that was compacted)"
    return Table.of(["session", *kinds, *(f"working set, {name}" for name in sets), window_column], rows)
