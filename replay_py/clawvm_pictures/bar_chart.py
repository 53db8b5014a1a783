"""Bar charts: horizontal bars, one row of bars for each category, with the value at each bar.

===========  ==========================================================
BarSeries    a named list of values, one for each category
bar_chart    the chart as SVG, grouped or stacked
===========  ==========================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from clawvm_pictures.axes import Scale, linear_scale
from clawvm_pictures.chart_frame import EDGE, TEXT_SIZE, WIDTH, Frame, LegendEntry, Sample, SeriesStyle, centred, finite
from clawvm_pictures.lettering import text_width, value_text, wrapped
from clawvm_pictures.svg import Attribute, Markup, element, hover, label, path, picture

__all__ = ["BarSeries", "bar_chart"]

_BAR = 15.0
_GAP = 9.0
_THINNEST = 1.5  # A value above 0 is seen however small it is beside the others.


@dataclass(frozen=True, slots=True)
class BarSeries:
    """A named list of values, one for each category; None where there is no value.

    ``style`` is the number of the colour, so that a policy looks the same in every chart; None: the place in the list.
    """

    name: str
    values: Sequence[float | None]
    style: int | None = None


def bar_chart(
    *,
    title: str,
    value_label: str,
    categories: Sequence[str],
    series: Sequence[BarSeries],
    stacked: bool = False,
    description: str = "",
) -> str:
    """Return horizontal bars as SVG, the categories from top to bottom, the value behind each bar (or stack).

    *value_label* names the unit. Bars of a category stand below each other in the order of the series, or behind each
    other if *stacked*; stacked values must not be negative. Raises ValueError for a value that is not finite, for a
    negative stacked one, and for a series whose number of values is not that of the categories. O(number of values).
    """
    return _BarChart(title, value_label, categories, series, stacked, description).svg()


class _BarChart:
    def __init__(
        self,
        title: str,
        value_label: str,
        categories: Sequence[str],
        series: Sequence[BarSeries],
        stacked: bool,
        description: str,
    ) -> None:
        for one in series:
            if len(one.values) != len(categories):
                raise ValueError(f"{one.name}: {len(one.values)} values for {len(categories)} categories")
            for value in one.values:
                if value is not None and finite(value, one.name) < 0 and stacked:
                    raise ValueError(f"{one.name}: a stacked value must not be negative, as {value!r} is")
        self.title, self.value_label, self.description = title, value_label, description
        self.categories, self.series, self.stacked = categories, series, stacked
        self.colours = [
            SeriesStyle.numbered(index if one.style is None else one.style).colour
            # A chart with one series is not drawn in black.
            for index, one in enumerate(series, start=int(len(series) == 1))
        ]
        self.frame = Frame(WIDTH, title)
        if len(series) > 1:
            self.frame.legend([LegendEntry(one.name, _sample(c), 14) for one, c in zip(series, self.colours)])
        self.top = self.frame.y + 6
        self.gutter = min(WIDTH * 0.42, max((text_width(name, TEXT_SIZE) for name in categories), default=0.0))
        self.names = [wrapped(name, self.gutter, TEXT_SIZE, most=2) for name in categories]
        self.scale = self._scale()

    def _rows(self, category: int) -> list[tuple[str, float | None]]:
        """Return the values that get a text: each bar's, or the sum of a stack."""
        values = [(one.name, one.values[category]) for one in self.series]
        if not self.stacked:
            return values
        known = [value for _, value in values if value is not None]
        return [("all together", math.fsum(known) if known else None)]

    def _scale(self) -> Scale:
        values = [value for c in range(len(self.categories)) for _, value in self._rows(c) if value is not None]
        left = EDGE + self.gutter + 8
        longest = max((text_width(value_text(value), TEXT_SIZE) for value in values), default=0.0) + 8
        right = WIDTH - EDGE - longest
        if any(value < 0 for value in values):
            left += longest
        return linear_scale(values, left, max(right, left + 40))

    def svg(self) -> str:
        y = self.top
        bars: list[Markup] = []
        for category, names in enumerate(self.names):
            height = _BAR * (1 if self.stacked else max(1, len(self.series)))
            room = max(height, TEXT_SIZE * 1.25 * len(names))
            bars.append(self._name(category, names, y + room / 2))
            draw = self._stack if self.stacked else self._group
            bars.extend(draw(category, y + (room - height) / 2))
            y += room + _GAP
        bottom = y - _GAP / 2
        lines = centred(self.value_label, (self.scale.start + self.scale.end) / 2, bottom + TEXT_SIZE * 2.7, WIDTH)
        parts = [*self.frame.parts, *self._grid(bottom), *bars, *lines]
        height = bottom + TEXT_SIZE * (1.9 + 1.3 * len(lines)) + EDGE / 2
        return picture(WIDTH, height, self.title, self.description or self._described(), parts)

    def _described(self) -> str:
        return f"Bar chart: {self.value_label}, for {', '.join(self.categories) or 'no category'}."

    def _name(self, category: int, lines: Sequence[str], middle: float) -> Markup:
        values = ((one.name, one.values[category]) for one in self.series)
        told = (f"{name} {'no value' if value is None else value_text(value)}" for name, value in values)
        first = middle + TEXT_SIZE * 0.36 - (len(lines) - 1) * TEXT_SIZE * 0.6
        texts = [
            label(line, EDGE + self.gutter, first + number * TEXT_SIZE * 1.2, "", "end")
            for number, line in enumerate(lines)
        ]
        return element("g", None, hover(f"{self.categories[category]}: {', '.join(told)}"), *texts)

    def _grid(self, bottom: float) -> list[Markup]:
        scale = self.scale
        parts = []
        for tick, text in scale.labelled(TEXT_SIZE):
            x = scale.position(tick)
            style = "cvp-axis" if tick == 0 else "cvp-grid"
            parts.append(element("path", {"class": style, "d": path([(x, self.top - 3), (x, bottom)])}))
            parts.append(label(text, x, bottom + TEXT_SIZE * 1.2, "cvp-quiet", "middle"))
        return parts

    def _bar(self, low: float, high: float, y: float, colour: str, text: str) -> Markup:
        begin, end = sorted((self.scale.position(low), self.scale.position(high)))
        place: dict[str, Attribute] = {"x": begin, "y": y + 1, "width": max(end - begin, _THINNEST), "height": _BAR - 2}
        return element("rect", {"class": f"cvp-fill-{colour}", **place}, hover(text))

    def _group(self, category: int, y: float) -> list[Markup]:
        parts = []
        for (name, value), colour in zip(self._rows(category), self.colours):
            if value is None:
                parts.append(label("no value", self.scale.position(0) + 5, y + _BAR - 3.5, "cvp-quiet"))
            else:
                if value:
                    text = f"{self.categories[category]}, {name}: {value_text(value)}"
                    parts.append(self._bar(0, value, y, colour, text))
                parts.append(self._value(value, y))
            y += _BAR
        return parts

    def _value(self, value: float, y: float) -> Markup:
        x = self.scale.position(value)
        if value < 0:
            return label(value_text(value), x - 5, y + _BAR - 3.5, "", "end")
        return label(value_text(value), x + 5, y + _BAR - 3.5)

    def _stack(self, category: int, y: float) -> list[Markup]:
        parts = []
        before = 0.0
        for one, colour in zip(self.series, self.colours):
            value = one.values[category]
            if value:
                text = f"{self.categories[category]}, {one.name}: {value_text(value)}"
                parts.append(self._bar(before, before + value, y, colour, text))
                begin, edge = self.scale.position(before), self.scale.position(before + value)
                if edge - begin > 2 * _THINNEST:
                    parts.append(element("path", {"class": "cvp-seam", "d": path([(edge, y), (edge, y + _BAR)])}))
                before += value
        ((_, total),) = self._rows(category)
        if total is None:
            parts.append(label("no value", self.scale.position(0) + 5, y + _BAR - 3.5, "cvp-quiet"))
        else:
            parts.append(self._value(total, y))
        return parts


def _sample(colour: str) -> Sample:
    def draw(x: float, y: float) -> list[Markup]:
        return [element("rect", {"class": f"cvp-fill-{colour}", "x": x, "y": y - 6, "width": 14, "height": 12})]

    return draw
