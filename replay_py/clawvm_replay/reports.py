"""Markdown tables as strings, for callers that do not build ``clawvm_replay.document`` blocks yet; to be deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clawvm_replay import gates
from clawvm_replay.document import markdown

__all__ = ["gates_table", "table", "with_thousands"]

_VALUE = r"(?:[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:[.][0-9]+)?|-)(?:\s?%)?"
_RANGE = rf"{_VALUE}(?:\s?(?:/|to|of|\u00b1|[+]-)\s?{_VALUE})*"
_NUMERIC = re.compile(
    rf"[*`]*(?:(?:at least|at most|about)\s)?{_RANGE}(?:\s(?:tokens?|turns?|cells?|seconds?))?"
    rf"(?:\s[(]{_RANGE}[)])?[*`]*"
)
_LONG = re.compile(r"(?<![\w.,])[0-9]{4,}(?![\w,]|[.][0-9])")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; columns of numbers stand right-aligned, columns with words left.

    A number may have a sign, thousands separators, a unit, a tolerance or a bound (``at least 600``); ``34 to 36``,
    ``143 / 126`` and ``5 of 5`` are numbers too, ``5 of 5 held`` is words.
    """
    content = [tuple(row) for row in rows]
    rules = ["---"]
    for column in range(1, len(header)):
        rules.append("---" if any(_is_words(row[column]) for row in content) else "---:")
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join(rules) + "|"]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in content]
    return "\n".join(lines) + "\n"


def _is_words(value: object) -> bool:
    """Whether a cell holds words: yes, no, and any text that is not a number from its first to its last letter."""
    if isinstance(value, str):
        return value != "" and _NUMERIC.fullmatch(value) is None
    return isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|")


def with_thousands(text: str) -> str:
    """Return *text* with separators in its whole numbers of four or more digits: ``1626`` becomes ``1,626``."""
    return _LONG.sub(lambda match: f"{int(match[0]):,}", text)


def gates_table(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the table of gates as Markdown; ``clawvm_replay.gates.gates_table`` returns it as a block."""
    return markdown([gates.gates_table(records)])
