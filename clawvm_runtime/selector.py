"""Selection: which page is in the next prompt at which level, in two deterministic phases under a token budget.

Phase 1 installs the required set: first the floors, then this turn's demands. Phase 2 hands out pointers and then
upgrades by score per token. Every order ends in the page id, so that no tie depends on a hash or on insertion.

Source: paper, selection; the order of floors and demands is decided in ``docs/selection.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from clawvm_runtime.pages import Page
from clawvm_runtime.policy import Policy
from clawvm_runtime.vocabulary import PIN_RANK, TYPE_RULES, Level, PinClass

__all__ = [
    "Reason",
    "Required",
    "Selection",
    "SelectionRequest",
    "Selector",
    "StepOutcome",
    "install_order",
    "minimum_set",
    "select",
]


class Reason(str, Enum):
    """Why a page is in the required set."""

    INJECTED = "injected"  # The harness put it there at session start; kept until the first destructive boundary.
    FLOOR = "floor"  # Auto-pin holds every hard page at its floor.
    DEMAND = "demand"  # This turn asks for it.


class StepOutcome(str, Enum):
    """What became of an upgrade step."""

    APPLIED = "applied"
    DID_NOT_FIT = "did_not_fit"
    NOT_NEXT = (
        "not_next"  # A lower step of the same page was not applied, so this one does not start at the page's level.
    )


class Required(NamedTuple):
    """One member of the required set and whether it fitted."""

    page_id: str
    level: Level
    reason: Reason
    fitted: bool


class TriedStep(NamedTuple):
    """One upgrade step that was tried: its tokens, its score per token, its outcome."""

    page_id: str
    level: Level
    delta: int
    key: float
    outcome: StepOutcome


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """Everything that a selection may depend on.

    ``budget`` is what this prompt may cost in tokens; ``demands`` maps page ids to the level asked for this turn;
    ``injected`` names the pages that the harness itself keeps at their floor; ``recency`` and ``future_demands`` hold
    only the pages for which they are not 0.
    """

    pages: Sequence[Page]
    budget: int
    policy: Policy
    demands: Mapping[str, Level]
    injected: Collection[str] = ()
    recency: Mapping[str, float] = field(default_factory=dict)
    future_demands: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """The levels chosen (pages at `none` are left out), their tokens, and the decisions that led there."""

    levels: Mapping[str, Level]
    tokens: int
    required: Sequence[Required]
    prefetched: Sequence[str]
    prefetch_refused: Sequence[str]
    steps: Sequence[TriedStep]


class Selector(Protocol):
    """The seam at which another selector can replace the plain one."""

    def __call__(self, request: SelectionRequest) -> Selection:
        """Return the selection for *request*."""


# Named once: before Python 3.12, looking a member up in its class costs more than the comparison that it is for.
_HARD = PinClass.HARD
_NONE, _POINTER, _FULL = Level.NONE, Level.POINTER, Level.FULL
_APPLIED, _DID_NOT_FIT, _NOT_NEXT = StepOutcome.APPLIED, StepOutcome.DID_NOT_FIT, StepOutcome.NOT_NEXT


def install_order(page: Page) -> tuple[int, int, float, str]:
    """Return the key by which required pages are installed, highest first."""
    return (PIN_RANK[page.pin], TYPE_RULES[page.type].rank, page.base_utility, page.id)


def minimum_set(pages: Iterable[Page], demands: Mapping[str, Level], injected: Collection[str] = ()) -> int:
    """Return the tokens of every held page at its floor together with this turn's demands, O(pages).

    If this exceeds the budget, no policy can serve the turn: that is invariant pressure, not a policy's fault.
    """
    tokens = 0
    for page in pages:
        wanted = demands.get(page.id)
        if wanted is not None:
            tokens += page.costs[page.level_at_least(max(wanted, page.minimum))]
        elif page.pin is _HARD or page.id in injected:
            tokens += page.floor_cost
    return tokens


def select(request: SelectionRequest) -> Selection:
    """Return the selection for *request*: the plain selector, O(n log n) in the number of pages.

    >>> from clawvm_runtime import POLICIES, PageType, Provenance
    >>> source = Provenance("user", "turn 1")
    >>> rule = Page("rule", PageType.CONSTRAINT, {Level.STRUCTURED: 10, Level.FULL: 40}, source)
    >>> note = Page("note", PageType.EVIDENCE, {Level.POINTER: 5, Level.FULL: 90}, source)
    >>> request = SelectionRequest([rule, note], budget=50, policy=POLICIES["clawvm"], demands={"note": Level.POINTER})
    >>> {page_id: level.label for page_id, level in select(request).levels.items()}
    {'rule': 'full', 'note': 'pointer'}
    """
    assembly = _Assembly(request)
    assembly.install_required()
    if request.policy.prefetch:
        assembly.prefetch_pointers()
    if request.policy.upgrades is not None:
        assembly.upgrade()
    spent = request.budget - assembly.left
    return Selection(
        assembly.levels, spent, assembly.required, assembly.prefetched, assembly.prefetch_refused, assembly.steps
    )


class _Assembly:
    """One prompt while it is being assembled: the levels so far and the tokens left."""

    def __init__(self, request: SelectionRequest) -> None:
        self.request = request
        self.left = request.budget
        self.levels: dict[str, Level] = {}
        self.required: list[Required] = []
        self.prefetched: list[str] = []
        self.prefetch_refused: list[str] = []
        self.steps: list[TriedStep] = []

    def raise_to(self, page: Page, level: Level) -> bool:
        """Raise *page* to *level* if what that adds fits; a page that is higher already stays."""
        current = self.levels.get(page.id)
        if current is not None and current >= level:
            return True
        delta = page.costs[level] - (page.costs[current] if current is not None else 0)
        if delta > self.left:
            return False
        self.levels[page.id] = level
        self.left -= delta
        return True

    def install_required(self) -> None:
        request = self.request
        injected, wanted, auto_pin = request.injected, request.demands, request.policy.auto_pin
        floors: list[tuple[Page, Reason]] = []
        demands: list[Page] = []
        for page in request.pages:
            if page.id in injected:
                floors.append((page, Reason.INJECTED))
            elif auto_pin and page.pin is _HARD:
                floors.append((page, Reason.FLOOR))
            if page.id in wanted:
                demands.append(page)
        # All floors before any demand: under pressure a costly demand must not take the space of another page's floor.
        # When the required set fits, the order changes nothing.
        for page, reason in sorted(floors, key=lambda item: install_order(item[0]), reverse=True):
            self._require(page, page.floor_level, reason)
        for page in sorted(demands, key=install_order, reverse=True):
            self._require(page, page.level_at_least(max(wanted[page.id], page.minimum)), Reason.DEMAND)

    def _require(self, page: Page, level: Level, reason: Reason) -> None:
        self.required.append(Required(page.id, level, reason, self.raise_to(page, level)))

    def prefetch_pointers(self) -> None:
        absent = [page for page in self.request.pages if page.id not in self.levels and _POINTER in page.costs]
        absent.sort(key=lambda page: (page.recompute_cost, page.base_utility, page.id), reverse=True)
        for page in absent:
            if self.raise_to(page, _POINTER):
                self.prefetched.append(page.id)
            else:
                self.prefetch_refused.append(page.id)

    def upgrade(self) -> None:
        request, levels = self.request, self.levels
        score = request.policy.upgrades
        assert score is not None
        recency, future = request.recency, request.future_demands
        steps = []
        for page in request.pages:
            current = levels.get(page.id, _NONE)
            if current == _FULL:
                continue
            utility = score(page, recency.get(page.id, 0.0), future.get(page.id, 0))
            for step in page.steps:
                if step.below >= current:
                    steps.append((utility / step.delta, page.id, step.level, step))
        # Page id and level are unique together, so that no comparison reaches the step itself.
        steps.sort(reverse=True)
        for key, page_id, level, step in steps:
            if levels.get(page_id, _NONE) != step.below:
                outcome = _NOT_NEXT
            elif step.delta > self.left:
                outcome = _DID_NOT_FIT
            else:
                levels[page_id] = level
                self.left -= step.delta
                outcome = _APPLIED
            self.steps.append(TriedStep(page_id, level, step.delta, key, outcome))
