"""Pages from real text: every representation made once, counted, and kept only where it saves tokens.

Nothing here runs under budget pressure: selection only looks up what was made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.text.extract import compressed, structured
from clawvm_runtime.text.kinds import ContentKind, detect_kind, lines_of
from clawvm_runtime.text.pointers import pointer
from clawvm_runtime.text.tokens import TokenCounter, estimate_tokens
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass, Scope

__all__ = ["BASE_UTILITY", "RECOMPUTE_COST", "page_from_text", "with_committed_fields"]

BASE_UTILITY: Mapping[PageType, float] = {
    PageType.BOOTSTRAP_POLICY: 10.0,
    PageType.PLAN: 8.0,
    PageType.CONSTRAINT: 7.0,
    PageType.PREFERENCE: 6.0,
    PageType.EVIDENCE: 5.0,
    PageType.CONVERSATION_SEGMENT: 2.0,
}
"""Utility of a page when its maker gives none: what an agent cannot work without first, passing talk last."""

RECOMPUTE_COST: Mapping[PageType, float] = {
    PageType.EVIDENCE: 8.0,
    PageType.CONSTRAINT: 6.0,
    PageType.PLAN: 5.0,
    PageType.BOOTSTRAP_POLICY: 3.0,
    PageType.PREFERENCE: 3.0,
    PageType.CONVERSATION_SEGMENT: 2.0,
}
"""Cost of getting a text again when its maker gives none: a tool call most, passing talk least."""


def page_from_text(
    page_id: str,
    page_type: PageType,
    text: str,
    provenance: Provenance,
    *,
    token_counter: TokenCounter = estimate_tokens,
    kind: ContentKind | None = None,
    base_utility: float | None = None,
    recompute_cost: float | None = None,
    scope: Scope | None = None,
    pin: PinClass | None = None,
    minimum: Level | None = None,
    version: int = 1,
    active: bool = True,
    tokens: int | None = None,
    keep_texts: bool = True,
) -> Page:
    """Return a page that holds *text* at full and every level of its type that saves tokens.

    A level stays if it costs fewer tokens than the next better one that stays; between the minimum and full none stays
    that costs no more than the minimum. A short text may have full only; an empty one does, at the cost of 1 token.
    What is None comes from the type, *kind* and *tokens* (the size of the text by the counter) from the text. Without
    *keep_texts* the page has costs only. Raises PageError as Page does. Takes time linear in the length of the text.

    >>> text = "def total(amounts):\\n    return sum(amounts)\\n" * 9
    >>> page = page_from_text("ev-1", PageType.EVIDENCE, text, Provenance("tool_call", 'read({"path":"a.py"})'))
    >>> page.texts[Level.POINTER], page.costs[Level.FULL]
    ('[page ev-1 evidence | read a.py | total, amounts, sum | 135 tokens]', 135)
    """
    given: dict[str, Any] = {"scope": scope, "pin": pin, "minimum": minimum}
    # The page with full only comes first: it checks every attribute before any work is done with one of them.
    page = Page(
        id=page_id,
        type=page_type,
        costs={Level.FULL: _cost(text, token_counter) if tokens is None else tokens or 1},
        provenance=provenance,
        base_utility=BASE_UTILITY[page_type] if base_utility is None else base_utility,
        recompute_cost=RECOMPUTE_COST[page_type] if recompute_cost is None else recompute_cost,
        version=version,
        active=active,
        texts={Level.FULL: text} if keep_texts else {},
        **given,
    )
    return _with_shorter_levels(page, text, token_counter, kind)


def with_committed_fields(page: Page, fields: Mapping[str, Any], token_counter: TokenCounter = estimate_tokens) -> Page:
    """Return *page* with its committed fields under its text at every level above pointer: a renderer for ``Engine``.

    The fields are state that the agent relies on, so no shorter representation may drop them.
    """
    if not page.texts or not fields:
        return page
    shown = {name: value if isinstance(value, str) else canonical_json(value) for name, value in fields.items()}
    lines = "".join(f"\n- {name}: {shown[name]}" for name in sorted(shown))
    costs: dict[Level, int] = {}
    texts: dict[Level, str] = {}
    for level in reversed(page.levels):
        text = page.texts[level] if level is Level.POINTER else f"{page.texts[level]}\n\nCommitted state:{lines}"
        cost = _cost(text, token_counter)
        if not costs or cost < min(costs.values()):
            costs[level], texts[level] = cost, text
    return page.changed(costs=costs, texts=texts)


def _cost(text: str, token_counter: TokenCounter) -> int:
    """Return the size of *text* in tokens, at least the 1 that a page has to cost."""
    return token_counter(text) or 1


def _with_shorter_levels(page: Page, text: str, token_counter: TokenCounter, kind: ContentKind | None) -> Page:
    """Return *page*, which holds *text* at full, with the other levels that are useful; with texts if it has any."""
    costs, texts = dict(page.costs), dict(page.texts)
    full = cheapest = costs[Level.FULL]
    levels = TYPE_RULES[page.type].levels
    shorter: dict[Level, str] = {}
    tokens: dict[Level, int] = {}

    def add(level: Level, words: str) -> None:
        # A level that is the text itself saves nothing; leaving it out here also saves counting it again.
        if words != text:
            shorter[level], tokens[level] = words, _cost(words, token_counter)

    if Level.POINTER in levels:
        attributes: Any = {"page_id": page.id, "page_type": page.type, "provenance": page.provenance}
        add(Level.POINTER, pointer(text, **attributes, tokens=full, scope=page.scope))
    # Where the minimum is a pointer that saves nothing, nothing is between it and full: most texts are short.
    if page.minimum is not Level.POINTER or tokens.get(Level.POINTER, full) < full:
        kind = detect_kind(text) if kind is None else kind
        lines = lines_of(text)
        if Level.COMPRESSED in levels:
            add(Level.COMPRESSED, compressed(lines, kind))
        if Level.STRUCTURED in levels:
            add(Level.STRUCTURED, structured(lines, kind, page.type, page.scope))
    floor = tokens.get(page.minimum, full)
    for level in sorted(tokens, reverse=True):
        # A level that saves nothing against the floor has less than the floor has, and would push it out.
        if tokens[level] < cheapest and (level <= page.minimum or tokens[level] > floor):
            cheapest = costs[level] = tokens[level]
            if page.texts:
                texts[level] = shorter[level]
    return page if len(costs) == 1 else page.changed(costs=costs, texts=texts)
