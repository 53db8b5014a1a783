"""What a tool call is, apart from the harness that made it: signature, kind, the resources that it reads and edits.

=================  =====================================================================================
CallKind           read, search, command, fetch, edit, plan, poll, other
PathRead           a path that a call reads, and which lines of it
CallFacts          everything that counting and conversion need to know about one call
facts_of           the facts of a call
command_of         the command line that a call runs
PRESENTATION       arguments that only say how a call is shown or how long it may run
=================  =====================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clawvm_transcripts.call_kinds import CallFacts, CallKind, PathRead
from clawvm_transcripts.events import ToolCall
from clawvm_transcripts.exec_programs import inner_calls
from clawvm_transcripts.patches import patched_paths
from clawvm_transcripts.shell_commands import ShellFacts, shell_facts
from clawvm_transcripts.swe_agent_actions import ACTION_TOOL, action_facts
from clawvm_transcripts.tool_kinds import EDITORS, KINDS, SHELLS, lines_in, paths_in, plain_name, steps_in

__all__ = ["PRESENTATION", "CallFacts", "CallKind", "PathRead", "command_of", "facts_of"]

PRESENTATION = frozenset(
    {
        "description",
        "explanation",
        "justification",
        "login",
        "max_output_tokens",
        "prefix_rule",
        "sandbox_permissions",
        "timeout",
        "timeout_ms",
        "tty",
        "yield_time_ms",
    }
)
"""Arguments that only say how a call is shown or how long it may run; they are left out of the core signature."""

_COMMAND_FIELDS = ("command", "cmd", "script")
_PATCH_FIELDS = ("input", "patch", "patchText")
_PAGES = frozenset({"open", "navigate", "snapshot", "screenshot"})

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def facts_of(call: ToolCall) -> CallFacts:
    """Return the facts of *call*; never raises for arguments of an unexpected shape. Linear in their length."""
    arguments = call.arguments
    signature = core = f"{call.tool} {_text_of(arguments)}"
    if isinstance(arguments, dict) and not PRESENTATION.isdisjoint(arguments):
        kept = {name: value for name, value in arguments.items() if name not in PRESENTATION}
        core = f"{call.tool} {_text_of(kept)}"
    name = plain_name(call.tool)
    facts = _facts(name, arguments)
    steps = steps_in(arguments) if facts.kind is CallKind.PLAN and isinstance(arguments, dict) else ()
    return CallFacts(signature, core, facts.kind, facts.reads, facts.edits, steps)


def command_of(call: ToolCall) -> str | list[str] | None:
    """Return the command line that a shell tool runs, or the program with its arguments; None for any other call."""
    if plain_name(call.tool) not in SHELLS or not isinstance(call.arguments, dict):
        return None
    return _command_in(call.arguments)


def _text_of(arguments: Any) -> str:
    try:
        return _canonical(arguments)
    except (TypeError, ValueError, RecursionError):
        return "?"


def _command_in(arguments: Mapping[str, Any]) -> str | list[str] | None:
    for field in _COMMAND_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return value
    return None


def _facts(name: str, arguments: Any, inside: bool = False) -> ShellFacts:
    """Return kind, reads and edits of a call of the tool *name*."""
    if isinstance(arguments, str):
        return _facts_of_text(name, arguments, inside)
    if not isinstance(arguments, dict):
        return ShellFacts(KINDS.get(name, CallKind.OTHER))
    if name in SHELLS:
        command = _command_in(arguments)
        if arguments.get("is_input") is True:
            return ShellFacts(CallKind.POLL)  # Typed into the program that runs.
        return ShellFacts(CallKind.COMMAND) if command is None else shell_facts(command)
    if name in EDITORS:
        kind = CallKind.READ if arguments.get("command") == "view" else CallKind.EDIT
    elif name == "browser":
        action = arguments.get("action")
        kind = CallKind.FETCH if isinstance(action, str) and action in _PAGES else CallKind.OTHER
    else:
        kind = KINDS.get(name, CallKind.OTHER)
    if kind is CallKind.READ:
        first, last = lines_in(arguments)
        return ShellFacts(kind, tuple(PathRead(path, first, last) for path in paths_in(arguments)))
    if kind is not CallKind.EDIT:
        return ShellFacts(kind)
    if name == "apply_patch":
        patch = next((value for field in _PATCH_FIELDS if isinstance(value := arguments.get(field), str)), "")
        return ShellFacts(kind, (), patched_paths(patch))
    return ShellFacts(kind, (), paths_in(arguments))


def _facts_of_text(name: str, text: str, inside: bool) -> ShellFacts:
    """Return the facts of a call whose tool took a text."""
    if name == "exec":
        return ShellFacts(CallKind.COMMAND) if inside else _facts_of_program(text)
    if name == ACTION_TOOL:
        return action_facts(text)
    if name == "apply_patch":
        return ShellFacts(CallKind.EDIT, (), patched_paths(text))
    if name in SHELLS:
        return shell_facts(text)
    return ShellFacts(KINDS.get(name, CallKind.OTHER))


def _facts_of_program(program: str) -> ShellFacts:
    """Return what the calls inside a program are together; it only polls when all of them do."""
    kinds: set[CallKind] = set()
    reads: list[PathRead] = []
    edits: list[str] = []
    for tool, arguments in inner_calls(program):
        facts = _facts(plain_name(tool), arguments, inside=True)
        kinds.add(facts.kind)
        reads.extend(facts.reads)
        edits.extend(facts.edits)
    if len(kinds) > 1:
        kinds.discard(CallKind.POLL)
    if kinds == {CallKind.READ, CallKind.SEARCH}:
        kinds.discard(CallKind.READ)
    kind = kinds.pop() if len(kinds) == 1 else CallKind.COMMAND
    return ShellFacts(kind, tuple(reads), tuple(dict.fromkeys(edits)))
