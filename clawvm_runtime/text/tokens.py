"""Token counts from the text alone: the default estimate, and the shape of a counter that replaces it.

The estimate cuts a text into runs of one class of characters and each run into pieces:

======================================  ====================================
Class                                   One token for
======================================  ====================================
ASCII letters                           up to 6
digits                                  up to 3
ASCII punctuation                       up to 2
Chinese, Japanese and Korean letters    each
every other character above ASCII       up to 2
spaces                                  up to 16; a single space is free
line ends, tabs                         up to 4
other control characters                each
======================================  ====================================

The sizes were fitted to tool results and messages of real agents under a public vocabulary of 200,000 tokens: the
estimate is 1.2 times its count (5th to 95th percentile of texts: 0.9 to 1.4). It errs on the high side on purpose,
because a budget that is overrun costs more than one that is not quite used.

Joining two texts merges at most one pair of runs, so count(a + b) <= count(a) + count(b) + 1.
"""

from __future__ import annotations

import re
from typing import Protocol

__all__ = ["TokenCounter", "estimate_tokens"]


class TokenCounter(Protocol):
    """Maps a text to its size in tokens: a whole number of at least 0, always the same for the same text."""

    def __call__(self, text: str, /) -> int:
        """Return the size of *text* in tokens."""


# Explicit ranges instead of \w and \s: those change with the Unicode version of the interpreter.
_TOKEN = re.compile(
    r"[A-Za-z]{1,6}"
    r"|[0-9]{1,3}"
    r"|[!-/:-@\[-`{-~]{1,2}"
    r"| {2,16}"
    r"|[\r\n]{1,4}"
    r"|\t{1,4}"
    r"|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"
    r"|[\u0080-\u303f\u3100-\u33ff\u4dc0-\u4dff\ua000-\uabff\ud7b0-\U0010ffff]{1,2}"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


# The same classes by the first byte of a character in UTF-8, one bit each. A character that counts alone has no bit;
# _UNCLEAR are the first bytes that characters of two classes share.
_LETTER, _DIGIT, _MARK, _SPACE, _LINE_END, _TAB, _OTHER, _UNCLEAR = (bytes([1 << bit]) for bit in range(8))
_ALONE = b"\0"
_PIECES = (_LETTER * 6, _DIGIT * 3, _MARK * 2, _LINE_END * 4, _TAB * 4, _OTHER * 2)
_CONTINUATION = bytes(range(0x80, 0xC0))


def _class_of_byte(byte: int) -> bytes:
    if byte >= 0x80:
        if byte in (0xE3, 0xE4, 0xEA, 0xED):
            return _UNCLEAR
        return _ALONE if 0xE5 <= byte <= 0xEC else _OTHER
    character = chr(byte)
    for name, members in ((_SPACE, " "), (_LINE_END, "\r\n"), (_TAB, "\t")):
        if character in members:
            return name
    if character.isalnum():
        return _LETTER if character.isalpha() else _DIGIT
    return _MARK if character.isprintable() else _ALONE


_CLASSES = b"".join(map(_class_of_byte, range(256)))


def estimate_tokens(text: str, /) -> int:
    """Return an estimate of the size of *text* in tokens, in time linear in its length; "" has none.

    >>> estimate_tokens("Never commit to main.")
    5
    """
    classes = text.encode("utf-8", "surrogatepass").translate(_CLASSES, _CONTINUATION)
    if _UNCLEAR in classes:
        return _TOKEN.subn("", text)[1]
    # Arithmetic on all characters at once: 60 MB/s where _TOKEN alone, which gives the same number, has 15 MB/s.
    # A run of n characters that counts k of them as one token has 1 + (n - 1) // k: the first character has one token,
    # and the ones that follow a character of their own class have one for each k.
    bits = int.from_bytes(classes, "little")
    following_bits = bits & bits << 8
    following = following_bits.to_bytes(len(classes), "little")
    tokens = len(classes) - following_bits.bit_count() + sum(map(following.count, _PIECES))
    # The first space of a run is free: its other spaces are counted as a run of their own.
    tokens -= classes.count(_SPACE) - following.count(_SPACE)
    second = b"\0" + _SPACE
    tokens += following.count(second)
    if _SPACE * 16 in following:
        tokens += following.replace(second, b"\0\0").count(_SPACE * 16)
    return tokens
