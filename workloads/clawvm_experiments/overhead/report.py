"""The overhead as Markdown: published figures and verdicts first, then every row that was measured.

==========  ==============================
report      the document as Markdown
==========  ==============================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clawvm_experiments.overhead.verdicts import FIGURES, SUBJECTS
from clawvm_replay.reports import table

__all__ = ["report"]

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
