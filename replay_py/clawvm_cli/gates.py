"""Run the six lifecycle gates of Tier 1; exit code 1 if one fails."""

from __future__ import annotations

import argparse
from pathlib import Path

from clawvm_cli.common import FAILED, OK, Parser, run
from clawvm_replay.output import OutputDirectory
from clawvm_replay.suite import write_gates
from clawvm_replay.tier1 import GateReport, run_gates
from clawvm_replay.tier1_gates import GATES
from clawvm_runtime.policy import policy_named

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("--policy", default="clawvm", metavar="ID", help="the policy that has to pass (default clawvm)")
    result.add_argument(
        "--out-root", type=Path, metavar="DIR", help="also write the report and the decision traces here"
    )
    result.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    return result


def main(argv: list[str] | None = None, program: str = "run_tier1_gates.py") -> int:
    """Run the gates and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    policy = policy_named(arguments.policy)
    output = None if arguments.out_root is None else OutputDirectory(arguments.out_root, force=arguments.force)
    reports = run_gates(GATES, policy)
    if output is not None:
        write_gates(output, reports)
    for report in reports:
        _print(report)
    passed = sum(report.passed for report in reports)
    print(f"{passed} of {len(reports)} gates pass for {policy.name}")
    return OK if passed == len(reports) else FAILED


def _print(report: GateReport) -> None:
    print(f"{'PASS' if report.passed else 'FAIL'}  {report.gate.title}")
    for half in report.halves:
        for failure in half.failures:
            print(f"      {half.half}: {failure}")
