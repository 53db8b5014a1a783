"""Weight sweep: does ClawVM's result depend on the weights of its upgrade score, and what do the weights move?

The paper gives the number of runs, the budget and the ranges, not the grid: this one has the same number of runs over
the same ranges. The boost of soft pages keeps its default proportion to that of hard pages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from clawvm_experiments.experiment import (
    QUALITY,
    Cell,
    Experiment,
    Row,
    aggregate,
    displayed,
    distinct,
    replay_cell,
    rows_with,
    total,
)
from clawvm_replay.document import Block, Heading, Paragraph, Table
from clawvm_replay.metrics import DIGITS
from clawvm_replay.published import WEIGHT_SWEEP
from clawvm_runtime.policy import POLICIES, UPGRADE_SCORES, Policy
from clawvm_workloads.families import PAPER_FAMILIES

__all__ = ["DEFAULT", "EXPERIMENT", "METRICS", "SETTINGS", "Weights", "policy_with"]

_SCORE = UPGRADE_SCORES["clawvm"]


class Weights(NamedTuple):
    """One setting of the upgrade score."""

    pin: float
    recency: float
    recompute: float


DEFAULT = Weights(_SCORE.pin_hard, _SCORE.recency, _SCORE.recompute)
ALONE = {"pin": (0.5, 1.0, 3.0, 4.0), "recency": (0.1, 0.3, 0.9, 1.2), "recompute": (0.0, 0.2, 0.8, 1.2)}
"""The values of each weight besides its default, from the lowest to the highest published one."""

SETTINGS = (
    DEFAULT,
    *(DEFAULT._replace(**{weight: value}) for weight, values in ALONE.items() for value in values),
    *(Weights(*corner) for corner in product(*((values[0], values[-1]) for values in ALONE.values()))),
)
"""The default, each weight alone in four more values, and the eight corners of the ranges."""

METRICS = {metric: words for metric, (words, direction) in QUALITY.items() if direction}
"""The metrics that have a better direction."""


def policy_with(weights: Weights) -> Policy:
    """Return ClawVM with these weights; the default weights give ClawVM's own score."""
    score = dataclasses.replace(
        _SCORE,
        pin_hard=weights.pin,
        pin_soft=round(weights.pin * _SCORE.pin_soft / _SCORE.pin_hard, DIGITS),
        recency=weights.recency,
        recompute=weights.recompute,
    )
    return dataclasses.replace(POLICIES["clawvm"], upgrades=score)


def _cells(quick: bool) -> list[Cell]:
    # A quick run keeps the default and the two ends of each weight.
    ends = {DEFAULT, *(DEFAULT._replace(**{name: end}) for name, of in ALONE.items() for end in (of[0], of[-1]))}
    return [
        Cell(f"{workload}-setting-{number:02d}", {"workload": workload, **weights._asdict()})
        for number, weights in enumerate(SETTINGS)
        if not quick or weights in ends
        for workload in PAPER_FAMILIES
    ]


def _run(cell: Cell) -> Row:
    parameters = dict(cell.parameters)
    workload = parameters.pop("workload")
    metrics = replay_cell(workload, WEIGHT_SWEEP.budget, policy_with(Weights(**parameters)))
    return {**cell.parameters, **{field: metrics[field] for field in ("explicit_faults", "thrash_index", *METRICS)}}


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    settings = list(dict.fromkeys(Weights(row["pin"], row["recency"], row["recompute"]) for row in rows))
    measured = []
    for weights in settings:
        own = rows_with(rows, **weights._asdict())
        measured.append({**weights._asdict(), **{metric: aggregate(own, metric) for metric in METRICS}})
    workloads = distinct(rows, "workload")
    own_rows = [rows_with(rows, workload=workload) for workload in workloads]
    metrics = {}
    for metric in METRICS:
        values = [item[metric] for item in measured]
        metrics[metric] = {
            "lowest": min(values),
            "default": values[0],
            "highest": max(values),
            "moved_most_by": _strongest(measured, metric),
        }
    different = {
        "distinct_fault_counts": max(len(distinct(own, "explicit_faults")) for own in own_rows),
        "distinct_thrash": max(len(distinct(own, "thrash_index")) for own in own_rows),
    }
    page_ins = metrics["page_in_tokens"]
    findings = {**different, "page_in_tokens_range": round(page_ins["highest"] - page_ins["lowest"], DIGITS)}
    return {
        "runs": len(rows),
        "budget": WEIGHT_SWEEP.budget,
        "workloads": workloads,
        "settings": len(settings),
        "faults": total(rows, "explicit_faults"),
        "metrics": metrics,
        **different,
        "findings": findings if len(rows) == WEIGHT_SWEEP.runs else dict.fromkeys(findings),
    }


def _strongest(measured: Sequence[dict[str, Any]], metric: str) -> str:
    """Return the weight that alone, the others at their defaults, moves a metric most; "none" if none does."""
    widths = {}
    for weight in Weights._fields:
        values = [
            item[metric]
            for item in measured
            if all(item[name] == value for name, value in DEFAULT._asdict().items() if name != weight)
        ]
        widths[weight] = max(values) - min(values)
    strongest = max(widths, key=lambda weight: widths[weight])
    return strongest if widths[strongest] else "none"


def _report(results: dict[str, Any]) -> list[Block]:
    ranges = ", ".join("{} {:g} to {:g}".format(name, *getattr(WEIGHT_SWEEP, name)) for name in Weights._fields)
    return [
        Heading(2, "Weight sweep"),
        Paragraph(_verdict(results)),
        Paragraph(
            f"{results['runs']} runs of ClawVM at {results['budget']} tokens, {results['faults'] or 'no'} faults in "
            f"all: {results['settings']} settings in {len(results['workloads'])} workloads. The paper made "
            f"{WEIGHT_SWEEP.runs} runs over {ranges}; its grid is not known. Ours has the default, each weight "
            "alone at four more values, and the eight corners of the ranges."
        ),
        Heading(3, "What the weights do move"),
        Paragraph(
            "Tokens and costs (in plain tokens) are summed over the workloads, the rest are means. The published "
            "ranges differ in width, and what moves most may only be what was moved furthest."
        ),
        Table.of(
            ["metric", "lowest", "default", "highest", "moved most by"],
            (
                (
                    METRICS[metric],
                    *(displayed(item[name], metric) for name in ("lowest", "default", "highest")),
                    item["moved_most_by"],
                )
                for metric, item in results["metrics"].items()
            ),
        ),
    ]


def _verdict(results: dict[str, Any]) -> str:
    fault_counts, thrash = results["distinct_fault_counts"], results["distinct_thrash"]
    if fault_counts == thrash == 1:
        whole = results["runs"] == WEIGHT_SWEEP.runs
        return (
            f"In every workload, fault count and thrash index are identical in all runs: the prediction "
            f"{'is reproduced' if whole else 'holds as far as these runs go'}. It is a weak one: where there is no "
            "fault, the counting rules leave the index no other value."
        )
    return (
        f"The prediction is not reproduced: up to {fault_counts} different fault counts and {thrash} different thrash "
        "indices in one workload."
    )


EXPERIMENT = Experiment(
    id="weights",
    title="Weight sweep at 180 tokens",
    question="Do faults and thrash depend on the weights of the upgrade score, and what do the weights change?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
)
