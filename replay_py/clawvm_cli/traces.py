"""Write the traces of the workload families for the published budgets, under the naming rule of traces/."""

from __future__ import annotations

import argparse
from pathlib import Path

from clawvm_cli.common import OK, Parser, run
from clawvm_replay.output import write_atomically
from clawvm_replay.trace_format import write_trace
from clawvm_workloads.families import BUDGETS, FAMILIES, committed_path

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument(
        "--root", type=Path, default=Path("."), metavar="DIR", help="folder that holds traces/ (default .)"
    )
    return result


def main(argv: list[str] | None = None, program: str = "write_traces.py") -> int:
    """Write the traces and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments.root))


def _run(root: Path) -> int:
    for name, build in FAMILIES.items():
        for budget in BUDGETS:
            trace = build(budget)
            lines = "".join(write_trace(trace.header, trace.turns))
            write_atomically(root / committed_path(name, budget), lines.encode("ascii"))
    print(f"{len(FAMILIES) * len(BUDGETS)} traces written under {root / 'traces'}")
    return OK
