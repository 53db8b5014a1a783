"""Policies are data: one row per policy, one engine runs them all; an ablation is a row with one field replaced.

A new policy is a new row; a new way to score is any callable with the signature of ``LinearScore.__call__``.
Source: paper, policy table and ablation table; ``docs/policies.md``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from clawvm_runtime.errors import PolicyError
from clawvm_runtime.page_table import RECENCY_DECAY
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import PinClass

__all__ = [
    "FEATURES",
    "PAPER_POLICIES",
    "POLICIES",
    "UPGRADE_SCORES",
    "LinearScore",
    "Policy",
    "WritebackMode",
    "policy_named",
]


class WritebackMode(str, Enum):
    """When staged updates are committed around one kind of boundary.

    ``soft_threshold`` is the best-effort flush of today's harnesses: it runs when the transcript passes the soft
    threshold, so a turn that jumps past the threshold bypasses it. ``boundary`` commits at the boundary itself, which
    nothing bypasses.
    """

    NEVER = "never"
    SOFT_THRESHOLD = "soft_threshold"
    BOUNDARY = "boundary"


class Score(Protocol):
    """The utility of one page for the prompt that is being assembled."""

    @property
    def name(self) -> str:
        """The score's name in reports."""

    @property
    def horizon(self) -> int:
        """How many turns ahead it looks; 0 for every score that could run live."""

    def __call__(self, page: Page, recency: float, future_demands: int) -> float:
        """Return the score of *page*; *future_demands* counts its demands in the next ``horizon`` turns."""


@dataclass(frozen=True, slots=True)
class LinearScore:
    """A weighted sum of what is known about a page.

    Only additions and multiplications of doubles in one fixed order, so that every machine gets the same number.
    """

    name: str
    base_utility: float = 1.0
    pin_hard: float = 0.0
    pin_soft: float = 0.0
    recency: float = 0.0
    recompute: float = 0.0
    future: float = 0.0
    horizon: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and (not math.isfinite(value) or value < 0):
                raise PolicyError(f"score {self.name!r}: {field.name} must be finite and not negative, not {value!r}")

    def __call__(self, page: Page, recency: float, future_demands: int) -> float:
        """Return the weighted sum for *page*."""
        boost = 0.0
        if page.pin is not PinClass.NONE:
            boost = self.pin_hard if page.pin is PinClass.HARD else self.pin_soft
        return (
            self.base_utility * page.base_utility
            + boost
            + self.recency * recency
            + self.recompute * page.recompute_cost
            + self.future * future_demands
        )


UPGRADE_SCORES: dict[str, LinearScore] = {
    "clawvm": LinearScore("clawvm", pin_hard=2.0, pin_soft=0.6, recency=0.6, recompute=0.4),
    "oracle": LinearScore("oracle", pin_hard=2.0, pin_soft=0.6, recency=0.6, recompute=0.4, future=2.2, horizon=3),
    "recency": LinearScore("recency", recency=0.9, recompute=0.1),
    "lru": LinearScore("lru", base_utility=0.0, recency=1.0),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of the policy table.

    ``auto_pin`` installs every hard page at its floor; ``prefetch`` gives every page a pointer that fits;
    ``pointer_resolution`` serves a demand from the stored result; ``upgrades`` scores the upgrade steps (None: no
    upgrades); ``budget_share_after_reset`` is the share of the token budget that is left for pages in sessions that a
    reset began. ``recency_decay`` is what every page's recency is multiplied by each turn. ``reasoned_recall`` makes
    every recall answer with its reason, ``validated_writeback`` runs the journal's checks before a commit; the
    published table has no column for these two (``docs/policies.md``).

    >>> policy = dataclasses.replace(POLICIES["clawvm"], id="my_policy", upgrades=LinearScore("recent", recency=1.0))
    >>> policy.auto_pin, policy.horizon
    (True, 0)
    >>> policy.without(FEATURES["prefetch"]).id
    'my_policy_without_prefetch'
    """

    id: str
    name: str
    auto_pin: bool
    prefetch: bool
    writeback_at_compaction: WritebackMode
    writeback_at_reset: WritebackMode
    pointer_resolution: bool
    upgrades: Score | None
    budget_share_after_reset: float
    reasoned_recall: bool
    validated_writeback: bool
    recency_decay: float = RECENCY_DECAY

    def __post_init__(self) -> None:
        if not self.id or not self.id.replace("_", "").isalnum():
            raise PolicyError(f"a policy id is letters, digits and underscores, not {self.id!r}")
        if not 0.0 < self.budget_share_after_reset <= 1.0:
            raise PolicyError(f"policy {self.id}: budget_share_after_reset must be above 0 and at most 1")
        if not 0.0 <= self.recency_decay <= 1.0:
            raise PolicyError(f"policy {self.id}: recency_decay must be from 0 to 1")
        if self.writeback_at_reset is WritebackMode.SOFT_THRESHOLD:
            raise PolicyError(f"policy {self.id}: a reset has no soft threshold; use never or boundary")

    @property
    def horizon(self) -> int:
        """How many turns ahead the upgrade score looks; 0 for every policy that could run live."""
        return self.upgrades.horizon if self.upgrades is not None else 0

    def without(self, feature: Feature) -> Policy:
        """Return this row with one feature removed, which the id names."""
        changes: dict[str, Any] = {
            "id": f"{self.id}_without_{feature.id}",
            "name": f"{self.name} without {feature.name}",
            feature.field: feature.removed,
        }
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Feature:
    """One removable feature: the policy field, and the value of the field that removes it."""

    id: str
    name: str
    field: str
    removed: Any


FEATURES: dict[str, Feature] = {
    feature.id: feature
    for feature in (
        Feature("pointer_resolution", "pointer resolution", "pointer_resolution", False),
        Feature("writeback_at_compaction", "writeback at compaction", "writeback_at_compaction", WritebackMode.NEVER),
        Feature("auto_pin", "auto-pin", "auto_pin", False),
        Feature("writeback_at_reset", "writeback at reset", "writeback_at_reset", WritebackMode.NEVER),
        Feature("upgrade_scoring", "upgrade scoring", "upgrades", None),
        Feature("prefetch", "prefetch", "prefetch", False),
        Feature("reasoned_recall", "reasoned recall", "reasoned_recall", False),
        Feature("validated_writeback", "validated writeback", "validated_writeback", False),
    )
}


_RETRIEVAL = Policy(
    id="retrieval",
    name="Retrieval",
    auto_pin=False,
    prefetch=False,
    writeback_at_compaction=WritebackMode.NEVER,
    writeback_at_reset=WritebackMode.NEVER,
    pointer_resolution=False,
    upgrades=None,
    budget_share_after_reset=0.78,
    reasoned_recall=False,
    validated_writeback=False,
)
_CLAWVM = Policy(
    id="clawvm",
    name="ClawVM",
    auto_pin=True,
    prefetch=True,
    writeback_at_compaction=WritebackMode.BOUNDARY,
    writeback_at_reset=WritebackMode.BOUNDARY,
    pointer_resolution=True,
    upgrades=UPGRADE_SCORES["clawvm"],
    budget_share_after_reset=1.0,
    reasoned_recall=True,
    validated_writeback=True,
)
_COMPACTION_HYBRID = dataclasses.replace(
    _RETRIEVAL,
    id="compaction_hybrid",
    name="Compaction-Hybrid",
    prefetch=True,
    writeback_at_compaction=WritebackMode.SOFT_THRESHOLD,
    pointer_resolution=True,
    upgrades=UPGRADE_SCORES["recency"],
    budget_share_after_reset=0.85,
)

POLICIES: dict[str, Policy] = {
    policy.id: policy
    for policy in (
        _RETRIEVAL,
        dataclasses.replace(_RETRIEVAL, id="retrieval_cache", name="Retrieval+Cache", pointer_resolution=True),
        _COMPACTION_HYBRID,
        dataclasses.replace(_CLAWVM, id="lru", name="LRU", upgrades=UPGRADE_SCORES["lru"]),
        _CLAWVM,
        dataclasses.replace(_CLAWVM, id="oracle_h3", name="Oracle (h = 3)", upgrades=UPGRADE_SCORES["oracle"]),
    )
}

PAPER_POLICIES = ("retrieval", "retrieval_cache", "compaction_hybrid", "lru", "clawvm", "oracle_h3")
"""The ids of the published rows; ``POLICIES`` may have others."""


def policy_named(policy_id: str) -> Policy:
    """Return the row with this id, or that row with one feature removed (``<policy>_without_<feature>``).

    Raises PolicyError with the known ids.
    """
    if policy_id in POLICIES:
        return POLICIES[policy_id]
    base_id, separator, feature_id = policy_id.partition("_without_")
    if separator and base_id in POLICIES and feature_id in FEATURES:
        return POLICIES[base_id].without(FEATURES[feature_id])
    known = ", ".join(POLICIES)
    raise PolicyError(f"unknown policy {policy_id!r}; known: {known}, and <policy>_without_<feature>")
