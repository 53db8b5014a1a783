"""What a tool call is, whichever harness made it: signature, kind, paths that it reads and edits, steps of a plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from clawvm_transcripts.events import RecordedCall
from clawvm_transcripts.shell import CallKind, Effects, PathRead, name_set, patched_paths, plain_path, shell_effects
from clawvm_transcripts.shell_words import commands_of

__all__ = ["ACTION_TOOL", "CallFacts", "CallKind", "PathRead", "command_of", "facts_of", "inner_calls", "plain_name"]


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of one call.

    ``signature`` is the tool's name with the canonical JSON of its arguments, ``core`` the same without what only says
    how the call is shown or how long it may run. ``reads`` are the paths that it reads, in order; ``edits`` the paths
    that it changes (empty for an edit of unknown paths); ``steps`` the statuses of a plan's steps by their words, for a
    call that writes a plan.

    A call of kind READ shows files and nothing else. Calls of other kinds may have ``reads`` too (a command that prints
    a file and then runs a program), and a COMMAND may have both ``reads`` and ``edits``.
    """

    signature: str
    core: str
    kind: CallKind
    reads: tuple[PathRead, ...] = ()
    edits: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


# --- The tools of all harnesses by their plain names, and the fields that hold their arguments.

ACTION_TOOL = "action"
"""The only tool of SWE-agent."""

_SHELLS = name_set(
    "bash exec exec_command execute_bash execute_command local_shell run run_in_terminal run_shell_command"
    " run_terminal_cmd shell shell_command terminal"
)
_EDITORS = name_set("editor file_editor str_replace_based_edit_tool str_replace_editor text_editor")
"""Tools whose field ``command`` says whether they show or change a file."""

_TOOLS = {
    CallKind.READ: "read read_file read_many_files view view_file view_image notebookread notebook_read",
    CallKind.SEARCH: "grep glob ls list find search list_dir list_directory list_files search_files search_file_content"
    " grep_search file_search glob_file_search codebase_search ast_grep",
    CallKind.FETCH: "webfetch websearch web_fetch web_search fetch fetch_webpage google_web_search browse"
    " browse_interactive browser_navigate browser_snapshot read_url_content",
    CallKind.EDIT: "edit write multiedit multi_edit notebookedit notebook_edit apply_patch create create_file"
    " write_file edit_file delete_file str_replace insert replace search_replace undo_edit",
    CallKind.PLAN: "todowrite todo_write write_todos update_todo manage_todo_list todo plan update_plan taskcreate"
    " taskupdate exitplanmode exit_plan_mode task_tracking task_tracker",
    CallKind.POLL: "write_stdin wait taskoutput bashoutput sleep process read_bash write_bash get_terminal_output",
}
_KINDS = {name: kind for kind, names in _TOOLS.items() for name in names.split()}

_PRESENTATION = name_set(
    "description explanation justification login max_output_tokens prefix_rule sandbox_permissions timeout timeout_ms"
    " tty yield_time_ms"
)
"""Arguments that only say how a call is shown or how long it may run; the core signature leaves them out."""

_COMMAND_FIELDS = ("command", "cmd", "script")
_PATCH_FIELDS = ("input", "patch", "patchText")
_PATH_FIELDS = ("file_path", "path", "filePath", "notebook_path", "absolute_path", "target_file", "filename", "file")
_PATH_LISTS = ("paths", "files")
_STEP_LISTS = ("todos", "plan", "todoList", "task_list", "tasks", "steps", "items")
_STEP_WORDS = ("content", "step", "title", "text", "subject", "task", "description")
_BROWSER_PAGES = ("open", "navigate", "snapshot", "screenshot")
_MOST_LINES = 10**9

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@lru_cache(maxsize=4096)
def plain_name(tool: str) -> str:
    """Return the name of *tool* without server (``mcp__server__tool``), namespace (``space.tool``) and capitals."""
    name = tool.rpartition("__")[2] if tool.startswith("mcp__") else tool.rpartition(".")[2]
    return name.lower()


def facts_of(call: RecordedCall) -> CallFacts:
    """Return the facts of *call*; never raises for arguments of an unexpected shape. Linear in their length."""
    arguments = call.arguments
    signature = core = f"{call.tool} {_text_of(arguments)}"
    if isinstance(arguments, dict) and not _PRESENTATION.isdisjoint(arguments):
        kept = {name: value for name, value in arguments.items() if name not in _PRESENTATION}
        core = f"{call.tool} {_text_of(kept)}"
    effects = _effects(plain_name(call.tool), arguments)
    steps = _steps(arguments) if effects.kind is CallKind.PLAN and isinstance(arguments, dict) else ()
    return CallFacts(signature, core, effects.kind, effects.reads, effects.edits, steps)


def command_of(call: RecordedCall) -> str | list[str] | None:
    """Return the command line that a shell tool runs, or the program with its arguments; None for any other call."""
    if plain_name(call.tool) not in _SHELLS or not isinstance(call.arguments, dict):
        return None
    return _command(call.arguments)


def _text_of(arguments: Any) -> str:
    try:
        return _canonical(arguments)
    except (TypeError, ValueError, RecursionError):
        return "?"


def _first(arguments: Mapping[str, Any], fields: tuple[str, ...], kind: type) -> Any:
    """Return the value of the first of *fields* that holds a value of this kind, None if none does."""
    return next((value for field in fields if isinstance(value := arguments.get(field), kind)), None)


def _effects(name: str, arguments: Any, inside: bool = False) -> Effects:
    """Return kind, reads and edits of a call of the tool *name*, which may be *inside* a program."""
    if isinstance(arguments, str):
        return _effects_of_text(name, arguments, inside)
    kind = _KINDS.get(name, CallKind.OTHER)
    if not isinstance(arguments, dict):
        return Effects(kind)
    if name in _SHELLS:
        if arguments.get("is_input") is True:
            return Effects(CallKind.POLL)  # Typed into the program that runs.
        command = _command(arguments)
        return Effects(CallKind.COMMAND) if command is None else shell_effects(command)
    if name in _EDITORS:
        kind = CallKind.READ if arguments.get("command") == "view" else CallKind.EDIT
    elif name == "browser" and arguments.get("action") in _BROWSER_PAGES:
        kind = CallKind.FETCH
    if kind is CallKind.READ:
        first, last = _lines(arguments)
        return Effects(kind, tuple(PathRead(path, first, last) for path in _paths(arguments)))
    if kind is not CallKind.EDIT:
        return Effects(kind)
    if name == "apply_patch":
        return Effects(kind, (), patched_paths(_first(arguments, _PATCH_FIELDS, str) or ""))
    return Effects(kind, (), _paths(arguments))


def _effects_of_text(name: str, text: str, inside: bool) -> Effects:
    """Return the effects of a call whose tool took a text."""
    if name == "exec":
        return Effects(CallKind.COMMAND) if inside else _effects_of_program(text)
    if name == ACTION_TOOL:
        return _effects_of_action(text)
    if name == "apply_patch":
        return Effects(CallKind.EDIT, (), patched_paths(text))
    return shell_effects(text) if name in _SHELLS else Effects(_KINDS.get(name, CallKind.OTHER))


def _command(arguments: Mapping[str, Any]) -> str | list[str] | None:
    for field in _COMMAND_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(word, str) for word in value)):
            return value
    return None


def _paths(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that a file tool is given, without ``./`` in front."""
    for field in _PATH_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) and value:
            return (plain_path(value),)
    values = _first(arguments, _PATH_LISTS, list) or ()
    return tuple(plain_path(value) for value in values if isinstance(value, str) and value)


def _lines(arguments: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the first and the last line that a read tool is asked for, as in PathRead."""
    span = arguments.get("view_range")
    if isinstance(span, list) and len(span) == 2:
        first, last = _line(span[0]), _line(span[1])
    elif "offset" in arguments or "limit" in arguments:
        first, count = _line(arguments.get("offset")), _line(arguments.get("limit"))
        last = None if count is None else (first or 1) + count - 1
    else:
        first = _line(arguments.get("start_line", arguments.get("startLine", arguments.get("start"))))
        last = _line(arguments.get("end_line", arguments.get("endLine", arguments.get("end"))))
    if last is not None and last >= (first or 1):
        return first or 1, last
    return None if first == 1 else first, None


def _line(value: Any) -> int | None:
    # Some tools count from 0, or use -1 for the end.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_LINES else None


def _steps(arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the words and the status of each step of a plan; () for arguments that hold no list of steps."""
    entries = _first(arguments, _STEP_LISTS, list)
    if entries is None:
        # One step at a time, by its words.
        entries = [arguments] if isinstance(arguments.get("subject"), str) else []
    steps = []
    for entry in entries:
        if isinstance(entry, str):
            steps.append((entry, "pending"))
        elif isinstance(entry, dict) and (words := _first(entry, _STEP_WORDS, str)):
            steps.append((words, _status(entry)))
    return tuple(steps)


def _status(entry: Mapping[str, Any]) -> str:
    status = entry.get("status", entry.get("state"))
    if isinstance(status, str) and status:
        return status
    return "completed" if entry.get("done", entry.get("completed")) is True else "pending"


# --- The actions of SWE-agent: a shell with an editor of its own.

_ACTIONS = {"find_file": CallKind.SEARCH, "search_dir": CallKind.SEARCH, "search_file": CallKind.SEARCH}
_ACTIONS |= {"edit": CallKind.EDIT, "insert": CallKind.EDIT}
"""Actions that name no path."""


def _effects_of_action(text: str) -> Effects:
    line = text.split("\n", 1)[0]
    name = line.split(None, 1)[0] if line.strip() else ""
    if name in _ACTIONS:
        return Effects(_ACTIONS[name])
    if name not in ("open", "create", "str_replace_editor"):
        return shell_effects(text)
    words = [word for word in commands_of(line)[0].words[1:] if word is not None]
    if name == "open":
        # It shows a window of the file.
        return Effects(CallKind.READ, tuple(PathRead(plain_path(path), partly=True) for path in words[:1]))
    if name == "create":
        return Effects(CallKind.EDIT, (), tuple(map(plain_path, words[:1])))
    paths = tuple(map(plain_path, words[1:2]))
    if words[:1] != ["view"]:
        return Effects(CallKind.EDIT, (), paths)
    span = words[words.index("--view_range") + 1 :][:2] if "--view_range" in words else []
    if len(span) == 2 and all(number.isdecimal() and len(number) < 10 for number in span):
        return Effects(CallKind.READ, tuple(PathRead(path, int(span[0]), int(span[1])) for path in paths))
    return Effects(CallKind.READ, tuple(PathRead(path, partly=bool(span)) for path in paths))


# --- The JavaScript programs that newer releases of Codex write for their ``exec`` tool.

_LONGEST_PROGRAM = 1 << 17
"""Characters; no model writes more for one call, and a longer program is not looked at."""

_QUOTED = "|".join(rf"{sign}[^{sign}\\]*(?:\\.[^{sign}\\]*)*(?:{sign}|\\?\Z)" for sign in "\"'`")
_CALL = re.compile(rf"//[^\n]*|/\*.*?(?:\*/|\Z)|{_QUOTED}|(?<![\w$.])tools\.(\w+)\(\s*", re.DOTALL)
_TEXT = re.compile(_QUOTED, re.DOTALL)
_KEY = re.compile(rf"\s*[{{,]\s*(?:(\w+)|({_QUOTED}))\s*:\s*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}

_json_at = json.JSONDecoder().raw_decode


def inner_calls(program: str) -> Iterator[tuple[str, Any]]:
    """Yield (tool, argument) of every call ``tools.NAME(...)`` in *program*, in order; nothing is run.

    An argument is JSON, or a text or object in JavaScript's looser notation, read up to the first property that is no
    literal; any other is {}. A program longer than ``_LONGEST_PROGRAM`` has no calls.
    """
    for call in _CALL.finditer(program if len(program) <= _LONGEST_PROGRAM else ""):
        if call[1]:
            yield call[1], _argument(program, call.end())


def _argument(program: str, at: int) -> Any:
    for read in (_json_at, _literal):
        try:
            return read(program, at)[0]
        except (ValueError, RecursionError):
            continue
    return {}


def _literal(program: str, at: int) -> tuple[Any, int]:
    """Return the literal at *at* and where it ends; raises ValueError for anything else."""
    text = _TEXT.match(program, at)
    if text is not None:
        if text[0][0] == "`" and "${" in text[0]:
            raise ValueError("a text with substitutions")
        return _unquoted(text[0]), text.end()
    if not program.startswith("{", at):
        return _json_at(program, at)
    values: dict[str, Any] = {}
    while (key := _KEY.match(program, at)) is not None:
        try:
            value, at = _literal(program, key.end())
        except ValueError:
            break
        values[key[1] or _unquoted(key[2])] = value
    return values, at


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), text[1:-1])


def _effects_of_program(program: str) -> Effects:
    """Return the effects of all calls inside a program together; it only polls when all of them do."""
    kinds: set[CallKind] = set()
    reads: list[PathRead] = []
    edits: list[str] = []
    for tool, argument in inner_calls(program):
        effects = _effects(plain_name(tool), argument, inside=True)
        kinds.add(effects.kind)
        reads += effects.reads
        edits += effects.edits
    if len(kinds) > 1:
        kinds.discard(CallKind.POLL)
    if kinds == {CallKind.READ, CallKind.SEARCH}:
        kinds.discard(CallKind.READ)
    kind = kinds.pop() if len(kinds) == 1 else CallKind.COMMAND
    return Effects(kind, tuple(reads), tuple(dict.fromkeys(edits)))
