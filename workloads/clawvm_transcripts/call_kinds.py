"""What there is to say about a tool call, apart from the harness that made it.

=============  =============================================================
CallKind       read, search, command, fetch, edit, plan, poll, other
PathRead       a path that a call reads, and which lines of it
CallFacts      everything that counting and conversion need to know about one call
plain_path     a path without what makes no other file of it
=============  =============================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["CallFacts", "CallKind", "PathRead", "plain_path"]

_HERE = re.compile(r"(?:\./+)+")


class CallKind(str, Enum):
    """What a call does; the names stand in traces and reports."""

    READ = "read"  # A file, or a part of one.
    SEARCH = "search"  # A search in files, or a listing of them.
    COMMAND = "command"  # A program.
    FETCH = "fetch"  # A page of the web, or a search in it.
    EDIT = "edit"  # Changes files.
    PLAN = "plan"  # Writes the agent's plan or to-do list.
    POLL = "poll"  # Waits on a running process, or types into it.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class PathRead:
    """A path that a call reads: lines *first* to *last* (from 1).

    Both are None for the whole file, only *last* for everything from *first* on. ``partly`` says that of these lines
    some unknown part is shown (a tail, the matches of a search): such a read covers no other.
    """

    path: str
    first: int | None = None
    last: int | None = None
    partly: bool = False


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of one call.

    ``signature`` is the tool's name with the canonical JSON of its arguments, ``core`` the same without what only says
    how the call is shown or how long it may run. ``reads`` are the paths that it reads, in order; ``edits`` the paths
    that it changes (empty for an edit whose paths cannot be told); ``steps`` the statuses of a plan's steps by their
    words, for a call that writes a plan.

    A call of kind READ shows files and nothing else. Calls of other kinds may have ``reads`` too (a command that prints
    a file and then runs a program), and a COMMAND may have both ``reads`` and ``edits``.
    """

    signature: str
    core: str
    kind: CallKind
    reads: tuple[PathRead, ...] = ()
    edits: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


def plain_path(path: str) -> str:
    """Return *path* without ``./`` in front; relative and absolute names of one file stay two paths."""
    here = _HERE.match(path)
    return path if here is None else path[here.end() :] or "."
