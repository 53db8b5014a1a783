"""LRU against utility scoring: what separates upgrade scores once faults are zero.

All scores run in ClawVM's structure, so nothing but the score differs. No upgrades at all is the floor, the published
look-ahead oracle a reference that no live system can have.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from clawvm_experiments.experiment import (
    NAMES,
    QUALITY,
    Cell,
    Experiment,
    Row,
    aggregate,
    budget_chart,
    displayed,
    distinct,
    family_cells,
    replay_cell,
    rows_with,
    total,
)
from clawvm_replay.document import Block, Heading, Paragraph, Table, Value
from clawvm_runtime.policy import FEATURES, POLICIES, UPGRADE_SCORES, LinearScore, Policy
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["EXPERIMENT", "EXPLORATORY", "SCORES"]

QUICK_BUDGETS = (120, 300)

_UTILITY = UPGRADE_SCORES["clawvm"]
_LRU = UPGRADE_SCORES["lru"]

EXPLORATORY: Mapping[str, LinearScore] = MappingProxyType(
    {
        score.name: score
        for score in (
            # From no recency at all to almost only recency; ClawVM itself has the weight 0.6.
            *(
                dataclasses.replace(_UTILITY, name=f"utility_recency_{weight:g}".replace(".", "_"), recency=weight)
                for weight in (0.0, 1.2, 2.4, 4.8, 9.6, 19.2)
            ),
            # LRU with a little of what it does not know, mostly for pages that were never demanded.
            dataclasses.replace(_LRU, name="lru_with_utility", base_utility=0.1),
            dataclasses.replace(_LRU, name="lru_with_recompute", recompute=0.1),
        )
    }
)

NO_UPGRADES = "no_upgrades"
MAIN = (NO_UPGRADES, "lru", "clawvm", "oracle_h3")


def _policies() -> dict[str, Policy]:
    complete = POLICIES["clawvm"]
    return {
        NO_UPGRADES: complete.without(FEATURES["upgrade_scoring"]),
        **{policy_id: POLICIES[policy_id] for policy_id in MAIN[1:]},
        **{name: dataclasses.replace(complete, id=name, upgrades=score) for name, score in EXPLORATORY.items()},
    }


SCORES = MappingProxyType(_policies())


def _cells(quick: bool) -> list[Cell]:
    return family_cells("score", SCORES, QUICK_BUDGETS if quick else PAPER_BUDGETS)


def _run(cell: Cell) -> Row:
    parameters = cell.parameters
    metrics = replay_cell(parameters["workload"], parameters["budget"], SCORES[parameters["score"]])
    return {**parameters, **{field: metrics[field] for field in ("explicit_faults", *QUALITY)}}


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    budgets, workloads = distinct(rows, "budget"), distinct(rows, "workload")
    of_score = {score: rows_with(rows, score=score) for score in SCORES}
    pairs = list(zip(of_score["lru"], of_score["clawvm"]))
    complete = len(budgets) == len(PAPER_BUDGETS)
    paired = {metric: _compared(pairs, metric) for metric in QUALITY}
    findings = {
        "faults": total(rows, "explicit_faults"),
        "lru_worse_page_in_tokens_cells": paired["page_in_tokens"]["worse"],
    }
    return {
        "cells_per_score": len(pairs),
        "complete": complete,
        "budgets": budgets,
        "overall": {score: {metric: aggregate(of_score[score], metric) for metric in QUALITY} for score in SCORES},
        "page_in_tokens_by_budget": {
            score: [aggregate(rows_with(of_score[score], budget=budget), "page_in_tokens") for budget in budgets]
            for score in SCORES
        },
        "paired": paired,
        "page_in_tokens_by_workload": {
            workload: _compared([pair for pair in pairs if pair[0]["workload"] == workload], "page_in_tokens")
            for workload in workloads
        },
        "held_out": [_held_out(of_score, workload) for workload in workloads],
        "faults": {score: total(of_score[score], "explicit_faults") for score in SCORES},
        "findings": findings if complete else dict.fromkeys(findings),
    }


def _compared(pairs: Sequence[tuple[Row, Row]], metric: str) -> dict[str, Any]:
    """Compare two scores cell by cell: where the first is better, equal, worse, and by how much in all."""
    # Without a better direction, "better" only means higher.
    direction = QUALITY[metric][1] or 1
    signs = [direction * (row[metric] - other[metric]) for row, other in pairs]
    return {
        "better": sum(sign > 0 for sign in signs),
        "equal": sum(sign == 0 for sign in signs),
        "worse": sum(sign < 0 for sign in signs),
        "difference": aggregate([{metric: row[metric] - other[metric]} for row, other in pairs], metric),
    }


def _held_out(of_score: Mapping[str, Sequence[Row]], workload: str) -> dict[str, Any]:
    """Return the exploratory score with the fewest page-in tokens on the *other* workloads, and what it needs here."""

    def page_ins(score: str, here: bool) -> float:
        rows = [row for row in of_score[score] if (row["workload"] == workload) == here]
        return aggregate(rows, "page_in_tokens")

    chosen = min(EXPLORATORY, key=lambda score: page_ins(score, here=False))
    compared = {score: page_ins(score, here=True) for score in ("lru", "clawvm", "oracle_h3")}
    return {"workload": workload, "chosen": chosen, "page_in_tokens": page_ins(chosen, here=True), **compared}


def _report(results: dict[str, Any]) -> list[Block]:
    overall, held_out = results["overall"], results["held_out"]
    columns = ("page_in_tokens", "lru", "clawvm", "oracle_h3")
    return [
        Heading(2, "LRU against utility scoring"),
        Paragraph(_answer(results)),
        _overall({NAMES[score]: overall[score] for score in MAIN}),
        Paragraph(
            f"{results['cells_per_score']} cells per score, all in ClawVM's structure; "
            f"{sum(results['faults'].values()) or 'no'} explicit faults in all of them together. Page-in tokens and "
            "prompt cost (in plain tokens) are sums, the rest means over the cells. Fewer page-ins, less cost, a "
            "higher level, more at full and more reuse are better; budget use has no better direction."
        ),
        Heading(3, "LRU minus ClawVM, cell by cell; page-in tokens also by workload"),
        Table.of(
            ["metric", "LRU better", "equal", "LRU worse", "difference"],
            [
                *(
                    _outcomes(QUALITY[metric][0], counts, metric)
                    for metric, counts in results["paired"].items()
                    if QUALITY[metric][1]
                ),
                *(
                    _outcomes(f"page-in tokens, {workload}", counts, "page_in_tokens")
                    for workload, counts in results["page_in_tokens_by_workload"].items()
                ),
            ],
        ),
        Heading(3, "Exploratory: scores between the two"),
        Paragraph(
            "Nothing here is a proposal. The grid was fixed before it ran, but the rows are compared on the cells that "
            "they ran on, and the best of many rows looks better than it is. The second table is fairer: for each "
            "workload, the exploratory score with the fewest page-in tokens on the *other* workloads, and what it "
            "needs on this one."
        ),
        _overall({score: overall[score] for score in EXPLORATORY}),
        Table.of(
            ["workload", "chosen score", "page-in tokens", "LRU", "ClawVM", "Oracle (h = 3)"],
            [
                *((item["workload"], item["chosen"], *(round(item[name]) for name in columns)) for item in held_out),
                ("all", "-", *(round(math.fsum(item[name] for item in held_out)) for name in columns)),
            ],
        ),
    ]


def _answer(results: dict[str, Any]) -> str:
    """Return the answer to the experiment's question, in words that the numbers choose."""
    paired, overall = results["paired"], results["overall"]
    page_ins = paired["page_in_tokens"]
    counts = [overall[score]["page_in_tokens"] for score in (NO_UPGRADES, "lru", "clawvm", "oracle_h3")]
    floor, lru, clawvm, oracle = counts
    advantage = {metric: paired[metric]["difference"] * direction for metric, (_, direction) in QUALITY.items()}
    ahead, behind = (
        ", ".join(QUALITY[metric][0] for metric, value in advantage.items() if sign * value > 0) for sign in (1, -1)
    )
    sentences = [
        f"LRU needs fewer page-in tokens than utility scoring in {page_ins['better']} of {results['cells_per_score']} "
        f"cells, as many in {page_ins['equal']} and more in {page_ins['worse']}: {lru:,.0f} against {clawvm:,.0f} in "
        "all.",
        f"In the sums and means below LRU is ahead in {ahead or 'nothing'}, and utility in {behind or 'nothing'}.",
    ]
    if floor > oracle:
        reached = [100 * (floor - tokens) / (floor - oracle) for tokens in (lru, clawvm)]
        sentences.append(
            f"Of what the look-ahead oracle saves in page-in tokens over no upgrades, LRU reaches {reached[0]:.0f} % "
            f"and utility {reached[1]:.0f} %; that oracle is greedy and no optimum, so more than all of it is possible."
        )
    return " ".join([*sentences, "The cells share four workloads of our own and are no independent samples."])


def _overall(rows: Mapping[str, Mapping[str, float]]) -> Table:
    return Table.of(
        ["score", *(words for words, _ in QUALITY.values())],
        ((name, *(displayed(value, metric) for metric, value in row.items())) for name, row in rows.items()),
    )


def _outcomes(name: str, counts: Mapping[str, Any], metric: str) -> tuple[Value, ...]:
    return (name, counts["better"], counts["equal"], counts["worse"], displayed(counts["difference"], metric))


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the page-in tokens of the upgrade orders against the budget."""
    return {
        "page_in_tokens.svg": budget_chart(
            "Page-in tokens by upgrade order",
            "page-in tokens, summed over the workloads",
            results["page_in_tokens_by_budget"],
            results["budgets"],
            logarithmic=True,
        )
    }


EXPERIMENT = Experiment(
    id="quality",
    title="LRU against utility scoring",
    question="Once faults are zero, which upgrade score keeps the better prompt, and at what cost?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
    figures=_figures,
)
