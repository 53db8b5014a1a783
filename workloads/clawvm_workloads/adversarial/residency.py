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

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Accounting, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import Writeback as WritebackMode
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType
from clawvm_workloads.adversarial.controls import HALF_EMPTY, OVERFULL, Control, removal
from clawvm_workloads.adversarial.misreports import NOT_IN_PROMPTS, NOT_IN_TRACE, OVERSTATED, UNDERSTATED
from clawvm_workloads.adversarial.scenario import DURABILITY, RESIDENCY, Scenario, told
from clawvm_workloads.adversarial.stories import BUDGET, GUIDE, PLAN, SHORT_RULE, note, open_story, read, user

__all__ = ["BOUNDARY_AND_ROOM"]

LONG_GUIDE = Ladder(3, 28, 34, 46)
RULE = Ladder(2, 16, 20, 28)
FILE = Ladder(2, 8, 18, 40)
TASTE = Ladder(2, 5, 9, 14)


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
_LOSES = ("no_controllable_fault", "nothing_lost")

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
            removal("writeback_at_reset", *_LOSES),
            removal("writeback_at_compaction", *_LOSES),
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
                _LOSES,
                {"writeback_at_compaction": WritebackMode.SOFT_THRESHOLD},
            ),
            removal("writeback_at_compaction", *_LOSES),
            OVERSTATED,
        ),
    ),
)
