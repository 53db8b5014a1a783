"""Metrics of a replay: counts of the fault observer, and what the prompts cost.

Formulas: ``docs/fault-model.md``. Sums of floats go through ``math.fsum``, which is the same on every Python version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clawvm_runtime.engine import AssembledPrompt, Block
from clawvm_runtime.faults import Tally, thrash_index
from clawvm_runtime.vocabulary import FaultKind, Level

__all__ = ["DIGITS", "FAULT_FIELDS", "PRICE_MODELS", "CellMetrics", "PriceModel", "PromptMeter", "shared_prefix"]

DIGITS = 6
"""Digits after the point of every ratio in a report."""


@dataclass(frozen=True, slots=True)
class PriceModel:
    """What a prompt token costs in units of a plain input token.

    ``cached_read`` is paid for the prefix that the provider's cache has, ``write`` for what is written behind it,
    ``plain`` where no cache is used.
    """

    name: str
    cached_read: float = 0.1
    write: float = 1.25
    plain: float = 1.0


PRICE_MODELS = {"default": PriceModel("default")}


def shared_prefix(first: Sequence[Block], second: Sequence[Block]) -> tuple[int, int]:
    """Return how many leading blocks two prompts share, and their tokens."""
    place = tokens = 0
    for block, other in zip(first, second):
        if block != other:
            break
        place += 1
        tokens += block.tokens
    return place, tokens


class PromptMeter:
    """Measures the prompts of a run as a provider's prompt cache and a budget planner would see them."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._previous: tuple[Block, ...] = ()
        self.prompts = 0
        self.tokens = 0
        self.reused_tokens = 0

    def observe(self, prompt: AssembledPrompt) -> None:
        """Take in the next prompt of the run, O(blocks)."""
        self.prompts += 1
        self.tokens += prompt.tokens
        self.reused_tokens += shared_prefix(self._previous, prompt.blocks)[1]
        self._previous = prompt.blocks

    @property
    def rewritten_tokens(self) -> int:
        """Tokens behind the longest shared prefix, summed over the run."""
        return self.tokens - self.reused_tokens

    def budget_use(self) -> float:
        """Return the mean share of the budget that a prompt used."""
        return self.tokens / (self.prompts * self._budget) if self.prompts else 0.0


_TALLIED = (
    "explicit_faults",
    "alerts",
    "accesses",
    "cold_accesses",
    "hits",
    "page_ins",
    "page_in_tokens",
    "unmet_demands",
    "pressure_turns",
    "pressure_tokens",
    "below_floor_turns",
    "plan_below_floor_turns",
)
"""Fields of a row that have the same name in the tally."""


def _ratio(value: float) -> float:
    return round(value, DIGITS)


@dataclass(frozen=True, slots=True)
class CellMetrics:
    """Every number of one cell; the docs and the summary's schema say what each means."""

    workload: str
    budget: int
    policy: str
    turns: int
    explicit_faults: int
    refetch: int
    duplicate_tool: int
    pinned_invariant_miss: int
    post_compaction_bootstrap: int
    silent_recall: int
    flush_miss: int
    alerts: int
    accesses: int
    cold_accesses: int
    hits: int
    page_ins: int
    page_in_tokens: int
    thrash_index: float
    unmet_demands: int
    pressure_turns: int
    pressure_tokens: int
    pressure_faults: int
    mean_level_at_demand: float | None
    share_served_at_full: float | None
    mean_budget_use: float
    prompt_tokens: int
    reused_tokens: int
    rewritten_tokens: int
    prefix_reuse: float
    prompt_cost: float
    plain_cost: float
    compactions: int
    resets: int
    flushes: int
    committed_updates: int
    rejected_updates: int
    lost_updates: int
    success: bool
    served: bool
    below_floor_turns: int
    plan_below_floor_turns: int

    def to_record(self) -> dict[str, Any]:
        """Return the row as plain JSON data, in the order of its columns."""
        return asdict(self)

    @classmethod
    def of_run(
        cls,
        *,
        workload: str,
        budget: int,
        policy: str,
        turns: int,
        tally: Tally,
        meter: PromptMeter,
        prices: PriceModel,
        counts: dict[str, int],
    ) -> CellMetrics:
        """Return the row of a finished run; *counts* holds those of boundaries and updates by field."""
        warm = tally.warm_accesses
        at_level = tally.warm_accesses_at_level
        level_sum = sum(int(level) * count for level, count in at_level.items())
        return cls(
            workload=workload,
            budget=budget,
            policy=policy,
            turns=turns,
            **{kind.value: tally.faults[kind] for kind in FaultKind},
            **{name: getattr(tally, name) for name in _TALLIED},
            thrash_index=_ratio(thrash_index(tally.explicit_faults, tally.alerts, tally.hits)),
            pressure_faults=sum(tally.pressure_faults.values()),
            mean_level_at_demand=_ratio(level_sum / warm) if warm else None,
            share_served_at_full=_ratio(at_level[Level.FULL] / warm) if warm else None,
            mean_budget_use=_ratio(meter.budget_use()),
            prompt_tokens=meter.tokens,
            reused_tokens=meter.reused_tokens,
            rewritten_tokens=meter.rewritten_tokens,
            prefix_reuse=_ratio(meter.reused_tokens / meter.tokens) if meter.tokens else 0.0,
            prompt_cost=_ratio(
                math.fsum((prices.cached_read * meter.reused_tokens, prices.write * meter.rewritten_tokens))
            ),
            plain_cost=_ratio(prices.plain * meter.tokens),
            success=tally.explicit_faults == 0,
            served=tally.unmet_demands == 0 and tally.below_floor_turns == 0,
            **counts,
        )


FAULT_FIELDS = tuple(kind.value for kind in FaultKind)
