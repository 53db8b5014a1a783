"""Compare two sweeps cell by cell.

=============  ====================================================================
differences    one line for every field of every cell that is not the same in both
=============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["differences"]


def differences(first: dict[str, Any], second: dict[str, Any]) -> Iterator[str]:
    """Yield what differs between two summaries: cells that only one has, then fields that differ, in order."""
    ours, theirs = _by_cell(first), _by_cell(second)
    for cell in ours:
        if cell not in theirs:
            yield f"{_name(cell)}: only in the first"
    for cell in theirs:
        if cell not in ours:
            yield f"{_name(cell)}: only in the second"
    for cell, row in ours.items():
        other = theirs.get(cell)
        if other is None:
            continue
        for field in sorted(row.keys() | other.keys()):
            if row.get(field) != other.get(field):
                yield f"{_name(cell)}: {field}: {row.get(field)} -> {other.get(field)}{_change(row, other, field)}"


_Key = tuple[str, int, str]


def _by_cell(summary: dict[str, Any]) -> dict[_Key, dict[str, Any]]:
    return {(row["workload"], row["budget"], row["policy"]): row for row in summary["rows"]}


def _name(cell: _Key) -> str:
    workload, budget, policy = cell
    return f"{workload} at {budget}, {policy}"


def _change(row: dict[str, Any], other: dict[str, Any], field: str) -> str:
    before, after = row.get(field), other.get(field)
    if isinstance(before, bool) or not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return ""
    return f" ({after - before:+g})"
