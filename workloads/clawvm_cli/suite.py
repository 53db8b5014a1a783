"""The preliminary evaluation: the suite, its gates alone, and the comparison of two runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from clawvm_cli.common import (
    Command,
    Progress,
    add_jobs_argument,
    add_list_argument,
    add_output_arguments,
    budgets_from,
    path_from,
    positive,
)
from clawvm_cli.process import FAILED, OK
from clawvm_replay.errors import InputError
from clawvm_replay.gates import GATES, GateReport, run_gates
from clawvm_replay.output import OutputDirectory
from clawvm_replay.schemas import read_document
from clawvm_replay.suite import run_suite, write_gates
from clawvm_replay.sweep import differences
from clawvm_runtime.policy import PAPER_POLICIES, LinearScore, Policy, policy_named
from clawvm_workloads.families import FAMILIES, PAPER_BUDGETS, PAPER_FAMILIES

__all__ = ["COMMANDS"]

SUMMARY = "tier2/results/tier2.summary.json"
TABLE_6_SUMMARY = "tier2/results/table6.summary.json"
DEFAULT_HORIZON = 3


def _suite_arguments(parser: argparse.ArgumentParser) -> None:
    add_output_arguments(parser)
    add_list_argument(parser, "--budgets", PAPER_BUDGETS, "token budgets", budgets_from)
    add_list_argument(parser, "--policies", PAPER_POLICIES, "policy ids")
    add_list_argument(parser, "--workloads", PAPER_FAMILIES, "workload families")
    parser.add_argument(
        "--horizon",
        type=positive,
        default=DEFAULT_HORIZON,
        metavar="TURNS",
        help=f"look-ahead of the oracle (default {DEFAULT_HORIZON})",
    )
    add_jobs_argument(parser, default=1)


def _suite(arguments: argparse.Namespace) -> int:
    policies = [_with_horizon(policy_named(name), arguments.horizon) for name in arguments.policies]
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
    result = run_suite(output, traces, policies, configuration, jobs=arguments.jobs, progress=Progress("cells"))
    print(
        f"gates: {'PASS' if result.passed else 'FAIL'}; served: {result.served} of {result.cells} cells; "
        f"report: {arguments.out_root / 'preliminary.report.md'}"
    )
    return OK if result.passed else FAILED


def _with_horizon(policy: Policy, horizon: int) -> Policy:
    if policy.horizon in (0, horizon) or not isinstance(policy.upgrades, LinearScore):
        return policy
    upgrades = replace(policy.upgrades, horizon=horizon)
    return replace(policy, id=f"oracle_h{horizon}", name=f"Oracle (h = {horizon})", upgrades=upgrades)


def _gates_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", default="clawvm", metavar="ID", help="the policy that has to pass (default clawvm)")
    add_output_arguments(parser, help="also write the report and the decision traces here")


def _gates(arguments: argparse.Namespace) -> int:
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


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=path_from, help="output folder of a run, or its tier2.summary.json")
    parser.add_argument("second", type=path_from, help="the other one")


def _compare(arguments: argparse.Namespace) -> int:
    folders = arguments.first.is_dir() and arguments.second.is_dir()
    found = list(differences(*(_summary(path, table_6=folders) for path in (arguments.first, arguments.second))))
    for line in found:
        print(line)
    print(f"{len(found)} differences" if found else "no difference")
    return FAILED if found else OK


def _summary(path: Path, *, table_6: bool) -> dict[str, Any]:
    """Return the summary of a run, with the cells of Table 6 if asked for and where they were run."""
    summary = read_document(path / SUMMARY if path.is_dir() else path, "sweep_summary")
    if table_6 and (path / TABLE_6_SUMMARY).exists():
        summary["rows"] += read_document(path / TABLE_6_SUMMARY, "sweep_summary")["rows"]
    return summary


COMMANDS = {
    "suite": Command(_suite_arguments, _suite),
    "gates": Command(_gates_arguments, _gates),
    "compare": Command(_compare_arguments, _compare),
}
