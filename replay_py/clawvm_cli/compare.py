"""Compare two runs cell by cell; exit code 1 if they differ."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from clawvm_cli.common import FAILED, OK, Parser, run
from clawvm_replay.comparison import differences
from clawvm_replay.errors import InputError
from clawvm_replay.schema_files import check_file

__all__ = ["main", "parser"]

SUMMARY = "tier2/results/tier2.summary.json"


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("first", type=Path, help="output folder of a run, or its tier2.summary.json")
    result.add_argument("second", type=Path, help="the other one")
    return result


def main(argv: list[str] | None = None, program: str = "compare_runs.py") -> int:
    """Compare the runs and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments.first, arguments.second))


def _run(first: Path, second: Path) -> int:
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
