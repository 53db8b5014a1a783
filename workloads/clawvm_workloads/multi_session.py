"""Multi-session: one project through several resets; preferences and the plan persist, dirty state meets the boundary.

The story: somebody works on a project a little every day and types /new in between, sometimes right after the agent
noted
a decision. Users report that a reset bypasses the flush (field reports: openclaw 45608, 8185), that sessions are
replaced
without being asked (openclaw 93052, 130063), and that the next session knows nothing of the rules. What it costs today:
`flush_miss` at the reset, `post_compaction_bootstrap` in the new session, `refetch` of what was known yesterday.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType

__all__ = ["NAME", "SHAPE", "Shape", "build"]

NAME = "multi_session"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in tokens, schedules in turns; ``dirty_at_end`` names the sessions that a late decision leaves dirty."""

    sessions: int = 5
    turns_per_session: int = 10
    dirty_at_end: tuple[int, ...] = (1, 2, 4)
    reads_per_session: int = 4
    reread_stride: int = 3
    decision_at: int = 4
    preference_at: int = 3
    plan_at: tuple[int, ...] = (1, 6)
    preferences: int = 3
    instructions: int = 2
    instruction: Ladder = Ladder(3, 14, 20, 36)
    preference: Ladder = Ladder(2, 5, 9, 14)
    plan: Ladder = Ladder(3, 10, 16, 24)
    evidence: Ladder = Ladder(2, 7, 14, 27)
    transcript_per_turn: int = 30
    limit_in_budgets: float = 2.0
    soft_share: float = 0.75
    summary_share: float = 0.2


SHAPE = Shape()


def build(budget: int, shape: Shape = SHAPE) -> Trace:
    """Return the trace for a token budget; only the harness's accounting depends on the budget."""
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    story = TraceBuilder(NAME, budget, "One project through several resets.", accounting)
    for number in range(1, shape.instructions + 1):
        story.page(
            f"instructions-{number}",
            PageType.BOOTSTRAP_POLICY,
            shape.instruction,
            provenance=Provenance("file", f"AGENTS-{number}.md"),
            base_utility=10.0,
        )
    for number in range(1, shape.preferences + 1):
        story.page(
            f"preference-{number}",
            PageType.PREFERENCE,
            shape.preference,
            provenance=Provenance("file", "USER.md"),
            base_utility=6.0,
        )
    story.page("plan", PageType.PLAN, shape.plan, provenance=Provenance("file", "PLAN.md"), base_utility=8.0)
    for session in range(1, shape.sessions + 1):
        if session > 1:
            story.reset(f"session-{session}")
        _session(story, shape, session)
    return story.trace()


def _session(story: TraceBuilder, shape: Shape, session: int) -> None:
    reads: list[Call] = []
    for turn in range(1, shape.turns_per_session + 1):
        demands = []
        updates = []
        calls = []
        if turn in shape.plan_at:
            demands.append(("plan", Level.STRUCTURED))
        if turn == shape.preference_at:
            demands.append((f"preference-{session % shape.preferences + 1}", Level.FULL))
        if len(reads) < shape.reads_per_session and turn % 2 == 1:
            number = (session - 1) * shape.reads_per_session + len(reads) + 1
            reads.append(
                story.tool(
                    "read",
                    {"path": f"notes/topic_{number}.md"},
                    f"topic-{number}",
                    shape.evidence,
                    base_utility=5.0,
                    recompute_cost=8.0,
                )
            )
            calls.append(reads[-1])
        elif turn % 2 == 0:
            calls.append(reads[(turn * shape.reread_stride) % len(reads)])
        if turn == shape.decision_at:
            updates.append(_decision(session, "morning"))
        if turn == shape.turns_per_session and session in shape.dirty_at_end:
            updates.append(_decision(session, "evening"))
        story.turn(shape.transcript_per_turn, calls=calls, demands=demands, updates=updates)


def _decision(session: int, part_of_day: str) -> Update:
    return Update(
        page_id="plan",
        field="decisions",
        operation="merge",
        value={f"session-{session}-{part_of_day}": "decided"},
        scope="session",
        evidence_ref="plan",
    )
