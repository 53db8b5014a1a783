"""What may be committed and what a commit does, for the referee of the property: the rules of the journal once more.

=============  ==========================================================
Held           a page as it is held now
objection      the code with which an update has to be rejected
change         what a committed update does to its page
kept           what a field holds after a commit, as far as later checks ask
=============  ==========================================================

Written from ``docs/journal.md``; shares no logic with ``clawvm_runtime.updates``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass, Scope

__all__ = ["Held", "change", "kept", "objection"]

_LEVELS = {level.label: level for level in Level}
_CONTROL = ("pin", "minimum", "status")
_WRITERS = {
    Scope.PROJECT: ("user", "agent", "harness"),
    Scope.SESSION: ("user", "agent", "harness", "subagent", "tool"),
}


@dataclass(slots=True)
class Held:
    """A page as it is held now; ``record`` is as it was declared.

    ``first_access`` is the turn of it. ``shown`` is the level at which the model sees it now; None: whatever the last
    prompt held.
    """

    record: Page
    version: int
    pin: PinClass
    minimum: Level
    active: bool
    first_access: int | None = None
    shown: Level | None = Level.NONE

    def level_for(self, wanted: Level) -> Level:
        """Return the lowest level that the page has and that is at least *wanted*."""
        return min(level for level in self.record.costs if level >= wanted)


def objection(update: Update, held: Held | None, version: int, committed: Any, resolves: bool) -> str:
    """Return the code with which *update* has to be rejected, or nothing where it has to be committed.

    *version* and *committed* are what its field holds, *resolves* whether its evidence is there.
    """
    if held is None or _malformed(update, held.record.type, committed):
        return "SCHEMA_INVALID"
    if not resolves:
        return "PROVENANCE_DANGLING"
    if update.scope != held.record.scope.value or update.principal not in _WRITERS[held.record.scope]:
        return "SCOPE_DENIED"
    if update.operation not in ("append", "merge") and (
        update.operation != "set_with_version" or update.base_version != version
    ):
        return "DESTRUCTIVE_OP"
    return "POLICY_VIOLATION" if _weakens(update, held) else ""


def _malformed(update: Update, page_type: PageType, committed: Any) -> bool:
    words = (update.page_id, update.field, update.operation, update.scope, update.evidence_ref, update.principal)
    if not all(words):
        return True
    value = update.value
    if update.operation == "append" and isinstance(committed, dict):
        return True
    if update.operation == "merge" and not (isinstance(value, dict) and isinstance(committed, (dict, type(None)))):
        return True
    if update.field not in _CONTROL:
        return False
    if update.operation in ("append", "merge") or not isinstance(value, str):
        return True
    if update.field == "status":
        return page_type is not PageType.PLAN or value not in ("active", "done")
    if update.field == "pin":
        return value not in ("hard", "soft", "none")
    return _LEVELS.get(value) not in TYPE_RULES[page_type].levels


def _weakens(update: Update, held: Held) -> bool:
    """Return whether a hard page could fall below its minimum afterwards, or any page's minimum be lowered."""
    if update.field == "minimum" and _LEVELS[update.value] < held.minimum:
        return True
    if held.pin is not PinClass.HARD:
        return False
    emptied = update.operation == "set_with_version" and update.value in (None, "", [], {})
    return emptied or (update.field == "pin" and update.value != "hard")


def change(held: Held, update: Update) -> None:
    """Apply a committed update to how a page is held."""
    held.version += 1
    if update.field == "pin":
        held.pin = PinClass(update.value)
    elif update.field == "minimum":
        held.minimum = max(_LEVELS[update.value], _floor(held))
    elif update.field == "status":
        held.active = update.value == "active"
        held.minimum = _floor(held)


def _floor(held: Held) -> Level:
    rule = TYPE_RULES[held.record.type]
    return rule.floor if held.active or rule.floor_when_done is None else rule.floor_when_done


def kept(update: Update, committed: Any) -> Any:
    """Return what a field holds after *update*, as far as later checks ask: nothing, an object, or something else."""
    return committed if update.operation == "append" and committed is not None else update.value
