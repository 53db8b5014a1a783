"""What of a session's counts may be written down: numbers, and words of harnesses that everybody knows.

=============  ================================================================================
shown_counts   the record of some counts without words that only this recording has
=============  ================================================================================

Types of entries that a reader does not know, kinds of compactions and versions are words of a program, as a rule; but
the program may be the user's own extension, and a recording may hold anything. An unknown type becomes a keyed
hash like any other name; a kind or version that is not of the usual form becomes "other".
"""

from __future__ import annotations

import re
from typing import Any

from clawvm_transcripts.counts import OTHER_KINDS, SessionCounts
from clawvm_transcripts.pseudonyms import Pseudonyms

__all__ = ["shown_counts"]

OTHER = "other"

COMPACTIONS = frozenset(
    {
        "auto",
        "compaction",
        "condensation",
        "extension",
        "manual",
        "replacement_history",
        "summary",
        "truncation",
        "unknown",
    }
)
RESETS = frozenset({"handoff", "reset", "session_meta_again", "start:clear", "start:fork", "start:resume"})

VERSION = re.compile(r"v?\d[\d.-]{0,30}(?:[.+-]?(?:a|b|rc|alpha|beta|canary|dev|next|nightly|preview)[\d.-]{0,20})?")


def shown_counts(counts: SessionCounts, names: Pseudonyms) -> dict[str, Any]:
    """Return the record of *counts* as it may be written down; everything as it is if *names* keep the text."""
    record = counts.to_record()
    if names.keep_text:
        return record
    resets: dict[str, int] = {}
    for kind, number in counts.reset_kinds.items():
        shown = kind if kind in RESETS else OTHER
        resets[shown] = resets.get(shown, 0) + number
    return {
        **record,
        "compaction_at": [
            {**entry, "kind": entry["kind"] if entry["kind"] in COMPACTIONS else OTHER}
            for entry in record["compaction_at"]
        ],
        "harness_version": counts.harness_version if _is_version(counts.harness_version) else OTHER,
        "reset_kinds": dict(sorted(resets.items())),
        "skipped": dict(
            sorted(
                (kind if kind == OTHER_KINDS else names.name("type", kind), number)
                for kind, number in counts.skipped.items()
            )
        ),
    }


def _is_version(version: str) -> bool:
    return not version or VERSION.fullmatch(version) is not None
