"""Selectors that are broken on purpose, each in one way: what a check is worth shows when it meets them.

=====================  ============================================================================
BROKEN_SELECTORS       by name, a function that makes a new selector of that kind
=====================  ============================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import Level

__all__ = ["BROKEN_SELECTORS"]


def _overshoots(request: SelectionRequest) -> Selection:
    """Spend one token more than there is."""
    return select(dataclasses.replace(request, budget=request.budget + 1))


def _drops_a_hard_page(request: SelectionRequest) -> Selection:
    """Leave out the hard page that was declared last."""
    selection = select(request)
    levels = dict(selection.levels)
    for page in reversed(request.pages):
        if page.is_hard and page.id in levels:
            tokens = selection.tokens - page.costs[levels.pop(page.id)]
            return dataclasses.replace(selection, levels=levels, tokens=tokens)
    return selection


def _forgets_a_demand(request: SelectionRequest) -> Selection:
    """Do not notice the last demand."""
    demands = dict(request.demands)
    if demands:
        demands.popitem()
    return select(dataclasses.replace(request, demands=demands))


def _serves_demands_first(request: SelectionRequest) -> Selection:
    """Install demands before floors, which makes a difference under pressure only."""
    policy = dataclasses.replace(request.policy, auto_pin=False, prefetch=False, upgrades=None)
    selection = select(dataclasses.replace(request, policy=policy, injected=()))
    levels, tokens = dict(selection.levels), selection.tokens
    for page in request.pages:
        current = levels.get(page.id, Level.NONE)
        added = page.floor_cost - page.costs.get(current, 0)
        if page.is_hard and current < page.floor_level and tokens + added <= request.budget:
            levels[page.id] = page.floor_level
            tokens += added
    return dataclasses.replace(selection, levels=levels, tokens=tokens)


def _misstates_its_tokens(request: SelectionRequest) -> Selection:
    """Say one token less than was spent."""
    selection = select(request)
    return dataclasses.replace(selection, tokens=max(0, selection.tokens - 1))


class _CountsItsCalls:
    """Make no upgrades in every third call of its life, so that a second replay is another one."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, request: SelectionRequest) -> Selection:
        self._calls += 1
        if self._calls % 3:
            return select(request)
        return select(dataclasses.replace(request, policy=dataclasses.replace(request.policy, upgrades=None)))


BROKEN_SELECTORS: Mapping[str, Callable[[], Selector]] = MappingProxyType(
    {
        "overshoots": lambda: _overshoots,
        "drops_a_hard_page": lambda: _drops_a_hard_page,
        "forgets_a_demand": lambda: _forgets_a_demand,
        "serves_demands_first": lambda: _serves_demands_first,
        "misstates_its_tokens": lambda: _misstates_its_tokens,
        "counts_its_calls": _CountsItsCalls,
    }
)
