"""Prompt cache: what each policy's prompts cost under a provider's cache, and which decisions break the prefix.

The cost is of prompt tokens alone: what a fault costs outside the prompt (running a tool again) is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import (
    NAMES,
    Cell,
    Experiment,
    Row,
    budget_chart,
    distinct,
    family_cells,
    family_trace,
    policy_table,
    rows_with,
    total,
)
from clawvm_replay.document import Block, Heading, Number, Paragraph, Table
from clawvm_replay.metrics import DIGITS, PRICE_MODELS, PriceModel
from clawvm_replay.prefix_breaks import BLOCK_ORDERS, BreakCause, BreakObserver, PrefixBreak, ReorderedMeter
from clawvm_replay.published import PORT_PROMPT_CACHE
from clawvm_replay.replay import replay_trace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import PAPER_POLICIES, POLICIES
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["EXPERIMENT", "PRICES"]

QUICK_BUDGETS = (120, 300)

DEFAULT = PRICE_MODELS["default"]
PRICES: Mapping[str, PriceModel] = {
    model.name: model
    for model in (
        DEFAULT,
        PriceModel("half_price_reads", cached_read=0.5, write=1.0),
        PriceModel("double_price_writes", cached_read=0.1, write=2.0),
    )
}
"""The price models; the first one is the default of every other table."""


def _cells(quick: bool) -> list[Cell]:
    return family_cells("policy", PAPER_POLICIES, QUICK_BUDGETS if quick else PAPER_BUDGETS)


def _run(cell: Cell) -> Row:
    parameters = cell.parameters
    observer = BreakObserver()
    meters = {name: ReorderedMeter(order) for name, order in BLOCK_ORDERS.items()}

    def observe(prompt: AssembledPrompt) -> None:
        observer.observe(prompt)
        for meter in meters.values():
            meter.observe(prompt)

    metrics = replay_trace(
        family_trace(parameters["workload"], parameters["budget"]),
        POLICIES[parameters["policy"]],
        decisions=observer.decisions,
        observe=observe,
    )
    # Two meters of the same prompts: what is in front of the breaks is what the sweep calls reused.
    assert observer.rewritten_tokens == metrics.rewritten_tokens, cell
    return {
        **parameters,
        "turns": metrics.turns,
        "prompt_tokens": metrics.prompt_tokens,
        "reused_tokens": metrics.reused_tokens,
        "changed_tokens": observer.changed_tokens,
        "reordered": {name: meter.reused_tokens for name, meter in meters.items()},
        "breaks": _by_cause(observer.breaks),
    }


def _by_cause(breaks: Sequence[PrefixBreak]) -> dict[str, dict[str, int]]:
    """Return, for each cause that occurs, its breaks, those right after a boundary, and their tokens."""
    result: dict[str, dict[str, int]] = {}
    for item in breaks:
        counts = result.setdefault(item.cause.value, Counter())
        counts["breaks"] += 1
        counts["after_boundary"] += item.boundary is not None
        counts["prompt_tokens"] += item.prompt_tokens
        counts["reused_tokens"] += item.reused_tokens
        counts["rewritten_tokens"] += item.rewritten_tokens
        counts["unchanged_tokens"] += item.unchanged_tokens
    return {cause.value: dict(result[cause.value]) for cause in BreakCause if cause.value in result}


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    budgets, workloads = distinct(rows, "budget"), distinct(rows, "workload")
    complete = len(budgets) == len(PAPER_BUDGETS)
    policies = {}
    for policy_id in PAPER_POLICIES:
        own = rows_with(rows, policy=policy_id)
        by_budget = [_measured(rows_with(own, budget=budget)) for budget in budgets]
        policies[policy_id] = {
            **_measured(own),
            "reuse_by_budget": [item["prefix_reuse"] for item in by_budget],
            "cost_by_budget": [item["costs"]["default"] for item in by_budget],
            "reuse_by_workload": [
                _measured(rows_with(own, workload=workload))["prefix_reuse"] for workload in workloads
            ],
            "causes": _causes(own),
            "orders": _orders(own),
        }
    costs = {policy_id: item["costs"] for policy_id, item in policies.items()}
    ratio = round(costs["clawvm"]["default"] / costs["lru"]["default"], DIGITS)
    return {
        "cells": len(budgets) * len(workloads),
        "budgets": budgets,
        "workloads": workloads,
        "policies": policies,
        "cheapest_first": {model: sorted(costs, key=lambda name: (costs[name][model], name)) for model in PRICES},
        "findings": {"clawvm_cost_against_lru": ratio if complete else None},
    }


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, DIGITS) if whole else 0.0


def _cost_per_turn(prices: PriceModel, rows: Sequence[Row], reused: int) -> float:
    """Return the cost of a turn in plain input tokens when *reused* of the prompt tokens are read from the cache."""
    written = total(rows, "prompt_tokens") - reused
    return round((prices.cached_read * reused + prices.write * written) / total(rows, "turns"), DIGITS)


def _measured(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the share of prompt tokens that a cache serves, what is written, and the cost of a turn at all prices."""
    prompt, reused, turns = (total(rows, name) for name in ("prompt_tokens", "reused_tokens", "turns"))
    return {
        "prompt_tokens_per_turn": round(prompt / turns, DIGITS),
        "prefix_reuse": _ratio(reused, prompt),
        "costs": {name: _cost_per_turn(model, rows, reused) for name, model in PRICES.items()},
        "plain_cost": round(DEFAULT.plain * prompt / turns, DIGITS),
    }


def _causes(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the breaks by cause, those behind which the most tokens were written first, and all breaks together."""
    causes: dict[str, Counter[str]] = {}
    for row in rows:
        for cause, counts in row["breaks"].items():
            for name in (cause, "all breaks"):
                causes.setdefault(name, Counter()).update(counts)
    ordered = sorted(causes, key=lambda cause: (cause == "all breaks", -causes[cause]["rewritten_tokens"], cause))
    return {
        cause: {**causes[cause], "position": _ratio(causes[cause]["reused_tokens"], causes[cause]["prompt_tokens"])}
        for cause in ordered
    }


def _orders(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return prefix reuse and cost for each order of the blocks, the engine's first and the unreachable limit last."""
    prompt = total(rows, "prompt_tokens")
    reused = {
        "engine": total(rows, "reused_tokens"),
        **{name: sum(row["reordered"][name] for row in rows) for name in BLOCK_ORDERS},
        "least_possible_writes": prompt - total(rows, "changed_tokens"),
    }
    return {
        name: {"prefix_reuse": _ratio(tokens, prompt), "cost": _cost_per_turn(DEFAULT, rows, tokens)}
        for name, tokens in reused.items()
    }


def _report(results: dict[str, Any]) -> list[Block]:
    policies, port = results["policies"], PORT_PROMPT_CACHE
    clawvm = policies["clawvm"]
    cheapest = results["cheapest_first"]["default"][0]
    columns = ("breaks", "after_boundary", "rewritten_tokens", "unchanged_tokens")
    return [
        Heading(2, EXPERIMENT.title),
        Paragraph(
            f"In {results['cells']} cells ClawVM reuses {100 * clawvm['prefix_reuse']:.0f} % of its prompt tokens from "
            f"the cache and pays for {clawvm['costs']['default']:.0f} plain tokens per turn; the "
            f"cheapest prompts are {NAMES[cheapest]}'s, at {policies[cheapest]['costs']['default']:.0f}. A policy that "
            "puts less into its prompts pays less for them: cost is not benefit. "
            f"{_order_sentence(results['cheapest_first'])}"
        ),
        policy_table(
            ["prompt tokens per turn", "prefix reuse", "cost without a cache", *map(_price_words, PRICES)],
            {
                name: (
                    Number(f"{item['prompt_tokens_per_turn']:.1f}"),
                    item["prefix_reuse"],
                    item["plain_cost"],
                    *item["costs"].values(),
                )
                for name, item in policies.items()
            },
        ),
        Paragraph(
            "A provider's cache serves the longest run of leading blocks that equals the previous prompt's; everything "
            "behind it is written again. Costs are in plain input tokens per turn, with the prices of a cached read "
            "and of a write; what a fault costs outside the prompt (running a tool again) is not in them. For context: "
            "an independent port, measured with real coding agents, saw the share of cached reads fall from "
            f"{port.share_before} to {port.share_with_port} at {port.cost_ratio} times the cost. An agent's prompts "
            "hold a transcript and tools too, ours hold pages only: the numbers are no comparison."
        ),
        Heading(3, "Prefix reuse by budget in tokens, and by workload"),
        policy_table(
            [*results["budgets"], *results["workloads"]],
            {name: [*item["reuse_by_budget"], *item["reuse_by_workload"]] for name, item in policies.items()},
        ),
        Heading(3, "Which decisions break ClawVM's prefix"),
        Paragraph(
            "The first block that differs is the cause of a break. *Unchanged* tokens are in blocks that the previous "
            "prompt had too: they are written again only because they follow the break. *In front* is the share of the "
            "broken prompts before the break. `results.json` has the same for the other policies."
        ),
        Table.of(
            ["cause", "breaks", "right after a boundary", "rewritten tokens", "unchanged", "in front"],
            (
                (
                    cause.replace("_", " "),
                    *(counts[name] for name in columns),
                    Number(f"{100 * counts['position']:.0f} %"),
                )
                for cause, counts in clawvm["causes"].items()
            ),
        ),
        Heading(3, "Would another order of the blocks help?"),
        Paragraph(
            "Prefix reuse of the same prompts with their blocks in another order. The engine's order is type rank, "
            "then declaration. *Recently changed last* sorts by the turn in which a page last entered or changed, "
            "*fewest changes first* by how often it did; both know only the past. The last column writes nothing but "
            "blocks that the previous prompt did not have, which no order can beat and hardly any reaches."
        ),
        policy_table(
            (order.replace("_", " ") for order in clawvm["orders"]),
            {name: [order["prefix_reuse"] for order in item["orders"].values()] for name, item in policies.items()},
        ),
    ]


def _price_words(model: str) -> str:
    prices = PRICES[model]
    return f"cost, {prices.cached_read:g} and {prices.write:g}"


def _order_sentence(cheapest_first: Mapping[str, Sequence[str]]) -> str:
    orders = {model: ", ".join(NAMES[name] for name in order) for model, order in cheapest_first.items()}
    if len(set(orders.values())) == 1:
        return f"Under all three price models the order is the same, cheapest first: {orders['default']}."
    listed = "; ".join(f"{model.replace('_', ' ')}: {order}" for model, order in orders.items())
    return f"The order depends on the prices; cheapest first, {listed}."


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return prefix reuse and cost per turn against the budget."""
    charts = {
        "prefix_reuse.svg": ("Prefix reuse", "share of prompt tokens that the cache serves", "reuse_by_budget"),
        "cost.svg": (
            "Prompt cost per turn",
            "plain input tokens per turn (cached read 0.1, write 1.25)",
            "cost_by_budget",
        ),
    }
    return {
        file: budget_chart(
            f"{title} against the budget",
            y_label,
            {name: item[values] for name, item in results["policies"].items()},
            results["budgets"],
        )
        for file, (title, y_label, values) in charts.items()
    }


EXPERIMENT = Experiment(
    id="prompt_cache",
    title="Prompt-cache cost",
    question="What do a policy's prompts cost under a provider's cache, and which decisions break the prefix?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
    figures=_figures,
)
