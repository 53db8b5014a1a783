"""The cells of recorded sessions: every session, view, cut, budget and policy.

==============  ==================================================================================
Options         which shares, budgets, cuts, policies and views a run has
Budget          a budget by its label: a share of the working set, tokens, or the recorded window
session_cells   the cells of one session
==============  ==================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clawvm_experiments.experiment import Cell
from clawvm_experiments.sessions.index import cut_label
from clawvm_experiments.sessions.layout import VIEWS
from clawvm_replay.errors import InputError
from clawvm_runtime.engine import MAXIMUM_BUDGET
from clawvm_runtime.errors import PolicyError
from clawvm_runtime.policy import POLICIES, policy_named

__all__ = ["REFERENCE_SHARE", "WINDOW", "Budget", "Options", "session_cells"]

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
