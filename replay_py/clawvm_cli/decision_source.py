"""The decisions that a command looks at: read from a decision trace, or made by replaying a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.replay import replay
from clawvm_replay.trace_format import MAXIMUM_LINE_BYTES, open_trace, read_trace
from clawvm_runtime.decision_trace import FORMAT_NAME, FORMAT_VERSION, DecisionTrace, Event
from clawvm_runtime.policy import policy_named

__all__ = ["decision_events"]


def decision_events(path: Path, policy: str | None, budget: int | None) -> Iterator[Event]:
    """Yield the events of a decision trace, or those of replaying a trace under *policy* with *budget* tokens.

    A trace is replayed under ClawVM with its own budget unless told otherwise; a decision trace has its own policy and
    budget. Raises InputError with one line for a file that is neither.
    """
    with open_trace(path) as stream:
        first = _event(stream.readline(MAXIMUM_LINE_BYTES), path, 1)
    if first.get("record") == "header":
        yield from _replayed(path, policy or "clawvm", budget)
    elif first.get("format") != FORMAT_NAME or first.get("version") != FORMAT_VERSION:
        raise TraceError(str(path), 1, f"is neither a trace nor a decision trace of version {FORMAT_VERSION}")
    elif policy or budget:
        raise InputError("--policy and --budget go with a trace; a decision trace has its own")
    else:
        with open_trace(path) as stream:
            for number, line in enumerate(stream, start=1):
                yield _event(line, path, number)


def _event(line: bytes, path: Path, number: int) -> Event:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TraceError(str(path), number, f"not JSON: {error}") from None
    if not isinstance(event, dict):
        raise TraceError(str(path), number, "a record is a JSON object")
    return event


def _replayed(path: Path, policy: str, budget: int | None) -> list[Event]:
    decisions = DecisionTrace()
    with open_trace(path) as stream:
        header, turns = read_trace(stream, str(path))
        replay(header, turns, policy_named(policy), budget or header.budget, decisions=decisions, source=str(path))
    return decisions.events
