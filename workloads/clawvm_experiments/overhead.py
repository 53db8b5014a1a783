"""Overhead: what the policy engine costs per turn and per lifecycle operation, next to the published microseconds.

It reads a clock, so it is no row of the registry: its timings are in files of their own and take part in no result.
Every time is also given as a multiple of a cost that is measured in the same run, one canonical JSON line of a decision
record, so that two machines can be compared. How to read the report: ``docs/experiments.md``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from clawvm_experiments.overhead_cases import (
    FAMILY_BUDGET,
    OPERATION_PAGES,
    REFERENCE,
    Size,
    disk_cases,
    family_cases,
    operation_cases,
    peak_kb,
    reference_record,
    repeat,
    size_cases,
    time_reference,
    timing_of,
)
from clawvm_replay.document import Block, Heading, Paragraph, ReportVerdict, Table, Value
from clawvm_runtime.canonical import canonical_json
from clawvm_workloads.families import PAPER_FAMILIES

__all__ = ["BUDGET", "FIGURES", "ID", "Configuration", "configuration", "measure", "report"]

ID = "overhead"
VERSION = 3

BUDGET = 500
"""Tokens of the tables whose size the paper measures."""

GROWTH_BUDGET = 8000
"""Tokens of the tables that show how the cost grows."""

SCATTER_LIMIT = 0.25
"""Repeats whose medians differ by more than this share say more about the machine than about the engine."""

Document = dict[str, Any]

Progress = Callable[[int, int, str], None]
"""Gets how many cases are done, how many there are, and which one was the last."""


class OverheadFigure(NamedTuple):
    """One published figure: its name, what is published, the limit, and whether the limit itself still meets it."""

    name: str
    published: str
    limit: float
    inclusive: bool

    def met_by(self, value: float) -> bool:
        """Return whether *value* is within the limit; faster than the lowest published median is within it too."""
        return value < self.limit or (self.inclusive and value == self.limit)


FIGURES = {
    "median_us": OverheadFigure("median, us", "18 to 44", 44.0, inclusive=True),
    "p95_us": OverheadFigure("p95, us", "below 60", 60.0, inclusive=False),
    "worst_us": OverheadFigure("worst, us", "114", 114.0, inclusive=True),
    "costliest_us": OverheadFigure("worst without interruptions, us", "114", 114.0, inclusive=True),
    "peak_kb": OverheadFigure("peak memory, KB", "below 83", 83.0, inclusive=False),
}
"""The published figures, by the field of a row that is compared with them."""

SUBJECTS = {
    "family_selection": ("selection alone, four families", "families", "select", FAMILY_BUDGET),
    "family_turn": ("whole turn, four families", "families", "turn", FAMILY_BUDGET),
    "table_selection": ("selection alone, tables", "timings", "select", BUDGET),
    "table_turn": ("whole turn, tables", "timings", "turn", BUDGET),
}
"""What is compared with the published figures: name, section, part, and budget of the rows (tokens)."""

SECTIONS = {
    "families": (
        "Turns of the workload families",
        ("workload", "part", "pages"),
        f"Every family's trace at {FAMILY_BUDGET} tokens, pages declared and boundaries passed as they come. The turn "
        "includes the simulated harness and the metrics around the engine.",
    ),
    "timings": (
        "Turns by size of the page table",
        ("part", "pages", "budget"),
        "*select* is selection alone; *turn+trace* hands every decision on; the other turns are those of other "
        "policies.",
    ),
    "operations": (
        "Lifecycle operations",
        ("operation", "situation", "policy", "journal"),
        f"The paper reports no figure for a single operation. A table of {OPERATION_PAGES} pages. *dirty* counts the "
        "staged updates that the operation finds. The journal's file is written without `fsync`.",
    ),
    "disk": (
        "The disk",
        ("what", "dirty", "bytes"),
        "One `fsync` behind a writeback. It belongs to the disk of the temporary folder, not to the engine, and comes "
        "on top wherever the journal has to survive a crash.",
    ),
}
"""The sections of the document and of the report: title, the fields that identify a row, and an explanation."""

_TIMES = {"median_us": "median, us", "p95_us": "p95, us", "costliest_us": "costliest, us", "worst_us": "worst, us"}
"""The columns of every table of rows, by field."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The tables that are measured, the samples of one run of an operation, the repeats of every case."""

    sizes: tuple[Size, ...]
    samples: int
    repeats: int


def configuration(quick: bool = False) -> Configuration:
    """Return the full configuration, or a quick one with the same cases and fewer samples."""
    tables = (
        (10, BUDGET, 200, 20),
        (20, BUDGET, 200, 20),
        (80, BUDGET, 120, 8),
        (300, GROWTH_BUDGET, 24, 2),
        (1000, GROWTH_BUDGET, 8, 1),
    )
    sizes = tuple(Size(pages, budget, few if quick else many) for pages, budget, many, few in tables)
    return Configuration(sizes, samples=10, repeats=3) if quick else Configuration(sizes, samples=60, repeats=7)


def measure(configuration: Configuration, progress: Progress = lambda done, total, name: None) -> Document:
    """Measure every case and return the document, plain JSON data.

    Raises OSError where the temporary folder cannot take a journal's file.
    """
    decision = reference_record()
    time_one_line = partial(time_reference, decision)
    cases = [
        *(case for size in configuration.sizes for case in size_cases(size)),
        *(case for workload in PAPER_FAMILIES for case in family_cases(workload)),
        *operation_cases(configuration.samples),
        *disk_cases(),
    ]
    total = len(cases) + 2
    samples = repeat(time_one_line, configuration.repeats)
    progress(1, total, "reference")
    measured = []
    for done, case in enumerate(cases, start=2):
        work = case.prepare()
        timing = timing_of(repeat(work, configuration.repeats))
        measured.append((case, timing, round(peak_kb(work), 1) if case.has_peak else None))
        progress(done, total, case.label)
    # Once more at the end: a machine that changed its speed in between shows as a reference that scatters.
    reference = timing_of(samples + repeat(time_one_line, configuration.repeats))
    progress(total, total, "reference")
    document: Document = {
        "benchmark": "policy_engine",
        "version": VERSION,
        "configuration": {
            "repeats": configuration.repeats,
            "samples": configuration.samples,
            "sizes": [[size.pages, size.budget, size.turns] for size in configuration.sizes],
        },
        "environment": {
            "implementation": platform.python_implementation(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "reference": {"bytes": len(canonical_json(decision)), **reference},
        **{section: [] for section in SECTIONS},
    }
    for case, timing, peak in measured:
        ratio = round(timing["median_us"] / reference["median_us"], 3)
        document[case.section].append({**case.fields, **timing, "ratio_to_reference": ratio, "peak_kb": peak})
    document["findings"] = {
        f"{subject}_{field}": max(values)
        for subject in SUBJECTS
        for field in FIGURES
        if (values := _values(document, subject, field))
    }
    spreads = [("the reference", reference), *((case.label, timing) for case, timing, _ in measured)]
    document["warnings"] = [
        f"the repeats of {label} scatter by {timing['spread']:.0%}"
        for label, timing in spreads
        if timing["spread"] > SCATTER_LIMIT
    ]
    return document


def _values(document: Document, subject: str, field: str) -> list[float]:
    """Return what was measured of a subject, one number for each of its rows."""
    _, section, part, budget = SUBJECTS[subject]
    rows = (row for row in document[section] if (row["part"], row["budget"]) == (part, budget))
    return [row[field] for row in rows if row[field] is not None]


def report(document: Document) -> list[Block]:
    """Return the measured document as a report: published figures and verdicts first, then every measured row."""
    reference, environment = document["reference"], document["environment"]
    blocks: list[Block] = [
        Heading(2, "Overhead of the policy engine"),
        *([Paragraph(_warning(document["warnings"]))] if document["warnings"] else []),
        Paragraph(
            "Lowest to highest row per turn. *Met* means that the highest one stays within the published figure, in "
            "raw microseconds of this machine and this interpreter. Neither the published machine is known, nor "
            "whether the figures are for selection alone or for the whole turn. Nothing was tuned to them."
        ),
        Table.of(
            ["per turn", "published", *(name for name, *_ in SUBJECTS.values())],
            (
                (
                    figure.name,
                    figure.published,
                    *(_verdict(figure, _values(document, subject, field)) for subject in SUBJECTS),
                )
                for field, figure in FIGURES.items()
            ),
        ),
        Paragraph(
            f"{environment['implementation']} {environment['python']}, {environment['system']} "
            f"{environment['machine']}; {document['configuration']['repeats']} repeats. No model and no tool runs. *x "
            f"ref* divides the median by one canonical JSON line of a decision over {REFERENCE.pages} pages "
            f"({reference['bytes']} bytes), here {reference['median_us']:.1f} microseconds: compare that between "
            "machines. *Spread* is the share by which the medians of the repeats differ. *Costliest* is the highest "
            "median of one and the same sample over the repeats, which a single interruption does not reach; *worst* "
            "is the longest sample, with every interruption."
        ),
    ]
    for section, (title, names, explanation) in SECTIONS.items():
        blocks += [Heading(3, title), Paragraph(explanation), _rows(document[section], names)]
    return blocks


def _warning(warnings: Sequence[str]) -> str:
    more = f" So do {len(warnings) - 1} others." if len(warnings) > 1 else ""
    return f"Warning: {warnings[0]}.{more} Close other programs and run again."


def _verdict(figure: OverheadFigure, values: Sequence[float]) -> Value:
    if not values:
        return "not measured"
    met = figure.met_by(max(values))
    return ReportVerdict(f"{min(values):.1f} to {max(values):.1f}: {'met' if met else 'not met'}", met)


def _rows(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Table:
    return Table.of(
        [*names, *_TIMES.values(), "spread, %", "x ref", "peak KB"],
        (
            (
                *(row[name] for name in (*names, *_TIMES)),
                round(100 * row["spread"], 1),
                row["ratio_to_reference"],
                row["peak_kb"],
            )
            for row in rows
        ),
    )
