"""Overhead: what the policy engine costs per turn and per lifecycle operation, next to the published microseconds.

It reads a clock, so it is no row of the registry: its timings are in files of their own and take part in no result.
Every time is also given as a multiple of a cost that is measured in the same run, one canonical JSON line of a decision
record, so that two machines can be compared. How to read the report: ``docs/experiments.md``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from clawvm_replay.document import Block, Heading, Paragraph, ReportVerdict, Table, Value
from clawvm_runtime.canonical import canonical_json
from clawvm_workloads.families import PAPER_FAMILIES

__all__ = ["BUDGET", "ID", "Configuration", "configuration", "findings", "measure", "report", "verdicts"]

ID = "overhead"
VERSION = 2

BUDGET = 500
"""Tokens of the tables whose size the paper measures."""

GROWTH_BUDGET = 8000
"""Tokens of the tables that show how the cost grows."""

SCATTER_LIMIT = 0.25
"""Repeats whose medians differ by more than this share say more about the machine than about the engine."""

SECTIONS = ("timings", "policies", "families", "operations", "disk")

Row = Mapping[str, Any]
Document = dict[str, Any]

Progress = Callable[[int, int, str], None]
"""Gets how many cases are done, how many there are, and which one was the last."""

PUBLISHED = {
    "median_us_low": 18.0,
    "median_us_high": 44.0,
    "p95_us_below": 60.0,
    "worst_us": 114.0,
    "peak_kb_below": 83.0,
}


@dataclass(frozen=True, slots=True)
class OverheadFigure:
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
    OverheadFigure("median_us", "median, us", "18 to 44", PUBLISHED["median_us_high"], inclusive=True),
    OverheadFigure("p95_us", "p95, us", "below 60", PUBLISHED["p95_us_below"], inclusive=False),
    OverheadFigure("worst_us", "worst, us", "114", PUBLISHED["worst_us"], inclusive=True),
    OverheadFigure("costliest_us", "worst without interruptions, us", "114", PUBLISHED["worst_us"], inclusive=True),
    OverheadFigure("peak_kb", "peak memory, KB", "below 83", PUBLISHED["peak_kb_below"], inclusive=False),
)

SUBJECTS = {
    "family_selection": ("selection alone, four families", "families", "select", FAMILY_BUDGET),
    "family_turn": ("whole turn, four families", "families", "turn", FAMILY_BUDGET),
    "table_selection": ("selection alone, tables", "timings", "select", BUDGET),
    "table_turn": ("whole turn, tables", "timings", "turn", BUDGET),
}
"""What is compared with the published figures: name, section, part, and budget of the rows (tokens)."""

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
    measured: list[tuple[Case, Timing, float | None]] = []
    for done, case in enumerate(cases, start=2):
        work = case.prepare()
        timing = Timing.of(repeat(work, configuration.repeats))
        measured.append((case, timing, peak_kb(work) if case.has_peak else None))
        progress(done, total, case.label)
    # Once more at the end: a machine that changed its speed in between shows as a reference that scatters.
    reference = Timing.of(samples + repeat(time_one_line, configuration.repeats))
    progress(total, total, "reference")
    document = _settings(configuration)
    document["reference"] = {
        "bytes": len(canonical_json(decision)),
        "median_us": round(reference.median_us, 3),
        "spread": round(reference.spread, 4),
        "what": f"one canonical JSON line of an assemble decision of {REFERENCE_PAGES} pages",
    }
    document.update({section: [] for section in SECTIONS})
    for case, timing, memory in measured:
        peak = None if memory is None else round(memory, 1)
        document[case.section].append({**case.fields, **timing.to_record(reference.median_us), "peak_kb": peak})
    document["verdicts"] = verdicts(document)
    document["findings"] = findings(document)
    spreads = [("the reference", reference.spread), *((case.label, timing.spread) for case, timing, _ in measured)]
    document["warnings"] = [
        f"the repeats of {label} scatter by {spread:.0%}; close other programs and run again"
        for label, spread in spreads
        if spread > SCATTER_LIMIT
    ]
    return document


def _settings(configuration: Configuration) -> Document:
    """Return the part of the document that says what was measured, and where."""
    return {
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
        "published": PUBLISHED,
    }


def _subject_rows(document: Document, subject: str) -> list[Row]:
    _, section, part, budget = SUBJECTS[subject]
    return [row for row in document[section] if (row["part"], row["budget"]) == (part, budget)]


def verdicts(document: Document) -> list[dict[str, Any]]:
    """Return, for every subject and figure, the lowest and highest measured row and whether the highest meets it."""
    found = []
    for subject in SUBJECTS:
        for figure in FIGURES:
            values = [row[figure.field] for row in _subject_rows(document, subject) if row[figure.field] is not None]
            if values:
                found.append(
                    {
                        "subject": subject,
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
        found[f"{subject}_ratio"] = max(row["ratio_to_reference"] for row in _subject_rows(document, subject))
    return found


def report(document: Document) -> list[Block]:
    """Return the measured document as a report: published figures and verdicts first, then every measured row."""
    settings = document["configuration"]
    return [
        Heading(2, "Overhead of the policy engine"),
        Paragraph(_introduction(document)),
        *(Paragraph(f"Warning: {warning}.") for warning in document["warnings"]),
        Heading(3, "Compared with the published figures"),
        Paragraph(
            "Lowest to highest row. *Met* means that the highest one stays within the published figure, in raw "
            "microseconds of this machine and this interpreter. The published machine is not known to us, nor whether "
            "its figures are selection alone or the whole turn. Nothing was tuned to them. The published worst is "
            "compared with our worst and with our costliest: the former depends on what else runs here."
        ),
        _verdict_table(document),
        Heading(3, "Turns of the workload families"),
        Paragraph(
            f"Every family's trace at {settings['family_budget']} tokens, replayed without a decision trace, pages "
            "declared and boundaries passed as they come. The turn includes the simulated harness and the metrics "
            "around the engine."
        ),
        _rows(document["families"], ["workload", "part", "pages"], peak=True),
        Heading(3, "Turns by size of the page table"),
        Paragraph(
            f"{settings['demands_per_turn']} demands a turn. *select* is selection alone; *turn+trace* hands every "
            "decision on."
        ),
        _rows(document["timings"], ["part", "pages", "budget"], peak=True),
        Heading(3, "The turn under other policies"),
        _rows(document["policies"], ["policy", "pages", "budget"]),
        Heading(3, "Lifecycle operations"),
        Paragraph(
            f"The paper reports no figure for a single operation. A table of {settings['operation_pages']} pages. "
            "*dirty* counts the staged updates that the operation finds. The journal's file is written without "
            "`fsync`."
        ),
        _rows(document["operations"], ["operation", "situation", "policy", "journal"]),
        Heading(3, "The disk"),
        Paragraph(
            "One `fsync` behind a writeback. It belongs to the disk of the temporary folder, not to the engine, and "
            "comes on top wherever the journal has to survive a crash."
        ),
        _rows(document["disk"], ["what", "dirty", "bytes"]),
    ]


def _introduction(document: Document) -> str:
    reference, environment = document["reference"], document["environment"]
    return (
        f"{environment['implementation']} {environment['python']}, {environment['system']} {environment['machine']}. "
        f"Times are microseconds over {document['configuration']['repeats']} repeats; no model and no tool runs. "
        f"*x ref* divides the median by {reference['what']} ({reference['bytes']} bytes), here "
        f"{reference['median_us']:.1f} microseconds: compare that between machines. *Spread* is the share by which the "
        "medians of the repeats differ. *Costliest* is the highest median of one and the same sample over the repeats, "
        "which a single interruption does not reach; *worst* is the longest sample, with every interruption."
    )


def _verdict_table(document: Document) -> Table:
    found = {(verdict["subject"], verdict["figure"]): verdict for verdict in document["verdicts"]}

    def cell(verdict: Row | None) -> Value:
        if verdict is None:
            return "not measured"
        word = "met" if verdict["met"] else "not met"
        return ReportVerdict(f"{verdict['lowest']:.1f} to {verdict['highest']:.1f}: {word}", verdict["met"])

    return Table.of(
        ["per turn", "published", *(name for name, *_ in SUBJECTS.values())],
        (
            (figure.name, figure.published, *(cell(found.get((subject, figure.field))) for subject in SUBJECTS))
            for figure in FIGURES
        ),
    )


def _rows(rows: Iterable[Row], names: Sequence[str], *, peak: bool = False) -> Table:
    return Table.of(
        [*names, *_TIMES.values(), "spread, %", "x ref", *(["peak KB"] if peak else [])],
        (
            (
                *(row[name] for name in names),
                *(row[field] for field in _TIMES),
                round(100 * row["spread"], 1),
                row["ratio_to_reference"],
                *([row["peak_kb"]] if peak else []),
            )
            for row in rows
        ),
    )
