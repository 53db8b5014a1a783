"""What generated workloads hold, counted, so that "thousands of seeds" means something.

=============  ======================================================================
GROUPS         the kinds of thing that must occur, by group
coverage_of    the counts of one workload
uncovered      the kinds that never occurred
=============  ======================================================================

A count is named `group/kind`, or by one word where it has no kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import chain

from clawvm_experiments.property_model import Access, Expected, ExpectedTurn, Fate
from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_replay.trace_format import Replacement, ToolDeclaration, Trace, Turn
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import CONTROL_FIELDS
from clawvm_runtime.vocabulary import (
    FaultKind,
    Level,
    PageType,
    PinClass,
    Principal,
    RecallOutcome,
    RejectCode,
    Scope,
    ToolOutcome,
    UpdateOperation,
)

__all__ = ["GROUPS", "Property", "Run", "Violation", "coverage_of", "uncovered", "violations_of"]


# --- The claim as statements about one run: what came out of a replay against what the contract says must come out.


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
class Run:
    """What one replay gave; ``decisions`` are the events as canonical JSON lines."""

    budget: int
    prompts: tuple[AssembledPrompt, ...]
    events: tuple[Event, ...]
    decisions: bytes
    metrics: CellMetrics

    def events_of(self, kind: str) -> list[Event]:
        """Return the events of one kind, in their order."""
        return [event for event in self.events if event["event"] == kind]


def violations_of(expected: Expected, run: Run) -> Iterator[Violation]:
    """Yield what is wrong with *run*, which should be as *expected*, O(events)."""
    if len(run.prompts) != len(expected.turns):
        yield Violation(Property.INVARIANTS_HOLD, 0, f"{len(expected.turns)} turns, {len(run.prompts)} prompts")
        return
    levels = [{block.page_id: block.level for block in prompt.blocks} for prompt in run.prompts]
    yield from _zero_faults(expected, run, levels)
    yield from _right_verdicts(expected, run, levels)
    yield from _pressure_reported(expected, run, levels)
    yield from _within_budget(expected, run)
    yield from _nothing_lost(expected, run)


Levels = Mapping[str, Level]
"""What one prompt holds: page ids to levels."""


def _below(required: Levels, levels: Levels) -> list[str]:
    return [page_id for page_id, level in required.items() if levels.get(page_id, Level.NONE) < level]


# --- faults and verdicts ---------------------------------------------------------------------------------------


def _zero_faults(expected: Expected, run: Run, levels: list[dict[str, Level]]) -> Iterator[Violation]:
    """No policy-controllable fault is counted, and what would be one is not there either."""
    kind = Property.ZERO_FAULTS
    counted = {name: getattr(run.metrics, name) for name in FAULT_FIELDS if getattr(run.metrics, name)}
    faults = [event for event in run.events_of("fault") if event["controllable"]]
    if counted or faults:
        turn = faults[0]["turn"] if faults else 0
        yield Violation(kind, turn, "counted " + ", ".join(f"{name} {number}" for name, number in counted.items()))
    for turn, held in zip(expected.turns, levels):
        if turn.floor_tokens <= turn.budget:
            for page_id in _below(turn.floors, held):
                yield Violation(kind, turn.number, f"hard page {page_id} is below its floor, and all floors fit")
        if not turn.missing_tokens:
            for page_id in _below(turn.demands, held):
                yield Violation(kind, turn.number, f"demanded page {page_id} is below its level, and everything fits")
    for event in run.events_of("recall"):
        if not event["reasoned"]:
            yield Violation(kind, event["turn"], "a look-up was answered without its reason")


def _right_verdicts(expected: Expected, run: Run, levels: list[dict[str, Level]]) -> Iterator[Violation]:
    """Every access is judged against what the model could see, and counted as what it turned out to be."""
    kind = Property.RIGHT_VERDICTS
    due: list[tuple[int, str, str, str, str]] = []
    totals: Counter[str] = Counter()
    before: Levels = {}
    for turn, after in zip(expected.turns, levels):
        for access in turn.accesses:
            resident = before.get(access.page_id, Level.NONE) if access.shown is None else access.shown
            verdict = "cold" if access.cold else "hit" if resident >= access.level else "page_in"
            due.append((turn.number, access.page_id, access.level.label, resident.label, verdict))
            met = after.get(access.page_id, Level.NONE) >= access.level
            totals[verdict if met else "unmet"] += 1
            totals["page_in_tokens"] += access.cost if met and verdict == "page_in" else 0
            totals["alerts"] += access.repeated and not access.cold
        before = after
    told = [
        (event["turn"], event["page"], event["level"], event["resident"], event["verdict"])
        for event in run.events_of("demand")
    ]
    if told != due:
        wrong = next((pair for pair in zip(due, told) if pair[0] != pair[1]), (due[len(told) :], told[len(due) :]))
        yield Violation(kind, 0, f"(turn, page, needed, resident, verdict) should be {wrong[0]}, is {wrong[1]}"[:300])
    metrics = run.metrics
    totals["hits"] = totals["hit"] + totals["page_in"]
    right = tuple(totals[name] for name in ("hits", "page_in", "page_in_tokens", "unmet", "alerts"))
    counted = (metrics.hits, metrics.page_ins, metrics.page_in_tokens, metrics.unmet_demands, metrics.alerts)
    if counted != right:
        yield Violation(kind, 0, f"(hits, page-ins, their tokens, unmet, alerts) should be {right}, is {counted}")


# --- pressure --------------------------------------------------------------------------------------------------


def _pressure_reported(expected: Expected, run: Run, levels: list[dict[str, Level]]) -> Iterator[Violation]:
    """Pressure is reported in exactly the turns that do not fit, with exactly what is missing and left out."""
    kind = Property.PRESSURE_REPORTED
    reported = {event["turn"]: event for event in run.events_of("pressure")}
    for turn, prompt in zip(expected.turns, run.prompts):
        event = reported.get(turn.number)
        told = (event["needed"], event["budget"], event["missing"]) if event else None
        due = (turn.needed_tokens, turn.budget, turn.missing_tokens) if turn.missing_tokens else None
        if told != due:
            yield Violation(kind, turn.number, f"(needed, budget, missing) is {due}, reported as {told}")
        if prompt.missing_tokens != turn.missing_tokens:
            yield Violation(
                kind, turn.number, f"{turn.missing_tokens} tokens are missing, the prompt says {prompt.missing_tokens}"
            )
    missing = [turn.missing_tokens for turn in expected.turns if turn.missing_tokens]
    totals = (run.metrics.pressure_turns, run.metrics.pressure_tokens)
    if totals != (len(missing), sum(missing)):
        yield Violation(kind, 0, f"(turns, tokens) is {(len(missing), sum(missing))}, counted as {totals}")
    yield from _left_out(expected, run, levels)


def _left_out(expected: Expected, run: Run, levels: list[dict[str, Level]]) -> Iterator[Violation]:
    """Whatever a turn under pressure leaves out is a pressure fault, and nothing else is one."""
    told: dict[int, Counter[tuple[str, str]]] = {}
    for event in run.events_of("fault"):
        if not event["controllable"]:
            told.setdefault(event["turn"], Counter())[event["fault"], event["page"]] += 1
    lost: set[str] = set()
    for turn, held in zip(expected.turns, levels):
        below = set(_below(turn.floors, held))
        due: Counter[tuple[str, str]] = Counter()
        if turn.missing_tokens:
            due.update(_left_out_accesses(turn.accesses, held))
            for page_id in below - lost - turn.bootstrap:
                due[FaultKind.PINNED_INVARIANT_MISS.value, page_id] += 1
            for page_id in below & turn.bootstrap if turn.after_boundary else ():
                due[FaultKind.POST_COMPACTION_BOOTSTRAP.value, page_id] += 1
        seen = told.get(turn.number, Counter())
        if seen != due:
            wrong = sorted((seen - due) + (due - seen))
            yield Violation(
                Property.PRESSURE_REPORTED, turn.number, f"pressure faults missing or too many: {wrong}"[:300]
            )
        # Lost until a prompt holds it at its minimum again, also while it is not hard.
        lost = {page_id for page_id in lost | below if held.get(page_id, Level.NONE) < turn.contents[page_id].floor}


def _left_out_accesses(accesses: tuple[Access, ...], held: Levels) -> Iterator[tuple[str, str]]:
    for access in accesses:
        if held.get(access.page_id, Level.NONE) < access.level:
            kind = FaultKind.DUPLICATE_TOOL if access.repeated else FaultKind.REFETCH
            yield kind.value, access.page_id


# --- prompts ---------------------------------------------------------------------------------------------------


def _within_budget(expected: Expected, run: Run) -> Iterator[Violation]:
    """No prompt exceeds its budget; its blocks are pages once each, at levels they have, at what these cost."""
    kind = Property.WITHIN_BUDGET
    for turn, prompt in zip(expected.turns, run.prompts):
        if prompt.budget != run.budget or prompt.tokens > run.budget:
            yield Violation(kind, turn.number, f"{prompt.tokens} tokens of {prompt.budget}, the budget is {run.budget}")
        total = sum(block.tokens for block in prompt.blocks)
        if total != prompt.tokens:
            yield Violation(kind, turn.number, f"the blocks hold {total} tokens, the prompt says {prompt.tokens}")
        for page_id, times in Counter(block.page_id for block in prompt.blocks).items():
            if times > 1:
                yield Violation(kind, turn.number, f"page {page_id} stands there {times} times")
        for block in prompt.blocks:
            page = turn.contents.get(block.page_id)
            if page is None or page.costs.get(block.level) != block.tokens:
                yield Violation(
                    kind, turn.number, f"page {block.page_id} at {block.level.label} does not cost {block.tokens}"
                )


# --- updates ---------------------------------------------------------------------------------------------------


def _nothing_lost(expected: Expected, run: Run) -> Iterator[Violation]:
    """Every staged update meets the fate that it deserves when the next boundary comes, and its page shows it."""
    kind = Property.NOTHING_LOST
    fates = _fates(run)
    for entry in range(1, max(len(expected.fates), *fates, 0) + 1):
        due = expected.fates[entry - 1] if entry <= len(expected.fates) else None
        if fates.get(entry) != due:
            yield Violation(kind, 0, f"update {entry} should be {_told(due)}, is {_told(fates.get(entry))}")
    for event in run.events_of("commit"):
        if event["overwrote"]:
            yield Violation(kind, event["turn"], f"updates {event['overwrote']} destroyed committed state unseen")
    for event in run.events_of("session_start"):
        if event.get("gone"):
            yield Violation(kind, event["turn"], f"a reset destroyed the pages {', '.join(event['gone'])}")
    for event in run.events_of("reject"):
        if not event["detail"]:
            yield Violation(kind, event["turn"], f"update {event['entry']} was rejected without a reason")
    metrics = run.metrics
    status = Counter(fate.status for fate in expected.fates)
    right = (status["committed"], status["rejected"], 0)
    counted = (metrics.committed_updates, metrics.rejected_updates, metrics.lost_updates)
    if counted != right:
        yield Violation(kind, 0, f"(committed, rejected, lost) should be {right}, is {counted}")
    for turn, prompt in zip(expected.turns, run.prompts):
        yield from _versions(turn, prompt)


def _fates(run: Run) -> dict[int, Fate]:
    """Return what became of each journal entry, as the decision trace tells it."""
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


def _told(fate: Fate | None) -> str:
    if fate is None:
        return "never staged"
    return " ".join(word for word in (fate.status, fate.code, f"in turn {fate.turn}" if fate.turn else "") if word)


def _versions(turn: ExpectedTurn, prompt: AssembledPrompt) -> Iterator[Violation]:
    for block in prompt.blocks:
        page = turn.contents.get(block.page_id)
        if page is not None and block.version != page.version:
            yield Violation(
                Property.NOTHING_LOST,
                turn.number,
                f"page {block.page_id} is at version {block.version}, its content and commits make it {page.version}",
            )


# --- What generated workloads hold, counted, so that "thousands of seeds" means something.

_BUDGETS = ((10, "up to 10"), (100, "11 to 100"), (1_000, "101 to 1,000"), (100_000, "1,001 to 100,000"))
_LARGE_BUDGET = "above 100,000"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "page type": tuple(kind.value for kind in PageType),
    "pin": tuple(pin.value for pin in PinClass),
    "scope": tuple(scope.value for scope in Scope),
    "level asked for": tuple(level.label for level in Level if level),
    "page": (
        "with one level only",
        "with deltas that do not rise",
        "that does not support its minimum",
        "larger than the budget",
        "from a durable source",
        "replaced by an edit",
    ),
    "boundary": (
        "named compaction",
        "named reset",
        "compaction that fell due",
        "compaction past the flush (threshold jump)",
        "flush that fell due",
        "that met staged updates",
    ),
    "update": (*(operation.value for operation in UpdateOperation), "another operation"),
    "principal": (*(principal.value for principal in Principal), "another"),
    "fate of an update": ("committed", "staged at the end", *(code.value for code in RejectCode)),
    "committed control field": tuple(sorted(CONTROL_FIELDS)),
    "look-up": tuple(outcome.value for outcome in RecallOutcome),
    "tool call": (
        *(outcome.value for outcome in ToolOutcome),
        "served from the store",
        "not deterministic",
        "displaced result",
    ),
    "access": ("cold", "hit", "page-in", "alert"),
    "budget in tokens": (*(name for _, name in _BUDGETS), _LARGE_BUDGET),
}


def uncovered(counts: Mapping[str, int]) -> list[str]:
    """Return the kinds that never occurred."""
    names = (f"{group}/{kind}" for group, kinds in GROUPS.items() for kind in kinds)
    return [name for name in names if not counts.get(name)]


def coverage_of(trace: Trace, expected: Expected, run: Run) -> Counter[str]:
    """Return the counts of one workload and what came out of it, O(items of the trace + events)."""
    counts: Counter[str] = Counter()
    missing = [turn.missing_tokens for turn in expected.turns if turn.missing_tokens]
    counts["workloads"] = 1
    counts["workloads that fit"] = expected.fits
    counts["workloads with several resets"] = expected.harness.get("named_reset", 0) > 1
    counts["turns"] = len(trace.turns)
    counts["turns under pressure"] = len(missing)
    counts["accesses"] = run.metrics.accesses
    budget = trace.header.budget
    counts["budget in tokens/" + next((name for most, name in _BUDGETS if budget <= most), _LARGE_BUDGET)] = 1
    deterministic: dict[str, bool] = {}
    for turn in trace.turns:
        for item in turn.events_before:
            if isinstance(item, ToolDeclaration):
                deterministic[item.signature] = item.deterministic
        counts["tool call/not deterministic"] += sum(not deterministic[call.signature] for call in turn.calls)
        _count_turn(counts, turn, budget)
    counts["tool call/displaced result"] = expected.harness.get("displaced_result", 0)
    _count_boundaries(counts, expected)
    _count_fates(counts, expected, run)
    _count_outcomes(counts, run)
    return counts


def _count_turn(counts: Counter[str], turn: Turn, budget: int) -> None:
    for item in turn.events_before:
        if isinstance(item, Page):
            _count_page(counts, item, budget)
        elif isinstance(item, Replacement):
            counts["page/replaced by an edit"] += 1
            _count_page(counts, item.page, budget)
        elif isinstance(item, ToolDeclaration) and item.page is not None:
            _count_page(counts, item.page, budget)
    counts["demands"] += len(turn.demands)
    counts["calls"] += len(turn.calls)
    counts["look-ups"] += len(turn.lookups)
    counts["updates"] += len(turn.updates)
    for level in chain((call.level for call in turn.calls), (level for _, level in turn.demands)):
        counts["level asked for/" + level.label] += 1
    for lookup in turn.lookups:
        counts["look-up/" + lookup.outcome.value] += 1
    for update in turn.updates:
        operation = update.operation if update.operation in GROUPS["update"] else "another operation"
        counts["update/" + operation] += 1
        counts["principal/" + (update.principal if update.principal in GROUPS["principal"] else "another")] += 1


def _count_page(counts: Counter[str], page: Page, budget: int) -> None:
    counts["pages"] += 1
    counts["page type/" + page.type.value] += 1
    counts["pin/" + page.pin.value] += 1
    counts["scope/" + page.scope.value] += 1
    counts["page/with one level only"] += len(page.levels) == 1
    deltas = [step.delta for step in page.steps]
    counts["page/with deltas that do not rise"] += deltas != sorted(set(deltas))
    counts["page/that does not support its minimum"] += page.minimum not in page.costs
    counts["page/larger than the budget"] += page.costs[Level.FULL] > budget
    counts["page/from a durable source"] += page.provenance.is_durable


def _count_boundaries(counts: Counter[str], expected: Expected) -> None:
    for kind, name in (
        ("named compaction", "named_compaction"),
        ("named reset", "named_reset"),
        ("compaction that fell due", "due_compaction"),
        ("compaction past the flush (threshold jump)", "threshold_jump"),
        ("flush that fell due", "due_flush"),
        ("that met staged updates", "boundary_with_updates"),
    ):
        counts["boundary/" + kind] = expected.harness.get(name, 0)
    counts["boundaries"] = sum(
        expected.harness.get(name, 0) for name in ("named_compaction", "named_reset", "due_compaction")
    )


def _count_fates(counts: Counter[str], expected: Expected, run: Run) -> None:
    for fate in expected.fates:
        counts["fate of an update/" + (fate.code or {"staged": "staged at the end"}.get(fate.status, fate.status))] += 1
    fields = {event["entry"]: event["field"] for event in run.events_of("stage")}
    for event in run.events_of("commit"):
        for entry in event["entries"]:
            if fields[entry] in CONTROL_FIELDS:
                counts["committed control field/" + fields[entry]] += 1


def _count_outcomes(counts: Counter[str], run: Run) -> None:
    for event in run.events_of("tool"):
        counts["tool call/" + event["outcome"]] += 1
        counts["tool call/served from the store"] += not event["executed"]
    metrics = run.metrics
    counts["access/cold"] = metrics.cold_accesses
    counts["access/hit"] = metrics.hits - metrics.page_ins
    counts["access/page-in"] = metrics.page_ins
    counts["access/alert"] = metrics.alerts
