"""Prompt cache: what each policy's prompts cost under a provider's cache, and which decisions break the prefix.

==========  ==========================================================================================
PRICES      the price models; the first one is the default of every other table
EXPERIMENT  one cell per workload, budget and policy
==========  ==========================================================================================

The cost is of prompt tokens alone: what a fault costs outside the prompt (running a tool again) is not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row, family_cells, family_trace
from clawvm_experiments.figures import prompt_cache_figures
from clawvm_replay.metrics import DIGITS, PRICE_MODELS, PriceModel
from clawvm_replay.prefix_breaks import BLOCK_ORDERS, BreakCause, BreakObserver, PrefixBreak, ReorderedMeter
from clawvm_replay.published import PORT_PROMPT_CACHE
from clawvm_replay.replay import replay_trace
from clawvm_replay.reports import table
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["EXPERIMENT", "PRICES"]

QUICK_BUDGETS = (120, 300)

PRICES: Mapping[str, PriceModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            PRICE_MODELS["default"],
            PriceModel("half_price_reads", cached_read=0.5, write=1.0),
            PriceModel("double_price_writes", cached_read=0.1, write=2.0),
        )
    }
)

WORDS: Mapping[BreakCause, str] = MappingProxyType(
    {
        BreakCause.NEW_PAGE: "new page declared",
        BreakCause.FLOOR: "entered or rose to its floor",
        BreakCause.DEMAND: "entered or rose by demand",
        BreakCause.PREFETCH: "entered by prefetch",
        BreakCause.UPGRADE: "entered or rose by an upgrade",
        BreakCause.DEMAND_OVER: "fell or left, demand over",
        BreakCause.DISPLACED: "fell or left, displaced",
        BreakCause.DESTROYED: "destroyed by a reset",
        BreakCause.REPLACED: "new content",
        BreakCause.COMMITTED: "update committed",
        BreakCause.BOOTSTRAP_LOST: "bootstrap lost",
        BreakCause.BOOTSTRAP_BACK: "bootstrap back",
    }
)

FALLS = frozenset({BreakCause.DEMAND_OVER, BreakCause.DISPLACED, BreakCause.DESTROYED, BreakCause.BOOTSTRAP_LOST})
COUNTS = ("turns", "prompt_tokens", "reused_tokens", "first_prompt_tokens", "changed_tokens")


def _cells(quick: bool) -> list[Cell]:
    return family_cells("policy", POLICIES, QUICK_BUDGETS if quick else PAPER_BUDGETS)


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
    # Two meters of the same prompts: what stands before the breaks is what the sweep calls reused.
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
    of_policy = {policy_id: [row for row in rows if row["policy"] == policy_id] for policy_id in POLICIES}
    results: dict[str, Any] = {
        "cells": len(rows),
        "complete": len(budgets) == len(PAPER_BUDGETS),
        "budgets": budgets,
        "workloads": workloads,
        "names": {policy_id: policy.name for policy_id, policy in POLICIES.items()},
        "policies": {policy_id: _of_policy(own) for policy_id, own in of_policy.items()},
        "reuse_by_budget": {
            policy_id: [_reuse([row for row in own if row["budget"] == budget]) for budget in budgets]
            for policy_id, own in of_policy.items()
        },
        "reuse_by_workload": {
            policy_id: [_reuse([row for row in own if row["workload"] == workload]) for workload in workloads]
            for policy_id, own in of_policy.items()
        },
        "cost_by_budget": {
            policy_id: [
                _total([row for row in own if row["budget"] == budget])["costs"]["default"] for budget in budgets
            ]
            for policy_id, own in of_policy.items()
        },
    }
    results["cheapest_first"] = {model: _cheapest_first(results["policies"], model) for model in PRICES}
    results["findings"] = _findings(results)
    return results


def _total(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the token counts over cells, and the cost of a turn (in plain tokens) under each price model."""
    counts = {name: sum(row[name] for row in rows) for name in COUNTS}
    rewritten = counts["prompt_tokens"] - counts["reused_tokens"]
    return {
        **counts,
        "rewritten_tokens": rewritten,
        "costs": {
            name: _cost_per_turn(model, counts["reused_tokens"], rewritten, counts["turns"])
            for name, model in PRICES.items()
        },
        "plain_cost": round(PRICE_MODELS["default"].plain * counts["prompt_tokens"] / counts["turns"], DIGITS),
    }


def _cost_per_turn(prices: PriceModel, reused: int, rewritten: int, turns: int) -> float:
    return round((prices.cached_read * reused + prices.write * rewritten) / turns, DIGITS)


def _reuse(rows: Sequence[Row]) -> float:
    """Return the share of all prompt tokens that a cache would have served."""
    return _ratio(sum(row["reused_tokens"] for row in rows), sum(row["prompt_tokens"] for row in rows))


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, DIGITS) if whole else 0.0


def _of_policy(rows: Sequence[Row]) -> dict[str, Any]:
    total = _total(rows)
    causes: dict[str, Counter[str]] = {}
    falls: Counter[str] = Counter()
    for row in rows:
        falls.update(row["falls"])
        for cause, counts in row["breaks"].items():
            causes.setdefault(cause, Counter()).update(counts)
    every: Counter[str] = Counter()
    for counts in causes.values():
        every.update(counts)
    reordered = {name: sum(row["reordered"][name] for row in rows) for name in BLOCK_ORDERS}
    return {
        **total,
        "prefix_reuse": _ratio(total["reused_tokens"], total["prompt_tokens"]),
        "breaks": every["breaks"],
        "breaks_per_turn": _ratio(every["breaks"], total["turns"]),
        "breaks_after_boundary": every["after_boundary"],
        "position": _ratio(every["reused_tokens"], every["prompt_tokens"]),
        "unchanged_tokens": every["unchanged_tokens"],
        "causes": {
            cause.value: {**causes[cause.value], "position": _position(causes[cause.value])}
            for cause in BreakCause
            if cause.value in causes
        },
        "falls": dict(sorted(falls.items())),
        "orders": {
            "engine": _order(total, total["reused_tokens"]),
            **{name: _order(total, reused) for name, reused in reordered.items()},
            "least_possible_writes": _order(total, total["prompt_tokens"] - total["changed_tokens"]),
        },
    }


def _position(counts: Mapping[str, int]) -> float:
    """Return the share of the broken prompts' tokens that stands before the break."""
    return _ratio(counts["reused_tokens"], counts["prompt_tokens"])


def _order(total: Mapping[str, Any], reused: int) -> dict[str, float]:
    written = total["prompt_tokens"] - reused
    return {
        "prefix_reuse": _ratio(reused, total["prompt_tokens"]),
        "cost": _cost_per_turn(PRICES["default"], reused, written, total["turns"]),
    }


def _cheapest_first(policies: Mapping[str, dict[str, Any]], model: str) -> list[str]:
    return sorted(policies, key=lambda policy_id: (policies[policy_id]["costs"][model], policy_id))


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


def _report(results: dict[str, Any]) -> str:
    names, policies = results["names"], results["policies"]
    default = PRICES["default"]
    port = PORT_PROMPT_CACHE
    parts = [
        "## Prompt-cache cost\n",
        "A provider's cache serves the longest run of leading blocks that equals the previous prompt's; everything "
        "behind it is written again. Reuse is the share of all prompt tokens that the cache serves. Costs are in plain "
        "input tokens per turn; what a fault costs outside the prompt (running a tool again) is not in them.\n",
        f"Default prices: cached read {default.cached_read:g}, write {default.write:g}, plain {default.plain:g}.\n",
        table(
            ["policy", "prompt tokens per turn", "prefix reuse", "cost", "cost without a cache", "breaks per turn"],
            (
                (
                    names[policy_id],
                    f"{item['prompt_tokens'] / item['turns']:.1f}",
                    item["prefix_reuse"],
                    item["costs"]["default"],
                    item["plain_cost"],
                    item["breaks_per_turn"],
                )
                for policy_id, item in policies.items()
            ),
        ),
        "A policy that puts less into its prompts pays less for them: this table says what a prompt costs, not what "
        "it is good for.\n",
        "For context: an independent port, measured with real coding agents, saw the share of cached reads fall from "
        f"{port.share_before} to {port.share_with_port} at {port.cost_ratio} times the cost. An agent's prompts hold a "
        "transcript and tools too, ours hold pages only: the numbers stand beside ours, not against them.\n",
        "### Does the order of the policies depend on the prices?\n",
        table(
            ["prices (cached read, write)", *names.values()],
            (
                (
                    f"{model} ({prices.cached_read:g}, {prices.write:g})",
                    *(item["costs"][model] for item in policies.values()),
                )
                for model, prices in PRICES.items()
            ),
        ),
        _order_sentence(results),
        "### Prefix reuse by budget in tokens and by workload\n",
        "Reused tokens over all prompt tokens; the quality experiment shows the mean of the cells' shares instead.\n",
        _reuse_table(results, "budgets", "reuse_by_budget"),
        _reuse_table(results, "workloads", "reuse_by_workload"),
        "### Which decisions break the prefix\n",
        "Each break is laid to the first block that differs. *Unchanged* tokens are in blocks that the previous prompt "
        "had too: they are written again only because they stand behind the break. *In front* is the share of the "
        "broken prompts that stands before the break. A page that was declared since the last prompt counts as new "
        "whatever installed it; where one page enters and another leaves at the same place, the one that comes first "
        "in the order of the blocks is named.\n",
    ]
    for policy_id, item in policies.items():
        parts += [f"**{names[policy_id]}**\n", _causes_table(item), _falls_sentence(item)]
    parts += [
        "### Would another order of the blocks help?\n",
        "A measurement of what is left, not of a policy: the same prompts, their blocks in another order, nothing "
        "else changed. The engine's order is type rank, then declaration. *Recently changed last* sorts by the turn in "
        "which a page last entered or changed, *fewest changes first* by how often it did; both know only the past. "
        "The last column writes nothing but blocks that the previous prompt did not have, which no order can beat and "
        "hardly any reaches.\n",
        _orders_table(policies, names, "prefix_reuse"),
        "Cost per turn at default prices:\n",
        _orders_table(policies, names, "cost"),
    ]
    return "\n".join(parts)


def _order_sentence(results: dict[str, Any]) -> str:
    names = results["names"]
    orders = {
        model: ", ".join(names[policy_id] for policy_id in order) for model, order in results["cheapest_first"].items()
    }
    if len(set(orders.values())) == 1:
        return f"No: cheapest first it is {orders['default']} under all three.\n"
    return "Yes. Cheapest first: " + "; ".join(f"{model}: {order}" for model, order in orders.items()) + ".\n"


def _reuse_table(results: dict[str, Any], values: str, series: str) -> str:
    return table(
        ["policy", *(str(value) for value in results[values])],
        ((results["names"][policy_id], *numbers) for policy_id, numbers in results[series].items()),
    )


def _causes_table(item: Mapping[str, Any]) -> str:
    causes = sorted(item["causes"].items(), key=lambda pair: (-pair[1]["rewritten_tokens"], pair[0]))
    rows = [
        (
            WORDS[BreakCause(cause)],
            counts["breaks"],
            counts["after_boundary"],
            counts["rewritten_tokens"],
            counts["unchanged_tokens"],
            f"{100 * counts['position']:.0f} %",
        )
        for cause, counts in causes
    ]
    rows.append(
        (
            "all breaks",
            item["breaks"],
            item["breaks_after_boundary"],
            item["rewritten_tokens"] - item["first_prompt_tokens"],
            item["unchanged_tokens"],
            f"{100 * item['position']:.0f} %",
        )
    )
    header = ["cause", "breaks", "right after a boundary", "rewritten tokens", "unchanged", "in front"]
    return table(header, rows)


def _falls_sentence(item: Mapping[str, Any]) -> str:
    falls = ", ".join(f"{levels} {count}" for levels, count in item["falls"].items())
    return f"Pages that fell or left, by level: {falls or 'none'}.\n"


def _orders_table(policies: Mapping[str, dict[str, Any]], names: Mapping[str, str], number: str) -> str:
    orders = list(next(iter(policies.values()))["orders"])
    return table(
        ["policy", *(order.replace("_", " ") for order in orders)],
        (
            (names[policy_id], *(item["orders"][order][number] for order in orders))
            for policy_id, item in policies.items()
        ),
    )


EXPERIMENT = Experiment(
    id="prompt_cache",
    title="Prompt-cache cost",
    question="What do a policy's prompts cost under a provider's cache, and which decisions break the prefix?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
    figures=prompt_cache_figures,
)
