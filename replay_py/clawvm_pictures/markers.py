"""Markers: small shapes that tell series and faults apart where colour cannot.

=============  ==========================================================
outline        the outline of a shape around a point
marker         the shape as an element
=============  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from clawvm_pictures.svg import Markup, element, hover, number, path

__all__ = ["marker", "outline"]

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
