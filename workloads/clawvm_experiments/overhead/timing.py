"""How costs are measured: repeats without the garbage collector, order statistics, peaks of memory.

===============  ====================================================================================
Case             one thing whose cost is measured, and the row of the document that it gives
Timing           median, 95th percentile, worst, costliest, spread of the repeats of one case
nanoseconds      what one call took
repeat           the samples of some work, several times over
peak_kb          the peak of what some work allocates
===============  ====================================================================================

Timings are microseconds in documents and nanoseconds in samples.
"""

from __future__ import annotations

import gc
import math
import statistics
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

__all__ = ["Case", "Record", "Timing", "Work", "nanoseconds", "peak_kb", "percentile", "repeat"]

Record = Callable[[int], object]
"""Takes the nanoseconds of one sample, outside of what is timed."""

Work = Callable[[Record], None]
"""Does the same from the same fresh start each time and hands over each of its samples, the same number each time."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing whose cost is measured.

    ``section`` is the list of the document that takes its row, ``fields`` what identifies the row there. ``prepare``
    makes the work, and is not timed itself. ``has_peak`` tells whether the peak of its memory is measured too.
    """

    section: str
    fields: Mapping[str, Any]
    prepare: Callable[[], Work]
    has_peak: bool = False

    @property
    def label(self) -> str:
        """The case in one line, for progress and warnings."""
        fields = (f"{name} {value}" for name, value in self.fields.items() if value is not None)
        return f"{self.section}: {', '.join(fields)}"


@dataclass(frozen=True, slots=True)
class Timing:
    """What the repeats of one case cost, in microseconds.

    ``worst_us`` is the longest of all samples, with whatever interrupted the process. Every repeat does the same work
    in the same order, so a sample can be compared with itself: ``costliest_us`` is the highest median of one sample
    over the repeats, which an interruption of a single repeat does not reach. ``spread`` is the share of their median
    by which the medians of the repeats differ.
    """

    samples: int
    median_us: float
    p95_us: float
    worst_us: float
    costliest_us: float
    spread: float

    @classmethod
    def of(cls, results: Sequence[Sequence[int]]) -> Timing:
        """Return the timing of the samples of several repeats, O(n log n)."""
        samples = [sample for result in results for sample in result]
        medians = [statistics.median(result) for result in results]
        return cls(
            samples=len(results[0]),
            median_us=statistics.median(samples) / 1000,
            p95_us=percentile(samples, 0.95) / 1000,
            worst_us=max(samples) / 1000,
            costliest_us=max(statistics.median(same) for same in zip(*results)) / 1000,
            spread=(max(medians) - min(medians)) / max(1.0, statistics.median(medians)),
        )

    def to_record(self, reference_us: float) -> dict[str, Any]:
        """Return the timing as plain JSON data, with its ratio to the reference cost (microseconds)."""
        return {
            "costliest_us": round(self.costliest_us, 3),
            "median_us": round(self.median_us, 3),
            "p95_us": round(self.p95_us, 3),
            "ratio_to_reference": round(self.median_us / reference_us, 3),
            "samples": self.samples,
            "spread": round(self.spread, 4),
            "worst_us": round(self.worst_us, 3),
        }


def percentile(samples: Sequence[int], share: float) -> int:
    """Return the smallest sample that at least *share* of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def nanoseconds(work: Callable[..., object], *arguments: Any, **named: Any) -> int:
    """Return what ``work(*arguments, **named)`` took."""
    begin = perf_counter_ns()
    work(*arguments, **named)
    return perf_counter_ns() - begin


def repeat(work: Work, repeats: int) -> list[list[int]]:
    """Return the samples of *repeats* rounds, after one that warms caches and the specializing interpreter."""
    work(lambda sample: None)
    results = []
    for _ in range(repeats):
        samples: list[int] = []
        with _without_collector():
            work(samples.append)
        results.append(samples)
    return results


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector out of the samples, as timeit does."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def peak_kb(work: Work) -> float:
    """Return the peak of what *work* allocates, in units of 1024 bytes; much slower than the work itself.

    Garbage is collected after each sample: the interpreter's free lists, which keep what was freed, are emptied then.
    What was there before is frozen, so that each collection looks only at what is new.
    """
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work(lambda sample: gc.collect())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    return (peak - before) / 1024
