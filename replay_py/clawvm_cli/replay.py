"""Replay one trace under one policy and print its metrics."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from clawvm_cli.common import OK, Parser, positive, run
from clawvm_replay.output import write_atomically
from clawvm_replay.replay import replay
from clawvm_replay.trace_format import open_trace, read_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.policy import policy_named

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("trace", type=Path, help="trace file")
    result.add_argument("--policy", default="clawvm", metavar="ID", help="policy id (default clawvm)")
    result.add_argument("--budget", type=positive, metavar="TOKENS", help="token budget (default: the trace's own)")
    result.add_argument("--decisions", type=Path, metavar="FILE", help="write the decision trace here")
    return result


def main(argv: list[str] | None = None, program: str = "replay_trace.py") -> int:
    """Replay the trace and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    policy = policy_named(arguments.policy)
    lines: list[str] = []
    decisions = None
    if arguments.decisions is not None:
        decisions = DecisionTrace(lambda event: lines.append(canonical_json(event) + "\n"))
    with open_trace(arguments.trace) as stream:
        header, turns = read_trace(stream, str(arguments.trace))
        tokens = arguments.budget or header.budget
        metrics = replay(header, turns, policy, tokens, decisions=decisions, source=str(arguments.trace))
    if arguments.decisions is not None:
        write_atomically(arguments.decisions, "".join(lines).encode("ascii"))
    print(json.dumps(metrics.to_record(), indent=2))
    return OK
