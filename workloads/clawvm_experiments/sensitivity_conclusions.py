"""The conclusions of the evaluation as functions of its counts, so that any setting can put them to the test."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from clawvm_experiments.counting_rules import Counts
from clawvm_replay.metrics import DIGITS
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.tasks import category_of

__all__ = [
    "CONCLUSIONS",
    "CONDITIONS",
    "FREE_FEATURES",
    "HYBRID",
    "OWN_KINDS",
    "STRUCTURED",
    "TASK_BUDGET",
    "CountTable",
]

STRUCTURED = ("lru", "clawvm", "oracle_h3")
"""The policies with ClawVM's structure, which are expected to show no fault."""

HYBRID = "compaction_hybrid"
BASELINES = ("retrieval", "retrieval_cache", HYBRID)

TASK_BUDGET = 180
"""The published budget of the failed tasks, in tokens."""

OWN_KINDS: Mapping[str, frozenset[FaultKind]] = MappingProxyType(
    {
        "pointer_resolution": frozenset({FaultKind.REFETCH, FaultKind.DUPLICATE_TOOL}),
        "writeback_at_compaction": frozenset({FaultKind.FLUSH_MISS}),
        "auto_pin": frozenset({FaultKind.POST_COMPACTION_BOOTSTRAP, FaultKind.PINNED_INVARIANT_MISS}),
        "writeback_at_reset": frozenset({FaultKind.FLUSH_MISS}),
    }
)
"""The kinds of fault that removing a feature may cause."""

FREE_FEATURES = ("upgrade_scoring", "prefetch")
"""Features whose removal is expected to cost no fault."""


class CountTable:
    """The counts of a sweep, with the ablations of ClawVM at one budget under their own policy ids.

    ``tasks`` has the counts of task replays, with the task's name as workload; empty where no task was replayed.
    """

    def __init__(self, counts: Iterable[Counts], tasks: Iterable[Counts] = ()) -> None:
        self.tasks = tuple(tasks)
        self._by_policy: dict[str, list[Counts]] = {}
        for item in counts:
            self._by_policy.setdefault(item.policy, []).append(item)
        self.budgets = sorted({item.budget for item in self._by_policy["clawvm"]})

    def of(self, policy: str, budget: int | None = None) -> list[Counts]:
        """Return the counts of one policy, at one budget or at all."""
        return [item for item in self._by_policy[policy] if budget is None or item.budget == budget]

    def faults(self, policy: str, budget: int | None = None, kinds: Collection[FaultKind] = tuple(FaultKind)) -> int:
        """Return the total of explicit faults of these kinds."""
        return sum(item.faults[kind] for item in self.of(policy, budget) for kind in kinds)

    def thrash(self, policy: str, budget: int | None = None) -> float:
        """Return the mean thrash index over the runs."""
        runs = self.of(policy, budget)
        return round(math.fsum(item.thrash_index for item in runs) / len(runs), DIGITS)

    def page_in_tokens(self, policy: str, budget: int | None = None) -> int:
        """Return the total of page-in tokens."""
        return sum(item.page_in_tokens for item in self.of(policy, budget))


class ConclusionOutcome(NamedTuple):
    """Whether a conclusion holds, None where it was not tried; and its number, None where there is none."""

    holds: bool | None
    number: float | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A statement about the counts; ``number`` describes the outcome's number and when the statement holds."""

    id: str
    statement: str
    number: str
    judge: Callable[[CountTable], ConclusionOutcome]


CONCLUSIONS: dict[str, Conclusion] = {}

CONDITIONS = frozenset(
    {
        "no_faults",
        "fault_order",
        "fault_steps",
        "thrash_lowest",
        "thrash_equal",
        "own_kinds",
        "each_needed",
        "free_features",
    }
)
"""Conclusions that were conditions of the sizings or follow from the published means and counts that they aimed at."""

Judge = Callable[[CountTable], ConclusionOutcome]


def _conclusion(statement: str, number: str) -> Callable[[Judge], Judge]:
    """Register a judge as the conclusion that is named like it."""

    def register(judge: Judge) -> Judge:
        CONCLUSIONS[judge.__name__] = Conclusion(judge.__name__, statement, number, judge)
        return judge

    return register


def _zero(number: float) -> ConclusionOutcome:
    return ConclusionOutcome(number == 0, number)


def _positive(number: float) -> ConclusionOutcome:
    return ConclusionOutcome(number > 0, number)


def _ratio(value: float, reference: float) -> float | None:
    return round(value / reference, DIGITS) if reference else None


# --- Faults and thrash of the sweep.


@_conclusion(
    "ClawVM, LRU and Oracle have no fault in any cell without pressure", "their faults in those cells; holds at 0"
)
def no_faults(table: CountTable) -> ConclusionOutcome:
    runs = [item for policy in STRUCTURED for item in table.of(policy) if not item.pressure_turns]
    faults = sum(item.explicit_faults for item in runs)
    return ConclusionOutcome(bool(runs) and faults == 0, faults if runs else None)


def _neighbours(table: CountTable) -> list[tuple[int, int]]:
    totals = [table.faults(policy) for policy in (*BASELINES, "clawvm")]
    return list(zip(totals, totals[1:]))


@_conclusion(
    "Retrieval has more faults in all than Retrieval+Cache, that more than Compaction-Hybrid, that more than ClawVM",
    "smallest difference between neighbours; holds above 0",
)
def fault_order(table: CountTable) -> ConclusionOutcome:
    return _positive(min(more - less for more, less in _neighbours(table)))


@_conclusion(
    "Retrieval+Cache at least halves Retrieval's faults, Compaction-Hybrid at least halves those again",
    "smallest quotient of neighbours; holds from 2",
)
def fault_steps(table: CountTable) -> ConclusionOutcome:
    steps = _neighbours(table)[:-1]
    known = [ratio for more, less in steps if (ratio := _ratio(more, less)) is not None]
    return ConclusionOutcome(all(more > 0 and more >= 2 * less for more, less in steps), min(known, default=None))


@_conclusion(
    "ClawVM's mean thrash index is below every baseline's, and no online policy has a lower one",
    "its quotient by the best baseline's; holds below 1 unless LRU's is lower",
)
def thrash_lowest(table: CountTable) -> ConclusionOutcome:
    own, best = table.thrash("clawvm"), min(table.thrash(policy) for policy in BASELINES)
    return ConclusionOutcome(own < best and own <= table.thrash("lru"), _ratio(own, best))


@_conclusion(
    "ClawVM, LRU and Oracle have the same mean thrash index at every budget",
    "spread over the three and all budgets; holds at 0",
)
def thrash_equal(table: CountTable) -> ConclusionOutcome:
    values = [table.thrash(policy, budget) for policy in STRUCTURED for budget in table.budgets]
    return _zero(round(max(values) - min(values), DIGITS))


@_conclusion(
    "Compaction-Hybrid has fewer faults at the largest budget than at the smallest",
    "the difference in faults; holds above 0",
)
def hybrid_falls(table: CountTable) -> ConclusionOutcome:
    smallest, largest = (table.faults(HYBRID, table.budgets[place]) for place in (0, -1))
    return _positive(smallest - largest)


@_conclusion(
    "Compaction-Hybrid's faults never rise from one budget to the next", "largest rise in faults; holds up to 0"
)
def hybrid_never_rises(table: CountTable) -> ConclusionOutcome:
    faults = [table.faults(HYBRID, budget) for budget in table.budgets]
    rise = max(after - before for before, after in zip(faults, faults[1:]))
    return ConclusionOutcome(rise <= 0, rise)


@_conclusion(
    "At the smallest budget Compaction-Hybrid has both bootstrap faults and flush misses",
    "the smaller of the two counts; holds above 0",
)
def hybrid_kinds(table: CountTable) -> ConclusionOutcome:
    kinds = (FaultKind.POST_COMPACTION_BOOTSTRAP, FaultKind.FLUSH_MISS)
    return _positive(min(table.faults(HYBRID, table.budgets[0], [kind]) for kind in kinds))


# --- The ablations of ClawVM.


def _without(table: CountTable, feature: str, kinds: Collection[FaultKind] = tuple(FaultKind)) -> int:
    """Return the faults of ClawVM without a feature."""
    return table.faults(POLICIES["clawvm"].without(FEATURES[feature]).id, kinds=kinds)


@_conclusion(
    "Each of the four features, when removed, causes faults of its own kinds only", "faults of other kinds; holds at 0"
)
def own_kinds(table: CountTable) -> ConclusionOutcome:
    return _zero(sum(_without(table, feature, set(FaultKind) - kinds) for feature, kinds in OWN_KINDS.items()))


@_conclusion(
    "Each of the four features, when removed, causes at least one fault",
    "fewest faults that one causes; holds above 0",
)
def each_needed(table: CountTable) -> ConclusionOutcome:
    return _positive(min(_without(table, feature) for feature in OWN_KINDS))


@_conclusion("Removing upgrade scoring or prefetch causes no fault", "faults that they cause; holds at 0")
def free_features(table: CountTable) -> ConclusionOutcome:
    return _zero(sum(_without(table, feature) for feature in FREE_FEATURES))


# --- Page-in tokens.


def _tokens_at_most(table: CountTable, policy: str, *others: str) -> ConclusionOutcome:
    own, best = table.page_in_tokens(policy), min(map(table.page_in_tokens, others))
    return ConclusionOutcome(own <= best, _ratio(own, best))


@_conclusion("LRU needs no more page-in tokens than ClawVM's utility score", "quotient of the tokens; holds up to 1")
def lru_tokens(table: CountTable) -> ConclusionOutcome:
    return _tokens_at_most(table, "lru", "clawvm")


@_conclusion(
    "The look-ahead oracle needs no more page-in tokens than ClawVM, whose score it extends",
    "quotient of the tokens; holds up to 1",
)
def lookahead_saves(table: CountTable) -> ConclusionOutcome:
    return _tokens_at_most(table, "oracle_h3", "clawvm")


@_conclusion(
    "The look-ahead oracle needs no more page-in tokens than either of LRU and ClawVM",
    "quotient by the better of the two; holds up to 1",
)
def lookahead_fewest(table: CountTable) -> ConclusionOutcome:
    return _tokens_at_most(table, "oracle_h3", "lru", "clawvm")


@_conclusion(
    "LRU needs no more page-in tokens than ClawVM's utility score in any cell",
    "cells in which it needs more; holds at 0",
)
def lru_tokens_each_cell(table: CountTable) -> ConclusionOutcome:
    own = {(item.workload, item.budget): item.page_in_tokens for item in table.of("clawvm")}
    return _zero(sum(item.page_in_tokens > own[item.workload, item.budget] for item in table.of("lru")))


# --- The prompts: what a provider's cache reuses, and plans below their floor.


def _reuse(table: CountTable, policy: str) -> float:
    runs = table.of(policy)
    return sum(item.reused_tokens for item in runs) / (sum(item.prompt_tokens for item in runs) or 1)


@_conclusion("ClawVM's prompts reuse a larger share of their tokens than LRU's", "its share minus LRU's; holds above 0")
def reuse_above_lru(table: CountTable) -> ConclusionOutcome:
    return _positive(round(_reuse(table, "clawvm") - _reuse(table, "lru"), DIGITS))


@_conclusion(
    "ClawVM's prompts cost no more than LRU's under the default prices", "quotient of the costs; holds up to 1"
)
def cost_below_lru(table: CountTable) -> ConclusionOutcome:
    own, other = (math.fsum(item.prompt_cost for item in table.of(policy)) for policy in ("clawvm", "lru"))
    return ConclusionOutcome(own <= other, _ratio(own, other))


def _plans_missed(table: CountTable, policy: str) -> int:
    return sum(item.plan_below_floor_turns for item in table.of(policy))


@_conclusion(
    "ClawVM holds an active plan below its floor in fewer turns than LRU and Oracle",
    "the fewer of theirs minus its; holds above 0",
)
def plans_kept(table: CountTable) -> ConclusionOutcome:
    others = min(_plans_missed(table, policy) for policy in STRUCTURED if policy != "clawvm")
    return _positive(others - _plans_missed(table, "clawvm"))


@_conclusion(
    "Compaction-Hybrid holds an active plan below its floor in fewer turns than ClawVM",
    "ClawVM's turns minus its; holds above 0",
)
def hybrid_keeps_plans(table: CountTable) -> ConclusionOutcome:
    return _positive(_plans_missed(table, "clawvm") - _plans_missed(table, HYBRID))


# --- Task replays, tried under the settings of the simulated harness.


def _in_failures(table: CountTable, number: Callable[[Counts], int]) -> ConclusionOutcome:
    """Return the outcome of a statement about Compaction-Hybrid's failures: the sum of *number* over them must be 0.

    Without a failure the statement has no case and does not hold.
    """
    if not table.tasks:
        return ConclusionOutcome(None, None)
    failures = [item for item in table.tasks if item.policy == HYBRID and item.explicit_faults]
    return _zero(sum(map(number, failures))) if failures else ConclusionOutcome(False, None)


@_conclusion(
    f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only by bootstrap faults",
    "other faults in the tasks that fail; holds at 0 if one fails",
)
def task_kinds(table: CountTable) -> ConclusionOutcome:
    return _in_failures(table, lambda item: item.explicit_faults - item.faults[FaultKind.POST_COMPACTION_BOOTSTRAP])


@_conclusion(
    f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only in debugging",
    "failed tasks of other categories; holds at 0 if one fails",
)
def task_debugging(table: CountTable) -> ConclusionOutcome:
    return _in_failures(table, lambda item: category_of(item.workload) != "debugging")


@_conclusion("ClawVM ends every task that is tried without a fault", "faults in its tasks; holds at 0")
def task_clawvm(table: CountTable) -> ConclusionOutcome:
    if not table.tasks:
        return ConclusionOutcome(None, None)
    return _zero(sum(item.explicit_faults for item in table.tasks if item.policy == "clawvm"))
