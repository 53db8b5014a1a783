"""The four workload families by name: a new family is a module with ``NAME`` and ``build``, and a row here.

=================  ====================================================
FAMILIES           family name to the function from budget to trace
BUDGETS            the published token budgets
committed_path     where the trace of a family and budget is committed
=================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clawvm_replay.trace_builder import LevelCosts, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome

__all__ = ["BUDGETS", "FAMILIES", "PAPER_BUDGETS", "PAPER_FAMILIES", "Family", "committed_path"]


# --- Evidence-heavy: a debugging session that reads the same files, listings and test logs again and again.


@dataclass(frozen=True, slots=True)
class EvidenceHeavyShape:
    """Sizes in tokens, schedules in turns; calibrated, see ``docs/workloads.md``."""

    turns: int = 88
    resources: int = 11
    new_resource_every: int = 4
    front_turns: int = 3
    returns_per_turn: int = 2
    return_stride: int = 5
    edit_every: int = 12
    finding_every: int = 9
    instructions: int = 1
    instruction: LevelCosts = LevelCosts(3, 10, 16, 28)
    constraint: LevelCosts = LevelCosts(2, 6, 9, 14)
    plan: LevelCosts = LevelCosts(3, 8, 13, 22)
    file: LevelCosts = LevelCosts(2, 6, 12, 22)
    log: LevelCosts = LevelCosts(2, 5, 10, 18)
    transcript_per_turn: int = 28
    limit_in_budgets: float = 5.0
    soft_share: float = 0.95
    summary_share: float = 0.15


def _evidence_heavy(budget: int, shape: EvidenceHeavyShape) -> Trace:
    """Return the trace for a token budget; only the harness's accounting depends on the budget."""
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    story = TraceBuilder("evidence_heavy", budget, "A debugging session that re-reads files and test logs.", accounting)
    for number in range(1, shape.instructions + 1):
        story.page(
            f"instructions-{number}",
            PageType.BOOTSTRAP_POLICY,
            shape.instruction,
            provenance=Provenance("file", f"AGENTS-{number}.md"),
            base_utility=9.0,
        )
    story.page("rule-no-migrations", PageType.CONSTRAINT, shape.constraint, provenance=_user(1), base_utility=7.0)
    story.page("plan", PageType.PLAN, shape.plan, provenance=_user(1), base_utility=8.0)

    reads: list[Call] = []
    front = 0
    for turn in range(1, shape.turns + 1):
        calls = []
        if turn % shape.new_resource_every == 1 and len(reads) < shape.resources:
            reads.append(_first_read(story, shape, len(reads) + 1))
            calls.append(reads[-1])
        if turn % shape.front_turns == 1:
            front = (front + shape.return_stride) % len(reads)
        if turn % shape.edit_every == 0:
            _edit(story, shape, front + 1)
        beside = [(turn * shape.return_stride + 2 * place) % len(reads) for place in range(shape.returns_per_turn)]
        for number in (front, *beside):
            if reads[number] not in calls:
                calls.append(reads[number])
        updates = [_finding(turn)] if turn % shape.finding_every == 0 else []
        demands = [("plan", Level.STRUCTURED)] if turn % shape.finding_every == 0 else []
        story.turn(shape.transcript_per_turn, calls=calls, demands=demands, updates=updates)
    return story.trace()


def _user(turn: int) -> Provenance:
    return Provenance("user", f"turn-{turn}")


def _is_log(number: int) -> bool:
    """Every third resource is the log of a test run instead of a file."""
    return number % 3 == 0


def _first_read(story: TraceBuilder, shape: EvidenceHeavyShape, number: int) -> Call:
    if _is_log(number):
        arguments = {"command": f"run-tests --only suite_{number}"}
        return story.tool("shell", arguments, f"log-{number}", shape.log, base_utility=5.0, recompute_cost=8.0)
    arguments = {"path": f"src/module_{number}.py"}
    return story.tool("read", arguments, f"file-{number}", shape.file, base_utility=5.0, recompute_cost=8.0)


def _edit(story: TraceBuilder, shape: EvidenceHeavyShape, number: int) -> None:
    """An edit of a file, or a new run of a test, makes what was read stale."""
    page_id, ladder = (f"log-{number}", shape.log) if _is_log(number) else (f"file-{number}", shape.file)
    story.replace(page_id, PageType.EVIDENCE, ladder, base_utility=5.0, recompute_cost=8.0)


def _finding(turn: int) -> Update:
    return Update(
        page_id="plan",
        field="findings",
        operation="append",
        value=[f"finding of turn {turn}"],
        scope="session",
        evidence_ref="file-1",
    )


# --- Long-horizon: one long session through several compactions; instructions, constraints and the plan have to survive.


@dataclass(frozen=True, slots=True)
class LongHorizonShape:
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
    instruction: LevelCosts = LevelCosts(3, 10, 16, 28)
    constraint: LevelCosts = LevelCosts(2, 5, 8, 12)
    plan: LevelCosts = LevelCosts(3, 8, 13, 22)
    chapter: LevelCosts = LevelCosts(2, 6, 12, 22)
    transcript_per_turn: int = 22
    long_result: int = 90
    limit_in_budgets: float = 3.6
    soft_share: float = 0.95
    summary_share: float = 0.15


def _long_horizon(budget: int, shape: LongHorizonShape) -> Trace:
    """Return the trace for a token budget; only the harness's accounting depends on the budget."""
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    story = TraceBuilder("long_horizon", budget, "One long session through several compactions.", accounting)
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


def _chapters(story: TraceBuilder, shape: LongHorizonShape, turn: int, chapters: list[Call]) -> list[Call]:
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


def _new_rule(story: TraceBuilder, shape: LongHorizonShape, number: int, turn: int) -> str:
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


# --- Multi-session: one project through several resets; preferences and the plan persist, dirty state meets the boundary.


@dataclass(frozen=True, slots=True)
class MultiSessionShape:
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
    instruction: LevelCosts = LevelCosts(3, 6, 10, 20)
    preference: LevelCosts = LevelCosts(2, 5, 9, 14)
    plan: LevelCosts = LevelCosts(3, 9, 15, 24)
    topic: LevelCosts = LevelCosts(2, 6, 12, 24)
    transcript_per_turn: int = 30
    limit_in_budgets: float = 1.8
    soft_share: float = 0.95
    summary_share: float = 0.15


def _multi_session(budget: int, shape: MultiSessionShape) -> Trace:
    """Return the trace for a token budget; only the harness's accounting depends on the budget."""
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    story = TraceBuilder("multi_session", budget, "One project through several resets.", accounting)
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


def _session(story: TraceBuilder, shape: MultiSessionShape, session: int) -> None:
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


def _topic(story: TraceBuilder, shape: MultiSessionShape, session: int, number: int) -> Call:
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


# --- Daily assistant: rounds of mail, calendar and smart home, with look-ups that are not all answered.


@dataclass(frozen=True, slots=True)
class DailyAssistantShape:
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
    instruction: LevelCosts = LevelCosts(3, 7, 12, 22)
    constraint: LevelCosts = LevelCosts(2, 7, 10, 16)
    preference: LevelCosts = LevelCosts(2, 5, 9, 14)
    message: LevelCosts = LevelCosts(2, 6, 12, 24)
    inbox: LevelCosts = LevelCosts(2, 5, 10, 18)
    transcript_per_turn: int = 24
    limit_in_budgets: float = 2.4
    soft_share: float = 0.95
    summary_share: float = 0.15


def _daily_assistant(budget: int, shape: DailyAssistantShape) -> Trace:
    """Return the trace for a token budget; only the harness's accounting depends on the budget."""
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    story = TraceBuilder("daily_assistant", budget, "Rounds of mail, calendar and smart home.", accounting)
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


def _round(story: TraceBuilder, shape: DailyAssistantShape, turn: int, messages: list[Call]) -> list[Call]:
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


def _message(story: TraceBuilder, shape: DailyAssistantShape, number: int) -> Call:
    return story.tool(
        "mail.read", {"id": number}, f"message-{number}", shape.message, base_utility=5.0, recompute_cost=6.0
    )


def _habit(turn: int, shape: DailyAssistantShape) -> Update:
    return Update(
        page_id=f"preference-{turn // shape.habit_every % shape.preferences + 1}",
        field="habits",
        operation="merge",
        value={f"turn-{turn}": "observed"},
        scope="project",
        evidence_ref="rule-ask-before-unlocking",
    )


# --- The four workload families by name: a new family is a module with ``NAME`` and ``build``, and a row here.


@dataclass(frozen=True, slots=True)
class Family:
    """A workload family: a story, and the shape of constants from which ``build`` makes its trace."""

    name: str
    shape: Any
    build: Callable[[int, Any], Trace]

    def __call__(self, budget: int, shape: Any = None) -> Trace:
        """Return the trace for a *budget* in tokens; another *shape* gives another size of the same story."""
        return self.build(budget, self.shape if shape is None else shape)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("evidence_heavy", EvidenceHeavyShape(), _evidence_heavy),
        Family("long_horizon", LongHorizonShape(), _long_horizon),
        Family("multi_session", MultiSessionShape(), _multi_session),
        Family("daily_assistant", DailyAssistantShape(), _daily_assistant),
    )
}

PAPER_FAMILIES = ("evidence_heavy", "long_horizon", "multi_session", "daily_assistant")
PAPER_BUDGETS = (120, 180, 240, 300, 380, 500)
BUDGETS = PAPER_BUDGETS


def committed_path(workload: str, budget: int) -> str:
    """Return the path of a committed trace, relative to the repository: one folder per family, one file per budget."""
    return f"traces/{workload}/{workload}-b{budget:04d}.trace.jsonl"
