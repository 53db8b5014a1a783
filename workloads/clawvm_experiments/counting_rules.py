"""The counting rules: the numbers of a run under other rules than the fault observer's.

A rule set names one change of the counting, or a few together; a run that the reference model saw is counted under any.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from clawvm_replay.metrics import DIGITS, CellMetrics
from clawvm_runtime.vocabulary import FaultKind, RecallOutcome
from clawvm_workloads.reference_model import Access, Recall, Shortfall, Witness

__all__ = ["RULE_SETS", "CountingRules", "Counts", "count", "metrics_counts", "with_prompts"]


@dataclass(frozen=True, slots=True)
class CountingRules:
    """Every counting decision; each default is what the fault observer does.

    ``pinned_miss`` and ``bootstrap`` say what counts as one fault: a whole loss, a boundary, or every prompt without
    the page. ``first_access`` makes a first appearance `cold`, a hit, or judged like any other access.
    ``judged_against`` is the prompt before the access or the one after it. ``alerts`` are repeated calls that were
    served, only those that were paged in, or every one. ``new_content_is_cold`` is about pages that an edit replaced,
    ``new_result_is_cold`` about repeated calls of tools that are not deterministic.
    """

    pinned_miss: Literal["loss", "prompt"] = "loss"
    bootstrap: Literal["boundary", "loss", "prompt"] = "boundary"
    first_access: Literal["cold", "hit", "judged"] = "cold"
    new_content_is_cold: bool = True
    new_result_is_cold: bool = True
    page_in_is_hit: bool = True
    judged_against: Literal["last_prompt", "next_prompt"] = "last_prompt"
    unmet_is_fault: bool = True
    every_access_counts: bool = True
    pressure_is_excused: bool = True
    silent_no_match: bool = False
    flush_miss_per_update: bool = False
    alerts: Literal["served", "page_in", "every"] = "served"
    alerts_in_thrash: bool = True
    page_ins_in_thrash: bool = False

    def verdict(self, access: Access) -> str:
        """Return the verdict on *access* under these rules: `cold`, `hit`, `page_in` or `fault`."""
        verdict = access.verdict
        if verdict == "cold":
            if access.ran_again:
                return "cold" if self.new_result_is_cold else "fault"
            if access.seen_before and not self.new_content_is_cold:
                return "fault"
            if self.first_access == "judged":
                return "fault" if access.resident < access.level else "hit"
            return self.first_access
        if self.judged_against == "next_prompt":
            return "hit" if access.met else "fault"
        return "fault" if verdict == "page_in" and not self.page_in_is_hit else verdict

    def is_alert(self, access: Access, verdict: str) -> bool:
        """Return whether *access* is a duplicate-signature alert."""
        alerts = {"served": ("hit", "page_in"), "page_in": ("page_in",)}
        return access.repeated and (self.alerts == "every" or verdict in alerts[self.alerts])

    def counts_shortfall(self, shortfall: Shortfall) -> bool:
        """Return whether a page below its minimum in one prompt is a fault."""
        if shortfall.bootstrap:
            return {"boundary": shortfall.counted, "loss": shortfall.first, "prompt": True}[self.bootstrap]
        return shortfall.counted or self.pinned_miss == "prompt"

    def is_silent(self, recall: Recall) -> bool:
        """Return whether a memory query is a silent recall."""
        empty = [RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR]
        if self.silent_no_match:
            empty.append(RecallOutcome.NO_MATCH)
        return not recall.reasoned and recall.outcome in empty


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A named rule set; ``title`` names the change."""

    id: str
    title: str
    rules: CountingRules


_STRICT = CountingRules(
    pinned_miss="prompt",
    bootstrap="prompt",
    pressure_is_excused=False,
    silent_no_match=True,
    flush_miss_per_update=True,
)
_LENIENT = CountingRules(bootstrap="loss", unmet_is_fault=False, every_access_counts=False)

RULE_SETS: Mapping[str, RuleSet] = MappingProxyType(
    {
        item.id: item
        for item in (
            RuleSet("default", "the observer's own rules", CountingRules()),
            RuleSet("pinned_each_prompt", "pinned miss in every prompt", CountingRules(pinned_miss="prompt")),
            RuleSet("bootstrap_each_prompt", "bootstrap fault in every prompt", CountingRules(bootstrap="prompt")),
            RuleSet("bootstrap_per_loss", "bootstrap fault once a loss", CountingRules(bootstrap="loss")),
            RuleSet("first_access_judged", "first access judged like any other", CountingRules(first_access="judged")),
            RuleSet("first_access_hit", "first access is a hit", CountingRules(first_access="hit")),
            RuleSet("new_content_fault", "edited page read again is a fault", CountingRules(new_content_is_cold=False)),
            RuleSet("new_result_fault", "call run again for news is a fault", CountingRules(new_result_is_cold=False)),
            RuleSet("page_in_fault", "page-in is a fault", CountingRules(page_in_is_hit=False)),
            RuleSet("judged_after", "judged against the prompt after", CountingRules(judged_against="next_prompt")),
            RuleSet("unmet_ignored", "unmet demand is no fault", CountingRules(unmet_is_fault=False)),
            RuleSet("once_a_turn", "one fault a page and turn", CountingRules(every_access_counts=False)),
            RuleSet("pressure_counted", "pressure counted to the policy", CountingRules(pressure_is_excused=False)),
            RuleSet("no_match_silent", "no match is a silent recall too", CountingRules(silent_no_match=True)),
            RuleSet("flush_miss_per_update", "flush miss per update", CountingRules(flush_miss_per_update=True)),
            RuleSet("alerts_below_level", "no alert where resident", CountingRules(alerts="page_in")),
            RuleSet("alerts_every_repeat", "alert at every repeat, faults too", CountingRules(alerts="every")),
            RuleSet("thrash_without_alerts", "thrash without alerts", CountingRules(alerts_in_thrash=False)),
            RuleSet("thrash_with_page_ins", "thrash with page-ins", CountingRules(page_ins_in_thrash=True)),
            RuleSet("strict", "strict counting of lost state", _STRICT),
            RuleSet("lenient", "lenient counting", _LENIENT),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one run; ``page_in_tokens`` are those that the store had to deliver, however they were counted.

    The last four fields describe the prompts themselves, which no counting rule changes: ``with_prompts`` fills them.
    """

    workload: str
    budget: int
    policy: str
    faults: Mapping[FaultKind, int]
    pressure_faults: int
    alerts: int
    hits: int
    page_ins: int
    page_in_tokens: int
    unmet_demands: int
    pressure_turns: int
    thrash_index: float
    plan_below_floor_turns: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    prompt_cost: float = 0.0

    @property
    def explicit_faults(self) -> int:
        """Policy-controllable faults of all kinds."""
        return sum(self.faults.values())


def count(seen: Witness, rules: CountingRules, *, workload: str, budget: int, policy: str) -> Counts:
    """Return the counts of a run under *rules*, O(accesses); workload, budget (tokens) and policy only label them."""
    faults = dict.fromkeys(FaultKind, 0)
    excused = dict.fromkeys(FaultKind, 0)
    alerts = hits = page_ins = page_in_tokens = unmet = 0
    faulted: set[tuple[int, str]] = set()
    for access in seen.accesses:
        verdict = rules.verdict(access)
        unmet += not access.met
        alerts += rules.is_alert(access, verdict)
        if verdict == "fault" or (rules.unmet_is_fault and not access.met):
            if rules.every_access_counts or (access.turn, access.page_id) not in faulted:
                faulted.add((access.turn, access.page_id))
                duplicate = access.repeated or (access.ran_again and not rules.new_result_is_cold)
                kind = FaultKind.DUPLICATE_TOOL if duplicate else FaultKind.REFETCH
                (excused if access.pressed and rules.pressure_is_excused else faults)[kind] += 1
        elif verdict != "cold":
            hits += 1
        if access.verdict == "page_in" and (access.met or not rules.unmet_is_fault):
            page_ins += 1
            page_in_tokens += access.cost
    for shortfall in filter(rules.counts_shortfall, seen.shortfalls):
        kind = FaultKind.POST_COMPACTION_BOOTSTRAP if shortfall.bootstrap else FaultKind.PINNED_INVARIANT_MISS
        (excused if shortfall.pressed and rules.pressure_is_excused else faults)[kind] += 1
    faults[FaultKind.SILENT_RECALL] = sum(map(rules.is_silent, seen.recalls))
    faults[FaultKind.FLUSH_MISS] = sum(seen.destroyed) if rules.flush_miss_per_update else len(seen.destroyed)
    signals = (alerts if rules.alerts_in_thrash else 0) + (page_ins if rules.page_ins_in_thrash else 0)
    return Counts(
        workload=workload,
        budget=budget,
        policy=policy,
        faults=faults,
        pressure_faults=sum(excused.values()),
        alerts=alerts,
        hits=hits,
        page_ins=page_ins,
        page_in_tokens=page_in_tokens,
        unmet_demands=unmet,
        pressure_turns=len(seen.pressed_turns),
        thrash_index=round((sum(faults.values()) + signals) / (hits + 1), DIGITS),
    )


def metrics_counts(metrics: CellMetrics) -> Counts:
    """Return the engine's own tally of a run."""
    same = (
        "workload",
        "budget",
        "policy",
        "pressure_faults",
        "alerts",
        "hits",
        "page_ins",
        "page_in_tokens",
        "unmet_demands",
        "pressure_turns",
        "thrash_index",
    )
    faults = {kind: getattr(metrics, kind.value) for kind in FaultKind}
    return Counts(faults=faults, **{name: getattr(metrics, name) for name in same})


def with_prompts(counts: Counts, metrics: CellMetrics) -> Counts:
    """Return *counts* with what *metrics* of the same run say about its prompts."""
    same = ("plan_below_floor_turns", "prompt_tokens", "reused_tokens", "prompt_cost")
    return dataclasses.replace(counts, **{name: getattr(metrics, name) for name in same})
