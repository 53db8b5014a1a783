"""What ClawVM's contract says about a trace, worked out from the trace alone: the referee of the property.

========  ==============================================
expect    what must come out of a replay of a trace
========  ==============================================

This is a second, much simpler account of the same rules. It shares data with the runtime (the table of page types, the
names) and no logic: nothing here calls the engine, the selector, the journal, the observer or the simulated harness. It
knows nothing of selection either, because what the contract promises does not depend on how spare tokens are spent.

Rules: ``docs/selection.md`` (minimum set), ``docs/journal.md`` (checks), ``docs/trace-format.md``
(order of a turn, accounting).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import (
    BoundaryEvent,
    Call,
    EventBefore,
    FlushEvent,
    Replacement,
    ToolDeclaration,
    Trace,
    Turn,
)
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, PinClass, Scope

__all__ = ["Access", "Expected", "ExpectedTurn", "Fate", "expect"]


# --- What must come out of a replay, as records: what the referee of the property says and the statements compare with.


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one staged update: `committed`, `rejected` with a code, or `staged` to the end, and the turn."""

    status: str
    turn: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One access, by a demand or a tool call: the level it needs and the tokens that this costs.

    ``shown`` is the level at which the model sees the page; None: whatever the last prompt held. ``repeated`` is true
    for a deterministic tool call that ran before.
    """

    page_id: str
    level: Level
    cost: int
    cold: bool
    repeated: bool
    shown: Level | None


class Content(NamedTuple):
    """A page when a prompt is assembled; ``floor`` is the lowest level that it has and that is good enough."""

    version: int
    costs: Mapping[Level, int]
    floor: Level


@dataclass(frozen=True, slots=True)
class ExpectedTurn:
    """One turn: what its prompt must hold, where everything fits, and what the pages are when it is assembled.

    ``floors`` and ``demands`` map page ids to the level they must have, ``floor_tokens`` and ``needed_tokens`` are the
    tokens of all floors, and of floors and demands together; ``contents`` maps each page id to what it is then.
    ``after_boundary`` is true where the prompt is the first one after a boundary; ``bootstrap`` names those pages.
    """

    number: int
    budget: int
    accesses: tuple[Access, ...]
    floors: Mapping[str, Level]
    demands: Mapping[str, Level]
    floor_tokens: int
    needed_tokens: int
    contents: Mapping[str, Content]
    after_boundary: bool
    bootstrap: frozenset[str]

    @property
    def missing_tokens(self) -> int:
        """By how much the minimum set exceeds the budget, in tokens."""
        return max(0, self.needed_tokens - self.budget)


@dataclass(frozen=True, slots=True)
class Expected:
    """Everything that must come out of a replay of one trace.

    ``fates`` are in the order of staging. ``harness`` counts what it does: boundaries that are named or fall due,
    flushes, threshold jumps, boundaries that meet updates; and calls that run again because their result was displaced.
    """

    turns: tuple[ExpectedTurn, ...]
    fates: tuple[Fate, ...]
    harness: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether the minimum set fits in every turn."""
        return not any(turn.missing_tokens for turn in self.turns)


# --- What may be committed and what a commit does, for the referee of the property: the rules of the journal once more.

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


# --- What ClawVM's contract says about a trace, worked out from the trace alone: the referee of the property.


def expect(trace: Trace) -> Expected:
    """Return what must come out of a replay of *trace* at its own budget, O(turns x pages).

    Raises TraceError for a page that is asked for before it is there.
    """
    book = ModelState(trace)
    turns = tuple(book.turn(turn) for turn in trace.turns)
    return Expected(turns, tuple(book.fates), book.harness)


@dataclass(slots=True)
class ModelState:
    """The state of one trace while it is read turn by turn."""

    trace: Trace
    pages: dict[str, Held] = field(default_factory=dict)
    tools: dict[str, ToolDeclaration] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    updates: list[Update] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    by_id: dict[str, int] = field(default_factory=dict)
    committed: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    history: dict[str, list[Update]] = field(default_factory=dict)
    demands: dict[str, Level] = field(default_factory=dict)
    accesses: list[Access] = field(default_factory=list)
    harness: Counter[str] = field(default_factory=Counter)
    transcript: int = 0
    flushed: bool = False
    starting: bool = True
    after_boundary: bool = False
    number: int = 0
    line: int = 0

    def turn(self, turn: Turn) -> ExpectedTurn:
        self.number, self.line = turn.number, turn.line
        self.demands, self.accesses = {}, []
        for item in self._in_order(turn):
            self._before(item)
        self.starting = False
        for call in turn.calls:
            self._call(call)
        for page_id, level in turn.demands:
            self._demand(page_id, level)
        for update in turn.updates:
            self._stage(update)
        self._grow(turn.transcript_tokens)
        return self._assembled()

    @staticmethod
    def _in_order(turn: Turn) -> list[EventBefore]:
        """Return the events_before as it happens: pages that precede the first turn's first boundary come first."""
        events_before = list(turn.events_before)
        if turn.number != 1:
            return events_before
        end = next((at for at, item in enumerate(events_before) if isinstance(item, BoundaryEvent)), len(events_before))
        return sorted(events_before[:end], key=lambda item: not isinstance(item, Page)) + events_before[end:]

    def _before(self, item: EventBefore) -> None:
        if isinstance(item, Page):
            self._enter(item)
            if self.starting and item.type is PageType.BOOTSTRAP_POLICY:
                # The harness has shown it to the model already.
                held = self.pages[item.id]
                held.first_access, held.shown = 0, held.level_for(held.minimum)
        elif isinstance(item, Replacement):
            self._held(item.page.id)
            self._enter(item.page)
        elif isinstance(item, ToolDeclaration):
            self.tools[item.signature] = item
        elif isinstance(item, FlushEvent):
            self.flushed = True  # Only a policy without write-back at the boundaries commits anything here.
        else:
            self.harness["named_" + item.boundary.value] += 1
            self._boundary(item.boundary)

    # --- pages and accesses ------------------------------------------------------------------------------

    def _held(self, page_id: str) -> Held:
        if page_id not in self.pages:
            raise TraceError(self.trace.source, self.line, f"page {page_id!r} is not there yet")
        return self.pages[page_id]

    def _enter(self, page: Page) -> None:
        old = self.pages.get(page.id)
        version = page.version if old is None else max(page.version, old.version + 1)
        held = Held(page, version, page.pin, page.minimum, page.active)
        self.pages[page.id] = held
        for update in self.history.get(page.id, ()):
            change(held, update)

    def _call(self, call: Call) -> None:
        declaration = self.tools[call.signature]
        known = self.results.get(call.signature)
        repeatable = known is not None and declaration.deterministic
        repeated = repeatable and call.signature not in self.superseded
        if repeatable and not repeated:
            self.harness["displaced_result"] += 1
        if known is None or not repeated:
            if declaration.page is None:
                return
            known = declaration.page.id
            self._keep(call.signature, declaration.page)
        self._demand(known, call.level, repeated)

    def _keep(self, signature: str, page: Page) -> None:
        """Take a result in; other calls whose result it displaces will run again."""
        old = self.pages.get(page.id)
        if old is not None and old.record.costs != page.costs:
            self.superseded.update(other for other, page_id in self.results.items() if page_id == page.id)
        self.superseded.discard(signature)
        self.results[signature] = page.id
        self._enter(page)

    def _demand(self, page_id: str, level: Level, repeated: bool = False) -> None:
        held = self._held(page_id)
        if held.first_access is None:
            held.first_access = self.number
        needed = held.level_for(level)
        cold = held.first_access == self.number
        self.accesses.append(Access(page_id, needed, held.record.costs[needed], cold, repeated, held.shown))
        self.demands[page_id] = max(needed, self.demands.get(page_id, Level.NONE))

    # --- the harness -------------------------------------------------------------------------------------

    def _grow(self, tokens: int) -> None:
        accounting = self.trace.header.accounting
        self.transcript += tokens
        if accounting is None:
            return
        if self.transcript > accounting.compaction_limit:
            self.harness["due_compaction"] += 1
            self.harness["threshold_jump"] += not self.flushed
            self._boundary(Boundary.COMPACTION)
        elif self.transcript > accounting.soft_threshold and not self.flushed:
            self.harness["due_flush"] += 1
            self.flushed = True

    def _boundary(self, boundary: Boundary) -> None:
        """Pass a boundary: every update that waits is committed or rejected, one after the other."""
        accounting = self.trace.header.accounting
        self.starting, self.after_boundary = False, True
        for held in self.pages.values():
            held.shown = Level.NONE
        self.flushed = False
        self.transcript = 0 if boundary is Boundary.RESET or accounting is None else accounting.summary_tokens
        waiting = self._waiting()
        self.harness["boundary_with_updates"] += bool(waiting)
        for entry in waiting:
            self.fates[entry] = self._fate(self.updates[entry])

    # --- updates -----------------------------------------------------------------------------------------

    def _waiting(self) -> list[int]:
        return [entry for entry, fate in enumerate(self.fates) if fate.status == "staged"]

    def _stage(self, update: Update) -> None:
        key = (update.page_id, update.field)
        if update.operation == "set_with_version" and update.base_version is None:
            # The trace leaves it open: the agent read what there would be once everything that waits is committed.
            ahead = sum((self.updates[entry].page_id, self.updates[entry].field) == key for entry in self._waiting())
            update = Update.from_record({**update.to_record(), "base_version": self._version(key) + ahead})
        if update.update_id is not None:
            same = self.by_id.get(update.update_id)
            if same is not None and self.fates[same].status != "rejected":
                return
            self.by_id[update.update_id] = len(self.fates)
        self.updates.append(update)
        self.fates.append(Fate("staged"))

    def _version(self, key: tuple[str, str]) -> int:
        return self.committed.get(key, (0, None))[0]

    def _fate(self, update: Update) -> Fate:
        held = self.pages.get(update.page_id)
        version, value = self.committed.get((update.page_id, update.field), (0, None))
        resolves = update.evidence_ref in self.pages or update.evidence_ref in self.results
        code = objection(update, held, version, value, resolves)
        if code or held is None:
            return Fate("rejected", self.number, code)
        self.committed[update.page_id, update.field] = (version + 1, kept(update, value))
        self.history.setdefault(update.page_id, []).append(update)
        change(held, update)
        return Fate("committed", self.number)

    # --- the prompt --------------------------------------------------------------------------------------

    def _assembled(self) -> ExpectedTurn:
        contents: dict[str, Content] = {}
        floors: dict[str, Level] = {}
        demands: dict[str, Level] = {}
        floor_tokens = needed_tokens = 0
        for page_id, held in self.pages.items():
            costs = held.record.costs
            floor = held.level_for(held.minimum)
            contents[page_id] = Content(held.version, costs, floor)
            is_hard = held.pin is PinClass.HARD
            if is_hard:
                floors[page_id] = floor
                floor_tokens += costs[floor]
            if page_id in self.demands:
                demands[page_id] = held.level_for(max(self.demands[page_id], floor))
                needed_tokens += costs[demands[page_id]]
            elif is_hard:
                needed_tokens += costs[floor]
            held.shown = None
        after_boundary, self.after_boundary = self.after_boundary, False
        return ExpectedTurn(
            number=self.number,
            budget=self.trace.header.budget,
            accesses=tuple(self.accesses),
            floors=floors,
            demands=demands,
            floor_tokens=floor_tokens,
            needed_tokens=needed_tokens,
            contents=contents,
            after_boundary=after_boundary,
            bootstrap=frozenset(
                page_id for page_id, held in self.pages.items() if held.record.type is PageType.BOOTSTRAP_POLICY
            ),
        )
