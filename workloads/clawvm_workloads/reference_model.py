"""A second account of the rules, worked out from a trace alone: the witness against engine, journal and fault observer.

It shares data with the runtime (records of a trace, the table of page types, policy rows) and no logic. It knows
nothing of selection: what a policy must hold, count and commit depends on its prompts, not on how they were chosen.

Rules: ``docs/fault-model.md``, ``docs/selection.md`` (minimum set), ``docs/journal.md`` (checks), and
``docs/trace-format.md`` (order of a turn, accounting).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import (
    Accounting,
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
from clawvm_runtime.policy import POLICIES, Policy, WritebackMode
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, PinClass, RecallOutcome, Scope

__all__ = ["Access", "Fate", "Levels", "Recall", "Shortfall", "Witness", "WitnessTurn", "witness"]

Levels = Mapping[str, Level]
"""The levels of pages, by id, that a prompt holds or must hold."""


@dataclass(slots=True)
class Access:
    """One access, by a demand or a tool call: the level that it needs, and its cost in tokens.

    ``resident`` is the level at which the model sees the page. ``cold``: this is the turn of its first access.
    ``repeated``: a deterministic call that ran before. ``ran_again``: a call that gave a page before and had to run
    again. ``seen_before``: the page was accessed in an earlier turn. ``resolvable``: the policy can serve it from the
    store. ``met``: the prompt assembled for this turn holds it at that level. ``pressed``: that prompt is under
    invariant pressure.
    """

    turn: int
    page_id: str
    level: Level
    cost: int
    resident: Level
    cold: bool
    repeated: bool
    ran_again: bool
    seen_before: bool
    resolvable: bool
    met: bool = False
    pressed: bool = False

    @property
    def verdict(self) -> str:
        """The verdict on the access: `cold`, `hit`, `page_in` or `fault`."""
        if self.cold:
            return "cold"
        if self.resident >= self.level:
            return "hit"
        return "page_in" if self.resolvable else "fault"


class Shortfall(NamedTuple):
    """A lost page below its minimum in one prompt.

    ``counted``: it is a fault in this prompt; ``first``: the loss begins here.
    """

    turn: int
    page_id: str
    bootstrap: bool
    pressed: bool
    counted: bool
    first: bool


class Recall(NamedTuple):
    """A memory query; ``reasoned``: the model learns the reason of an empty answer."""

    turn: int
    outcome: RecallOutcome
    reasoned: bool


class Fate(NamedTuple):
    """The fate of a staged update, and its turn: `committed`, `rejected` with a code, `lost`, or still `staged`."""

    status: str
    turn: int = 0
    code: str = ""


class Content(NamedTuple):
    """A page when a prompt is assembled; ``floor`` is the lowest level that it has and that is good enough."""

    version: int
    costs: Mapping[Level, int]
    floor: Level


@dataclass(frozen=True, slots=True)
class WitnessTurn:
    """One turn: its accesses, what its prompt must hold where everything fits, and the pages at its end.

    ``floor_tokens`` are those of all floors, ``needed_tokens`` those of floors and demands together, each page once.
    """

    number: int
    budget: int
    accesses: tuple[Access, ...]
    shortfalls: tuple[Shortfall, ...]
    floors: Levels
    demands: Levels
    floor_tokens: int
    needed_tokens: int
    contents: Mapping[str, Content]
    bootstrap: frozenset[str]

    @property
    def missing_tokens(self) -> int:
        """By how much the minimum set exceeds the budget, in tokens."""
        return max(0, self.needed_tokens - self.budget)

    @property
    def floors_due(self) -> Levels:
        """The floors that must hold: all if they fit together, otherwise those of the bootstrap pages if these fit."""
        if self.floor_tokens <= self.budget:
            return self.floors
        chosen = {page_id: level for page_id, level in self.floors.items() if page_id in self.bootstrap}
        tokens = sum(self.contents[page_id].costs[level] for page_id, level in chosen.items())
        return chosen if tokens <= self.budget else {}

    @property
    def demands_due(self) -> Levels:
        """The demands that must be met: all of them if the minimum set fits."""
        return {} if self.missing_tokens else self.demands


@dataclass(frozen=True, slots=True)
class Witness:
    """What a replay must show.

    ``updates`` and their ``fates`` are in the order of staging; ``destroyed`` has, for each page and boundary that lost
    updates, how many.
    """

    turns: tuple[WitnessTurn, ...]
    updates: tuple[Update, ...]
    fates: tuple[Fate, ...]
    recalls: tuple[Recall, ...]
    destroyed: tuple[int, ...]
    boundaries: int

    @property
    def accesses(self) -> Iterator[Access]:
        """All accesses in their order."""
        return chain.from_iterable(turn.accesses for turn in self.turns)

    @property
    def shortfalls(self) -> Iterator[Shortfall]:
        """All shortfalls in their order."""
        return chain.from_iterable(turn.shortfalls for turn in self.turns)

    @property
    def pressed_turns(self) -> list[WitnessTurn]:
        """The turns under invariant pressure."""
        return [turn for turn in self.turns if turn.missing_tokens]


def witness(
    trace: Trace,
    prompts: Sequence[Levels] = (),
    policy: Policy = POLICIES["clawvm"],
    budget: int | None = None,
) -> Witness:
    """Return what a replay of *trace* must show under *policy* if it assembled *prompts*, O(turns x pages).

    *prompts* are the levels in the prompt of each turn; without them nothing is ever resident. *budget* (tokens) is the
    trace's own by default. Raises TraceError for a page that is demanded before it is declared.
    """
    state = _State(trace, policy, trace.header.budget if budget is None else budget)
    for position, turn in enumerate(trace.turns):
        state.turn(turn, prompts[position] if position < len(prompts) else {})
    return Witness(
        turns=tuple(state.turns),
        updates=tuple(state.updates),
        fates=tuple(state.fates),
        recalls=tuple(state.recalls),
        destroyed=tuple(state.destroyed),
        boundaries=state.boundaries,
    )


# --- Pages and the updates that they accept.

_LEVELS = {level.label: level for level in Level}
_CONTROL = ("pin", "minimum", "status")
_WRITERS = {
    Scope.PROJECT: ("user", "agent", "harness"),
    Scope.SESSION: ("user", "agent", "harness", "subagent", "tool"),
}


@dataclass(slots=True)
class _Held:
    """A page as it is held now; ``record`` is as it was declared."""

    record: Page
    version: int
    pin: PinClass
    minimum: Level
    active: bool
    durable: bool
    destroyed: bool = False
    first_access: int | None = None
    resident: Level = Level.NONE

    def level_for(self, wanted: Level) -> Level:
        return min(level for level in self.record.costs if level >= wanted)

    @property
    def floor(self) -> Level:
        return self.level_for(self.minimum)

    @property
    def bootstrap(self) -> bool:
        return self.record.type is PageType.BOOTSTRAP_POLICY

    def change(self, name: str, value: Any) -> None:
        """Apply a committed field; a control value that makes no sense changes only the version."""
        self.version += 1
        if name not in _CONTROL or not _is_control_value(self.record.type, name, value):
            return
        if name == "pin":
            self.pin = PinClass.HARD if self.bootstrap else PinClass(value)
        elif name == "minimum":
            self.minimum = max(_LEVELS[value], self._type_floor())
        else:
            self.active = value == "active"
            self.minimum = self._type_floor()

    def _type_floor(self) -> Level:
        rule = TYPE_RULES[self.record.type]
        return rule.floor if self.active or rule.floor_when_done is None else rule.floor_when_done


def _is_control_value(page_type: PageType, name: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if name == "status":
        return page_type is PageType.PLAN and value in ("active", "done")
    if name == "pin":
        return value in ("hard", "soft", "none")
    return _LEVELS.get(value) in TYPE_RULES[page_type].levels


def _objection(update: Update, held: _Held | None, version: int, committed: Any, resolves: bool) -> str:
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
    if update.operation == "append" and isinstance(committed, dict):
        return True
    if update.operation == "merge" and not (
        isinstance(update.value, dict) and isinstance(committed, (dict, type(None)))
    ):
        return True
    if update.field not in _CONTROL:
        return False
    return update.operation in ("append", "merge") or not _is_control_value(page_type, update.field, update.value)


def _weakens(update: Update, held: _Held) -> bool:
    """Return whether a hard page could fall below its minimum afterwards, or any page's minimum be lowered."""
    if update.field == "minimum" and _LEVELS[update.value] < held.minimum:
        return True
    if held.pin is not PinClass.HARD:
        return False
    emptied = update.operation == "set_with_version" and update.value in (None, "", [], {})
    return emptied or (update.field == "pin" and update.value != "hard")


def _merged(update: Update, committed: Any) -> Any:
    """Return the value of a field after *update*."""
    if update.operation == "merge" and isinstance(update.value, dict):
        return {**(committed if isinstance(committed, dict) else {}), **update.value}
    if update.operation != "append" or committed is None:
        return update.value
    if isinstance(committed, str) and isinstance(update.value, str):
        return committed + update.value
    return [item for value in (committed, update.value) for item in (value if isinstance(value, list) else [value])]


# --- One trace, turn by turn.


@dataclass(slots=True)
class _State:
    trace: Trace
    policy: Policy
    budget: int
    turns: list[WitnessTurn] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    recalls: list[Recall] = field(default_factory=list)
    destroyed: list[int] = field(default_factory=list)
    boundaries: int = 0
    pages: dict[str, _Held] = field(default_factory=dict)
    tools: dict[str, ToolDeclaration] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    seen: dict[str, int] = field(default_factory=dict)
    updates: list[Update] = field(default_factory=list)
    by_id: dict[str, int] = field(default_factory=dict)
    committed: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    history: dict[str, list[Update]] = field(default_factory=dict)
    demands: dict[str, Level] = field(default_factory=dict)
    accesses: list[Access] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    blamed: dict[str, str] = field(default_factory=dict)
    transcript: int = 0
    flushed: bool = False
    starting: bool = True
    after_boundary: bool = False
    number: int = 0
    line: int = 0

    def turn(self, turn: Turn, prompt: Levels) -> None:
        self.number, self.line = turn.number, turn.line
        self.demands, self.accesses = {}, []
        for item in self._in_order(turn):
            self._before(item)
        self.starting = False
        for call in turn.calls:
            self._call(call)
        for page_id, level in turn.demands:
            self._access(page_id, level)
        for recall in turn.recalls:
            self.recalls.append(Recall(self.number, recall.outcome, self.policy.reasoned_recall))
        for update in turn.updates:
            self._stage(update)
        if self.trace.header.accounting is not None:
            self._grow(turn.transcript_tokens, self.trace.header.accounting)
        self._assemble(prompt)

    @staticmethod
    def _in_order(turn: Turn) -> list[EventBefore]:
        """Return the events before a turn as they happen: pages ahead of the first boundary start the first session."""
        events = list(turn.events_before)
        if turn.number != 1:
            return events
        end = next((at for at, item in enumerate(events) if isinstance(item, BoundaryEvent)), len(events))
        return sorted(events[:end], key=lambda item: not isinstance(item, Page)) + events[end:]

    def _before(self, item: EventBefore) -> None:
        if isinstance(item, Page):
            self._enter(item)
            if self.starting and item.type is PageType.BOOTSTRAP_POLICY:
                # The harness has shown it to the model already.
                held = self.pages[item.id]
                held.first_access, held.resident = 0, held.floor
        elif isinstance(item, Replacement):
            self._held(item.page.id)
            self._enter(item.page)
        elif isinstance(item, ToolDeclaration):
            self.tools[item.signature] = item
        elif isinstance(item, FlushEvent):
            self._flush()
        else:
            self._boundary(item.boundary)

    # --- pages and accesses

    def _held(self, page_id: str) -> _Held:
        if page_id not in self.pages:
            raise TraceError(self.trace.source, self.line, f"page {page_id!r} is not there yet")
        return self.pages[page_id]

    def _enter(self, page: Page) -> None:
        old = self.pages.get(page.id)
        version = page.version if old is None else max(page.version, old.version + 1)
        durable = page.provenance.kind in ("file", "harness")
        held = self.pages[page.id] = _Held(page, version, page.pin, page.minimum, page.active, durable)
        for update in self.history.get(page.id, ()):
            held.change(update.field, update.value)

    def _call(self, call: Call) -> None:
        declaration = self.tools[call.signature]
        page = declaration.page
        known = self.results.get(call.signature)
        if known is None or not declaration.deterministic or call.signature in self.superseded:
            if page is not None:
                self._keep(call.signature, page)
                self._access(page.id, call.level, ran_again=known is not None)
            return
        access = self._access(known, call.level, repeated=True)
        if access.verdict != "fault" or page is None:
            return
        if page.id != known or page.costs != self.pages[known].record.costs:
            # It had to run again, and the world has changed since.
            self._keep(call.signature, page)
            held = self.pages[page.id]
            held.first_access = self.number
            self.demands[page.id] = held.level_for(call.level)

    def _keep(self, signature: str, page: Page) -> None:
        """Take a result in; other calls whose result it displaces will run again."""
        old = self.pages.get(page.id)
        if old is not None and old.record.costs != page.costs:
            self.superseded.update(other for other, page_id in self.results.items() if page_id == page.id)
        self.superseded.discard(signature)
        self.results[signature] = page.id
        self._enter(page)

    def _access(self, page_id: str, level: Level, *, repeated: bool = False, ran_again: bool = False) -> Access:
        held = self._held(page_id)
        if held.first_access is None:
            held.first_access = self.number
        needed = held.level_for(level)
        access = Access(
            turn=self.number,
            page_id=page_id,
            level=needed,
            cost=held.record.costs[needed],
            resident=held.resident,
            cold=held.first_access == self.number,
            repeated=repeated,
            ran_again=ran_again,
            seen_before=self.seen.setdefault(page_id, self.number) < self.number,
            resolvable=self.policy.pointer_resolution and not held.destroyed,
        )
        held.destroyed = False  # The access retrieves what a reset destroyed.
        self.accesses.append(access)
        self.demands[page_id] = max(needed, self.demands.get(page_id, Level.NONE))
        return access

    # --- the harness

    def _grow(self, tokens: int, accounting: Accounting) -> None:
        self.transcript += tokens
        if self.transcript > accounting.compaction_limit:
            self._boundary(Boundary.COMPACTION)
        elif self.transcript > accounting.soft_threshold and not self.flushed:
            self._flush()

    def _flush(self) -> None:
        self.flushed = True
        if self.policy.writeback_at_compaction is WritebackMode.SOFT_THRESHOLD:
            self._write_back()

    def _boundary(self, boundary: Boundary) -> None:
        """Pass a boundary: waiting updates are written back, if the policy does that here, and lost otherwise."""
        policy, accounting = self.policy, self.trace.header.accounting
        reset = boundary is Boundary.RESET
        self.boundaries += 1
        self.starting, self.after_boundary, self.flushed = False, True, False
        self.transcript = 0 if reset or accounting is None else accounting.summary_tokens
        if (policy.writeback_at_reset if reset else policy.writeback_at_compaction) is WritebackMode.BOUNDARY:
            self._write_back()
        waiting = self._waiting()
        dirty = Counter(self.updates[entry].page_id for entry in waiting)
        self.destroyed.extend(count for page_id, count in dirty.items() if page_id in self.pages)
        for entry in waiting:
            self.fates[entry] = Fate("lost", self.number)
        for held in self.pages.values():
            held.resident = Level.NONE
            if reset and held.record.scope is Scope.SESSION and not held.durable:
                held.destroyed = True

    # --- updates

    def _waiting(self) -> list[int]:
        return [entry for entry, fate in enumerate(self.fates) if fate.status == "staged"]

    def _stage(self, update: Update) -> None:
        key = (update.page_id, update.field)
        if update.operation == "set_with_version" and update.base_version is None:
            # The trace leaves it open: the agent read the version that the waiting updates lead to.
            ahead = sum((self.updates[entry].page_id, self.updates[entry].field) == key for entry in self._waiting())
            version = self.committed.get(key, (0, None))[0] + ahead
            update = Update.from_record({**update.to_record(), "base_version": version})
        if update.update_id is not None:
            same = self.by_id.get(update.update_id)
            if same is not None and self.fates[same].status in ("staged", "committed"):
                return
            self.by_id[update.update_id] = len(self.fates)
        self.updates.append(update)
        self.fates.append(Fate("staged"))

    def _write_back(self) -> None:
        for entry in self._waiting():
            self.fates[entry] = self._fate(self.updates[entry])
        for held in self.pages.values():
            held.durable = held.durable or not held.destroyed

    def _fate(self, update: Update) -> Fate:
        key = (update.page_id, update.field)
        held = self.pages.get(update.page_id)
        version, value = self.committed.get(key, (0, None))
        if self.policy.validated_writeback:
            evidence = self.pages.get(update.evidence_ref)
            resolves = (evidence is not None and not evidence.destroyed) or update.evidence_ref in self.results
            code = _objection(update, None if held is None or held.destroyed else held, version, value, resolves)
            if code:
                return Fate("rejected", self.number, code)
        value = _merged(update, value)
        self.committed[key] = (version + 1, value)
        self.history.setdefault(update.page_id, []).append(update)
        if held is not None:
            held.change(update.field, value)
        return Fate("committed", self.number)

    # --- the prompt

    def _assemble(self, prompt: Levels) -> None:
        contents = {
            page_id: Content(held.version, held.record.costs, held.floor) for page_id, held in self.pages.items()
        }
        floors = {page_id: held.floor for page_id, held in self.pages.items() if held.pin is PinClass.HARD}
        demands = {
            page_id: self.pages[page_id].level_for(max(level, contents[page_id].floor))
            for page_id, level in self.demands.items()
        }
        needed = sum(contents[page_id].costs[level] for page_id, level in {**floors, **demands}.items())
        pressed = needed > self.budget
        for access in self.accesses:
            access.met = prompt.get(access.page_id, Level.NONE) >= access.level
            access.pressed = pressed
        self.turns.append(
            WitnessTurn(
                number=self.number,
                budget=self.budget,
                accesses=tuple(self.accesses),
                shortfalls=tuple(self._shortfalls(prompt, pressed)),
                floors=floors,
                demands=demands,
                floor_tokens=sum(contents[page_id].costs[level] for page_id, level in floors.items()),
                needed_tokens=needed,
                contents=contents,
                bootstrap=frozenset(page_id for page_id, held in self.pages.items() if held.bootstrap),
            )
        )
        self.after_boundary = False
        for page_id, held in self.pages.items():
            held.resident = prompt.get(page_id, Level.NONE)

    def _shortfalls(self, prompt: Levels, pressed: bool) -> Iterator[Shortfall]:
        """Yield the pages that are lost: from the first prompt that counts until one holds the page again."""
        blame = "pressure" if pressed else "policy"
        for page_id, held in self.pages.items():
            if prompt.get(page_id, Level.NONE) >= held.floor:
                self.lost.discard(page_id)
                self.blamed.pop(page_id, None)
                continue
            if held.bootstrap:
                counted = self.after_boundary
            else:
                # Lost under pressure and still lost when it would fit: from then on the policy is to blame.
                counted = held.pin is PinClass.HARD and self.blamed.get(page_id) not in (blame, "policy")
                if counted:
                    self.blamed[page_id] = blame
            first = counted and page_id not in self.lost
            if counted:
                self.lost.add(page_id)
            if page_id in self.lost:
                yield Shortfall(self.number, page_id, held.bootstrap, pressed, counted, first)
