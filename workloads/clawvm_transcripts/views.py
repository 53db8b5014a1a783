"""Two views of one session as replay traces: demands by exact signature, and demands by resource.

Both views hold the same turns with the same numbers. In the view of resources, a read of lines that current results
hold is a demand on their pages; in the view of exact signatures it is a result of its own. For each trace there is a
file of observations: the calls that asked again, and whether the recorded harness still had the content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import BoundaryEvent, Call, EventBefore, Replacement, ToolDeclaration, Turn, open_trace
from clawvm_runtime.pages import Page
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Boundary, Level, ToolOutcome
from clawvm_transcripts.evidence import Finding, Novelty

__all__ = ["Observed", "View", "ViewBuilder", "observations_end", "observations_header", "read_observed"]


# --- Observations, a file of JSON lines for each trace.

FORMAT_NAME = "clawvm.observed"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Observed:
    """A call of the recording that asked again; it actually ran again, whatever a policy would have done.

    ``pages`` are the pages that hold the content, ``tokens`` the size of the result when it came again, ``kept``
    whether the harness still had it in its context. What is repeated or covered is a demand of the trace too; what is
    edited is new content there.
    """

    turn: int
    pages: tuple[str, ...]
    novelty: Novelty
    kept: bool
    tokens: int

    def to_record(self) -> dict[str, Any]:
        """Return the observation as plain JSON data."""
        return {**asdict(self), "novelty": self.novelty.value, "pages": list(self.pages), "record": "observed"}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Observed:
        """Return the observation that *record* describes; raises KeyError, TypeError or ValueError."""
        if record["record"] != "observed":
            raise ValueError("not an observation")
        if type(record["turn"]) is not int or type(record["tokens"]) is not int or type(record["kept"]) is not bool:
            raise TypeError("turn and tokens must be whole numbers, kept true or false")
        novelty = Novelty(record["novelty"])
        return cls(record["turn"], tuple(record["pages"]), novelty, record["kept"], record["tokens"])


def observations_header(workload: str, view: str) -> dict[str, Any]:
    """Return the first record of a file of observations."""
    return {"format": FORMAT_NAME, "record": "header", "version": FORMAT_VERSION, "view": view, "workload": workload}


def observations_end(records: int) -> dict[str, Any]:
    """Return the last record of a file that holds so many *records*."""
    return {"record": "end", "records": records}


def read_observed(path: Path, source: str = "") -> Iterator[Observed]:
    """Yield the observations in a file, in constant memory.

    Raises InputError when it cannot be opened, TraceError with *source* (the path, unless given) and the line for what
    is no observation, another version, and a file that ends before its end record.
    """
    source = source or str(path)
    with open_trace(path) as stream:
        number, ended = 0, False
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
                if number == 1:
                    in_place = (record["format"], record["version"]) == (FORMAT_NAME, FORMAT_VERSION)
                elif record["record"] == "end":
                    in_place, ended = not ended and record["records"] == number - 2, True
                else:
                    in_place = not ended
                    observed = Observed.from_record(record)
                if not in_place:
                    raise ValueError("a record out of its place")
            except (KeyError, TypeError, ValueError, RecursionError):
                raise TraceError(source, number, "is no record of observations in its place; convert again") from None
            if number > 1 and not ended:
                yield observed
        if not ended:
            raise TraceError(source, number + 1, "the observations are cut off; convert the session again")


# --- The turns of a view.


class View(str, Enum):
    """What counts as the same demand."""

    SIGNATURES = "signatures"
    RESOURCES = "resources"


class ViewBuilder:
    """Builds the turns of one view; ``close`` ends a turn, everything else happens in the turn that it will end."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.turn = 1
        self.observed: list[Observed] = []
        self._before: list[EventBefore] = []
        # New content for the next turn: the content of this turn was asked for before it came.
        self._late: dict[str, tuple[Page, ToolDeclaration | None]] = {}
        self._calls: list[Call] = []
        self._demands: list[tuple[str, Level]] = []
        self._updates: list[Update] = []
        self._accessed: set[str] = set()  # Pages demanded in this turn: asking twice at once is one demand.
        self._fresh: dict[str, int] = {}  # Pages new in this turn, with the places of their declarations.
        self._full: dict[str, int] = {}  # Tokens at full of every page so far.
        self._stale: set[str] = set()  # Pages whose content an edit made stale, and which nothing renewed.
        self._sessions = 1
        self.working_set = 0

    def knows(self, page_id: str) -> bool:
        """Return whether the page is declared."""
        return page_id in self._full

    def reset(self) -> None:
        """Add a reset; the sessions of a trace are numbered."""
        self._sessions += 1
        self.boundary(BoundaryEvent(Boundary.RESET, f"session-{self._sessions}"))

    def boundary(self, event: BoundaryEvent) -> None:
        """Add a boundary."""
        self._before.append(event)

    def declare(self, page: Page, *, demanded: Level | None = None) -> None:
        """Put a page into the table, or give a known one new content; *demanded* is needed in this turn."""
        if page.id in self._full:
            if page.id in self._accessed or page.id in self._fresh:
                self._late[page.id] = (page, None)
                return
            self._before.append(Replacement(page))
        else:
            self._fresh[page.id] = len(self._before)
            self._before.append(page)
        self._size(page)
        if demanded is not None:
            self.demand(page.id, demanded)

    def demand(self, page_id: str, level: Level) -> None:
        """Add a demand on a known page in this turn."""
        if page_id not in self._accessed:
            self._accessed.add(page_id)
            self._demands.append((page_id, level))

    def update(self, update: Update) -> None:
        """Add an update of this turn."""
        self._updates.append(update)

    def answer(
        self,
        page_id: str,
        make_page: Callable[[], Page],
        tool: str,
        finding: Finding,
        covering: tuple[str, ...],
        tokens: int,
    ) -> None:
        """Add the answer of a tool: *page_id* is its own page, *covering* the pages that hold the same lines.

        *make_page* returns the page with its costs, where the answer is content that is new to this view.
        """
        known = page_id in self._full and page_id not in self._stale
        by_lines = self.view is View.RESOURCES and bool(covering)
        if finding.novelty is Novelty.REPEATED and known:
            if self._asked_again((page_id,), finding, tokens):
                self._call(page_id)
        elif by_lines and finding.novelty in (Novelty.REPEATED, Novelty.COVERED):
            if self._asked_again(covering, finding, tokens):
                for name in covering:
                    self.demand(name, Level.FULL)
        else:
            if finding.novelty is Novelty.EDITED and (self.view is View.RESOURCES or page_id in self._full):
                self.observed.append(Observed(self.turn, (page_id,), finding.novelty, finding.kept, tokens))
            self._result(make_page(), tool)

    def _asked_again(self, pages: tuple[str, ...], finding: Finding, tokens: int) -> bool:
        """Note that the recording asked again for *pages*, unless it asks for them at once with another call."""
        if self._accessed.issuperset(pages):
            return False
        self.observed.append(Observed(self.turn, pages, finding.novelty, finding.kept, tokens))
        return True

    def _call(self, page_id: str) -> None:
        self._accessed.add(page_id)
        self._calls.append(Call(f"call {page_id}"))

    def _result(self, page: Page, tool: str) -> None:
        """Declare the result of a call, and add the call."""
        declaration = ToolDeclaration(tool, f"call {page.id}", ToolOutcome.OK, page)
        self._stale.discard(page.id)
        if page.id in self._accessed and page.id not in self._fresh:
            # What was there is accessed in this turn; this comes behind it.
            self._late[page.id] = (page, declaration)
            return
        self._late.pop(page.id, None)
        if page.id in self._fresh:
            # Called twice in this turn with different results: the prompt can hold the last one.
            self._before[self._fresh[page.id]] = declaration
        else:
            if page.id in self._full:
                self._before.append(Replacement(page))
            else:
                self._fresh[page.id] = len(self._before)
            self._before.append(declaration)
            self._call(page.id)
        self._size(page)

    def stale(self, page: Page) -> None:
        """Make the content of a page stale from the next turn on; *page* has its last known costs."""
        if page.id in self._full and page.id not in self._stale:
            self._stale.add(page.id)
            self._late[page.id] = (page, None)

    def _size(self, page: Page) -> None:
        full = page.costs[Level.FULL]
        before = self._full.get(page.id, 0)
        if full > before:
            self._full[page.id] = full
            self.working_set += full - before

    def close(self, tokens: int) -> Turn:
        """End the turn, which lets the transcript grow by *tokens*, and return it."""
        turn = Turn(
            number=self.turn,
            transcript_tokens=tokens,
            events_before=tuple(self._before),
            calls=tuple(self._calls),
            demands=tuple(self._demands),
            updates=tuple(self._updates),
        )
        self.turn += 1
        self._before, self._calls, self._demands, self._updates = [], [], [], []
        self._accessed.clear()
        self._fresh.clear()
        for page, declaration in self._late.values():
            self._before.append(Replacement(page))
            if declaration is not None:
                self._before.append(declaration)
                self._call(page.id)
            self._size(page)
        self._late.clear()
        return turn
