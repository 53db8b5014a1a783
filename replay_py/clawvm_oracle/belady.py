"""Belady's MIN for pages of one size: evict what is needed again last, which is optimal.

=================  =======================================================================
minimum_misses     misses of MIN on a string of references
unit_trace         the same string as a trace: one page of one token and one level per name
=================  =======================================================================

After L. Belady, "A study of replacement algorithms for a virtual-storage computer" (1966).
"""

from __future__ import annotations

from collections.abc import Sequence

from clawvm_replay.trace_format import Trace, TraceHeader, Turn
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.vocabulary import Level, PageType

__all__ = ["minimum_misses", "unit_trace"]


def minimum_misses(references: Sequence[int], capacity: int) -> int:
    """Return the misses, first references included, of MIN with room for *capacity* pages (at least 1)."""
    never = len(references)
    coming = [never] * len(references)
    last: dict[int, int] = {}
    for place in range(len(references) - 1, -1, -1):
        coming[place] = last.get(references[place], never)
        last[references[place]] = place
    misses = 0
    resident: dict[int, int] = {}
    for place, page in enumerate(references):
        if page not in resident:
            misses += 1
            if len(resident) == capacity:
                del resident[max(resident, key=lambda other: (resident[other], other))]
        resident[page] = coming[place]
    return misses


def unit_trace(references: Sequence[int], capacity: int) -> Trace:
    """Return a trace that demands one page a turn, with a budget of *capacity* tokens."""
    turns = []
    declared: set[int] = set()
    for number, reference in enumerate(references, 1):
        new = () if reference in declared else (_unit_page(reference),)
        declared.add(reference)
        turns.append(Turn(number, prelude=new, demands=((f"page-{reference}", Level.FULL),)))
    return Trace(TraceHeader("unit_pages", capacity), tuple(turns))


def _unit_page(reference: int) -> Page:
    return Page(
        id=f"page-{reference}",
        type=PageType.EVIDENCE,
        costs={Level.FULL: 1},
        provenance=Provenance("file", f"page-{reference}"),
    )
