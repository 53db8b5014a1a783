"""Run the preliminary evaluation: six lifecycle gates and the sweep, into one output directory."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from clawvm_cli.common import FAILED, OK, Parser, Progress, budgets_from, names_from, positive, run, selected_policies
from clawvm_replay.errors import InputError
from clawvm_replay.gates import GATES, GateReport, run_gates
from clawvm_replay.output import OutputDirectory
from clawvm_replay.schemas import check_file
from clawvm_replay.suite import run_suite, write_gates
from clawvm_replay.sweep import differences
from clawvm_runtime.policy import POLICIES, LinearScore, Policy, policy_named
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS

__all__ = ["compare_main", "gates_main", "suite_main"]


# --- Run the six lifecycle gates of Tier 1; exit code 1 if one fails.


def gates_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("--policy", default="clawvm", metavar="ID", help="the policy that has to pass (default clawvm)")
    result.add_argument(
        "--out-root", type=Path, metavar="DIR", help="also write the report and the decision traces here"
    )
    result.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    return result


def gates_main(argv: list[str] | None = None, program: str = "run_tier1_gates.py") -> int:
    """Run the gates and return the exit code."""
    arguments = gates_parser(program).parse_args(argv)
    return run(program, lambda: _gates_run(arguments))


def _gates_run(arguments: argparse.Namespace) -> int:
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


# --- Compare two runs cell by cell; exit code 1 if they differ.

SUMMARY = "tier2/results/tier2.summary.json"


def compare_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("first", type=Path, help="output folder of a run, or its tier2.summary.json")
    result.add_argument("second", type=Path, help="the other one")
    return result


def compare_main(argv: list[str] | None = None, program: str = "compare_runs.py") -> int:
    """Compare the runs and return the exit code."""
    arguments = compare_parser(program).parse_args(argv)
    return run(program, lambda: _compare_run(arguments.first, arguments.second))


def _compare_run(first: Path, second: Path) -> int:
    found = list(differences(_summary(first), _summary(second)))
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else "no difference")
    return FAILED if found else OK


def _summary(path: Path) -> dict[str, Any]:
    file = path / SUMMARY if path.is_dir() else path
    problem = next(check_file(file), None)
    if problem is not None:
        raise InputError(problem)
    record: dict[str, Any] = json.loads(file.read_bytes())
    if record["format"] != "clawvm.sweep_summary":
        raise InputError(f"{file}: is a {record['format']} file, not a sweep summary")
    return record


# --- Run the preliminary evaluation: six lifecycle gates and the sweep, into one output directory.

DEFAULT_HORIZON = 3


def suite_parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("--out-root", type=Path, required=True, metavar="DIR", help="folder for every output file")
    result.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")
    result.add_argument(
        "--budgets", type=budgets_from, default=PAPER_BUDGETS, metavar="LIST", help="token budgets, comma-separated"
    )
    result.add_argument(
        "--policies", type=names_from, default=tuple(POLICIES), metavar="LIST", help="policy ids, comma-separated"
    )
    result.add_argument(
        "--workloads",
        type=names_from,
        default=tuple(FAMILIES),
        metavar="LIST",
        help="workload families, comma-separated",
    )
    result.add_argument(
        "--horizon",
        type=positive,
        default=DEFAULT_HORIZON,
        metavar="TURNS",
        help="look-ahead of the oracle (default 3)",
    )
    result.add_argument("--jobs", type=positive, default=1, metavar="N", help="number of processes (default 1)")
    return result


def suite_main(argv: list[str] | None = None, program: str = "run_preliminary_suite.py") -> int:
    """Run the suite and return the exit code."""
    arguments = suite_parser(program).parse_args(argv)
    return run(program, lambda: _suite_run(arguments))


def _suite_run(arguments: argparse.Namespace) -> int:
    policies = [_with_horizon(policy, arguments.horizon) for policy in selected_policies(arguments.policies)]
    unknown = [name for name in arguments.workloads if name not in FAMILIES]
    if unknown:
        raise InputError(f"unknown workload {unknown[0]!r}; known: {', '.join(FAMILIES)}")
    traces = [FAMILIES[name](budget) for name in arguments.workloads for budget in arguments.budgets]
    configuration = {
        "budgets": list(arguments.budgets),
        "horizon": arguments.horizon,
        "policies": [policy.id for policy in policies],
        "workloads": list(arguments.workloads),
    }
    output = OutputDirectory(arguments.out_root, force=arguments.force)
    passed = run_suite(output, traces, policies, configuration, jobs=arguments.jobs, progress=Progress("cells"))
    print(f"gates: {'PASS' if passed else 'FAIL'}; report: {arguments.out_root / 'preliminary.report.md'}")
    return OK if passed else FAILED


def _with_horizon(policy: Policy, horizon: int) -> Policy:
    if policy.horizon in (0, horizon) or not isinstance(policy.upgrades, LinearScore):
        return policy
    upgrades = replace(policy.upgrades, horizon=horizon)
    return replace(policy, id=f"oracle_h{horizon}", name=f"Oracle (h = {horizon})", upgrades=upgrades)
