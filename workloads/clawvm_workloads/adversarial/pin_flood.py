"""Pin flood: everything is hard-pinned, once so that it just fits, once so that it does not.

=========  =========================================================================================
fits       instructions, rule, plan and eight results fill the budget to the last token
overflow   fourteen results do not fit; updates try to release pins; shorter results end it
=========  =========================================================================================

Each function returns a trace; the scenarios stand in ``PIN_FLOODS``.
"""

from __future__ import annotations

from typing import Any

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.vocabulary import Level, PageType, PinClass, RejectCode
from clawvm_workloads.adversarial.controls import HALF_EMPTY, OVERFULL, removal
from clawvm_workloads.adversarial.misreports import OVERSTATED, UNDERSTATED
from clawvm_workloads.adversarial.scenario import DURABILITY, RESIDENCY, Scenario, told
from clawvm_workloads.adversarial.stories import (
    BUDGET,
    EVIDENCE,
    GUIDE,
    PLAN,
    SHORT_RULE,
    note,
    open_story,
    read,
    user,
)

__all__ = ["PIN_FLOODS"]

RESULT = Ladder(2, 7, 14, 35)
SHORTER_RESULT = Ladder(2, 4, 9, 22)
PINNED: dict[str, Any] = {"pin": PinClass.HARD, "minimum": Level.STRUCTURED}

ACCOUNTING = Accounting(compaction_limit=200, soft_threshold=160, summary_tokens=20)


def _everything_pinned(story: TraceBuilder, results: int) -> list[Call]:
    """Pin a rule, the plan and *results* tool results, these at `structured`; return their calls."""
    story.page("rule-1", PageType.CONSTRAINT, SHORT_RULE, provenance=user(1), base_utility=7.0)
    story.page("plan", PageType.PLAN, PLAN, provenance=user(1), base_utility=8.0, pin=PinClass.HARD)
    return [read(story, number, RESULT, **PINNED) for number in range(1, results + 1)]


def fits() -> Trace:
    """Floors of 92 tokens with eight results, and a demand of 28 more: 120 of 120, in turns of a compaction too."""
    story = open_story("pin_flood_fits", ACCOUNTING, GUIDE)
    reads = _everything_pinned(story, 8)
    for turn in range(20):
        story.turn(25, calls=[reads[turn % 8]], demands=[("rule-1", Level.STRUCTURED)])
    return story.trace()


def overflow() -> Trace:
    """Fourteen results need 134 tokens of 120; updates try to release three pins; shorter results end the pressure."""
    story = open_story("pin_flood_overflow", ACCOUNTING, GUIDE)
    reads = _everything_pinned(story, 14)
    for turn in range(14):
        story.turn(10, calls=[reads[turn]])
    for number in (1, 2, 3):
        release = note(
            page_id=f"file-{number}",
            field="pin",
            operation="set_with_version",
            value=PinClass.NONE.value,
            evidence_ref="rule-1",
        )
        story.turn(30, updates=[release])
    story.turn(40, demands=[("file-9", Level.STRUCTURED)])
    for number in range(1, 15):
        story.replace(f"file-{number}", PageType.EVIDENCE, SHORTER_RESULT, **PINNED, **EVIDENCE)
    for turn in range(4):
        story.turn(30, demands=[(f"file-{turn + 1}", Level.FULL)])
    return story.trace()


_NO_PIN = removal("auto_pin", "no_controllable_fault", "floors_hold")

PIN_FLOODS: tuple[Scenario, ...] = (
    Scenario(
        id="pin_flood_fits",
        title="Pin flood that fits",
        story="Instructions, rule, plan and eight results are hard-pinned; with the demand of each turn they fill the "
        "budget to the last token, also in the turn of a compaction.",
        budget=BUDGET,
        run=told(fits, RESIDENCY),
        controls=(_NO_PIN, OVERFULL, HALF_EMPTY, OVERSTATED),
    ),
    Scenario(
        id="pin_flood_overflow",
        title="Pin flood that does not fit",
        story="Fourteen hard-pinned results do not fit; updates try to release three of the pins before a compaction; "
        "shorter results end the pressure.",
        budget=BUDGET,
        run=told(overflow, (*RESIDENCY, *DURABILITY), (RejectCode.POLICY_VIOLATION.value,) * 3),
        controls=(_NO_PIN, removal("validated_writeback", "pressure_exact", "rejections_exact"), UNDERSTATED),
    ),
)
