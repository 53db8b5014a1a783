"""The six lifecycle gates of Tier 1: their scenarios, turn by turn, and what each half of a gate must show.

A gate replays the same trace twice. With one protection removed the fault must occur; with the protection it must not,
or the update must be rejected with its reason. Source: paper, Tier 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clawvm_replay.commits import committed_entries, replaced_unseen
from clawvm_replay.document import ReportVerdict, Table, plain
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import FEATURES, Policy, WritebackMode
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, RecallOutcome

__all__ = [
    "GATES",
    "Expectation",
    "GateReport",
    "Observation",
    "gates_table",
    "report_record",
    "run_gate",
    "run_gates",
]

FORMAT_NAME = "clawvm.gate_report"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Observation:
    """What a half showed, reduced to what a gate may judge."""

    faults: Mapping[str, int]
    alerts: int
    committed: int
    lost: int
    rejected: tuple[str, ...]
    overwritten: int
    pressure_turns: int
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, trace: Trace, metrics: CellMetrics, events: Sequence[Event]) -> Observation:
        """Return the observation that the metrics and the decision trace of a replay of *trace* amount to.

        Every update of a gate's trace is staged once, so that its place is its journal entry.
        """
        proposed = dict(enumerate((update for turn in trace.turns for update in turn.updates), start=1))
        faults = {kind.value: getattr(metrics, kind.value) for kind in FaultKind}
        return cls(
            faults={kind: count for kind, count in faults.items() if count},
            alerts=metrics.alerts,
            committed=metrics.committed_updates,
            lost=metrics.lost_updates,
            rejected=tuple(event["code"] for event in events if event["event"] == "reject"),
            overwritten=len(replaced_unseen(proposed, committed_entries(events))),
            pressure_turns=metrics.pressure_turns,
            reasons=tuple(event["outcome"] for event in events if event["event"] == "recall" and event["reasoned"]),
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a half must show, in words and as exact values; None leaves a value free.

    ``faults`` are the exact counts by kind: kinds that are not named must not occur.
    """

    text: str
    faults: Mapping[str, int] = dataclasses.field(default_factory=dict)
    committed: int | None = None
    lost: int | None = None
    rejected: tuple[str, ...] | None = None
    overwritten: int | None = None
    reasons: tuple[str, ...] | None = None
    least_alerts: int = 0

    def failures(self, seen: Observation) -> list[str]:
        """Return one sentence for everything in *seen* that is not as expected."""
        failures = []
        for name in ("faults", "committed", "lost", "rejected", "overwritten", "reasons"):
            expected, found = getattr(self, name), getattr(seen, name)
            if expected is not None and found != expected:
                failures.append(f"{name}: expected {expected!r}, observed {found!r}")
        if seen.alerts < self.least_alerts:
            failures.append(f"alerts: expected at least {self.least_alerts}, observed {seen.alerts}")
        if seen.pressure_turns:
            failures.append("the scenario does not fit its budget, so it proves nothing about the policy")
        return failures


@dataclass(frozen=True, slots=True)
class Gate:
    """A scenario, the protection under test, and what each half must show.

    ``removal`` holds the fields of the policy row that take the protection away, ``evidence`` the kinds of event that
    the report quotes.
    """

    id: str
    title: str
    scenario: str
    removal: Mapping[str, Any]
    trace: Callable[[], Trace]
    unprotected: Expectation
    protected: Expectation
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HalfReport:
    """What one half showed: *half* is "protection off" or "protection on"."""

    half: str
    policy: str
    protection: str
    expectation: str
    observation: Observation
    failures: tuple[str, ...]
    evidence: tuple[Event, ...]
    events: tuple[Event, ...]

    def to_record(self) -> dict[str, Any]:
        """Return the half as plain JSON data, without the events that the gate does not quote."""
        return {
            "evidence": list(self.evidence),
            "expectation": self.expectation,
            "failures": list(self.failures),
            "half": self.half,
            "observation": dataclasses.asdict(self.observation),
            "policy": self.policy,
            "protection": self.protection,
            "verdict": _verdict(not self.failures),
        }


@dataclass(frozen=True, slots=True)
class GateReport:
    """Both halves of a gate."""

    gate: Gate
    halves: tuple[HalfReport, HalfReport]

    @property
    def passed(self) -> bool:
        """Whether both halves showed what they must."""
        return not any(half.failures for half in self.halves)

    def to_record(self) -> dict[str, Any]:
        """Return the gate as plain JSON data."""
        return {
            "halves": [half.to_record() for half in self.halves],
            "id": self.gate.id,
            "scenario": self.gate.scenario,
            "title": self.gate.title,
            "verdict": _verdict(self.passed),
        }


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"


def run_gates(gates: Sequence[Gate], protected: Policy) -> list[GateReport]:
    """Run *gates*; the unprotected half removes the protection from *protected*, the other half is *protected*."""
    return [run_gate(gate, protected) for gate in gates]


def run_gate(gate: Gate, protected: Policy) -> GateReport:
    """Run both halves of one gate."""
    values = {name: value.value if isinstance(value, Enum) else value for name, value in gate.removal.items()}
    removed = ", ".join(f"{name} = {str(value).lower()}" for name, value in values.items())
    unprotected = dataclasses.replace(protected, id=f"{protected.id}_unprotected", **gate.removal)
    return GateReport(
        gate,
        (
            _run_half(gate, "protection off", unprotected, removed, gate.unprotected),
            _run_half(gate, "protection on", protected, "as in its row", gate.protected),
        ),
    )


_NOT_QUOTED = ("prefetched", "prefetch_refused", "steps")
"""Details of a selection that are in the decision trace only."""


def _run_half(gate: Gate, half: str, policy: Policy, protection: str, expectation: Expectation) -> HalfReport:
    decisions = DecisionTrace()
    trace = gate.trace()
    metrics = replay_trace(trace, policy, decisions=decisions)
    observation = Observation.of(trace, metrics, decisions.events)
    return HalfReport(
        half=half,
        policy=policy.id,
        protection=protection,
        expectation=expectation.text,
        observation=observation,
        failures=tuple(expectation.failures(observation)),
        evidence=tuple(
            {name: value for name, value in event.items() if name not in _NOT_QUOTED}
            for event in decisions.events
            if event["event"] in gate.evidence
        ),
        events=tuple(decisions.events),
    )


def report_record(reports: Sequence[GateReport]) -> dict[str, Any]:
    """Return the report of all gates as plain JSON data."""
    passed = sum(report.passed for report in reports)
    return {
        "failed": len(reports) - passed,
        "format": FORMAT_NAME,
        "gates": [report.to_record() for report in reports],
        "passed": passed,
        "verdict": _verdict(passed == len(reports)),
        "version": FORMAT_VERSION,
    }


def gates_table(gates: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of gates, each as ``GateReport.to_record`` gives it: what both halves showed, and the verdict."""
    return Table.of(
        ("gate", "protection off", "protection on", "verdict"),
        (
            (
                plain(gate["title"]),
                *(_summary(half["observation"]) for half in gate["halves"]),
                ReportVerdict(gate["verdict"], gate["verdict"] == "pass"),
            )
            for gate in gates
        ),
    )


def _summary(seen: Mapping[str, Any]) -> str:
    counts = {**dict(sorted(seen["faults"].items())), **{name: seen[name] for name in ("overwritten", "committed")}}
    counts["rejected"] = len(seen["rejected"])
    return ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items() if count) or "no fault"


BUDGET = 120
"""Token budget of every gate: the smallest of the sweep."""

_ACCOUNTING = Accounting(compaction_limit=200, soft_threshold=150, summary_tokens=20)


def _story(gate_id: str, accounting: Accounting | None = None, *, plan: bool = False) -> TraceBuilder:
    """Return a trace that begins with the instructions, and where *plan* is set with a plan and a constraint."""
    story = TraceBuilder(gate_id, BUDGET, "", accounting)
    # All of them come from files, so that a reset alone destroys none: the gates are about the updates to them.
    for page_id, page_type, costs, source, utility in (
        ("instructions", PageType.BOOTSTRAP_POLICY, LevelCosts(3, 20, 26, 40), "AGENTS.md", 2.0),
        ("plan", PageType.PLAN, LevelCosts(3, 10, 14, 24), "PLAN.md", 8.0),
        ("rule", PageType.CONSTRAINT, LevelCosts(2, 8, 10, 16), "RULES.md", 7.0),
    )[: 3 if plan else 1]:
        story.page(page_id, page_type, costs, provenance=Provenance("file", source), base_utility=utility)
    return story


def _reads(story: TraceBuilder) -> list[Call]:
    costs = LevelCosts(2, 7, 14, 28)
    return [
        story.tool("read", {"path": f"file_{number}"}, f"file-{number}", costs, base_utility=5.0, recompute_cost=8.0)
        for number in range(1, 7)
    ]


def _note(text: str = "", **more: Any) -> Update:
    """Return a good note on the plan, or, with some attributes replaced, one that is not good."""
    attributes = {"page_id": "plan", "field": "notes", "operation": "append", "value": [text], "scope": "session"}
    return Update(**{**attributes, "evidence_ref": "plan", **more})


_PLAN_DEMAND = [("plan", Level.STRUCTURED)]


def _bootstrap_trace() -> Trace:
    story = _story("gate_bootstrap_after_compaction", _ACCOUNTING)
    for call in _reads(story):
        story.turn(35, calls=[call])
    return story.trace()


def _dirty_reset_trace() -> Trace:
    story = _story("gate_dirty_pages_at_reset", plan=True)
    story.turn(20, demands=_PLAN_DEMAND, updates=[_note("first")])
    story.turn(20, demands=_PLAN_DEMAND, updates=[_note("second")])
    story.reset("session-2")
    story.turn(20)
    return story.trace()


def _jump_trace() -> Trace:
    """First a compaction that is approached slowly, then one that a single large result jumps to."""
    story = _story("gate_threshold_jump_race", _ACCOUNTING, plan=True)
    story.turn(100, demands=_PLAN_DEMAND, updates=[_note("before the slow compaction")])
    story.turn(60)
    story.turn(60)
    story.turn(30, demands=_PLAN_DEMAND, updates=[_note("before the jump")])
    story.turn(170)
    story.turn(20)
    return story.trace()


def _recall_trace() -> Trace:
    story = _story("gate_silent_recall_visibility")
    story.turn(20, recalls=[("what does the user prefer", RecallOutcome.NO_MATCH)])
    story.turn(20, recalls=[("what was decided in the group", RecallOutcome.DENIED)])
    story.turn(20, recalls=[("what was decided yesterday", RecallOutcome.BACKEND_ERROR)])
    return story.trace()


def _unsafe_trace() -> Trace:
    """One good update is committed, then six bad ones and one good one meet a compaction."""
    story = _story("gate_unsafe_persistence", _ACCOUNTING, plan=True)
    decision: dict[str, Any] = {"field": "decision", "operation": "set_with_version", "base_version": 0}
    story.turn(60, updates=[_note(**decision, value="keep the schema")])
    story.turn(160)
    bad = [
        _note(operation="merge", value="not an object"),
        _note("invented", evidence_ref="a page that never was"),
        _note("leaked", scope="project", principal="subagent"),
        _note(field="decision", operation="overwrite", value="drop the schema"),
        _note(**decision, value="rename the schema"),
        _note(page_id="rule", field="pin", operation="set_with_version", value="none", base_version=0),
    ]
    story.turn(30, updates=[*bad, _note("a good one", field="log")])
    story.turn(170)
    story.turn(20)
    return story.trace()


def _churn_trace() -> Trace:
    story = _story("gate_evidence_churn")
    reads = _reads(story)
    for turn in range(12):
        demands = [(f"file-{(turn + 3) % 6 + 1}", Level.FULL)] if turn >= 6 else []
        story.turn(30, calls=[reads[turn % 6]], demands=demands)
    return story.trace()


def _removal(feature_id: str) -> dict[str, Any]:
    return {FEATURES[feature_id].field: FEATURES[feature_id].removed}


GATES: tuple[Gate, ...] = (
    Gate(
        id="bootstrap_after_compaction",
        title="Bootstrap survives compaction",
        scenario="A session reads until the transcript compacts; the evidence has more utility per token "
        "than the instructions.",
        removal=_removal("auto_pin"),
        trace=_bootstrap_trace,
        unprotected=Expectation(
            "The first prompt after the compaction lacks the instructions.",
            faults={"post_compaction_bootstrap": 1},
        ),
        protected=Expectation("The first prompt after the compaction holds the instructions; no fault."),
        evidence=("boundary", "assemble", "fault"),
    ),
    Gate(
        id="dirty_pages_at_reset",
        title="Dirty pages survive a reset",
        scenario="The agent noted two decisions; the user resets the session at once.",
        removal=_removal("writeback_at_reset"),
        trace=_dirty_reset_trace,
        unprotected=Expectation(
            "The reset destroys both notes: one flush miss for their page.",
            faults={"flush_miss": 1},
            committed=0,
            lost=2,
        ),
        protected=Expectation("Both notes are committed at the reset; no fault.", committed=2, lost=0),
        evidence=("stage", "boundary", "commit", "lost", "fault"),
    ),
    Gate(
        id="threshold_jump_race",
        title="No flush is lost to a threshold jump",
        scenario="One compaction is approached slowly, so that a flush at the soft threshold runs before it; at the "
        "next one a single large result jumps past threshold and limit at once.",
        removal={"writeback_at_compaction": WritebackMode.SOFT_THRESHOLD},
        trace=_jump_trace,
        unprotected=Expectation(
            "The flush saves the first note; the jump destroys the second: one flush miss.",
            faults={"flush_miss": 1},
            committed=1,
            lost=1,
        ),
        protected=Expectation("Both notes are committed at their compactions; no fault.", committed=2, lost=0),
        evidence=("stage", "flush", "boundary", "commit", "lost", "fault"),
    ),
    Gate(
        id="silent_recall_visibility",
        title="No recall fails silently",
        scenario="Three recalls: nothing matches, the backend denies, the backend fails.",
        removal=_removal("reasoned_recall"),
        trace=_recall_trace,
        unprotected=Expectation(
            "The model gets three empty answers without a reason: a silent recall for the denial and for the failure.",
            faults={"silent_recall": 2},
            reasons=(),
        ),
        protected=Expectation(
            "Every answer carries its reason; no fault.",
            reasons=("no_match", "denied", "backend_error"),
        ),
        evidence=("recall", "fault"),
    ),
    Gate(
        id="unsafe_persistence",
        title="Unsafe updates are rejected with their reason",
        scenario="After a good decision was committed, six updates arrive that are malformed, unfounded, out of scope, "
        "destructive, stale, or would release a hard pin, and one good note.",
        removal=_removal("validated_writeback"),
        trace=_unsafe_trace,
        unprotected=Expectation(
            "All of them commit; the committed decision is overwritten twice.",
            committed=8,
            rejected=(),
            overwritten=2,
        ),
        protected=Expectation(
            "The six are rejected, each with its code; both good updates commit; nothing is overwritten.",
            committed=2,
            rejected=(
                "SCHEMA_INVALID",
                "PROVENANCE_DANGLING",
                "SCOPE_DENIED",
                "DESTRUCTIVE_OP",
                "DESTRUCTIVE_OP",
                "POLICY_VIOLATION",
            ),
            overwritten=0,
        ),
        evidence=("stage", "reject", "commit"),
    ),
    Gate(
        id="evidence_churn",
        title="Evidence churn is served from the store",
        scenario="Six results are asked for in turn, twice, partly by the same tool call, partly by reference, under a "
        "budget that holds three of them.",
        removal=_removal("pointer_resolution"),
        trace=_churn_trace,
        unprotected=Expectation(
            "Every repeated call runs again and every reference is retrieved again, where it is not resident.",
            faults={"duplicate_tool": 6, "refetch": 6},
        ),
        protected=Expectation(
            "Everything is served from the store; repeated calls only raise an alert; no fault.", least_alerts=6
        ),
        evidence=("demand", "tool", "alert", "fault"),
    ),
)
