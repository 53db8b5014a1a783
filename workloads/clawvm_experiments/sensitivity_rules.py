"""The counts that conclusions are judged by, and what a conclusion is.

===========  ====================================================================================
CountTable   the counts of a sweep (families x budgets x policies), its ablations and the tasks
Verdict      whether a conclusion holds, and the number behind it
Conclusion   a statement, what its number means, and the function that judges it
===========  ====================================================================================
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from clawvm_replay.metrics import DIGITS, CellMetrics
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.faults import Verdict, thrash_index
from clawvm_runtime.vocabulary import FaultKind, Level, RecallOutcome, level_from_name

__all__ = [
    "RULE_SETS",
    "Conclusion",
    "CountTable",
    "CountTableVerdict",
    "CountingRules",
    "Counts",
    "count",
    "facts_of_run",
    "metrics_counts",
]


# --- The facts of one run, read from its decision trace: what every way of counting has to start from.

_FLOOR_FAULTS = (FaultKind.PINNED_INVARIANT_MISS.value, FaultKind.POST_COMPACTION_BOOTSTRAP.value)


@dataclass(frozen=True, slots=True)
class Access:
    """One access.

    ``below``: the resident level was below the needed one. ``met``: the prompt assembled for the turn holds the needed
    level. ``repeated``: a tool call whose signature ran before. ``ran_again``: a call of a tool that is not
    deterministic, which gave a page before. ``seen_before``: the page was accessed in an earlier turn.
    """

    turn: int
    page: str
    verdict: Verdict
    below: bool
    met: bool
    under_pressure: bool
    repeated: bool
    ran_again: bool
    seen_before: bool
    page_in_tokens: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A page below its minimum in one prompt.

    ``counted``: the observer counted a fault here. ``first``: the prompt in which this loss began.
    """

    kind: FaultKind
    page: str
    under_pressure: bool
    counted: bool
    first: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """A look-up of memory; ``reasoned`` tells whether the model learns the reason of an empty answer."""

    outcome: RecallOutcome
    reasoned: bool


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts of a run; ``destroyed_updates`` has the number of updates for each page and boundary that lost some."""

    accesses: tuple[Access, ...]
    shortfalls: tuple[Shortfall, ...]
    lookups: tuple[Lookup, ...]
    destroyed_updates: tuple[int, ...]
    pressure_turns: int


def facts_of_run(events: Iterable[Event]) -> RunFacts:
    """Return the facts of the run that produced *events*, one pass, O(events)."""
    reader = _Reader()
    for event in events:
        reader.take(event)
    reader.settle()
    return RunFacts(
        tuple(reader.accesses),
        tuple(reader.shortfalls),
        tuple(reader.lookups),
        tuple(reader.destroyed_updates),
        reader.pressure_turns,
    )


class _Reader:
    """Reads events in their order and keeps what later ones refer to."""

    def __init__(self) -> None:
        self.accesses: list[Access] = []
        self.shortfalls: list[Shortfall] = []
        self.lookups: list[Lookup] = []
        self.destroyed_updates: list[int] = []
        self.pressure_turns = 0
        self._known_pages: set[str] = set()
        self._page_of_update: dict[int, str] = {}
        self._first_turn: dict[str, int] = {}
        self._signatures: set[str] = set()
        self._repeated_signature: str | None = None
        self._ran_again = False
        self._open: list[tuple[Event, bool]] = []
        self._prompt: Event | None = None
        self._under_pressure = False
        self._floor_faults: list[Event] = []
        self._lost: dict[str, tuple[FaultKind, Level]] = {}

    def take(self, event: Event) -> None:
        kind = event["event"]
        if kind == "pressure":
            self._under_pressure = True
            return
        if kind == "fault":
            if event["fault"] in _FLOOR_FAULTS:
                self._floor_faults.append(event)
            return
        self.settle()
        if kind == "demand":
            self._demand(event)
        elif kind == "tool":
            self._tool(event)
        elif kind == "page":
            self._known_pages.add(event["page"])
        elif kind == "stage":
            self._page_of_update[event["entry"]] = event["page"]
        elif kind == "lost":
            # An update of a page that was never declared has no page that could be dirty.
            pages = (self._page_of_update[entry] for entry in event["entries"])
            self.destroyed_updates.extend(Counter(page for page in pages if page in self._known_pages).values())
        elif kind == "recall":
            self.lookups.append(Lookup(RecallOutcome(event["outcome"]), event["reasoned"]))
        elif kind == "assemble":
            self._prompt = event

    def _demand(self, event: Event) -> None:
        self._open.append((event, self._ran_again))
        self._ran_again = False
        self._first_turn.setdefault(event["page"], event["turn"])
        if event["signature"] is not None:
            self._repeated_signature = event["signature"]

    def _tool(self, event: Event) -> None:
        # The engine judges a repeated call before it answers it, but runs a new one, or one whose tool is not
        # deterministic, before it judges the access: only then the demand comes behind the tool event.
        signature = event["signature"]
        if signature == self._repeated_signature:
            self._repeated_signature = None
        elif event["page"] is not None:
            self._ran_again = signature in self._signatures
        if event["page"] is not None:
            self._signatures.add(signature)

    def settle(self) -> None:
        """Close the turn of the last prompt, if it is open: whatever belongs to it has been read."""
        if self._prompt is None:
            return
        levels = {page: level_from_name(name) for page, name in self._prompt["levels"].items()}
        self._settle_accesses(levels)
        self._settle_floors(levels)
        self.pressure_turns += self._under_pressure
        self._prompt = None
        self._under_pressure = False

    def _settle_accesses(self, levels: dict[str, Level]) -> None:
        for event, ran_again in self._open:
            page, needed = event["page"], level_from_name(event["level"])
            self.accesses.append(
                Access(
                    turn=event["turn"],
                    page=page,
                    verdict=Verdict(event["verdict"]),
                    below=level_from_name(event["resident"]) < needed,
                    met=levels.get(page, Level.NONE) >= needed,
                    under_pressure=self._under_pressure,
                    repeated=event["signature"] is not None,
                    ran_again=ran_again,
                    seen_before=self._first_turn[page] < event["turn"],
                    page_in_tokens=event["page_in_tokens"],
                )
            )
        self._open.clear()

    def _settle_floors(self, levels: dict[str, Level]) -> None:
        counted = {event["page"]: event for event in self._floor_faults}
        self._floor_faults.clear()
        began = counted.keys() - self._lost.keys()
        for page, event in counted.items():
            self._lost[page] = (FaultKind(event["fault"]), level_from_name(event["minimum"]))
        for page, (kind, minimum) in list(self._lost.items()):
            if levels.get(page, Level.NONE) >= minimum:
                del self._lost[page]
            else:
                self.shortfalls.append(Shortfall(kind, page, self._under_pressure, page in counted, page in began))


# --- Counting again: the numbers of a run under other counting rules than the fault observer's.


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


# --- The counts that conclusions are judged by, and what a conclusion is.


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

    def faults(self, policy: str, budget: int | None = None) -> int:
        """Return the total of explicit faults."""
        return sum(item.explicit_faults for item in self.of(policy, budget))

    def faults_of_kinds(self, policy: str, kinds: Iterable[FaultKind], budget: int | None = None) -> int:
        """Return the total of faults of these kinds."""
        wanted = tuple(kinds)
        return sum(item.faults[kind] for item in self.of(policy, budget) for kind in wanted)

    def thrash(self, policy: str, budget: int | None = None) -> float:
        """Return the mean thrash index over the runs."""
        runs = self.of(policy, budget)
        return round(math.fsum(item.thrash_index for item in runs) / len(runs), DIGITS)

    def page_in_tokens(self, policy: str, budget: int | None = None) -> int:
        """Return the total of page-in tokens."""
        return sum(item.page_in_tokens for item in self.of(policy, budget))


@dataclass(frozen=True, slots=True)
class CountTableVerdict:
    """Whether a conclusion holds, None where it was not tried; and its number, None where there is none."""

    holds: bool | None
    number: float | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A statement about the counts; ``number`` says what the verdict's number is and when the statement holds."""

    id: str
    statement: str
    number: str
    judge: Callable[[CountTable], CountTableVerdict]
