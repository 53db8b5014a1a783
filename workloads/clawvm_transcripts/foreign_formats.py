"""Formats that are known and not read: their files are refused by name, and never taken for one of ours.

The content alone decides. To read one of these formats, add it to ``FORMATS`` and take its row out of this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clawvm_transcripts.formats import Head, object_of, text_of
from clawvm_transcripts.reading import TOP

__all__ = ["FOREIGN_FORMATS", "ForeignFormat"]

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """One format that is not read: ``title`` for people; ``recognizes`` decides from the head, and raises nothing."""

    title: str
    recognizes: Callable[[Head], bool]


def _items(head: Head) -> Iterator[Item]:
    """Yield the objects that may be a record: those in lines, the document itself, and its elements if it is a list."""
    yield from head.records
    yield head.values
    yield from head.lists.get(TOP, ())


def _some(is_own: Callable[[Item], bool]) -> Callable[[Head], bool]:
    """Return a recognizer of files in which some object is one that only this format has."""
    return lambda head: any(map(is_own, _items(head)))


def _has_texts(item: Item, *names: str) -> bool:
    return all(isinstance(item.get(name), str) for name in names)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _blocks(message: Item) -> list[Item]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


# Gemini CLI: chats as a document or as lines; a saved chat is a list of {role, parts}.


def _is_gemini_cli(head: Head) -> bool:
    saved = head.lists.get(TOP) or head.lists.get("history") or ()
    return any(map(_is_gemini_record, _items(head))) or (bool(saved) and all(map(_is_gemini_content, saved)))


def _is_gemini_record(item: Item) -> bool:
    reply = item.get("type") == "gemini" and _has_texts(item, "id", "timestamp")
    return reply or _has_texts(item, "sessionId", "projectHash")


def _is_gemini_content(item: Item) -> bool:
    return item.get("role") in ("user", "model") and isinstance(item.get("parts"), list)


# Qwen Code: the frame of Claude Code's lines around Gemini's messages; beside a subagent's file, what it belongs to.


def _is_qwen_code(item: Item) -> bool:
    line = _has_texts(item, "uuid", "sessionId", "type")
    message = object_of(item.get("message"))
    inside = isinstance(message.get("parts"), list) or isinstance(item.get("systemPayload"), dict)
    return (line and inside) or ("uuid" not in item and _has_texts(item, "agentId", "agentType", "parentSessionId"))


# opencode: an export, the files of its storage, lines of a run, or the database.

OPENCODE_TABLES = [re.compile(rb"CREATE TABLE [`\"]?%s[`\"]?\s*\(" % name) for name in b"session message part".split()]


def _is_opencode(head: Head) -> bool:
    if head.start.startswith(b"SQLite format 3\0"):
        return all(table.search(head.start) for table in OPENCODE_TABLES)
    exported = (object_of(message.get("info")) for message in head.lists.get("messages", ()))
    return any(map(_is_opencode_item, [*_items(head), object_of(head.values.get("info")), *exported]))


def _is_opencode_item(item: Item) -> bool:
    session = _has_texts(item, "id", "projectID", "directory") and isinstance(item.get("time"), dict)
    message = _has_texts(item, "id", "sessionID", "role") and isinstance(item.get("time"), dict)
    part = _has_texts(item, "id", "sessionID", "messageID", "type")
    run = _has_texts(object_of(item.get("part")), "id", "sessionID", "messageID")
    return session or message or part or run


# Cline and its descendants Roo Code and Kilo Code: a list of messages for the model, another of what the screen showed.
# What the three share goes by Cline's name.

EDITOR_WORDS = re.compile(r"\s*(?:<task>|<environment_details>|<feedback>|\[[a-z_]+(?: for '[^\n]*')?\] Result:)")
ROO_WORDS = re.compile(r"\s*<user_message>")
ROO_FIELDS = ("condenseId", "condenseParent", "truncationId", "truncationParent", "isSummary", "isTruncationMarker")
CLINE_FIELDS = ("modelInfo", "metrics")


def _is_cline(head: Head) -> bool:
    messages = _chat(head.lists.get(TOP, ()))
    if _has_texts(head.values, "sessionId"):
        messages = _chat(head.lists.get("messages", ()))
        return any("metrics" in message for message in messages)
    marked = any(_begins(message, EDITOR_WORDS) or not message.keys().isdisjoint(CLINE_FIELDS) for message in messages)
    shown = any(map(_is_shown, head.lists.get(TOP, ())))
    return (marked or shown) and not _is_roo_code(head)


def _is_roo_code(head: Head) -> bool:
    top = head.lists.get(TOP, ())
    messages = _chat(top)
    if any(not message.keys().isdisjoint(CLINE_FIELDS) for message in messages):
        return False
    marked = any(
        _is_number(message.get("ts")) or _begins(message, ROO_WORDS) or not message.keys().isdisjoint(ROO_FIELDS)
        for message in messages
    )
    shown = any(_is_shown(item) and ("contextCondense" in item or "contextTruncation" in item) for item in top)
    task = _has_texts(head.values, "id", "task", "workspace") and _is_number(head.values.get("tokensIn"))
    return marked or shown or task


def _chat(items: tuple[Item, ...]) -> list[Item]:
    return [item for item in items if item.get("role") in ("user", "assistant") and "content" in item]


def _begins(message: Item, words: re.Pattern[str]) -> bool:
    """Return whether a text of the user, or one that is given in the user's name, begins with *words*."""
    texts = [message.get("content"), *(block.get("text") for block in _blocks(message))]
    return message.get("role") == "user" and any(isinstance(text, str) and words.match(text) for text in texts)


def _is_shown(item: Item) -> bool:
    kind = item.get("type")
    return _is_number(item.get("ts")) and kind in ("say", "ask") and _has_texts(item, kind)


# Harbor ATIF


def _is_atif(item: Item) -> bool:
    version = item.get("schema_version")
    return isinstance(version, str) and version.startswith("ATIF-")


# OpenHands V1: one event in each file of a folder, beside the state of the conversation.


def _is_openhands_v1(item: Item) -> bool:
    event = _has_texts(item, "id", "timestamp", "kind")
    by = item.get("source") in ("agent", "user", "environment", "hook")
    parts = [object_of(item.get(name)) for name in ("agent", "workspace")]
    return (event and by) or ("execution_status" in item and all(_has_texts(part, "kind") for part in parts))


# Kimi CLI: messages with marks between them, or the events of its wire. Kimi Code: a wire of another kind, and the
# state of a session. Both wires begin with the version of the protocol.


def _is_kimi_cli(head: Head) -> bool:
    return not _is_kimi_code(head) and any(map(_is_kimi_cli_item, _items(head)))


def _is_kimi_cli_item(item: Item) -> bool:
    message = object_of(item.get("message"))
    event = _has_texts(message, "type") and isinstance(message.get("payload"), dict)
    return (
        item.get("role") in ("_system_prompt", "_checkpoint", "_usage")
        or (event and _is_number(item.get("timestamp")))
        or _is_protocol(item)
    )


def _is_protocol(item: Item) -> bool:
    return item.get("type") == "metadata" and _has_texts(item, "protocol_version")


_is_kimi_code = _some(
    lambda item: (
        (text_of(item.get("type")).startswith(("context.", "turn.")) and _is_number(item.get("time")))
        or (_is_protocol(item) and "created_at" in item)
        or _has_texts(object_of(object_of(item.get("agents")).get("main")), "homedir", "type")
    )
)


# Factory Droid: a session, or the stream of a run.


def _is_factory_droid(head: Head) -> bool:
    # A file of pi's family begins with a header of its own, whatever its messages hold.
    return all(item.get("type") != "session" for item in head.records) and any(map(_is_droid_item, _items(head)))


def _is_droid_item(item: Item) -> bool:
    kind = item.get("type")
    if kind == "session_start":
        return _has_texts(item, "id") and not {"cwd", "title", "sessionTitle"}.isdisjoint(item)
    if kind == "message" and isinstance(message := item.get("message"), dict):
        return any(block.get("type") in ("tool_use", "tool_result") for block in _blocks(message))
    if not (_has_texts(item, "session_id") or _has_texts(item, "sessionId")):
        return False
    return (
        (kind == "message" and _has_texts(item, "role", "text"))
        or (kind in ("tool_call", "tool_result") and not {"toolId", "toolName", "toolCallId"}.isdisjoint(item))
        or (kind == "completion" and "finalText" in item)
    )


FOREIGN_FORMATS: list[ForeignFormat] = [
    ForeignFormat("Gemini CLI", _is_gemini_cli),
    ForeignFormat("Qwen Code", _some(_is_qwen_code)),
    ForeignFormat("opencode", _is_opencode),
    ForeignFormat("Cline", _is_cline),
    ForeignFormat("Roo Code (Kilo Code)", _is_roo_code),
    ForeignFormat("Harbor ATIF", _some(_is_atif)),
    ForeignFormat("OpenHands V1", _some(_is_openhands_v1)),
    ForeignFormat("Kimi CLI", _is_kimi_cli),
    ForeignFormat("Kimi Code", _is_kimi_code),
    ForeignFormat("Factory Droid", _is_factory_droid),
]
"""Formats that are refused by name; at most one of them, and none of ``FORMATS``, recognizes a file."""
