"""The tools that harnesses name: what kind of call each makes, and the fields in which its arguments stand.

===========  ==========================================================================
KINDS        the kind of a tool by its plain name
SHELLS       tools that take a command line
EDITORS      tools whose field ``command`` says whether they show or change a file
plain_name   a tool's name without server, namespace and capitals
paths_in     the paths that the arguments of a file tool name
lines_in     the lines that the arguments of a read tool ask for
steps_in     the steps of a plan and their statuses
===========  ==========================================================================

The names are those of Claude Code, Codex, Copilot CLI, Gemini CLI, OpenClaw, pi, Oh My Pi, OpenHands and the editor
tools that models are trained on; a tool that is not listed is of kind OTHER.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from clawvm_transcripts.call_kinds import CallKind, plain_path

__all__ = ["EDITORS", "KINDS", "SHELLS", "lines_in", "paths_in", "plain_name", "steps_in"]

SHELLS = frozenset(
    {
        "bash",
        "exec",
        "exec_command",
        "execute_bash",
        "execute_command",
        "local_shell",
        "run",
        "run_in_terminal",
        "run_shell_command",
        "run_terminal_cmd",
        "shell",
        "shell_command",
        "terminal",
    }
)
"""Tools that take a command line."""

EDITORS = frozenset({"editor", "file_editor", "str_replace_based_edit_tool", "str_replace_editor", "text_editor"})
"""Tools whose field ``command`` says whether they show or change a file."""

_NAMES = {
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

KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""The kind of a tool by its plain name."""

_PATH_FIELDS = ("file_path", "path", "filePath", "notebook_path", "absolute_path", "target_file", "filename", "file")
_PATH_LISTS = ("paths", "files")
_STEP_LISTS = ("todos", "plan", "todoList", "task_list", "tasks", "steps", "items")
_STEP_WORDS = ("content", "step", "title", "text", "subject", "task", "description")
_MOST_LINES = 10**9


@lru_cache(maxsize=4096)
def plain_name(tool: str) -> str:
    """Return the name of *tool* without server (``mcp__server__tool``), namespace (``space.tool``) and capitals."""
    name = tool.rpartition("__")[2] if tool.startswith("mcp__") else tool.rpartition(".")[2]
    return name.lower()


def paths_in(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that a file tool is given, as they stand there but for ``./`` in front."""
    for field in _PATH_FIELDS:
        value = arguments.get(field)
        if isinstance(value, str) and value:
            return (plain_path(value),)
    for field in _PATH_LISTS:
        values = arguments.get(field)
        if isinstance(values, list):
            return tuple(plain_path(value) for value in values if isinstance(value, str) and value)
    return ()


def lines_in(arguments: Mapping[str, Any]) -> tuple[int | None, int | None]:
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
    if last is not None:
        return (first or 1, last) if last >= (first or 1) else (first, None)
    return (None, None) if first == 1 else (first, None)


def _line(value: Any) -> int | None:
    # Some tools count from 0 or say -1 for the end.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST_LINES else None


def steps_in(arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the words and the status of each step of a plan; () for arguments that hold no list of steps."""
    entries = next((value for field in _STEP_LISTS if isinstance(value := arguments.get(field), list)), None)
    if entries is None:
        # One step at a time, by its words.
        subject = arguments.get("subject")
        entries = [arguments] if isinstance(subject, str) else []
    steps = []
    for entry in entries:
        if isinstance(entry, str):
            steps.append((entry, "pending"))
        elif isinstance(entry, dict):
            words = next((value for field in _STEP_WORDS if isinstance(value := entry.get(field), str)), "")
            if words:
                steps.append((words, _status(entry)))
    return tuple(steps)


def _status(entry: Mapping[str, Any]) -> str:
    status = entry.get("status", entry.get("state"))
    if isinstance(status, str) and status:
        return status
    return "completed" if entry.get("done", entry.get("completed")) is True else "pending"
