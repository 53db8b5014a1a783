"""The command lines of SWE-agent: a shell with an editor of its own inside.

===============  ==============================================
ACTION_TOOL      the name under which such a line is a tool call
action_facts     what a line reads, edits and is
===============  ==============================================

Some of its commands work on the file that was opened last (``edit``, ``insert``, ``goto``, ``scroll_down``); which one
that is does not stand in them.
"""

from __future__ import annotations

from clawvm_transcripts.call_kinds import CallKind, PathRead, plain_path
from clawvm_transcripts.shell_commands import ShellFacts, shell_facts
from clawvm_transcripts.shell_words import commands_of

__all__ = ["ACTION_TOOL", "action_facts"]

ACTION_TOOL = "action"

_SEARCHES = frozenset({"find_file", "search_dir", "search_file"})


def action_facts(text: str) -> ShellFacts:
    """Return the facts of the action *text*; linear in its length."""
    line = text.split("\n", 1)[0]
    name = line.split(None, 1)[0] if line.strip() else ""
    if name in _SEARCHES:
        return ShellFacts(CallKind.SEARCH)
    if name in ("edit", "insert"):
        return ShellFacts(CallKind.EDIT)
    if name not in ("open", "create", "str_replace_editor"):
        return shell_facts(text)
    words = [word for word in commands_of(line)[0].words[1:] if word is not None]
    if name == "open":
        # It shows a window of the file.
        return ShellFacts(CallKind.READ, tuple(PathRead(plain_path(path), partly=True) for path in words[:1]))
    if name == "create":
        return ShellFacts(CallKind.EDIT, (), tuple(map(plain_path, words[:1])))
    verb, paths = words[:1], tuple(map(plain_path, words[1:2]))
    if verb != ["view"]:
        return ShellFacts(CallKind.EDIT, (), paths)
    span = words[words.index("--view_range") + 1 :][:2] if "--view_range" in words else []
    if len(span) == 2 and all(number.isdecimal() and len(number) < 10 for number in span):
        return ShellFacts(CallKind.READ, tuple(PathRead(path, int(span[0]), int(span[1])) for path in paths))
    return ShellFacts(CallKind.READ, tuple(PathRead(path, partly=bool(span)) for path in paths))
