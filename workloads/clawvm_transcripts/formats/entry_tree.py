"""The tree that the entries of a session form, and where in it the conversation stands.

=============  ================================================================================
EntryTree      entries below each other; tells what a move to another entry leaves behind
ROOT           the place above the first entry
=============  ================================================================================

An entry takes one dictionary item and twelve bytes. Every entry knows its parent and one ancestor further up, chosen
so that finding the common ancestor of two entries takes a number of steps logarithmic in their depth (the jump
pointers of Myers, "An applicative random-access stack", 1983): two branches that alternate line by line stay cheap.
"""

from __future__ import annotations

from array import array

__all__ = ["ROOT", "EntryTree"]

ROOT = 0
"""The place above the first entry."""


class EntryTree:
    """Entries of one session in the order of the file; a place is the number of an entry, from 1."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._depths = array("i", [0])
        self._parents = array("i", [ROOT])
        self._jumps = array("i", [ROOT])
        self._here = ROOT
        self._barrier = ROOT

    def place_of(self, entry: str) -> int | None:
        """Return the place of *entry*, None for one that was never seen."""
        return self._places.get(entry)

    def move_to(self, place: int) -> int:
        """Go on below *place*; return how many entries of the branch are left behind (0 on the way down).

        A place outside of what stands below the barrier is not gone to. O(log of the depth).
        """
        if place == self._here or self._common(place, self._barrier) != self._barrier:
            return 0
        left = self._depths[self._here] - self._depths[self._common(place, self._here)]
        self._here = place
        return left

    def append(self, entry: str) -> None:
        """Add *entry* below the place where the conversation stands, and stand there."""
        parent = self._here
        above = self._jumps[parent]
        far = self._depths[parent] - self._depths[above] == self._depths[above] - self._depths[self._jumps[above]]
        self._depths.append(self._depths[parent] + 1)
        self._parents.append(parent)
        self._jumps.append(self._jumps[above] if far and parent != ROOT else parent)
        self._here = len(self._depths) - 1
        self._places[entry] = self._here

    def name(self, entry: str) -> None:
        """Let *entry* stand for the place where the conversation stands."""
        self._places[entry] = self._here

    def set_barrier(self) -> None:
        """Forbid moves to anything that is not below the place where the conversation stands."""
        self._barrier = self._here

    def _common(self, one: int, other: int) -> int:
        depths, jumps, parents = self._depths, self._jumps, self._parents
        if depths[one] < depths[other]:
            one, other = other, one
        while depths[one] > depths[other]:
            one = jumps[one] if depths[jumps[one]] >= depths[other] else parents[one]
        while one != other:
            apart = jumps[one] != jumps[other]
            one, other = (jumps[one], jumps[other]) if apart else (parents[one], parents[other])
        return one
