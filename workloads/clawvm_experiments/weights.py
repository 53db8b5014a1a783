"""Weight sweep: does ClawVM's result depend on the weights of its upgrade score, and what do the weights move?

The paper gives the number of runs, the budget and the ranges, not the grid: this one has the same number of runs over
the same ranges. The boost of soft pages keeps its default proportion to that of hard pages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from clawvm_experiments.experiment import QUALITY, Cell, Experiment, Row, aggregate, displayed, replay_cell
from clawvm_replay.document import Block, Heading, Number, Paragraph, Table
from clawvm_replay.metrics import DIGITS
from clawvm_replay.published import WEIGHT_SWEEP
from clawvm_runtime.policy import POLICIES, UPGRADE_SCORES, Policy
from clawvm_workloads.families import PAPER_FAMILIES

__all__ = ["EXPERIMENT", "SETTINGS", "Weights", "policy_with"]

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
    metrics = replay_cell(workload, WEIGHT_SWEEP.budget, policy_with(Weights(**parameters))).to_record()
    return {**cell.parameters, **{field: metrics[field] for field in ("explicit_faults", "thrash_index", *METRICS)}}


def _weights_of(row: Row) -> Weights:
    return Weights(row["pin"], row["recency"], row["recompute"])


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    settings = list(dict.fromkeys(map(_weights_of, rows)))
    measured = [_measured(weights, [row for row in rows if _weights_of(row) == weights]) for weights in settings]
    by_workload = [
        _of_workload(workload, [row for row in rows if row["workload"] == workload]) for workload in workloads
    ]
    alone = _alone(measured)
    complete = len(rows) == WEIGHT_SWEEP.runs
    return {
        "runs": len(rows),
        "complete": complete,
        "budget": WEIGHT_SWEEP.budget,
        "settings": measured,
        "by_workload": by_workload,
        "alone": alone,
        "findings": _findings(rows, measured, by_workload, alone, complete),
    }


def _measured(weights: Weights, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the results of one setting: tokens and costs summed over the workloads, the rest as their mean."""
    return {
        **weights._asdict(),
        "faults": sum(row["explicit_faults"] for row in rows),
        **{metric: aggregate(rows, metric) for metric in METRICS},
    }


def _of_workload(workload: str, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "workload": workload,
        "distinct_fault_counts": len({row["explicit_faults"] for row in rows}),
        "distinct_thrash": len({row["thrash_index"] for row in rows}),
        "thrash": sorted({row["thrash_index"] for row in rows}),
        "distinct_outcomes": len({tuple(row[metric] for metric in METRICS) for row in rows}),
        "ranges": {metric: _range([row[metric] for row in rows]) for metric in METRICS},
    }


def _range(values: Sequence[float]) -> dict[str, float]:
    lowest, highest = min(values), max(values)
    return {"lowest": lowest, "highest": highest, "width": round(highest - lowest, DIGITS)}


def _alone(measured: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return, for each weight, its values with the others at their defaults, and how far each metric moved."""
    result = {}
    for weight in Weights._fields:
        others = [name for name in Weights._fields if name != weight]
        items = [item for item in measured if all(item[name] == getattr(DEFAULT, name) for name in others)]
        items.sort(key=lambda item: float(item[weight]))
        result[weight] = {
            "values": [item[weight] for item in items],
            **{metric: [item[metric] for item in items] for metric in METRICS},
            "ranges": {metric: _range([item[metric] for item in items]) for metric in METRICS},
        }
    return result


def _strongest(alone: dict[str, dict[str, Any]], metric: str) -> str:
    """Return the weight that moves a metric most, "none" if none does."""
    widths = {weight: item["ranges"][metric]["width"] for weight, item in alone.items()}
    strongest = max(widths, key=lambda weight: widths[weight])
    return strongest if widths[strongest] else "none"


def _findings(
    rows: Sequence[Row],
    measured: Sequence[dict[str, Any]],
    by_workload: Sequence[dict[str, Any]],
    alone: dict[str, dict[str, Any]],
    complete: bool,
) -> dict[str, Any]:
    default = measured[0]
    findings: dict[str, Any] = {
        "runs": len(rows),
        "faults": sum(row["explicit_faults"] for row in rows),
        "distinct_fault_counts": max(item["distinct_fault_counts"] for item in by_workload),
        "distinct_thrash": max(item["distinct_thrash"] for item in by_workload),
        "settings_unlike_default": sum(any(item[name] != default[name] for name in METRICS) for item in measured),
    }
    for metric in METRICS:
        values = [item[metric] for item in measured]
        findings[f"{metric}_lowest"] = min(values)
        findings[f"{metric}_default"] = default[metric]
        findings[f"{metric}_highest"] = max(values)
        findings[f"{metric}_range"] = round(max(values) - min(values), DIGITS)
        findings[f"{metric}_moved_most_by"] = _strongest(alone, metric)
    return findings if complete else {**dict.fromkeys(findings), "runs": len(rows)}


def _report(results: dict[str, Any]) -> list[Block]:
    settings, alone = results["settings"], results["alone"]
    blocks: list[Block] = [
        Heading(2, "Weight sweep"),
        Paragraph(f"**{_identical(results)}**"),
        Paragraph(
            f"{results['runs']} runs of ClawVM at {results['budget']} tokens: {len(settings)} settings in "
            f"{len(results['by_workload'])} workloads. The paper made {WEIGHT_SWEEP.runs} runs over pin "
            f"{_ends(WEIGHT_SWEEP.pin)}, recency {_ends(WEIGHT_SWEEP.recency)}, recompute "
            f"{_ends(WEIGHT_SWEEP.recompute)}; its grid is not known. Ours has the default, each weight alone in four "
            "more values, and the eight corners of the ranges. The paper reports identical fault counts and thrash "
            "indices in all runs (*prediction*)."
        ),
        Table.of(
            ["workload", "fault counts", "thrash indices", "thrash index", "different quality numbers"],
            (
                (
                    item["workload"],
                    item["distinct_fault_counts"],
                    item["distinct_thrash"],
                    Number(", ".join(f"{value:.3f}" for value in item["thrash"])),
                    item["distinct_outcomes"],
                )
                for item in results["by_workload"]
            ),
        ),
        Paragraph(
            "The columns count how many different values the settings have; the last one counts different combinations "
            "of the metrics below."
        ),
        Heading(3, "What the weights do move"),
        Paragraph(
            "Tokens and costs (in plain tokens) are summed over the workloads, the rest is their mean. The published "
            "ranges differ in width, and what moves most may only be what was moved furthest."
        ),
        Table.of(
            ["metric", "lowest", "default", "highest", "moved most by"],
            (
                (
                    words,
                    displayed(min(item[metric] for item in settings), metric),
                    displayed(settings[0][metric], metric),
                    displayed(max(item[metric] for item in settings), metric),
                    _strongest(alone, metric),
                )
                for metric, words in METRICS.items()
            ),
        ),
        Heading(3, "Each weight alone, the others at their defaults"),
    ]
    for weight, item in alone.items():
        blocks.append(
            Table.of(
                [weight, *METRICS.values()],
                (
                    (f"{value:g}", *(displayed(item[metric][index], metric) for metric in METRICS))
                    for index, value in enumerate(item["values"])
                ),
            )
        )
    return blocks


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def _identical(results: dict[str, Any]) -> str:
    faults = max(item["distinct_fault_counts"] for item in results["by_workload"])
    thrash = max(item["distinct_thrash"] for item in results["by_workload"])
    if faults == thrash == 1:
        return (
            "In every workload, fault count and thrash index are identical in all runs: the prediction is reproduced. "
            "It is a weak one: where there is no fault, the counting rules leave the index no other value."
        )
    return (
        f"The prediction is not reproduced: up to {faults} different fault counts and {thrash} different thrash "
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
