"""Turns that wait until it is known whether a compaction follows, which decides where the flush before it stands.

==========================  ===============================================================================
HeldTurns                   holds the last turns of a compaction cycle back and puts the flush before one
FLUSH_BEFORE_COMPACTION     tokens of transcript before a compaction at which the flush is due
==========================  ===============================================================================

Memory: the turns that begin within ``FLUSH_BEFORE_COMPACTION`` tokens of the end, at most ``MOST_HELD`` of them.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable

from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, Turn
from clawvm_transcripts.views import View

__all__ = ["FLUSH_BEFORE_COMPACTION", "HeldTurns"]

FLUSH_BEFORE_COMPACTION = 4000
"""Tokens of transcript before a compaction at which a best-effort flush is due, as OpenClaw documents it."""

MOST_HELD = FLUSH_BEFORE_COMPACTION
"""Turns, if they hardly let the transcript grow; beyond that the oldest goes, and the flush stands later."""


class HeldTurns:
    """Takes the turns of every view and hands them to *sink* in order, as soon as no flush can stand before them."""

    def __init__(self, sink: Callable[[View, Turn], None]) -> None:
        self._sink = sink
        self._held: deque[tuple[int, dict[View, Turn]]] = deque()  # With the transcript at which each turn begins.
        self._transcript = 0  # Of all turns so far, in tokens: only differences within a cycle count.

    def add(self, turns: dict[View, Turn], tokens: int) -> None:
        """Take the same turn of every view, which lets the transcript grow by *tokens*."""
        self._held.append((self._transcript, turns))
        self._transcript += tokens
        # The last turn stays, however large: the flush before a jump stands before it.
        while len(self._held) > 1 and (self._is_early() or len(self._held) > MOST_HELD):
            self._hand_on()

    def compaction(self) -> None:
        """Let a recorded compaction follow: the flush stands before the oldest turn that waits, if any does."""
        if self._held:
            _, turns = self._held[0]
            for view, turn in turns.items():
                turns[view] = flushed_first(turn)
        self.release()

    def release(self) -> None:
        """Hand on everything that waits: a boundary that is no compaction follows, or the session ends."""
        while self._held:
            self._hand_on()

    def _is_early(self) -> bool:
        return self._transcript - self._held[0][0] > FLUSH_BEFORE_COMPACTION

    def _hand_on(self) -> None:
        for view, turn in self._held.popleft()[1].items():
            self._sink(view, turn)


def flushed_first(turn: Turn) -> Turn:
    """Return *turn* with a flush before everything else of its cycle."""
    at = max((place + 1 for place, item in enumerate(turn.prelude) if isinstance(item, BoundaryEvent)), default=0)
    return dataclasses.replace(turn, prelude=(*turn.prelude[:at], FlushEvent(), *turn.prelude[at:]))
