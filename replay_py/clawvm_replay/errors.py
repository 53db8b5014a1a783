"""Errors of replay and reports: each is one line that says what is wrong, where, and what to do."""

from __future__ import annotations

__all__ = ["InputError", "TraceError"]


class InputError(Exception):
    """Wrong usage or bad input: the message is the one line that the user sees."""


class TraceError(InputError):
    """A trace that cannot be replayed; carries the file name, the line number (from 1) and the message."""

    def __init__(self, source: str, line: int, message: str) -> None:
        super().__init__(source, line, message)
        self.source = source
        self.line = line
        self.message = message

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}"
