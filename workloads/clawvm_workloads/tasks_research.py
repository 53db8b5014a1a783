"""Ten research tasks: a question, searches, sources that are read and compared, notes, an answer that cites them.

==============  ====================================================================
ResearchTask    one task: its sources, when it searches, compares and notes
TASKS           the ten tasks
build           the trace of one of them for a token budget
==============  ====================================================================

The instructions of a research assistant are one short page, and it works from extracts: sources are smaller than files.
Longer tasks pass a compaction; the instructions find room again there, because they are cheap for what they are worth.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawvm_replay.trace_builder import Ladder, TraceBuilder
from clawvm_replay.trace_format import Call, Trace
from clawvm_runtime.pages import Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, RecallOutcome
from clawvm_workloads.tasks_base import EVIDENCE, TaskRecord, begin, growth, user

__all__ = ["TASKS", "ResearchTask", "build"]

GUIDE = Ladder(3, 10, 16, 28)
OUTLINE = Ladder(3, 8, 12, 20)
STYLE = Ladder(2, 5, 9, 14)
SOURCE = Ladder(2, 7, 13, 24)
RESULTS = Ladder(2, 5, 9, 16)
QUESTION = Ladder(2, 5, 8, 13)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResearchTask(TaskRecord):
    """One research task.

    A search runs in the turns of ``searches_at``; in the turns after it one of ``sources`` is read, and once all are
    known, read ones are looked up again. In the turns of ``compares_at`` two sources are needed at once, in those of
    ``notes_at`` the outline takes a note. In its last turn the agent needs the outline and the user's style. In
    the turns of ``lookups_at`` it looks into its memory, which has the answer or has none, and says which.
    """

    turns: int
    sources: tuple[str, ...]
    searches_at: tuple[int, ...]
    compares_at: tuple[int, ...]
    notes_at: tuple[int, ...]
    lookups_at: tuple[tuple[int, RecallOutcome], ...] = ()


def build(task: ResearchTask, budget: int, stretched: bool = False) -> Trace:
    """Return the trace of a task for a budget in tokens."""
    story = begin(task, budget, (GUIDE,))
    story.page("outline", PageType.PLAN, OUTLINE, provenance=user(1), base_utility=8.0)
    story.page("question", PageType.CONVERSATION_SEGMENT, QUESTION, provenance=Provenance("transcript_span", "turn-1"))
    story.page("style", PageType.PREFERENCE, STYLE, provenance=Provenance("file", "USER.md"), base_utility=6.0)
    tokens = growth(task, budget, stretched)
    lookups_at = dict(task.lookups_at)
    reads: list[Call] = []
    for turn in range(1, task.turns + 1):
        calls = [_step(story, task, turn, reads)]
        demands = []
        if turn in task.compares_at:
            demands += [(f"source-{(turn + offset) % len(reads) + 1}", Level.COMPRESSED) for offset in (0, 1)]
        if turn == task.turns // 2:
            demands.append(("question", Level.FULL))
        if turn == task.turns:
            demands += [("outline", Level.FULL), ("style", Level.STRUCTURED)]
        story.turn(
            tokens,
            calls=calls,
            demands=demands,
            lookups=[(f"known about {task.name}", lookups_at[turn])] if turn in lookups_at else [],
            updates=[_note(turn, len(reads))] if turn in task.notes_at else [],
        )
    return story.trace()


def _step(story: TraceBuilder, task: ResearchTask, turn: int, reads: list[Call]) -> Call:
    if turn in task.searches_at:
        number = task.searches_at.index(turn) + 1
        words = {"query": f"{task.name} {number}"}
        return story.tool("web.search", words, f"results-{number}", RESULTS, base_utility=3.0, recompute_cost=6.0)
    if len(reads) < len(task.sources):
        number = len(reads) + 1
        page = {"url": f"https://example.org/{task.sources[number - 1]}"}
        reads.append(story.tool("web.fetch", page, f"source-{number}", SOURCE, **EVIDENCE))
        return reads[-1]
    return reads[turn * 2 % len(reads)]


def _note(turn: int, source: int) -> Update:
    return Update(
        page_id="outline",
        field="notes",
        operation="merge",
        value={f"turn-{turn}": f"from source {source}"},
        scope="session",
        evidence_ref=f"source-{source}",
    )


TASKS: tuple[ResearchTask, ...] = (
    ResearchTask(
        name="compare_battery_chemistries",
        story="Which of four battery chemistries suits a home store, with prices and life times.",
        transcript_per_turn=33,
        turns=22,
        sources=("lithium-iron", "sodium-ion", "lead-acid", "flow-cells"),
        searches_at=(1, 6),
        compares_at=(10, 16),
        notes_at=(5, 12),
    ),
    ResearchTask(
        name="history_of_a_bridge",
        story="When a bridge was built, rebuilt and why; two sources disagree on the year.",
        transcript_per_turn=30,
        turns=14,
        sources=("city-archive", "engineers-journal", "newspaper-1911"),
        searches_at=(1, 5),
        compares_at=(9,),
        notes_at=(7, 11),
        lookups_at=((2, RecallOutcome.NO_MATCH),),
    ),
    ResearchTask(
        name="choose_a_queue",
        story="Which message queue fits a small team, from the manuals and two field reports.",
        transcript_per_turn=35,
        turns=21,
        sources=("manual-a", "manual-b", "manual-c", "field-report-1", "field-report-2"),
        searches_at=(1, 4),
        compares_at=(12, 17),
        notes_at=(6, 11),
        rule=True,
    ),
    ResearchTask(
        name="side_effects_of_a_drug",
        story="What is known about a drug's side effects; every statement needs its source.",
        transcript_per_turn=32,
        turns=23,
        sources=("leaflet", "trial-2016", "trial-2021", "review", "agency-note"),
        searches_at=(1, 8),
        compares_at=(13, 19),
        notes_at=(5, 10, 14),
        rule=True,
    ),
    ResearchTask(
        name="market_of_heat_pumps",
        story="How many heat pumps were sold in three countries, and what subsidies had to do with it.",
        transcript_per_turn=34,
        turns=18,
        sources=("statistics-a", "statistics-b", "statistics-c", "subsidies"),
        searches_at=(1, 5, 9),
        compares_at=(12,),
        notes_at=(7, 13),
        lookups_at=((2, RecallOutcome.OK), (10, RecallOutcome.NO_MATCH)),
    ),
    ResearchTask(
        name="trace_a_quotation",
        story="Who said it first; three collections name three people.",
        transcript_per_turn=28,
        turns=12,
        sources=("collection-1", "collection-2", "letters"),
        searches_at=(1, 6),
        compares_at=(9,),
        notes_at=(8,),
    ),
    ResearchTask(
        name="licence_of_a_library",
        story="Whether a library may be shipped in a closed product, from its licence and two opinions.",
        transcript_per_turn=31,
        turns=15,
        sources=("licence", "opinion-1", "opinion-2"),
        searches_at=(1,),
        compares_at=(6, 11),
        notes_at=(5, 12),
        rule=True,
    ),
    ResearchTask(
        name="plan_a_rail_journey",
        story="The quickest way by rail through four countries with a day in between.",
        transcript_per_turn=36,
        turns=20,
        sources=("timetable-1", "timetable-2", "border-rules", "hotels"),
        searches_at=(1, 7),
        compares_at=(11, 15),
        notes_at=(6, 12),
        lookups_at=((3, RecallOutcome.OK),),
    ),
    ResearchTask(
        name="summarise_a_debate",
        story="What two camps say about a law, each in its own words.",
        transcript_per_turn=33,
        turns=17,
        sources=("for-1", "for-2", "against-1", "against-2"),
        searches_at=(1, 4),
        compares_at=(10, 14),
        notes_at=(8, 13),
    ),
    ResearchTask(
        name="check_a_claim",
        story="Whether a number in a speech is right, from the statistics it must have come from.",
        transcript_per_turn=29,
        turns=11,
        sources=("speech", "statistics"),
        searches_at=(1, 4),
        compares_at=(7,),
        notes_at=(6, 9),
        lookups_at=((2, RecallOutcome.NO_MATCH),),
    ),
)
