"""Long-horizon: one long session through several compactions; instructions, constraints and the plan have to survive.

The story: a user gives rules along the way ("never touch the schema", "ask before you delete"), the agent works through
a long plan and ticks off its steps. It opens a chapter, looks at it again in the next turns, and keeps going back to
earlier ones; the harness compacts again and again. Users report that afterwards the rules are gone and nothing reads
the notes back (field reports: openclaw 17727, 7618, 5429; claude-code 68636, 24460), and that the flush before the
compaction ran on a stale count or not at all (openclaw 2397, 5457). What it costs today: `post_compaction_bootstrap`,
`pinned_invariant_miss`, `flush_miss`.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType

__all__ = ["NAME", "SHAPE", "Shape", "build"]

NAME = "long_horizon"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in tokens, schedules in turns; calibrated, see ``docs/workloads.md``."""

    turns: int = 72
    rules_at: tuple[int, ...] = (2, 11, 25)
    rule_consulted_every: int = 30
    steps: int = 10
    step_update_every: int = 8
    chapter_every: int = 8
    looked_at_again: int = 2
    long_result_every: int = 14
    instructions: int = 2
    instruction: Ladder = Ladder(3, 10, 16, 28)
    constraint: Ladder = Ladder(2, 5, 8, 12)
    plan: Ladder = Ladder(3, 8, 13, 22)
    chapter: Ladder = Ladder(2, 6, 12, 22)
    transcript_per_turn: int = 22
    long_result: int = 90
    limit_in_budgets: float = 3.6
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
    story = TraceBuilder(NAME, budget, "One long session through several compactions.", accounting)
    for number in range(1, shape.instructions + 1):
        story.page(
            f"instructions-{number}",
            PageType.BOOTSTRAP_POLICY,
            shape.instruction,
            provenance=Provenance("file", f"AGENTS-{number}.md"),
            base_utility=10.0,
        )
    story.page("plan", PageType.PLAN, shape.plan, provenance=Provenance("user", "turn-1"), base_utility=8.0)

    rules: list[str] = []
    chapters: list[Call] = []
    for turn in range(1, shape.turns + 1):
        demands: list[tuple[str, Level]] = []
        updates = []
        if turn in shape.rules_at:
            rules.append(_new_rule(story, shape, len(rules) + 1, turn))
            demands.append((rules[-1], Level.STRUCTURED))
        elif rules and turn % shape.rule_consulted_every == 0:
            demands.append((rules[(turn // shape.rule_consulted_every) % len(rules)], Level.STRUCTURED))
        calls = _chapters(story, shape, turn, chapters)
        if turn % shape.step_update_every == 0:
            demands.append(("plan", Level.STRUCTURED))
            updates.append(_tick(turn // shape.step_update_every, shape.steps))
        growth = shape.long_result if turn % shape.long_result_every == 0 else shape.transcript_per_turn
        story.turn(growth, calls=calls, demands=demands, updates=updates)
    return story.trace()


def _chapters(story: TraceBuilder, shape: Shape, turn: int, chapters: list[Call]) -> list[Call]:
    """Return the reads of one turn: a new chapter or the one in work, and one of the earlier chapters."""
    calls = []
    since = (turn - 1) % shape.chapter_every
    if since == 0:
        number = len(chapters) + 1
        chapters.append(
            story.tool(
                "read",
                {"path": f"docs/chapter_{number}.md"},
                f"chapter-{number}",
                shape.chapter,
                base_utility=5.0,
                recompute_cost=8.0,
            )
        )
    if since <= shape.looked_at_again:
        calls.append(chapters[-1])
    earlier = chapters[turn % len(chapters)]
    if earlier not in calls:
        calls.append(earlier)
    return calls


def _new_rule(story: TraceBuilder, shape: Shape, number: int, turn: int) -> str:
    return story.page(
        f"rule-{number}",
        PageType.CONSTRAINT,
        shape.constraint,
        provenance=Provenance("user", f"turn-{turn}"),
        base_utility=7.0,
    )


def _tick(step: int, steps: int) -> Update:
    """The agent ticks off a step; the plan stays active, because it is extended while it is worked on."""
    return Update(
        page_id="plan",
        field=f"step-{(step - 1) % steps + 1}",
        operation="set_with_version",
        value="done",
        scope="session",
        evidence_ref="plan",
    )
