"""Evidence-heavy: a debugging session that reads the same files, listings and test logs again and again.

The story: a test fails, the agent reads its way through a repository. One resource is in front for a few turns and read
in each of them; beside it the agent goes back to what it read before. Now and then it edits what is in front and has to
read that anew. Users count such re-reads and duplicate calls and ask why the harness forgot what was on screen ten
turns ago (field reports: openclaw 128148, hermes-agent 84857; re-reads are 50 to 90 % of the reads in recorded
sessions). What it costs today: `refetch` and `duplicate_tool`.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder, accounting_for
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType

__all__ = ["NAME", "SHAPE", "Shape", "build"]

NAME = "evidence_heavy"


@dataclass(frozen=True, slots=True)
class Shape:
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
    instruction: Ladder = Ladder(3, 10, 16, 28)
    constraint: Ladder = Ladder(2, 6, 9, 14)
    plan: Ladder = Ladder(3, 8, 13, 22)
    file: Ladder = Ladder(2, 6, 12, 22)
    log: Ladder = Ladder(2, 5, 10, 18)
    transcript_per_turn: int = 28
    limit_in_budgets: float = 5.0
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
    story = TraceBuilder(NAME, budget, "A debugging session that re-reads files and test logs.", accounting)
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


def _first_read(story: TraceBuilder, shape: Shape, number: int) -> Call:
    if _is_log(number):
        arguments = {"command": f"run-tests --only suite_{number}"}
        return story.tool("shell", arguments, f"log-{number}", shape.log, base_utility=5.0, recompute_cost=8.0)
    arguments = {"path": f"src/module_{number}.py"}
    return story.tool("read", arguments, f"file-{number}", shape.file, base_utility=5.0, recompute_cost=8.0)


def _edit(story: TraceBuilder, shape: Shape, number: int) -> None:
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
