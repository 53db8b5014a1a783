"""What an adversarial scenario is: a hostile life of an agent, what must hold in it, and how that can be made to fail.

===============  ==================================================================================
CHECKS           every must-hold check by name, in words
Check            one check: whether it held, and what was seen
Run              what a scenario showed under one policy
Scenario         a hostile life and its controls
told             how a scenario that is told as a trace runs, through the replay
===============  ==================================================================================

A check that no control can break proves nothing, so every kind of check is broken by a control of some scenario. The
experiment counts which checks are broken by a control of their own scenario, and which are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.adversarial.controls import Control
from clawvm_workloads.adversarial.ledger import TurnNeed, needs
from clawvm_workloads.adversarial.misreports import misreported

__all__ = [
    "CHECKS",
    "DURABILITY",
    "RESIDENCY",
    "Check",
    "Run",
    "Scenario",
    "counted",
    "tallied",
    "told",
    "within_budget",
]

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
"""The checks of every scenario that is told as a trace."""

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
class Run:
    """What a scenario showed under one policy.

    ``faults`` are policy-controllable, ``pressure_faults`` are not; both by kind, kinds without a fault left out.
    """

    checks: tuple[Check, ...]
    faults: Mapping[str, int]
    pressure_faults: Mapping[str, int]
    pressure_turns: int
    pressure_tokens: int
    alerts: int
    page_ins: int
    committed: int
    rejected: tuple[str, ...]
    lost: int
    overwritten: int

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the checks that did not hold."""
        return tuple(check.name for check in self.checks if not check.holds)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A hostile life of an agent under ``budget`` tokens, and the controls that must break its checks.

    ``run`` plays it under a policy, with a selector, in a variant; "" is the real one.
    """

    id: str
    title: str
    story: str
    budget: int
    run: Callable[[Policy, Selector, str], Run]
    controls: tuple[Control, ...]


def counted(events: Sequence[Event]) -> dict[str, Any]:
    """Return the counts of a ``Run`` that stand in a decision trace."""
    faults: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for event in events:
        if event["event"] == "fault":
            faults[event["controllable"]][event["fault"]] += 1
    return {
        "faults": dict(sorted(faults[True].items())),
        "pressure_faults": dict(sorted(faults[False].items())),
        "pressure_turns": sum(event["event"] == "pressure" for event in events),
        "pressure_tokens": sum(event["missing"] for event in events if event["event"] == "pressure"),
        "alerts": sum(event["event"] == "alert" for event in events),
        "page_ins": sum(event["event"] == "demand" and event["verdict"] == "page_in" for event in events),
        "committed": sum(len(event["entries"]) for event in events if event["event"] == "commit"),
        "rejected": tuple(event["code"] for event in events if event["event"] == "reject"),
        "lost": sum(len(event["entries"]) for event in events if event["event"] == "lost"),
        "overwritten": sum(len(event["overwrote"]) for event in events if event["event"] == "commit"),
    }


def told(build: Callable[[], Trace], checks: Sequence[str], rejections: tuple[str, ...] = ()) -> Callable[..., Run]:
    """Return how a scenario that is told as a trace runs: replayed, and judged by what the trace alone implies.

    *rejections* are the reject codes that its updates must get, in journal order. Its variants are ``MISREPORTS``.
    """
    return partial(_run, build, checks, rejections)


def _run(
    build: Callable[[], Trace],
    checks: Sequence[str],
    rejections: tuple[str, ...],
    policy: Policy,
    selector: Selector,
    variant: str,
) -> Run:
    trace = build()
    decisions = DecisionTrace()
    observed: list[AssembledPrompt] = []
    replay_trace(trace, policy, decisions=decisions, selector=selector, observe=observed.append)
    events, prompts = misreported(variant, decisions.events, observed)
    counts = counted(events)
    budget = trace.header.budget
    turns = needs(trace)
    judged = [
        _no_fault(counts),
        within_budget(prompts, budget),
        _pressure(events, prompts, turns, budget),
        _held("floors_hold", prompts, [need.floors_due(budget) for need in turns]),
        _held("demands_met", prompts, [need.demands_due(budget) for need in turns]),
        Check("nothing_lost", counts["lost"] == 0, f"{counts['lost']} lost"),
        Check("nothing_overwritten", counts["overwritten"] == 0, f"{counts['overwritten']} overwritten"),
        Check("rejections_exact", counts["rejected"] == rejections, tallied(counts["rejected"])),
    ]
    return Run(tuple(check for check in judged if check.name in checks), **counts)


def tallied(codes: Sequence[str]) -> str:
    """Return how often each reject code stands among *codes*, in words."""
    return ", ".join(f"{count} {code}" for code, count in sorted(Counter(codes).items())) or "none"


def _no_fault(counts: Mapping[str, Any]) -> Check:
    faults = counts["faults"]
    return Check("no_controllable_fault", not faults, f"{sum(faults.values())} faults")


def within_budget(prompts: Sequence[AssembledPrompt], budget: int) -> Check:
    """Return whether the blocks of every prompt add up to its tokens, and these stay within its budget."""
    over = sum(
        not (sum(block.tokens for block in prompt.blocks) == prompt.tokens <= prompt.budget <= budget)
        for prompt in prompts
    )
    return Check("within_budget", over == 0, f"{over} of {len(prompts)} prompts over")


def _pressure(
    events: Sequence[Event], prompts: Sequence[AssembledPrompt], turns: Sequence[TurnNeed], budget: int
) -> Check:
    """Return whether decision trace and prompts both report what the trace implies."""
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    in_prompts = {prompt.turn: prompt.missing_tokens for prompt in prompts if prompt.missing_tokens}
    implied = {need.turn: need.missing(budget) for need in turns if need.missing(budget)}
    return Check(
        "pressure_exact",
        reported == in_prompts == implied,
        f"reported {len(reported)} turns, {sum(reported.values())} tokens; "
        f"implied {len(implied)} turns, {sum(implied.values())} tokens",
    )


def _held(name: str, prompts: Sequence[AssembledPrompt], due: Sequence[Mapping[str, Level]]) -> Check:
    """Return whether every prompt holds what is due in its turn."""
    missed = total = 0
    for prompt, levels in zip(prompts, due):
        held = {block.page_id: block.level for block in prompt.blocks}
        total += len(levels)
        missed += sum(held.get(page_id, Level.NONE) < level for page_id, level in levels.items())
    return Check(name, missed == 0 and len(prompts) == len(due), f"{total - missed} of {total} held")
