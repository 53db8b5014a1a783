"""The facts of one run, read from its decision trace: what every way of counting has to start from.

=============  =================================================================================================
Access         one demand or tool call: its verdict, whether the next prompt met it, what was known before
Shortfall      one page below its minimum in one prompt, during a loss that the observer reported
Lookup         one look-up of memory with its outcome
RunFacts       all of them
facts_of_run   from the events of a run to its facts
=============  =================================================================================================

Nothing is judged here. A prompt's levels and a turn's pressure stand in the trace behind the accesses that they settle,
so accesses stay open until their prompt is known. What the trace does not say is listed in ``docs/sensitivity.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from clawvm_runtime.decision_trace import Event
from clawvm_runtime.faults import Verdict
from clawvm_runtime.vocabulary import FaultKind, Level, RecallOutcome, level_from_name

__all__ = ["Access", "Lookup", "RunFacts", "Shortfall", "facts_of_run"]

_FLOOR_FAULTS = (FaultKind.PINNED_INVARIANT_MISS.value, FaultKind.POST_COMPACTION_BOOTSTRAP.value)


@dataclass(frozen=True, slots=True)
class Access:
    """One access.

    ``below``: the resident level was below the needed one. ``met``: the prompt assembled for the turn holds the needed
    level. ``repeated``: a tool call whose signature ran before. ``ran_again``: a call of a tool that is not
    deterministic, which gave a page before. ``seen_before``: the page was accessed in an earlier turn.
    """

    turn: int
    page: str
    verdict: Verdict
    below: bool
    met: bool
    under_pressure: bool
    repeated: bool
    ran_again: bool
    seen_before: bool
    page_in_tokens: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A page below its minimum in one prompt.

    ``counted``: the observer counted a fault here. ``first``: the prompt in which this loss began.
    """

    kind: FaultKind
    page: str
    under_pressure: bool
    counted: bool
    first: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """A look-up of memory; ``reasoned`` tells whether the model learns the reason of an empty answer."""

    outcome: RecallOutcome
    reasoned: bool


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts of a run; ``destroyed_updates`` has the number of updates for each page and boundary that lost some."""

    accesses: tuple[Access, ...]
    shortfalls: tuple[Shortfall, ...]
    lookups: tuple[Lookup, ...]
    destroyed_updates: tuple[int, ...]
    pressure_turns: int


def facts_of_run(events: Iterable[Event]) -> RunFacts:
    """Return the facts of the run that produced *events*, one pass, O(events)."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    reader.settle()
    return RunFacts(
        tuple(reader.accesses),
        tuple(reader.shortfalls),
        tuple(reader.lookups),
        tuple(reader.destroyed_updates),
        reader.pressure_turns,
    )


class _Reader:
    """Reads events in their order and keeps what later ones refer to."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self.shortfalls: list[Shortfall] = []
        self.lookups: list[Lookup] = []
        self.destroyed_updates: list[int] = []
        self.pressure_turns = 0
        self._known_pages: set[str] = set()
        self._page_of_update: dict[int, str] = {}
        self._first_turn: dict[str, int] = {}
        self._signatures: set[str] = set()
        self._repeated_signature: str | None = None
        self._ran_again = False
        self._open: list[tuple[Event, bool]] = []
        self._prompt: Event | None = None
        self._under_pressure = False
        self._floor_faults: list[Event] = []
        self._lost: dict[str, tuple[FaultKind, Level]] = {}

    def take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "pressure":
            self._under_pressure = True
            return
        if kind == "fault":
            if event["fault"] in _FLOOR_FAULTS:
                self._floor_faults.append(event)
            return
        self.settle()
        if kind == "demand":
            self._demand(event)
        elif kind == "tool":
            self._tool(event)
        elif kind == "page":
            self._known_pages.add(event["page"])
        elif kind == "stage":
            self._page_of_update[event["entry"]] = event["page"]
        elif kind == "lost":
            # An update of a page that was never declared has no page that could be dirty.
            pages = (self._page_of_update[entry] for entry in event["entries"])
            self.destroyed_updates.extend(Counter(page for page in pages if page in self._known_pages).values())
        elif kind == "recall":
            self.lookups.append(Lookup(RecallOutcome(event["outcome"]), event["reasoned"]))
        elif kind == "assemble":
            self._prompt = event

    def _demand(self, event: Event) -> None:
        self._open.append((event, self._ran_again))
        self._ran_again = False
        self._first_turn.setdefault(event["page"], event["turn"])
        if event["signature"] is not None:
            self._repeated_signature = event["signature"]

    def _tool(self, event: Event) -> None:
        # The engine judges a repeated call before it answers it, but runs a new one, or one whose tool is not
        # deterministic, before it judges the access: only then the demand comes behind the tool event.
        signature = event["signature"]
        if signature == self._repeated_signature:
            self._repeated_signature = None
        elif event["page"] is not None:
            self._ran_again = signature in self._signatures
        if event["page"] is not None:
            self._signatures.add(signature)

    def settle(self) -> None:
        """Close the turn of the last prompt, if it is open: whatever belongs to it has been read."""
        if self._prompt is None:
            return
        levels = {page: level_from_name(name) for page, name in self._prompt["levels"].items()}
        self._settle_accesses(levels)
        self._settle_floors(levels)
        self.pressure_turns += self._under_pressure
        self._prompt = None
        self._under_pressure = False

    def _settle_accesses(self, levels: dict[str, Level]) -> None:
        for event, ran_again in self._open:
            page, needed = event["page"], level_from_name(event["level"])
            self.accesses.append(
                Access(
                    turn=event["turn"],
                    page=page,
                    verdict=Verdict(event["verdict"]),
                    below=level_from_name(event["resident"]) < needed,
                    met=levels.get(page, Level.NONE) >= needed,
                    under_pressure=self._under_pressure,
                    repeated=event["signature"] is not None,
                    ran_again=ran_again,
                    seen_before=self._first_turn[page] < event["turn"],
                    page_in_tokens=event["page_in_tokens"],
                )
            )
        self._open.clear()

    def _settle_floors(self, levels: dict[str, Level]) -> None:
        counted = {event["page"]: event for event in self._floor_faults}
        self._floor_faults.clear()
        began = counted.keys() - self._lost.keys()
        for page, event in counted.items():
            self._lost[page] = (FaultKind(event["fault"]), level_from_name(event["minimum"]))
        for page, (kind, minimum) in list(self._lost.items()):
            if levels.get(page, Level.NONE) >= minimum:
                del self._lost[page]
            else:
                self.shortfalls.append(Shortfall(kind, page, self._under_pressure, page in counted, page in began))
