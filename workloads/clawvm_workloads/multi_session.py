"""Multi-session: one project through several resets; preferences and the plan persist, dirty state meets the boundary.

The story: somebody works on a project a little every day and types /new in between, sometimes right after the agent
noted a decision. Little is read twice within a session, so most of the cost falls at the boundaries. Users report that
a reset bypasses the flush (field reports: openclaw 45608, 8185), that sessions are replaced without being asked
(openclaw 93052, 130063), and that the next session knows nothing of the rules. What it costs today: `flush_miss` at the
reset, `post_compaction_bootstrap` in the new session, `refetch` of what was known yesterday.
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
    """Sizes in tokens, schedules in turns of a session; calibrated, see ``docs/workloads.md``.

    ``returns_in``, ``preference_asked_in``, ``plan_asked_in`` and ``dirty_at_end`` name sessions.
    """

    sessions: int = 5
    turns_per_session: int = 8
    reads_at: tuple[int, ...] = (1, 4)
    again_at: tuple[int, ...] = (2,)
    return_at: int = 7
    returns_in: tuple[int, ...] = (2, 4)
    preference_at: int = 3
    preference_asked_in: tuple[int, ...] = (1, 3, 5)
    plan_asked_in: tuple[int, ...] = (1, 4)
    dirty_at_end: tuple[int, ...] = (2, 4)
    preferences: int = 3
    instructions: int = 4
    instruction: Ladder = Ladder(3, 6, 10, 20)
    preference: Ladder = Ladder(2, 5, 9, 14)
    plan: Ladder = Ladder(3, 9, 15, 24)
    topic: Ladder = Ladder(2, 6, 12, 24)
    transcript_per_turn: int = 30
    limit_in_budgets: float = 1.8
    soft_share: float = 0.95
    summary_share: float = 0.15


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
    topics: list[Call] = []
    for turn in range(1, shape.turns_per_session + 1):
        demands = []
        updates = []
        calls = []
        if turn == 1 and session in shape.plan_asked_in:
            demands.append(("plan", Level.STRUCTURED))
        if turn == shape.preference_at and session in shape.preference_asked_in:
            demands.append((f"preference-{session % shape.preferences + 1}", Level.FULL))
        if turn in shape.reads_at:
            topics.append(_topic(story, shape, session, len(topics) + 1))
            calls.append(topics[-1])
        elif turn in shape.again_at:
            calls.append(topics[-1])
        elif turn == shape.return_at and session in shape.returns_in:
            calls.append(topics[0])
        if turn == shape.turns_per_session and session in shape.dirty_at_end:
            updates.append(_decision(session))
        story.turn(shape.transcript_per_turn, calls=calls, demands=demands, updates=updates)


def _topic(story: TraceBuilder, shape: Shape, session: int, number: int) -> Call:
    name = f"{session}-{number}"
    return story.tool(
        "read",
        {"path": f"notes/topic_{name}.md"},
        f"topic-{name}",
        shape.topic,
        base_utility=5.0,
        recompute_cost=8.0,
    )


def _decision(session: int) -> Update:
    return Update(
        page_id="plan",
        field="decisions",
        operation="merge",
        value={f"session-{session}": "decided"},
        scope="session",
        evidence_ref="plan",
    )
