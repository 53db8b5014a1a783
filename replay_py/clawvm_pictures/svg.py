"""A small SVG writer, and how pictures look: every text is escaped, every number short and finite, the bytes ASCII.

No element has an id, so that any number of pictures can be in one HTML page.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NewType

__all__ = [
    "DARK",
    "DASHES",
    "LEVEL_COLOURS",
    "LIGHT",
    "MARKERS",
    "SERIES_COLOURS",
    "STYLESHEET",
    "Attribute",
    "Markup",
    "element",
    "escaped",
    "hover",
    "is_wide",
    "label",
    "lanes",
    "marker",
    "number",
    "path",
    "picture",
    "rect",
    "shortened",
    "stroke",
    "text_width",
    "value_text",
    "wrapped",
]


SERIES_COLOURS = tuple(f"series-{number}" for number in range(1, 7))
LEVEL_COLOURS = tuple(f"level-{number}" for number in range(1, 5))
_NAMES = ("paper", "ink", "muted", "grid", *SERIES_COLOURS, *LEVEL_COLOURS, "fault")

_LIGHT = (
    *("#FFFFFF", "#1B1F24", "#57606A", "#D8DEE4"),
    *("#000000", "#332288", "#CC6677", "#999933", "#882255", "#AA4499"),
    *("#4292C6", "#2171B5", "#08519C", "#08306B"),
    "#D55E00",
)
_DARK = (
    *("#15181D", "#E6EAEF", "#9AA4AF", "#343B44"),
    *("#FFFFFF", "#88CCEE", "#CC6677", "#999933", "#DDCC77", "#AA4499"),
    *("#2171B5", "#4292C6", "#9ECAE1", "#DEEBF7"),
    "#D55E00",
)
LIGHT: Mapping[str, str] = dict(zip(_NAMES, _LIGHT))
DARK: Mapping[str, str] = dict(zip(_NAMES, _DARK))
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "inverted", "plus", "post")
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "12 4", "2 2 6 2")

_RULES = """
.cvp{max-width:100%;height:auto}
.cvp{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
.cvp-wide{max-width:none}
.cvp text{fill:var(--cvp-ink);font-size:13px}
.cvp .cvp-heading{font-size:15px;font-weight:600}
.cvp .cvp-quiet{fill:var(--cvp-muted)}
.cvp .cvp-small{font-size:12px}
.cvp .cvp-strong{font-weight:600}
.cvp-clear{stroke:var(--cvp-paper);stroke-width:5;stroke-linejoin:round;paint-order:stroke}
.cvp-paper{fill:var(--cvp-paper)}
.cvp-grid{stroke:var(--cvp-grid);stroke-width:1;fill:none}
.cvp-axis{stroke:var(--cvp-muted);stroke-width:1;fill:none}
.cvp-line{fill:none;stroke-width:2.25;stroke-linejoin:round}
.cvp-halo{stroke:var(--cvp-paper);stroke-width:1.25;paint-order:stroke}
.cvp-band{fill:var(--cvp-muted);fill-opacity:.22;stroke:none}
.cvp-edge{fill:none;stroke:var(--cvp-muted);stroke-width:1.25;stroke-dasharray:1 2}
.cvp-mark{fill:none;stroke:var(--cvp-ink);stroke-width:1.5;stroke-dasharray:5 3}
.cvp-fill-grid{fill:var(--cvp-grid)}
.cvp-seam{stroke:var(--cvp-paper);stroke-width:1.5}
.cvp-hit{fill:transparent}
.cvp-fault{fill:var(--cvp-fault);stroke:var(--cvp-paper);stroke-width:1.25;paint-order:stroke;pointer-events:none}
.cvp-hollow{fill:var(--cvp-paper);stroke:var(--cvp-fault);stroke-width:1.5}
.cvp-pagein{fill:var(--cvp-paper);stroke:var(--cvp-ink);stroke-width:1;pointer-events:none}
.cvp-base{fill:none;stroke:var(--cvp-muted);stroke-opacity:.5}
.cvp-destroyed{fill:none;stroke:var(--cvp-ink);stroke-width:1.25;stroke-dasharray:1.5 4}
.cvp-reset{fill:none;stroke:var(--cvp-ink);stroke-width:2}
.cvp-compaction{fill:none;stroke:var(--cvp-ink);stroke-width:1.5;stroke-dasharray:4 3}
.cvp-pressure{fill:none;stroke:var(--cvp-fault);stroke-width:1.5}
.cvp-flush{fill:none;stroke:var(--cvp-ink);stroke-width:2}
"""


def _properties(colours: Mapping[str, str]) -> str:
    return ".cvp{" + ";".join(f"--cvp-{name}:{colour}" for name, colour in colours.items()) + "}"


STYLESHEET = "\n".join(
    (
        _properties(LIGHT),
        # Only on screens: print is on white paper.
        "@media screen and (prefers-color-scheme:dark){" + _properties(DARK) + "}",
        _RULES.strip(),
        *(f".cvp-fill-{name}{{fill:var(--cvp-{name})}}" for name in (*SERIES_COLOURS, *LEVEL_COLOURS)),
        *(f".cvp-stroke-{name}{{stroke:var(--cvp-{name})}}" for name in SERIES_COLOURS),
        "",
    )
)


Markup = NewType("Markup", str)
Attribute = str | int | float | None

# What XML 1.0 cannot hold in any form: control characters but tab and line ends, surrogates, two non-characters.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CLASS, _WIDE_CLASS = "cvp", "cvp cvp-wide"


def escaped(text: str) -> Markup:
    """Return *text* as markup in ASCII; what XML cannot hold becomes the replacement character."""
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", text)).encode("ascii", "xmlcharrefreplace").decode("ascii"))


def number(value: float) -> str:
    """Return a coordinate with at most two decimals; raises ValueError for one that is not finite."""
    if not math.isfinite(value):
        raise ValueError(f"a picture has no place for {value!r}")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, attributes: Mapping[str, Attribute] | None = None, *children: Markup) -> Markup:
    """Return one element; attributes that are None are left out."""
    parts = [name]
    for key, value in (attributes or {}).items():
        if value is not None:
            shown = escaped(value) if isinstance(value, str) else number(value)
            parts.append(f'{key}="{shown}"')
    head = " ".join(parts)
    if not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{''.join(children)}</{name}>")


def hover(text: str) -> Markup:
    """Return a hover text, which must be the first child of its element."""
    return element("title", None, escaped(text))


def label(text: str, x: float, y: float, style: str = "", anchor: str | None = None, **more: Attribute) -> Markup:
    """Return a text at a baseline position; *style* names classes of the stylesheet, *anchor* is middle or end."""
    attributes: dict[str, Attribute] = {"x": x, "y": y, "class": style or None, "text-anchor": anchor, **more}
    return element("text", attributes, escaped(text))


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Return the ``d`` attribute of a path through *points*."""
    steps = [f"{number(x)} {number(y)}" for x, y in points]
    return ("M" + "L".join(steps) + ("Z" if closed else "")) if steps else ""


def stroke(style: str, points: Iterable[tuple[float, float]], *children: Markup) -> Markup:
    """Return a path through *points* with classes of the stylesheet."""
    return element("path", {"class": style, "d": path(points)}, *children)


def rect(style: str, x: float, y: float, width: float, height: float, *children: Markup) -> Markup:
    """Return a rectangle with its upper left corner at (x, y) and classes of the stylesheet."""
    return element("rect", {"class": style, "x": x, "y": y, "width": width, "height": height}, *children)


def picture(
    width: float, height: float, title: str, description: str, body: Iterable[Markup], *, wide: bool = False
) -> str:
    """Return a whole SVG document, *width* times *height* units (pixels at its natural size).

    It shrinks with what contains it; a *wide* one keeps its size, and what contains it has to scroll.
    """
    attributes: dict[str, Attribute] = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": _WIDE_CLASS if wide else _CLASS,
        "viewBox": f"0 0 {number(width)} {number(height)}",
        "width": width,
        "height": height,
        "role": "img",
        "aria-label": title,
    }
    return element(
        "svg",
        attributes,
        hover(title),
        element("desc", None, escaped(description)),
        element("style", None, Markup(STYLESHEET)),
        element("rect", {"class": "cvp-paper", "width": width, "height": height}),
        *body,
    )


def is_wide(svg: str) -> bool:
    """Return whether a document that ``picture`` made is a wide one."""
    return f'class="{_WIDE_CLASS}"' in svg.partition(">")[0]


_NARROW = frozenset("ijl.,:;'|!()[]I ftr-")
_BROAD = frozenset("mwMW@%")
_ELLIPSIS = "\u2026"


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of the width of *text* at a font size, both in units of the picture."""
    total = 0.0
    for character in text:
        if character in _NARROW:
            total += 0.4
        elif character in _BROAD:
            total += 0.98
        elif ord(character) >= 0x1100 and character != _ELLIPSIS:
            total += 1.02  # Scripts whose letters are as wide as high; smaller ones only leave space.
        elif character.isupper():
            total += 0.7
        else:
            total += 0.61
    return total * size * (1.08 if bold else 1.0)


def shortened(text: str, width: float, size: float) -> str:
    """Return *text*, or its beginning and end around an ellipsis if it is wider than *width*.

    The end stays because ids often differ there.
    """
    if text_width(text, size) <= width:
        return text
    kept = len(text) - 1
    while kept > 2:
        front = (kept + 1) // 2
        candidate = text[:front] + _ELLIPSIS + text[len(text) - (kept - front) :]
        if text_width(candidate, size) <= width:
            return candidate
        # From far away in large steps: a long id must not take a try per letter.
        kept = min(kept - 1, int(kept * max(0.5, width / text_width(candidate, size))) + 1)
    return text[:1] + _ELLIPSIS


def wrapped(text: str, width: float, size: float, *, bold: bool = False, most: int | None = None) -> list[str]:
    """Return *text* as lines of at most *width*; what is wider, or left after *most* lines, loses its middle."""
    size *= 1.08 if bold else 1.0
    lines: list[str] = []
    for word in text.split():
        candidate = f"{lines[-1]} {word}" if lines else word
        if lines and (len(lines) == most or text_width(candidate, size) <= width):
            lines[-1] = candidate
        else:
            lines.append(word)
    return [shortened(line, width, size) for line in lines]


def value_text(value: float) -> str:
    """Return a value for readers: thousands separated, at most four decimals.

    Raises ValueError for a value that is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"a picture has no place for {value!r}")
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    decimals = 1 if size >= 1000 else 2 if size >= 100 else 3 if size >= 1 else 4
    text = f"{value:,.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


_Points = tuple[tuple[float, float], ...]

# Around 0, 0, within -1 to 1, y downwards; all of about the same area.
_SHAPES: Mapping[str, _Points] = {
    "square": ((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),
    "triangle": ((0, -1.05), (1.05, 0.8), (-1.05, 0.8)),
    "inverted": ((0, 1.05), (1.05, -0.8), (-1.05, -0.8)),
    "diamond": ((0, -1.2), (1.1, 0), (0, 1.2), (-1.1, 0)),
    "bar": ((-1.1, -0.4), (1.1, -0.4), (1.1, 0.4), (-1.1, 0.4)),
    "post": ((-0.4, -1.1), (0.4, -1.1), (0.4, 1.1), (-0.4, 1.1)),
    "plus": (
        *((-0.35, -1.1), (0.35, -1.1), (0.35, -0.35), (1.1, -0.35), (1.1, 0.35), (0.35, 0.35)),
        *((0.35, 1.1), (-0.35, 1.1), (-0.35, 0.35), (-1.1, 0.35), (-1.1, -0.35), (-0.35, -0.35)),
    ),
    "cross": (
        *((-1, -0.55), (-0.55, -1), (0, -0.45), (0.55, -1), (1, -0.55), (0.45, 0)),
        *((1, 0.55), (0.55, 1), (0, 0.45), (-0.55, 1), (-1, 0.55), (-0.45, 0)),
    ),
    "hourglass": ((-1, -1), (1, -1), (0.3, 0), (1, 1), (-1, 1), (-0.3, 0)),
}


def outline(shape: str, x: float, y: float, radius: float) -> str:
    """Return the ``d`` attribute of a shape around a point."""
    if shape == "circle":
        r = number(radius)
        turn = f"a{r} {r} 0 1 0 "
        across = number(2 * radius)
        return f"M{number(x - radius)} {number(y)}{turn}{across} 0{turn}-{across} 0Z"
    return path(((x + dx * radius, y + dy * radius) for dx, dy in _SHAPES[shape]), closed=True)


def marker(shape: str, x: float, y: float, radius: float, style: str, text: str = "") -> Markup:
    """Return a shape with classes of the stylesheet and, unless it is empty, a text on hover."""
    children = (hover(text),) if text else ()
    return element("path", {"class": style, "d": outline(shape, x, y, radius)}, *children)


def lanes(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Return a lane (from 0) for each interval so that intervals in one lane do not overlap, O(n x lanes).

    From left to right each takes the lowest lane that is free, so there are as few lanes as there can be.
    """
    ends: list[float] = []
    chosen = [0] * len(intervals)
    for index in sorted(range(len(intervals)), key=lambda index: (intervals[index], index)):
        low, high = intervals[index]
        lane = next((lane for lane, end in enumerate(ends) if end <= low), len(ends))
        if lane == len(ends):
            ends.append(high)
        ends[lane] = high
        chosen[index] = lane
    return chosen
