"""Prefix breaks: which decision made a prompt differ from the one before it, and what had to be written again.

A prompt is compared block by block, as ``PromptMeter`` does; the first block that differs ends the prefix that a
provider's cache can serve. ``BreakObserver`` finds every break of a replay: pass its ``decisions`` and ``observe`` to
``replay``. Nothing here takes part in a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from clawvm_replay.metrics import shared_prefix
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt, Block
from clawvm_runtime.selector import Reason, Selection
from clawvm_runtime.vocabulary import TYPE_RULES, Boundary, Level, PageType

__all__ = [
    "BLOCK_ORDERS",
    "BreakCause",
    "BreakObserver",
    "PrefixBreak",
    "ReorderedMeter",
    "TurnFacts",
    "first_break",
]


class BreakCause(str, Enum):
    """The decision behind the first block that differs."""

    NEW_PAGE = "new_page"  # A page that was declared since the last prompt entered, whatever installed it.
    FLOOR = "floor"  # A page entered or rose because it is held at its floor.
    DEMAND = "demand"  # A page entered or rose because this turn demands it.
    PREFETCH = "prefetch"  # A page got its pointer.
    UPGRADE = "upgrade"  # A page entered or rose by an upgrade step.
    DEMAND_OVER = "demand_over"  # A page fell or left that only the demand of the turn before had held there.
    DISPLACED = "displaced"  # A page fell or left although nothing about it changed: others took its tokens.
    DESTROYED = "destroyed"  # A reset destroyed the page.
    REPLACED = "replaced"  # The page has new content.
    COMMITTED = "committed"  # A committed update raised the page's version.
    BOOTSTRAP_LOST = "bootstrap_lost"  # A bootstrap page left.
    BOOTSTRAP_BACK = "bootstrap_back"  # A bootstrap page that was lost is there again.


@dataclass(slots=True)
class TurnFacts:
    """What happened since the last prompt, as page ids.

    ``bootstrap`` holds all bootstrap pages of the run, ``order`` the sort key of every page's place in a prompt.
    """

    declared: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)
    bootstrap: set[str] = field(default_factory=set)
    order: dict[str, tuple[int, int]] = field(default_factory=dict)
    boundary: Boundary | None = None


@dataclass(frozen=True, slots=True)
class PrefixBreak:
    """The first difference between a prompt and the one before it.

    ``before`` and ``after`` are the levels of the page that differs, ``boundary`` what was passed just before.
    ``unchanged_tokens`` are in blocks that the previous prompt had too and that are written again only because they
    are behind the break.
    """

    cause: BreakCause
    page_id: str
    before: Level
    after: Level
    boundary: Boundary | None
    prompt_tokens: int
    reused_tokens: int
    unchanged_tokens: int

    @property
    def rewritten_tokens(self) -> int:
        """Tokens from the first difference to the end of the prompt."""
        return self.prompt_tokens - self.reused_tokens


def first_break(previous: AssembledPrompt, current: AssembledPrompt, facts: TurnFacts) -> PrefixBreak | None:
    """Return the break between two consecutive prompts, O(blocks).

    None where nothing has to be written: the prompts are equal, or the current one ends earlier.
    """
    place, reused = shared_prefix(previous.blocks, current.blocks)
    if place == len(current.blocks):
        return None
    page_id, before, after, is_new_content = _difference(previous.blocks, current.blocks, place, facts.order)
    if is_new_content:
        cause = BreakCause.REPLACED if page_id in facts.replaced else BreakCause.COMMITTED
    elif after > before:
        cause = _why_it_rose(page_id, before, current.selection, facts)
    else:
        cause = _why_it_fell(page_id, before, after, previous.selection, facts)
    known = set(previous.blocks)
    return PrefixBreak(
        cause=cause,
        page_id=page_id,
        before=before,
        after=after,
        boundary=facts.boundary,
        prompt_tokens=current.tokens,
        reused_tokens=reused,
        unchanged_tokens=sum(block.tokens for block in current.blocks[place:] if block in known),
    )


def _difference(
    previous: tuple[Block, ...], current: tuple[Block, ...], place: int, order: Mapping[str, tuple[int, int]]
) -> tuple[str, Level, Level, bool]:
    """Return the page whose change makes the first difference, its levels, and whether only its content is new.

    Both prompts have one order. Of a page that entered and another that left at the same place, the change of the
    one that comes first in this order would alone have ended the prefix there.
    """
    now = current[place]
    before = next((block for block in previous if block.page_id == now.page_id), None)
    left = previous[place] if place < len(previous) else None
    if left is not None and order[left.page_id] < order[now.page_id]:
        return left.page_id, left.level, Level.NONE, False
    if before is None:
        return now.page_id, Level.NONE, now.level, False
    # New content is the change, whatever happened to the level.
    return now.page_id, before.level, now.level, before.version != now.version


def _why_it_rose(page_id: str, before: Level, selection: Selection, facts: TurnFacts) -> BreakCause:
    """Return the first decision of the selection that lifted a page above the level that it had."""
    if before == Level.NONE:
        if page_id in facts.declared:
            return BreakCause.NEW_PAGE
        if page_id in facts.bootstrap:
            return BreakCause.BOOTSTRAP_BACK
    for item in selection.required:
        if item.page_id == page_id and item.fitted and item.level > before:
            return BreakCause.DEMAND if item.reason is Reason.DEMAND else BreakCause.FLOOR
    if before == Level.NONE and page_id in selection.prefetched:
        return BreakCause.PREFETCH
    return BreakCause.UPGRADE


def _why_it_fell(page_id: str, before: Level, after: Level, selection: Selection, facts: TurnFacts) -> BreakCause:
    """Return why a page is lower than *selection*, that of the previous prompt, put it."""
    if page_id in facts.destroyed:
        return BreakCause.DESTROYED
    if after == Level.NONE and page_id in facts.bootstrap:
        return BreakCause.BOOTSTRAP_LOST
    for item in selection.required:
        if item.page_id == page_id and item.fitted and item.reason is Reason.DEMAND and item.level >= before:
            return BreakCause.DEMAND_OVER
    return BreakCause.DISPLACED


class BreakObserver:
    """Finds the breaks of a replay in ``breaks``, and the tokens that any order of the blocks would have to write.

    ``decisions`` is the decision trace to replay with, ``observe`` takes each prompt. ``first_prompt_tokens`` are
    written without a break; ``changed_tokens`` are in blocks that the prompt before did not have, the first prompt
    included: no order of the blocks writes less.
    """

    def __init__(self) -> None:
        self.decisions = DecisionTrace(self._event)
        self.breaks: list[PrefixBreak] = []
        self.prompts = 0
        self.prompt_tokens = 0
        self.first_prompt_tokens = 0
        self.changed_tokens = 0
        self._previous: AssembledPrompt | None = None
        self._facts = TurnFacts()

    def _event(self, event: Event) -> None:
        kind = event["event"]
        facts = self._facts
        if kind == "page":
            self._page(event["page"], PageType(event["type"]), is_new=event["cause"] == "declared")
        elif kind == "boundary":
            facts.boundary = Boundary(event["boundary"])
        elif kind == "session_start":
            facts.destroyed.update(event.get("gone", ()))

    def _page(self, page_id: str, page_type: PageType, *, is_new: bool) -> None:
        facts = self._facts
        if is_new:
            facts.declared.add(page_id)
            # As the engine orders blocks: what changes least first, then by declaration.
            facts.order[page_id] = (-TYPE_RULES[page_type].rank, len(facts.order))
        else:
            facts.replaced.add(page_id)
        if page_type is PageType.BOOTSTRAP_POLICY:
            facts.bootstrap.add(page_id)

    def observe(self, prompt: AssembledPrompt) -> None:
        """Take in the next prompt, O(blocks)."""
        previous = self._previous
        self.prompts += 1
        self.prompt_tokens += prompt.tokens
        if previous is None:
            self.first_prompt_tokens = self.changed_tokens = prompt.tokens
        else:
            known = set(previous.blocks)
            self.changed_tokens += sum(block.tokens for block in prompt.blocks if block not in known)
            found = first_break(previous, prompt, self._facts)
            if found is not None:
                self.breaks.append(found)
        self._previous = prompt
        self._facts = TurnFacts(bootstrap=self._facts.bootstrap, order=self._facts.order)

    @property
    def rewritten_tokens(self) -> int:
        """Tokens that were written: the first prompt, and everything behind a break."""
        return self.first_prompt_tokens + sum(item.rewritten_tokens for item in self.breaks)


BlockOrder = Callable[[int, int], int]
"""From the number of the prompt in which a page last changed and the number of its changes to its sort key."""

BLOCK_ORDERS: Mapping[str, BlockOrder] = {
    "recently_changed_last": lambda last_change, changes: last_change,
    "fewest_changes_first": lambda last_change, changes: changes,
}
"""Orders that know only the past; ties keep the order of the engine."""


class ReorderedMeter:
    """Measures prefix reuse as if the blocks of each prompt were in another order; the selection is left as it is."""

    def __init__(self, order: BlockOrder) -> None:
        self._order = order
        self._blocks: dict[str, Block] = {}
        self._reordered: tuple[Block, ...] = ()
        self._history: dict[str, tuple[int, int]] = {}
        self._prompts = 0
        self.reused_tokens = 0

    def observe(self, prompt: AssembledPrompt) -> None:
        """Take in the next prompt, O(n log n) in its blocks."""
        self._prompts += 1
        history = self._history
        for block in prompt.blocks:
            if self._blocks.get(block.page_id) != block:
                changes = history[block.page_id][1] if block.page_id in history else 0
                history[block.page_id] = (self._prompts, changes + 1)
        reordered = tuple(sorted(prompt.blocks, key=lambda block: self._order(*history[block.page_id])))
        self.reused_tokens += shared_prefix(self._reordered, reordered)[1]
        self._blocks = {block.page_id: block for block in prompt.blocks}
        self._reordered = reordered
