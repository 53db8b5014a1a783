"""Recordings of subagents: each belongs to the session that asked for it, and is no session of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clawvm_transcripts.counts import SessionCounter
from clawvm_transcripts.detection import detect, events_of
from clawvm_transcripts.events import RecordedCall, SessionEnd, SessionStart, Subagent
from clawvm_transcripts.reading import Source

__all__ = ["NAME_DIGITS", "SubagentFile", "read_subagent", "sessions_of"]

COUNTED = ("assistant_messages", "tool_calls", "tool_results", "unanswered_calls", "lines", "bad_lines")

NAME_DIGITS = 12
"""Hexadecimal digits of a recording's digest in the name of what it becomes."""


@dataclass(frozen=True, slots=True)
class SubagentFile:
    """The recording of a subagent; ``name`` comes from its content, ``counts`` are its messages, calls and results.

    ``session`` is the name of the session that it belongs to, "" where no input holds that one. For its owner alone:
    ``path``.
    """

    name: str
    harness: str
    counts: Mapping[str, int]
    path: str
    session: str = ""


def read_subagent(path: str) -> tuple[SubagentFile, Subagent, int]:
    """Return the recording at *path*, what it adds to the counts of its session, and the raw bytes read.

    Raises InputError for what cannot be read.
    """
    source = Source(Path(path))
    file_format = detect(source)
    counter = SessionCounter()
    agent, calls = "", []
    for event in events_of(source, file_format):
        counter.add(event)
        if isinstance(event, SessionStart):
            agent = event.session
        elif isinstance(event, RecordedCall):
            calls.append(event.call)
        elif isinstance(event, SessionEnd):
            break
    counts = counter.counts()
    name = f"{file_format.id}-{source.digest[:NAME_DIGITS]}"
    file = SubagentFile(name, file_format.id, {field: getattr(counts, field) for field in COUNTED}, path)
    return file, Subagent(agent, tuple(calls)), source.read


def sessions_of(starts: Iterable[SessionStart]) -> dict[str, str]:
    """Return, for the id of every subagent among *starts*, the id of the session that it belongs to in the end.

    A subagent may have been asked for by another one; "" where that is not known.
    """
    parents = {start.session: start.parent for start in starts if start.subagent}
    found = {}
    for subagent, parent in parents.items():
        passed = {subagent}
        while parent in parents and parent not in passed:
            passed.add(parent)
            parent = parents[parent]
        found[subagent] = parent
    return found
