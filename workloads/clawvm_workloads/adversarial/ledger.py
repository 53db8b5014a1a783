"""What every turn of a trace needs, told from the trace alone: a second opinion on pressure, floors and demands.

==========  ===========================================================================
Floor       the level below which a hard page must not fall, and its tokens
TurnNeed    the floors and demands of one turn, and their tokens together
needs       one ``TurnNeed`` for every turn of a trace
==========  ===========================================================================

Nothing of the engine takes part, so that its reports can be checked against it. It holds for traces whose updates
change no control field, or none that may be committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clawvm_replay.trace_format import Call, Replacement, ToolDeclaration, Trace
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Level, PageType, PinClass

__all__ = ["Floor", "TurnNeed", "needs"]


@dataclass(frozen=True, slots=True)
class Floor:
    """The level below which a hard page must not fall, and what that level costs in tokens."""

    level: Level
    tokens: int
    bootstrap: bool


@dataclass(frozen=True, slots=True)
class TurnNeed:
    """The floors and demands of one turn by page id; ``tokens`` is the minimum set: both together, each page once."""

    turn: int
    floors: Mapping[str, Floor]
    demands: Mapping[str, Level]
    tokens: int

    def missing(self, budget: int) -> int:
        """Return by how many tokens the minimum set exceeds *budget*."""
        return max(0, self.tokens - budget)

    def floors_due(self, budget: int) -> dict[str, Level]:
        """Return the floors that must hold under *budget* tokens.

        All of them if they fit together, whatever is demanded; otherwise those of the bootstrap pages if these fit.
        """
        for chosen in (
            self.floors,
            {page_id: floor for page_id, floor in self.floors.items() if floor.bootstrap},
        ):
            if sum(floor.tokens for floor in chosen.values()) <= budget:
                return {page_id: floor.level for page_id, floor in chosen.items()}
        return {}

    def demands_due(self, budget: int) -> dict[str, Level]:
        """Return the demands that must be met under *budget* tokens: all of them if the minimum set fits."""
        return dict(self.demands) if self.tokens <= budget else {}


def needs(trace: Trace) -> list[TurnNeed]:
    """Return what every turn needs, O(turns x pages)."""
    pages: dict[str, Page] = {}
    tools: dict[str, ToolDeclaration] = {}
    results: dict[str, str] = {}
    found = []
    for turn in trace.turns:
        for item in turn.prelude:
            if isinstance(item, Page):
                pages[item.id] = item
            elif isinstance(item, Replacement):
                pages[item.page.id] = item.page
            elif isinstance(item, ToolDeclaration):
                tools[item.signature] = item
        demands: dict[str, Level] = {}
        asked = [(page_id, call.level) for call in turn.calls for page_id in _result(call, pages, tools, results)]
        for page_id, level in (*asked, *turn.demands):
            page = pages[page_id]
            demands[page_id] = max(_supported(page, max(level, page.minimum)), demands.get(page_id, Level.NONE))
        found.append(_need(turn.number, pages, demands))
    return found


def _result(
    call: Call, pages: dict[str, Page], tools: dict[str, ToolDeclaration], results: dict[str, str]
) -> list[str]:
    """Return the page that a call gives, if any; only a first call or a tool that is not deterministic changes it."""
    tool = tools[call.signature]
    if tool.page is None:
        return []
    if not tool.deterministic or call.signature not in results:
        pages[tool.page.id] = tool.page
        results[call.signature] = tool.page.id
    return [results[call.signature]]


def _need(turn: int, pages: Mapping[str, Page], demands: Mapping[str, Level]) -> TurnNeed:
    floors = {}
    tokens = 0
    for page_id, page in pages.items():
        if page.pin is PinClass.HARD:
            level = _supported(page, page.minimum)
            floors[page_id] = Floor(level, page.costs[level], page.type is PageType.BOOTSTRAP_POLICY)
        if page_id in demands:
            tokens += page.costs[demands[page_id]]
        elif page_id in floors:
            tokens += floors[page_id].tokens
    return TurnNeed(turn, floors, demands, tokens)


def _supported(page: Page, wanted: Level) -> Level:
    return min(level for level in page.costs if level >= wanted)
