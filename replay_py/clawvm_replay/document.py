"""A report as data: blocks that are rendered as Markdown here and as HTML by ``clawvm_pictures.pages``.

Text is written in a small notation: `code`, **strong**, *emphasis*, [label](target), and a backslash before a sign that
is meant literally. Names and texts from outside go through ``plain`` or ``code``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Block",
    "Bullets",
    "Heading",
    "Number",
    "Paragraph",
    "Preformatted",
    "ReportVerdict",
    "Table",
    "Value",
    "cell_text",
    "code",
    "counted",
    "listed",
    "markdown",
    "plain",
]

_SIGNS = re.compile(r"([\\`*\[\]|<>&~]|(?<!\w)_|_(?!\w))")


class Number(str):
    """Words that are read as a number, such as ``143 / 126`` or ``5 of 5``: their column is right-aligned."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ReportVerdict:
    """A verdict in one word or two; ``good`` gives its colour, None the colour of neither good nor bad."""

    word: str
    good: bool | None = None


Value = str | float | bool | ReportVerdict | None
"""A cell of a table: integers get thousands separators, floats three digits, None is a dash, booleans yes or no."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; level 1 is the document's title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """An unordered list of one or more items."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Lines that are shown as they are: commands, and what they print."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each row has one value per column, and the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]] = field(default_factory=tuple)

    @classmethod
    def of(cls, columns: Iterable[str], rows: Iterable[Iterable[Value]]) -> Table:
        """Return a table of any iterables."""
        return cls(tuple(columns), tuple(map(tuple, rows)))

    def numeric(self) -> list[bool]:
        """Return which columns hold only numbers; the first is never one of them."""
        return [
            column > 0 and all(_is_number(row[column]) for row in self.rows) for column, _ in enumerate(self.columns)
        ]


Block = Heading | Paragraph | Bullets | Preformatted | Table


def _is_number(value: Value) -> bool:
    return (
        value is None or isinstance(value, Number) or (isinstance(value, (int, float)) and not isinstance(value, bool))
    )


def cell_text(value: Value) -> str:
    """Return a value as text in the notation of this module.

    >>> [cell_text(value) for value in (1234567, 0.5, None, True, ReportVerdict("reproduced", True))]
    ['1,234,567', '0.500', '-', 'yes', 'reproduced']
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return value.word if isinstance(value, ReportVerdict) else value


def plain(text: str) -> str:
    """Return *text* so that it is shown as it is, on one line.

    >>> plain("a*b|c")
    'a\\\\*b\\\\|c'
    """
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return *text* as code; a backtick, which would end it, becomes an apostrophe.

    >>> code("file `x`")
    "`file 'x'`"
    """
    return f"`{' '.join(text.split()).replace('`', chr(39)) or ' '}`"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "cell"), counted(1200, "access", "accesses")
    ('1 cell', '1,200 accesses')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(parts: Iterable[str], conjunction: str = "and") -> str:
    """Return the parts as a list in a sentence.

    >>> listed(("LRU", "ClawVM", "Oracle"))
    'LRU, ClawVM and Oracle'
    """
    *most, last = tuple(parts) or ("",)
    return f"{', '.join(most)} {conjunction} {last}" if most else last


def markdown(blocks: Iterable[Block]) -> str:
    """Return the blocks as a Markdown text that ends with a line break."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Bullets):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Preformatted):
        return "\n".join(f"    {line}".rstrip() for line in block.text.split("\n"))
    if isinstance(block, Table):
        rules = "|".join("---:" if numeric else "---" for numeric in block.numeric())
        rows = ("| " + " | ".join(map(_markdown_cell, row)) + " |" for row in block.rows)
        return "\n".join(("| " + " | ".join(block.columns) + " |", f"|{rules}|", *rows))
    return block.text


def _markdown_cell(value: Value) -> str:
    text = cell_text(value)
    if isinstance(value, ReportVerdict) and value.good is False:
        text = f"**{text}**"
    return re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", text)
