"""The decision trace: one event per observable decision, enough to replay and to explain every choice.

Format: ``schemas/decision-trace.schema.json``; one canonical JSON line per event, the header first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["EVENT_KINDS", "FORMAT_NAME", "FORMAT_VERSION", "DecisionTrace", "Event"]

FORMAT_NAME = "clawvm.decision_trace"
FORMAT_VERSION = 1

Event = dict[str, Any]

EVENT_KINDS = (
    *("header", "session_start", "page", "demand", "alert", "tool", "recall", "stage"),
    *("reject", "commit", "lost", "flush", "boundary", "assemble", "pressure", "fault"),
)
"""The kinds of event, in the order in which a turn may produce them."""


class DecisionTrace:
    """Numbers events and hands each to a sink; the default sink keeps them in ``events``.

    The runtime never reads a clock: an event's place in time is its turn and its sequence number.

    >>> trace = DecisionTrace()
    >>> trace.header(policy="clawvm", budget=120)
    >>> trace.emit("boundary", 3, boundary="compaction")
    >>> trace.events[-1]
    {'event': 'boundary', 'sequence': 1, 'turn': 3, 'boundary': 'compaction'}
    """

    def __init__(self, sink: Callable[[Event], None] | None = None) -> None:
        self.events: list[Event] = []
        self._sink = self.events.append if sink is None else sink
        self._sequence = 0

    def header(self, **fields: Any) -> None:
        """Emit the header; *fields* describe the run (policy, budget, workload)."""
        self.emit("header", 0, format=FORMAT_NAME, version=FORMAT_VERSION, **fields)

    def emit(self, kind: str, turn: int, **fields: Any) -> None:
        """Emit one event of turn *turn*."""
        event: Event = {"event": kind, "sequence": self._sequence, "turn": turn, **fields}
        self._sequence += 1
        self._sink(event)
