"""Prompt cache: what each policy's prompts cost under a provider's cache, and which decisions break the prefix.

The cost is of prompt tokens alone: what a fault costs outside the prompt (running a tool again) is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_cells, family_trace
from clawvm_experiments.figures import BUDGET_LABEL, budget_series
from clawvm_pictures.charts import line_chart
from clawvm_replay.document import Block, Heading, Number, Paragraph, Table, Value
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

POLICY_IDS = PAPER_POLICIES
FALLS = frozenset({BreakCause.DEMAND_OVER, BreakCause.DISPLACED, BreakCause.DESTROYED, BreakCause.BOOTSTRAP_LOST})
COUNTS = ("turns", "prompt_tokens", "reused_tokens", "first_prompt_tokens", "changed_tokens")


def _cells(quick: bool) -> list[Cell]:
    return family_cells("policy", POLICY_IDS, QUICK_BUDGETS if quick else PAPER_BUDGETS)


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
        "first_prompt_tokens": observer.first_prompt_tokens,
        "changed_tokens": observer.changed_tokens,
        "reordered": {name: meter.reused_tokens for name, meter in meters.items()},
        "breaks": _by_cause(observer.breaks),
        "falls": _falls(observer.breaks),
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


def _falls(breaks: Sequence[PrefixBreak]) -> dict[str, int]:
    """Return how many breaks were pages that fell or left, by their levels before and after."""
    falls = Counter(f"{item.before.label} to {item.after.label}" for item in breaks if item.cause in FALLS)
    return dict(sorted(falls.items()))


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    budgets = sorted({row["budget"] for row in rows})
    workloads = list(dict.fromkeys(row["workload"] for row in rows))

    def totals(by: str, values: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
        """Return by policy the totals over its cells with each of *values*."""
        return {
            policy_id: [
                _total([row for row in rows if row["policy"] == policy_id and row[by] == value]) for value in values
            ]
            for policy_id in POLICY_IDS
        }

    by_budget, by_workload = totals("budget", budgets), totals("workload", workloads)
    policies = {policy_id: _of_policy([row for row in rows if row["policy"] == policy_id]) for policy_id in POLICY_IDS}
    results: dict[str, Any] = {
        "cells": len(rows),
        "complete": len(budgets) == len(PAPER_BUDGETS),
        "budgets": budgets,
        "workloads": workloads,
        "names": {policy_id: POLICIES[policy_id].name for policy_id in POLICY_IDS},
        "policies": policies,
        "reuse_by_budget": {name: [total["prefix_reuse"] for total in own] for name, own in by_budget.items()},
        "reuse_by_workload": {name: [total["prefix_reuse"] for total in own] for name, own in by_workload.items()},
        "cost_by_budget": {name: [total["costs"]["default"] for total in own] for name, own in by_budget.items()},
        "cheapest_first": {
            model: sorted(policies, key=lambda name: (policies[name]["costs"][model], name)) for model in PRICES
        },
    }
    results["findings"] = _findings(results)
    return results


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, DIGITS) if whole else 0.0


def _cost_per_turn(prices: PriceModel, counts: Mapping[str, int], reused: int) -> float:
    """Return the cost of a turn in plain input tokens when *reused* of the prompt tokens are read from the cache."""
    written = counts["prompt_tokens"] - reused
    return round((prices.cached_read * reused + prices.write * written) / counts["turns"], DIGITS)


def _total(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the token counts over cells, the share that a cache serves, and the cost of a turn at all prices."""
    counts = {name: sum(row[name] for row in rows) for name in COUNTS}
    reused = counts["reused_tokens"]
    return {
        **counts,
        "rewritten_tokens": counts["prompt_tokens"] - reused,
        "prefix_reuse": _ratio(reused, counts["prompt_tokens"]),
        "costs": {name: _cost_per_turn(model, counts, reused) for name, model in PRICES.items()},
        "plain_cost": round(DEFAULT.plain * counts["prompt_tokens"] / counts["turns"], DIGITS),
    }


def _of_policy(rows: Sequence[Row]) -> dict[str, Any]:
    total = _total(rows)
    causes: dict[str, Counter[str]] = {}
    falls: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for row in rows:
        falls.update(row["falls"])
        for cause, counts in row["breaks"].items():
            causes.setdefault(cause, Counter()).update(counts)
            every.update(counts)
    reused = {
        "engine": total["reused_tokens"],
        **{name: sum(row["reordered"][name] for row in rows) for name in BLOCK_ORDERS},
        "least_possible_writes": total["prompt_tokens"] - total["changed_tokens"],
    }
    return {
        **total,
        "breaks": every["breaks"],
        "breaks_per_turn": _ratio(every["breaks"], total["turns"]),
        "breaks_after_boundary": every["after_boundary"],
        "position": _position(every),
        "unchanged_tokens": every["unchanged_tokens"],
        "causes": {
            cause.value: {**causes[cause.value], "position": _position(causes[cause.value])}
            for cause in BreakCause
            if cause.value in causes
        },
        "falls": dict(sorted(falls.items())),
        "orders": {
            name: {
                "prefix_reuse": _ratio(tokens, total["prompt_tokens"]),
                "cost": _cost_per_turn(DEFAULT, total, tokens),
            }
            for name, tokens in reused.items()
        },
    }


def _position(counts: Mapping[str, int]) -> float:
    """Return the share of the broken prompts' tokens that is in front of the break."""
    return _ratio(counts["reused_tokens"], counts["prompt_tokens"])


def _top_cause(item: Mapping[str, Any]) -> str:
    """Return the cause behind which the most tokens were written again, "none" without breaks."""
    causes = item["causes"]
    return max(causes, key=lambda cause: (causes[cause]["rewritten_tokens"], cause)) if causes else "none"


def _findings(results: dict[str, Any]) -> dict[str, Any]:
    findings: dict[str, Any] = {}
    for policy_id, item in results["policies"].items():
        findings[f"{policy_id}_prefix_reuse"] = item["prefix_reuse"]
        findings[f"{policy_id}_cost_per_turn"] = item["costs"]["default"]
        findings[f"{policy_id}_caching_is_cheaper"] = item["costs"]["default"] < item["plain_cost"]
        findings[f"{policy_id}_breaks_per_turn"] = item["breaks_per_turn"]
        findings[f"{policy_id}_top_cause"] = _top_cause(item)
        findings[f"{policy_id}_unchanged_share_of_writes"] = _ratio(item["unchanged_tokens"], item["rewritten_tokens"])
        for order in (*BLOCK_ORDERS, "least_possible_writes"):
            findings[f"{policy_id}_{order}_reuse"] = item["orders"][order]["prefix_reuse"]
    orders = list(results["cheapest_first"].values())
    findings["policy_order_depends_on_prices"] = any(order != orders[0] for order in orders)
    findings["cheapest_policy"] = orders[0][0]
    clawvm = results["policies"]["clawvm"]["costs"]["default"]
    for policy_id in ("retrieval", "retrieval_cache", "compaction_hybrid", "lru"):
        findings[f"clawvm_cost_against_{policy_id}"] = round(
            clawvm / results["policies"][policy_id]["costs"]["default"], DIGITS
        )
    return findings if results["complete"] else dict.fromkeys(findings)


def _report(results: dict[str, Any]) -> list[Block]:
    names, policies = results["names"], results["policies"]
    port = PORT_PROMPT_CACHE
    cheapest = results["cheapest_first"]["default"][0]
    clawvm = policies["clawvm"]
    orders = list(clawvm["orders"])

    def by_policy(columns: Sequence[str], values: Callable[[dict[str, Any]], Iterable[Value]]) -> Table:
        return Table.of(["policy", *columns], ([names[name], *values(item)] for name, item in policies.items()))

    return [
        Heading(2, EXPERIMENT.title),
        Paragraph(
            f"ClawVM reuses {100 * clawvm['prefix_reuse']:.0f} % of its prompt tokens from the cache and pays for "
            f"{clawvm['costs']['default']:.0f} plain tokens per turn; {names[cheapest]}'s prompts are the cheapest, at "
            f"{policies[cheapest]['costs']['default']:.0f}."
        ),
        Paragraph(
            "A provider's cache serves the longest run of leading blocks that equals the previous prompt's; everything "
            "behind it is written again. Reuse is the share of all prompt tokens that the cache serves. Costs are in "
            "plain input tokens per turn; what a fault costs outside the prompt (running a tool again) is not in them. "
            f"Default prices: cached read {DEFAULT.cached_read:g}, write {DEFAULT.write:g}, plain {DEFAULT.plain:g}."
        ),
        by_policy(
            ["prompt tokens per turn", "prefix reuse", "cost", "cost without a cache", "breaks per turn"],
            lambda item: (
                Number(f"{item['prompt_tokens'] / item['turns']:.1f}"),
                *(item["prefix_reuse"], item["costs"]["default"], item["plain_cost"], item["breaks_per_turn"]),
            ),
        ),
        Paragraph(
            "A policy that puts less into its prompts pays less for them: cost is not benefit. For context: an "
            "independent port, measured with real coding agents, saw the share of cached reads fall from "
            f"{port.share_before} to {port.share_with_port} at {port.cost_ratio} times the cost. An agent's prompts "
            "hold a transcript and tools too, ours hold pages only: the numbers are no comparison."
        ),
        Heading(3, "Does the order of the policies depend on the prices?"),
        by_policy(
            [f"{model} ({prices.cached_read:g}, {prices.write:g})" for model, prices in PRICES.items()],
            lambda item: item["costs"].values(),
        ),
        Paragraph(f"Prices are those of a cached read and a write. {_order_sentence(results)}"),
        Heading(3, "Prefix reuse by budget in tokens and by workload"),
        Paragraph(
            "Reused tokens over all prompt tokens; the quality experiment shows the mean of the cells' shares instead."
        ),
        *(
            Table.of(
                ["policy", *map(str, results[values])],
                ((names[name], *numbers) for name, numbers in results[series].items()),
            )
            for values, series in (("budgets", "reuse_by_budget"), ("workloads", "reuse_by_workload"))
        ),
        Heading(3, "Which decisions break the prefix"),
        Paragraph(
            "The first block that differs is the cause of a break. By floor, demand, prefetch or upgrade a page "
            "entered or rose; it fell or left when its demand was over, when others displaced it, or when a reset "
            "destroyed it. A page that was declared since the last prompt counts as new whatever installed it. "
            "*Unchanged* tokens are in blocks that the previous prompt had too: they are written again only because "
            "they follow the break. *In front* is the share of the broken prompts before the break."
        ),
        *(block for name, item in policies.items() for block in _breaks(names[name], item)),
        Heading(3, "Would another order of the blocks help?"),
        Paragraph(
            "The same prompts, their blocks in another order. The engine's order is type rank, then declaration. "
            "*Recently changed last* sorts by the turn in which a page last entered or changed, *fewest changes first* "
            "by how often it did; both know only the past. The last column writes nothing but blocks that the previous "
            "prompt did not have, which no order can beat and hardly any reaches."
        ),
        by_policy(_titles(orders), lambda item: (item["orders"][order]["prefix_reuse"] for order in orders)),
        Paragraph("Cost per turn at default prices:"),
        by_policy(_titles(orders), lambda item: (item["orders"][order]["cost"] for order in orders)),
    ]


def _titles(names: Iterable[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def _order_sentence(results: dict[str, Any]) -> str:
    names = results["names"]
    orders = {model: ", ".join(map(names.get, order)) for model, order in results["cheapest_first"].items()}
    if len(set(orders.values())) == 1:
        return f"No: cheapest first it is {orders['default']} under all three."
    return "Yes. Cheapest first: " + "; ".join(f"{model}: {order}" for model, order in orders.items()) + "."


def _breaks(name: str, item: Mapping[str, Any]) -> list[Block]:
    """Return the breaks of a policy by cause, and which levels its pages fell or left by."""
    columns = ("breaks", "after_boundary", "rewritten_tokens", "unchanged_tokens", "position")
    rows = [(cause.replace("_", " "), *(counts[key] for key in columns)) for cause, counts in item["causes"].items()]
    rows.sort(key=lambda row: (-row[3], row[0]))
    rewritten = item["rewritten_tokens"] - item["first_prompt_tokens"]
    every = (item["breaks"], item["breaks_after_boundary"], rewritten, item["unchanged_tokens"], item["position"])
    falls = ", ".join(f"{levels} {count}" for levels, count in item["falls"].items())
    return [
        Heading(4, name),
        Table.of(
            ["cause", "breaks", "right after a boundary", "rewritten tokens", "unchanged", "in front"],
            ((*row[:-1], Number(f"{100 * row[-1]:.0f} %")) for row in [*rows, ("all breaks", *every)]),
        ),
        Paragraph(f"Pages that fell or left, by level: {falls or 'none'}."),
    ]


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return prefix reuse and cost per turn against the budget."""
    return {
        name: line_chart(
            title=f"{what} against the budget",
            x_label=BUDGET_LABEL,
            y_label=y_label,
            series=budget_series(results[values], results["budgets"]),
        )
        for name, what, y_label, values in (
            ("prefix_reuse.svg", "Prefix reuse", "share of prompt tokens that the cache serves", "reuse_by_budget"),
            (
                "cost.svg",
                "Prompt cost per turn",
                "plain input tokens per turn (cached read 0.1, write 1.25)",
                "cost_by_budget",
            ),
        )
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
