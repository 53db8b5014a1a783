"""Whether a file in no known format looks like a recorded session, so that it is not lost among other files.

The rule: the file is JSON, and at least two of its objects are turns or events of a conversation. Such an object names
who speaks (``role`` and the like) and holds words; or it names its session and its own type; or it is a tool's call or
result. In a file of lines with types it is enough that one of them names the session.

The objects are those in lines, of which at least half must be objects, or those in a document, down to ``DEEPEST``
levels; only the head of the file is looked at. So manifests, settings, notebooks, tables, source, and logs are none,
and neither is a session that is not kept as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from clawvm_transcripts.formats import Head, text_of

__all__ = ["looks_recorded", "written_by_clawvm"]

DEEPEST = 6
"""Levels of lists and objects that are searched for a turn."""

WIDEST = 64
"""Elements of each list or object that are searched."""

SEVERAL = 2
"""Turns that make a recording."""

ROLES = ("user", "assistant", "system", "developer", "tool", "toolResult", "function", "model", "human", "ai", "agent")
"""Who speaks in a field named ``role``."""

SPEAKERS = ("user", "assistant", "model", "human", "ai", "agent", "bot")
"""Who speaks in any of ``SPEAKER_FIELDS``, which have other uses too."""

SPEAKER_FIELDS = ("type", "kind", "from", "sender", "author", "speaker", "source")
WORD_FIELDS = ("content", "text", "parts", "message", "value", "data", "payload", "blocks")
SESSION_FIELDS = ("sessionId", "session_id", "sessionID", "conversationId", "conversation_id", "threadId", "thread_id")
TYPE_FIELDS = ("type", "kind", "event", "event_type", "role")
CALL_FIELDS = ("tool_calls", "toolCalls", "tool_call_id", "toolCallId", "tool_use_id", "call_id", "callID")
CALL_TYPES = ("tool_use", "tool_call", "tool_result", "tool-call", "tool-result", "toolCall", "function_call")


def looks_recorded(head: Head) -> bool:
    """Return whether the file that begins with *head* looks like a recorded session; see the rule above."""
    lines = [line for line in map(bytes.strip, head.start.split(b"\n", WIDEST)[:WIDEST]) if line]
    objects = sum(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    in_lines = head.records if 2 * objects >= len(lines) else ()
    # Of a first line, or a document in one line, that is longer than the head, no more than its beginning is known.
    enough = 1 if len(lines) == 1 and not lines[0].endswith((b"}", b"]")) else SEVERAL
    if any(_has_turns(items, enough) for items in (in_lines, [head.values, head.lists])):
        return True
    # A stream names its session once; every other line is an event of it.
    typed = sum(isinstance(record.get("type"), str) for record in in_lines)
    return typed > SEVERAL and any(map(_is_in_session, in_lines))


def written_by_clawvm(head: Head) -> bool:
    """Return whether the file is one of this project's own: a trace, a report, a manifest, a journal."""
    return text_of(head.values.get("format")).startswith("clawvm.")


def _has_turns(items: Any, number: int) -> bool:
    return len(list(islice(_turns(items, DEEPEST), number))) == number


def _turns(value: Any, levels: int) -> Iterator[dict[str, Any]]:
    """Yield the turns in *value*; what is in a turn is a part of it."""
    if isinstance(value, dict):
        if _is_turn(value):
            yield value
            return
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    if levels:
        for item in islice(value, WIDEST):
            yield from _turns(item, levels - 1)


def _is_turn(item: dict[str, Any]) -> bool:
    speaks = item.get("role") in ROLES or any(item.get(name) in SPEAKERS for name in SPEAKER_FIELDS)
    if speaks and any(name in item for name in WORD_FIELDS):
        return True
    in_call = any(isinstance(item.get(name), (str, list)) for name in CALL_FIELDS)
    return in_call or _is_in_session(item) or any(item.get(name) in CALL_TYPES for name in TYPE_FIELDS)


def _is_in_session(item: dict[str, Any]) -> bool:
    named = any(isinstance(item.get(name), str) for name in SESSION_FIELDS)
    return named and any(isinstance(item.get(name), str) for name in TYPE_FIELDS)
