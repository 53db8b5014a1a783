"""A command as a process: signals interrupt it, errors are one line, and a lost output never changes the exit code.

Exit codes: 0 fine; 1 a gate failed, a file is invalid, two runs differ; 2 wrong usage or bad input; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

__all__ = ["BAD_INPUT", "FAILED", "OK", "guarded", "in_one_line"]

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def guarded(
    program: str,
    body: Callable[[], int],
    errors: tuple[type[Exception], ...] = (),
    interrupted: str = "interrupted; files under their final names are whole",
) -> int:
    """Return the exit code of *body*; each of *errors* and every OSError becomes one line on stderr, no traceback.

    *interrupted* is the line that is printed when a signal ends the command.
    """
    _prepare_streams()
    _let_signals_interrupt()
    try:
        code = _code_of(body)
        sys.stdout.flush()
    except BrokenPipeError:  # Whoever read our output has seen enough.
        code = OK
    except errors as error:
        code = _failed(program, str(error), BAD_INPUT)
    except OSError as error:
        code = _failed(program, f"{error.filename or 'output'}: {error.strerror or error}", BAD_INPUT)
    except KeyboardInterrupt:
        code = _failed(program, interrupted, INTERRUPTED)
    for stream in (sys.stdout, sys.stderr):
        _flush_or_discard(stream)
    return code


def _code_of(body: Callable[[], int]) -> int:
    try:
        return body()
    except SystemExit as end:  # The argument parser has printed its help or its error.
        return end.code if isinstance(end.code, int) else OK


def _failed(program: str, message: str, code: int) -> int:
    with suppress(OSError):  # Nobody may be reading.
        print(f"{program}: {in_one_line(message)}", file=sys.stderr)
    return code


def in_one_line(text: str) -> str:
    """Return *text* with everything escaped that no line of a terminal should hold: a file may have any name.

    >>> in_one_line("odd\\nname")
    'odd\\\\nname'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # The caller closed it.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, open(nowhere, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            # A page may be named in letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")


def _flush_or_discard(stream: TextIO) -> None:
    """Flush *stream*, or drop what cannot be written: Python flushes at exit and ends with 120 when that fails."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _let_signals_interrupt() -> None:
    """Make Ctrl-C raise KeyboardInterrupt from now on, and the signals that end a job or a terminal do the same."""
    try:
        if getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "clawvm_cli":
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _interrupt)
    except ValueError:  # Not the main thread, which alone gets signals.
        return


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
