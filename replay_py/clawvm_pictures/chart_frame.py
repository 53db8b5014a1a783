"""What every chart shares: scales with round ticks, heading, legend, axes, and the style of a series.

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
    hover,
    label,
    picture,
    shortened,
    stroke,
    text_width,
    value_text,
    wrapped,
)

__all__ = [
    "EDGE",
    "TEXT_SIZE",
    "WIDTH",
    "ChartFrame",
    "LegendEntry",
    "Sample",
    "Scale",
    "SeriesStyle",
    "finite",
    "linear_scale",
    "logarithmic_scale",
    "nice_ticks",
    "point_scale",
    "row_name",
    "tick_gutter",
    "x_axis",
    "y_axis",
]

WIDTH = 500.0
"""Width of a chart in units (pixels at its natural size)."""

EDGE = 12.0
TEXT_SIZE = 13.0
HEADING_SIZE = 15.0

Sample = Callable[[float, float], Sequence[Markup]]
"""Draws the sample of a legend entry, given its left end and its middle height."""


def finite(value: float, what: str) -> float:
    """Return *value*; raises ValueError that names *what* if it is not a finite number."""
    if not math.isfinite(value):
        raise ValueError(f"{what}: a chart has no place for {value!r}")
    return value


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from *low* to *high* to positions from *start* to *end*; ``ticks`` are the values to label."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    transform: Callable[[float], float] = float

    def position(self, value: float) -> float:
        """Return the position of *value*."""
        low, high = self.transform(self.low), self.transform(self.high)
        share = (self.transform(value) - low) / (high - low) if high != low else 0.5
        return self.start + share * (self.end - self.start)

    def labelled(self, *, vertical: bool = False) -> list[tuple[float, str]]:
        """Return the ticks and their texts, without those that would touch their neighbour."""
        chosen: list[tuple[float, str]] = []
        taken = -math.inf
        for tick in sorted(self.ticks, key=self.position):
            text = value_text(tick)
            half = TEXT_SIZE / 2 if vertical else text_width(text, TEXT_SIZE) / 2
            if self.position(tick) - half > taken:
                chosen.append((tick, text))
                taken = self.position(tick) + half + TEXT_SIZE / (8 if vertical else 2)
        return chosen


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most ``most + 1`` round values; the first is at most *low*, the last at least *high*."""
    if low >= high:
        return [low]
    power = math.floor(math.log10((high - low) / most))
    for exponent, digit in ((power, 1), (power, 2), (power, 5), (power + 1, 1), (power + 1, 2)):
        step = digit * 10.0**exponent
        # Rounded, so that 0.6 / 0.2 is 3 and 3 of 0.1 are 0.3.
        first, last = math.floor(round(low / step, 9)), math.ceil(round(high / step, 9))
        if last - first <= most:
            return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return [low, high]


def linear_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale with round ends around 0 and *values*."""
    known = [0.0, *values]
    low, high = min(known), max(known)
    ticks = nice_ticks(low, high if high > low else 1.0)
    return Scale(ticks[0], ticks[-1], start, end, tuple(ticks))


def logarithmic_scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Return a scale that grows with log(1 + value) for values of 0 or more: near 0 it is linear, and 0 has a place."""
    ticks = [0.0, 1.0]
    highest = max(values, default=0.0)
    while ticks[-1] < highest:
        ticks.append(ticks[-1] * 10)
    return Scale(0.0, ticks[-1], start, end, tuple(ticks), math.log1p)


def point_scale(values: Sequence[float], start: float, end: float, most: int = 10) -> Scale:
    """Return a scale from the lowest to the highest value; few different values are ticks themselves."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    ticks = sorted(set(values))
    if len(ticks) > most:
        ticks = [tick for tick in nice_ticks(low, high) if low <= tick <= high]
    return Scale(low, high, start, end, tuple(ticks))


def tick_gutter(scale: Scale) -> float:
    """Return the left end of a plot whose y axis has the ticks of *scale*."""
    return min(EDGE + max(text_width(value_text(tick), TEXT_SIZE) for tick in scale.ticks) + 8, WIDTH / 3)


def x_axis(scale: Scale, left: float, right: float, bottom: float) -> list[Markup]:
    """Return the line below a plot with its ticks and their values."""
    parts = [stroke("cvp-axis", [(left, bottom), (right, bottom)])]
    for tick, shown in scale.labelled():
        x = scale.position(tick)
        parts.append(stroke("cvp-axis", [(x, bottom), (x, bottom + 4)]))
        parts.append(label(shown, x, bottom + 4 + TEXT_SIZE * 1.1, "cvp-quiet", "middle"))
    return parts


def y_axis(scale: Scale, left: float, right: float, *, whole: bool = False) -> list[Markup]:
    """Return the grid lines of a plot and their values; with *whole*, only those at whole numbers."""
    parts = []
    for tick, text in scale.labelled(vertical=True):
        if not whole or tick == int(tick):
            y = scale.position(tick)
            style = "cvp-grid" if tick else "cvp-axis"
            parts.append(stroke(style, [(left, y), (right, y)]))
            parts.append(label(text, left - 6, y + TEXT_SIZE * 0.36, "cvp-quiet", "end"))
    return parts


def row_name(lines: Sequence[str], text: str, x: float, middle: float) -> Markup:
    """Return the name of a row as lines that end at *x*, around a middle height, with *text* on hover."""
    first = middle + TEXT_SIZE * 0.36 - (len(lines) - 1) * TEXT_SIZE * 0.6
    texts = [label(line, x, first + number * TEXT_SIZE * 1.2, "", "end") for number, line in enumerate(lines)]
    return element("g", None, hover(text), *texts)


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a series looks; the first six differ in everything, later ones in marker or dash."""

    colour: str
    shape: str
    dash: str

    @classmethod
    def numbered(cls, index: int) -> SeriesStyle:
        """Return the style of the series with this number, from 0."""
        return cls(*(looks[index % len(looks)] for looks in (SERIES_COLOURS, MARKERS, DASHES)))


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """A text and what draws its sample, ``sample_width`` units wide."""

    text: str
    sample: Sample
    sample_width: float = 14.0


class ChartFrame:
    """A picture from top to bottom: heading, legend, notes, and what is added to ``parts``; ``y`` is used so far."""

    def __init__(self, width: float, title: str) -> None:
        self.width = width
        self.title = title
        self.y = EDGE
        self.parts: list[Markup] = []
        self._lines(wrapped(title, width - 2 * EDGE, HEADING_SIZE, bold=True), "cvp-heading", HEADING_SIZE)
        self.y += 4

    def _lines(self, lines: Sequence[str], style: str, size: float) -> None:
        for line in lines:
            self.y += size * 1.3
            self.parts.append(label(line, EDGE, self.y - size * 0.3, style))

    def paragraph(self, text: str, style: str = "cvp-quiet") -> None:
        """Add a text, wrapped to the width."""
        self._lines(wrapped(text, self.width - 2 * EDGE, TEXT_SIZE), style, TEXT_SIZE)

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

    def finished(self, description: str, x_label: str, left: float, right: float, bottom: float) -> str:
        """Return the picture with the label of its x axis below a plot that ends at *bottom*."""
        y = bottom + TEXT_SIZE * 2.8
        for line in wrapped(x_label, self.width - 2 * EDGE, TEXT_SIZE):
            half = text_width(line, TEXT_SIZE) / 2
            inside = max(EDGE + half, min((left + right) / 2, self.width - EDGE - half))
            self.parts.append(label(line, inside, y, "cvp-quiet", "middle"))
            y += TEXT_SIZE * 1.3
        return picture(self.width, y - TEXT_SIZE * 0.8 + EDGE / 2, self.title, description, self.parts)
