"""The cells of recorded sessions: their list, the replay of one, and the outcome of recorded reruns under its policy.

A rerun is a call that asked again for known content and actually ran again. Under a policy, the content may have been
in the prompt, in the store, or nowhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clawvm_experiments.experiment import Cell, Row
from clawvm_experiments.sessions.data import VIEWS, cut_label, header_and_turns, kind_of, observations
from clawvm_replay.errors import InputError
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.policy import POLICIES, policy_named
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_transcripts.views import Observed

__all__ = [
    "REFERENCE_SHARE",
    "WINDOW",
    "Budget",
    "Options",
    "RefetchOutcome",
    "Rerun",
    "RerunWatch",
    "lean_select",
    "replay_session",
    "rerun_counts",
    "run_session_cell",
    "session_cells",
]

REFERENCE_SHARE = 0.20
"""The share of the working set that findings and pages of single sessions refer to."""

WINDOW = "window"
"""The label of the recorded window of the model."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget: one of ``share`` (of the working set) and ``tokens``, or neither for the recorded window."""

    share: float | None = None
    tokens: int | None = None

    @property
    def label(self) -> str:
        """Its name in results and tables."""
        if self.share is not None:
            return f"{100 * self.share:g} %"
        return WINDOW if self.tokens is None else f"{self.tokens:,} tokens"

    @property
    def code(self) -> str:
        """Its name in the ids of cells."""
        if self.share is not None:
            whole, _, fraction = f"{100 * self.share:g}".partition(".")
            return f"share{whole.zfill(2)}{fraction and 'p' + fraction}"
        return "window" if self.tokens is None else f"tokens{self.tokens:09d}"

    def of(self, working_set: int, window: int | None) -> int | None:
        """Return the tokens for this working set and recorded window, None where no window is recorded."""
        if self.share is None:
            return window if self.tokens is None else self.tokens
        # The small constant keeps a product such as 0.29 * 100 from being floored to the number below it.
        return max(1, math.floor(self.share * working_set + 1e-9))


@dataclass(frozen=True, slots=True)
class Options:
    """What a run replays; a cut of None is the whole session, ``window`` adds the recorded window as a budget.

    Raises InputError for an unknown view.
    """

    shares: tuple[float, ...] = (0.05, 0.10, REFERENCE_SHARE, 0.40)
    tokens: tuple[int, ...] = ()
    window: bool = True
    cuts: tuple[int | None, ...] = (100, 200, None)
    policies: tuple[str, ...] = field(default_factory=lambda: tuple(POLICIES))
    views: tuple[str, ...] = VIEWS

    def __post_init__(self) -> None:
        if unknown := [view for view in self.views if view not in VIEWS]:
            raise InputError(f"unknown view {unknown[0]!r}; known: {', '.join(VIEWS)}")

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Every budget, in the order of reports."""
        budgets = [Budget(share=share) for share in sorted(self.shares)]
        budgets += [Budget(tokens=tokens) for tokens in sorted(self.tokens)]
        return (*budgets, Budget()) if self.window else tuple(budgets)

    @property
    def ordered_cuts(self) -> tuple[int | None, ...]:
        """The cuts from short to long."""
        return tuple(sorted(self.cuts, key=lambda cut: math.inf if cut is None else cut))


def session_cells(facts: Mapping[str, Any], options: Options) -> Iterator[Cell]:
    """Yield the cells of the session that *facts* (its index) describes.

    A session that is no longer than a cut has no cell at it, one without a recorded window none at the window.
    """
    name, window = facts["name"], facts["recorded"]["window"]
    for view in options.views:
        for cut in options.ordered_cuts:
            there = facts["views"][view].get(cut_label(cut))
            if there is None or not there["turns"]:
                continue
            for budget in options.budgets:
                tokens = budget.of(there["working_set"], window)
                if tokens is None:
                    continue
                for policy in options.policies:
                    parameters = {"budget": tokens, "budget_label": budget.label, "cut": cut, "policy": policy}
                    yield Cell(
                        f"{name}-{view}-{cut_label(cut)}-{budget.code}-{policy}",
                        {**parameters, "session": name, "view": view},
                    )


# --- One cell: a replay that keeps the outcome of reruns.


class RefetchOutcome(str, Enum):
    """The outcome of a rerun under a policy; one that needs several pages has the worst outcome of them."""

    RESIDENT = "resident"  # The last prompt held it at the demanded level: no call was needed.
    PAGED_IN = "paged_in"  # It came from the store, no tool ran, and the next prompt held it.
    LEFT_OUT = "left_out"  # The store had it, but the next prompt did not hold it.
    FAULTED = "faulted"  # The tool had to run again.
    NOT_JUDGED = "not_judged"  # The first access of this content in the trace: no policy can have prepared it.


@dataclass(frozen=True, slots=True)
class Rerun:
    """The outcome of one observed call; ``page_in_tokens`` are the tokens of its page-ins."""

    observed: Observed
    outcome: RefetchOutcome
    page_in_tokens: int
    under_pressure: bool


@dataclass(slots=True)
class _Demand:
    verdict: str = ""
    page_in_tokens: int = 0
    left_out: bool = False


class RerunWatch:
    """A sink for a replay's decisions that keeps only what *observations* ask about. Memory: O(observations)."""

    def __init__(self, observations: Iterable[Observed]) -> None:
        self._observations = tuple(observations)
        self._demands = {(item.turn, page): _Demand() for item in self._observations for page in item.pages}
        self._turns = {item.turn for item in self._observations}
        self._pressure: set[int] = set()

    def take(self, event: Event) -> None:
        """Take the next decision."""
        kind = event["event"]
        if kind == "demand":
            demand = self._demands.get((event["turn"], event["page"]))
            if demand is not None and not demand.verdict:  # The first demand in a turn is the observed one.
                demand.verdict = event["verdict"]
                demand.page_in_tokens = event["page_in_tokens"]
        elif kind == "fault":
            demand = self._demands.get((event["turn"], event.get("page", "")))
            if demand is not None and event.get("cause") == "left_out_of_prompt":
                demand.left_out = True
        elif kind == "pressure" and event["turn"] in self._turns:
            self._pressure.add(event["turn"])

    def reruns(self) -> Iterator[Rerun]:
        """Yield the outcome of each observation, in their order; a page-in that two share counts once.

        Raises InputError when the replay did not demand an observed page: trace and observations do not match.
        """
        paid: set[tuple[int, str]] = set()
        for item in self._observations:
            demands = {(item.turn, page): self._demands[item.turn, page] for page in item.pages}
            if not all(demand.verdict for demand in demands.values()):
                raise InputError(
                    f"turn {item.turn}: the trace has no demand for an observed call; convert the session again"
                )
            outcome = _worst(demands.values())
            tokens = 0
            if outcome is RefetchOutcome.PAGED_IN:
                tokens = sum(demand.page_in_tokens for place, demand in demands.items() if place not in paid)
                paid.update(demands)
            yield Rerun(item, outcome, tokens, item.turn in self._pressure)


def _worst(demands: Collection[_Demand]) -> RefetchOutcome:
    verdicts = {demand.verdict for demand in demands}
    if "fault" in verdicts:
        return RefetchOutcome.FAULTED
    if not verdicts or "cold" in verdicts:
        return RefetchOutcome.NOT_JUDGED
    if "page_in" not in verdicts:
        return RefetchOutcome.RESIDENT  # Whether the next prompt holds it or not.
    left_out = any(demand.left_out and demand.verdict == "page_in" for demand in demands)
    return RefetchOutcome.LEFT_OUT if left_out else RefetchOutcome.PAGED_IN


def rerun_counts(reruns: Iterable[Rerun]) -> dict[str, Any]:
    """Return calls and tokens, in all and by outcome, and how many were served in turns without pressure.

    Tokens are those of the recorded results.
    """
    counts: dict[str, Any] = {"calls": 0, "tokens": 0, "page_in_tokens": 0}
    counts |= {outcome.value: {"calls": 0, "tokens": 0} for outcome in RefetchOutcome}
    calm = counts["without_pressure"] = {"calls": 0, "tokens": 0, "served_calls": 0, "served_tokens": 0}
    for item in reruns:
        counts["page_in_tokens"] += item.page_in_tokens
        judged = item.outcome is not RefetchOutcome.NOT_JUDGED and not item.under_pressure
        for part in (counts, counts[item.outcome.value], *([calm] if judged else [])):
            part["calls"] += 1
            part["tokens"] += item.observed.tokens
        if judged and item.outcome in (RefetchOutcome.RESIDENT, RefetchOutcome.PAGED_IN):
            calm["served_calls"] += 1
            calm["served_tokens"] += item.observed.tokens
    return counts


def lean_select(request: SelectionRequest) -> Selection:
    """Return the plain selection, without its steps.

    On a long session they take half as long as the replay, because a sink gets every step of every prompt.
    """
    return dataclasses.replace(select(request), prefetched=(), prefetch_refused=(), steps=())


def replay_session(
    root: str,
    name: str,
    view: str,
    cut: int | None,
    policy: str,
    budget: int,
    sink: Callable[[Event], None],
    selector: Selector = select,
) -> CellMetrics:
    """Replay one view of a session, streamed from its file, and return its metrics; *sink* takes every decision."""
    with header_and_turns(root, name, view, cut) as (header, turns):
        return replay(
            header,
            turns,
            policy_named(policy),
            budget,
            decisions=DecisionTrace(sink),
            selector=selector,
            source=f"{name}/{view}.trace.jsonl",
        )


def run_session_cell(root: str, cell: Cell) -> Row:
    """Return the row of *cell*: its metrics, and the outcomes of refetches and repeats; *root* is no part of it."""
    parameters = cell.parameters
    place = root, parameters["session"], parameters["view"], parameters["cut"]
    # Lines that the agent edited are new content: no policy could have had them.
    watch = RerunWatch(item for item in observations(*place) if not kind_of(item).startswith("edited"))
    metrics = replay_session(*place, parameters["policy"], parameters["budget"], watch.take, lean_select)
    reruns = list(watch.reruns())
    return {
        **metrics.to_record(),
        **parameters,
        "refetched": rerun_counts(item for item in reruns if not item.observed.kept),
        "repeated": rerun_counts(item for item in reruns if item.observed.kept),
    }
