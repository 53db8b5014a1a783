"""Run the preliminary evaluation: six lifecycle gates and the sweep, into one output directory."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from clawvm_cli.common import FAILED, OK, Parser, Progress, budgets_from, names_from, positive, run, selected_policies
from clawvm_replay.errors import InputError
from clawvm_replay.output import OutputDirectory
from clawvm_replay.suite import run_suite
from clawvm_runtime.policy import POLICIES, LinearScore, Policy
from clawvm_workloads.families import BUDGETS, FAMILIES

__all__ = ["main", "parser"]

DEFAULT_HORIZON = 3


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("--out-root", type=Path, required=True, metavar="DIR", help="folder for every output file")
    result.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")
    result.add_argument(
        "--budgets", type=budgets_from, default=BUDGETS, metavar="LIST", help="token budgets, comma-separated"
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


def main(argv: list[str] | None = None, program: str = "run_preliminary_suite.py") -> int:
    """Run the suite and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
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
