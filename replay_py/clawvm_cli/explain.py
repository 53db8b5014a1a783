"""Explain why a page stood at its level in a turn: from a decision trace, or from a trace and a policy."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from clawvm_cli.common import OK, Parser, positive, run
from clawvm_replay.errors import InputError, TraceError
from clawvm_replay.explanation import explain
from clawvm_replay.replay import replay
from clawvm_replay.trace_format import MAXIMUM_LINE_BYTES, open_trace, read_trace
from clawvm_runtime.decision_trace import FORMAT_NAME, FORMAT_VERSION, DecisionTrace, Event
from clawvm_runtime.errors import ClawVMError
from clawvm_runtime.policy import policy_named

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("file", type=Path, help="decision trace, or trace to replay")
    result.add_argument("--turn", type=positive, required=True, metavar="N", help="the turn, from 1")
    result.add_argument("--page", required=True, metavar="ID", help="the page")
    result.add_argument("--policy", metavar="ID", help="policy for a trace (default clawvm)")
    result.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget for a trace (default: its own)")
    return result


def main(argv: list[str] | None = None, program: str = "explain_decision.py") -> int:
    """Print the explanation and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    try:
        lines = explain(_events(arguments), arguments.turn, arguments.page)
    except ClawVMError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{arguments.file}: is no valid decision trace; validate it first") from None
    for line in lines:
        print(line)
    return OK


def _events(arguments: argparse.Namespace) -> Iterator[Event]:
    path = arguments.file
    with open_trace(path) as stream:
        first = _event(stream.readline(MAXIMUM_LINE_BYTES), path, 1)
    if first.get("record") == "header":
        yield from _replayed(arguments)
    elif first.get("format") != FORMAT_NAME or first.get("version") != FORMAT_VERSION:
        raise TraceError(str(path), 1, f"is neither a trace nor a decision trace of version {FORMAT_VERSION}")
    elif arguments.policy or arguments.budget:
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


def _replayed(arguments: argparse.Namespace) -> list[Event]:
    decisions = DecisionTrace()
    with open_trace(arguments.file) as stream:
        header, turns = read_trace(stream, str(arguments.file))
        policy = policy_named(arguments.policy or "clawvm")
        replay(
            header, turns, policy, arguments.budget or header.budget, decisions=decisions, source=str(arguments.file)
        )
    return decisions.events
