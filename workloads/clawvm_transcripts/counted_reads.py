"""Which reads the counts count: a simpler rule than that of the facts, kept because published counts follow it.

==============  ================================================
counted_paths   the paths whose reads a call adds to the counts
==============  ================================================

A reader that was written independently of this package made the counts to compare with. It differs from the facts:

- A command line is cut at every ``;``, ``&``, ``|`` and line end, also inside quotes (so ``sed -n '1,5p;9p' file`` is
  no read) and inside here-documents (so a script that is written down may hold reads). A piece counts when its first
  word is ``cat``, ``head``, ``tail``, ``nl`` or ``sed`` with ``-n``; one whose quotes stay open does not.
- Reads of OpenHands and SWE-agent are not counted.
"""

from __future__ import annotations

import re
import shlex
from itertools import islice

from clawvm_transcripts.call_kinds import CallFacts, CallKind, plain_path
from clawvm_transcripts.calls import command_of
from clawvm_transcripts.events import ToolCall
from clawvm_transcripts.swe_agent_actions import ACTION_TOOL
from clawvm_transcripts.tool_kinds import plain_name

__all__ = ["counted_paths"]

_PIECE = re.compile(r"(?:^|[;&|\n])[ \t\r]*((?:cat|head|sed|tail|nl)[ \t\r][^;&|\n]*)")
_REDIRECTION = re.compile(r"[0-9]*(<<|>>|<|>)")
_UNKNOWN = re.compile(r"[*?$`()]")
_VALUED = frozenset({("head", "-n"), ("head", "-c"), ("tail", "-n"), ("tail", "-c"), ("nl", "-b")})
_OPENHANDS_SHELL = "run"
_OPENHANDS_READ = "start"

_MOST_PIECES = 1000
_LONGEST_PIECE = 2000
"""Characters; nobody names files at such length, and splitting takes a microsecond each."""


def counted_paths(call: ToolCall, facts: CallFacts) -> list[str]:
    """Return the paths that *call* adds to the counts of reads, in order; *facts* are its facts."""
    name = plain_name(call.tool)
    if name in (ACTION_TOOL, _OPENHANDS_SHELL):
        return []
    command = command_of(call)
    if command is None:
        if isinstance(call.arguments, dict) and (facts.kind is not CallKind.READ or _OPENHANDS_READ in call.arguments):
            return []
        return [read.path for read in facts.reads]
    if isinstance(command, list):
        command = command[-1] if len(command) > 1 and command[-2].startswith("-") else shlex.join(command)
    return [path for piece in islice(_PIECE.finditer(command), _MOST_PIECES) for path in _paths(piece.group(1))]


def _paths(piece: str) -> list[str]:
    if len(piece) > _LONGEST_PIECE:
        return []
    try:
        words = shlex.split(piece)
    except ValueError:
        return []
    name = words[0]
    if name == "sed" and "-n" not in words:
        return []
    found: list[str] = []
    passed = 1 if name == "sed" else 0  # The script of sed is no path.
    skipped = False
    for word in words[1:]:
        if skipped:
            skipped = False
            continue
        direction = _REDIRECTION.match(word)
        if direction is not None:
            if direction.group(1) == "<<" or word in (">", ">>"):
                return []
            skipped = word in ("<", "2>", "2>>")
        elif word.startswith("-"):
            skipped = (name, word) in _VALUED
        elif passed:
            passed -= 1
        elif _UNKNOWN.search(word) is None:
            found.append(plain_path(word))
    return found
