"""What the thirty tasks share: a name and a story, one harness, the stretching of a session, the first pages.

===============  ==================================================================================
TaskRecord       what every task says about itself, whatever its category
begin            a story with its instructions, and the rule where the task has one
growth           transcript tokens of a turn, stretched or not
EVIDENCE         the attributes of a page that a tool call leaves
===============  ==================================================================================

Sizes are in tokens, schedules in turns counted from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clawvm_replay.trace_builder import Ladder, TraceBuilder, accounting_for
from clawvm_runtime.pages import Provenance
from clawvm_runtime.vocabulary import PageType

__all__ = ["EVIDENCE", "STRETCH_REFERENCE", "TaskRecord", "begin", "growth", "user"]

LIMIT_IN_BUDGETS = 3.6
SOFT_SHARE = 0.8
SUMMARY_SHARE = 0.15

STRETCH_REFERENCE = 180
"""Budget (tokens) at which a stretched session is as long as the plain one."""

EVIDENCE: Mapping[str, Any] = MappingProxyType({"base_utility": 5.0, "recompute_cost": 8.0})
"""How much a tool result is worth and how dear it is to get again, as in the families."""

RULE = Ladder(2, 6, 9, 14)


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One task: a name, a story in one line, and how much the transcript grows each turn (tokens).

    ``rule`` tells whether the user sets a rule at the beginning that has to hold to the end.
    """

    name: str
    story: str
    transcript_per_turn: int
    rule: bool = False


def begin(task: TaskRecord, budget: int, instructions: tuple[Ladder, ...]) -> TraceBuilder:
    """Return a story for a token budget that has its *instructions*, one page for each ladder, and the rule, if any."""
    accounting = accounting_for(
        budget, limit_in_budgets=LIMIT_IN_BUDGETS, soft_share=SOFT_SHARE, summary_share=SUMMARY_SHARE
    )
    story = TraceBuilder(f"task_{task.name}", budget, task.story, accounting)
    for number, ladder in enumerate(instructions, start=1):
        story.page(
            f"instructions-{number}",
            PageType.BOOTSTRAP_POLICY,
            ladder,
            provenance=Provenance("file", f"AGENTS-{number}.md"),
            base_utility=9.0,
        )
    if task.rule:
        story.page("rule", PageType.CONSTRAINT, RULE, provenance=user(1), base_utility=7.0)
    return story


def growth(task: TaskRecord, budget: int, stretched: bool) -> int:
    """Return the transcript tokens of one turn; a stretched session grows with the budget as the compaction limit does.

    So a stretched session meets its compactions in the same turns at every budget, to within rounding.
    """
    if not stretched:
        return task.transcript_per_turn
    return task.transcript_per_turn * budget // STRETCH_REFERENCE


def user(turn: int) -> Provenance:
    """Return the provenance of what the user said in a turn."""
    return Provenance("user", f"turn-{turn}")
