"""Texts in pictures: how wide they are, how they are shortened and wrapped, how values are written.

==============  =============================================================
text_width      the room that a text needs, estimated from above
shortened       a text that is too long, with its middle left out
wrapped         a text as lines
value_text      a value for people: 1,200 and 0.987
==============  =============================================================

Nobody knows the reader's fonts, so widths are those of a wide sans-serif one.
"""

from __future__ import annotations

import math

__all__ = ["shortened", "text_width", "value_text", "wrapped"]

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
            total += 1.02  # Scripts whose letters are as wide as high; smaller ones only leave room.
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
        # From far away in large steps: an id of a million letters must not take a million tries.
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
    """Return a value as people write it: thousands separated, at most four significant digits behind the point.

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
