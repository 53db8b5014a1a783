"""The decisions of a replay as residency maps of a few windows need them, without what no window shows.

=============  =================================================================
MapEvents      a sink that thins out what lies outside all windows
drawn_pages    which pages a window shows, and which it does not
without_pages  the events of a window without the pages that it does not show
=============  =================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from clawvm_runtime.decision_trace import Event
from clawvm_runtime.vocabulary import TYPE_RULES, PageType, PinClass

__all__ = ["MapEvents", "drawn_pages", "without_pages"]


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


def drawn_pages(events: Iterable[Event], first: int, last: int, most: int) -> tuple[Sequence[str], dict[str, int]]:
    """Return the pages that a map from turn *first* to *last* shows, and the others with their faults there.

    What is pinned hard by its type is shown first (at most *most* pages), then what has the most faults, then demands:
    up to *most* pages in all, and half of that at least. O(events + pages x log(pages)).
    """
    types: dict[str, str] = {}
    faults: Counter[str] = Counter()
    demands: Counter[str] = Counter()
    for event in events:
        kind = event["event"]
        if kind == "page" and event["turn"] <= last:
            types[event["page"]] = event["type"]
        elif first <= event["turn"] <= last and kind in ("fault", "demand"):
            (faults if kind == "fault" else demands)[event.get("page", "")] += 1
    order = sorted(types, key=lambda page: (-faults[page], -demands[page]))
    hard = [page for page in order if _is_hard(types[page])][:most]
    others = [page for page in order if not _is_hard(types[page])][: max(most - len(hard), most // 2)]
    shown = dict.fromkeys((*hard, *others))
    return list(shown), {page: faults[page] for page in order if page not in shown}


def _is_hard(page_type: str) -> bool:
    return TYPE_RULES[PageType(page_type)].pin is PinClass.HARD


def without_pages(events: Iterable[Event], hidden: Collection[str], first: int, last: int) -> Iterator[Event]:
    """Yield *events* without the *hidden* pages; outside the window their demands stay, for they are counted there."""
    for event in events:
        if event.get("page") in hidden:
            kind = event["event"]
            if kind == "page" or (kind == "demand" and first <= event["turn"] <= last):
                continue
        yield event
