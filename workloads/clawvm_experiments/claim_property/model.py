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
from dataclasses import dataclass, field
from typing import Any

from clawvm_experiments.claim_property.expected import Access, Content, Expected, ExpectedTurn, Fate
from clawvm_experiments.claim_property.model_updates import Held, change, kept, objection
from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import (
    BoundaryEvent,
    Call,
    FlushEvent,
    Prelude,
    Replacement,
    ToolDeclaration,
    Trace,
    Turn,
)
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, PageType, PinClass

__all__ = ["expect"]


def expect(trace: Trace) -> Expected:
    """Return what must come out of a replay of *trace* at its own budget, O(turns x pages).

    Raises TraceError for a page that is asked for before it is there.
    """
    book = _Book(trace)
    turns = tuple(book.turn(turn) for turn in trace.turns)
    return Expected(turns, tuple(book.fates), book.harness)


@dataclass(slots=True)
class _Book:
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
    def _in_order(turn: Turn) -> list[Prelude]:
        """Return the prelude as it happens: pages that precede the first turn's first boundary come first."""
        prelude = list(turn.prelude)
        if turn.number != 1:
            return prelude
        end = next((at for at, item in enumerate(prelude) if isinstance(item, BoundaryEvent)), len(prelude))
        return sorted(prelude[:end], key=lambda item: not isinstance(item, Page)) + prelude[end:]

    def _before(self, item: Prelude) -> None:
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
