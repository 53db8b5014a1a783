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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clawvm_pictures.axes import Scale
from clawvm_pictures.lettering import shortened, text_width, wrapped
from clawvm_pictures.style import DASHES, MARKERS, SERIES_COLOURS
from clawvm_pictures.svg import Markup, element, label, path

__all__ = [
    "EDGE",
    "HEADING_SIZE",
    "TEXT_SIZE",
    "WIDTH",
    "Frame",
    "LegendEntry",
    "Sample",
    "SeriesStyle",
    "centred",
    "finite",
    "x_axis",
]

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
