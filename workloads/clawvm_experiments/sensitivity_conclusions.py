"""From the rows of all settings to results: the matrix, what breaks each conclusion, the findings.

==========  =================================================================================
summarize   the results; ``findings`` are the numbers that claims refer to
==========  =================================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from clawvm_experiments.experiment import Row, family_trace
from clawvm_experiments.sensitivity_rules import Conclusion, Counts, CountTable, metrics_counts
from clawvm_experiments.sensitivity_rules import CountTableVerdict as Verdict
from clawvm_experiments.sensitivity_settings import GROUPS, Setting, select_in_one_order
from clawvm_replay.metrics import DIGITS
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.vocabulary import FaultKind
from clawvm_workloads.families import FAMILIES
from clawvm_workloads.generated import generate
from clawvm_workloads.tasks import TASKS, category_of, task_trace

__all__ = [
    "CONCLUSIONS",
    "FREE_FEATURES",
    "OWN_KINDS",
    "STRUCTURED",
    "TASK_BUDGET",
    "compare_orders",
    "summarize",
    "task_counts",
]


# --- The conclusions of the task replays, for the settings of the simulated harness.

HYBRID = "compaction_hybrid"

TASK_BUDGET = 180
"""The published budget of the failures, in tokens."""


@cache
def _trace(task: str, budget: int) -> Trace:
    return task_trace(task, budget)


@cache
def _plain_counts(task: str, budget: int, policy: Policy) -> Counts:
    return metrics_counts(replay_trace(_trace(task, budget), policy))


def task_counts(setting: Setting, budgets: Sequence[int]) -> Iterator[Counts]:
    """Yield the counts of every plain task: ClawVM at each of *budgets* (tokens), Compaction-Hybrid at TASK_BUDGET.

    The setting's changes of traces and policies apply. Nothing is yielded without budgets.
    """
    runs = [("clawvm", budget) for budget in budgets] + ([(HYBRID, TASK_BUDGET)] if budgets else [])
    for policy_id, budget in runs:
        policy = setting.policy(POLICIES[policy_id])
        for task in TASKS:
            if setting.trace_change is not None and setting.changes_runs_of(policy):
                changed = setting.trace_change(_trace(task, budget))
                counts = metrics_counts(replay_trace(changed, policy))
            else:
                counts = _plain_counts(task, budget, policy)
            # The category is looked up by the task's name, whatever its trace calls itself.
            yield dataclasses.replace(counts, workload=task)


def _of(table: CountTable, policy: str) -> list[Counts]:
    return [item for item in table.tasks if item.policy == policy]


def _failures(table: CountTable) -> list[Counts]:
    return [item for item in _of(table, HYBRID) if item.explicit_faults]


def _about_failures(number: Callable[[list[Counts]], int]) -> Callable[[CountTable], Verdict]:
    """Return the judge of a statement about the failures: *number* must be 0, and without a failure it has no case."""

    def judge(table: CountTable) -> Verdict:
        if not table.tasks:
            return Verdict(None, None)
        failures = _failures(table)
        return Verdict(number(failures) == 0, number(failures)) if failures else Verdict(False, None)

    return judge


def _other_than_bootstrap(failures: Sequence[Counts]) -> int:
    return sum(item.explicit_faults - item.faults[FaultKind.POST_COMPACTION_BOOTSTRAP] for item in failures)


def _outside_debugging(failures: Sequence[Counts]) -> int:
    return sum(category_of(item.workload) != "debugging" for item in failures)


def _clawvm_faults(table: CountTable) -> Verdict:
    if not table.tasks:
        return Verdict(None, None)
    faults = sum(item.explicit_faults for item in _of(table, "clawvm"))
    return Verdict(faults == 0, faults)


TASK_CONCLUSIONS: tuple[Conclusion, ...] = (
    Conclusion(
        "task_kinds",
        f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only by bootstrap faults",
        "other faults in the tasks that fail; holds at 0 if one fails",
        _about_failures(_other_than_bootstrap),
    ),
    Conclusion(
        "task_debugging",
        f"In the tasks at {TASK_BUDGET} tokens Compaction-Hybrid fails, and only in debugging",
        "failed tasks of other categories; holds at 0 if one fails",
        _about_failures(_outside_debugging),
    ),
    Conclusion(
        "task_clawvm",
        "ClawVM ends every task that is tried without a fault",
        "faults in its tasks; holds at 0",
        _clawvm_faults,
    ),
)


# --- The conclusions of the evaluation as functions of its counts, so that any setting can put them to the test.

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


# --- From the rows of all settings to results: the matrix, what breaks each conclusion, the findings.

RULES_OF_THE_CACHE = ("page_in_fault", "judged_after")
"""Rule sets under which the credit for pointer resolution may vanish."""


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the matrix of conclusions and settings, what breaks each conclusion, and the findings."""
    entries = [entry for row in rows for entry in row["tried"]]
    by_id = {entry["id"]: entry for entry in entries}
    default = by_id["default"]
    like_default, like_another = _same_runs(entries, default)
    settings = [_setting_record(entry, default) for entry in entries]
    conclusions = [_conclusion_record(name, default, settings) for name in CONCLUSIONS]
    recounts = [row["recount_equals_engine"] for row in rows if row["recount_equals_engine"] is not None]
    findings: dict[str, Any] = {
        "settings": len(settings) - 1,
        "settings_that_change_a_total": sum(item["changed_totals"] > 0 for item in settings),
        "conclusions": len(conclusions),
        "conclusions_that_survive_all": sum(item["survives_all"] for item in conclusions),
        "conclusions_that_only_recounting_breaks": sum(
            item["holds_by_default"] and bool(item["broken"]) and not item["broken_without_recounting"]
            for item in conclusions
        ),
        "default_recount_equals_engine": bool(recounts) and all(recounts),
        "settings_with_the_runs_of_the_default": len(like_default),
        "settings_with_the_runs_of_another": len(like_another),
        "pressure_turns_by_default": sum(
            total["pressure_turns"] for totals in default["totals"].values() for total in totals
        ),
        **_order_findings(rows, by_id),
    }
    for rule_id in RULES_OF_THE_CACHE:
        findings[f"{rule_id}_makes_cache_equal_retrieval"] = _cache_equals_retrieval(by_id[rule_id])
    for item in conclusions:
        findings[f"claim_{item['id']}_survives_all"] = item["survives_all"]
        findings[f"claim_{item['id']}_settings_tried"] = item["tried"]
        findings[f"claim_{item['id']}_settings_broken"] = len(item["broken"])
        findings[f"claim_{item['id']}_broken_without_recounting"] = item["broken_without_recounting"]
    return {
        "conclusions": conclusions,
        "settings": settings,
        "runs_of_the_default": like_default,
        "runs_of_another": like_another,
        "findings": findings,
    }


def _setting_record(entry: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    pairs = [
        (total, usual)
        for policy, totals in entry["totals"].items()
        for total, usual in zip(totals, default["totals"][policy])
    ]
    return {
        **{name: entry[name] for name in ("id", "group", "title", "recounted", "holds", "numbers")},
        "changed_totals": sum(total != usual for total, usual in pairs),
        "changed_fault_totals": sum(total["faults"] != usual["faults"] for total, usual in pairs),
        "of_totals": len(pairs),
    }


def _conclusion_record(name: str, default: Mapping[str, Any], settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    others = [item for item in settings if item["id"] != "default"]
    # None is a setting under which the conclusion was not tried.
    broken = [item for item in others if item["holds"][name] is False]
    numbers = [item["numbers"][name] for item in settings if item["numbers"][name] is not None]
    conclusion = CONCLUSIONS[name]
    return {
        "id": name,
        "statement": conclusion.statement,
        "number": conclusion.number,
        "holds_by_default": default["holds"][name] is True,
        "default_number": default["numbers"][name],
        "lowest_number": min(numbers, default=None),
        "highest_number": max(numbers, default=None),
        "tried": sum(item["holds"][name] is not None for item in others),
        "survives_all": default["holds"][name] is True and not broken,
        "broken": [item["id"] for item in broken],
        "broken_without_recounting": sum(not item["recounted"] for item in broken),
        "broken_by_group": {group: sum(item["group"] == group for item in broken) for group in GROUPS},
    }


def _same_runs(entries: Sequence[Mapping[str, Any]], default: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the settings whose runs are all the default's, and those whose runs are all another setting's.

    Rule sets are no settings of a run and are left out.
    """
    like_default, like_another = [], []
    known: set[str] = set()
    for entry in entries:
        if entry["recounted"] or entry["id"] == "default":
            continue
        if entry["runs"] == default["runs"]:
            like_default.append(entry["title"])
        elif entry["runs"] in known:
            like_another.append(entry["title"])
        known.add(entry["runs"])
    return like_default, like_another


def _order_findings(rows: Sequence[Row], by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what floors and demands in one order change, with and without pressure."""
    orders = next(row["orders"] for row in rows if row["orders"] is not None)
    parts = (orders["generated"], orders["families"])
    changed, kept = by_id["one_order"]["totals"], by_id["default"]["totals"]
    totals_stay = all(
        total == usual
        for policy in STRUCTURED
        for total, usual in zip(changed[policy], kept[policy])
        if not usual["pressure_turns"]
    )
    runs_stay = not any(part["changed_without"] for part in parts)
    return {
        "one_order_changes_nothing_without_pressure": totals_stay and runs_stay,
        "one_order_changes_under_pressure": sum(part["changed_under"] for part in parts),
        "one_order_changes_under_pressure_in_families": orders["families"]["changed_under"],
        "one_order_runs_under_pressure": sum(part["under_pressure"] for part in parts),
        "one_order_runs_without_pressure": sum(part["without_pressure"] for part in parts),
    }


def _cache_equals_retrieval(entry: Mapping[str, Any]) -> bool:
    """Return whether Retrieval+Cache has Retrieval's faults at every budget."""
    cache_totals, retrieval_totals = (entry["totals"][policy] for policy in ("retrieval_cache", "retrieval"))
    return all(own["faults"] == other["faults"] for own, other in zip(cache_totals, retrieval_totals))


# --- Floors before demands against one order of installation, where the two can differ.


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
