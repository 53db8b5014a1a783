"""Hostile lives that attack what stands in the prompt: too little room, too many demands, boundaries in a row.

===============  =======================================================================
starvation       the floors alone exceed the budget for some turns, then they fit again
churn            many pages demanded in rotation, eight times the budget
cascade_reset    several resets in quick succession, each with dirty state
threshold_jump   one turn jumps past soft threshold and limit, with updates of the same turn
===============  =======================================================================

Each function returns a trace; the scenarios stand in ``BOUNDARY_AND_ROOM``. Source of the first three: paper,
adversarial tests; sizes and turns are ours.
"""

from __future__ import annotations

from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, Trace
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import WritebackMode
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RejectCode
from clawvm_workloads.adversarial.scenario import (
    BUDGET,
    DURABILITY,
    GUIDE,
    HALF_EMPTY,
    NOT_IN_PROMPTS,
    NOT_IN_TRACE,
    OVERFULL,
    OVERSTATED,
    PLAN,
    RESIDENCY,
    SHORT_RULE,
    UNDERSTATED,
    Check,
    Control,
    Harness,
    Scenario,
    note,
    open_story,
    page,
    played,
    read,
    removal,
    result,
    told,
    user,
    values_check,
)

__all__ = ["BOUNDARY_AND_ROOM", "IN_FLIGHT"]


# --- Hostile lives that attack what stands in the prompt: too little room, too many demands, boundaries in a row.

LONG_GUIDE = LevelCosts(3, 28, 34, 46)
RULE = LevelCosts(2, 16, 20, 28)
FILE = LevelCosts(2, 8, 18, 40)
TASTE = LevelCosts(2, 5, 9, 14)


def _rule(story: TraceBuilder, number: int) -> str:
    source = user(story.next_turn)
    return story.page(f"rule-{number}", PageType.CONSTRAINT, RULE, provenance=source, base_utility=7.0)


def starvation() -> Trace:
    """Three rules fit, six do not: 56 tokens of instructions and 96 of rules under 120; then the user shortens them."""
    accounting = Accounting(compaction_limit=300, soft_threshold=240, summary_tokens=40)
    story = open_story("starvation", accounting, LONG_GUIDE, LONG_GUIDE)
    for number in (1, 2, 3):
        _rule(story, number)
    first = read(story, 1, FILE)
    story.turn(60)
    story.turn(60, demands=[("rule-1", Level.STRUCTURED)])
    for number in (4, 5, 6):
        _rule(story, number)
    for turn in range(6):  # A compaction falls among them.
        calls = [first if turn % 2 else read(story, 2 + turn, FILE)]
        story.turn(60, calls=calls, demands=[(f"rule-{turn + 1}", Level.STRUCTURED)])
    for number in range(1, 7):
        story.replace(f"rule-{number}", PageType.CONSTRAINT, SHORT_RULE, base_utility=7.0)
    for turn in range(4):
        story.turn(20, demands=[(f"rule-{turn + 1}", Level.STRUCTURED), ("file-1", Level.STRUCTURED)])
    return story.trace()


def churn() -> Trace:
    """Twenty-four results of 40 tokens in rotation, three rounds, by call and by reference, through compactions."""
    story = open_story("churn", Accounting(compaction_limit=900, soft_threshold=720, summary_tokens=80), GUIDE)
    _rule(story, 1)
    reads = [read(story, number, FILE) for number in range(1, 25)]
    for step in range(3 * len(reads)):
        position = step % len(reads)
        by_call = step < len(reads) or step % 2 == 0
        story.turn(
            40,
            calls=[reads[position]] if by_call else [],
            demands=[] if by_call else [(f"file-{position + 1}", Level.FULL)],
        )
    return story.trace()


def cascade_reset() -> Trace:
    """Four resets within three turns, updates staged before each, then everything that was known is asked for."""
    accounting = Accounting(compaction_limit=200, soft_threshold=160, summary_tokens=20)
    story = open_story("cascade_reset", accounting, GUIDE)
    story.page("plan", PageType.PLAN, PLAN, provenance=user(1), base_utility=8.0)
    story.page("taste", PageType.PREFERENCE, TASTE, provenance=Provenance("file", "USER.md"), base_utility=6.0)
    early = read(story, 1, FILE)
    story.turn(60, calls=[early], updates=[note(value=["in session 1"]), _taste("tone", "dry")])
    story.reset("session-2")
    late = read(story, 2, FILE)
    learned = note(value=["learned"], evidence_ref="file-2")
    story.turn(60, calls=[late], updates=[note(value=["in session 2"]), learned])
    story.reset("session-3")
    story.reset("session-4")
    # The turn's own compaction follows the reset: a third boundary without a prompt for what it stages.
    story.turn(210, updates=[note(value=["in session 4"]), _taste("length", "short")])
    story.reset("session-5")
    story.turn(30, calls=[early], demands=[("plan", Level.FULL)])
    story.turn(30, calls=[late], demands=[("taste", Level.FULL)])
    return story.trace()


def _taste(name: str, value: str) -> Update:
    return note(page_id="taste", field="style", operation="merge", value={name: value}, scope="project")


def threshold_jump() -> Trace:
    """Twice a turn of 260 tokens jumps past threshold and limit, and what it has just learned is staged in it."""
    accounting = Accounting(compaction_limit=200, soft_threshold=150, summary_tokens=20)
    story = open_story("threshold_jump", accounting, GUIDE)
    story.page("plan", PageType.PLAN, PLAN, provenance=Provenance("file", "PLAN.md"), base_utility=8.0)
    _rule(story, 1)
    for turn in (1, 2):
        story.turn(50, demands=[("plan", Level.STRUCTURED)], updates=[note(value=[f"before jump {turn}"])])
        long_result = read(story, turn, FILE)
        updates = [
            note(value=[f"in jump {turn}"], evidence_ref=f"file-{turn}"),
            note(page_id="rule-1", field="reason", operation="merge", value={f"jump-{turn}": "kept"}),
        ]
        story.turn(260, calls=[long_result], updates=updates)
        story.turn(30, calls=[long_result], demands=[("plan", Level.FULL)])
    return story.trace()


_NO_PIN = removal("auto_pin", "no_controllable_fault", "floors_hold")
_RESIDENCY_LOSES = ("no_controllable_fault", "nothing_lost")

BOUNDARY_AND_ROOM: tuple[Scenario, ...] = (
    Scenario(
        id="starvation",
        title="Starvation",
        story="Six rules and the instructions exceed the budget for six turns, a compaction among them; then the rules "
        "are shortened and everything fits again.",
        budget=BUDGET,
        run=told(starvation, RESIDENCY),
        controls=(_NO_PIN, OVERFULL, HALF_EMPTY, UNDERSTATED, NOT_IN_PROMPTS, NOT_IN_TRACE),
    ),
    Scenario(
        id="churn",
        title="Churn",
        story="Twenty-four results, eight times the budget together, are asked for in rotation, three rounds long, by "
        "call and by reference, through several compactions.",
        budget=BUDGET,
        run=told(churn, RESIDENCY),
        controls=(
            removal("pointer_resolution", "no_controllable_fault"),
            _NO_PIN,
            OVERFULL,
            HALF_EMPTY,
            OVERSTATED,
        ),
    ),
    Scenario(
        id="cascade_reset",
        title="Cascade reset",
        story="Four resets and a compaction within three turns, each with updates staged just before; then all that "
        "was known is asked for.",
        budget=BUDGET,
        run=told(cascade_reset, (*RESIDENCY, *DURABILITY)),
        controls=(
            removal("writeback_at_reset", *_RESIDENCY_LOSES),
            removal("writeback_at_compaction", *_RESIDENCY_LOSES),
            OVERSTATED,
        ),
    ),
    Scenario(
        id="threshold_jump",
        title="Threshold jump",
        story="Twice one turn jumps past soft threshold and compaction limit, with updates staged in that turn.",
        budget=BUDGET,
        run=told(threshold_jump, (*RESIDENCY, *DURABILITY)),
        controls=(
            Control(
                "writeback at the soft threshold instead of the boundary",
                _RESIDENCY_LOSES,
                {"writeback_at_compaction": WritebackMode.SOFT_THRESHOLD},
            ),
            removal("writeback_at_compaction", *_RESIDENCY_LOSES),
            OVERSTATED,
        ),
    ),
)


# --- Updates in flight: staged so late that the next thing to happen is the boundary.

_USER = user(1)


def _pages() -> list[Page]:
    guide = Provenance("file", "AGENTS.md")
    return [
        page("guide", PageType.BOOTSTRAP_POLICY, GUIDE, guide, base_utility=9.0),
        page("plan", PageType.PLAN, PLAN, _USER, base_utility=8.0),
        page("taste", PageType.PREFERENCE, LevelCosts(2, 5, 9, 14), Provenance("file", "USER.md"), base_utility=6.0),
    ]


def at_compaction(harness: Harness) -> list[Check]:
    """One prompt, then a turn that stages seven updates, three of them bad, and compacts."""
    harness.engine.session_start("session-1", _pages())
    harness.call("read", {"path": "report"}, result("report", "the report"))
    harness.stage(note(value=["first"]))
    harness.prompt()
    harness.stage(
        note(value=["second"], evidence_ref="report"),
        note(field="goal", operation="set_with_version", value="ship", base_version=0),
        note(field="goal", operation="set_with_version", value="stop", base_version=0),
        note(page_id="taste", field="style", operation="merge", value={"tone": "dry"}, scope="project"),
        note(value=["invented"], evidence_ref="nowhere"),
        note(page_id="taste", field="style", operation="overwrite", value={}, scope="project"),
        note(page_id="taste", field="style", operation="merge", value={"length": "short"}, scope="project"),
    )
    harness.engine.compaction()
    harness.prompt()
    return [
        values_check(
            harness.engine.journal,
            {
                ("plan", "log"): (2, ["first", "second"]),
                ("plan", "goal"): (1, "ship"),
                ("taste", "style"): (2, {"tone": "dry", "length": "short"}),
            },
        )
    ]


def at_reset(harness: Harness) -> list[Check]:
    """Stage, reset without a prompt, stage again, compact and reset again without a prompt, then ask for everything."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.call("read", {"path": "report"}, result("report", "the report"))
    harness.prompt()
    harness.stage(note(value=["first"], evidence_ref="report"), note(field="goal", operation="merge", value={"a": 1}))
    engine.reset("session-2")
    harness.stage(note(value=["second"]), note(field="goal", operation="merge", value={"b": 2}))
    engine.compaction()
    harness.stage(note(value=["third"], evidence_ref="report"))
    engine.reset("session-3")
    harness.prompt()
    harness.demand("plan", "report")
    harness.prompt()
    return [
        values_check(
            engine.journal,
            {("plan", "log"): (3, ["first", "second", "third"]), ("plan", "goal"): (2, {"a": 1, "b": 2})},
        )
    ]


def for_new_page(harness: Harness) -> list[Check]:
    """A page, its update and the boundary in one turn; the second time the update is staged before its page."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.prompt()
    engine.declare(page("step-1", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    harness.stage(note(page_id="step-1", evidence_ref="step-1"))
    engine.compaction()
    harness.prompt()
    harness.stage(note(page_id="step-2", evidence_ref="step-1"))
    engine.declare(page("step-2", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    harness.call("read", {"path": "late"}, result("late", "late result"))
    harness.stage(note(page_id="step-2", value=["late"], evidence_ref='read({"path":"late"})'))
    engine.reset("session-2")
    harness.prompt()
    harness.demand("step-1", "step-2")
    harness.prompt()
    return [
        values_check(engine.journal, {("step-1", "log"): (1, ["noted"]), ("step-2", "log"): (2, ["noted", "late"])})
    ]


def for_replaced_page(harness: Harness) -> list[Check]:
    """The plan gets new content between update and boundary, twice; a tool that runs again replaces its result."""
    engine = harness.engine
    engine.session_start("session-1", _pages())
    harness.prompt()
    harness.stage(note(value=["before the edit"]))
    engine.replace(page("plan", PageType.PLAN, LevelCosts(3, 12, 16, 26), _USER, base_utility=8.0))
    harness.stage(note(value=["after the edit"]))
    engine.compaction()
    harness.prompt()
    harness.call("state", {}, result("state", "state 1"), deterministic=False)
    harness.stage(note(page_id="state", field="seen", evidence_ref="state"))
    harness.call("state", {}, result("state", "state 2"), deterministic=False)
    harness.stage(note(field="goal", operation="set_with_version", value="ship", base_version=0))
    engine.replace(page("plan", PageType.PLAN, PLAN, _USER, base_utility=8.0))
    engine.reset("session-2")
    harness.prompt()
    harness.demand("plan", "state")
    harness.prompt()
    latest = harness.in_prompt("state")
    return [
        values_check(
            engine.journal,
            {
                ("plan", "log"): (2, ["before the edit", "after the edit"]),
                ("plan", "goal"): (1, "ship"),
                ("state", "seen"): (1, ["noted"]),
            },
        ),
        Check("answers_exact", latest == "state 2", f"the prompt holds {latest!r}"),
    ]


_LOSES = ("no_controllable_fault", "nothing_lost", "values_exact")
_COMPACTION = removal("writeback_at_compaction", *_LOSES)
_RESET = removal("writeback_at_reset", *_LOSES)
_BAD = (
    RejectCode.DESTRUCTIVE_OP.value,
    RejectCode.PROVENANCE_DANGLING.value,
    RejectCode.DESTRUCTIVE_OP.value,
)

IN_FLIGHT: tuple[Scenario, ...] = (
    Scenario(
        id="in_flight_at_compaction",
        title="In flight at a compaction",
        story="Seven updates, three of them bad, are staged in the very turn in which the compaction falls.",
        budget=BUDGET,
        run=played(at_compaction, BUDGET, _BAD),
        controls=(
            _COMPACTION,
            removal("validated_writeback", "nothing_overwritten", "rejections_exact", "values_exact"),
        ),
    ),
    Scenario(
        id="in_flight_at_reset",
        title="In flight at a reset",
        story="Updates are staged directly before a reset, between two boundaries, and before another reset, without a "
        "prompt in between.",
        budget=BUDGET,
        run=played(at_reset, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
    Scenario(
        id="in_flight_for_new_page",
        title="In flight for a new page",
        story="A page, its update and the boundary come in one turn; once the update comes before its page.",
        budget=BUDGET,
        run=played(for_new_page, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
    Scenario(
        id="in_flight_for_replaced_page",
        title="In flight for a replaced page",
        story="A page gets new content between the update and the boundary, by an edit and by a tool that runs again.",
        budget=BUDGET,
        run=played(for_replaced_page, BUDGET, ()),
        controls=(_COMPACTION, _RESET),
    ),
)
