"""Counting again: the numbers of a run under other counting rules than the fault observer's.

=================  ==============================================================================
CountingRules      every counting decision as a field; the defaults are the observer's own rules
RuleSet            a named rule set with the words that say what it changes
RULE_SETS          the default and the alternatives by id
Counts             what one run amounts to
count              from facts and rules to counts
metrics_counts     the counts that the engine's own tally gave
=================  ==============================================================================

The default rules reproduce the engine's tally exactly; the experiment checks it on every run that it recounts.
Meaning of the defaults: ``docs/fault-model.md``. What each alternative stands for: ``docs/sensitivity.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from clawvm_experiments.sensitivity.run_facts import Access, Lookup, RunFacts, Shortfall
from clawvm_replay.metrics import DIGITS, CellMetrics
from clawvm_runtime.faults import Verdict, thrash_index
from clawvm_runtime.vocabulary import FaultKind, RecallOutcome

__all__ = ["DEFAULT_RULES", "RULE_SETS", "CountingRules", "Counts", "RuleSet", "count", "metrics_counts"]


@dataclass(frozen=True, slots=True)
class CountingRules:
    """Every counting decision; each default is what the fault observer does.

    ``pinned_miss`` and ``bootstrap`` say what one fault stands for: a whole loss, a boundary, or every prompt without
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

    def verdict(self, access: Access) -> Verdict:
        """Return the verdict on *access* under these rules."""
        verdict = access.verdict
        if verdict is Verdict.COLD:
            if access.ran_again:
                return Verdict.COLD if self.new_result_is_cold else Verdict.FAULT
            if access.seen_before and not self.new_content_is_cold:
                return Verdict.FAULT
            if self.first_access == "judged":
                return Verdict.FAULT if access.below else Verdict.HIT
            return Verdict.HIT if self.first_access == "hit" else Verdict.COLD
        if self.judged_against == "next_prompt":
            return Verdict.HIT if access.met else Verdict.FAULT
        if verdict is Verdict.PAGE_IN and not self.page_in_is_hit:
            return Verdict.FAULT
        return verdict

    def is_alert(self, access: Access, verdict: Verdict) -> bool:
        """Return whether *access* is a duplicate-signature alert."""
        if not access.repeated:
            return False
        if self.alerts == "every":
            return True
        return verdict is Verdict.PAGE_IN or (verdict is Verdict.HIT and self.alerts == "served")

    def counts_shortfall(self, shortfall: Shortfall) -> bool:
        """Return whether a page below its minimum in one prompt is a fault."""
        if shortfall.kind is FaultKind.POST_COMPACTION_BOOTSTRAP:
            return {"boundary": shortfall.counted, "loss": shortfall.first, "prompt": True}[self.bootstrap]
        return shortfall.counted or self.pinned_miss == "prompt"

    def is_silent(self, lookup: Lookup) -> bool:
        """Return whether a look-up is a silent recall."""
        empty = [RecallOutcome.DENIED, RecallOutcome.BACKEND_ERROR]
        if self.silent_no_match:
            empty.append(RecallOutcome.NO_MATCH)
        return not lookup.reasoned and lookup.outcome in empty


DEFAULT_RULES = CountingRules()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A named rule set; ``title`` says what it changes."""

    id: str
    title: str
    rules: CountingRules


RULE_SETS: Mapping[str, RuleSet] = MappingProxyType(
    {
        item.id: item
        for item in (
            RuleSet("default", "the observer's own rules", DEFAULT_RULES),
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
            RuleSet(
                "strict",
                "strict counting of lost state",
                CountingRules(
                    pinned_miss="prompt",
                    bootstrap="prompt",
                    pressure_is_excused=False,
                    silent_no_match=True,
                    flush_miss_per_update=True,
                ),
            ),
            RuleSet(
                "lenient",
                "lenient counting",
                CountingRules(bootstrap="loss", unmet_is_fault=False, every_access_counts=False),
            ),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run amounts to; ``page_in_tokens`` are what the store had to deliver, whatever it was counted as."""

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

    @property
    def explicit_faults(self) -> int:
        """Policy-controllable faults of all kinds."""
        return sum(self.faults.values())


def count(facts: RunFacts, rules: CountingRules, *, workload: str, budget: int, policy: str) -> Counts:
    """Return the counts of a run under *rules*; workload, budget (tokens) and policy id only label them. O(facts)."""
    faults = dict.fromkeys(FaultKind, 0)
    excused = dict.fromkeys(FaultKind, 0)
    alerts = hits = page_ins = page_in_tokens = 0
    faulted: set[tuple[int, str]] = set()
    for access in facts.accesses:
        verdict = rules.verdict(access)
        alerts += rules.is_alert(access, verdict)
        if verdict is Verdict.FAULT or (rules.unmet_is_fault and not access.met):
            if rules.every_access_counts or (access.turn, access.page) not in faulted:
                faulted.add((access.turn, access.page))
                duplicate = access.repeated or (access.ran_again and not rules.new_result_is_cold)
                kind = FaultKind.DUPLICATE_TOOL if duplicate else FaultKind.REFETCH
                (excused if access.under_pressure and rules.pressure_is_excused else faults)[kind] += 1
        elif verdict is not Verdict.COLD:
            hits += 1
        if access.verdict is Verdict.PAGE_IN and (access.met or not rules.unmet_is_fault):
            page_ins += 1
            page_in_tokens += access.page_in_tokens
    for shortfall in facts.shortfalls:
        if rules.counts_shortfall(shortfall):
            (excused if shortfall.under_pressure and rules.pressure_is_excused else faults)[shortfall.kind] += 1
    faults[FaultKind.SILENT_RECALL] = sum(map(rules.is_silent, facts.lookups))
    faults[FaultKind.FLUSH_MISS] = (
        sum(facts.destroyed_updates) if rules.flush_miss_per_update else len(facts.destroyed_updates)
    )
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
        unmet_demands=sum(not access.met for access in facts.accesses),
        pressure_turns=facts.pressure_turns,
        thrash_index=round(thrash_index(sum(faults.values()), signals, hits), DIGITS),
    )


def metrics_counts(metrics: CellMetrics) -> Counts:
    """Return what the engine's own tally says of a run."""
    return Counts(
        workload=metrics.workload,
        budget=metrics.budget,
        policy=metrics.policy,
        faults={kind: getattr(metrics, kind.value) for kind in FaultKind},
        pressure_faults=metrics.pressure_faults,
        alerts=metrics.alerts,
        hits=metrics.hits,
        page_ins=metrics.page_ins,
        page_in_tokens=metrics.page_in_tokens,
        unmet_demands=metrics.unmet_demands,
        pressure_turns=metrics.pressure_turns,
        thrash_index=metrics.thrash_index,
    )
