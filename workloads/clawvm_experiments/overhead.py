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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from clawvm_experiments.overhead_cases import (
    DEMANDS_PER_TURN,
    FAMILY_BUDGET,
    OPERATION_PAGES,
    POLICY,
    REFERENCE_PAGES,
    Case,
    Size,
    Timing,
    disk_cases,
    family_cases,
    operation_cases,
    peak_kb,
    reference_record,
    repeat,
    size_cases,
    time_reference,
)
from clawvm_replay.reports import table
from clawvm_runtime.canonical import canonical_json
from clawvm_workloads.families import FAMILIES

__all__ = [
    "BUDGET",
    "FIGURES",
    "ID",
    "SUBJECTS",
    "Configuration",
    "configuration",
    "findings",
    "measure",
    "report",
    "verdicts",
]


# --- The published overhead, and whether what was measured here stays within it.

Document = dict[str, Any]

PUBLISHED: Mapping[str, float] = MappingProxyType(
    {
        "median_us_low": 18.0,
        "median_us_high": 44.0,
        "p95_us_below": 60.0,
        "worst_us": 114.0,
        "peak_kb_below": 83.0,
    }
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure: the field of a row that is compared, the limit, whether the limit itself still meets it."""

    field: str
    name: str
    published: str
    limit: float
    inclusive: bool

    def met_by(self, value: float) -> bool:
        """Return whether *value* is within the limit; faster than the lowest published median is within it too."""
        return value <= self.limit if self.inclusive else value < self.limit


FIGURES = (
    Figure("median_us", "median, us", "18 to 44", PUBLISHED["median_us_high"], inclusive=True),
    Figure("p95_us", "p95, us", "below 60", PUBLISHED["p95_us_below"], inclusive=False),
    Figure("worst_us", "worst, us", "114", PUBLISHED["worst_us"], inclusive=True),
    Figure("costliest_us", "worst without interruptions, us", "114", PUBLISHED["worst_us"], inclusive=True),
    Figure("peak_kb", "peak memory, KB", "below 83", PUBLISHED["peak_kb_below"], inclusive=False),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What of ours is set beside the published figures: the rows of one section for which ``includes`` holds."""

    id: str
    name: str
    section: str
    includes: Callable[[Document, Mapping[str, Any]], bool]

    def rows(self, document: Document) -> list[Mapping[str, Any]]:
        """Return the rows of this subject."""
        return [row for row in document[self.section] if self.includes(document, row)]


def _part(name: str) -> Callable[[Document, Mapping[str, Any]], bool]:
    return lambda document, row: bool(row["part"] == name)


def _small_table(name: str) -> Callable[[Document, Mapping[str, Any]], bool]:
    return lambda document, row: bool(row["part"] == name and row["budget"] == document["configuration"]["budget"])


SUBJECTS = (
    Subject("family_selection", "selection alone, four families", "families", _part("select")),
    Subject("family_turn", "whole turn, four families", "families", _part("turn")),
    Subject("table_selection", "selection alone, tables", "timings", _small_table("select")),
    Subject("table_turn", "whole turn, tables", "timings", _small_table("turn")),
)


def verdicts(document: Document) -> list[dict[str, Any]]:
    """Return, for every subject and figure, the lowest and highest measured row and whether the highest meets it."""
    found = []
    for subject in SUBJECTS:
        for figure in FIGURES:
            values = [row[figure.field] for row in subject.rows(document) if row[figure.field] is not None]
            if values:
                found.append(
                    {
                        "subject": subject.id,
                        "figure": figure.field,
                        "published": figure.published,
                        "lowest": min(values),
                        "highest": max(values),
                        "met": figure.met_by(max(values)),
                    }
                )
    return found


def findings(document: Document) -> dict[str, float | bool]:
    """Return the numbers that claims refer to, by name."""
    found: dict[str, float | bool] = {"reference_us": document["reference"]["median_us"]}
    for verdict in document["verdicts"]:
        name = f"{verdict['subject']}_{verdict['figure']}"
        found[name] = verdict["highest"]
        found[f"{name}_met"] = verdict["met"]
    for subject in SUBJECTS:
        found[f"{subject.id}_ratio"] = max(row["ratio_to_reference"] for row in subject.rows(document))
    return found


# --- The overhead as Markdown: published figures and verdicts first, then every row that was measured.

Row = Mapping[str, Any]

_TIMES = {"median_us": "median, us", "p95_us": "p95, us", "costliest_us": "costliest, us", "worst_us": "worst, us"}
"""The columns of every table of rows, by field."""


def report(document: dict[str, Any]) -> str:
    """Return the measured document as Markdown that begins with a second-level heading."""
    return "\n".join(
        [
            "## Overhead of the policy engine\n",
            _introduction(document),
            *(f"Warning: {warning}.\n" for warning in document["warnings"]),
            "### Beside the published figures\n",
            "Lowest to highest row. *Met* means that the highest one stays within the published figure, in raw "
            "microseconds of this machine and this interpreter. The published machine is not known to us, and whether "
            "its figures are selection alone or the whole turn is not either. Nothing was tuned to them. The published "
            "worst stands beside our worst and beside our costliest: the former depends on what else runs here.\n",
            _verdicts(document),
            "### Turns of the workload families\n",
            f"Every family's trace at {document['configuration']['family_budget']} tokens, replayed without a decision "
            "trace, pages declared and boundaries passed as they come. The turn includes the simulated harness "
            "and the metrics around the engine.\n",
            _rows(document["families"], ["workload", "part", "pages"], peak=True),
            "### Turns by size of the page table\n",
            f"{document['configuration']['demands_per_turn']} demands a turn. *select* is selection alone; "
            "*turn+trace* hands every decision on.\n",
            _rows(document["timings"], ["part", "pages", "budget"], peak=True),
            "### The turn under other policies\n",
            _rows(document["policies"], ["policy", "pages", "budget"]),
            "### Lifecycle operations\n",
            "No figure is published for a single operation. A table of "
            f"{document['configuration']['operation_pages']} pages. *dirty* counts the staged updates that "
            "the operation finds. The journal's file is written without `fsync`.\n",
            _rows(document["operations"], ["operation", "situation", "policy", "journal"]),
            "### The disk\n",
            "One `fsync` behind a writeback. It belongs to the disk of the temporary folder, not to the engine, and "
            "comes on top wherever the journal has to survive a crash.\n",
            _rows(document["disk"], ["what", "dirty", "bytes"]),
        ]
    )


def _introduction(document: dict[str, Any]) -> str:
    reference, environment = document["reference"], document["environment"]
    return (
        f"{environment['implementation']} {environment['python']}, {environment['system']} {environment['machine']}. "
        f"Times are microseconds over {document['configuration']['repeats']} repeats; no model and no tool runs. "
        f"*x ref* divides the median by {reference['what']} ({reference['bytes']} bytes), here "
        f"{reference['median_us']:.1f} microseconds: compare that between machines. *Spread* is by which share the "
        "medians of the repeats differ. *Costliest* is the highest median of one and the same sample over the repeats, "
        "which a single interruption does not reach; *worst* is the longest sample, with every interruption.\n"
    )


def _verdicts(document: dict[str, Any]) -> str:
    found = {(verdict["subject"], verdict["figure"]): verdict for verdict in document["verdicts"]}
    return table(
        ["per turn", "published", *(subject.name for subject in SUBJECTS)],
        (
            (
                figure.name,
                figure.published,
                *(_verdict(found.get((subject.id, figure.field))) for subject in SUBJECTS),
            )
            for figure in FIGURES
        ),
    )


def _verdict(verdict: Row | None) -> str:
    if verdict is None:
        return "not measured"
    return f"{verdict['lowest']:.1f} to {verdict['highest']:.1f}: {'met' if verdict['met'] else 'not met'}"


def _rows(rows: Iterable[Row], names: Sequence[str], *, peak: bool = False) -> str:
    return table(
        [*names, *_TIMES.values(), "spread", "x ref", *(["peak KB"] if peak else [])],
        (
            (
                *(row[name] for name in names),
                *(f"{row[field]:.1f}" for field in _TIMES),
                f"{row['spread']:.1%}",
                f"{row['ratio_to_reference']:.2f}",
                *(["-" if row["peak_kb"] is None else f"{row['peak_kb']:.1f}"] if peak else []),
            )
            for row in rows
        ),
    )


# --- Overhead: what the policy engine costs per turn and per lifecycle operation, beside the published microseconds.

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
