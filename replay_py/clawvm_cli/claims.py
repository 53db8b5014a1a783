"""List every claim with its command, output, expectation and cost, as Markdown; nothing is run."""

from __future__ import annotations

import argparse

from clawvm_cli.common import OK, Parser, run
from clawvm_experiments.claims import guide_table

__all__ = ["main", "parser"]


def parser(program: str) -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    return Parser(prog=program, description=__doc__)


def main(argv: list[str] | None = None, program: str = "list_claims.py") -> int:
    """Print the table and return the exit code."""
    parser(program).parse_args(argv)
    return run(program, _run)


def _run() -> int:
    print(guide_table(), end="")
    return OK
