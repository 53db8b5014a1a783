"""The fault observer: six explicit faults, hits, page-ins, alerts and pressure, counted by rule and never twice.

One access gives one verdict. Physical insufficiency (minimum set plus demands above the whole budget) is pressure: what
is missing then is counted apart and never among the policy-controllable faults.

Source: paper, fault model; ``docs/fault-model.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.page_table import PageEntry, PageTable
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, RecallOutcome

__all__ = ["FaultObserver", "Judgement", "Tally", "Verdict", "judge", "thrash_index"]


class Verdict(str, Enum):
    """What one access to a page turned out to be."""

    COLD = "cold"
    HIT = "hit"
    PAGE_IN = "page_in"
    FAULT = "fault"


@dataclass(slots=True)
class Judgement:
    """A verdict on one access: the page, the level it needs, the level found, the tokens it brought in."""

    page_id: str
    level: Level
    resident: Level
    verdict: Verdict
    signature: str | None = None
    page_in_tokens: int = 0
    fault: FaultKind | None = None

    @property
    def served_from_store(self) -> bool:
        """Whether the content was there or could be resolved, so that nothing has to be retrieved again."""
        return self.verdict in (Verdict.HIT, Verdict.PAGE_IN)


def judge(
    *, resident: Level, needed: Level, first_access: bool, resolvable: bool, repeated_signature: bool
) -> tuple[Verdict, FaultKind | None]:
    """Return the verdict on an access to a page that is at *resident* and is needed at *needed*.

    >>> verdict, fault = judge(
    ...     resident=Level.POINTER, needed=Level.FULL, first_access=False, resolvable=False, repeated_signature=False
    ... )
    >>> fault.value
    'refetch'
    """
    if first_access:
        return Verdict.COLD, None
    if resident >= needed:
        return Verdict.HIT, None
    if resolvable:
        return Verdict.PAGE_IN, None
    return Verdict.FAULT, _fault_of_access(repeated_signature)


def _fault_of_access(repeated_signature: bool) -> FaultKind:
    return FaultKind.DUPLICATE_TOOL if repeated_signature else FaultKind.REFETCH


def thrash_index(faults: int, alerts: int, hits: int) -> float:
    """Return (faults + alerts) / (hits + 1)."""
    return (faults + alerts) / (hits + 1)


@dataclass(slots=True)
class Tally:
    """The counts of a run.

    ``pressure_faults`` are what physical insufficiency caused, apart from ``faults``. ``below_floor_turns`` counts the
    prompts in which a hard page or an active plan was below its minimum level, ``plan_below_floor_turns`` those in
    which an active plan was; most of them are no fault of the six kinds.

    >>> tally = Tally(accesses=3, cold_accesses=1, hits=2, page_ins=1, page_in_tokens=40)
    >>> tally.explicit_faults, tally.warm_accesses
    (0, 2)
    """

    faults: dict[FaultKind, int] = field(default_factory=lambda: dict.fromkeys(FaultKind, 0))
    pressure_faults: dict[FaultKind, int] = field(default_factory=lambda: dict.fromkeys(FaultKind, 0))
    accesses: int = 0
    cold_accesses: int = 0
    hits: int = 0
    page_ins: int = 0
    page_in_tokens: int = 0
    alerts: int = 0
    unmet_demands: int = 0
    pressure_turns: int = 0
    pressure_tokens: int = 0
    below_floor_turns: int = 0
    plan_below_floor_turns: int = 0
    warm_accesses_at_level: Counter[Level] = field(default_factory=Counter)

    @property
    def explicit_faults(self) -> int:
        """Policy-controllable faults of all kinds."""
        return sum(self.faults.values())

    @property
    def warm_accesses(self) -> int:
        """Accesses that were not cold."""
        return self.accesses - self.cold_accesses

    def _check(self) -> None:
        """Assert that the counts add up."""
        retrieved_again = sum(
            faults[kind]
            for faults in (self.faults, self.pressure_faults)
            for kind in (FaultKind.REFETCH, FaultKind.DUPLICATE_TOOL)
        )
        # A cold access that stays unmet is both cold and a fault, hence an inequality.
        assert self.accesses <= self.cold_accesses + self.hits + retrieved_again, self
        assert self.page_ins <= self.hits, self
        assert sum(self.warm_accesses_at_level.values()) == self.warm_accesses, self
        assert min(self.page_in_tokens, self.alerts, self.unmet_demands, self.pressure_tokens) >= 0, self


class FaultObserver:
    """Judges every access, resolves it against the prompt that follows, checks floors, and keeps the tally.

    It changes nothing in the page table but each entry's first access and ``loss_cause``.
    """

    def __init__(self, table: PageTable, trace: DecisionTrace | None) -> None:
        self.tally = Tally()
        self._table = table
        self._trace = trace
        self._open: list[Judgement] = []
        self._bootstrap_check_due = False

    def _emit(self, event: str, turn: int, **fields: Any) -> None:
        if self._trace is not None:
            self._trace.emit(event, turn, **fields)

    def fault(self, kind: FaultKind, turn: int, *, controllable: bool = True, **details: Any) -> None:
        """Count one fault and write it to the trace."""
        (self.tally.faults if controllable else self.tally.pressure_faults)[kind] += 1
        self._emit("fault", turn, fault=kind.value, family=kind.family, controllable=controllable, **details)

    def access(
        self, entry: PageEntry, level: Level, turn: int, *, resolution: bool, signature: str | None = None
    ) -> Judgement:
        """Judge an access against the residency that the last prompt left.

        *signature* is given for a tool call whose canonical signature ran before. A cold access stays cold for the rest
        of its turn: the model could not have had the page earlier.
        """
        needed = entry.page.level_at_least(level)
        if entry.first_turn is None:
            entry.first_turn = turn
        verdict, kind = judge(
            resident=entry.resident,
            needed=needed,
            first_access=entry.first_turn == turn,
            resolvable=resolution and not entry.destroyed,
            repeated_signature=signature is not None,
        )
        judgement = Judgement(entry.page.id, needed, entry.resident, verdict, signature, fault=kind)
        tally = self.tally
        tally.accesses += 1
        if verdict is Verdict.COLD:
            tally.cold_accesses += 1
        else:
            tally.warm_accesses_at_level[entry.resident] += 1
        if verdict is Verdict.PAGE_IN:
            judgement.page_in_tokens = entry.page.costs[needed]
        self._emit(
            "demand",
            turn,
            page=entry.page.id,
            level=needed.label,
            resident=entry.resident.label,
            verdict=verdict.value,
            signature=signature,
            page_in_tokens=judgement.page_in_tokens,
        )
        if signature is not None and judgement.served_from_store:
            tally.alerts += 1
            self._emit("alert", turn, page=entry.page.id, signature=signature)
        self._open.append(judgement)
        return judgement

    def recall(self, query: str, outcome: RecallOutcome, turn: int, *, reasoned: bool) -> bool:
        """Observe a recall and return whether the model learns the reason of an empty answer.

        An empty answer to a recall that the backend denied or failed is the `silent_recall` fault.
        """
        silent = outcome in (RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR) and not reasoned
        self._emit("recall", turn, query=query, outcome=outcome.value, reasoned=reasoned)
        if silent:
            self.fault(FaultKind.SILENT_RECALL, turn, query=query, outcome=outcome.value)
        return not silent

    def destroyed(self, page_id: str, updates: list[int], boundary: str, turn: int) -> None:
        """Count the `flush_miss` of a page whose staged *updates* (journal sequences) a boundary destroyed."""
        self.fault(FaultKind.FLUSH_MISS, turn, page=page_id, boundary=boundary, updates=updates)

    def boundary_passed(self) -> None:
        """Note that the next prompt is the first one after a destructive boundary."""
        self._bootstrap_check_due = True

    def resolve_accesses(self, levels: Mapping[str, Level], needed_tokens: int, budget: int, turn: int) -> None:
        """Judge the assembled prompt: unmet demands, floors, bootstrap after a boundary, pressure.

        *needed_tokens* is the minimum set with this turn's demands, *budget* the whole budget, both in tokens.
        """
        missing = max(0, needed_tokens - budget)
        if missing:
            self.tally.pressure_turns += 1
            self.tally.pressure_tokens += missing
            self._emit("pressure", turn, needed=needed_tokens, budget=budget, missing=missing)
        self._resolve_demands(levels, turn, under_pressure=bool(missing))
        self._check_floors(levels, turn, under_pressure=bool(missing))
        self._bootstrap_check_due = False

    def _resolve_demands(self, levels: Mapping[str, Level], turn: int, *, under_pressure: bool) -> None:
        for judgement in self._open:
            unmet = levels.get(judgement.page_id, Level.NONE) < judgement.level
            self.tally.unmet_demands += unmet
            if judgement.fault is not None or unmet:
                # Counted only here: whether this turn is under pressure shows when its prompt is assembled. If there is
                # no pressure, the policy left out what it had space for.
                cause = "left_out_of_prompt" if judgement.fault is None else "retrieved_again"
                kind = judgement.fault or _fault_of_access(judgement.signature is not None)
                self.fault(kind, turn, controllable=not under_pressure, page=judgement.page_id, cause=cause)
            elif judgement.served_from_store:
                self.tally.hits += 1
                if judgement.verdict is Verdict.PAGE_IN:
                    self.tally.page_ins += 1
                    self.tally.page_in_tokens += judgement.page_in_tokens
        self._open.clear()

    def _check_floors(self, levels: Mapping[str, Level], turn: int, *, under_pressure: bool) -> None:
        blame = "pressure" if under_pressure else "policy"
        below_floor = plan_below_floor = False
        for entry in self._table:
            page = entry.page
            resident = levels.get(page.id, Level.NONE)
            below = resident < page.minimum
            plan_below_floor |= below and page.type is PageType.PLAN and page.active
            below_floor |= below and page.is_hard
            kind = None
            if not below:
                # Back in a prompt, hard or not: the next loss is a new one.
                entry.loss_cause = ""
            elif page.is_bootstrap:
                if self._bootstrap_check_due:
                    kind = FaultKind.POST_COMPACTION_BOOTSTRAP
            elif page.is_hard and entry.loss_cause not in (blame, "policy"):
                # Lost under pressure and still lost when there is space: from then on the policy is to blame.
                entry.loss_cause = blame
                kind = FaultKind.PINNED_INVARIANT_MISS
            if kind is not None:
                floor = {"minimum": page.minimum.label, "resident": resident.label}
                self.fault(kind, turn, controllable=not under_pressure, page=page.id, **floor)
        self.tally.below_floor_turns += below_floor or plan_below_floor
        self.tally.plan_below_floor_turns += plan_below_floor
