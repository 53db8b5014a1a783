"""Token counts from the text alone: a pluggable counter and the default estimate.

================  ==============================================================================
TokenCounter      anything that maps a text to a whole number of tokens
estimate_tokens   the default: no package, no vocabulary, the same number on every machine
================  ==============================================================================

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

The sizes were fitted to tool results and messages of real agents under a public vocabulary of
200,000 tokens: the estimate is 1.2 times its count (5th to 95th percentile of texts: 0.9 to 1.4). It errs on
the high side on purpose, because a budget that is overrun costs more than one that is not quite used.

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


def estimate_tokens(text: str, /) -> int:
    """Return an estimate of the size of *text* in tokens, in time linear in its length; "" has none.

    >>> estimate_tokens("Never commit to main.")
    5
    >>> estimate_tokens("")
    0
    """
    # subn counts the pieces without keeping a string for each of them, as findall would.
    return _TOKEN.subn("", text)[1]
