#!/usr/bin/env python3
"""Check or repeat the calibration of the four workload families.

Calibrated: constants of the families' shapes (sizes in tokens, counts, schedules), against Table 4 of the paper, the
mean faults and the mean thrash index of six policies over 24 cells (4 families x 6 budgets). Not touched: policies,
weights, the engine, the harness, the counting rules. No part of the loss, and printed apart as predictions:
Compaction-Hybrid at 120 tokens, and Table 6 (one feature removed at 180 tokens).

    python3 workloads/calibrate_families.py
    python3 workloads/calibrate_families.py --search --start by_hand

The check takes the committed constants; exit code 1 if a calibrated figure is more than 15 % off, or if the families
break what no calibration may break. The search moves one constant after the other within its range until none lowers
the loss; it prints the constants that it moved and writes no file. It is deterministic: from ``by_hand``, the constants
as they were when the stories had been written, it arrives at the committed ones (half a minute).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# A plain checkout has to find its own packages first.
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "replay_py"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clawvm_cli.common import FAILED, OK, Parser, run
from clawvm_experiments import calibration
from clawvm_experiments.calibration import Figure, Prediction, Ranges, Shapes
from clawvm_replay.reports import table
from clawvm_replay.trace_builder import LevelCosts

__all__ = ["BY_HAND", "RANGES", "main", "parser"]

_INSTRUCTION = (
    LevelCosts(3, 6, 10, 20),
    LevelCosts(3, 7, 12, 22),
    LevelCosts(3, 8, 14, 24),
    LevelCosts(3, 9, 15, 26),
    LevelCosts(3, 10, 16, 28),
    LevelCosts(3, 11, 18, 30),
    LevelCosts(3, 12, 20, 34),
)

# How long a story lasts, how often something happens in it, how large instructions are, how fast the transcript grows
# and how large it may become. The soft threshold and the summary stand apart: all families share one harness.
RANGES: Ranges = {
    "evidence_heavy": {
        "turns": (72, 76, 80, 84, 88, 92, 96),
        "edit_every": (12, 16, 20, 24),
        "finding_every": (8, 9, 10, 12),
        # The stride of 5 has to reach every resource, so no multiple of 5.
        "resources": (11, 12, 13, 14),
        "instruction": _INSTRUCTION,
        "transcript_per_turn": (28, 30, 32, 34, 36),
        "limit_in_budgets": (4.0, 4.5, 5.0, 5.5, 6.0),
    },
    "long_horizon": {
        "turns": (60, 64, 68, 72, 76, 80),
        "step_update_every": (5, 6, 7, 8),
        "rule_consulted_every": (10, 15, 20, 30),
        "long_result_every": (10, 12, 14, 16, 18),
        "instruction": _INSTRUCTION,
        "transcript_per_turn": (22, 24, 26, 28, 30),
        "limit_in_budgets": (2.8, 3.2, 3.6, 4.0),
    },
    "multi_session": {
        "turns_per_session": (7, 8, 9, 10),
        "returns_in": ((2, 4), (1, 3, 5), (1, 2, 4, 5)),
        "instructions": (3, 4, 5),
        "instruction": _INSTRUCTION,
        "transcript_per_turn": (26, 28, 30, 32, 34),
        "limit_in_budgets": (1.6, 1.8, 2.0, 2.2, 2.4),
    },
    "daily_assistant": {
        "preference_every": (8, 10, 12),
        "habit_every": (5, 6, 7, 8, 9),
        "instructions": (1, 2, 3),
        "instruction": _INSTRUCTION,
        "transcript_per_turn": (20, 22, 24, 26, 28),
        "limit_in_budgets": (1.6, 2.0, 2.4, 2.8, 3.2),
    },
}
"""What a search may move: the values of each constant, in the order in which they are tried."""

BY_HAND: Mapping[str, Mapping[str, Any]] = {
    "evidence_heavy": {
        "turns": 80,
        "edit_every": 20,
        "finding_every": 10,
        "resources": 12,
        "transcript_per_turn": 34,
    },
    "long_horizon": {"step_update_every": 6, "rule_consulted_every": 20, "transcript_per_turn": 26},
    "daily_assistant": {"preference_every": 10, "habit_every": 7},
}
"""The constants that the search moved, as they were before it."""


def _starts() -> dict[str, Shapes]:
    return {
        "committed": calibration.COMMITTED,
        "by_hand": calibration.with_values(calibration.COMMITTED, BY_HAND),
    }


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description="Check or repeat the calibration of the four workload families.")
    action = result.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="compare the committed constants with Table 4 (default)")
    action.add_argument("--search", action="store_true", help="search for better constants; writes no file")
    result.add_argument(
        "--start", choices=("committed", "by_hand"), default="committed", help="where the search starts"
    )
    return result


def main(argv: list[str] | None = None, program: str = "calibrate_families.py") -> int:
    """Check or search, and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _search(arguments.start) if arguments.search else _print_state(calibration.COMMITTED))


def _search(start_name: str) -> int:
    start = _starts()[start_name]
    end = calibration.search(start, RANGES, lambda line: print(line, file=sys.stderr, flush=True))
    moved = [
        (f"{name}.{field.name}", _value(getattr(start[name], field.name)), _value(getattr(end[name], field.name)))
        for name in end
        for field in dataclasses.fields(end[name])
        if getattr(start[name], field.name) != getattr(end[name], field.name)
    ]
    print(f"## Constants moved, from {start_name}\n")
    print(table(["constant", "before", "after"], moved) if moved else "None: no single constant lowers the loss.\n")
    before, after = (calibration.loss(calibration.measure(shapes, calibration.SEARCHED)) for shapes in (start, end))
    print(f"Loss, the sum of the squared relative gaps: {before:.6f} before, {after:.6f} after.")
    print("Committed constants: " + ("the same" if end == dict(calibration.COMMITTED) else "others") + ".\n")
    return _print_state(end)


def _value(value: Any) -> str:
    """Return a constant as it would stand in the shape's source."""
    if isinstance(value, LevelCosts):
        return f"LevelCosts{dataclasses.astuple(value)}"
    return repr(value)


def _print_state(shapes: Shapes) -> int:
    """Print how *shapes* stand beside the published numbers; return FAILED if a calibrated figure is too far off."""
    rows = calibration.measure(shapes)
    figures = calibration.calibrated(rows)
    broken = calibration.complaints(shapes, rows)
    print("## Calibrated: Table 4, means over 24 cells\n")
    print(table(["policy", "figure", "ours", "published", "gap", "within 15 %"], map(_figure_row, figures)))
    print("## Predictions: no part of what was calibrated\n")
    print(table(["faults", "ours", "published"], map(_prediction_row, calibration.predictions(shapes, rows))))
    for line in broken:
        print(f"BROKEN: {line}")
    missed = sum(not figure.within_tolerance for figure in figures)
    print(f"{len(figures) - missed} of {len(figures)} calibrated figures are within 15 %.")
    return FAILED if missed or broken else OK


def _figure_row(figure: Figure) -> tuple[object, ...]:
    gap = "not 0" if math.isinf(figure.gap) else f"{figure.gap:+.1%}"
    return figure.policy, figure.quantity, figure.ours, figure.published, gap, figure.within_tolerance


def _prediction_row(prediction: Prediction) -> tuple[object, ...]:
    return prediction.name, prediction.ours, prediction.published


if __name__ == "__main__":
    sys.exit(main())
