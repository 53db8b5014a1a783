"""Daily assistant: rounds of mail, calendar and smart home, with look-ups that are not all answered.

The story: a household assistant goes through its rounds. It lists the inbox, reads a message, looks at it again while
it drafts the answer, checks the calendar, goes back to an earlier message, and asks its memory now and then. In a group
channel the memory search is not allowed: the assistant gets an empty list and no reason, and says that nothing is known
(field reports: openclaw 10191, 125534). What it costs today: `silent_recall`, and the duplicate look at one message.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome

__all__ = ["NAME", "SHAPE", "Shape", "build"]

NAME = "daily_assistant"


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in tokens, schedules in turns; calibrated, see ``docs/workloads.md``.

    ``lookups_at`` maps a turn to what the memory backend answers; the fields from ``inbox_at`` to ``returns_at`` are
    places in a round, from 1 to ``round_length``; ``unlock_at`` is a turn at a place that the round leaves free.
    """

    turns: int = 40
    lookups_at: tuple[tuple[int, RecallOutcome], ...] = (
        (5, RecallOutcome.OK),
        (12, RecallOutcome.DENIED),
        (18, RecallOutcome.NO_MATCH),
        (33, RecallOutcome.OK),
    )
    round_length: int = 8
    inbox_at: int = 1
    messages_at: tuple[int, ...] = (2, 5)
    again_at: tuple[int, ...] = (3,)
    calendar_at: int = 4
    returns_at: tuple[int, ...] = (7, 8)
    unlock_at: int = 22
    preferences: int = 3
    preference_every: int = 12
    habit_every: int = 8
    instructions: int = 2
    instruction: Ladder = Ladder(3, 7, 12, 22)
    constraint: Ladder = Ladder(2, 7, 10, 16)
    preference: Ladder = Ladder(2, 5, 9, 14)
    message: Ladder = Ladder(2, 6, 12, 24)
    inbox: Ladder = Ladder(2, 5, 10, 18)
    transcript_per_turn: int = 24
    limit_in_budgets: float = 2.4
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
    story = TraceBuilder(NAME, budget, "Rounds of mail, calendar and smart home.", accounting)
    for number in range(1, shape.instructions + 1):
        story.page(
            f"household-instructions-{number}",
            PageType.BOOTSTRAP_POLICY,
            shape.instruction,
            provenance=Provenance("file", f"AGENTS-{number}.md"),
            base_utility=10.0,
        )
    story.page(
        "rule-ask-before-unlocking",
        PageType.CONSTRAINT,
        shape.constraint,
        provenance=Provenance("user", "turn-1"),
        base_utility=7.0,
    )
    for number in range(1, shape.preferences + 1):
        story.page(
            f"preference-{number}",
            PageType.PREFERENCE,
            shape.preference,
            provenance=Provenance("file", "USER.md"),
            base_utility=6.0,
        )
    lookups_at = dict(shape.lookups_at)
    messages: list[Call] = []
    for turn in range(1, shape.turns + 1):
        calls = _round(story, shape, turn, messages)
        demands = []
        if turn % shape.preference_every == 0:
            demands.append((f"preference-{turn // shape.preference_every % shape.preferences + 1}", Level.STRUCTURED))
        lookups = [(f"memory-{turn}", lookups_at[turn])] if turn in lookups_at else []
        updates = [_habit(turn, shape)] if turn % shape.habit_every == 0 else []
        story.turn(shape.transcript_per_turn, calls=calls, demands=demands, lookups=lookups, updates=updates)
    return story.trace()


def _round(story: TraceBuilder, shape: Shape, turn: int, messages: list[Call]) -> list[Call]:
    """Return the calls of one turn: the inbox, a message, the same again, the calendar, an earlier one, the door."""
    place = (turn - 1) % shape.round_length + 1
    if place == shape.inbox_at:
        # The inbox is another one every time: its tool is not deterministic, so looking again is no duplicate.
        return [story.tool("mail.list", {"folder": "inbox"}, "inbox", shape.inbox, deterministic=False)]
    if place in shape.messages_at:
        messages.append(_message(story, shape, len(messages) + 1))
        return [messages[-1]]
    if place == shape.calendar_at:
        day = turn // shape.round_length + 1
        return [
            story.tool(
                "calendar.day", {"day": day}, f"calendar-{day}", shape.inbox, base_utility=4.0, recompute_cost=6.0
            )
        ]
    if place in shape.again_at:
        return [messages[-1]]
    if place in shape.returns_at:
        return [messages[-(turn % 2 + 1)]]
    if turn == shape.unlock_at:
        return [story.tool("door.unlock", {"door": "front"}, outcome=ToolOutcome.DENIED)]
    return []


def _message(story: TraceBuilder, shape: Shape, number: int) -> Call:
    return story.tool(
        "mail.read", {"id": number}, f"message-{number}", shape.message, base_utility=5.0, recompute_cost=6.0
    )


def _habit(turn: int, shape: Shape) -> Update:
    return Update(
        page_id=f"preference-{turn // shape.habit_every % shape.preferences + 1}",
        field="habits",
        operation="merge",
        value={f"turn-{turn}": "observed"},
        scope="project",
        evidence_ref="rule-ask-before-unlocking",
    )
