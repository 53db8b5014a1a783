"""Merge finished shards of the experiments into the files that one whole run writes."""

from __future__ import annotations

import argparse
from pathlib import Path

from clawvm_cli.common import Parser, names_from, run
from clawvm_cli.experiments import plan_of, verdict_on
from clawvm_experiments.finishing import Timings, write_results
from clawvm_experiments.registry import EXPERIMENTS
from clawvm_experiments.running import collect
from clawvm_replay.output import OutputDirectory

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("shards", type=Path, nargs="+", metavar="DIR", help="folders with the rows of the shards")
    result.add_argument("--out-root", type=Path, required=True, metavar="DIR", help="folder for every output file")
    result.add_argument(
        "--experiments", type=names_from, default=tuple(EXPERIMENTS), metavar="LIST", help="as in the shards' runs"
    )
    result.add_argument("--quick", action="store_true", help="the shards come from quick runs")
    result.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")
    return result


def main(argv: list[str] | None = None, program: str = "merge_shards.py") -> int:
    """Merge shards and return the exit code: 1 when a claim that must hold does not."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _merge(arguments))


def _merge(arguments: argparse.Namespace) -> int:
    plan = plan_of(arguments.experiments, arguments.quick)
    rows = plan.ordered(collect(plan, arguments.shards))
    output = OutputDirectory(arguments.out_root, force=arguments.force)
    return verdict_on(write_results(output, plan, rows, Timings()), arguments.out_root / "report.html")
