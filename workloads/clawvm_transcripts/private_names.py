"""The private map: which recordings, ids and types the names in the outputs stand for. For their owner alone.

It is in no manifest and no report, and only its owner may read the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.suite import document
from clawvm_transcripts.conversion_report import Conversion

__all__ = ["PRIVATE_NAMES", "names_shown", "private_record", "remove_private_names", "write_private_names"]

PRIVATE_NAMES = "private-names.json"
"""Name of the file, beside the report."""

FORMAT = "clawvm.private_names"
VERSION = 1

PARTIAL = f".{PRIVATE_NAMES}.partial"

PRIVATE = (
    "This file maps the names in the reports beside it to the paths and ids of your recordings. It is for you alone: "
    "do not share it, and do not commit it."
)

OWNER_ONLY = 0o600

ROWS_MOST = 50
"""Sessions that are shown on the terminal."""


def private_record(conversion: Conversion) -> dict[str, Any]:
    """Return the map as plain data, with absolute paths, in an order that only names decide."""
    refused: dict[str, list[str]] = {}
    for name, item in conversion.refused:
        refused.setdefault(name, []).append(os.path.abspath(item.path))
    unknown = {name: words for session in conversion.sessions for name, words in session.unknown.items()}
    return {
        "private": PRIVATE,
        "format": FORMAT,
        "version": VERSION,
        "sessions": {
            session.name: {
                "day": session.facts["started"],
                "ids": list(session.ids),
                "recordings": [os.path.abspath(path) for path in session.paths],
            }
            for session in conversion.sessions
        },
        "refused_recordings": {name: sorted(refused[name]) for name in sorted(refused)},
        "subagents": {
            item.name: {"recording": os.path.abspath(item.path), "session": item.session}
            for item in conversion.subagents
        },
        "other_files": sorted(os.path.abspath(item.path) for item in conversion.others),
        "unknown_types": dict(sorted(unknown.items())),
    }


def write_private_names(root: Path, record: dict[str, Any]) -> None:
    """Write the map into the folder *root*, in place of an earlier one; raises InputError with one line.

    Nobody else can read it, not even while it is written.
    """
    path, partial = root / PRIVATE_NAMES, root / PARTIAL
    try:
        partial.unlink(missing_ok=True)  # What an interrupted run left, or a link that somebody planted.
        try:
            with open(partial, "xb", opener=_owner_only) as file:
                file.write(document(record))
            os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)


def remove_private_names(root: Path) -> None:
    """Remove the map of an earlier run: its names may be those of other recordings. No manifest lists it."""
    for name in (PRIVATE_NAMES, PARTIAL):
        with suppress(OSError):
            (root / name).unlink()


def names_shown(record: dict[str, Any], order: Iterable[str] = ()) -> Iterator[str]:
    """Yield the lines of a table of name, day and path: sessions in *order* (else by name), then refused recordings."""
    sessions = record["sessions"]
    names = list(order) or list(sessions)
    rows = [(name, sessions[name]["day"], path) for name in names for path in sessions[name]["recordings"] or [""]]
    rows += [(name, "", path) for name, paths in record["refused_recordings"].items() for path in paths]
    width = max((len(name) for name, _, _ in rows[:ROWS_MOST]), default=0)
    for name, day, path in rows[:ROWS_MOST]:
        yield f"{name:{width}}  {day or '-':10}  {path or '-'}"
    if len(rows) > ROWS_MOST:
        yield f"and {len(rows) - ROWS_MOST:,} more in {PRIVATE_NAMES}"
