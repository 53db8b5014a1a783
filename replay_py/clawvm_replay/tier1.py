"""Tier 1: six lifecycle gates, each with both halves, each able to fail.

==============  ===================================================================================
Observation     what a half showed, reduced to what a gate may judge
Expectation     what a half must show, in words and as exact values
Gate            a scenario, the protection under test, and what each half must show
HalfReport      what one half showed: observation, evidence, verdict
GateReport      both halves of a gate
run_gates       all gates, for ClawVM or for any other policy that claims to pass them
report_record   the report of all gates as data
==============  ===================================================================================

In the first half the protection is off: one field of ClawVM's row is replaced, and the fault must be seen. In the
second
half the protected policy runs the same trace: the fault must not happen, or the update must be rejected with its
code. A
gate fails when either half does not show what it must, so a gate whose scenario lost its teeth fails as well.

The six gates themselves are in ``tier1_gates``. Schema of the report: ``schemas/gate-report.schema.json``.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.policy import Policy
from clawvm_runtime.policy import Writeback as WritebackMode
from clawvm_runtime.vocabulary import FaultKind

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "Expectation",
    "Gate",
    "GateReport",
    "HalfReport",
    "Observation",
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
    def of(cls, metrics: CellMetrics, events: Sequence[Event]) -> Observation:
        """Return the observation that a run's metrics and decision trace amount to."""
        faults = {kind.value: getattr(metrics, kind.value) for kind in FaultKind}
        return cls(
            faults={kind: count for kind, count in faults.items() if count},
            alerts=metrics.alerts,
            committed=metrics.committed_updates,
            lost=metrics.lost_updates,
            rejected=tuple(event["code"] for event in events if event["event"] == "reject"),
            overwritten=sum(len(event["overwrote"]) for event in events if event["event"] == "commit"),
            pressure_turns=metrics.pressure_turns,
            reasons=tuple(event["outcome"] for event in events if event["event"] == "recall" and event["reasoned"]),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the observation as plain JSON data."""
        record = dataclasses.asdict(self)
        record["rejected"] = list(self.rejected)
        record["reasons"] = list(self.reasons)
        return record


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

    ``removal`` are the fields of the policy row that take the protection away; ``evidence`` names the kinds of
    event that
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
    """What one half showed."""

    half: str
    policy: str
    protection: str
    expectation: str
    observation: Observation
    failures: tuple[str, ...]
    evidence: tuple[Event, ...]
    events: tuple[Event, ...]

    @property
    def passed(self) -> bool:
        """Whether the half showed what it must."""
        return not self.failures

    def to_record(self) -> dict[str, Any]:
        """Return the half as plain JSON data."""
        return {
            "evidence": list(self.evidence),
            "expectation": self.expectation,
            "failures": list(self.failures),
            "half": self.half,
            "observation": self.observation.to_record(),
            "policy": self.policy,
            "protection": self.protection,
            "verdict": "pass" if self.passed else "fail",
        }


@dataclass(frozen=True, slots=True)
class GateReport:
    """Both halves of a gate."""

    gate: Gate
    halves: tuple[HalfReport, HalfReport]

    @property
    def passed(self) -> bool:
        """Whether both halves showed what they must."""
        return all(half.passed for half in self.halves)

    def to_record(self) -> dict[str, Any]:
        """Return the gate as plain JSON data."""
        return {
            "halves": [half.to_record() for half in self.halves],
            "id": self.gate.id,
            "scenario": self.gate.scenario,
            "title": self.gate.title,
            "verdict": "pass" if self.passed else "fail",
        }


def run_gates(gates: Sequence[Gate], protected: Policy) -> list[GateReport]:
    """Run *gates*; the unprotected half removes the protection from *protected*, the other half is *protected*."""
    return [run_gate(gate, protected) for gate in gates]


def run_gate(gate: Gate, protected: Policy) -> GateReport:
    """Run both halves of one gate."""
    removed = ", ".join(f"{name} = {_plain(value)}" for name, value in gate.removal.items())
    unprotected = dataclasses.replace(protected, id=f"{protected.id}_unprotected", **gate.removal)
    return GateReport(
        gate,
        (
            _run_half(gate, "protection off", unprotected, removed, gate.unprotected),
            _run_half(gate, "protection on", protected, "as in its row", gate.protected),
        ),
    )


def _plain(value: Any) -> str:
    return value.value if isinstance(value, WritebackMode) else str(value).lower()


def _run_half(gate: Gate, half: str, policy: Policy, protection: str, expectation: Expectation) -> HalfReport:
    decisions = DecisionTrace()
    metrics = replay_trace(gate.trace(), policy, decisions=decisions)
    observation = Observation.of(metrics, decisions.events)
    return HalfReport(
        half=half,
        policy=policy.id,
        protection=protection,
        expectation=expectation.text,
        observation=observation,
        failures=tuple(expectation.failures(observation)),
        evidence=tuple(_quoted(event) for event in decisions.events if event["event"] in gate.evidence),
        events=tuple(decisions.events),
    )


_SELECTION_DETAILS = ("prefetched", "prefetch_refused", "steps")


def _quoted(event: Event) -> Event:
    """Return the event as a report quotes it: the whole search for upgrades stands in the decision trace."""
    return {name: value for name, value in event.items() if name not in _SELECTION_DETAILS}


def report_record(reports: Sequence[GateReport]) -> dict[str, Any]:
    """Return the report of all gates as plain JSON data."""
    verdicts = Counter("pass" if report.passed else "fail" for report in reports)
    return {
        "failed": verdicts["fail"],
        "format": FORMAT_NAME,
        "gates": [report.to_record() for report in reports],
        "passed": verdicts["pass"],
        "verdict": "fail" if verdicts["fail"] else "pass",
        "version": FORMAT_VERSION,
    }
