"""What must come out of a replay, as records: what the referee of the property says and the statements compare with.

============  ===================================================================
Expected      all turns, the fate of every update, what the harness does
ExpectedTurn  one turn: accesses, floors, demands, missing tokens
Access        one access to a page in a turn
Content       one page when a prompt is assembled
Fate          what must become of one staged update
============  ===================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from clawvm_runtime.vocabulary import Level

__all__ = ["Access", "Content", "Expected", "ExpectedTurn", "Fate"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one staged update: `committed`, `rejected` with a code, or `staged` to the end, and the turn."""

    status: str
    turn: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One access, by a demand or a tool call: the level it needs and the tokens that this costs.

    ``shown`` is the level at which the model sees the page; None: whatever the last prompt held. ``repeated`` is true
    for a deterministic tool call that ran before.
    """

    page_id: str
    level: Level
    cost: int
    cold: bool
    repeated: bool
    shown: Level | None


class Content(NamedTuple):
    """A page when a prompt is assembled; ``floor`` is the lowest level that it has and that is good enough."""

    version: int
    costs: Mapping[Level, int]
    floor: Level


@dataclass(frozen=True, slots=True)
class ExpectedTurn:
    """One turn: what its prompt must hold, where everything fits, and what the pages are when it is assembled.

    ``floors`` and ``demands`` map page ids to the level they must have, ``floor_tokens`` and ``needed_tokens`` are the
    tokens of all floors, and of floors and demands together; ``contents`` maps each page id to what it is then.
    ``after_boundary`` is true where the prompt is the first one after a boundary; ``bootstrap`` names those pages.
    """

    number: int
    budget: int
    accesses: tuple[Access, ...]
    floors: Mapping[str, Level]
    demands: Mapping[str, Level]
    floor_tokens: int
    needed_tokens: int
    contents: Mapping[str, Content]
    after_boundary: bool
    bootstrap: frozenset[str]

    @property
    def missing_tokens(self) -> int:
        """By how much the minimum set exceeds the budget, in tokens."""
        return max(0, self.needed_tokens - self.budget)


@dataclass(frozen=True, slots=True)
class Expected:
    """Everything that must come out of a replay of one trace.

    ``fates`` are in the order of staging. ``harness`` counts what it does: boundaries that are named or fall due,
    flushes, threshold jumps, boundaries that meet updates; and calls that run again because their result was displaced.
    """

    turns: tuple[ExpectedTurn, ...]
    fates: tuple[Fate, ...]
    harness: Mapping[str, int]

    @property
    def fits(self) -> bool:
        """Whether the minimum set fits in every turn."""
        return not any(turn.missing_tokens for turn in self.turns)
