"""The cells of recorded sessions: every session, view, cut, budget and policy.

==============  ==================================================================================
Options         which shares, budgets, cuts, policies and views a run has
Budget          a budget by its label: a share of the working set, tokens, or the recorded window
session_cells   the cells of one session
==============  ==================================================================================
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clawvm_experiments.experiment import Cell, Row
from clawvm_experiments.sessions.data import (
    VIEWS,
    RerunWatch,
    cut_label,
    header_and_turns,
    kind_of,
    observations,
    rerun_counts,
)
from clawvm_replay.errors import InputError
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import MAXIMUM_BUDGET
from clawvm_runtime.errors import PolicyError
from clawvm_runtime.policy import POLICIES, policy_named
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import TYPE_RULES, PageType, PinClass

__all__ = [
    "REFERENCE_SHARE",
    "WINDOW",
    "Budget",
    "MapEvents",
    "Options",
    "drawn_pages",
    "lean_select",
    "replay_session",
    "run_session_cell",
    "session_cells",
    "without_pages",
]


# --- The cells of recorded sessions: every session, view, cut, budget and policy.

REFERENCE_SHARE = 0.20
"""The share of the working set that findings and pages of single sessions refer to."""

WINDOW = "window"
"""The label of the real window, where the recording tells it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How a budget is found: one of ``share`` (of the working set) and ``tokens``, or neither for the real window."""

    share: float | None = None
    tokens: int | None = None

    @property
    def label(self) -> str:
        """What it is called in results and tables."""
        if self.share is not None:
            return f"{100 * self.share:g} %"
        return WINDOW if self.tokens is None else f"{self.tokens:,} tokens"

    @property
    def code(self) -> str:
        """What it is called in the ids of cells."""
        if self.share is not None:
            whole, _, fraction = f"{100 * self.share:g}".partition(".")
            return f"share{whole.zfill(2)}{fraction and 'p' + fraction}"
        return "window" if self.tokens is None else f"tokens{self.tokens:09d}"

    def of(self, working_set: int, window: int | None) -> int | None:
        """Return the tokens for a session with this working set and recorded window, None where it tells none."""
        if self.share is None:
            return window if self.tokens is None else self.tokens
        # The small constant keeps a product such as 0.29 * 100 from being floored to the number below it.
        return max(1, math.floor(self.share * working_set + 1e-9))


@dataclass(frozen=True, slots=True)
class Options:
    """What a run replays; a cut of None is the whole session, ``window`` adds the real window as a budget.

    Raises InputError for a value that no run can have, for a list that is empty, and for what is there twice.
    """

    shares: tuple[float, ...] = (0.05, 0.10, REFERENCE_SHARE, 0.40)
    tokens: tuple[int, ...] = ()
    window: bool = True
    cuts: tuple[int | None, ...] = (100, 200, None)
    policies: tuple[str, ...] = tuple(POLICIES)
    views: tuple[str, ...] = VIEWS

    def __post_init__(self) -> None:
        for share in self.shares:
            if not 0 < share <= 1:
                raise InputError(f"a share of the working set is above 0 and at most 1, not {share!r}")
        for tokens in self.tokens:
            if not 1 <= tokens <= MAXIMUM_BUDGET:
                raise InputError(f"a budget is 1 to {MAXIMUM_BUDGET} tokens, not {tokens!r}")
        for cut in self.cuts:
            if cut is not None and cut < 1:
                raise InputError(f"a session is cut at 1 turn or later, not at {cut!r}")
        for policy in self.policies:
            try:
                policy_named(policy)
            except PolicyError as error:
                raise InputError(str(error)) from None
        for view in self.views:
            if view not in VIEWS:
                raise InputError(f"unknown view {view!r}; known: {', '.join(VIEWS)}")
        codes = tuple(budget.code for budget in self.budgets)
        lists = {"budgets": codes, "cuts": self.cuts, "policies": self.policies, "views": self.views}
        for name, values in lists.items():
            if not values:
                raise InputError(f"a run needs {name}")
            if len(set(values)) < len(values):
                raise InputError(f"something is there twice among the {name}: {', '.join(map(str, values))}")

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

    A session that is no longer than a cut has no cell there, one without a recorded window none at the window.
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
                    yield Cell(
                        f"{name}-{view}-{cut_label(cut)}-{budget.code}-{policy}",
                        {
                            "budget": tokens,
                            "budget_label": budget.label,
                            "cut": cut,
                            "policy": policy,
                            "session": name,
                            "view": view,
                        },
                    )


# --- One cell of a recorded session: a replay, and what it makes of the calls that ran again in truth.


def lean_select(request: SelectionRequest) -> Selection:
    """Return what the plain selector returns, without the steps that led there.

    Whoever listens to a replay's decisions pays for every step of every prompt: on a long session half as much again
    as for the replay. The levels, the tokens and what was required are the same.
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
    """Return the row of *cell*: its metrics, and what became of re-fetches and repeats; *root* is no part of it."""
    parameters = cell.parameters
    place = root, parameters["session"], parameters["view"]
    # What the agent's own edit had changed is new content: no policy could have had it.
    again = (item for item in observations(*place, parameters["cut"]) if not kind_of(item).startswith("edited"))
    watch = RerunWatch(again)
    metrics = replay_session(
        *place, parameters["cut"], parameters["policy"], parameters["budget"], watch.take, lean_select
    )
    reruns = list(watch.reruns())
    return {
        **metrics.to_record(),
        **parameters,
        "refetched": rerun_counts(item for item in reruns if not item.observed.kept),
        "repeated": rerun_counts(item for item in reruns if item.observed.kept),
    }


# --- The decisions of a replay as residency maps of a few windows need them, without what no window shows.


class MapEvents:
    """Keeps every event of the windows (first to last turn), and the turn before each whole.

    Elsewhere a prompt is cut down to the levels of the pages that its turn demanded: a map needs them to tell page-ins
    from faults. Memory: O(events of the windows + demands).
    """

    def __init__(self, windows: Iterable[tuple[int, int]]) -> None:
        self.events: list[Event] = []
        self._windows = [(first - 1, last) for first, last in windows]
        self._demanded: set[str] = set()

    def take(self, event: Event) -> None:
        """Take the next decision."""
        kind, turn = event["event"], event["turn"]
        if kind == "demand":
            self._demanded.add(event["page"])
        elif kind == "assemble":
            if not any(first <= turn <= last for first, last in self._windows):
                levels = {page: level for page, level in event["levels"].items() if page in self._demanded}
                event = {"event": kind, "levels": levels, "sequence": event["sequence"], "turn": turn}
            self._demanded.clear()
        self.events.append(event)


def drawn_pages(events: Iterable[Event], first: int, last: int, most: int) -> tuple[Sequence[str], dict[str, int]]:
    """Return the pages that a map from turn *first* to *last* shows, and the others with their faults there.

    What is pinned hard by its type is shown first (at most *most* pages), then what has the most faults, then demands:
    up to *most* pages in all, and half of that at least. O(events + pages x log(pages)).
    """
    types: dict[str, str] = {}
    faults: Counter[str] = Counter()
    demands: Counter[str] = Counter()
    for event in events:
        kind = event["event"]
        if kind == "page" and event["turn"] <= last:
            types[event["page"]] = event["type"]
        elif first <= event["turn"] <= last and kind in ("fault", "demand"):
            (faults if kind == "fault" else demands)[event.get("page", "")] += 1
    order = sorted(types, key=lambda page: (-faults[page], -demands[page]))
    hard = [page for page in order if _is_hard(types[page])][:most]
    others = [page for page in order if not _is_hard(types[page])][: max(most - len(hard), most // 2)]
    shown = dict.fromkeys((*hard, *others))
    return list(shown), {page: faults[page] for page in order if page not in shown}


def _is_hard(page_type: str) -> bool:
    return TYPE_RULES[PageType(page_type)].pin is PinClass.HARD


def without_pages(events: Iterable[Event], hidden: Collection[str], first: int, last: int) -> Iterator[Event]:
    """Yield *events* without the *hidden* pages; outside the window their demands stay, for they are counted there."""
    for event in events:
        if event.get("page") in hidden:
            kind = event["event"]
            if kind == "page" or (kind == "demand" and first <= event["turn"] <= last):
                continue
        yield event
