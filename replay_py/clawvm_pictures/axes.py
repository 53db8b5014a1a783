"""Axes: round tick values, and the map from values to positions.

================  ======================================================================
nice_ticks        round values (1, 2 or 5 times a power of ten) that cover a range
Scale             maps values to positions; has ticks
linear_scale      equal steps for equal differences
logarithmic_scale equal steps for equal ratios, and 0 has a place (symmetric logarithm)
point_scale       ticks at the data's own values
================  ======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clawvm_pictures.lettering import text_width, value_text

__all__ = ["Scale", "linear_scale", "logarithmic_scale", "nice_ticks", "point_scale"]


def _same(value: float) -> float:
    return value


def _symmetric_logarithm(value: float) -> float:
    return math.copysign(math.log10(1.0 + abs(value)), value)


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from *low* to *high* to positions from *start* to *end*; ``ticks`` are the values to label."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    transform: Callable[[float], float] = _same

    def position(self, value: float) -> float:
        """Return the position of *value*."""
        low, high = self.transform(self.low), self.transform(self.high)
        # Halved, because the difference of two finite values may not be one.
        span = high / 2 - low / 2
        share = (self.transform(value) / 2 - low / 2) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def labelled(self, size: float, *, stacked: bool = False) -> list[tuple[float, str]]:
        """Return the ticks with their texts, without those that would touch the one before at this font size.

        Texts stand beside each other, or above each other if *stacked*.
        """
        chosen: list[tuple[float, str]] = []
        taken = -math.inf
        for tick in sorted(self.ticks, key=self.position):
            text = value_text(tick)
            half = size / 2 if stacked else text_width(text, size) / 2
            if self.position(tick) - half > taken:
                chosen.append((tick, text))
                taken = self.position(tick) + half + (size / 8 if stacked else size / 2)
        return chosen


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most ``most + 1`` round values; the first is at most *low*, the last at least *high*."""
    span = high / most - low / most
    if not max(1e-290, 1e-12 * abs(low), 1e-12 * abs(high)) < span < 1e290:
        return [low, high] if high > low else [low]  # Floats are too coarse, or too short, for round steps here.
    power = math.floor(math.log10(span))
    for exponent, digit in ((power, 1), (power, 2), (power, 5), (power + 1, 1), (power + 1, 2)):
        # A step below 1 is kept as its inverse, a whole number, so that 3 of 0.1 give 0.3 and not 0.30000000000000004.
        scale = 10.0 ** abs(exponent)
        inverse = exponent < 0
        count_low = math.floor(low * scale / digit if inverse else low / scale / digit)
        count_high = math.ceil(high * scale / digit if inverse else high / scale / digit)
        if count_high - count_low <= most:
            return [n * digit / scale if inverse else n * digit * scale for n in range(count_low, count_high + 1)]
    return [low, high]


def _range(values: Iterable[float], *, from_zero: bool) -> tuple[float, float]:
    known = list(values)
    if from_zero or not known:
        known.append(0.0)
    low, high = min(known), max(known)
    if low == high:
        # One value: the axis still needs a length.
        return (low, low + 1.0) if low == 0 else (min(low, 0.0), max(low, 0.0))
    return low, high


def linear_scale(values: Iterable[float], start: float, end: float, *, from_zero: bool = True) -> Scale:
    """Return a scale with round ends around *values*, 0 among them if *from_zero*."""
    ticks = nice_ticks(*_range(values, from_zero=from_zero))
    return Scale(ticks[0], ticks[-1], start, end, tuple(ticks))


def logarithmic_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale that grows with log(1 + value), the same downwards: near 0 it is linear, and 0 has a place."""
    low, high = _range(values, from_zero=True)
    ticks = {0.0}
    for sign, limit in ((1.0, high), (-1.0, -low)):
        power = 0
        while limit > 0 and power < 300:
            ticks.add(sign * 10.0**power)
            if 10.0**power >= limit:
                break
            power += 1
    ordered = sorted(ticks)
    return Scale(ordered[0], ordered[-1], start, end, tuple(ordered), _symmetric_logarithm)


def point_scale(values: Sequence[float], start: float, end: float, most: int = 10) -> Scale:
    """Return a scale from the lowest to the highest value; few different values are ticks themselves."""
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    different = sorted(set(values))
    if len(different) <= most:
        return Scale(low, high, start, end, tuple(different))
    ticks = tuple(tick for tick in nice_ticks(low, high) if low <= tick <= high)
    return Scale(low, high, start, end, ticks)
