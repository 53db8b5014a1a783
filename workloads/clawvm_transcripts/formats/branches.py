"""The tree of a conversation, and the results that a rewind leaves behind or brings back.

A place is a piece of the conversation that is dropped or kept as a whole: an entry, a reply, a prompt.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from clawvm_transcripts.events import Rewind

__all__ = ["ROOT", "Branches"]

ROOT = 0
"""The place above the first one."""


class Branches:
    """The places of one conversation in the order in which they were made; a parent comes before its children.

    Memory: 5 bytes a place, and the id of every result.
    """

    def __init__(self) -> None:
        self.here = ROOT
        self._parents = array("i", [ROOT])
        self._weights = array("b", [0])
        self._results: dict[int, str | list[str]] = {}  # Mostly one, which needs no list.
        self._compactions: dict[int, tuple[str, ...]] = {}  # What each kept.
        self._cleared: set[str] = set()
        self._barrier = ROOT

    @property
    def next(self) -> int:
        """The place that the next append makes."""
        return len(self._parents)

    def append(self, parent: int | None = None, *, weight: int = 1) -> int:
        """Add a place below *parent* (the current one, unless given), go there, and return it.

        *weight* is what it counts among the places that a rewind leaves.
        """
        place = self.next
        self._parents.append(self.here if parent is None else parent)
        self._weights.append(weight)
        self.here = place
        return place

    def add_result(self, call: str, place: int | None = None) -> None:
        """Note that the result of *call* is part of *place*, the current one unless given."""
        place = self.here if place is None else place
        others = self._results.get(place)
        if isinstance(others, list):
            others.append(call)
        else:
            self._results[place] = call if others is None else [others, call]

    def _results_of(self, place: int) -> Sequence[str]:
        found = self._results.get(place, ())
        return (found,) if isinstance(found, str) else found

    def compacted(self, kept: Iterable[str] = ()) -> None:
        """Note that the current place is a compaction: of the results before it, only those *kept* are left."""
        self._compactions[self.here] = tuple(kept)

    def clear(self, calls: Iterable[str]) -> None:
        """Note that the results of *calls* are gone from wherever they were."""
        self._cleared.update(calls)

    def set_barrier(self) -> None:
        """Let nothing before the current place be gone back to."""
        self._barrier = self.here

    def is_open(self, place: int) -> bool:
        """Return whether *place* is not before the barrier."""
        return self._common(place, self._barrier) == self._barrier

    def place_above(self, weight: int) -> int:
        """Return the place that is left when the newest places of this *weight* in all are gone."""
        place = self.here
        while place != ROOT and weight > 0:
            weight -= self._weights[place]
            place = self._parents[place]
        return place

    def weight_to(self, place: int) -> int:
        """Return what going to *place* would leave behind, 0 on the way down. O(places between the two)."""
        return sum(self._weights[left] for left in self._up(self.here, self._common(place, self.here)))

    def go_to(self, place: int) -> Rewind:
        """Go on below *place*, and return the rewind that this is (of weight 0 on the way down).

        O(places between the two); when one of them is a compaction, O(places up to the root).
        """
        common = self._common(place, self.here)
        left, entered = list(self._up(self.here, common)), list(self._up(place, common))
        lost = tuple(call for each in left for call in self._results_of(each))
        restored: tuple[str, ...] = ()
        if not self._compactions.keys().isdisjoint((*left, *entered)):
            # Behind a compaction there is less, and before one more.
            before, self.here = tuple(self.context()), place
            restored = tuple(self.context())
            there = set(restored)
            lost = tuple(dict.fromkeys((*lost, *(call for call in before if call not in there))))
        elif entered:
            back = (call for each in entered for call in self._results_of(each))
            restored = tuple(call for call in back if call not in self._cleared)
        self.here = place
        return Rewind(sum(self._weights[each] for each in left), lost, restored)

    def context(self) -> Iterator[str]:
        """Yield the calls whose results are in the context at the current place, newest places first."""
        yield from self.results_since(ROOT)

    def results_since(self, first: int) -> Iterator[str]:
        """Yield the calls whose results are in the context here and belong to *first* or to what came after it."""
        kept: set[str] | None = None  # By the compactions on the way, None for everything.
        place = self.here
        while place >= first and kept != set():
            for call in self._results_of(place):
                if call not in self._cleared and (kept is None or call in kept):
                    yield call
            if place in self._compactions:
                kept = set(self._compactions[place]).intersection(self._compactions[place] if kept is None else kept)
            if place == ROOT:
                return
            place = self._parents[place]

    def _common(self, one: int, other: int) -> int:
        while one != other:
            if one > other:
                one = self._parents[one]
            else:
                other = self._parents[other]
        return one

    def _up(self, place: int, end: int) -> Iterator[int]:
        while place != end:
            yield place
            place = self._parents[place]
