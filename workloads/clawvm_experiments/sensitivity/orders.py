"""Floors before demands against one order of installation, where the two can differ.

===============  =================================================================================
compare_orders   how many runs of generated workloads and of families at half budget come out otherwise
===============  =================================================================================

The orders differ only if a hard page is demanded far above its floor and another hard page's floor then has no room.
The families have no such turn, so generated workloads are tried as well: their budgets are drawn around what is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clawvm_experiments.experiment import Row, family_trace
from clawvm_experiments.sensitivity.conclusions import STRUCTURED
from clawvm_experiments.sensitivity.settings import select_in_one_order
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import POLICIES
from clawvm_workloads.families import FAMILIES
from clawvm_workloads.generated import generate

__all__ = ["compare_orders"]


def compare_orders(seeds: int, budgets: Sequence[int]) -> Row:
    """Return what one order changes in the first *seeds* generated workloads and in the families at half of *budgets*.

    Every policy with auto-pin is tried. A run is under pressure if a turn of it is. O(runs).
    """
    return {
        "generated": _compared((generate(seed), None) for seed in range(seeds)),
        "families": _compared(_families(budgets)),
    }


def _families(budgets: Sequence[int]) -> Iterator[tuple[Trace, int]]:
    return ((family_trace(workload, budget), budget // 2) for workload in FAMILIES for budget in budgets)


def _compared(traces: Iterable[tuple[Trace, int | None]]) -> dict[str, int]:
    """Return the runs with and without pressure, and how many of each have other metrics in one order."""
    counts = dict.fromkeys(("under_pressure", "changed_under", "without_pressure", "changed_without"), 0)
    for trace, tokens in traces:
        for policy_id in STRUCTURED:
            policy = POLICIES[policy_id]
            usual = replay_trace(trace, policy, tokens)
            pressed = usual.pressure_turns > 0
            counts["under_pressure" if pressed else "without_pressure"] += 1
            if replay_trace(trace, policy, tokens, selector=select_in_one_order) != usual:
                counts["changed_under" if pressed else "changed_without"] += 1
    return counts
