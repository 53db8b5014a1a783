"""Pages for the tests of the runtime: plain ones, and random ones with many ties."""

import random
from typing import Any

from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType, PinClass

TOOL = Provenance("tool_call", 'read({"path":"a.py"})')
COSTS = {Level.POINTER: 2, Level.STRUCTURED: 10, Level.COMPRESSED: 25, Level.FULL: 60}


def make_page(page_id: str = "p", page_type: PageType = PageType.EVIDENCE, **attributes: Any) -> Page:
    """Return a page of *page_type* with a cost for every level that the type may take."""
    costs = {level: COSTS[level] for level in TYPE_RULES[page_type].levels}
    return Page(**{"id": page_id, "type": page_type, "costs": costs, "provenance": TOOL, **attributes})


def random_page(rng: random.Random, page_id: str, *, top: int = 60) -> Page:
    """Return a page of any type with random levels, costs, pin, minimum and utility."""
    page_type = rng.choice(list(PageType))
    rule = TYPE_RULES[page_type]
    levels = sorted({Level.FULL, *(level for level in rule.levels if rng.random() < 0.75)})
    costs = dict(zip(levels, sorted(rng.sample(range(1, top), len(levels)))))
    active = rule.floor_when_done is None or rng.random() < 0.7
    floor = rule.floor_for(active)
    return Page(
        id=page_id,
        type=page_type,
        costs=costs,
        provenance=TOOL,
        base_utility=rng.choice([0.0, 1.0, 1.0, 2.5]),
        recompute_cost=rng.choice([0.0, 1.0, 1.0, 4.0]),
        scope=rng.choice(rule.scopes),
        pin=PinClass.HARD if page_type is PageType.BOOTSTRAP_POLICY else rng.choice([rule.pin, rule.pin, *PinClass]),
        minimum=rng.choice([level for level in rule.levels if level >= floor]),
        active=active,
    )
