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
    QUALITY,
    Cell,
    Experiment,
    Row,
    aggregate,
    displayed,
    family_cells,
    replay_cell,
)
from clawvm_experiments.figures import BUDGET_LABEL, budget_series
from clawvm_pictures.charts import line_chart
from clawvm_replay.document import Block, Heading, Paragraph, Table
from clawvm_replay.metrics import DIGITS
from clawvm_runtime.policy import FEATURES, POLICIES, UPGRADE_SCORES, LinearScore, Policy
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["EXPERIMENT", "EXPLORATORY"]

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
MAIN = {NO_UPGRADES: "No upgrades", "lru": "LRU", "clawvm": "ClawVM", "oracle_h3": "Oracle (h = 3)"}


def _policies() -> dict[str, Policy]:
    complete = POLICIES["clawvm"]
    return {
        NO_UPGRADES: complete.without(FEATURES["upgrade_scoring"]),
        **{policy_id: POLICIES[policy_id] for policy_id in ("lru", "clawvm", "oracle_h3")},
        **{name: dataclasses.replace(complete, id=name, upgrades=score) for name, score in EXPLORATORY.items()},
    }


SCORES = MappingProxyType(_policies())


def _cells(quick: bool) -> list[Cell]:
    return family_cells("score", SCORES, QUICK_BUDGETS if quick else PAPER_BUDGETS)


def _run(cell: Cell) -> Row:
    parameters = cell.parameters
    metrics = replay_cell(parameters["workload"], parameters["budget"], SCORES[parameters["score"]]).to_record()
    return {**parameters, **{field: metrics[field] for field in ("explicit_faults", *QUALITY)}}


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    budgets = sorted({row["budget"] for row in rows})
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    of_score = {score: [row for row in rows if row["score"] == score] for score in SCORES}
    overall = {score: {metric: aggregate(of_score[score], metric) for metric in QUALITY} for score in SCORES}
    results: dict[str, Any] = {
        "cells_per_score": len(budgets) * len(workloads),
        "complete": len(budgets) == len(PAPER_BUDGETS),
        "budgets": budgets,
        "workloads": workloads,
        "overall": overall,
        "by_budget": {score: _series(of_score[score], "budget", budgets) for score in SCORES},
        "by_workload": {score: _series(of_score[score], "workload", workloads) for score in SCORES},
        "paired": {metric: _paired(of_score["lru"], of_score["clawvm"], metric) for metric in QUALITY},
        "held_out": _held_out(of_score, workloads),
        "faults": {score: sum(row["explicit_faults"] for row in of_score[score]) for score in SCORES},
    }
    results["answer"] = _answer(results)
    results["findings"] = _findings(results)
    return results


def _series(rows: Sequence[Row], field: str, values: Sequence[Any]) -> dict[str, list[float]]:
    parts = [[row for row in rows if row[field] == value] for value in values]
    return {metric: [aggregate(part, metric) for part in parts] for metric in QUALITY}


def _paired(rows: Sequence[Row], others: Sequence[Row], metric: str) -> dict[str, Any]:
    """Compare two scores cell by cell: where the first is better, equal, worse, and by how much in all."""
    against = {(row["workload"], row["budget"]): row for row in others}
    pairs = [(row, against[row["workload"], row["budget"]]) for row in rows]
    return {
        **_count(pairs, metric),
        "by_workload": {
            name: _count([pair for pair in pairs if pair[0]["workload"] == name], metric)
            for name in dict.fromkeys(row["workload"] for row in rows)
        },
        "by_budget": {
            str(budget): _count([pair for pair in pairs if pair[0]["budget"] == budget], metric)
            for budget in sorted({row["budget"] for row in rows})
        },
    }


def _count(pairs: Sequence[tuple[Row, Row]], metric: str) -> dict[str, Any]:
    # Without a better direction, "better" only means higher.
    direction = QUALITY[metric][1] or 1
    signs = [direction * (row[metric] - other[metric]) for row, other in pairs]
    return {
        "better": sum(sign > 0 for sign in signs),
        "equal": sum(sign == 0 for sign in signs),
        "worse": sum(sign < 0 for sign in signs),
        "difference": aggregate([{metric: row[metric] - other[metric]} for row, other in pairs], metric),
    }


def _held_out(of_score: Mapping[str, Sequence[Row]], workloads: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for each workload, the exploratory score with the fewest page-in tokens on the *other* workloads."""
    result = []
    for workload in workloads:
        elsewhere = {
            score: aggregate([row for row in of_score[score] if row["workload"] != workload], "page_in_tokens")
            for score in EXPLORATORY
        }
        chosen = min(elsewhere, key=lambda score: elsewhere[score])
        here = {
            score: aggregate([row for row in of_score[score] if row["workload"] == workload], "page_in_tokens")
            for score in (chosen, "lru", "clawvm", "oracle_h3")
        }
        result.append(
            {
                "workload": workload,
                "chosen": chosen,
                "page_in_tokens": here[chosen],
                **{f"{score}_page_in_tokens": here[score] for score in ("lru", "clawvm", "oracle_h3")},
            }
        )
    return result


def _reached(overall: Mapping[str, dict[str, float]], score: str) -> float | None:
    """Return the share of the oracle's saving in page-in tokens, counted from no upgrades, that a score reaches."""
    floor = overall[NO_UPGRADES]["page_in_tokens"]
    possible = floor - overall["oracle_h3"]["page_in_tokens"]
    return round((floor - overall[score]["page_in_tokens"]) / possible, DIGITS) if possible else None


def _answer(results: dict[str, Any]) -> str:
    """Return the answer to the experiment's question, in words that the numbers choose."""
    paired, cells = results["paired"], results["cells_per_score"]
    lru, clawvm = (results["overall"][score] for score in ("lru", "clawvm"))
    page_ins = paired["page_in_tokens"]
    sentences = [
        f"LRU needs fewer page-in tokens than utility scoring in {page_ins['better']} of {cells} cells, as many in "
        f"{page_ins['equal']} and more in {page_ins['worse']}; in all {lru['page_in_tokens']:,.0f} against "
        f"{clawvm['page_in_tokens']:,.0f} tokens{_share(lru['page_in_tokens'], clawvm['page_in_tokens'])}."
    ]
    for metric in ("mean_level_at_demand", "share_served_at_full", "prefix_reuse"):
        sentences.append(
            f"{QUALITY[metric][0].capitalize()}: {lru[metric]:.3f} against {clawvm[metric]:.3f}, better in "
            f"{paired[metric]['better']} cells and worse in {paired[metric]['worse']}."
        )
    cost = paired["prompt_cost"]
    sentences.append(
        f"Its prompts cost {lru['prompt_cost']:,.0f} against {clawvm['prompt_cost']:,.0f} plain tokens"
        f"{_share(lru['prompt_cost'], clawvm['prompt_cost'])}, less in {cost['better']} cells and more in "
        f"{cost['worse']}."
    )
    sentences.append(_conclusion(paired, results))
    return " ".join(sentences)


def _share(ours: float, reference: float) -> str:
    return f" ({100 * (ours / reference - 1):+.1f} %)" if reference else ""


def _conclusion(paired: Mapping[str, dict[str, Any]], results: dict[str, Any]) -> str:
    advantages = {name: QUALITY[name][1] * paired[name]["difference"] for name in QUALITY if QUALITY[name][1]}
    wins = [QUALITY[name][0] for name, advantage in advantages.items() if advantage > 0]
    losses = [QUALITY[name][0] for name, advantage in advantages.items() if advantage < 0]
    if wins and losses:
        verdict = f"Neither is better throughout: LRU is ahead in {', '.join(wins)}, utility in {', '.join(losses)}."
    elif wins:
        verdict = f"On these workloads LRU is ahead in {', '.join(wins)} and behind in none."
    elif losses:
        verdict = f"On these workloads utility is ahead in {', '.join(losses)} and behind in none."
    else:
        verdict = "On these workloads there is no difference."
    by_workload = paired["page_in_tokens"]["by_workload"]
    fewer = [name for name, item in by_workload.items() if item["difference"] < 0]
    more = [name for name, item in by_workload.items() if item["difference"] > 0]
    reached = [_reached(results["overall"], score) for score in ("lru", "clawvm")]
    shares = ""
    if reached[0] is not None and reached[1] is not None:
        shares = (
            f" Of what the look-ahead oracle saves in page-in tokens over no upgrades, LRU reaches "
            f"{100 * reached[0]:.0f} % and utility {100 * reached[1]:.0f} %; that oracle is greedy and no optimum, so "
            "more than all of it is possible."
        )
    return (
        f"{verdict} LRU pages in less in {', '.join(fewer) or 'no workload'} and more in "
        f"{', '.join(more) or 'no workload'}.{shares} Both see the same {results['cells_per_score']} cells of "
        f"{len(results['workloads'])} workloads of our own, no sample of anything larger."
    )


def _findings(results: dict[str, Any]) -> dict[str, Any]:
    overall, paired = results["overall"], results["paired"]
    findings: dict[str, Any] = {"faults": sum(results["faults"].values())}
    for score in MAIN:
        for metric, value in overall[score].items():
            findings[f"{score}_{metric}"] = value
    for metric in QUALITY:
        counts = paired[metric]
        findings.update((f"lru_{outcome}_{metric}_cells", counts[outcome]) for outcome in ("better", "equal", "worse"))
        findings[f"lru_minus_clawvm_{metric}"] = counts["difference"]
    for score in ("lru", "clawvm"):
        findings[f"{score}_share_of_oracle_saving"] = _reached(overall, score)
    best = min(EXPLORATORY, key=lambda score: overall[score]["page_in_tokens"])
    held_out = results["held_out"]
    findings["best_exploratory_score"] = best
    findings["best_exploratory_page_in_tokens"] = overall[best]["page_in_tokens"]
    findings["exploratory_pages_in_less_than_both"] = overall[best]["page_in_tokens"] < min(
        overall[score]["page_in_tokens"] for score in ("lru", "clawvm")
    )
    findings["held_out_page_in_tokens"] = round(math.fsum(item["page_in_tokens"] for item in held_out), DIGITS)
    return findings if results["complete"] else dict.fromkeys(findings)


def _report(results: dict[str, Any]) -> list[Block]:
    overall, paired, held_out = results["overall"], results["paired"], results["held_out"]
    totals = {
        name: sum(item[name] for item in held_out)
        for name in ("page_in_tokens", "lru_page_in_tokens", "clawvm_page_in_tokens", "oracle_h3_page_in_tokens")
    }
    return [
        Heading(2, "LRU against utility scoring"),
        Paragraph(results["answer"]),
        Heading(3, "Overall"),
        Paragraph(
            f"{results['cells_per_score']} cells per score, all in ClawVM's structure; "
            f"{sum(results['faults'].values())} explicit faults in all of them together. Page-in tokens and prompt "
            "cost (in plain tokens) are sums, the rest means over the cells. Fewer page-ins, less cost, a higher "
            "level, more at full and more reuse are better; budget use has no better direction."
        ),
        _overall(overall, MAIN),
        Heading(3, "LRU minus ClawVM, cell by cell"),
        Table.of(
            ["metric", *_OUTCOMES],
            (
                (words + ("" if direction else " (better: higher)"), *_outcomes(paired[metric], metric))
                for metric, (words, direction) in QUALITY.items()
            ),
        ),
        Heading(3, "Page-in tokens: LRU minus ClawVM by workload and by budget"),
        _splits(paired["page_in_tokens"], "page_in_tokens"),
        Heading(3, "Page-in tokens by budget"),
        Table.of(
            ["score", *map(str, results["budgets"])],
            (
                (name, *(round(value) for value in results["by_budget"][score]["page_in_tokens"]))
                for score, name in MAIN.items()
            ),
        ),
        Heading(3, "Exploratory: scores between the two"),
        Paragraph(
            "Nothing here is a proposal. The grid was fixed before it ran, but the rows are compared on the cells that "
            "they ran on, and the best of many rows looks better than it is."
        ),
        _overall(overall, {name: name for name in ("lru", "clawvm", *EXPLORATORY)}),
        Paragraph(
            "A fairer look: for each workload the exploratory score with the fewest page-in tokens on the *other* "
            "workloads, and what it needs on this one."
        ),
        Table.of(
            ["workload", "chosen score", "page-in tokens", "LRU", "ClawVM", "Oracle (h = 3)"],
            [
                *((item["workload"], item["chosen"], *(round(item[name]) for name in totals)) for item in held_out),
                ("all", "-", *(round(total) for total in totals.values())),
            ],
        ),
    ]


_OUTCOMES = ("LRU better", "equal", "LRU worse", "difference")


def _overall(overall: Mapping[str, dict[str, float]], names: Mapping[str, str]) -> Table:
    return Table.of(
        ["score", *(words for words, _ in QUALITY.values())],
        ((name, *(displayed(overall[score][metric], metric) for metric in QUALITY)) for score, name in names.items()),
    )


def _outcomes(counts: Mapping[str, Any], metric: str) -> tuple[float, ...]:
    return (counts["better"], counts["equal"], counts["worse"], displayed(counts["difference"], metric))


def _splits(paired: Mapping[str, Any], metric: str) -> Table:
    rows = [(name, *_outcomes(counts, metric)) for name, counts in paired["by_workload"].items()]
    rows += [(f"{budget} tokens", *_outcomes(counts, metric)) for budget, counts in paired["by_budget"].items()]
    return Table.of(["cells", *_OUTCOMES], rows)


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the page-in tokens of the upgrade orders against the budget."""
    values = {name: row["page_in_tokens"] for name, row in results["by_budget"].items()}
    return {
        "page_in_tokens.svg": line_chart(
            title="Page-in tokens by upgrade order",
            x_label=BUDGET_LABEL,
            y_label="page-in tokens, summed over the workloads",
            series=budget_series(values, results["budgets"]),
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
