"""Explain why a page stood at its level in a turn: from a decision trace, or from a trace and a policy."""

from __future__ import annotations

import argparse
from pathlib import Path

from clawvm_cli.common import OK, Parser, positive, run
from clawvm_cli.decision_source import decision_events
from clawvm_replay.errors import InputError
from clawvm_replay.explanation import explain
from clawvm_runtime.errors import ClawVMError

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
        lines = explain(
            decision_events(arguments.file, arguments.policy, arguments.budget), arguments.turn, arguments.page
        )
    except ClawVMError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{arguments.file}: is no valid decision trace; validate it first") from None
    for line in lines:
        print(line)
    return OK
