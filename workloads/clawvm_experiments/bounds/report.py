"""The report of the bounds: two tables by budget, every policy against its own bounds, upgrades, checks.

=========  ===========================================
NAMES      the policies and the oracle, as they are called
report     the results as Markdown
=========  ===========================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawvm_oracle.demand_only_oracle import DEMAND_ONLY
from clawvm_replay.reports import table
from clawvm_runtime.policy import POLICIES

__all__ = ["NAMES", "report"]

NAMES = {DEMAND_ONLY.id: DEMAND_ONLY.name, **{policy.id: policy.name for policy in POLICIES.values()}}


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    findings, small, unit = (results[name] for name in ("findings", "small", "unit"))
    defined = findings["cells_with_bounds"]
    parts = [
        "## Bounds: how far from optimal\n",
        f"{defined} of {results['cells']} cells (families x budgets); {results['cells_under_pressure']} left out "
        "because their minimum set does not fit. Reloaded tokens: page-ins, or the same content retrieved again where "
        "a policy cannot page in. Brought in: tokens that the prompt before did not hold. The bounds in the first two "
        "tables are for policies that meet every floor and demand; after that, each policy is held against bounds "
        "for what its own prompts met. The bound for any policy is the exact optimum with prefetching: its plan, "
        f"played by the engine, reaches it in {findings['any_policy_plan_reaches_bound']} of {defined} cells. It is "
        f"zero in {findings['cells_where_any_policy_bound_is_zero']} cells: foresight alone would remove every "
        "page-in there, and no ratio is defined.\n",
        _by_budget(results),
        _own_bounds(results),
        f"The demand-only oracle reaches the demand-only bound in "
        f"{findings['cells_where_demand_only_oracle_reaches_bound']} of {defined} cells; at most it is "
        f"{_number(findings['largest_demand_only_oracle_over_bound'])} times the bound.\n",
        "### Greedy upgrades against the exact knapsack\n",
        _utility_table(results),
        _worst_text(results),
        "### Checks\n",
        f"- Exhaustive search: {small['cases']} small cases, {small['comparisons']:,} comparisons, "
        f"{len(small['violations'])} violated. The demand-only bound is exact in {small['bound_is_exact']}, the oracle "
        f"in {small['oracle_is_exact']}.\n"
        f"- Belady's MIN: {unit['cases']} strings of references ({unit['searched']} also searched exhaustively), "
        f"{len(unit['different'])} with another number of misses.\n",
        *(f"- {text}\n" for text in (*small["violations"], *unit["different"])),
    ]
    return "\n".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"


def _tokens(values: Mapping[str, float | None]) -> list[str]:
    """Return means in tokens with three significant digits, and at least whole tokens."""
    return ["-" if value is None else f"{value:,.{_decimals(value)}f}" for value in values.values()]


def _decimals(value: float) -> int:
    return 2 if value < 10 else 1 if value < 100 else 0


def _by_budget(results: Mapping[str, Any]) -> str:
    header = ["policy or bound", *(str(budget) for budget in results["budgets"])]
    series, bounds, plan = results["series"], results["bounds"], results["any_policy_plan"]
    oracle = series["reloaded"][DEMAND_ONLY.id]
    reloaded = [
        ["lower bound, any policy", *_tokens(bounds["any_policy"])],
        ["any-policy plan, played", *_tokens(plan["reloaded"])],
        ["lower bound, demand-only", *_tokens(bounds["demand_only"])],
        ["upper bound: demand-only oracle", *_tokens(oracle)],
        *([NAMES[key], *_tokens(row)] for key, row in series["reloaded"].items() if key != DEMAND_ONLY.id),
    ]
    brought_in = [
        ["lower bound, any policy", *_tokens(bounds["brought_in"])],
        ["any-policy plan, played", *_tokens(plan["brought_in"])],
        *([NAMES[key], *_tokens(row)] for key, row in series["brought_in"].items()),
    ]
    return "\n".join(
        [
            "### Reloaded tokens, mean over the families\n",
            table(header, reloaded),
            "### Brought-in tokens, mean over the families\n",
            table(header, brought_in),
        ]
    )


def _own_bounds(results: Mapping[str, Any]) -> str:
    policies = results["policies"]
    return "\n".join(
        [
            "### Every policy against its own bounds\n",
            "Tokens are sums over the cells. **The denominators differ**: a policy that leaves a floor or a demand "
            "unmet has fewer requirements and so lower bounds, and its ratio must not be ranked against another row's. "
            "Each bound stands beside its ratio. `-`: the bound is zero.\n",
            table(
                [
                    "policy",
                    "reloaded",
                    "any-policy bound",
                    "reloaded / any-policy bound",
                    "brought in",
                    "brought-in bound",
                    "brought in / bound",
                    "below a bound",
                    "meets everything in",
                ],
                (
                    (
                        NAMES[policy_id],
                        item["reloaded"],
                        item["bounds"]["any_policy"],
                        item["reloaded_over_any_policy_bound"],
                        item["brought_in"],
                        item["bounds"]["brought_in"],
                        item["brought_in_over_bound"],
                        f"{item['below_a_bound_in']} cells",
                        f"{item['meets_all_in']} cells",
                    )
                    for policy_id, item in policies.items()
                ),
            ),
            "These two bounds hold for every policy: no ratio here can be below 1. By budget, reloaded over the "
            "any-policy bound; the first row is the bound where everything is met, in tokens. Above a bound of a few "
            "tokens a ratio is large and says little.\n",
            table(
                ["policy", *(str(budget) for budget in results["budgets"])],
                [
                    ["any-policy bound, mean over the families", *_tokens(results["bounds"]["any_policy"])],
                    *(
                        [NAMES[policy_id], *item["reloaded_over_any_policy_bound_by_budget"].values()]
                        for policy_id, item in policies.items()
                    ),
                ],
            ),
            "The demand-only bound bounds only policies that neither prefetch nor upgrade. For the others its ratio is "
            "a comparison and no distance from an optimum: below 1, prefetch or upgrades saved more than any policy "
            "without them could.\n",
            table(
                ["policy", "reloaded", "demand-only bound", "reloaded / demand-only bound", "the bound is"],
                (
                    (
                        NAMES[policy_id],
                        item["reloaded"],
                        item["bounds"]["demand_only"],
                        item["reloaded_over_demand_only_bound"],
                        "a bound" if item["demand_only"] else "a comparison",
                    )
                    for policy_id, item in policies.items()
                ),
            ),
        ]
    )


def _utility_table(results: Mapping[str, Any]) -> str:
    columns = ("count", "minimum", "p1", "p5", "quartile_1", "median", "quartile_3", "mean", "share_optimal")
    return table(
        ["score", "prompts", *(name.replace("_", " ") for name in columns[1:])],
        ((NAMES[policy_id], *(item[name] for name in columns)) for policy_id, item in results["utility"].items()),
    )


def _worst_text(results: Mapping[str, Any]) -> str:
    lines = []
    for policy_id, item in results["utility"].items():
        worst = item["worst"]
        if worst is not None:
            lines.append(
                f"- Worst for {NAMES[policy_id]}: {worst['ratio']:.3g} in turn {worst['turn']} of {worst['workload']} "
                f"at {worst['budget']}, {worst['tokens_left']} tokens left for {len(worst['pages'])} pages."
            )
    for name, worst in results["upgrades"].items():
        pages = "; ".join(f"score {score:g}, steps {steps}" for _, score, steps in worst["pages"])
        lines.append(
            f"- Made to mislead ({name.replace('_', ' ')}): {worst['ratio']:.3g} with {worst['tokens_left']} tokens "
            f"left and pages of {pages}."
        )
    return "\n".join(lines) + "\n"
