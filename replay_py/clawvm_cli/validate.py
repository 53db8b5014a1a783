"""Validate traces and output files against their schemas; for a manifest, also the sha256 of every file it lists."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from clawvm_cli.common import FAILED, OK, Parser, run
from clawvm_replay.output import MANIFEST_NAME
from clawvm_replay.schema_files import check_file

__all__ = ["main", "parser"]

MOST_PROBLEMS = 20
"""Problems shown per file; a file with more is reported as such."""


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    result = Parser(prog=program, description=__doc__)
    result.add_argument("files", type=Path, nargs="+", metavar="FILE", help="files of any of the project's formats")
    return result


def main(argv: list[str] | None = None, program: str = "validate_file.py") -> int:
    """Validate the files and return the exit code."""
    arguments = parser(program).parse_args(argv)
    return run(program, lambda: _run(arguments.files))


def _run(files: list[Path]) -> int:
    invalid = 0
    for path in files:
        problems = list(islice(_problems(path), MOST_PROBLEMS + 1))
        for problem in problems[:MOST_PROBLEMS]:
            print(problem)
        if len(problems) > MOST_PROBLEMS:
            print(f"{path}: more than {MOST_PROBLEMS} problems; the rest is not shown")
        if problems:
            invalid += 1
        else:
            print(f"{path}: valid")
    return FAILED if invalid else OK


def _problems(path: Path) -> Iterator[str]:
    found = False
    for problem in check_file(path):
        found = True
        yield problem
    if path.name == MANIFEST_NAME and not found:
        yield from _manifest_problems(path)


def _manifest_problems(path: Path) -> Iterator[str]:
    for entry in json.loads(path.read_bytes())["files"]:
        listed = path.parent / entry["path"]
        if not listed.is_file():
            yield f"{path}: {entry['path']} is missing"
        elif hashlib.sha256(listed.read_bytes()).hexdigest() != entry["sha256"]:
            yield f"{path}: {entry['path']} is not the file that was written"
