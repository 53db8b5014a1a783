"""The fault observer: six explicit faults, hits, page-ins, alerts and pressure, counted by rule and never twice.

===============  ========================================================================================
Verdict          what one access turned out to be: cold, hit, page-in or fault
Judgement        a verdict with what it was judged on
judge            the verdict on one access, a pure function
Tally            the counts of a run
FaultObserver    judges accesses, settles them against the assembled prompt, checks floors; keeps the tally
===============  ========================================================================================

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
from clawvm_runtime.vocabulary import FAULT_FAMILY, FaultKind, Level, PageType, RecallOutcome

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
    """Return the verdict on an access to a page that stands at *resident* and is needed at *needed*."""
    if first_access:
        return Verdict.COLD, None
    if resident >= needed:
        return Verdict.HIT, None
    if resolvable:
        return Verdict.PAGE_IN, None
    return Verdict.FAULT, FaultKind.DUPLICATE_TOOL if repeated_signature else FaultKind.REFETCH


def thrash_index(faults: int, alerts: int, hits: int) -> float:
    """Return (faults + alerts) / (hits + 1)."""
    return (faults + alerts) / (hits + 1)


def _by_kind() -> dict[FaultKind, int]:
    return dict.fromkeys(FaultKind, 0)


@dataclass(slots=True)
class Tally:
    """The counts of a run.

    ``pressure_faults`` are what physical insufficiency caused, apart from ``faults``. ``below_floor_turns`` counts the
    prompts in which a hard page or an active plan was below its minimum level, ``plan_below_floor_turns`` those in
    which an active plan was; most of them are no fault of the six kinds.
    """

    faults: dict[FaultKind, int] = field(default_factory=_by_kind)
    pressure_faults: dict[FaultKind, int] = field(default_factory=_by_kind)
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
    """Judges every access, settles it against the prompt that follows, checks floors, and keeps the tally.

    It changes nothing in the page table but each entry's first access and ``loss_cause``.
    """

    def __init__(self, table: PageTable, trace: DecisionTrace | None) -> None:
        self.tally = Tally()
        self._table = table
        self._trace = trace
        self._open: list[Judgement] = []
        self._bootstrap_check_due = False

    def fault(self, kind: FaultKind, turn: int, *, controllable: bool = True, **details: Any) -> None:
        """Count one fault and write it to the trace."""
        (self.tally.faults if controllable else self.tally.pressure_faults)[kind] += 1
        if self._trace is not None:
            self._trace.emit(
                "fault", turn, fault=kind.value, family=FAULT_FAMILY[kind], controllable=controllable, **details
            )

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
        if self._trace is not None:
            self._trace.emit(
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
            if self._trace is not None:
                self._trace.emit("alert", turn, page=entry.page.id, signature=signature)
        self._open.append(judgement)
        return judgement

    def recall(self, query: str, outcome: RecallOutcome, turn: int, *, reasoned: bool) -> bool:
        """Observe a look-up and return whether the model learns the reason of an empty answer.

        An empty answer to a look-up that the backend denied or failed is the `silent_recall` fault.
        """
        silent = outcome in (RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR) and not reasoned
        if self._trace is not None:
            self._trace.emit("recall", turn, query=query, outcome=outcome.value, reasoned=reasoned)
        if silent:
            self.fault(FaultKind.SILENT_RECALL, turn, query=query, outcome=outcome.value)
        return not silent

    def destroyed(self, page_id: str, updates: list[int], boundary: str, turn: int) -> None:
        """Count the `flush_miss` of a page whose staged *updates* (journal sequences) a boundary destroyed."""
        self.fault(FaultKind.FLUSH_MISS, turn, page=page_id, boundary=boundary, updates=updates)

    def boundary_passed(self) -> None:
        """Note that the next prompt is the first one after a destructive boundary."""
        self._bootstrap_check_due = True

    def settle(self, levels: Mapping[str, Level], needed_tokens: int, budget: int, turn: int) -> None:
        """Judge the assembled prompt: unmet demands, floors, bootstrap after a boundary, pressure.

        *needed_tokens* is the minimum set with this turn's demands, *budget* the whole budget, both in tokens.
        """
        missing = max(0, needed_tokens - budget)
        if missing:
            self.tally.pressure_turns += 1
            self.tally.pressure_tokens += missing
            if self._trace is not None:
                self._trace.emit("pressure", turn, needed=needed_tokens, budget=budget, missing=missing)
        self._settle_accesses(levels, turn, under_pressure=bool(missing))
        self._check_floors(levels, turn, under_pressure=bool(missing))
        self._bootstrap_check_due = False

    def _settle_accesses(self, levels: Mapping[str, Level], turn: int, *, under_pressure: bool) -> None:
        for judgement in self._open:
            unmet = levels.get(judgement.page_id, Level.NONE) < judgement.level
            self.tally.unmet_demands += unmet
            if judgement.fault is not None:
                # Counted only here: whether this turn is under pressure shows when its prompt is assembled.
                self.fault(
                    judgement.fault,
                    turn,
                    controllable=not under_pressure,
                    page=judgement.page_id,
                    cause="retrieved_again",
                )
            elif unmet:
                # Where everything required would have fitted, the policy left out what this turn asked for.
                kind = FaultKind.REFETCH if judgement.signature is None else FaultKind.DUPLICATE_TOOL
                self.fault(
                    kind, turn, controllable=not under_pressure, page=judgement.page_id, cause="left_out_of_prompt"
                )
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
            if page.type is PageType.PLAN and page.active and levels.get(page.id, Level.NONE) < page.minimum:
                plan_below_floor = True
            if not page.is_hard:  # Bootstrap pages always are.
                if entry.loss_cause and levels.get(page.id, Level.NONE) >= page.minimum:
                    # Back in a prompt while it is not hard: once it is hard again, the next loss is a new one.
                    entry.loss_cause = ""
                continue
            resident = levels.get(page.id, Level.NONE)
            below = resident < page.minimum
            below_floor |= below
            if page.is_bootstrap:
                if below and self._bootstrap_check_due:
                    self._floor_fault(FaultKind.POST_COMPACTION_BOOTSTRAP, entry, resident, turn, not under_pressure)
            elif not below:
                entry.loss_cause = ""
            elif entry.loss_cause not in (blame, "policy"):
                # Lost under pressure and still lost when there is room: from then on the policy is to blame.
                entry.loss_cause = blame
                self._floor_fault(FaultKind.PINNED_INVARIANT_MISS, entry, resident, turn, not under_pressure)
        self.tally.below_floor_turns += below_floor or plan_below_floor
        self.tally.plan_below_floor_turns += plan_below_floor

    def _floor_fault(self, kind: FaultKind, entry: PageEntry, resident: Level, turn: int, controllable: bool) -> None:
        self.fault(
            kind,
            turn,
            controllable=controllable,
            page=entry.page.id,
            minimum=entry.page.minimum.label,
            resident=resident.label,
        )
