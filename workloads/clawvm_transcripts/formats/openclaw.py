"""OpenClaw: ``~/.openclaw/agents/<agent>/sessions/<session>.jsonl`` (before it kept sessions in a database).

The reader is that of the pi family. What only OpenClaw writes (openclaw 2026.9.6, and recorded sessions): ``custom``
entries of type ``model-snapshot`` and ``openclaw...``, the entry types ``reset`` and ``leaf`` (a choice of the branch
to go on with: ``targetId``), entries with ``appendMode`` "side" that are no part of the conversation, ``__openclaw``
and ``provenance`` in messages, the provider ``openclaw`` for replies that the gateway wrote, and a workspace below
``.openclaw``.
"""

from __future__ import annotations

from typing import Any

from clawvm_transcripts.format_contract import Head, line_format
from clawvm_transcripts.formats.oh_my_pi import OH_MY_PI
from clawvm_transcripts.formats.pi_family import PiReader, in_family

__all__ = ["OPENCLAW"]


def _recognizes(head: Head) -> bool:
    return in_family(head) and not OH_MY_PI.recognizes(head) and any(map(_is_own, head.records))


def _is_own(record: dict[str, Any]) -> bool:
    kind = record.get("type")
    if kind == "session":
        return ".openclaw" in str(record.get("cwd")).replace("\\", "/").split("/")
    if kind in ("custom", "custom_message"):
        name = str(record.get("customType"))
        return name == "model-snapshot" or name.startswith("openclaw")
    message = record.get("message")
    if kind == "message" and isinstance(message, dict):
        return "__openclaw" in message or "provenance" in message or message.get("provider") == "openclaw"
    return kind in ("leaf", "reset") or record.get("appendMode") == "side"


OPENCLAW = line_format("openclaw", "OpenClaw", _recognizes, PiReader)
