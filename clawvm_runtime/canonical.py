"""Canonical JSON and tool signatures: the same value gives the same bytes on every machine."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["PRESENTATION_ARGUMENTS", "canonical_json", "tool_signature"]

PRESENTATION_ARGUMENTS = frozenset({"description", "timeout", "timeout_ms"})
"""Arguments that control how a call is shown or how long it may run, not what it asks for (the default)."""

# One encoder for all calls: json.dumps with these options would build a new one every time.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical_json(value: Any) -> str:
    """Return *value* as one canonical JSON line; raises ValueError for NaN and infinities.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return _encode(value)


def tool_signature(
    tool: str, arguments: Mapping[str, Any], presentation: Collection[str] = PRESENTATION_ARGUMENTS
) -> str:
    """Return the canonical signature of a tool call: its name and its arguments without presentation-only ones.

    >>> tool_signature("read", {"path": "a.py", "timeout": 5})
    'read({"path":"a.py"})'
    """
    kept = {name: value for name, value in arguments.items() if name not in presentation}
    return f"{tool}({canonical_json(kept)})"
