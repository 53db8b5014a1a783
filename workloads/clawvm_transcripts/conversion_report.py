"""The report of a conversion for people: what was read, what was skipped, what became pages."""

from __future__ import annotations

from typing import Any

from clawvm_replay.reports import table

__all__ = ["conversion_markdown"]

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
