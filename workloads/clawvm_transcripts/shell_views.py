"""Programs that show files or lines of them: which paths, which lines; and the words of a command without its options.

==============  =====================================================================
View            the paths and the lines that a program shows
VIEWERS         the programs by name: cat, head, tail, nl, less, more, bat
sed_view        the same for sed
operands        the words that are neither options nor values of options
after_options   the words from the first operand on
==============  =====================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

__all__ = ["VIEWERS", "View", "Words", "after_options", "operands", "sed_view"]

Words = Sequence[str | None]
"""Words of a command; None stands for one that cannot be known."""

_COUNT = re.compile(r"(?:-n|-|--lines=)(\d{1,9})$")
_FROM = re.compile(r"(?:-n|--lines=)\+(\d{1,9})$")
_LINES = re.compile(r"(\d{1,9})(?:,(?:(\d{1,9})|(\$)|\+(\d{1,9})))?p;?$")
_SED_QUIET = re.compile(r"-[Ersuz]*n|--quiet$|--silent$")
_SED_SCRIPT = re.compile(r"-[nErsuz]*[ef]$|--expression$|--file$")


@dataclass(frozen=True, slots=True)
class View:
    """What a program shows: of each of *paths* the lines *first* to *last*, or some unknown part of them (*partly*)."""

    paths: list[str | None]
    first: int | None = None
    last: int | None = None
    partly: bool = False

    @property
    def whole(self) -> bool:
        """Whether all lines are shown."""
        return self.first is None and not self.partly


def operands(words: Words, valued: Collection[str] = ()) -> list[str | None]:
    """Return the operands in *words*; an option in *valued* has the next word as its value."""
    found: list[str | None] = []
    options = value = False
    for word in words:
        if value:
            value = False
        elif options or word is None or not word.startswith("-") or word == "-":
            found.append(word)
        elif word == "--":
            options = True
        else:
            value = word in valued
    return found


def after_options(words: Words, valued: Collection[str] = ()) -> Words:
    """Return *words* from the first operand on."""
    value = False
    for at, word in enumerate(words):
        if value:
            value = False
        elif word is None or not word.startswith("-"):
            return words[at:]
        else:
            value = word in valued
    return ()


def _cat(words: Words) -> View:
    return View(operands(words))


def _bat(words: Words) -> View:
    partly = any(word is not None and word.startswith(("-r", "--line-range")) for word in words)
    return View(operands(words, ("-r", "--line-range", "-l", "--language")), partly=partly)


def _nl(words: Words) -> View:
    return View(operands(words, ("-b", "-d", "-f", "-h", "-i", "-l", "-n", "-s", "-v", "-w")))


_END_VALUED = ("-n", "-c", "--lines", "--bytes")


def _count(words: Words, pattern: re.Pattern[str]) -> int | None:
    """Return the number of lines that the options of head or tail tell by *pattern*."""
    for at, word in enumerate(words):
        if word is None:
            continue
        if word in ("-n", "--lines"):
            following = words[at + 1] if at + 1 < len(words) else None
            found = pattern.match(f"-n{following}")
            return int(found.group(1)) if found is not None else None
        if (found := pattern.match(word)) is not None:
            return int(found.group(1))
    return None


def _head(words: Words) -> View:
    paths = operands(words, _END_VALUED)
    lines = _count(words, _COUNT)
    if lines is None:
        if any(word is not None and word.startswith(("-n", "-c", "--lines", "--bytes")) for word in words):
            return View(paths, partly=True)
        lines = 10
    return View(paths, 1, lines)


def _tail(words: Words) -> View:
    paths = operands(words, _END_VALUED)
    first = _count(words, _FROM)
    if first is None and words and words[0] is not None and (old := _FROM.match(f"-n{words[0]}")) is not None:
        first, paths = int(old.group(1)), paths[1:]
    return View(paths, partly=True) if first is None else View(paths, max(first, 1))


VIEWERS: dict[str, Callable[[Words], View]] = {
    "bat": _bat,
    "batcat": _bat,
    "cat": _cat,
    "head": _head,
    "less": _cat,
    "more": _cat,
    "nl": _nl,
    "tail": _tail,
}
"""The programs that show files, by name."""


def sed_view(words: Words) -> View:
    """Return what sed with the arguments *words* shows: the lines of a script like ``10,20p``, else an unknown part."""
    quiet = any(word is not None and _SED_QUIET.match(word) is not None for word in words)
    script: str | None = None
    named = value = options = False
    paths: list[str | None] = []
    for word in words:
        if value:
            value, script = False, word
        elif word is not None and not options and word.startswith("-") and word != "-":
            options = word == "--"
            if _SED_SCRIPT.match(word) is not None:
                value = named = True
            elif word == "-l":
                value = True
            elif word.startswith(("--expression=", "--file=")):
                named = True
        else:
            paths.append(word)
    if not named and paths:
        # In BSD's ``-i ''`` the empty suffix stands before the script.
        skipped = 1 if paths[0] == "" and len(paths) > 1 else 0
        script, paths = paths[skipped], paths[skipped + 1 :]
    lines = _LINES.match(script.replace(" ", "")) if quiet and script is not None else None
    if lines is None:
        return View(paths, partly=True)
    first = int(lines.group(1))
    if lines.group(3):
        return View(paths, first)
    if lines.group(4):
        return View(paths, first, first + int(lines.group(4)))
    return View(paths, first, max(int(lines.group(2) or first), first))
