"""What every chart shares: the heading, the legend, the style of a series, finite values.

============  ====================================================================
WIDTH         width of a chart in units (pixels at its natural size)
SeriesStyle   colour, marker and dash of the series with a number
LegendEntry   a sample and the text behind it
Frame         stacks heading, legend and notes, and knows where the next thing goes
finite        a value that a chart has a place for
x_axis        the line below a plot with its ticks
centred       lines of text around a middle that stay inside the picture
============  ====================================================================

The legend has rows of its own above the data and can never cover any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clawvm_pictures.svg import (
    DASHES,
    MARKERS,
    SERIES_COLOURS,
    Markup,
    element,
    label,
    path,
    shortened,
    text_width,
    value_text,
    wrapped,
)

__all__ = [
    "EDGE",
    "TEXT_SIZE",
    "WIDTH",
    "Frame",
    "LegendEntry",
    "Sample",
    "Scale",
    "SeriesStyle",
    "centred",
    "finite",
    "linear_scale",
    "logarithmic_scale",
    "nice_ticks",
    "point_scale",
    "x_axis",
]


# --- Axes: round tick values, and the map from values to positions.


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


# --- What every chart shares: the heading, the legend, the style of a series, finite values.

WIDTH = 500.0
EDGE = 12.0
TEXT_SIZE = 13.0
HEADING_SIZE = 15.0

Sample = Callable[[float, float], Sequence[Markup]]
"""Draws the sample of a legend entry from a left end at a middle height."""


def finite(value: float, what: str) -> float:
    """Return *value*; raises ValueError that names *what* if it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{what}: a chart has no place for {value!r}")
    return value


def x_axis(scale: Scale, left: float, right: float, bottom: float) -> list[Markup]:
    """Return the line below a plot with its ticks and their values."""
    parts = [element("path", {"class": "cvp-axis", "d": path([(left, bottom), (right, bottom)])})]
    for tick, shown in scale.labelled(TEXT_SIZE):
        x = scale.position(tick)
        parts.append(element("path", {"class": "cvp-axis", "d": path([(x, bottom), (x, bottom + 4)])}))
        parts.append(label(shown, x, bottom + 4 + TEXT_SIZE * 1.1, "cvp-quiet", "middle"))
    return parts


def centred(text: str, middle: float, y: float, width: float) -> list[Markup]:
    """Return *text* in lines from *y* downwards around *middle*, moved where a picture of this width would cut it."""
    parts = []
    for line in wrapped(text, width - 2 * EDGE, TEXT_SIZE):
        half = text_width(line, TEXT_SIZE) / 2
        inside = max(EDGE + half, min(middle, width - EDGE - half))
        parts.append(label(line, inside, y, "cvp-quiet", "middle"))
        y += TEXT_SIZE * 1.3
    return parts


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a series looks; the first six differ in everything, later ones in marker or dash."""

    colour: str
    shape: str
    dash: str

    @classmethod
    def numbered(cls, index: int) -> SeriesStyle:
        """Return the style of the series with this number, from 0."""
        return cls(
            SERIES_COLOURS[index % len(SERIES_COLOURS)], MARKERS[index % len(MARKERS)], DASHES[index % len(DASHES)]
        )


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A text and what draws its sample, ``sample_width`` units wide."""

    text: str
    sample: Sample
    sample_width: float = 30.0


class Frame:
    """Stacks what stands above the data; ``y`` is the height that is used so far."""

    def __init__(self, width: float, title: str) -> None:
        self.width = width
        self.y = EDGE
        self.parts: list[Markup] = []
        self.lines(wrapped(title, width - 2 * EDGE, HEADING_SIZE, bold=True), "cvp-heading", HEADING_SIZE)
        self.y += 4

    def lines(self, lines: Sequence[str], style: str = "", size: float = TEXT_SIZE) -> None:
        """Add lines of text."""
        for line in lines:
            self.y += size * 1.3
            self.parts.append(label(line, EDGE, self.y - size * 0.3, style))

    def paragraph(self, text: str, style: str = "cvp-quiet") -> None:
        """Add a text, wrapped to the width."""
        self.lines(wrapped(text, self.width - 2 * EDGE, TEXT_SIZE), style)

    def legend(self, entries: Sequence[LegendEntry], width: float | None = None) -> None:
        """Add a legend in as many rows as it needs."""
        if not entries:
            return
        limit = (self.width if width is None else width) - EDGE
        x, row = EDGE, TEXT_SIZE * 1.55
        self.y += row
        for entry in entries:
            text = shortened(entry.text, limit - EDGE - entry.sample_width - 6, TEXT_SIZE)
            needed = entry.sample_width + 6 + text_width(text, TEXT_SIZE)
            if x > EDGE and x + needed > limit:
                x = EDGE
                self.y += row
            self.parts.extend(entry.sample(x, self.y - row / 2))
            self.parts.append(label(text, x + entry.sample_width + 6, self.y - row / 2 + TEXT_SIZE * 0.36))
            x += needed + 16
        self.y += 4
