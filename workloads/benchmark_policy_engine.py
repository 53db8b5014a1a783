#!/usr/bin/env python3
"""Print what the policy engine costs per turn and per lifecycle operation, next to what the paper measured.

python3 workloads/benchmark_policy_engine.py
python3 workloads/benchmark_policy_engine.py --quick
python3 workloads/benchmark_policy_engine.py --pages 20 --repeats 11 --json timings.json
"""

# ruff: noqa: E402 - a plain checkout has to find its own packages first

from __future__ import annotations

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [_ROOT, os.path.join(_ROOT, "replay_py"), os.path.join(_ROOT, "workloads")]

from clawvm_cli import start

PROGRAM = "benchmark_policy_engine.py"
if __name__ == "__main__":
    start(PROGRAM)

from dataclasses import replace
from pathlib import Path

from clawvm_cli.common import Command, execute, positive
from clawvm_experiments import overhead
from clawvm_experiments.overhead_cases import Size
from clawvm_replay.document import markdown
from clawvm_replay.output import write_atomically
from clawvm_replay.suite import document


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pages", type=positive, nargs="+", metavar="N", help=f"numbers of pages, at {overhead.BUDGET} tokens"
    )
    parser.add_argument("--turns", type=positive, metavar="N", help="turns, or samples, of one run")
    parser.add_argument("--repeats", type=positive, metavar="N", help="runs of each part")
    parser.add_argument("--quick", action="store_true", help="the same parts with few samples, in a few seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measured document as JSON too")


def _run(options: argparse.Namespace) -> int:
    chosen = overhead.configuration(quick=options.quick)
    sizes = chosen.sizes
    if options.pages is not None:
        sizes = tuple(Size(pages, overhead.BUDGET, sizes[0].turns) for pages in options.pages)
    if options.turns is not None:
        sizes = tuple(replace(size, turns=options.turns) for size in sizes)
    measured = overhead.measure(
        overhead.Configuration(sizes, options.turns or chosen.samples, options.repeats or chosen.repeats)
    )
    for warning in measured["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if options.json is not None:
        write_atomically(options.json, document(measured))
    print(markdown(overhead.report(measured)), end="")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Measure, print the report and return the exit code."""
    summary = "measure what the policy engine costs per turn and per lifecycle operation"
    return execute(Command(_arguments, _run), PROGRAM, summary, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    sys.exit(main())
