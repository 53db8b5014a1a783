"""Bookkeeping of updates for whoever checks them: which were lost, and which replaced a value that nobody had seen.

It follows what was proposed and the order of stages, boundaries and commits. It shares no rule with the journal or with
validation, so that a mistake there cannot hide itself. What counts as seen: ``docs/journal.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from clawvm_runtime.decision_trace import Event
from clawvm_runtime.updates import Update

__all__ = ["committed_entries", "lost_entries", "replaced_unseen"]

_KEEPS_WHAT_WAS_THERE = ("append", "merge")


def committed_entries(events: Iterable[Event]) -> list[int]:
    """Return the journal entries that a decision trace shows as committed, in the order of their commits."""
    return [entry for event in events if event["event"] == "commit" for entry in event["entries"]]


def lost_entries(events: Iterable[Event]) -> list[int]:
    """Return the journal entries that a boundary destroyed, in order: staged before it, and no fate by the next prompt.

    Whether the journal reports them as lost does not matter.
    """
    waiting: set[int] = set()
    exposed: set[int] = set()
    lost: set[int] = set()
    for event in events:
        kind = event["event"]
        if kind == "stage":
            waiting.add(event["entry"])
        elif kind in ("commit", "reject"):
            waiting.difference_update(event["entries"] if kind == "commit" else [event["entry"]])
        elif kind == "boundary":
            exposed |= waiting
        elif kind == "assemble":
            lost |= exposed & waiting
            waiting -= exposed
            exposed = set()
    return sorted(lost | (exposed & waiting))


def replaced_unseen(proposed: Mapping[int, Update], committed: Iterable[int]) -> tuple[int, ...]:
    """Return the committed entries that replaced a committed value which their writer had not seen, O(committed).

    *proposed* are the updates as they were proposed, by journal entry; *committed* are entries in the order of their
    commits. A field is at version n after n commits; who sets it has seen only the version that the update names.
    Raises KeyError for a committed entry that nobody proposed.
    """
    version: Counter[tuple[str, str]] = Counter()
    replaced = []
    for entry in committed:
        update = proposed[entry]
        field = update.page_id, update.field
        seen = update.base_version if update.operation == "set_with_version" else None
        if version[field] > 0 and update.operation not in _KEEPS_WHAT_WAS_THERE and seen != version[field]:
            replaced.append(entry)
        version[field] += 1
    return tuple(replaced)
