"""The workload families: one story each, as a trace at any token budget.

Only the harness's accounting depends on the budget. ``FAMILIES`` is open: any callable from a budget to a trace may be
added. The paper's tables take ``PAPER_FAMILIES`` at ``PAPER_BUDGETS``. Sizes and schedules are calibrated, in two
``SIZINGS``: see ``docs/workloads.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clawvm_replay import published
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome

__all__ = [
    "COMMITTED_SIZING",
    "EVIDENCE",
    "FAMILIES",
    "PAPER_BUDGETS",
    "PAPER_FAMILIES",
    "SHAPED_FAMILIES",
    "SIZINGS",
    "Family",
    "committed_path",
    "open_story",
    "plan_page",
    "preference_page",
    "rule_page",
    "user",
]

PAPER_FAMILIES = published.WORKLOADS

PAPER_BUDGETS = published.BUDGETS

EVIDENCE: Mapping[str, Any] = MappingProxyType({"base_utility": 5.0, "recompute_cost": 8.0})
"""The utility of a file, log or source that was read, and the cost of reading it again."""


def user(turn: int) -> Provenance:
    """Return the provenance of the user's message in a turn."""
    return Provenance("user", f"turn-{turn}")


def open_story(
    workload: str,
    budget: int,
    description: str,
    accounting: Accounting | None,
    *instructions: LevelCosts,
    utility: float = 9.0,
    page_id: str = "instructions",
) -> TraceBuilder:
    """Return a story for a *budget* in tokens with one page of instructions for each of *instructions*."""
    story = TraceBuilder(workload, budget, description, accounting)
    for number, costs in enumerate(instructions, start=1):
        source = Provenance("file", f"AGENTS-{number}.md")
        story.page(f"{page_id}-{number}", PageType.BOOTSTRAP_POLICY, costs, provenance=source, base_utility=utility)
    return story


# Base utilities rank the types: instructions 9 or 10, plan 8, rule 7, preference 6, evidence 5.


def plan_page(
    story: TraceBuilder, costs: LevelCosts, page_id: str = "plan", source: Provenance | None = None, **more: Any
) -> None:
    """Declare a plan, set by the user's next message unless it has another *source*."""
    provenance = user(story.next_turn) if source is None else source
    story.page(page_id, PageType.PLAN, costs, provenance=provenance, base_utility=8.0, **more)


def rule_page(story: TraceBuilder, page_id: str, costs: LevelCosts) -> str:
    """Declare a constraint that the user's next message sets, and return its id."""
    return story.page(page_id, PageType.CONSTRAINT, costs, provenance=user(story.next_turn), base_utility=7.0)


def preference_page(story: TraceBuilder, page_id: str, costs: LevelCosts) -> None:
    """Declare a preference of the user that a file keeps."""
    story.page(page_id, PageType.PREFERENCE, costs, provenance=Provenance("file", "USER.md"), base_utility=6.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """The constants that every family has: sizes in tokens, schedules in turns."""

    instructions: int = 2
    instruction: LevelCosts = LevelCosts(3, 10, 16, 28)
    transcript_per_turn: int = 22
    limit_in_budgets: float = 3.6
    soft_share: float = 0.95
    summary_share: float = 0.15


def _open(name: str, budget: int, description: str, shape: Shape, **more: Any) -> TraceBuilder:
    accounting = accounting_for(
        budget,
        limit_in_budgets=shape.limit_in_budgets,
        soft_share=shape.soft_share,
        summary_share=shape.summary_share,
    )
    return open_story(name, budget, description, accounting, *shape.instructions * (shape.instruction,), **more)


# --- Evidence-heavy: a debugging session that reads the same files, listings and test logs again and again.


@dataclass(frozen=True, slots=True)
class EvidenceHeavyShape(Shape):
    """Every third resource is the log of a test run instead of a file; findings go to the ``plans`` in turn."""

    turns: int = 136
    resources: int = 8
    new_resource_every: int = 6
    front_turns: int = 3
    returns_per_turn: int = 1
    return_stride: int = 5
    edit_every: int = 16
    finding_every: int = 14
    plans: int = 3
    rules: int = 1
    instructions: int = 1
    instruction: LevelCosts = LevelCosts(3, 6, 10, 17)
    constraint: LevelCosts = LevelCosts(2, 6, 9, 14)
    plan: LevelCosts = LevelCosts(3, 9, 15, 24)
    file: LevelCosts = LevelCosts(2, 6, 12, 22)
    log: LevelCosts = LevelCosts(2, 5, 10, 18)
    transcript_per_turn: int = 22
    limit_in_budgets: float = 6.0

    def resource(self, number: int) -> tuple[str, LevelCosts]:
        """Return the page id and the costs of a resource."""
        return (f"log-{number}", self.log) if number % 3 == 0 else (f"file-{number}", self.file)


def _evidence_heavy(budget: int, shape: EvidenceHeavyShape) -> Trace:
    story = _open("evidence_heavy", budget, "A debugging session that re-reads files and test logs.", shape)
    _rules(story, "rule-no-migrations", shape.rules, shape.constraint)
    plans = _plans(story, shape.plans, shape.plan)
    reads: list[Call] = []
    front = 0
    for turn in range(1, shape.turns + 1):
        calls = []
        if turn % shape.new_resource_every == 1 and len(reads) < shape.resources:
            reads.append(_first_read(story, shape, len(reads) + 1))
            calls.append(reads[-1])
        if turn % shape.front_turns == 1:
            front = (front + shape.return_stride) % len(reads)
        if turn % shape.edit_every == 0:  # An edited file, or a test that ran again: the old content is stale.
            page_id, costs = shape.resource(front + 1)
            story.replace(page_id, PageType.EVIDENCE, costs, **EVIDENCE)
        returns = [(turn * shape.return_stride + 2 * place) % len(reads) for place in range(shape.returns_per_turn)]
        for number in (front, *returns):
            if reads[number] not in calls:
                calls.append(reads[number])
        found = turn % shape.finding_every == 0
        plan = plans[(turn // shape.finding_every - 1) % len(plans)]
        finding = Update(plan, "findings", "append", [f"finding of turn {turn}"], "session", "file-1")
        story.turn(
            shape.transcript_per_turn,
            calls=calls,
            demands=[(plan, Level.STRUCTURED)] if found else [],
            updates=[finding] if found else [],
        )
    return story.trace()


def _rules(story: TraceBuilder, page_id: str, number: int, costs: LevelCosts) -> None:
    """Declare the rules that the user sets in the first message."""
    for rule_id in (page_id, *(f"{page_id}-{place}" for place in range(2, number + 1))):
        rule_page(story, rule_id, costs)


def _plans(story: TraceBuilder, number: int, costs: LevelCosts) -> list[str]:
    """Declare the plans that a session works on in turn, and return their ids."""
    plans = ["plan", *(f"plan-{place}" for place in range(2, number + 1))]
    for page_id in plans:
        plan_page(story, costs, page_id)
    return plans


def _first_read(story: TraceBuilder, shape: EvidenceHeavyShape, number: int) -> Call:
    page_id, costs = shape.resource(number)
    if page_id.startswith("log"):
        return story.tool("shell", {"command": f"run-tests --only suite_{number}"}, page_id, costs, **EVIDENCE)
    return story.tool("read", {"path": f"src/module_{number}.py"}, page_id, costs, **EVIDENCE)


# --- Long-horizon: one session through several compactions; instructions, constraints and the plan have to survive.


@dataclass(frozen=True, slots=True)
class LongHorizonShape(Shape):
    """Chapters are read one after the other, earlier ones again; the user sets rules; steps of ``plans`` get done."""

    turns: int = 88
    rules_at: tuple[int, ...] = (2,)
    rule_consulted_every: int = 30
    plans: int = 3
    steps: int = 10
    step_update_every: int = 12
    chapter_every: int = 10
    looked_at_again: int = 1
    long_result_every: int = 8
    instructions: int = 1
    instruction: LevelCosts = LevelCosts(3, 14, 22, 36)
    constraint: LevelCosts = LevelCosts(2, 7, 10, 16)
    plan: LevelCosts = LevelCosts(3, 8, 13, 22)
    chapter: LevelCosts = LevelCosts(2, 6, 12, 22)
    long_result: int = 75
    transcript_per_turn: int = 16
    limit_in_budgets: float = 5.0


def _long_horizon(budget: int, shape: LongHorizonShape) -> Trace:
    story = _open("long_horizon", budget, "One long session through several compactions.", shape, utility=10.0)
    plans = _plans(story, shape.plans, shape.plan)
    rules: list[str] = []
    chapters: list[Call] = []
    for turn in range(1, shape.turns + 1):
        demands: list[tuple[str, Level]] = []
        updates = []
        if turn in shape.rules_at:
            rules.append(rule_page(story, f"rule-{len(rules) + 1}", shape.constraint))
            demands.append((rules[-1], Level.STRUCTURED))
        elif rules and turn % shape.rule_consulted_every == 0:
            demands.append((rules[(turn // shape.rule_consulted_every) % len(rules)], Level.STRUCTURED))
        calls = _chapters(story, shape, turn, chapters)
        if turn % shape.step_update_every == 0:
            # The plan is extended while it is worked on, so it stays active although its steps get done.
            number = turn // shape.step_update_every - 1
            plan = plans[number % len(plans)]
            demands.append((plan, Level.STRUCTURED))
            updates.append(
                Update(plan, f"step-{number % shape.steps + 1}", "set_with_version", "done", "session", plan)
            )
        growth = shape.long_result if turn % shape.long_result_every == 0 else shape.transcript_per_turn
        story.turn(growth, calls=calls, demands=demands, updates=updates)
    return story.trace()


def _chapters(story: TraceBuilder, shape: LongHorizonShape, turn: int, chapters: list[Call]) -> list[Call]:
    """Return the reads of one turn: a new chapter or the one in work, and one of the earlier chapters."""
    since = (turn - 1) % shape.chapter_every
    if since == 0:
        number = len(chapters) + 1
        path = {"path": f"docs/chapter_{number}.md"}
        chapters.append(story.tool("read", path, f"chapter-{number}", shape.chapter, **EVIDENCE))
    calls = [chapters[-1]] if since <= shape.looked_at_again else []
    earlier = chapters[turn % len(chapters)]
    return calls if earlier in calls else [*calls, earlier]


# --- Multi-session: one project through several resets; preferences and the plan persist, dirty state meets a reset.


@dataclass(frozen=True, slots=True)
class MultiSessionShape(Shape):
    """``returns_in``, ``preference_asked_in``, ``plan_asked_in`` and ``dirty_at_end`` name sessions."""

    sessions: int = 6
    turns_per_session: int = 8
    reads_at: tuple[int, ...] = (1, 4)
    again_at: tuple[int, ...] = (2,)
    return_at: int = 7
    returns_in: tuple[int, ...] = (1, 3, 5)
    preference_at: int = 3
    preference_asked_in: tuple[int, ...] = (1, 3, 5)
    plan_asked_in: tuple[int, ...] = (1, 4)
    dirty_at_end: tuple[int, ...] = (2, 4)
    preferences: int = 3
    instructions: int = 4
    instruction: LevelCosts = LevelCosts(3, 12, 20, 33)
    preference: LevelCosts = LevelCosts(1, 3, 6, 10)
    plan: LevelCosts = LevelCosts(3, 9, 15, 24)
    topic: LevelCosts = LevelCosts(2, 6, 12, 24)
    transcript_per_turn: int = 18
    limit_in_budgets: float = 2.8


def _multi_session(budget: int, shape: MultiSessionShape) -> Trace:
    story = _open("multi_session", budget, "One project through several resets.", shape, utility=10.0)
    for number in range(1, shape.preferences + 1):
        preference_page(story, f"preference-{number}", shape.preference)
    plan_page(story, shape.plan, source=Provenance("file", "PLAN.md"))
    for session in range(1, shape.sessions + 1):
        if session > 1:
            story.reset(f"session-{session}")
        topics: list[Call] = []
        for turn in range(1, shape.turns_per_session + 1):
            _session_turn(story, shape, session, turn, topics)
    return story.trace()


def _session_turn(story: TraceBuilder, shape: MultiSessionShape, session: int, turn: int, topics: list[Call]) -> None:
    calls = []
    demands = []
    updates = []
    if turn == 1 and session in shape.plan_asked_in:
        demands.append(("plan", Level.STRUCTURED))
    if turn == shape.preference_at and session in shape.preference_asked_in:
        demands.append((f"preference-{session % shape.preferences + 1}", Level.FULL))
    if turn in shape.reads_at:
        name = f"{session}-{len(topics) + 1}"
        path = {"path": f"notes/topic_{name}.md"}
        topics.append(story.tool("read", path, f"topic-{name}", shape.topic, **EVIDENCE))
        calls.append(topics[-1])
    elif turn in shape.again_at:
        calls.append(topics[-1])
    elif turn == shape.return_at and session in shape.returns_in:
        calls.append(topics[0])
    if turn == shape.turns_per_session and session in shape.dirty_at_end:
        decision = {f"session-{session}": "decided"}
        updates.append(Update("plan", "decisions", "merge", decision, "session", "plan"))
    story.turn(shape.transcript_per_turn, calls=calls, demands=demands, updates=updates)


# --- Daily assistant: rounds of mail, calendar and smart home, with recalls that are not all answered.


@dataclass(frozen=True, slots=True)
class DailyAssistantShape(Shape):
    """``recalls_at`` maps a turn to what the memory backend answers.

    The fields from ``inbox_at`` to ``returns_at`` are places in a round, from 1 to ``round_length``; ``unlock_at`` is a
    turn at a place that the round leaves free.
    """

    turns: int = 48
    recalls_at: tuple[tuple[int, RecallOutcome], ...] = (
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
    rules: int = 3
    preferences: int = 3
    preference_every: int = 16
    habit_every: int = 5
    instructions: int = 3
    instruction: LevelCosts = LevelCosts(3, 6, 10, 20)
    constraint: LevelCosts = LevelCosts(2, 5, 8, 12)
    preference: LevelCosts = LevelCosts(1, 3, 6, 10)
    message: LevelCosts = LevelCosts(2, 6, 12, 24)
    inbox: LevelCosts = LevelCosts(2, 5, 10, 18)
    transcript_per_turn: int = 14
    limit_in_budgets: float = 2.4


def _daily_assistant(budget: int, shape: DailyAssistantShape) -> Trace:
    story = _open(
        "daily_assistant",
        budget,
        "Rounds of mail, calendar and smart home.",
        shape,
        utility=10.0,
        page_id="household-instructions",
    )
    rule = "rule-ask-before-unlocking"
    _rules(story, rule, shape.rules, shape.constraint)
    for number in range(1, shape.preferences + 1):
        preference_page(story, f"preference-{number}", shape.preference)
    recalls_at = dict(shape.recalls_at)
    messages: list[Call] = []
    for turn in range(1, shape.turns + 1):
        calls = _round(story, shape, turn, messages)
        demands = []
        updates = []
        if turn % shape.preference_every == 0:
            demands.append((f"preference-{turn // shape.preference_every % shape.preferences + 1}", Level.STRUCTURED))
        if turn % shape.habit_every == 0:
            page_id = f"preference-{turn // shape.habit_every % shape.preferences + 1}"
            updates.append(Update(page_id, "habits", "merge", {f"turn-{turn}": "observed"}, "project", rule))
        recalls = [(f"memory-{turn}", recalls_at[turn])] if turn in recalls_at else []
        story.turn(shape.transcript_per_turn, calls=calls, demands=demands, recalls=recalls, updates=updates)
    return story.trace()


def _round(story: TraceBuilder, shape: DailyAssistantShape, turn: int, messages: list[Call]) -> list[Call]:
    """Return the calls of one turn: the inbox, a message, the same again, the calendar, an earlier one, the door."""
    place = (turn - 1) % shape.round_length + 1
    if place == shape.inbox_at:
        # The inbox changes: its tool is not deterministic, so listing it again is no duplicate.
        return [story.tool("mail.list", {"folder": "inbox"}, "inbox", shape.inbox, deterministic=False)]
    if place in shape.messages_at:
        number = len(messages) + 1
        page_id = f"message-{number}"
        messages.append(
            story.tool("mail.read", {"id": number}, page_id, shape.message, base_utility=5.0, recompute_cost=6.0)
        )
        return [messages[-1]]
    if place == shape.calendar_at:
        day = turn // shape.round_length + 1
        page_id = f"calendar-{day}"
        return [story.tool("calendar.day", {"day": day}, page_id, shape.inbox, base_utility=4.0, recompute_cost=6.0)]
    if place in shape.again_at:
        return [messages[-1]]
    if place in shape.returns_at:
        return [messages[-(turn % 2 + 1)]]
    if turn == shape.unlock_at:
        return [story.tool("door.unlock", {"door": "front"}, outcome=ToolOutcome.DENIED)]
    return []


@dataclass(frozen=True, slots=True)
class Family:
    """A workload family: a story, and the shape of constants from which ``build`` makes its trace."""

    name: str
    shape: Any
    build: Callable[[int, Any], Trace]

    def __call__(self, budget: int, shape: Any = None) -> Trace:
        """Return the trace for a *budget* in tokens; another *shape* varies the same story."""
        return self.build(budget, self.shape if shape is None else shape)


SHAPED_FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("evidence_heavy", EvidenceHeavyShape(), _evidence_heavy),
        Family("long_horizon", LongHorizonShape(), _long_horizon),
        Family("multi_session", MultiSessionShape(), _multi_session),
        Family("daily_assistant", DailyAssistantShape(), _daily_assistant),
    )
}
"""The paper's families by name, with the shapes that a calibration varies."""

COMMITTED_SIZING = "all_tables"
"""The sizing of the committed traces, for Tables 4 and 6 and the breakdown of Compaction-Hybrid at 120 tokens."""

SIZINGS: Mapping[str, Mapping[str, Any]] = {
    COMMITTED_SIZING: {name: family.shape for name, family in SHAPED_FAMILIES.items()},
    "table_4": {
        "evidence_heavy": EvidenceHeavyShape(
            instruction=LevelCosts(3, 10, 16, 28),
            transcript_per_turn=28,
            limit_in_budgets=5.0,
            turns=88,
            resources=11,
            new_resource_every=4,
            returns_per_turn=2,
            edit_every=12,
            finding_every=9,
            plans=1,
            plan=LevelCosts(3, 8, 13, 22),
        ),
        "long_horizon": LongHorizonShape(
            instructions=2,
            instruction=LevelCosts(3, 10, 16, 28),
            transcript_per_turn=22,
            limit_in_budgets=3.6,
            turns=72,
            rules_at=(2, 11, 25),
            plans=1,
            step_update_every=8,
            chapter_every=8,
            looked_at_again=2,
            long_result_every=14,
            constraint=LevelCosts(2, 5, 8, 12),
            long_result=90,
        ),
        "multi_session": MultiSessionShape(
            instruction=LevelCosts(3, 6, 10, 20),
            transcript_per_turn=30,
            limit_in_budgets=1.8,
            sessions=5,
            returns_in=(2, 4),
            preference=LevelCosts(2, 5, 9, 14),
        ),
        "daily_assistant": DailyAssistantShape(
            instructions=2,
            instruction=LevelCosts(3, 7, 12, 22),
            transcript_per_turn=24,
            turns=40,
            rules=1,
            preference_every=12,
            habit_every=8,
            constraint=LevelCosts(2, 7, 10, 16),
            preference=LevelCosts(2, 5, 9, 14),
        ),
    },
}
"""The shapes of the families by the name of their sizing."""

FAMILIES: dict[str, Callable[..., Trace]] = {**SHAPED_FAMILIES}


def committed_path(workload: str, budget: int) -> str:
    """Return the path of a committed trace, relative to the repository: one folder per family, one file per budget."""
    return f"traces/{workload}/{workload}-b{budget:04d}.trace.jsonl"
