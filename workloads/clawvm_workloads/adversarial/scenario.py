"""What an adversarial scenario is: a hostile session, what must hold in it, and controls that make it fail.

A check that no control can break proves nothing, so every kind of check is broken by a control of some scenario.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clawvm_replay.commits import committed_entries, lost_entries, replaced_unseen
from clawvm_replay.trace_builder import LevelCosts
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import FEATURES, Policy
from clawvm_runtime.selector import Selector, select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import PageType

__all__ = [
    "BUDGET",
    "CHECKS",
    "GUIDE",
    "PLAN",
    "TASTE",
    "Check",
    "Control",
    "Scenario",
    "ScenarioRun",
    "durability",
    "no_fault",
    "note",
    "page",
    "removal",
    "within_budget",
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


@dataclass(frozen=True, slots=True)
class Check:
    """One must-hold check: whether it held, and what was observed."""

    name: str
    holds: bool
    observed: str = ""

    def __post_init__(self) -> None:
        if self.name not in CHECKS:
            raise ValueError(f"unknown check {self.name!r}; known: {', '.join(CHECKS)}")


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """The outcome of a scenario under one policy.

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
    def of(cls, events: Sequence[Event], proposed: Mapping[int, Update], checks: Iterable[Check] = ()) -> ScenarioRun:
        """Return the outcome that a decision trace records, with its checks.

        What was lost and overwritten follows from the updates as they were *proposed*, by journal entry, and from the
        order of boundaries and commits; what the journal itself reports about either has no say.
        """
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
            lost=len(lost_entries(events)),
            overwritten=len(replaced_unseen(proposed, committed_entries(events))),
        )

    @classmethod
    def together(cls, runs: Sequence[ScenarioRun], checks: Iterable[Check]) -> ScenarioRun:
        """Return the outcome of several runs as that of one, with these checks."""
        faults, pressure_faults = (
            sum((Counter(getattr(run, name)) for run in runs), Counter()) for name in ("faults", "pressure_faults")
        )
        counts = ("pressure_turns", "pressure_tokens", "committed", "lost", "overwritten")
        return cls(
            checks=tuple(checks),
            faults=dict(sorted(faults.items())),
            pressure_faults=dict(sorted(pressure_faults.items())),
            rejected=tuple(code for run in runs for code in run.rejected),
            **{name: sum(getattr(run, name) for run in runs) for name in counts},
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


# --- Checks of every scenario.


def no_fault(run: ScenarioRun) -> Check:
    """Return whether no policy-controllable fault was counted."""
    return Check("no_controllable_fault", not run.faults, f"{sum(run.faults.values())} faults")


def within_budget(prompts: Sequence[AssembledPrompt], budget: int) -> Check:
    """Return whether the blocks of every prompt add up to its tokens, and these stay within its budget."""
    over = sum(
        not (sum(block.tokens for block in prompt.blocks) == prompt.tokens <= prompt.budget <= budget)
        for prompt in prompts
    )
    return Check("within_budget", over == 0, f"{over} of {len(prompts)} prompts over")


def durability(run: ScenarioRun, rejections: tuple[str, ...] | None) -> list[Check]:
    """Return the checks of updates; *rejections* are the codes that they must get, in journal order.

    There is nothing to check where a scenario stages no update: there *rejections* is None.
    """
    if rejections is None:
        return []
    codes = ", ".join(f"{count} {code}" for code, count in sorted(Counter(run.rejected).items())) or "none"
    return [
        Check("nothing_lost", run.lost == 0, f"{run.lost} lost"),
        Check("nothing_overwritten", run.overwritten == 0, f"{run.overwritten} overwritten"),
        Check("rejections_exact", run.rejected == rejections, codes),
    ]


# --- Pages and updates of the scenarios.

GUIDE = LevelCosts(3, 20, 26, 40)
PLAN = LevelCosts(3, 10, 14, 22)
TASTE = LevelCosts(2, 5, 9, 14)


def page(page_id: str, page_type: PageType, costs: LevelCosts, source: Provenance, **more: Any) -> Page:
    """Return a page that has those of *costs* that its type allows."""
    return Page(id=page_id, type=page_type, costs=costs.costs(page_type), provenance=source, **more)


def note(**attributes: Any) -> Update:
    """Return a good update of the plan, with some attributes replaced."""
    return dataclasses.replace(Update("plan", "log", "append", ["noted"], "session", "plan"), **attributes)
