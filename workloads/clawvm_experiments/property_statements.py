"""The claim as statements about one run: what a replay showed against what the reference model says it must show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.vocabulary import FaultKind, Level
from clawvm_workloads.reference_model import Fate, Levels, Witness, WitnessTurn

__all__ = ["CheckedRun", "Property", "Violation", "levels_of", "violations_of"]


class Property(str, Enum):
    """The statements, in the order in which they are checked."""

    ZERO_FAULTS = "zero_faults"
    RIGHT_VERDICTS = "right_verdicts"
    PRESSURE_REPORTED = "pressure_reported"
    WITHIN_BUDGET = "within_budget"
    NOTHING_LOST = "nothing_lost"
    SAME_BYTES = "same_bytes"
    INVARIANTS_HOLD = "invariants_hold"


@dataclass(frozen=True, slots=True)
class Violation:
    """One statement that does not hold; ``turn`` is 0 where it is about the whole run."""

    property: Property
    turn: int
    detail: str


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """What one replay showed; ``decisions`` are the events as canonical JSON lines."""

    budget: int
    prompts: tuple[AssembledPrompt, ...]
    events: tuple[Event, ...]
    decisions: bytes
    metrics: CellMetrics

    def events_of(self, kind: str) -> list[Event]:
        """Return the events of one kind, in their order."""
        return [event for event in self.events if event["event"] == kind]


def levels_of(prompt: AssembledPrompt) -> dict[str, Level]:
    """Return what a prompt holds."""
    return {block.page_id: block.level for block in prompt.blocks}


def violations_of(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Yield what is wrong with *run*, O(events); *expected* must know its prompts."""
    if len(run.prompts) != len(expected.turns):
        yield Violation(Property.INVARIANTS_HOLD, 0, f"{len(expected.turns)} turns, {len(run.prompts)} prompts")
        return
    yield from _zero_faults(expected, run)
    yield from _right_verdicts(expected, run)
    yield from _pressure_reported(expected, run)
    yield from _pressure_faults(expected, run)
    yield from _within_budget(expected, run)
    yield from _nothing_lost(expected, run)


def _below(required: Levels, held: Levels) -> list[str]:
    return [page_id for page_id, level in required.items() if held.get(page_id, Level.NONE) < level]


def _zero_faults(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """No policy-controllable fault is counted, and what would be one does not occur either."""
    kind = Property.ZERO_FAULTS
    counted = {name: getattr(run.metrics, name) for name in FAULT_FIELDS if getattr(run.metrics, name)}
    faults = [event for event in run.events_of("fault") if event["controllable"]]
    if counted or faults:
        turn = faults[0]["turn"] if faults else 0
        yield Violation(kind, turn, "counted " + ", ".join(f"{name} {number}" for name, number in counted.items()))
    for turn_, prompt in zip(expected.turns, run.prompts):
        held = levels_of(prompt)
        if turn_.floor_tokens <= turn_.budget:
            for page_id in _below(turn_.floors, held):
                yield Violation(kind, turn_.number, f"hard page {page_id} is below its floor, and all floors fit")
        for page_id in _below(turn_.demands_due, held):
            yield Violation(kind, turn_.number, f"demanded page {page_id} is below its level, and everything fits")
    for event in run.events_of("recall"):
        if not event["reasoned"]:
            yield Violation(kind, event["turn"], "a recall was answered without its reason")


def _right_verdicts(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Every access is judged against what the model could see, and counted as what it turned out to be."""
    kind = Property.RIGHT_VERDICTS
    due = [
        (access.turn, access.page_id, access.level.label, access.resident.label, access.verdict)
        for access in expected.accesses
    ]
    judged = [
        (event["turn"], event["page"], event["level"], event["resident"], event["verdict"])
        for event in run.events_of("demand")
    ]
    if judged != due:
        wrong = next(
            (pair for pair in zip(due, judged) if pair[0] != pair[1]), (due[len(judged) :], judged[len(due) :])
        )
        yield Violation(kind, 0, f"(turn, page, needed, resident, verdict) should be {wrong[0]}, is {wrong[1]}"[:300])
    met = [access for access in expected.accesses if access.met]
    page_ins = [access.cost for access in met if access.verdict == "page_in"]
    right = (
        sum(access.verdict in ("hit", "page_in") for access in met),
        len(page_ins),
        sum(page_ins),
        len(due) - len(met),
        sum(access.repeated and not access.cold for access in expected.accesses),
    )
    metrics = run.metrics
    counted = (metrics.hits, metrics.page_ins, metrics.page_in_tokens, metrics.unmet_demands, metrics.alerts)
    if counted != right:
        yield Violation(kind, 0, f"(hits, page-ins, their tokens, unmet, alerts) should be {right}, is {counted}")


def _pressure_reported(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Pressure is reported in exactly the turns that do not fit, with exactly what is missing."""
    kind = Property.PRESSURE_REPORTED
    reported = {event["turn"]: event for event in run.events_of("pressure")}
    for turn, prompt in zip(expected.turns, run.prompts):
        event = reported.get(turn.number)
        found = (event["needed"], event["budget"], event["missing"]) if event else None
        due = (turn.needed_tokens, turn.budget, turn.missing_tokens) if turn.missing_tokens else None
        if found != due:
            yield Violation(kind, turn.number, f"(needed, budget, missing) is {due}, reported as {found}")
        if prompt.missing_tokens != turn.missing_tokens:
            detail = f"{turn.missing_tokens} tokens are missing, the prompt reports {prompt.missing_tokens}"
            yield Violation(kind, turn.number, detail)
    missing = [turn.missing_tokens for turn in expected.pressed_turns]
    totals = (run.metrics.pressure_turns, run.metrics.pressure_tokens)
    if totals != (len(missing), sum(missing)):
        yield Violation(kind, 0, f"(turns, tokens) is {(len(missing), sum(missing))}, counted as {totals}")


def _pressure_faults(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Whatever a turn under pressure leaves out is a pressure fault, and nothing else is one."""
    due: Counter[tuple[int, str, str]] = Counter()
    for access in expected.accesses:
        if access.pressed and not access.met:
            kind = FaultKind.DUPLICATE_TOOL if access.repeated else FaultKind.REFETCH
            due[access.turn, kind.value, access.page_id] += 1
    for shortfall in expected.shortfalls:
        if shortfall.pressed and shortfall.counted:
            kind = FaultKind.POST_COMPACTION_BOOTSTRAP if shortfall.bootstrap else FaultKind.PINNED_INVARIANT_MISS
            due[shortfall.turn, kind.value, shortfall.page_id] += 1
    found = Counter(
        (event["turn"], event["fault"], event["page"]) for event in run.events_of("fault") if not event["controllable"]
    )
    wrong = sorted((found - due) + (due - found))
    if wrong:
        detail = f"pressure faults missing or too many: {wrong}"[:300]
        yield Violation(Property.PRESSURE_REPORTED, wrong[0][0], detail)


def _within_budget(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """No prompt exceeds its budget; its blocks are pages once each, at levels they have, at what these cost."""
    kind = Property.WITHIN_BUDGET
    for turn, prompt in zip(expected.turns, run.prompts):
        if prompt.budget != run.budget or prompt.tokens > run.budget:
            yield Violation(kind, turn.number, f"{prompt.tokens} tokens of {prompt.budget}, the budget is {run.budget}")
        total = sum(block.tokens for block in prompt.blocks)
        if total != prompt.tokens:
            yield Violation(kind, turn.number, f"the blocks hold {total} tokens, the prompt reports {prompt.tokens}")
        for page_id, times in Counter(block.page_id for block in prompt.blocks).items():
            if times > 1:
                yield Violation(kind, turn.number, f"page {page_id} is in the prompt {times} times")
        for block in prompt.blocks:
            page = turn.contents.get(block.page_id)
            if page is None or page.costs.get(block.level) != block.tokens:
                detail = f"page {block.page_id} at {block.level.label} does not cost {block.tokens}"
                yield Violation(kind, turn.number, detail)


def _nothing_lost(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Every staged update meets the fate that it deserves when the next boundary comes, and its page shows it."""
    kind = Property.NOTHING_LOST
    fates = _fates(run)
    for entry in range(1, max(len(expected.fates), *fates, 0) + 1):
        due = expected.fates[entry - 1] if entry <= len(expected.fates) else None
        if fates.get(entry) != due:
            yield Violation(kind, 0, f"update {entry} should be {_words(due)}, is {_words(fates.get(entry))}")
    for event in run.events:
        turn = event["turn"]
        if event["event"] == "commit" and event["overwrote"]:
            yield Violation(kind, turn, f"updates {event['overwrote']} destroyed committed state unseen")
        elif event["event"] == "session_start" and event.get("gone"):
            yield Violation(kind, turn, f"a reset destroyed the pages {', '.join(event['gone'])}")
        elif event["event"] == "reject" and not event["detail"]:
            yield Violation(kind, turn, f"update {event['entry']} was rejected without a reason")
    metrics = run.metrics
    status = Counter(fate.status for fate in expected.fates)
    right = (status["committed"], status["rejected"], 0)
    counted = (metrics.committed_updates, metrics.rejected_updates, metrics.lost_updates)
    if counted != right:
        yield Violation(kind, 0, f"(committed, rejected, lost) should be {right}, is {counted}")
    for turn_, prompt in zip(expected.turns, run.prompts):
        yield from _versions(turn_, prompt)


def _fates(run: CheckedRun) -> dict[int, Fate]:
    """Return what became of each journal entry, as the decision trace records it."""
    fates: dict[int, Fate] = {}
    for event in run.events:
        if event["event"] == "stage":
            fates.setdefault(event["entry"], Fate("staged"))
        elif event["event"] == "reject":
            fates[event["entry"]] = Fate("rejected", event["turn"], event["code"])
        elif event["event"] in ("commit", "lost"):
            status = "committed" if event["event"] == "commit" else "lost"
            fates.update(dict.fromkeys(event["entries"], Fate(status, event["turn"])))
    return fates


def _words(fate: Fate | None) -> str:
    if fate is None:
        return "never staged"
    return " ".join(word for word in (fate.status, fate.code, f"in turn {fate.turn}" if fate.turn else "") if word)


def _versions(turn: WitnessTurn, prompt: AssembledPrompt) -> Iterator[Violation]:
    for block in prompt.blocks:
        page = turn.contents.get(block.page_id)
        if page is not None and block.version != page.version:
            detail = (
                f"page {block.page_id} is at version {block.version}, its content and commits make it {page.version}"
            )
            yield Violation(Property.NOTHING_LOST, turn.number, detail)
