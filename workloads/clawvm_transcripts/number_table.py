"""A table of millions of numbers in a sixth of the memory that a dictionary of them takes.

============  ======================================================================
NumberTable   small whole numbers by 64-bit keys that are evenly spread
============  ======================================================================
"""

from __future__ import annotations

from array import array

__all__ = ["NumberTable"]

SMALLEST = 1 << 10


class NumberTable:
    """Whole numbers below 2^31 by 64-bit keys, which have to be evenly spread, as those of ``number_of`` are.

    An entry takes 18 to 36 bytes; nothing is ever removed.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(SMALLEST)

    def __len__(self) -> int:
        return self._count

    def _allocate(self, size: int) -> None:
        self._mask = size - 1
        self._keys = array("Q", bytes(8 * size))
        self._values = array("i", bytes(4 * size))

    def _place(self, key: int) -> int:
        """Return the place of *key*, or the free one where it belongs."""
        keys, mask = self._keys, self._mask
        place = key & mask
        while keys[place] != key and keys[place]:
            place = (place + 1) & mask
        return place

    def get(self, key: int, default: int) -> int:
        """Return the number under *key*, or *default*."""
        place = self._place(key or 1)  # 0 marks a free place.
        return self._values[place] if self._keys[place] else default

    def add(self, key: int, value: int) -> bool:
        """Put *value* under *key* unless there is one; return whether there was none. O(1) on average."""
        key = key or 1
        place = self._place(key)
        if self._keys[place]:
            return False
        self._keys[place], self._values[place] = key, value
        self._count += 1
        if 3 * self._count > 2 * len(self._keys):
            self._grow()
        return True

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._allocate(2 * len(keys))
        for key, value in zip(keys, values):
            if key:
                place = self._place(key)
                self._keys[place], self._values[place] = key, value
