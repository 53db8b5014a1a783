"""The conclusions of the evaluation as functions of its counts, so that any setting can put them to the test.

=============  ===============================================================================
CONCLUSIONS    all of them by id: those of the sweep and its ablations, then those of the tasks
STRUCTURED     the policies that are said to be without faults
OWN_KINDS      the kinds of fault that the removal of a feature may cause
FREE_FEATURES  the features whose removal is said to cost none
=============  ===============================================================================

Source: the published evaluation's text and tables; those about page-in tokens are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from clawvm_experiments.sensitivity.count_table import Conclusion, CountTable, Verdict
from clawvm_experiments.sensitivity.task_conclusions import TASK_CONCLUSIONS
from clawvm_replay.metrics import DIGITS
from clawvm_runtime.policy import FEATURES, POLICIES
from clawvm_runtime.vocabulary import FaultKind

__all__ = ["CONCLUSIONS", "FREE_FEATURES", "OWN_KINDS", "STRUCTURED"]

STRUCTURED = ("lru", "clawvm", "oracle_h3")
"""The policies with ClawVM's structure, which are said to be without faults."""

BASELINES = ("retrieval", "retrieval_cache", "compaction_hybrid")

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
"""Features whose removal is said to cost no fault."""


def _ablated(feature: str) -> str:
    """Return the policy id of ClawVM without *feature*."""
    return POLICIES["clawvm"].without(FEATURES[feature]).id


def _ratio(value: float, reference: float) -> float | None:
    return round(value / reference, DIGITS) if reference else None


def _no_faults(table: CountTable) -> Verdict:
    runs = [item for policy in STRUCTURED for item in table.of(policy) if not item.pressure_turns]
    faults = sum(item.explicit_faults for item in runs)
    return Verdict(bool(runs) and faults == 0, faults if runs else None)


def _neighbours(table: CountTable) -> Sequence[tuple[int, int]]:
    totals = [table.faults(policy) for policy in (*BASELINES, "clawvm")]
    return list(zip(totals, totals[1:]))


def _order(table: CountTable) -> Verdict:
    smallest = min(more - less for more, less in _neighbours(table))
    return Verdict(smallest > 0, smallest)


def _steps(table: CountTable) -> Verdict:
    steps = _neighbours(table)[:-1]
    ratios = [_ratio(more, less) for more, less in steps]
    known = [ratio for ratio in ratios if ratio is not None]
    return Verdict(all(more > 0 and more >= 2 * less for more, less in steps), min(known) if known else None)


def _thrash_lowest(table: CountTable) -> Verdict:
    own, best = table.thrash("clawvm"), min(table.thrash(policy) for policy in BASELINES)
    return Verdict(own < best and own <= table.thrash("lru"), _ratio(own, best))


def _thrash_equal(table: CountTable) -> Verdict:
    values = [table.thrash(policy, budget) for policy in STRUCTURED for budget in table.budgets]
    spread = round(max(values) - min(values), DIGITS)
    return Verdict(spread == 0, spread)


def _hybrid_faults(table: CountTable) -> list[int]:
    return [table.faults("compaction_hybrid", budget) for budget in table.budgets]


def _hybrid_falls(table: CountTable) -> Verdict:
    faults = _hybrid_faults(table)
    return Verdict(faults[0] > faults[-1], faults[0] - faults[-1])


def _hybrid_never_rises(table: CountTable) -> Verdict:
    faults = _hybrid_faults(table)
    rise = max(after - before for before, after in zip(faults, faults[1:]))
    return Verdict(rise <= 0, rise)


def _hybrid_kinds(table: CountTable) -> Verdict:
    kinds = (FaultKind.POST_COMPACTION_BOOTSTRAP, FaultKind.FLUSH_MISS)
    fewest = min(table.faults_of_kinds("compaction_hybrid", [kind], table.budgets[0]) for kind in kinds)
    return Verdict(fewest > 0, fewest)


def _own_kinds(table: CountTable) -> Verdict:
    others = sum(
        table.faults_of_kinds(_ablated(feature), set(FaultKind) - kinds) for feature, kinds in OWN_KINDS.items()
    )
    return Verdict(others == 0, others)


def _each_needed(table: CountTable) -> Verdict:
    fewest = min(table.faults(_ablated(feature)) for feature in OWN_KINDS)
    return Verdict(fewest > 0, fewest)


def _free_features(table: CountTable) -> Verdict:
    faults = sum(table.faults(_ablated(feature)) for feature in FREE_FEATURES)
    return Verdict(faults == 0, faults)


def _lru_tokens(table: CountTable) -> Verdict:
    own, scored = table.page_in_tokens("lru"), table.page_in_tokens("clawvm")
    return Verdict(own <= scored, _ratio(own, scored))


def _lookahead_saves(table: CountTable) -> Verdict:
    own, scored = table.page_in_tokens("oracle_h3"), table.page_in_tokens("clawvm")
    return Verdict(own <= scored, _ratio(own, scored))


def _lookahead_fewest(table: CountTable) -> Verdict:
    own = table.page_in_tokens("oracle_h3")
    online = min(table.page_in_tokens("lru"), table.page_in_tokens("clawvm"))
    return Verdict(own <= online, _ratio(own, online))


CONCLUSIONS: Mapping[str, Conclusion] = MappingProxyType(
    {
        item.id: item
        for item in (
            Conclusion(
                "no_faults",
                "ClawVM, LRU and Oracle have no fault in any cell without pressure",
                "their faults in those cells; holds at 0",
                _no_faults,
            ),
            Conclusion(
                "fault_order",
                "Retrieval has more faults in all than Retrieval+Cache, that more than Compaction-Hybrid, that more "
                "than ClawVM",
                "smallest difference between neighbours; holds above 0",
                _order,
            ),
            Conclusion(
                "fault_steps",
                "Retrieval+Cache at least halves Retrieval's faults, Compaction-Hybrid at least halves those again",
                "smallest quotient of neighbours; holds from 2",
                _steps,
            ),
            Conclusion(
                "thrash_lowest",
                "ClawVM's mean thrash index is below every baseline's, and no online policy has a lower one",
                "its quotient by the best baseline's; holds below 1 unless LRU's is lower",
                _thrash_lowest,
            ),
            Conclusion(
                "thrash_equal",
                "ClawVM, LRU and Oracle have the same mean thrash index at every budget",
                "spread over the three and all budgets; holds at 0",
                _thrash_equal,
            ),
            Conclusion(
                "hybrid_falls",
                "Compaction-Hybrid has fewer faults at the largest budget than at the smallest",
                "the difference in faults; holds above 0",
                _hybrid_falls,
            ),
            Conclusion(
                "hybrid_never_rises",
                "Compaction-Hybrid's faults never rise from one budget to the next",
                "largest rise in faults; holds up to 0",
                _hybrid_never_rises,
            ),
            Conclusion(
                "hybrid_kinds",
                "At the smallest budget Compaction-Hybrid has both bootstrap faults and flush misses",
                "the smaller of the two counts; holds above 0",
                _hybrid_kinds,
            ),
            Conclusion(
                "own_kinds",
                "Each of the four features, when removed, causes faults of its own kinds only",
                "faults of other kinds; holds at 0",
                _own_kinds,
            ),
            Conclusion(
                "each_needed",
                "Each of the four features, when removed, causes at least one fault",
                "fewest faults that one causes; holds above 0",
                _each_needed,
            ),
            Conclusion(
                "free_features",
                "Removing upgrade scoring or prefetch causes no fault",
                "faults that they cause; holds at 0",
                _free_features,
            ),
            Conclusion(
                "lru_tokens",
                "LRU needs no more page-in tokens than ClawVM's utility score",
                "quotient of the tokens; holds up to 1",
                _lru_tokens,
            ),
            Conclusion(
                "lookahead_saves",
                "The look-ahead oracle needs no more page-in tokens than ClawVM, whose score it extends",
                "quotient of the tokens; holds up to 1",
                _lookahead_saves,
            ),
            Conclusion(
                "lookahead_fewest",
                "The look-ahead oracle needs no more page-in tokens than either of LRU and ClawVM",
                "quotient by the better of the two; holds up to 1",
                _lookahead_fewest,
            ),
            *TASK_CONCLUSIONS,
        )
    }
)
