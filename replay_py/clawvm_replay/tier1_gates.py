"""The six lifecycle gates of Tier 1: their scenarios, told turn by turn, and what each half must show.

===========================  ==============================================================
bootstrap_after_compaction   the instructions stand in the first prompt after a compaction
dirty_pages_at_reset         what the agent noted survives a reset
threshold_jump_race          a result that jumps past flush and compaction loses nothing
silent_recall_visibility     an empty look-up says why
unsafe_persistence           malformed, unfounded, leaking or destructive updates are rejected
evidence_churn               results that were seen before are served from the store
===========================  ==============================================================

Source: paper, Tier 1.
"""

from __future__ import annotations

from typing import Any

from clawvm_replay.tier1 import Expectation, Gate
from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import FEATURES
from clawvm_runtime.policy import Writeback as WritebackMode
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import FaultKind, Level, PageType, RecallOutcome, RejectCode

__all__ = ["GATES"]

BUDGET = 120
"""Token budget of every gate: the smallest of the sweep."""

_INSTRUCTION = Ladder(3, 20, 26, 40)
_RULE = Ladder(2, 8, 10, 16)
_PLAN = Ladder(3, 10, 14, 24)
_RESULT = Ladder(2, 7, 14, 28)
_NO_JUMP = Accounting(compaction_limit=200, soft_threshold=150, summary_tokens=20)


def _story(gate_id: str, accounting: Accounting | None = None) -> TraceBuilder:
    story = TraceBuilder(gate_id, BUDGET, "", accounting)
    story.page(
        "instructions",
        PageType.BOOTSTRAP_POLICY,
        _INSTRUCTION,
        provenance=Provenance("file", "AGENTS.md"),
        base_utility=2.0,
    )
    return story


def _plan_and_rule(story: TraceBuilder) -> None:
    # Both come from files, so that a reset by itself destroys neither: the gates are about the updates to them.
    story.page("plan", PageType.PLAN, _PLAN, provenance=Provenance("file", "PLAN.md"), base_utility=8.0)
    story.page("rule", PageType.CONSTRAINT, _RULE, provenance=Provenance("file", "RULES.md"), base_utility=7.0)


def _read(story: TraceBuilder, number: int) -> Call:
    return story.tool(
        "read", {"path": f"file_{number}"}, f"file-{number}", _RESULT, base_utility=5.0, recompute_cost=8.0
    )


def _note(text: str = "", **more: Any) -> Update:
    """Return a good note on the plan, or, with some attributes replaced, one that is not good."""
    attributes: dict[str, Any] = {
        "page_id": "plan",
        "field": "notes",
        "operation": "append",
        "value": [text],
        "scope": "session",
        "evidence_ref": "plan",
    }
    attributes.update(more)
    return Update(**attributes)


def _bootstrap_trace() -> Trace:
    story = _story("gate_bootstrap_after_compaction", _NO_JUMP)
    reads = [_read(story, number) for number in range(1, 7)]
    for turn in range(1, 7):
        story.turn(35, calls=[reads[turn - 1]])
    return story.trace()


def _dirty_reset_trace() -> Trace:
    story = _story("gate_dirty_pages_at_reset")
    _plan_and_rule(story)
    story.turn(20, demands=[("plan", Level.STRUCTURED)], updates=[_note("first")])
    story.turn(20, demands=[("plan", Level.STRUCTURED)], updates=[_note("second")])
    story.reset("session-2")
    story.turn(20)
    return story.trace()


def _jump_trace() -> Trace:
    """First a compaction that is approached slowly, then one that a single large result jumps to."""
    story = _story("gate_threshold_jump_race", _NO_JUMP)
    _plan_and_rule(story)
    story.turn(100, demands=[("plan", Level.STRUCTURED)], updates=[_note("before the slow compaction")])
    story.turn(60)
    story.turn(60)
    story.turn(30, demands=[("plan", Level.STRUCTURED)], updates=[_note("before the jump")])
    story.turn(170)
    story.turn(20)
    return story.trace()


def _recall_trace() -> Trace:
    story = _story("gate_silent_recall_visibility")
    story.turn(20, lookups=[("what does the user prefer", RecallOutcome.NO_MATCH)])
    story.turn(20, lookups=[("what was decided in the group", RecallOutcome.DENIED)])
    story.turn(20, lookups=[("what was decided yesterday", RecallOutcome.BACKEND_ERROR)])
    return story.trace()


def _unsafe_trace() -> Trace:
    """One good update is committed, then six bad ones and one good one meet a compaction."""
    story = _story("gate_unsafe_persistence", _NO_JUMP)
    _plan_and_rule(story)
    decision: dict[str, Any] = {
        "field": "decision",
        "operation": "set_with_version",
        "value": "keep the schema",
        "base_version": 0,
    }
    story.turn(60, updates=[_note(**decision)])
    story.turn(160)
    bad = [
        _note(operation="merge", value="not an object"),
        _note("invented", evidence_ref="a page that never was"),
        _note("leaked", scope="project", principal="subagent"),
        _note(field="decision", operation="overwrite", value="drop the schema"),
        _note(field="decision", operation="set_with_version", value="rename the schema", base_version=0),
        _note(page_id="rule", field="pin", operation="set_with_version", value="none", base_version=0),
    ]
    story.turn(30, updates=[*bad, _note("a good one", field="log")])
    story.turn(170)
    story.turn(20)
    return story.trace()


def _churn_trace() -> Trace:
    story = _story("gate_evidence_churn")
    reads = [_read(story, number) for number in range(1, 7)]
    for turn in range(12):
        demands = [(f"file-{(turn + 3) % 6 + 1}", Level.FULL)] if turn >= 6 else []
        story.turn(30, calls=[reads[turn % 6]], demands=demands)
    return story.trace()


def _removal(*feature_ids: str) -> dict[str, Any]:
    return {FEATURES[feature_id].field: FEATURES[feature_id].removed for feature_id in feature_ids}


GATES: tuple[Gate, ...] = (
    Gate(
        id="bootstrap_after_compaction",
        title="Bootstrap survives compaction",
        scenario="A session reads until the transcript compacts; the evidence is worth more per token than the "
        "instructions.",
        removal=_removal("auto_pin"),
        trace=_bootstrap_trace,
        unprotected=Expectation(
            "The first prompt after the compaction lacks the instructions.",
            faults={FaultKind.POST_COMPACTION_BOOTSTRAP.value: 1},
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
            faults={FaultKind.FLUSH_MISS.value: 1},
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
            faults={FaultKind.FLUSH_MISS.value: 1},
            committed=1,
            lost=1,
        ),
        protected=Expectation("Both notes are committed at their compactions; no fault.", committed=2, lost=0),
        evidence=("stage", "flush", "boundary", "commit", "lost", "fault"),
    ),
    Gate(
        id="silent_recall_visibility",
        title="No look-up fails silently",
        scenario="Three look-ups: nothing matches, the backend denies, the backend fails.",
        removal=_removal("reasoned_recall"),
        trace=_recall_trace,
        unprotected=Expectation(
            "The model gets three empty answers without a reason: a silent recall for the denial and for the failure.",
            faults={FaultKind.SILENT_RECALL.value: 2},
            reasons=(),
        ),
        protected=Expectation(
            "Every answer carries its reason; no fault.",
            reasons=(RecallOutcome.NO_MATCH.value, RecallOutcome.DENIED.value, RecallOutcome.BACKEND_ERROR.value),
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
                RejectCode.SCHEMA_INVALID.value,
                RejectCode.PROVENANCE_DANGLING.value,
                RejectCode.SCOPE_DENIED.value,
                RejectCode.DESTRUCTIVE_OP.value,
                RejectCode.DESTRUCTIVE_OP.value,
                RejectCode.POLICY_VIOLATION.value,
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
            faults={FaultKind.DUPLICATE_TOOL.value: 6, FaultKind.REFETCH.value: 6},
        ),
        protected=Expectation(
            "Everything is served from the store; repeated calls only raise an alert; no fault.", least_alerts=6
        ),
        evidence=("demand", "tool", "alert", "fault"),
    ),
)
