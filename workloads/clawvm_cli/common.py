"""What every command shares: exit codes, argument types, one-line errors, progress.

==============  ====================================================================
run             the body of a command with its errors turned into exit codes
Parser          an argument parser whose errors are one line
budgets_from    a comma-separated list of token budgets
Progress        a bar on a terminal, a quiet line now and then elsewhere
==============  ====================================================================

Exit codes: 0 fine; 1 a gate failed, a file is invalid, two runs differ; 2 wrong usage or bad input; 130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

from clawvm_replay.errors import InputError
from clawvm_runtime.engine import MAXIMUM_BUDGET
from clawvm_runtime.errors import ClawVMError
from clawvm_runtime.policy import Policy, policy_named

__all__ = [
    "FAILED",
    "OK",
    "Parser",
    "Progress",
    "budgets_from",
    "in_one_line",
    "names_from",
    "positive",
    "run",
    "selected_policies",
]

_Value = TypeVar("_Value")

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def run(
    program: str, body: Callable[[], int], interrupted: str = "interrupted; files under their final names are whole"
) -> int:
    """Return the exit code of *body*; what a user did wrong becomes one line on stderr, never a traceback.

    *interrupted* is what is said when a signal ends the command.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # The caller closed it.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A page may be named in letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    _let_signals_interrupt()
    try:
        code = body()
        sys.stdout.flush()
        return code
    except (InputError, ClawVMError) as error:
        print(f"{program}: {in_one_line(str(error))}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{program}: {interrupted}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        print(f"{program}: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return BAD_INPUT


def in_one_line(text: str) -> str:
    """Return *text* with everything escaped that no line of a terminal should hold: a file may have any name.

    >>> in_one_line("odd\\nname")
    'odd\\\\nname'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _let_signals_interrupt() -> None:
    """Make the signals that end a job on a cluster, or with its terminal, end it as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (--help shows the usage)\n")


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MAXIMUM_BUDGET:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAXIMUM_BUDGET}, not {text!r:.80}")
    return number


def budgets_from(text: str) -> tuple[int, ...]:
    """Return a comma-separated list of token budgets, for argparse."""
    return _unique(tuple(positive(part.strip()) for part in text.split(",")), text)


def names_from(text: str) -> tuple[str, ...]:
    """Return a comma-separated list of names, for argparse."""
    return _unique(tuple(part.strip() for part in text.split(",")), text)


def _unique(values: tuple[_Value, ...], text: str) -> tuple[_Value, ...]:
    if len(set(values)) != len(values):
        raise argparse.ArgumentTypeError(f"names something twice: {text!r}")
    return values


def selected_policies(names: tuple[str, ...]) -> list[Policy]:
    """Return the rows with these ids; raises PolicyError with the known ones."""
    return [policy_named(name) for name in names]


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
