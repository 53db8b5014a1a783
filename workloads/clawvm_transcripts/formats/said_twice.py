"""Words that a recording holds twice: as an item of the conversation, and as an event for the screen.

=============  ==============================================================================
SaidTwice      tells each of them once, in a stream, whichever of the two a file has
=============  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clawvm_transcripts.events import Event, Skipped

__all__ = ["SAID_AS_EVENT", "SaidTwice"]

HELD_BACK = 64
"""Items held back until it is clear whether the file has events for them."""

SAID_AS_EVENT = Skipped("item that stands in the file as an event too", known=True)


class SaidTwice:
    """What one side said: events where the file has any, items where it has none.

    Items are held back until an event follows, which says the same, or the conversation goes on without one
    (``settle``). *event* makes the common event of the words.
    """

    def __init__(self, event: Callable[[str], Event]) -> None:
        self._event = event
        self._waiting: list[str] = []
        self._has_events = False
        self._latest: str | None = None  # The latest words told from an item.

    def event(self, words: str) -> Iterator[Event]:
        """Tell the words of an event, unless an item told them just now."""
        self.events_exist()
        self._waiting.clear()
        repeated, self._latest = self._latest == words.strip(), None
        yield SAID_AS_EVENT if repeated else self._event(words)

    def item(self, words: str) -> Iterator[Event]:
        """Hold the words of an item back, or pass over them if the file has events."""
        if self._has_events:
            yield SAID_AS_EVENT
            return
        self._waiting.append(words)
        if len(self._waiting) > HELD_BACK:
            yield from self.settle()

    def events_exist(self) -> None:
        """Take note that the file has events, by one that tells no words of this side."""
        self._has_events = True

    def settle(self) -> Iterator[Event]:
        """Tell what was held back: no event said it."""
        for words in self._waiting:
            self._latest = words.strip()
            yield self._event(words)
        self._waiting.clear()
