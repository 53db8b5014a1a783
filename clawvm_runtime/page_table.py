"""The page table: every page of an agent's state with its run-time state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clawvm_runtime.errors import PageError, UnknownPageError
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Level, Scope

__all__ = ["RECENCY_DECAY", "RECENCY_FLOOR", "PageEntry", "PageTable"]

RECENCY_DECAY = 0.88
"""What every page's recency is multiplied by each turn, unless the policy says otherwise."""

RECENCY_FLOOR = 0.0001
"""A recency below this becomes 0."""


@dataclass(slots=True)
class PageEntry:
    """A page and its run-time state.

    ``ordinal`` is the order of first declaration (it fixes the place in the prompt); ``resident`` is the level in the
    last assembled prompt; ``first_turn`` the turn of the first access (None: never accessed); ``durable`` whether its
    source or a writeback made it durable; ``destroyed`` whether a reset destroyed it; ``dirty`` the sequence numbers of
    its staged updates; ``loss_cause`` who is to blame while a hard page is below its minimum ("" while it is not).
    """

    page: Page
    ordinal: int
    resident: Level = Level.NONE
    first_turn: int | None = None
    durable: bool = False
    destroyed: bool = False
    dirty: list[int] = field(default_factory=list)
    loss_cause: str = ""


class PageTable:
    """All pages by id, in order of declaration; a page is held once.

    >>> from clawvm_runtime import PageType, Provenance
    >>> table = PageTable()
    >>> entry = table.declare(Page("rule", PageType.CONSTRAINT, {Level.FULL: 30}, Provenance("user", "turn 1")))
    >>> table.set_residency({"rule": Level.FULL})
    >>> entry.resident.label, table.end_session()
    ('full', ['rule'])
    """

    def __init__(self) -> None:
        self._entries: dict[str, PageEntry] = {}
        self._recency: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[PageEntry]:
        return iter(self._entries.values())

    def __contains__(self, page_id: object) -> bool:
        return page_id in self._entries

    def entry(self, page_id: str) -> PageEntry:
        """Return the entry of a page; raises UnknownPageError."""
        entry = self._entries.get(page_id)
        if entry is None:
            raise UnknownPageError(page_id)
        return entry

    def find(self, page_id: str) -> PageEntry | None:
        """Return the entry of a page, or None."""
        return self._entries.get(page_id)

    def live_pages(self) -> list[Page]:
        """Return the pages that no reset destroyed, in order of declaration, O(pages)."""
        return [entry.page for entry in self._entries.values() if not entry.destroyed]

    @property
    def recency(self) -> Mapping[str, float]:
        """The recency of every page for which it is not 0."""
        return self._recency

    def declare(self, page: Page) -> PageEntry:
        """Add a page; raises PageError when a page of this id is there already (it is held, and paid for, once)."""
        if page.id in self._entries:
            raise PageError(page.id, "id", "is in the page table already; replace it to give it new content")
        entry = PageEntry(page, ordinal=len(self._entries), durable=page.provenance.is_durable)
        self._entries[page.id] = entry
        return entry

    def replace(self, page: Page) -> PageEntry:
        """Give a known page new content, at a version above the one it has.

        New content was never seen, nor committed unless its source is durable: residency and first access start
        over, so that an old copy can never count as a hit.

        Raises UnknownPageError, and PageError when the type changes.
        """
        entry = self.entry(page.id)
        if page.type is not entry.page.type:
            raise PageError(page.id, "type", f"was {entry.page.type.value}, cannot become {page.type.value}")
        entry.page = page.changed(version=max(page.version, entry.page.version + 1))
        entry.resident = Level.NONE
        entry.first_turn = None
        entry.durable = page.provenance.is_durable
        entry.destroyed = False
        return entry

    def amend(self, page: Page) -> None:
        """Put a changed page in place of the same page without touching its run-time state (a committed update)."""
        self.entry(page.id).page = page

    def set_residency(self, levels: Mapping[str, Level]) -> None:
        """Record what the assembled prompt holds; pages that are not named are at `none`, O(pages)."""
        for page_id, entry in self._entries.items():
            entry.resident = levels.get(page_id, Level.NONE)

    def age(self, demanded: Iterable[str], decay: float = RECENCY_DECAY) -> None:
        """Multiply every recency by *decay*, then add 1 for each demand, O(pages with recency)."""
        aged = {}
        for page_id, recency in self._recency.items():
            recency *= decay
            if recency >= RECENCY_FLOOR:
                aged[page_id] = recency
        for page_id in demanded:
            aged[page_id] = aged.get(page_id, 0.0) + 1.0
        self._recency = aged

    def mark_durable(self) -> None:
        """Record that a writeback made every live page durable."""
        for entry in self._entries.values():
            if not entry.destroyed:
                entry.durable = True

    def end_session(self) -> list[str]:
        """Destroy the session-scoped pages that were not committed and return their ids."""
        destroyed = []
        for page_id, entry in self._entries.items():
            if entry.page.scope is Scope.SESSION and not entry.durable and not entry.destroyed:
                entry.destroyed = True
                destroyed.append(page_id)
        return destroyed

    def _check(self) -> None:
        """Assert every invariant of the table; on failure the message holds the entry at fault."""
        for ordinal, (page_id, entry) in enumerate(self._entries.items()):
            assert entry.page.id == page_id, (page_id, entry)
            assert entry.ordinal == ordinal, (ordinal, entry)
            assert entry.resident == Level.NONE or entry.resident in entry.page.costs, entry
            assert not (entry.destroyed and entry.resident != Level.NONE), entry
            assert not (entry.destroyed and entry.page.scope is not Scope.SESSION), entry
            assert len(set(entry.dirty)) == len(entry.dirty), entry
        assert all(value >= RECENCY_FLOOR for value in self._recency.values()), self._recency
        assert self._recency.keys() <= self._entries.keys(), self._recency
