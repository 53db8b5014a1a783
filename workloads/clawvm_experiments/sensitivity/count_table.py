"""The counts that conclusions are judged by, and what a conclusion is.

===========  ====================================================================================
CountTable   the counts of a sweep (families x budgets x policies), its ablations and the tasks
Verdict      whether a conclusion holds, and the number behind it
Conclusion   a statement, what its number means, and the function that judges it
===========  ====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from clawvm_experiments.sensitivity.counting_rules import Counts
from clawvm_replay.metrics import DIGITS
from clawvm_runtime.vocabulary import FaultKind

__all__ = ["Conclusion", "CountTable", "Verdict"]


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
class Verdict:
    """Whether a conclusion holds, None where it was not tried; and its number, None where there is none."""

    holds: bool | None
    number: float | None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A statement about the counts; ``number`` says what the verdict's number is and when the statement holds."""

    id: str
    statement: str
    number: str
    judge: Callable[[CountTable], Verdict]
