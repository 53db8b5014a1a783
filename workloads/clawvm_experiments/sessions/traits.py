"""What recorded sessions show of the quantities that a workload family chooses, and the bounds that follow.

Two traits of a family are measured otherwise (``calibrate_families.measure``): its turns per compaction are a quotient,
and its pages with staged updates a mean, where a recording shows its shortest stretch and its largest number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from clawvm_experiments.sessions.data import RESOURCES, header_and_turns
from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import BoundaryEvent, Replacement, ToolDeclaration, Turn
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Boundary, PageType

__all__ = ["BOUNDS", "RECORDED_SHARE", "recorded_compactions", "recorded_traits", "traits"]

BOUNDS: Mapping[str, tuple[float, float]] = {
    "calls per turn": (0.43, 2.70),
    "updates per 100 turns": (0.0, 48.8),
    "demands that are no call, per 100 turns": (3.3, 56.1),
    "turns per compaction": (41, math.inf),
    "transcript at a compaction, in budgets": (1.05, 7.38),
    "pages with staged updates per compaction": (0, 3),
    "transcript growth per turn, share of the budget": (0.020, 0.603),
    "instructions, share of the budget": (0.0, 3.51),
    "mean evidence page, share of the budget": (0.014, 0.397),
    "mean plan, share of the budget": (0.0, 0.286),
    "mean rule, share of the budget": (0.0, 0.165),
}
"""The least and the most that 26 public recordings show, with a budget of 20 % of the working set.

``calibrate_families.py --recordings`` measures them. Turns per compaction: the shortest stretch between two
compactions, or before the first. A bound of 0 includes recordings without such a page or event.
"""

RECORDED_SHARE = 0.20
"""The budget of recordings, as a share of the working set."""

_SIZES = {
    "instructions, share of the budget": (PageType.BOOTSTRAP_POLICY, math.fsum),
    "mean evidence page, share of the budget": (PageType.EVIDENCE, lambda sizes: math.fsum(sizes) / len(sizes)),
    "mean plan, share of the budget": (PageType.PLAN, lambda sizes: math.fsum(sizes) / len(sizes)),
    "mean rule, share of the budget": (PageType.CONSTRAINT, lambda sizes: math.fsum(sizes) / len(sizes)),
}


def traits(turns: Iterable[Turn], budget: int | None = None) -> dict[str, float]:
    """Return what ``BOUNDS`` bounds, as far as *turns* show it, with a *budget* in tokens.

    Without a budget it is ``RECORDED_SHARE`` of all pages at their largest.
    """
    pages: dict[str, Page] = {}
    dirty: set[str] = set()
    stretches, transcripts, dirty_pages = [], [], []
    number = calls = updates = demands = tokens = last_turn = last_tokens = 0
    for number, turn in enumerate(turns, start=1):
        for event in turn.events_before:
            if isinstance(event, BoundaryEvent):
                if event.boundary is Boundary.COMPACTION:
                    stretches.append(number - last_turn)
                    transcripts.append(tokens - last_tokens)
                    dirty_pages.append(len(dirty))
                last_turn, last_tokens = number, tokens
                dirty.clear()
            page = event.page if isinstance(event, (Replacement, ToolDeclaration)) else event
            if isinstance(page, Page):
                pages[page.id] = page
        calls += len(turn.calls)
        updates += len(turn.updates)
        demands += len(turn.demands)
        tokens += turn.transcript_tokens
        dirty.update(update.page_id for update in turn.updates)
    largest = {page.id: max(page.costs.values()) for page in pages.values()}
    share = RECORDED_SHARE * sum(largest.values()) if budget is None else budget
    if not number or not share:
        return {}
    found = {
        "calls per turn": calls / number,
        "updates per 100 turns": 100 * updates / number,
        "demands that are no call, per 100 turns": 100 * demands / number,
        "transcript growth per turn, share of the budget": tokens / number / share,
    }
    if stretches:
        found["turns per compaction"] = min(stretches)
        found["transcript at a compaction, in budgets"] = min(transcripts) / share
        found["pages with staged updates per compaction"] = max(dirty_pages)
    for name, (page_type, together) in _SIZES.items():
        sizes = [largest[page.id] / share for page in pages.values() if page.type is page_type]
        if sizes:
            found[name] = together(sizes)
    return found


def recorded_traits(converted: Path) -> list[dict[str, float]]:
    """Return the traits of every converted session below *converted*; raises InputError for what cannot be read."""
    found = []
    for name in _names(converted):
        with header_and_turns(str(converted), name, RESOURCES) as (_, turns):
            found.append(traits(turns))
    return found


def recorded_compactions(converted: Path, length: int) -> int:
    """Return the most compactions that any session below *converted* has in a stretch of *length* turns."""
    most = 0
    for name in _names(converted):
        with header_and_turns(str(converted), name, RESOURCES) as (_, turns):
            compacted = [
                turn.number
                for turn in turns
                for event in turn.events_before
                if isinstance(event, BoundaryEvent) and event.boundary is Boundary.COMPACTION
            ]
        # A stretch with the most of them can begin with one.
        most = max([most, *(sum(begin <= at < begin + length for at in compacted) for begin in compacted)])
    return most


def _names(converted: Path) -> list[str]:
    try:
        names = sorted(folder.name for folder in (converted / "sessions").iterdir() if (folder / FACTS).is_file())
    except OSError as error:
        raise InputError(f"{converted}: no converted sessions: {error.strerror}") from None
    if not names:
        raise InputError(f"{converted}: no converted sessions (of a sessions run, take its folder 'converted')")
    return names


FACTS = "session.json"
"""The file that every converted session has."""
