"""Tool calls and results as Codex records them.

=============  =====================================================================================
tool_call      the ToolCall of an item of any of the call types
tool_result    the ToolResult of an item of any of the output types
=============  =====================================================================================

Three generations of results: a JSON text around output and exit code; a head of lines (``Chunk ID:``, ``Wall time:``
... ``Output:``) before the output; a list of parts, the first of which is such a head.
"""

from __future__ import annotations

import re
from typing import Any

from clawvm_transcripts.events import ToolCall, ToolResult
from clawvm_transcripts.formats.message_parts import text_of, words_of
from clawvm_transcripts.json_lines import RecordError, decoded

__all__ = ["tool_call", "tool_result"]

ARGUMENT_FIELDS = ("arguments", "input", "action")
"""Where the call types keep what the tool is given."""

EXEC = "exec"
PROGRAM_FIELDS = ("code", "input")
"""Where an ``exec`` that is recorded as a function call keeps its program."""

HEAD_START = re.compile(r"(?:Command: |Chunk ID: |Wall time:? |Exit code: |Script [a-z])")
HEAD_END = re.compile(r"Output:(?:\r?\n|\Z)")
"""The last line of a head."""

HEAD_LINE = re.compile(r"(?:Process [a-z]|Original token count: |Total output lines: |Exit code: |Script [a-z])")
"""The lines that may stand between the wall time and the end of a head."""

WALL_TIME = re.compile(r"^Wall time:? ", re.MULTILINE)
"""Every head has this line; it stands behind the command, whose own lines may look like the end of a head."""

EXIT_CODE = re.compile(r"^(?:Exit code:|Process exited with code) (-?[0-9]{1,9})$", re.MULTILINE)
SCRIPT_FAILED = "Script failed"

FAILURE = re.compile(
    r"(?:(?:apply_patch|exec_command|shell|view_image|write_stdin) (?:verification )?failed\b"
    r"|failed to parse function arguments\b|execution error\b|unsupported call\b|aborted by user\b)"
)
"""How a result without a head begins when the harness itself refused or lost the call."""


def tool_call(kind: str, payload: dict[str, Any]) -> ToolCall:
    """Return the call of an item of type *kind*; raises RecordError for a function call without a name."""
    tool = payload.get("name", kind.removesuffix("_call"))
    if not isinstance(tool, str) or (kind in ("function_call", "custom_tool_call") and "name" not in payload):
        raise RecordError("a call without a name")
    call = text_of(payload.get("call_id")) or text_of(payload.get("id"))
    arguments: Any = next((payload[key] for key in ARGUMENT_FIELDS if payload.get(key) is not None), {})
    if kind == "function_call" and isinstance(arguments, str):
        arguments = _object_in(arguments)
    if tool == EXEC and isinstance(arguments, dict):
        arguments = next((value for key in PROGRAM_FIELDS if (value := text_of(arguments.get(key)))), arguments)
    namespace = text_of(payload.get("namespace"))
    return ToolCall(call, f"{namespace}.{tool}" if namespace else tool, arguments)


def tool_result(payload: dict[str, Any]) -> ToolResult:
    """Return the result in an item; its text is the tool's output as recorded, "" where the item holds none."""
    call, output = text_of(payload.get("call_id")) or text_of(payload.get("id")), payload.get("output")
    failed: bool | None = None  # None where nothing but the text itself may tell.
    if isinstance(output, str):
        wrapped = _object_in(output)
        # Only the harness writes exactly this around an output; a tool that prints JSON is left as it is.
        if isinstance(wrapped, dict) and wrapped.keys() == {"output", "metadata"}:
            metadata, output = wrapped["metadata"], wrapped["output"]
            failed = isinstance(metadata, dict) and metadata.get("exit_code") not in (0, None)
    elif isinstance(output, dict):
        failed = True if output.get("success") is False else None
        output = output.get("content") or output.get("content_items")
    text = words_of(output)
    head = _head_length(text)
    if failed is None and head:
        # The newest code counts: a command in front of it may look like one.
        codes = EXIT_CODE.findall(text, 0, head)
        failed = (bool(codes) and int(codes[-1]) != 0) or text.startswith(SCRIPT_FAILED)
    elif failed is None:
        failed = FAILURE.match(text) is not None
    return ToolResult(call, text, failed, head)


def _head_length(text: str) -> int:
    """Return the number of characters of the head; 0 for a text without one."""
    if not HEAD_START.match(text):
        return 0
    wall_time = WALL_TIME.search(text)
    if wall_time is None:
        return 0
    line = text.find("\n", wall_time.start()) + 1
    # Only lines that a head may have stand between the two, so that an output is never taken for a head.
    while line:
        end = HEAD_END.match(text, line)
        if end:
            return end.end()
        if not HEAD_LINE.match(text, line):
            return 0
        line = text.find("\n", line) + 1
    return 0


def _object_in(text: str) -> Any:
    """Return the object that *text* is the JSON of, or *text* itself."""
    if not text.startswith("{"):
        return text
    try:
        value, end = decoded(text)
    except ValueError:
        return text
    return value if not text[end:].strip() else text
