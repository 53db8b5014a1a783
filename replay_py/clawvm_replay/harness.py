"""The simulated harness: transcript accounting that says when a flush or a compaction is due, nothing else.

==================  ===================================================================
Due                 what the accounting asks for before the next prompt
TranscriptAccount   the running transcript size and the compaction cycle
==================  ===================================================================

Modelled on the documented behaviour of OpenClaw: a flush at a soft threshold, once per compaction cycle; a compaction
at a limit; one large turn can jump past both, and then the flush never ran. ``docs/trace-format.md`` has the rules.
"""

from __future__ import annotations

from enum import Enum

from clawvm_replay.trace_format import Accounting

__all__ = ["Due", "TranscriptAccount"]


class Due(str, Enum):
    """What the accounting asks for before the next prompt."""

    NOTHING = "nothing"
    FLUSH = "flush"
    COMPACTION = "compaction"


class TranscriptAccount:
    """The running size of a transcript in tokens; without *accounting* nothing ever falls due."""

    def __init__(self, accounting: Accounting | None) -> None:
        self._accounting = accounting
        self._flushed = False
        self.tokens = 0

    def grow(self, tokens: int) -> Due:
        """Add a turn's tokens and return what is due; a compaction leaves the summary."""
        accounting = self._accounting
        self.tokens += tokens
        if accounting is None:
            return Due.NOTHING
        if self.tokens > accounting.compaction_limit:
            self.compacted()
            return Due.COMPACTION
        if self.tokens > accounting.soft_threshold and not self._flushed:
            self.flushed()
            return Due.FLUSH
        return Due.NOTHING

    def flushed(self) -> None:
        """Note a flush: no other falls due in this compaction cycle."""
        self._flushed = True

    def compacted(self) -> None:
        """Note a compaction: the transcript is a summary now and a new cycle begins."""
        self.tokens = 0 if self._accounting is None else self._accounting.summary_tokens
        self._flushed = False

    def reset(self) -> None:
        """Note a reset: the transcript is empty."""
        self.tokens = 0
        self._flushed = False
