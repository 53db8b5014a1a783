"""What the scenarios share in the telling: a story with its instructions, ladders, good updates.

============  ============================================================
open_story    a story under ``BUDGET`` tokens with its instructions
read          a tool call whose result is a page
note          an update of the plan in which everything is good
user          the provenance of what the user said in a turn
============  ============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import PageType

__all__ = ["BUDGET", "EVIDENCE", "GUIDE", "PLAN", "SHORT_RULE", "note", "open_story", "read", "user"]

BUDGET = 120
"""Token budget of most scenarios: the smallest of the sweep."""

GUIDE = Ladder(3, 20, 26, 40)
PLAN = Ladder(3, 10, 14, 22)
SHORT_RULE = Ladder(2, 6, 8, 12)

EVIDENCE: Mapping[str, Any] = MappingProxyType({"base_utility": 5.0, "recompute_cost": 8.0})


def open_story(name: str, accounting: Accounting | None, *guides: Ladder) -> TraceBuilder:
    """Return a story with one page of instructions for each ladder."""
    story = TraceBuilder(f"adversarial_{name}", BUDGET, "", accounting)
    for number, ladder in enumerate(guides, start=1):
        source = Provenance("file", f"AGENTS-{number}.md")
        story.page(f"guide-{number}", PageType.BOOTSTRAP_POLICY, ladder, provenance=source, base_utility=9.0)
    return story


def read(story: TraceBuilder, number: int, ladder: Ladder, **more: Any) -> Call:
    """Return the call that reads a file; its result is a page."""
    return story.tool("read", {"path": f"file_{number}"}, f"file-{number}", ladder, **EVIDENCE, **more)


def note(**attributes: Any) -> Update:
    """Return a good update of the plan, with some attributes replaced."""
    good: dict[str, Any] = {
        "page_id": "plan",
        "field": "log",
        "operation": "append",
        "value": ["noted"],
        "scope": "session",
        "evidence_ref": "plan",
    }
    good.update(attributes)
    return Update(**good)


def user(turn: int) -> Provenance:
    """Return the provenance of what the user said in a turn."""
    return Provenance("user", f"turn-{turn}")
