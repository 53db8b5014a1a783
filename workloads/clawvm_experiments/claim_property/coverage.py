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
from collections.abc import Mapping
from itertools import chain

from clawvm_experiments.claim_property.expected import Expected
from clawvm_experiments.claim_property.statements import Run
from clawvm_replay.trace_format import Replacement, ToolDeclaration, Trace, Turn
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import CONTROL_FIELDS
from clawvm_runtime.vocabulary import (
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

__all__ = ["GROUPS", "coverage_of", "uncovered"]

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
        for item in turn.prelude:
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
    for item in turn.prelude:
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
