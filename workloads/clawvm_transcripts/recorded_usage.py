"""What the recording itself says about prompts: tokens, cached tokens, the context window.

===============  ===========================================================================
RecordedUsage    sums the usage of all requests, and finds the window
===============  ===========================================================================
"""

from __future__ import annotations

from typing import Any

from clawvm_transcripts.events import Compaction, Event, Usage, Window

__all__ = ["RecordedUsage"]

MAXIMUM_TOKENS = 10**9
"""Counts above this are mistakes of the recording."""


class RecordedUsage:
    """Sums usage, in tokens; the window is the recorded one, else the largest prompt that was compacted on its own.

    Harnesses compact shortly before the window is full, so the second is a little less than the window.
    """

    def __init__(self) -> None:
        self._requests = 0
        self._sums = {"cached_tokens": 0, "output_tokens": 0, "prompt_tokens": 0, "written_tokens": 0}
        self._largest_prompt = 0
        self._window: int | None = None
        self._compacted_at: int | None = None
        self._newest: Usage | None = None

    @property
    def window(self) -> int | None:
        """The real window in tokens, None where the recording tells none."""
        return self._window or self._compacted_at

    def add(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, Window) and 0 < event.tokens <= MAXIMUM_TOKENS:
            self._window = max(self._window or 0, event.tokens)
        elif isinstance(event, Compaction) and event.tokens_before and 0 < event.tokens_before <= MAXIMUM_TOKENS:
            if event.kind != "manual":
                self._compacted_at = max(self._compacted_at or 0, event.tokens_before)
        elif isinstance(event, Usage) and 0 <= event.prompt <= MAXIMUM_TOKENS:
            if self._newest is not None and _is_of_one_request(self._newest, event):
                self._count(self._newest, -1)
            self._count(event, 1)
            self._newest = event
            self._largest_prompt = max(self._largest_prompt, event.prompt)

    def _count(self, usage: Usage, times: int) -> None:
        self._requests += times
        for name, tokens in (
            ("cached_tokens", usage.cached),
            ("output_tokens", usage.output),
            ("prompt_tokens", usage.prompt),
            ("written_tokens", usage.written),
        ):
            self._sums[name] += times * min(max(0, tokens), MAXIMUM_TOKENS)

    def to_record(self) -> dict[str, Any]:
        """Return the sums as plain JSON data."""
        return {
            "largest_prompt": self._largest_prompt,
            "requests": self._requests,
            "window": self.window,
            "window_is_recorded": self._window is not None,
            **self._sums,
        }


def _is_of_one_request(one: Usage, other: Usage) -> bool:
    """Return whether two usages are told of one request: replies that were joined have prompts of their own."""
    return bool(one.message) and (one.message, one.prompt) == (other.message, other.prompt)
