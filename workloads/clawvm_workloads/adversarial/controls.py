"""Controls: what is taken away from ClawVM so that a check must break.

===============  ==========================================================================
Control          one thing that is taken away, and the checks that must break without it
removal          the control that removes one feature of ClawVM
OVERFULL         a selector that spends twice the budget
HALF_EMPTY       a selector that spends half the budget
===============  ==========================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clawvm_runtime.policy import FEATURES
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select

__all__ = ["HALF_EMPTY", "OVERFULL", "Control", "removal"]


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that is taken away from ClawVM, and the checks that must break without it.

    ``removal`` are fields of the policy row, ``selector`` takes the place of the engine's, and ``variant`` is for a
    scenario that can leave something out, or report something falsely, by itself.
    """

    change: str
    breaks: tuple[str, ...]
    removal: Mapping[str, Any] = field(default_factory=dict)
    selector: Selector = select
    variant: str = ""


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
