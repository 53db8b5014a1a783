"""The decisions of a replay as residency maps of a few windows need them, without what no window shows.

===========  ==================================================
MapEvents    a sink that thins out what lies outside all windows
===========  ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable

from clawvm_runtime.decision_trace import Event

__all__ = ["MapEvents"]


class MapEvents:
    """Keeps every event of the windows (first to last turn), and the turn before each whole.

    Elsewhere a prompt is cut down to the levels of the pages that its turn demanded: a map needs them to tell page-ins
    from faults. Memory: O(events of the windows + demands).
    """

    def __init__(self, windows: Iterable[tuple[int, int]]) -> None:
        self.events: list[Event] = []
        self._windows = [(first - 1, last) for first, last in windows]
        self._demanded: set[str] = set()

    def take(self, event: Event) -> None:
        """Take the next decision."""
        kind, turn = event["event"], event["turn"]
        if kind == "demand":
            self._demanded.add(event["page"])
        elif kind == "assemble":
            if not any(first <= turn <= last for first, last in self._windows):
                levels = {page: level for page, level in event["levels"].items() if page in self._demanded}
                event = {"event": kind, "levels": levels, "sequence": event["sequence"], "turn": turn}
            self._demanded.clear()
        self.events.append(event)
