#!/usr/bin/env python3
"""Print what the policy engine costs per turn and per lifecycle operation, beside what the paper measured.

The measuring is ``clawvm_experiments/overhead.py``; ``docs/overhead.md`` says how to read the report. Timings are
printed, or written with ``--json``, never mixed into the suite's files.

    python3 workloads/benchmark_policy_engine.py
    python3 workloads/benchmark_policy_engine.py --quick
    python3 workloads/benchmark_policy_engine.py --pages 20 --repeats 11 --json timings.json
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "replay_py"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clawvm_experiments import overhead
from clawvm_experiments.overhead_cases import Size
from clawvm_replay.errors import InputError
from clawvm_replay.output import write_atomically


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def _configuration(options: argparse.Namespace) -> overhead.Configuration:
    """Return the configuration that the options ask for; whatever they leave open stays as it is."""
    chosen = overhead.configuration(quick=options.quick)
    sizes = chosen.sizes
    if options.pages is not None:
        sizes = tuple(Size(pages, overhead.BUDGET, sizes[0].turns) for pages in options.pages)
    if options.turns is not None:
        sizes = tuple(dataclasses.replace(size, turns=options.turns) for size in sizes)
    return overhead.Configuration(sizes, options.turns or chosen.samples, options.repeats or chosen.repeats)


def aligned(markdown: str) -> str:
    """Return *markdown* with the cells of each table padded, so that a terminal shows columns."""
    lines: list[str] = []
    rows: list[list[str]] = []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        widths = [max(map(len, column)) for column in zip(*(row for row in rows if not row[0].startswith("--")))]
        for row in rows:
            if row[0].startswith("--"):
                cells = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
            else:
                cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
            lines.append("| " + " | ".join(cells) + " |")
        rows = []
        lines.append(line)
    return "\n".join(lines).rstrip("\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 when a file cannot be written."""
    parser = argparse.ArgumentParser(
        prog="benchmark_policy_engine.py",
        description="Measure what the policy engine costs per turn and per lifecycle operation.",
    )
    parser.add_argument(
        "--pages", type=_at_least_one, nargs="+", metavar="N", help=f"numbers of pages, at {overhead.BUDGET} tokens"
    )
    parser.add_argument("--turns", type=_at_least_one, metavar="N", help="turns, or samples, of one run")
    parser.add_argument("--repeats", type=_at_least_one, metavar="N", help="runs of each part")
    parser.add_argument("--quick", action="store_true", help="the same parts with few samples, in a few seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measured document as JSON too")
    options = parser.parse_args(argv)
    try:
        document = overhead.measure(_configuration(options))
        for warning in document["warnings"]:
            print(f"warning: {warning}", file=sys.stderr)
        if options.json is not None:
            text = json.dumps(document, indent=2, sort_keys=True) + "\n"
            write_atomically(options.json, text.encode("ascii"))
    except InputError as error:
        print(f"{error}; name a file that can be written", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"the temporary folder cannot take a journal: {error}", file=sys.stderr)
        return 2
    try:
        print(aligned(overhead.report(document)), flush=True)
    except BrokenPipeError:  # The reader has seen enough, as with `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
