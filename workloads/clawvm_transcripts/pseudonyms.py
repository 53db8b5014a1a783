"""Names that reveal nothing: what a recording calls a file, a command or a session becomes a keyed hash.

A plain hash of a short path could be guessed by trying; the key is made from the beginning of the recording itself, so
that only who has the recording could try. The same input gives the same names, in any directory, under any file name.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["Pseudonyms", "digest_of", "hidden_name", "number_of"]

DIGITS = 12
"""Hexadecimal digits of a name: 2^48 names, so that of 500 sessions of a million pages one meets a collision."""


def digest_of(text: str) -> bytes:
    """Return a digest of *text*, of 16 bytes, for comparisons only."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def number_of(name: str) -> int:
    """Return a digest of an id below 2^64: two of a million ids have the same in 1 of 30 million cases."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


_SHOWN = re.compile(rf"(\S+) .*#([0-9a-f]{{{DIGITS}}})", re.DOTALL)


def hidden_name(name: str) -> str:
    """Return the name that takes the place of *name* where no words are kept.

    >>> hidden_name("file src/lamp.py #0123456789ab"), hidden_name("file-0123456789ab")
    ('file-0123456789ab', 'file-0123456789ab')
    """
    shown = _SHOWN.fullmatch(name)
    return name if shown is None else f"{shown.group(1)}-{shown.group(2)}"


class Pseudonyms:
    """Names for words, by a *key* of up to 64 bytes; with *keep_text* the names hold the words too."""

    def __init__(self, key: bytes, *, keep_text: bool = False) -> None:
        self._key = key
        self._keep_text = keep_text

    @property
    def keep_text(self) -> bool:
        """Whether names hold words of the recording."""
        return self._keep_text

    def name(self, kind: str, words: str) -> str:
        """Return the name of *words* among the names of this *kind*."""
        code = hashlib.blake2b(
            f"{kind}\0{words}".encode("utf-8", "surrogatepass"), key=self._key, digest_size=DIGITS // 2
        ).hexdigest()
        if not self._keep_text:
            return f"{kind}-{code}"
        shown = "".join(letter if letter.isprintable() else " " for letter in words[:120])
        return f"{kind} {' '.join(shown.split())} #{code}"
