"""What an adversarial scenario is: a hostile session, what must hold in it, and how that can be made to fail.

A check that no control can break proves nothing, so every kind of check is broken by a control of some scenario.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts
from clawvm_replay.trace_format import Trace
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt, Engine, ToolAnswer, ToolCall, ToolResult
from clawvm_runtime.journal import Journal, MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import FEATURES, Policy
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, ToolOutcome
from clawvm_workloads.reference_model import Levels, WitnessTurn, witness

__all__ = [
    "BUDGET",
    "CHECKS",
    "DURABILITY",
    "GUIDE",
    "HALF_EMPTY",
    "INJECTED_FAULTS",
    "NOT_IN_PROMPTS",
    "NOT_IN_TRACE",
    "OVERFULL",
    "OVERSTATED",
    "PLAN",
    "RESIDENCY",
    "TASTE",
    "UNDERSTATED",
    "Check",
    "Control",
    "Harness",
    "Scenario",
    "ScenarioRun",
    "Script",
    "from_script",
    "from_trace",
    "note",
    "page",
    "play",
    "removal",
    "result",
    "values_check",
]

BUDGET = 120
"""Token budget of most scenarios: the smallest of the sweep."""

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "no_controllable_fault": "no policy-controllable fault",
        "within_budget": "every prompt within its budget, its blocks adding up",
        "pressure_exact": "pressure reported in exactly the turns, and with exactly the tokens, that the trace implies",
        "floors_hold": "every floor in every prompt where the floors fit; the instructions' where only those fit",
        "demands_met": "every demand in every prompt where the minimum set fits",
        "nothing_lost": "no staged update lost",
        "nothing_overwritten": "no committed value replaced unseen",
        "rejections_exact": "exactly the bad updates rejected, each with its code",
        "values_exact": "every committed value and version as expected",
        "recovered": "the journal, opened again, has the same values and versions",
        "journal_alone": "the journal without an engine comes to the same values, versions and codes",
        "runs_exact": "every tool run as often as needed, and no more",
        "answers_exact": "every answer has the content of the call's own latest result",
        "refusal_clean": "a refused result leaves the page, the signatures and the books as they were",
    }
)

RESIDENCY = ("no_controllable_fault", "within_budget", "pressure_exact", "floors_hold", "demands_met")
"""The checks of every scenario that is a trace."""

DURABILITY = ("nothing_lost", "nothing_overwritten", "rejections_exact")
"""The checks of every scenario that stages updates."""


@dataclass(frozen=True, slots=True)
class Check:
    """One must-hold check: whether it held, and what was seen, in words."""

    name: str
    holds: bool
    observed: str = ""

    def __post_init__(self) -> None:
        if self.name not in CHECKS:
            raise ValueError(f"unknown check {self.name!r}; known: {', '.join(CHECKS)}")


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """What a scenario showed under one policy.

    ``faults`` are policy-controllable, ``pressure_faults`` are not; both by kind, kinds without a fault left out.
    """

    checks: tuple[Check, ...]
    faults: Mapping[str, int]
    pressure_faults: Mapping[str, int]
    pressure_turns: int
    pressure_tokens: int
    committed: int
    rejected: tuple[str, ...]
    lost: int
    overwritten: int

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the checks that did not hold."""
        return tuple(check.name for check in self.checks if not check.holds)

    @classmethod
    def of(cls, events: Sequence[Event], checks: Iterable[Check] = ()) -> ScenarioRun:
        """Return what a decision trace shows, with the checks that were made of it."""
        by_kind: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            by_kind[event["event"]].append(event)
        faults, pressure_faults = (
            Counter(event["fault"] for event in by_kind["fault"] if event["controllable"] is controllable)
            for controllable in (True, False)
        )
        return cls(
            checks=tuple(checks),
            faults=dict(sorted(faults.items())),
            pressure_faults=dict(sorted(pressure_faults.items())),
            pressure_turns=len(by_kind["pressure"]),
            pressure_tokens=sum(event["missing"] for event in by_kind["pressure"]),
            committed=sum(len(event["entries"]) for event in by_kind["commit"]),
            rejected=tuple(event["code"] for event in by_kind["reject"]),
            lost=sum(len(event["entries"]) for event in by_kind["lost"]),
            overwritten=sum(len(event["overwrote"]) for event in by_kind["commit"]),
        )


# --- Controls: what is taken away from ClawVM so that a check must break.


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that is taken away from ClawVM, and the checks that must break without it.

    ``removal`` are fields of the policy row, ``selector`` takes the place of the engine's, and ``variant`` is for a
    scenario that can leave something out itself, or a fault that is injected into its reports.
    """

    change: str
    breaks: tuple[str, ...]
    removal: Mapping[str, Any] = field(default_factory=dict)
    selector: Selector = select
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A hostile session under ``budget`` tokens, and the controls that must break its checks.

    ``run`` plays it under a policy, with a selector, in a variant; "" is the real one.
    """

    id: str
    title: str
    story: str
    run: Callable[[Policy, Selector, str], ScenarioRun]
    controls: tuple[Control, ...]
    budget: int = BUDGET


def removal(feature_id: str, *breaks: str) -> Control:
    """Return the control that removes one feature of ClawVM."""
    feature = FEATURES[feature_id]
    return Control(f"without {feature.name}", breaks, {feature.field: feature.removed})


def _overfull(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=2 * request.budget))


def _half_empty(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=request.budget // 2))


OVERFULL = Control("a selector that spends twice the budget", ("within_budget",), selector=_overfull)
HALF_EMPTY = Control("a selector that spends half the budget", ("demands_met",), selector=_half_empty)

Falsify = Callable[[int], int]

INJECTED_FAULTS: Mapping[str, tuple[Falsify, Falsify]] = MappingProxyType(
    {
        "pressure reported one token too low": (lambda tokens: max(0, tokens - 1), lambda tokens: max(0, tokens - 1)),
        "pressure reported one token too high": (lambda tokens: tokens + 1, lambda tokens: tokens + 1),
        "pressure left out of the prompts": (lambda tokens: tokens, lambda tokens: 0),
        "pressure left out of the decision trace": (lambda tokens: 0, lambda tokens: tokens),
    }
)
"""Faults injected into the tokens that a run reports as missing: in its decision trace, and in its prompts."""

UNDERSTATED, OVERSTATED, NOT_IN_PROMPTS, NOT_IN_TRACE = (
    Control(change, ("pressure_exact",), variant=change) for change in INJECTED_FAULTS
)


def _with_fault(
    variant: str, events: Sequence[Event], prompts: Sequence[AssembledPrompt]
) -> tuple[list[Event], list[AssembledPrompt]]:
    """Return *events* and *prompts* with a fault of ``INJECTED_FAULTS`` in the pressure that they report.

    Raises ValueError for an unknown variant.
    """
    if not variant:
        return list(events), list(prompts)
    if variant not in INJECTED_FAULTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(INJECTED_FAULTS)}")
    in_trace, in_prompts = INJECTED_FAULTS[variant]
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    claimed = {prompt.turn: in_trace(reported.get(prompt.turn, 0)) for prompt in prompts}
    pressure = [{"event": "pressure", "turn": turn, "missing": tokens} for turn, tokens in claimed.items() if tokens]
    return (
        [*(event for event in events if event["event"] != "pressure"), *pressure],
        [dataclasses.replace(prompt, missing_tokens=in_prompts(prompt.missing_tokens)) for prompt in prompts],
    )


# --- Scenarios that are traces: replayed, and judged by what the trace alone implies.


def from_trace(
    build: Callable[[], Trace], checks: Sequence[str], rejections: tuple[str, ...] = ()
) -> Callable[..., ScenarioRun]:
    """Return how a scenario that is a trace runs; its variants are ``INJECTED_FAULTS``.

    *rejections* are the reject codes that its updates must get, in journal order.
    """
    return partial(_run_trace, build, checks, rejections)


@cache
def _trace_and_witness(build: Callable[[], Trace]) -> tuple[Trace, tuple[WitnessTurn, ...]]:
    trace = build()
    return trace, witness(trace).turns


def _run_trace(
    build: Callable[[], Trace],
    checks: Sequence[str],
    rejections: tuple[str, ...],
    policy: Policy,
    selector: Selector,
    variant: str,
) -> ScenarioRun:
    trace, turns = _trace_and_witness(build)
    decisions = DecisionTrace()
    observed: list[AssembledPrompt] = []
    replay_trace(trace, policy, decisions=decisions, selector=selector, observe=observed.append)
    events, prompts = _with_fault(variant, decisions.events, observed)

    run = ScenarioRun.of(events)
    judged = (
        _no_fault(run),
        _within_budget(prompts, trace.header.budget),
        _pressure(events, prompts, turns),
        _held("floors_hold", prompts, [turn.floors_due for turn in turns]),
        _held("demands_met", prompts, [turn.demands_due for turn in turns]),
        *_durability(run, rejections),
    )
    return dataclasses.replace(run, checks=tuple(check for check in judged if check.name in checks))


def _no_fault(run: ScenarioRun) -> Check:
    return Check("no_controllable_fault", not run.faults, f"{sum(run.faults.values())} faults")


def _within_budget(prompts: Sequence[AssembledPrompt], budget: int) -> Check:
    """Return whether the blocks of every prompt add up to its tokens, and these stay within its budget."""
    over = sum(
        not (sum(block.tokens for block in prompt.blocks) == prompt.tokens <= prompt.budget <= budget)
        for prompt in prompts
    )
    return Check("within_budget", over == 0, f"{over} of {len(prompts)} prompts over")


def _pressure(events: Sequence[Event], prompts: Sequence[AssembledPrompt], turns: Sequence[WitnessTurn]) -> Check:
    """Return whether decision trace and prompts both report what the trace implies."""
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    in_prompts = {prompt.turn: prompt.missing_tokens for prompt in prompts if prompt.missing_tokens}
    implied = {turn.number: turn.missing_tokens for turn in turns if turn.missing_tokens}
    return Check(
        "pressure_exact",
        reported == in_prompts == implied,
        f"reported {len(reported)} turns, {sum(reported.values())} tokens; "
        f"implied {len(implied)} turns, {sum(implied.values())} tokens",
    )


def _held(name: str, prompts: Sequence[AssembledPrompt], due: Sequence[Levels]) -> Check:
    """Return whether every prompt holds what is due in its turn."""
    missed = total = 0
    for prompt, levels in zip(prompts, due):
        held = {block.page_id: block.level for block in prompt.blocks}
        total += len(levels)
        missed += sum(held.get(page_id, Level.NONE) < level for page_id, level in levels.items())
    return Check(name, missed == 0 and len(prompts) == len(due), f"{total - missed} of {total} held")


def _durability(run: ScenarioRun, rejections: tuple[str, ...]) -> list[Check]:
    codes = ", ".join(f"{count} {code}" for code, count in sorted(Counter(run.rejected).items())) or "none"
    return [
        Check("nothing_lost", run.lost == 0, f"{run.lost} lost"),
        Check("nothing_overwritten", run.overwritten == 0, f"{run.overwritten} overwritten"),
        Check("rejections_exact", run.rejected == rejections, codes),
    ]


# --- Scenarios that drive the engine itself, for what a trace cannot hold: contents, values, reopened journals.


class Harness:
    """Drives one engine as a harness would, and counts how often each tool ran."""

    def __init__(self, policy: Policy, selector: Selector, variant: str) -> None:
        self.variant = variant
        self.decisions = DecisionTrace()
        self.storage = MemoryJournalStorage()
        self.engine = Engine(policy, BUDGET, journal=Journal(self.storage), trace=self.decisions, selector=selector)
        self.prompts: list[AssembledPrompt] = []
        self.runs: Counter[str] = Counter()

    def call(
        self, tool: str, arguments: Mapping[str, Any], gives: Page, *, deterministic: bool = True, signature: str = ""
    ) -> ToolAnswer:
        """Make a tool call; the tool, if it runs, gives the page *gives*."""

        def execute(call: ToolCall) -> ToolResult:
            self.runs[tool] += 1
            return ToolResult(ToolOutcome.OK, gives)

        return self.engine.tool_execute(ToolCall(tool, arguments, Level.FULL, deterministic, signature), execute)

    def stage(self, *updates: Update) -> None:
        """Stage updates, as a model's reply does."""
        self.engine.post_model(updates=updates)

    def demand(self, *page_ids: str) -> None:
        """Ask for pages in full."""
        self.engine.post_model(demands=[(page_id, Level.FULL) for page_id in page_ids])

    def prompt(self) -> AssembledPrompt:
        """Assemble the next prompt, which ends the turn."""
        self.prompts.append(self.engine.prompt_assemble())
        return self.prompts[-1]

    def in_prompt(self, page_id: str) -> str:
        """Return the text of a page in the last prompt, "" if it is not in there."""
        return next((block.text for block in self.prompts[-1].blocks if block.page_id == page_id), "")


Script = Callable[[Harness], Sequence[Check]]


def from_script(script: Script, rejections: tuple[str, ...] | None) -> Callable[..., ScenarioRun]:
    """Return how a scenario that is a script runs; *rejections* is None where it stages no update."""
    return lambda *setting: ScenarioRun.of(*play(script, rejections, *setting))


def play(
    script: Script, rejections: tuple[str, ...] | None, policy: Policy, selector: Selector, variant: str
) -> tuple[Sequence[Event], list[Check]]:
    """Return the decisions of a script, and its checks: the usual ones, those of durability, and its own."""
    harness = Harness(policy, selector, variant)
    own = script(harness)
    harness.engine._check()
    run = ScenarioRun.of(harness.decisions.events)
    durability = [] if rejections is None else _durability(run, rejections)
    return harness.decisions.events, [_no_fault(run), _within_budget(harness.prompts, BUDGET), *durability, *own]


def values_check(
    journal: Journal, expected: Mapping[tuple[str, str], tuple[int, Any]], name: str = "values_exact"
) -> Check:
    """Return whether *journal* has committed exactly the *expected* versions and values, by page and field."""
    committed = [journal.committed(*key) for key in expected]
    wrong = [
        f"{key[0]}.{key[1]} is version {found.version}: {found.value!r}"
        for (key, wanted), found in zip(expected.items(), committed)
        if (found.version, found.value) != wanted
    ]
    return Check(name, not wrong, wrong[0][:160] if wrong else f"{len(expected)} fields as expected")


# --- What the scenarios are made of.

GUIDE = LevelCosts(3, 20, 26, 40)
PLAN = LevelCosts(3, 10, 14, 22)
TASTE = LevelCosts(2, 5, 9, 14)


def page(page_id: str, page_type: PageType, costs: LevelCosts, source: Provenance, **more: Any) -> Page:
    """Return a page that has those of *costs* that its type allows."""
    return Page(id=page_id, type=page_type, costs=costs.costs(page_type), provenance=source, **more)


def result(page_id: str, content: str, tokens: int = 40) -> Page:
    """Return a tool result with a text, in full and as a pointer."""
    return Page(
        id=page_id,
        type=PageType.EVIDENCE,
        costs={Level.POINTER: 3, Level.FULL: tokens},
        texts={Level.POINTER: f"[{page_id}]", Level.FULL: content},
        provenance=Provenance("tool_call", tool_signature("read", {"path": page_id})),
        base_utility=5.0,
        recompute_cost=8.0,
    )


def note(**attributes: Any) -> Update:
    """Return a good update of the plan, with some attributes replaced."""
    return dataclasses.replace(Update("plan", "log", "append", ["noted"], "session", "plan"), **attributes)
