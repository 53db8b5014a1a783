"""Ten routine tasks: known steps in a known order, with small results, the user's preferences, and a record of each.

==============  ====================================================================
RoutineTask     one task: its steps, what it looks at again, how often it records
TASKS           the ten tasks
build           the trace of one of them for a token budget
==============  ====================================================================

Results are small and sessions short, so that most tasks end before a compaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome, ToolOutcome
from clawvm_workloads.tasks_base import TaskRecord, begin, growth, user

__all__ = ["TASKS", "RoutineTask", "build"]

GUIDE = Ladder(3, 12, 18, 30)
CHECKLIST = Ladder(3, 8, 12, 20)
PREFERENCE = Ladder(2, 5, 9, 14)
RESULT = Ladder(2, 6, 10, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutineTask(TaskRecord):
    """One routine task.

    Each of ``steps`` is a tool call and takes two turns: the call, then the work on its result. ``overview`` is
    a tool that shows another list each time; it is called before the first step and after the last. Every
    ``look_back_every`` turns an earlier result is needed again, every ``record_every`` turns the checklist is ticked.
    ``denied`` names a step that the tool refuses.
    """

    steps: tuple[str, ...]
    overview: str
    preferences: tuple[str, ...]
    look_back_every: int = 5
    record_every: int = 4
    denied: str = ""
    lookup: RecallOutcome | None = None


def build(task: RoutineTask, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens."""
    story = begin(task, budget, (GUIDE,))
    story.page("checklist", PageType.PLAN, CHECKLIST, provenance=user(1), base_utility=8.0)
    for name in task.preferences:
        source = Provenance("file", "USER.md")
        story.page(f"preference-{name}", PageType.PREFERENCE, PREFERENCE, provenance=source, base_utility=6.0)
    tokens = growth(task, budget, stretched)
    last = 2 * len(task.steps) + 2
    done: list[Call] = []
    for turn in range(1, last + 1):
        calls = []
        demands = []
        if turn in (1, last):
            calls.append(_overview(story, task))
        elif turn % 2 == 0:
            calls.append(_step(story, task, turn // 2 - 1, done))
        elif turn % task.look_back_every == 0 and done:
            calls.append(done[turn % len(done)])
        elif task.preferences:
            name = task.preferences[turn // 2 % len(task.preferences)]
            demands.append((f"preference-{name}", Level.STRUCTURED))
        story.turn(
            tokens,
            calls=calls,
            demands=demands,
            lookups=[(f"last time of {task.name}", task.lookup)] if turn == 2 and task.lookup is not None else [],
            updates=[_tick(turn)] if turn % task.record_every == 0 else [],
        )
    return story.trace()


def _overview(story: TraceBuilder, task: RoutineTask) -> Call:
    return story.tool(task.overview, {}, "overview", RESULT, deterministic=False, base_utility=3.0)


def _step(story: TraceBuilder, task: RoutineTask, number: int, done: list[Call]) -> Call:
    name = task.steps[number]
    if name == task.denied:
        return story.tool("step", {"name": name}, outcome=ToolOutcome.DENIED)
    call = story.tool("step", {"name": name}, f"result-{number + 1}", RESULT, base_utility=4.0, recompute_cost=6.0)
    done.append(call)
    return call


def _tick(turn: int) -> Update:
    return Update(
        page_id="checklist",
        field="ticked",
        operation="merge",
        value={f"turn-{turn}": "done"},
        scope="session",
        evidence_ref="checklist",
    )


TASKS: tuple[RoutineTask, ...] = (
    RoutineTask(
        name="morning_mail",
        story="Go through the new mail, answer two, file the rest.",
        transcript_per_turn=26,
        steps=("read-1", "answer-1", "read-2", "answer-2", "file-rest"),
        overview="mail.list",
        preferences=("tone", "signature"),
        lookup=RecallOutcome.OK,
    ),
    RoutineTask(
        name="expense_claim",
        story="Collect the receipts of a journey and fill in the claim.",
        transcript_per_turn=28,
        steps=("receipt-hotel", "receipt-train", "receipt-meal", "fill-form", "attach", "submit"),
        overview="files.list",
        preferences=("currency",),
        rule=True,
    ),
    RoutineTask(
        name="release_notes",
        story="Write the notes of a release from the merged changes.",
        transcript_per_turn=30,
        steps=("changes-1", "changes-2", "changes-3", "issues", "draft", "publish"),
        overview="repository.tags",
        preferences=("tone",),
    ),
    RoutineTask(
        name="calendar_week",
        story="Arrange a week of meetings around two fixed ones.",
        transcript_per_turn=24,
        steps=("free-anna", "free-ben", "free-carla", "propose", "book"),
        overview="calendar.week",
        preferences=("working-hours", "lunch"),
        lookup=RecallOutcome.NO_MATCH,
    ),
    RoutineTask(
        name="backup_check",
        story="Check last night's backups and restore one file as a test.",
        transcript_per_turn=27,
        steps=("status-1", "status-2", "status-3", "restore", "compare"),
        overview="backup.list",
        preferences=(),
        denied="status-3",
    ),
    RoutineTask(
        name="order_office_supplies",
        story="Order what is missing within the month's allowance.",
        transcript_per_turn=25,
        steps=("stock", "prices-1", "prices-2", "allowance", "order"),
        overview="shop.cart",
        preferences=("supplier",),
        rule=True,
    ),
    RoutineTask(
        name="onboard_a_colleague",
        story="Accounts, rooms and first appointments for somebody new.",
        transcript_per_turn=33,
        steps=("account", "groups", "laptop", "badge", "desk", "calendar", "mentor", "courses", "mail", "report"),
        overview="people.list",
        preferences=("templates", "order"),
        record_every=7,
    ),
    RoutineTask(
        name="rotate_keys",
        story="Replace the keys of five services and note which were replaced.",
        transcript_per_turn=29,
        steps=("service-1", "service-2", "service-3", "service-4", "service-5", "audit"),
        overview="keys.list",
        preferences=(),
        denied="service-4",
        rule=True,
    ),
    RoutineTask(
        name="house_evening",
        story="Bring the house into its evening state and say what is still open.",
        transcript_per_turn=22,
        steps=("windows", "heating", "lights", "doors"),
        overview="house.state",
        preferences=("temperature", "lights"),
        denied="doors",
        lookup=RecallOutcome.OK,
    ),
    RoutineTask(
        name="archive_a_project",
        story="Export, pack and index the files of a finished project.",
        transcript_per_turn=32,
        steps=("export-1", "export-2", "export-3", "pack", "verify", "index", "upload", "link", "notify", "close"),
        overview="project.files",
        preferences=("folder",),
        look_back_every=3,
        record_every=8,
    ),
)
