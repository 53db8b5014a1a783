"""What is measured per turn: selection and whole turns, on tables of one size and on the workload families.

==================  ==================================================================================
make_pages          a table of any size with pages of all types
size_cases          selection, turn and traced turn at one number of pages; the turn of other policies
family_cases        selection and turn of a family's trace, replayed without a decision trace
reference_record    the decision record whose canonical JSON line is the unit of every ratio
==================  ==================================================================================

A turn is ``post_model`` with its demands and ``prompt_assemble``; in a family it is everything that the trace says,
with the accounting and the metrics of the replay around it. No model and no tool takes part.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any

from clawvm_experiments.experiment import family_trace
from clawvm_experiments.overhead.timing import Case, Record, Work, nanoseconds
from clawvm_replay.replay import replay, replay_trace
from clawvm_replay.trace_format import Prelude, Replacement, ToolDeclaration, Trace, Turn
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import Engine
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType

__all__ = [
    "DEMANDS_PER_TURN",
    "FAMILY_BUDGET",
    "OTHER_POLICIES",
    "POLICY",
    "REFERENCE_LINES",
    "REFERENCE_PAGES",
    "Demands",
    "Size",
    "family_cases",
    "make_demands",
    "make_pages",
    "reference_record",
    "size_cases",
    "started_engine",
    "time_reference",
]

POLICY = "clawvm"
OTHER_POLICIES = ("lru", "compaction_hybrid", "retrieval")
DEMANDS_PER_TURN = 2
FAMILY_BUDGET = 180
"""Tokens: the budget of the published ablation and of the weight sweep."""

REFERENCE_PAGES = 20
REFERENCE_BUDGET = 500
REFERENCE_TURNS = 50
REFERENCE_LINES = 200

# One round of ten pages; larger tables repeat it. Few pages are hard, so that 80 pages still leave room for choices.
_ROUND = (
    (PageType.BOOTSTRAP_POLICY, 10.0, 1.0),
    (PageType.PLAN, 8.0, 1.0),
    (PageType.EVIDENCE, 5.0, 8.0),
    (PageType.EVIDENCE, 4.0, 6.0),
    (PageType.PREFERENCE, 4.0, 2.0),
    (PageType.CONVERSATION_SEGMENT, 2.0, 3.0),
    (PageType.CONSTRAINT, 7.0, 1.0),
    (PageType.EVIDENCE, 5.0, 7.0),
    (PageType.CONVERSATION_SEGMENT, 1.0, 3.0),
    (PageType.EVIDENCE, 3.0, 9.0),
)
_LADDER = {Level.POINTER: 2, Level.STRUCTURED: 8, Level.COMPRESSED: 15, Level.FULL: 28}

Demands = list[tuple[str, Level]]


@dataclass(frozen=True, slots=True)
class Size:
    """A table of *pages* pages under a budget in tokens, for that many turns a run."""

    pages: int
    budget: int
    turns: int


def make_pages(count: int) -> list[Page]:
    """Return *count* pages of all types, the same ones every time."""
    pages = []
    for number in range(count):
        kind, base_utility, recompute_cost = _ROUND[number % len(_ROUND)]
        # Sizes differ a little from page to page, so that scores per token do not tie.
        costs = {level: _LADDER[level] + number % (3 + level) for level in TYPE_RULES[kind].levels}
        pages.append(
            Page(
                id=f"page-{number:03}",
                type=kind,
                costs=costs,
                provenance=Provenance("file", f"page-{number:03}.md"),
                base_utility=base_utility,
                recompute_cost=recompute_cost,
            )
        )
    return pages


def make_demands(count: int, turns: int) -> list[Demands]:
    """Return each turn's demands: a walk through all pages whose strides share no factor with the usual counts."""
    wanted = (Level.STRUCTURED, Level.FULL)
    return [
        [
            (f"page-{(turn * 7 + index * 3) % count:03}", wanted[(turn + index) % len(wanted)])
            for index in range(DEMANDS_PER_TURN)
        ]
        for turn in range(turns)
    ]


# --- tables of one size ------------------------------------------------------------------------------


def started_engine(pages: Sequence[Page], budget: int, policy: str = POLICY, **options: Any) -> Engine:
    """Return an engine whose first session has these pages; *options* are those of ``Engine``."""
    engine = Engine(POLICIES[policy], budget, **options)
    engine.session_start("session-1", pages)
    return engine


def _handing_on() -> DecisionTrace:
    """Return a decision trace that keeps nothing but the last event, as one that streams to a file does."""
    kept: deque[Event] = deque(maxlen=1)
    return DecisionTrace(kept.append)


def time_turns(engine: Engine, demands: Iterable[Demands], record: Record) -> None:
    """Time each engine turn."""
    for wanted in demands:
        begin = perf_counter_ns()
        engine.post_model(demands=wanted)
        engine.prompt_assemble()
        record(perf_counter_ns() - begin)


def requests_of(size: Size) -> list[SelectionRequest]:
    """Return the selection requests of the turns at one size."""
    requests: list[SelectionRequest] = []

    def recording(request: SelectionRequest) -> Selection:
        requests.append(request)
        return select(request)

    engine = started_engine(make_pages(size.pages), size.budget, selector=recording)
    time_turns(engine, make_demands(size.pages, size.turns), lambda sample: None)
    return requests


def _selections(size: Size) -> Work:
    requests = requests_of(size)

    def work(record: Record) -> None:
        for request in requests:
            record(nanoseconds(select, request))

    return work


def _turns(size: Size, policy: str, traced: bool) -> Work:
    demands = make_demands(size.pages, size.turns)

    def work(record: Record) -> None:
        # The pages are made here, because the engine keeps them: they belong to its memory.
        pages = make_pages(size.pages)
        engine = started_engine(pages, size.budget, policy, trace=_handing_on() if traced else None)
        time_turns(engine, demands, record)

    return work


def size_cases(size: Size) -> list[Case]:
    """Return the cases of one size: every part under ClawVM, the plain turn under the other policies."""
    where = {"pages": size.pages, "budget": size.budget}
    return [
        Case("timings", {"part": "select", **where}, partial(_selections, size), has_peak=True),
        Case("timings", {"part": "turn", **where}, partial(_turns, size, POLICY, False), has_peak=True),
        Case("timings", {"part": "turn+trace", **where}, partial(_turns, size, POLICY, True), has_peak=True),
        *(
            Case("policies", {"policy": policy, "part": "turn", **where}, partial(_turns, size, policy, False))
            for policy in OTHER_POLICIES
        ),
    ]


# --- the workload families ---------------------------------------------------------------------------


def time_family_turns(trace: Trace, record: Record) -> None:
    """Time each turn of *trace* with the replay around it, which asks for one turn at a time."""

    def timed() -> Iterator[Turn]:
        for turn in map(_made_anew, trace.turns):
            begin = perf_counter_ns()
            yield turn
            record(perf_counter_ns() - begin)

    replay(trace.header, timed(), POLICIES[POLICY], trace.header.budget)


def time_family_selections(trace: Trace, record: Record) -> None:
    """Time each selection in a replay of *trace*."""

    def timed(request: SelectionRequest) -> Selection:
        begin = perf_counter_ns()
        selection = select(request)
        record(perf_counter_ns() - begin)
        return selection

    replay_trace(trace, POLICIES[POLICY], selector=timed)


def family_cases(workload: str) -> list[Case]:
    """Return the cases of one family at ``FAMILY_BUDGET``."""
    trace = family_trace(workload, FAMILY_BUDGET)
    fields = {"workload": workload, "budget": FAMILY_BUDGET, "pages": len(_page_ids(trace))}
    return [
        Case("families", {"part": "select", **fields}, lambda: partial(time_family_selections, trace)),
        Case("families", {"part": "turn", **fields}, lambda: partial(time_family_turns, trace), has_peak=True),
    ]


def _made_anew(turn: Turn) -> Turn:
    """Return *turn* with pages of its own: those that the engine keeps belong to its memory."""
    return dataclasses.replace(turn, prelude=tuple(_with_own_page(item) for item in turn.prelude))


def _with_own_page(item: Prelude) -> Prelude:
    if isinstance(item, Page):
        return item.changed()
    if isinstance(item, (Replacement, ToolDeclaration)) and item.page is not None:
        return dataclasses.replace(item, page=item.page.changed())
    return item


def _page_ids(trace: Trace) -> set[str]:
    """Return the ids of all pages that a trace declares or that its tools give."""
    items = [item.page if isinstance(item, ToolDeclaration) else item for turn in trace.turns for item in turn.prelude]
    return {item.id for item in items if isinstance(item, Page)}


# --- the reference -----------------------------------------------------------------------------------


def reference_record() -> Event:
    """Return the assemble decision of turn ``REFERENCE_TURNS`` on a table of ``REFERENCE_PAGES``."""
    trace = DecisionTrace()
    engine = started_engine(make_pages(REFERENCE_PAGES), REFERENCE_BUDGET, trace=trace)
    time_turns(engine, make_demands(REFERENCE_PAGES, REFERENCE_TURNS), lambda sample: None)
    return next(event for event in reversed(trace.events) if event["event"] == "assemble")


def time_reference(decision: Event, record: Record) -> None:
    """Time ``REFERENCE_LINES`` canonical JSON lines of one decision."""
    for _ in range(REFERENCE_LINES):
        record(nanoseconds(canonical_json, decision))
