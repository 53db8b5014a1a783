"""A session as a residency map needs it, read from a decision trace in one pass.

===============  =============================================================================
Run              equal cells of a page in consecutive turns, with the decision behind them
FaultMark        a fault at a turn, of a page or of none
PageInMark       a page-in at a turn, with its tokens
BoundaryMark     a compaction or reset before the prompt of a turn
Counts           how many faults and page-ins there are somewhere
PageRow          a page with its runs over the turns of the window
SessionRecord    everything that happened in the window, and counts of what lies outside
read_session     the record of a decision trace
===============  =============================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clawvm_pictures.svg import value_text
from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.vocabulary import TYPE_RULES, PageType, level_from_name

__all__ = ["ABSENT", "GONE", "BoundaryMark", "Counts", "FaultMark", "PageRow", "Run", "SessionRecord", "read_session"]


# --- The decision behind a cell of a residency map: facts from the events of one turn, as sentences with numbers.

_REQUIRED = {
    "injected": "injected at {level} by the harness until the first boundary",
    "floor": "floor: auto-pin holds a hard page at {level}",
    "demand": "demand: this turn needs it at {level}",
}


class Fact(NamedTuple):
    """A sentence with a place ``{}`` for each of its numbers."""

    sentence: str
    numbers: tuple[float, ...] = ()


def fact_text(sentence: str, ranges: Sequence[tuple[float, float]]) -> str:
    """Return the sentence with each number, or its lowest and highest value where they differ."""
    parts = sentence.split("{}")
    shown = [value_text(low) if low == high else f"{value_text(low)} to {value_text(high)}" for low, high in ranges]
    return parts[0] + "".join(number + part for number, part in zip(shown, parts[1:]))


def facts_of_turn(events: Sequence[Event], before: Mapping[str, str], gone: Collection[str]) -> dict[str, list[Fact]]:
    """Return the facts of each page that the *events* of one turn decide on, in the order in which they count.

    *before* has the levels of the last prompt, *gone* the pages that a reset destroyed and nothing has brought back.
    O(length of the events).
    """
    facts: dict[str, list[Fact]] = {}
    assembled: Event | None = None
    for event in events:
        if event["event"] == "assemble":
            assembled = event
        elif event["event"] == "boundary":
            for page in before:
                _add(facts, page, f"the {event['boundary']} before this prompt dropped it from the context")
        elif event["event"] == "session_start":
            for page in event.get("gone", ()):
                _add(facts, page, "the reset destroyed it: it was never committed")
    for page in gone:
        if page not in facts:
            _add(facts, page, "gone since a reset that destroyed it; nothing has brought it back")
    for event in events:
        _happened(facts, event)
    if assembled is not None:
        _selected(facts, assembled)
    for event in events:
        if event["event"] == "fault" and "page" in event:
            _add(facts, event["page"], f"FAULT {fault_text(event)}")
    return facts


def _add(facts: dict[str, list[Fact]], page: str, sentence: str, *numbers: float) -> None:
    facts.setdefault(page, []).append(Fact(sentence, numbers))


def fault_text(event: Event) -> str:
    """Return a fault event in words: kind, cause, whom it is counted against."""
    kind = event["fault"].replace("_", " ")
    details = {
        "retrieved_again": "retrieved again",
        "left_out_of_prompt": "left out of the prompt",
    }
    parts = [kind]
    if "cause" in event:
        parts.append(details[event["cause"]])
    if "minimum" in event:
        parts.append(f"at {event['resident']}, below its minimum {event['minimum']}")
    if "boundary" in event:
        parts.append(f"staged updates destroyed by the {event['boundary']}")
    if "outcome" in event:
        parts.append(f"the look-up ended as {event['outcome'].replace('_', ' ')} without saying so")
    parts.append("counted against the policy" if event["controllable"] else "caused by pressure")
    return ", ".join(parts)


def _happened(facts: dict[str, list[Fact]], event: Event) -> None:
    kind = event["event"]
    if kind == "demand":
        verdict = event["verdict"].replace("_", "-")
        found = f"demanded at {event['level']}, found at {event['resident']}: {verdict}"
        if event["verdict"] == "page_in":
            _add(facts, event["page"], found + " of {} tokens", event["page_in_tokens"])
        else:
            _add(facts, event["page"], found)
    elif kind == "alert":
        _add(facts, event["page"], "alert: the tool call repeats an earlier one")
    elif kind == "page" and event["cause"] == "replaced":
        _add(facts, event["page"], "new content took its place")


def _selected(facts: dict[str, list[Fact]], assembled: Event) -> None:
    for page, level, reason, fitted in assembled["required"]:
        sentence = _REQUIRED[reason].format(level=level)
        _add(facts, page, sentence if fitted else sentence + ", but that did not fit")
    steps = assembled["steps"]
    # What was left while a step was tried is what is left at the end and what the steps from there on took.
    left = assembled["budget"] - assembled["tokens"]
    lefts = []
    for _, _, delta, _, outcome in reversed(steps):
        left += delta if outcome == "applied" else 0
        lefts.append(left)
    for page in assembled["prefetched"]:
        _add(facts, page, "prefetch: its lowest level fitted")
    for page in assembled["prefetch_refused"]:
        _add(facts, page, "prefetch refused: its lowest level did not fit; {} tokens were left after it", left)
    stopped: set[str] = set()
    for (page, level, delta, key, outcome), left_then in zip(steps, reversed(lefts)):
        if outcome == "applied":
            text = f"upgrade to {level}: {{}} tokens of {{}} left, score per token {{}}"
            _add(facts, page, text, delta, left_then, key)
        elif outcome == "did_not_fit":
            text = f"no upgrade to {level}: it needs {{}} tokens, {{}} were left, score per token {{}}"
            _add(facts, page, text, delta, left_then, key)
            stopped.add(page)
        elif page not in stopped:
            text = f"no upgrade to {level}: tried when the page did not stand at the level below, score per token {{}}"
            _add(facts, page, text, key)


# --- A session as a residency map needs it, read from a decision trace in one pass.

ABSENT = "absent"
"""The level of a page that was not declared yet."""

GONE = "gone"
"""The level of a page that a reset destroyed and nothing has brought back."""

_NOTHING = (Fact("nothing asked for it: not required, not prefetched, no upgrade tried"),)
_UNDECLARED = (Fact("not declared yet"),)
_NO_PROMPT = (Fact("no prompt was assembled"),)


@dataclass(slots=True)
class Run:
    """Equal cells of a page from turn ``first`` to ``last``: one level, the same sentences, numbers in ranges."""

    first: int
    last: int
    level: str
    sentences: tuple[str, ...]
    ranges: list[list[tuple[float, float]]]

    @property
    def texts(self) -> list[str]:
        """The decision behind the cells, one sentence each."""
        return [fact_text(sentence, ranges) for sentence, ranges in zip(self.sentences, self.ranges)]


@dataclass(frozen=True, slots=True)
class FaultMark:
    """A fault; ``page`` is "" for a look-up."""

    page: str
    turn: int
    kind: str
    controllable: bool
    text: str


@dataclass(frozen=True, slots=True)
class PageInMark:
    """A demand that was served from the stored result, and met by the prompt, for so many tokens."""

    page: str
    turn: int
    tokens: int


@dataclass(frozen=True, slots=True)
class BoundaryMark:
    """A compaction or reset before the prompt of ``turn``; ``session`` is what a reset began."""

    turn: int
    boundary: str
    session: str = ""


@dataclass(slots=True)
class Counts:
    """How many faults are the policy's, how many pressure caused, and how many demands were page-ins."""

    faults: int = 0
    pressure_faults: int = 0
    page_ins: int = 0

    def add(self, fault: FaultMark) -> None:
        """Count a fault."""
        if fault.controllable:
            self.faults += 1
        else:
            self.pressure_faults += 1


@dataclass(slots=True)
class PageRow:
    """A page, its place in the table of pages, and its runs; they follow each other without a gap."""

    page: str
    type: str
    ordinal: int
    runs: list[Run] = field(default_factory=list)
    demands: int = 0

    def extend(self, turn: int, level: str, facts: Iterable[Fact]) -> None:
        """Add the cell of the next turn: to the last run if it is equal, else as a new one."""
        facts = tuple(facts)
        sentences = tuple(fact.sentence for fact in facts)
        if self.runs and self.runs[-1].level == level and self.runs[-1].sentences == sentences:
            run = self.runs[-1]
            run.last = turn
            for ranges, fact in zip(run.ranges, facts):
                for index, value in enumerate(fact.numbers):
                    low, high = ranges[index]
                    ranges[index] = (min(low, value), max(high, value))
        else:
            single = [[(value, value) for value in fact.numbers] for fact in facts]
            self.runs.append(Run(turn, turn, level, sentences, single))

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
    outside: Counts = field(default_factory=Counts)

    def counts(self, pages: Collection[str]) -> Counts:
        """Return what happened in the window to these pages; "" stands for look-ups."""
        counts = Counts(page_ins=sum(mark.page in pages for mark in self.page_ins))
        for fault in self.faults:
            if fault.page in pages:
                counts.add(fault)
        return counts


def read_session(events: Iterable[Event], first: int, last: int) -> SessionRecord:
    """Return what happened from turn *first* to *last*, which is moved to the last turn that there is.

    Memory follows the window, not the trace. Raises InputError when there is no turn in the window or a turn is
    missing, KeyError and the like for events that are none of a decision trace.
    """
    reader = _Reader(SessionRecord(first, last))
    for turn_events in _by_turn(events):
        reader.turn(turn_events)
    record = reader.record
    if not record.turns:
        raise InputError("the decision trace has no prompt, so there is nothing to draw")
    if record.turns < first:
        raise InputError(f"the decision trace has turns 1 to {record.turns}; none of {first} to {last} is among them")
    record.last = min(last, record.turns)
    return record


def _by_turn(events: Iterable[Event]) -> Iterator[list[Event]]:
    gathered: list[Event] = []
    for event in events:
        if gathered and event["turn"] != gathered[0]["turn"]:
            yield gathered
            gathered = []
        gathered.append(event)
    if gathered:
        yield gathered


class _Reader:
    """Follows a trace turn by turn: levels of the last prompt, pages that are gone, and the record so far."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self._before: dict[str, str] = {}
        self._gone: dict[str, None] = {}

    def turn(self, events: list[Event]) -> None:
        turn = events[0]["turn"]
        record = self.record
        if turn not in (record.turns, record.turns + 1):
            raise InputError(f"turn {turn!r} follows turn {record.turns} in the decision trace; validate it first")
        inside = record.first <= turn <= record.last
        for event in events:
            self._note(event, inside)
        levels = next((event["levels"] for event in events if event["event"] == "assemble"), None)
        for event in events:
            if event["event"] == "demand" and event["verdict"] == "page_in":
                self._page_in(event, (levels or {}).get(event["page"], "none"), inside)
        record.turns = turn
        if inside:
            facts = facts_of_turn(events, self._before, self._gone)
            for page, row in record.rows.items():
                lowest = GONE if page in self._gone else "none"
                if levels is None:
                    row.extend(turn, lowest, facts.get(page, _NO_PROMPT))
                else:
                    row.extend(turn, levels.get(page, lowest), facts.get(page, _NOTHING))
        if levels is not None:
            self._before = levels

    def _note(self, event: Event, inside: bool) -> None:
        """Keep what an event says; what lies outside the window is only counted."""
        record, kind, turn = self.record, event["event"], event["turn"]
        if kind == "header":
            record.policy, record.budget = event["policy"], event["budget"]
            record.workload = event.get("workload", "")
        elif kind == "page":
            self._declared(event)
        elif kind == "session_start":
            if not record.policy:  # A live harness may write no header.
                record.policy, record.budget = event["policy"], event["budget"]
            self._gone.update(dict.fromkeys(event.get("gone", ())))
            if inside and record.boundaries and record.boundaries[-1].turn == turn:
                record.boundaries[-1] = BoundaryMark(turn, record.boundaries[-1].boundary, event["session"])
        elif kind == "demand":
            self._gone.pop(event["page"], None)
            if inside:
                record.rows[event["page"]].demands += 1
        elif kind == "fault":
            fault = FaultMark(event.get("page", ""), turn, event["fault"], event["controllable"], fault_text(event))
            if inside:
                record.faults.append(fault)
            else:
                record.outside.add(fault)
        elif kind == "boundary" and inside:
            record.boundaries.append(BoundaryMark(turn, event["boundary"]))
        elif kind == "pressure" and inside:
            record.pressure[turn] = event["missing"]
        elif kind == "flush" and inside:
            record.flushes[turn] = event["performed"]

    def _page_in(self, event: Event, level: str, inside: bool) -> None:
        if level_from_name(level) < level_from_name(event["level"]):
            return  # The prompt did not meet the demand after all, so it is a fault and nothing was paid.
        if inside:
            self.record.page_ins.append(PageInMark(event["page"], event["turn"], event["page_in_tokens"]))
        else:
            self.record.outside.page_ins += 1

    def _declared(self, event: Event) -> None:
        page, turn = event["page"], event["turn"]
        self._gone.pop(page, None)
        record = self.record
        if page not in record.rows and turn <= record.last:
            row = record.rows[page] = PageRow(page, event["type"], len(record.rows))
            for earlier in range(record.first, turn):
                row.extend(earlier, ABSENT, _UNDECLARED)
