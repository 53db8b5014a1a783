"""A small SVG writer: every text is escaped, every number is short and finite, the bytes are plain ASCII.

============  ======================================================================
Markup        text that is safe to stand in XML as it is
escaped       any text as markup
number        a coordinate as text: at most two decimals, never ``-0``, ``nan`` or ``inf``
element       one element with attributes and children
label         a text element
hover         the ``<title>`` that browsers show on hover and screen readers read
path          a path through points
picture       a whole SVG document
is_wide       whether a picture keeps its size, so that it has to scroll
============  ======================================================================

No element has an id, so that any number of pictures can stand in one HTML page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NewType

from clawvm_pictures.style import STYLESHEET

__all__ = ["Attribute", "Markup", "element", "escaped", "hover", "is_wide", "label", "number", "path", "picture"]

Markup = NewType("Markup", str)
Attribute = str | int | float | None

# What XML 1.0 cannot hold in any form: control characters but tab and line ends, surrogates, two non-characters.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CLASS, _WIDE_CLASS = "cvp", "cvp cvp-wide"
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", ord("'"): "&#39;"}


def escaped(text: str) -> Markup:
    """Return *text* as markup in ASCII; what XML cannot hold becomes the replacement character."""
    clean = _FORBIDDEN.sub("\ufffd", text).translate(_ESCAPES)
    return Markup(clean.encode("ascii", "xmlcharrefreplace").decode("ascii"))


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
    """Return the title of the element that it is put into as the first child."""
    return element("title", None, escaped(text))


def label(text: str, x: float, y: float, style: str = "", anchor: str | None = None, **more: Attribute) -> Markup:
    """Return a text at a baseline position; *style* names classes of the stylesheet, *anchor* is middle or end."""
    attributes: dict[str, Attribute] = {"x": x, "y": y, "class": style or None, "text-anchor": anchor, **more}
    return element("text", attributes, escaped(text))


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Return the ``d`` attribute of a path through *points*."""
    steps = [f"{number(x)} {number(y)}" for x, y in points]
    return ("M" + "L".join(steps) + ("Z" if closed else "")) if steps else ""


def picture(
    width: float, height: float, title: str, description: str, body: Iterable[Markup], *, wide: bool = False
) -> str:
    """Return a whole SVG document, *width* times *height* units (pixels at its natural size).

    It shrinks with what it stands in; a *wide* one keeps its size, and what it stands in has to scroll.
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
