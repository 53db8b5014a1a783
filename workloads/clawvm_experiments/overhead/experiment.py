"""Overhead: what the policy engine costs per turn and per lifecycle operation, beside the published microseconds.

===============  ====================================================================================
ID               the name of this experiment; it reads a clock, so it is no row of the registry
Configuration    what is measured and how often
configuration    the full or the quick one
measure          run everything, as plain JSON data
report           the same as Markdown
===============  ====================================================================================

Every time is also given as a multiple of a cost that is measured in the same run, one canonical JSON line of a decision
record, so that two machines can be compared. Timings stand in files of their own and take no part in any result.
``docs/overhead.md`` says how to read them.
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from clawvm_experiments.overhead.cases import (
    DEMANDS_PER_TURN,
    FAMILY_BUDGET,
    POLICY,
    REFERENCE_PAGES,
    Size,
    family_cases,
    reference_record,
    size_cases,
    time_reference,
)
from clawvm_experiments.overhead.operations import OPERATION_PAGES, disk_cases, operation_cases
from clawvm_experiments.overhead.report import report
from clawvm_experiments.overhead.timing import Case, Timing, peak_kb, repeat
from clawvm_experiments.overhead.verdicts import PUBLISHED, findings, verdicts
from clawvm_runtime.canonical import canonical_json
from clawvm_workloads.families import FAMILIES

__all__ = ["BUDGET", "ID", "Configuration", "configuration", "measure", "report"]

ID = "overhead"
VERSION = 2

BUDGET = 500
"""Tokens of the tables that have the published sort of size."""

GROWTH_BUDGET = 8000
"""Tokens of the tables that show how the cost grows."""

SCATTER_LIMIT = 0.25
"""Repeats whose medians differ by more than this share say more about the machine than about the engine."""

SECTIONS = ("timings", "policies", "families", "operations", "disk")

_Measured = tuple[Case, Timing, float | None]

Progress = Callable[[int, int, str], None]
"""Gets how many cases are done, how many there are, and which one was the last."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The tables that are measured, the samples of one run of an operation, the repeats of every case."""

    sizes: tuple[Size, ...]
    samples: int
    repeats: int


def configuration(quick: bool = False) -> Configuration:
    """Return the full configuration, or a quick one with the same cases and fewer samples."""
    if quick:
        sizes = (Size(10, BUDGET, 20), Size(20, BUDGET, 20), Size(80, BUDGET, 8))
        growth = (Size(300, GROWTH_BUDGET, 2), Size(1000, GROWTH_BUDGET, 1))
        return Configuration(sizes + growth, samples=10, repeats=3)
    sizes = (Size(10, BUDGET, 200), Size(20, BUDGET, 200), Size(80, BUDGET, 120))
    growth = (Size(300, GROWTH_BUDGET, 24), Size(1000, GROWTH_BUDGET, 8))
    return Configuration(sizes + growth, samples=60, repeats=7)


def _no_progress(done: int, total: int, name: str) -> None:
    """Tell nobody."""


def measure(configuration: Configuration, progress: Progress = _no_progress) -> dict[str, Any]:
    """Measure every case and return the document, plain JSON data.

    Raises OSError where the temporary folder cannot take a journal's file.
    """
    decision = reference_record()
    time_one_line = partial(time_reference, decision)
    cases = _cases(configuration)
    total = len(cases) + 2
    reference = repeat(time_one_line, configuration.repeats)
    progress(1, total, "reference")
    measured: list[_Measured] = []
    for done, case in enumerate(cases, start=2):
        work = case.prepare()
        timing = Timing.of(repeat(work, configuration.repeats))
        measured.append((case, timing, peak_kb(work) if case.has_peak else None))
        progress(done, total, case.label)
    # Once more at the end: a machine that changed its speed in between shows as a reference that scatters.
    reference += repeat(time_one_line, configuration.repeats)
    progress(total, total, "reference")
    return _document(configuration, len(canonical_json(decision)), Timing.of(reference), measured)


def _cases(configuration: Configuration) -> list[Case]:
    return [
        *itertools.chain.from_iterable(size_cases(size) for size in configuration.sizes),
        *itertools.chain.from_iterable(family_cases(workload) for workload in FAMILIES),
        *operation_cases(configuration.samples),
        *disk_cases(),
    ]


def _document(
    configuration: Configuration,
    reference_bytes: int,
    reference: Timing,
    measured: Sequence[_Measured],
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "benchmark": "policy_engine",
        "version": VERSION,
        "configuration": {
            "budget": BUDGET,
            "budgets": [size.budget for size in configuration.sizes],
            "demands_per_turn": DEMANDS_PER_TURN,
            "family_budget": FAMILY_BUDGET,
            "operation_pages": OPERATION_PAGES,
            "pages": [size.pages for size in configuration.sizes],
            "policy": POLICY,
            "repeats": configuration.repeats,
            "samples": configuration.samples,
            "turns": [size.turns for size in configuration.sizes],
        },
        "environment": {
            "implementation": platform.python_implementation(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "published": dict(PUBLISHED),
        "reference": {
            "bytes": reference_bytes,
            "median_us": round(reference.median_us, 3),
            "spread": round(reference.spread, 4),
            "what": f"one canonical JSON line of an assemble decision of {REFERENCE_PAGES} pages",
        },
    }
    for section in SECTIONS:
        document[section] = [
            {
                **case.fields,
                **timing.to_record(reference.median_us),
                "peak_kb": None if memory is None else round(memory, 1),
            }
            for case, timing, memory in measured
            if case.section == section
        ]
    document["verdicts"] = verdicts(document)
    document["findings"] = findings(document)
    document["warnings"] = [
        f"the repeats of {label} scatter by {spread:.0%}; close other programs and run again"
        for label, spread in [("the reference", reference.spread), *((case.label, t.spread) for case, t, _ in measured)]
        if spread > SCATTER_LIMIT
    ]
    return document
