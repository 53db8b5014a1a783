"""A builder of traces: pages with costs per level, tools, turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clawvm_replay.trace_format import (
    Accounting,
    BoundaryEvent,
    Call,
    EventBefore,
    RecallQuery,
    Replacement,
    ToolDeclaration,
    Trace,
    TraceHeader,
    Turn,
)
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType, RecallOutcome, ToolOutcome

__all__ = ["LevelCosts", "TraceBuilder", "accounting_for"]


@dataclass(frozen=True, slots=True)
class LevelCosts:
    """Token costs of the four levels; a page takes those that its type allows."""

    pointer: int
    structured: int
    compressed: int
    full: int

    def costs(self, page_type: PageType) -> dict[Level, int]:
        """Return the costs of the levels that pages of this type may take."""
        return {level: getattr(self, level.label) for level in TYPE_RULES[page_type].levels}


def accounting_for(budget: int, *, limit_in_budgets: float, soft_share: float, summary_share: float) -> Accounting:
    """Return the harness's accounting for a budget: limit, soft threshold and summary grow with the budget.

    *limit_in_budgets* is the transcript that triggers a compaction, in budgets; the other two are shares of that limit.
    """
    limit = int(limit_in_budgets * budget)
    return Accounting(limit, int(soft_share * limit), int(summary_share * limit))


class TraceBuilder:
    """Collects what happens, turn by turn; ``turn`` closes a turn, everything else precedes the next one."""

    def __init__(self, workload: str, budget: int, description: str, accounting: Accounting | None) -> None:
        self._header = TraceHeader(workload, budget, description, accounting)
        self._events_before: list[EventBefore] = []
        self._turns: list[Turn] = []

    @property
    def next_turn(self) -> int:
        """The number of the turn that ``turn`` will close."""
        return len(self._turns) + 1

    def event(self, item: EventBefore) -> None:
        """Let *item* happen before the next turn."""
        self._events_before.append(item)

    def page(
        self,
        page_id: str,
        page_type: PageType,
        costs: LevelCosts,
        *,
        provenance: Provenance | None = None,
        **more: Any,
    ) -> str:
        """Declare a page and return its id."""
        self.event(self._page(page_id, page_type, costs, provenance, more))
        return page_id

    def replace(self, page_id: str, page_type: PageType, costs: LevelCosts, **more: Any) -> None:
        """Give a page new content: the old content is stale."""
        self.event(Replacement(self._page(page_id, page_type, costs, None, more)))

    @staticmethod
    def _page(
        page_id: str, page_type: PageType, costs: LevelCosts, provenance: Provenance | None, more: Mapping[str, Any]
    ) -> Page:
        source = Provenance("harness", page_id) if provenance is None else provenance
        return Page(id=page_id, type=page_type, costs=costs.costs(page_type), provenance=source, **more)

    def tool(
        self,
        tool: str,
        arguments: dict[str, Any],
        page_id: str = "",
        costs: LevelCosts | None = None,
        *,
        outcome: ToolOutcome = ToolOutcome.OK,
        deterministic: bool = True,
        **more: Any,
    ) -> Call:
        """Declare the outcome of a tool call and return the call; with *costs* its result is an evidence page."""
        signature = tool_signature(tool, arguments, ())
        page = None
        if costs is not None:
            page = self._page(page_id, PageType.EVIDENCE, costs, Provenance("tool_call", signature), more)
        self.event(ToolDeclaration(tool, signature, outcome, page, deterministic, arguments))
        return Call(signature)

    def reset(self, session: str) -> None:
        """End the session; the next turn is the first of *session*."""
        self.event(BoundaryEvent(Boundary.RESET, session))

    def turn(
        self,
        transcript_tokens: int,
        *,
        calls: Iterable[Call] = (),
        demands: Iterable[tuple[str, Level]] = (),
        recalls: Iterable[tuple[str, RecallOutcome]] = (),
        updates: Iterable[Update] = (),
    ) -> None:
        """Close a turn that grows the transcript by *transcript_tokens*."""
        self._turns.append(
            Turn(
                number=self.next_turn,
                transcript_tokens=transcript_tokens,
                events_before=tuple(self._events_before),
                calls=tuple(calls),
                demands=tuple(demands),
                recalls=tuple(RecallQuery(query, outcome) for query, outcome in recalls),
                updates=tuple(updates),
            )
        )
        self._events_before.clear()

    def trace(self) -> Trace:
        """Return the finished trace."""
        return Trace(self._header, tuple(self._turns), source=self._header.workload)
