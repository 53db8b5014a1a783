"""What the commands share: how one is run, types of arguments, progress."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from clawvm_cli.process import BAD_INPUT, guarded
from clawvm_replay.errors import InputError
from clawvm_replay.execution import EXECUTORS
from clawvm_runtime.engine import MAXIMUM_BUDGET
from clawvm_runtime.errors import ClawVMError

__all__ = [
    "Command",
    "Progress",
    "add_execution_arguments",
    "add_jobs_argument",
    "add_list_argument",
    "add_output_arguments",
    "budgets_from",
    "execute",
    "path_from",
    "positive",
    "unique",
]

_Value = TypeVar("_Value")

MOST_JOBS = 256


@dataclass(frozen=True, slots=True)
class Command:
    """What a command takes and what it does; ``interrupted`` is printed when a signal ends it."""

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    interrupted: str = "interrupted; files under their final names are whole"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help shows the usage)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # The parser's own would hide a full output.


def execute(command: Command, program: str, summary: str, words: Sequence[str]) -> int:
    """Run *command* with these arguments and return its exit code."""

    def body() -> int:
        parser = _Parser(prog=program, allow_abbrev=False, description=summary[0].upper() + summary[1:] + ".")
        command.add_arguments(parser)
        return command.run(parser.parse_args(words))

    return guarded(program, body, (InputError, ClawVMError), command.interrupted)


def add_output_arguments(parser: argparse.ArgumentParser, name: str = "--out-root", help: str = "") -> None:
    """Add the folder of every output file, which *help* makes optional, and ``--force``."""
    parser.add_argument(
        name, type=path_from, required=not help, metavar="DIR", help=help or "folder for every output file"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier run in a folder that is not empty")


def add_execution_arguments(parser: argparse.ArgumentParser) -> None:
    """Add who runs the cells, with how many workers, and ``--resume``."""
    add_jobs_argument(parser)
    parser.add_argument(
        "--executor",
        default="process",
        metavar="NAME",
        help=f"who runs the cells: {', '.join(EXECUTORS)} (dask:ADDRESS), or module:attribute (default process)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run where it stopped")


def add_jobs_argument(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """Add the number of workers; the default is one per core."""
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=default or os.cpu_count() or 1,
        metavar="N",
        help=f"number of workers (default {default or 'one per core'})",
    )


def add_list_argument(
    parser: argparse.ArgumentParser,
    name: str,
    default: Sequence[object],
    what: str,
    parse: Callable[[str], object] | None = None,
) -> None:
    """Add an option that takes a comma-separated list: of names, or of what *parse* returns."""
    shown = ",".join(map(str, default)).replace("%", "%%")
    parser.add_argument(
        name,
        type=parse or names_from,
        default=parse(",".join(map(str, default))) if parse else tuple(default),
        metavar="LIST",
        help=f"{what}, comma-separated (default {shown})",
    )


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MAXIMUM_BUDGET:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAXIMUM_BUDGET}, not {text!r:.80}")
    return number


def _jobs(text: str) -> int:
    number = positive(text)
    if number > MOST_JOBS:  # A pool starts all its workers at once.
        raise argparse.ArgumentTypeError(f"must be at most {MOST_JOBS}, not {number}")
    return number


def path_from(text: str) -> Path:
    """Return a path, for argparse; an empty text would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def budgets_from(text: str) -> tuple[int, ...]:
    """Return a comma-separated list of token budgets, for argparse."""
    return unique([positive(part.strip()) for part in text.split(",")], text)


def names_from(text: str) -> tuple[str, ...]:
    """Return a comma-separated list of names, for argparse."""
    return unique([part.strip() for part in text.split(",")], text)


def unique(values: Sequence[_Value], text: str) -> tuple[_Value, ...]:
    """Return the *values* that *text* names; raises ArgumentTypeError when one is named twice."""
    if len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"names something twice: {text!r:.80}")
    return tuple(values)


class Progress:
    """Reports on stderr: a bar on a terminal, elsewhere a line for every quarter."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._terminal = sys.stderr.isatty()
        self._quarter = 0

    def __call__(self, done: int, total: int, name: str) -> None:
        """Report that *done* of *total* are finished, *name* being the last."""
        with suppress(OSError):  # Nobody may be reading; the work goes on.
            self._print(done, total)

    def _print(self, done: int, total: int) -> None:
        if self._terminal:
            filled = 30 * done // total
            end = "\n" if done == total else ""
            print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {self._what}", end=end, file=sys.stderr)
        elif 4 * done // total > self._quarter:
            self._quarter = 4 * done // total
            print(f"{done}/{total} {self._what}", file=sys.stderr)
