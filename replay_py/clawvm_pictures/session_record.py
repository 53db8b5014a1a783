"""A session as a residency map needs it, read from a decision trace in one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from clawvm_pictures.svg import value_text
from clawvm_replay.errors import InputError
from clawvm_replay.explanation import Fact, fault_text, filled, page_facts, update_destroyed
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.vocabulary import TYPE_RULES, PageType, level_from_name

__all__ = [
    "ABSENT",
    "DESTROYED",
    "BoundaryMark",
    "CellRun",
    "EventCounts",
    "FaultMark",
    "PageRow",
    "SessionRecord",
    "read_session",
]

ABSENT = "absent"
"""The level of a page that was not declared yet."""

DESTROYED = "destroyed"
"""The level of a page that a reset destroyed and nothing has brought back."""


_NOTHING = (Fact("nothing asked for it: not required, not prefetched, no upgrade tried"),)
_UNDECLARED = (Fact("not declared yet"),)
_NO_PROMPT = (Fact("no prompt was assembled"),)


@dataclass(slots=True)
class CellRun:
    """Equal cells of a page from turn ``first`` to ``last``: one level, the same sentences, numbers in ranges."""

    first: int
    last: int
    level: str
    sentences: tuple[str, ...]
    ranges: list[list[tuple[float, float]]]

    @property
    def texts(self) -> list[str]:
        """The decision behind the cells, one sentence each, with a range where a number differs between them."""
        return [filled(sentence, map(_range_text, ranges)) for sentence, ranges in zip(self.sentences, self.ranges)]


def _range_text(ends: tuple[float, float]) -> str:
    low, high = map(value_text, ends)
    return low if low == high else f"{low} to {high}"


class FaultMark(NamedTuple):
    """A fault; ``page`` is "" for a recall."""

    page: str
    turn: int
    kind: str
    controllable: bool
    text: str


class PageInMark(NamedTuple):
    """A demand that was served from the stored result, and met by the prompt."""

    page: str
    turn: int


class BoundaryMark(NamedTuple):
    """A compaction or reset before the prompt of ``turn``; ``session`` is what a reset began."""

    turn: int
    boundary: str
    session: str = ""


@dataclass(slots=True)
class EventCounts:
    """How many faults are the policy's, how many pressure caused, and how many demands were page-ins."""

    faults: int = 0
    pressure_faults: int = 0
    page_ins: int = 0

    def add(self, mark: FaultMark | PageInMark) -> None:
        """Count a mark."""
        if isinstance(mark, PageInMark):
            self.page_ins += 1
        elif mark.controllable:
            self.faults += 1
        else:
            self.pressure_faults += 1


@dataclass(slots=True)
class PageRow:
    """A page, its place in the table of pages, and its runs; they follow each other without a gap."""

    page: str
    type: str
    ordinal: int
    runs: list[CellRun] = field(default_factory=list)
    demands: int = 0

    def extend(self, turn: int, level: str, facts: Sequence[Fact]) -> None:
        """Add the cell of the next turn: to the last run if it is equal, else as a new one."""
        sentences = tuple(fact.sentence for fact in facts)
        if self.runs and self.runs[-1].level == level and self.runs[-1].sentences == sentences:
            run = self.runs[-1]
            run.last = turn
            for ranges, fact in zip(run.ranges, facts):
                ranges[:] = [(min(low, value), max(high, value)) for (low, high), value in zip(ranges, fact.numbers)]
        else:
            single = [[(value, value) for value in fact.numbers] for fact in facts]
            self.runs.append(CellRun(turn, turn, level, sentences, single))

    @property
    def prompt_order(self) -> tuple[int, int, int]:
        """The order of pages in a prompt, those of one type together."""
        page_type = PageType(self.type)
        return -TYPE_RULES[page_type].rank, list(PageType).index(page_type), self.ordinal


@dataclass(slots=True)
class SessionRecord:
    """The turns from ``first`` to ``last`` of a session that has ``turns``; ``outside`` counts what happened elsewhere.

    ``pressure`` has the missing tokens by turn, ``flushes`` whether the policy performed the flush that was due.
    """

    first: int
    last: int
    turns: int = 0
    policy: str = ""
    budget: int = 0
    workload: str = ""
    rows: dict[str, PageRow] = field(default_factory=dict)
    faults: list[FaultMark] = field(default_factory=list)
    page_ins: list[PageInMark] = field(default_factory=list)
    boundaries: list[BoundaryMark] = field(default_factory=list)
    pressure: dict[int, int] = field(default_factory=dict)
    flushes: dict[int, bool] = field(default_factory=dict)
    outside: EventCounts = field(default_factory=EventCounts)

    def counts(self, pages: Collection[str]) -> EventCounts:
        """Return what happened in the window to these pages; "" means recalls."""
        counts = EventCounts()
        marks: list[FaultMark | PageInMark] = [*self.faults, *self.page_ins]
        for mark in marks:
            if mark.page in pages:
                counts.add(mark)
        return counts


def read_session(events: Iterable[Event], first: int, last: int) -> SessionRecord:
    """Return what happened from turn *first* to *last*, or to the last turn if that is earlier.

    Memory follows the window, not the trace. Raises InputError when there is no turn in the window or a turn is
    missing, KeyError and the like for events that are none of a decision trace.
    """
    reader = _Reader(SessionRecord(first, last))
    for turn, turn_events in groupby(events, key=lambda event: event["turn"]):
        reader.turn(turn, list(turn_events))
    record = reader.record
    if not record.turns:
        raise InputError("the decision trace has no prompt, so there is nothing to draw")
    if record.turns < first:
        raise InputError(f"the decision trace has turns 1 to {record.turns}; none of {first} to {last} is among them")
    record.last = min(last, record.turns)
    return record


class _Reader:
    """Follows a trace turn by turn: levels of the last prompt, pages that were destroyed, and the record so far."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self._before: Mapping[str, str] = {}
        self._destroyed: set[str] = set()

    def turn(self, turn: int, events: list[Event]) -> None:
        record = self.record
        if turn not in (record.turns, record.turns + 1):
            raise InputError(f"turn {turn!r} follows turn {record.turns} in the decision trace; validate it first")
        inside = record.first <= turn <= record.last
        assembled = next((event for event in events if event["event"] == "assemble"), None)
        for event in events:
            self._follow(event)
            if inside:
                self._note(event)
        for mark in _marks(events, {} if assembled is None else assembled["levels"]):
            if not inside:
                record.outside.add(mark)
            elif isinstance(mark, FaultMark):
                record.faults.append(mark)
            else:
                record.page_ins.append(mark)
        record.turns = turn
        if inside:
            facts = page_facts(events, assembled, self._before, self._destroyed)
            for page, row in record.rows.items():
                level = DESTROYED if page in self._destroyed else "none"
                if assembled is None:
                    row.extend(turn, level, facts.get(page, _NO_PROMPT))
                else:
                    row.extend(turn, assembled["levels"].get(page, level), facts.get(page, _NOTHING))
        if assembled is not None:
            self._before = assembled["levels"]

    def _follow(self, event: Event) -> None:
        """Follow what also counts outside the window."""
        record, kind = self.record, event["event"]
        update_destroyed(self._destroyed, event)
        if kind == "header":
            record.policy, record.budget = event["policy"], event["budget"]
            record.workload = event.get("workload", "")
        elif kind == "session_start" and not record.policy:  # A live harness may write no header.
            record.policy, record.budget = event["policy"], event["budget"]
        elif kind == "page" and event["page"] not in record.rows and event["turn"] <= record.last:
            row = record.rows[event["page"]] = PageRow(event["page"], event["type"], len(record.rows))
            for earlier in range(record.first, event["turn"]):
                row.extend(earlier, ABSENT, _UNDECLARED)

    def _note(self, event: Event) -> None:
        """Keep what happened to the session in the window."""
        record, kind, turn = self.record, event["event"], event["turn"]
        if kind == "demand":
            record.rows[event["page"]].demands += 1
        elif kind == "boundary":
            record.boundaries.append(BoundaryMark(turn, event["boundary"]))
        elif kind == "session_start" and record.boundaries and record.boundaries[-1].turn == turn:
            record.boundaries[-1] = record.boundaries[-1]._replace(session=event["session"])
        elif kind == "pressure":
            record.pressure[turn] = event["missing"]
        elif kind == "flush":
            record.flushes[turn] = event["performed"]


def _marks(events: Sequence[Event], levels: Mapping[str, str]) -> list[FaultMark | PageInMark]:
    """Return the faults of a turn, and its page-ins as far as the prompt's *levels* met the demand."""
    marks: list[FaultMark | PageInMark] = []
    for event in events:
        if event["event"] == "fault":
            page, controllable = event.get("page", ""), event["controllable"]
            marks.append(FaultMark(page, event["turn"], event["fault"], controllable, fault_text(event)))
        # A demand that the prompt did not meet after all is a fault, and nothing was paid.
        elif event["event"] == "demand" and event["verdict"] == "page_in" and _met(event, levels):
            marks.append(PageInMark(event["page"], event["turn"]))
    return marks


def _met(demand: Event, levels: Mapping[str, str]) -> bool:
    return level_from_name(levels.get(demand["page"], "none")) >= level_from_name(demand["level"])
