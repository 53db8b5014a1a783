"""Oh My Pi: ``~/.omp/agent/sessions/<project>/<time>_<session>.jsonl``.

The reader is that of the pi family. What only Oh My Pi writes (@oh-my-pi/pi-coding-agent 18.3.4, session-entries):
a first line ``title`` of fixed width, header fields for titles, further directories and the prompt cache, entry types
of its own, ``model_change`` with one ``model`` instead of provider and id, the roles ``developer``, ``fileMention``
and ``pythonExecution``, and ``attribution`` in messages. It cuts off text beyond 500,000 characters by itself.
"""

from __future__ import annotations

from typing import Any

from clawvm_transcripts.format_contract import Head, line_format
from clawvm_transcripts.formats.pi_family import PiReader, in_family

__all__ = ["OH_MY_PI"]

HEADER_FIELDS = frozenset(
    {"additionalDirectories", "previousSessionFiles", "providerPromptCacheKey", "title", "titleSource"}
)
"""Fields of the header that only Oh My Pi writes."""

ENTRY_TYPES = frozenset(
    {
        "credential_pin",
        "mode_change",
        "model_usage",
        "reset_boundary",
        "service_tier_change",
        "session_init",
        "title_change",
        "ttsr_injection",
    }
)
"""Entry types that only Oh My Pi writes."""

ROLES = frozenset({"developer", "fileMention", "pythonExecution"})
"""Roles of messages that only Oh My Pi writes."""


def _recognizes(head: Head) -> bool:
    return in_family(head) and any(map(_is_own, head.records))


def _is_own(record: dict[str, Any]) -> bool:
    kind, message = record.get("type"), record.get("message")
    if kind == "session":
        return not HEADER_FIELDS.isdisjoint(record)
    if kind == "message" and isinstance(message, dict):
        return "attribution" in message or str(message.get("role")) in ROLES
    if kind == "model_change":
        return isinstance(record.get("model"), str)
    return str(kind) in ENTRY_TYPES or (kind == "title" and "pad" in record)


OH_MY_PI = line_format("oh-my-pi", "Oh My Pi", _recognizes, PiReader)
