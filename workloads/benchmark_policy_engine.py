#!/usr/bin/env python3
"""What the policy engine costs per turn, beside what the paper measured.

============  ====================================================================================
select        selection alone: levels for every page, the requests taken from real turns
turn          a whole engine turn: demands judged, prompt assembled; no model time, no tool time
turn+trace    the same with a decision trace that hands every event on (no file is written)
============  ====================================================================================

Times are microseconds; the memory is the peak of a run of its own, because tracing allocations slows everything down.
``x ref`` divides the median by a cost measured in the same run, one canonical JSON line of a decision record, so that
two machines can be compared. Timings are printed, or written with ``--json``, never mixed into the suite's files.

    python3 workloads/benchmark_policy_engine.py
    python3 workloads/benchmark_policy_engine.py --pages 20 --repeats 11 --json timings.json
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import statistics
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import Engine
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import POLICIES
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.vocabulary import TYPE_RULES, Level, PageType

BUDGET = 500
POLICY = "clawvm"
DEMANDS_PER_TURN = 2
SCATTER_LIMIT = 0.25
"""Repeats whose medians differ by more than this share say more about the machine than about the engine."""

REFERENCE_PAGES = 20
REFERENCE_LINES = 200

PUBLISHED = {
    "median_us_low": 18.0,
    "median_us_high": 44.0,
    "p95_us_below": 60.0,
    "worst_us": 114.0,
    "peak_kb_below": 83.0,
}
"""Paper, overhead of the policy engine."""

# One round of ten pages; larger tables repeat it. Few pages are hard, so that 80 pages still leave room for choices.
_ROUND = (
    (PageType.BOOTSTRAP_POLICY, 10.0, 1.0),
    (PageType.PLAN, 8.0, 1.0),
    (PageType.EVIDENCE, 5.0, 8.0),
    (PageType.EVIDENCE, 4.0, 6.0),
    (PageType.PREFERENCE, 4.0, 2.0),
    (PageType.CONVERSATION_SEGMENT, 2.0, 3.0),
    (PageType.CONSTRAINT, 7.0, 1.0),
    (PageType.EVIDENCE, 5.0, 7.0),
    (PageType.CONVERSATION_SEGMENT, 1.0, 3.0),
    (PageType.EVIDENCE, 3.0, 9.0),
)
_LADDER = {Level.POINTER: 2, Level.STRUCTURED: 8, Level.COMPRESSED: 15, Level.FULL: 28}

Demands = list[tuple[str, Level]]


@dataclass(frozen=True, slots=True)
class Timing:
    """What one part cost at one number of pages."""

    part: str
    pages: int
    median_us: float
    p95_us: float
    worst_us: float
    spread: float
    ratio_to_reference: float
    peak_kb: float

    def to_record(self) -> dict[str, Any]:
        """Return the timing as plain JSON data."""
        return {
            "median_us": round(self.median_us, 3),
            "p95_us": round(self.p95_us, 3),
            "pages": self.pages,
            "part": self.part,
            "peak_kb": round(self.peak_kb, 1),
            "ratio_to_reference": round(self.ratio_to_reference, 3),
            "spread": round(self.spread, 4),
            "worst_us": round(self.worst_us, 3),
        }


# --- what is measured ------------------------------------------------------------------------------


def make_pages(count: int) -> list[Page]:
    """Return *count* pages of all types, the same ones every time."""
    pages = []
    for number in range(count):
        kind, base_utility, recompute_cost = _ROUND[number % len(_ROUND)]
        # Sizes differ a little from page to page, so that scores per token do not tie.
        costs = {level: _LADDER[level] + number % (3 + level) for level in TYPE_RULES[kind].levels}
        pages.append(
            Page(
                id=f"page-{number:03}",
                type=kind,
                costs=costs,
                provenance=Provenance("file", f"page-{number:03}.md"),
                base_utility=base_utility,
                recompute_cost=recompute_cost,
            )
        )
    return pages


def make_demands(count: int, turns: int) -> list[Demands]:
    """Return each turn's demands: a walk through all pages whose strides share no factor with the usual counts."""
    wanted = (Level.STRUCTURED, Level.FULL)
    return [
        [
            (f"page-{(turn * 7 + index * 3) % count:03}", wanted[(turn + index) % len(wanted)])
            for index in range(DEMANDS_PER_TURN)
        ]
        for turn in range(turns)
    ]


def _started(pages: Sequence[Page], trace: DecisionTrace | None = None, selector: Any = select) -> Engine:
    engine = Engine(POLICIES[POLICY], BUDGET, trace=trace, selector=selector)
    engine.session_start("benchmark", pages)
    return engine


def _handing_on() -> DecisionTrace:
    """Return a decision trace that keeps nothing but the last event, as one that streams to a file does."""
    kept: deque[Event] = deque(maxlen=1)
    return DecisionTrace(kept.append)


def requests_of(pages: Sequence[Page], demands: Sequence[Demands]) -> list[SelectionRequest]:
    """Return the selection requests that a run of the engine makes."""
    requests: list[SelectionRequest] = []

    def recording(request: SelectionRequest) -> Selection:
        requests.append(request)
        return select(request)

    engine = _started(pages, selector=recording)
    for wanted in demands:
        engine.post_model(demands=wanted)
        engine.prompt_assemble()
    return requests


def time_selection(requests: Sequence[SelectionRequest]) -> list[int]:
    """Return the nanoseconds of each selection."""
    samples = []
    for request in requests:
        begin = perf_counter_ns()
        select(request)
        samples.append(perf_counter_ns() - begin)
    return samples


def time_turns(engine: Engine, demands: Sequence[Demands]) -> list[int]:
    """Return the nanoseconds of each engine turn."""
    samples = []
    for wanted in demands:
        begin = perf_counter_ns()
        engine.post_model(demands=wanted)
        engine.prompt_assemble()
        samples.append(perf_counter_ns() - begin)
    return samples


def _parts(count: int, turns: int) -> dict[str, Callable[[], list[int]]]:
    """Return, for each part, a function that runs it once from a fresh start and returns its samples."""
    pages, demands = make_pages(count), make_demands(count, turns)
    requests = requests_of(pages, demands)
    return {
        "select": lambda: time_selection(requests),
        "turn": lambda: time_turns(_started(pages), demands),
        "turn+trace": lambda: time_turns(_started(pages, _handing_on()), demands),
    }


def reference_record(turns: int = 50) -> Event:
    """Return the decision record whose canonical JSON line is the unit of ``ratio_to_reference``."""
    trace = DecisionTrace()
    engine = _started(make_pages(REFERENCE_PAGES), trace)
    time_turns(engine, make_demands(REFERENCE_PAGES, turns))
    return next(event for event in reversed(trace.events) if event["event"] == "assemble")


def _time_reference(record: Event) -> list[int]:
    samples = []
    for _ in range(REFERENCE_LINES):
        begin = perf_counter_ns()
        canonical_json(record)
        samples.append(perf_counter_ns() - begin)
    return samples


# --- how it is measured ----------------------------------------------------------------------------


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


def _repeat(run: Callable[[], list[int]], repeats: int) -> list[list[int]]:
    run()  # Warm: caches and the specializing interpreter.
    results = []
    for _ in range(repeats):
        with _without_collector():
            results.append(run())
    return results


def _spread(results: Sequence[Sequence[int]]) -> float:
    """Return by which share of their median the medians of the repeats differ."""
    medians = [statistics.median(samples) for samples in results]
    return (max(medians) - min(medians)) / max(1.0, statistics.median(medians))


def percentile(samples: Sequence[int], share: float) -> int:
    """Return the smallest sample that at least *share* of all samples do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _peak_kb(run: Callable[[], object]) -> float:
    """Return the peak of what *run* allocates, in units of 1024 bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - before) / 1024


def _peaks(count: int, turns: int) -> dict[str, float]:
    """Return the peak of each part: of one selection, and of a run with its pages and page table."""
    demands = make_demands(count, turns)
    requests = requests_of(make_pages(count), demands)

    def selections() -> None:
        for request in requests:
            select(request)

    def run(trace: DecisionTrace | None) -> None:
        engine = _started(make_pages(count), trace)
        for wanted in demands:
            engine.post_model(demands=wanted)
            engine.prompt_assemble()

    return {
        "select": _peak_kb(selections),
        "turn": _peak_kb(lambda: run(None)),
        "turn+trace": _peak_kb(lambda: run(_handing_on())),
    }


def measure(page_counts: Sequence[int], turns: int, repeats: int) -> dict[str, Any]:
    """Run the benchmark and return its report as plain JSON data."""
    record = reference_record()
    reference_results = _repeat(lambda: _time_reference(record), repeats)
    reference_us = statistics.median(sample for samples in reference_results for sample in samples) / 1000
    warnings = _warnings("the reference", _spread(reference_results))
    timings = []
    for count in page_counts:
        peaks = _peaks(count, turns)
        for part, run in _parts(count, turns).items():
            results = _repeat(run, repeats)
            samples = [sample for result in results for sample in result]
            median_us = statistics.median(samples) / 1000
            timing = Timing(
                part=part,
                pages=count,
                median_us=median_us,
                p95_us=percentile(samples, 0.95) / 1000,
                worst_us=max(samples) / 1000,
                spread=_spread(results),
                ratio_to_reference=median_us / reference_us,
                peak_kb=peaks[part],
            )
            warnings += _warnings(f"{part} at {count} pages", timing.spread)
            timings.append(timing.to_record())
    return {
        "benchmark": "policy_engine",
        "configuration": {
            "budget": BUDGET,
            "demands_per_turn": DEMANDS_PER_TURN,
            "pages": list(page_counts),
            "policy": POLICY,
            "repeats": repeats,
            "turns": turns,
        },
        "environment": {
            "implementation": platform.python_implementation(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "published": PUBLISHED,
        "reference": {
            "bytes": len(canonical_json(record)),
            "median_us": round(reference_us, 3),
            "what": f"one canonical JSON line of an assemble decision of {REFERENCE_PAGES} pages",
        },
        "timings": timings,
        "warnings": warnings,
    }


def _warnings(what: str, spread: float) -> list[str]:
    if spread <= SCATTER_LIMIT:
        return []
    return [f"the repeats of {what} scatter by {spread:.0%}; close other programs and run again"]


def table(report: dict[str, Any]) -> str:
    """Return the report as text."""
    head = f"{'pages':>5}  {'part':<10} {'median':>8} {'p95':>8} {'worst':>8}"
    lines = [f"{head} {'spread':>7} {'x ref':>6} {'peak KB':>8}"]
    for row in report["timings"]:
        lines.append(
            f"{row['pages']:>5}  {row['part']:<10} {row['median_us']:>8.1f} {row['p95_us']:>8.1f} "
            f"{row['worst_us']:>8.1f} {row['spread']:>7.1%} {row['ratio_to_reference']:>6.2f} {row['peak_kb']:>8.1f}"
        )
    published, reference, configuration = report["published"], report["reference"], report["configuration"]
    median = f"{published['median_us_low']:.0f}-{published['median_us_high']:.0f}"
    p95, peak = f"<{published['p95_us_below']:.0f}", f"<{published['peak_kb_below']:.0f}"
    lines += [
        f"{'tens':>5}  {'published':<10} {median:>8} {p95:>8} {published['worst_us']:>8.0f} {'':>7} {'':>6} {peak:>8}",
        "",
        f"microseconds; {configuration['repeats']} repeats of {configuration['turns']} turns, "
        f"{configuration['demands_per_turn']} demands a turn, budget {configuration['budget']} tokens, "
        f"policy {configuration['policy']}",
        f"ref: {reference['what']} ({reference['bytes']} bytes), {reference['median_us']:.1f} us",
        "{implementation} {python}, {system} {machine}".format(**report["environment"]),
    ]
    return "\n".join(lines)


# --- the command -----------------------------------------------------------------------------------


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def _write(path: Path, text: str) -> None:
    """Write under a temporary name first, so that an interruption leaves no half-written file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 when the report cannot be written."""
    parser = argparse.ArgumentParser(
        prog="benchmark_policy_engine.py", description="Measure what the policy engine costs per turn."
    )
    parser.add_argument(
        "--pages", type=_at_least_one, nargs="+", default=[10, 20, 40, 80], metavar="N", help="numbers of pages"
    )
    parser.add_argument("--turns", type=_at_least_one, default=200, metavar="N", help="turns of one run (200)")
    parser.add_argument("--repeats", type=_at_least_one, default=7, metavar="N", help="runs of each part (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON too")
    options = parser.parse_args(argv)
    report = measure(options.pages, options.turns, options.repeats)
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    if options.json is not None:
        try:
            _write(options.json, json.dumps(report, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            print(f"{options.json}: {error.strerror}; name a file that can be written", file=sys.stderr)
            return 2
    try:
        print(table(report), flush=True)
    except BrokenPipeError:  # The reader has seen enough, as with `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
