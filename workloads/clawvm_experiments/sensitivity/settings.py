"""The settings under which the conclusions are tried: one assumption changed at a time, and some corners.

====================  =========================================================================
Setting               what is changed: the traces, the policies, the selector, the share of the budget
SETTINGS              all of them by id; "default" changes nothing
GROUPS                the groups of settings with their titles
WITHOUT_EFFECT        settings that give the families the runs of the default, each with the reason
OUTSIDE_TRACE_FORMAT  settings whose traces can be replayed but not written and read, with the reason
====================  =========================================================================

Counting decisions are no settings of a run: they are rule sets over the same runs (``counting_rules``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from clawvm_experiments.sensitivity.harness_settings import (
    TraceChange,
    compaction_every_turn,
    compaction_first,
    compaction_never,
    durable_sources,
    flush_at_once,
    flush_gap_scaled,
    flush_never,
    growth_even,
    growth_gathered,
    growth_scaled,
    in_order,
    limit_scaled,
    pinned_as,
    soft_threshold_scaled,
    summary_scaled,
)
from clawvm_runtime.policy import Policy, Writeback
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import PageType, PinClass

__all__ = [
    "GROUPS",
    "OUTSIDE_TRACE_FORMAT",
    "SETTINGS",
    "WITHOUT_EFFECT",
    "Setting",
    "select_in_one_order",
    "select_without_injection",
]

PolicyChange = Callable[[Policy], Policy]

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "harness": "simulated harness",
        "decay": "recency decay",
        "structure": "structure",
        "counting": "counting",
        "corner": "corners",
    }
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; ``trace_change`` None and ``policy_change`` None leave traces and policies as they are.

    ``only_flushes``: the change moves nothing but flushes, so that a policy without one cannot notice.
    ``budget_percent`` is the share of each budget that the pages get; the harness's accounting keeps the whole.
    """

    id: str
    group: str
    title: str
    trace_change: TraceChange | None = None
    policy_change: PolicyChange | None = None
    selector: Selector = select
    only_flushes: bool = False
    budget_percent: int = 100

    def changes_runs_of(self, policy: Policy) -> bool:
        """Return whether anything but the policy itself differs from the default in a run of *policy*."""
        flushes = policy.writeback_at_compaction is Writeback.SOFT_THRESHOLD
        return (
            (self.trace_change is not None and (flushes or not self.only_flushes))
            or self.selector is not select
            or self.budget_percent != 100
        )

    def policy(self, policy: Policy) -> Policy:
        """Return *policy* under this setting; its id stays."""
        return policy if self.policy_change is None else self.policy_change(policy)


@cache
def _without_auto_pin(policy: Policy) -> Policy:
    return dataclasses.replace(policy, auto_pin=False)


def select_in_one_order(request: SelectionRequest) -> Selection:
    """Return the selection with floors and demands in one order of installation, as the publication can be read.

    A page that is held and demanded is required once, at the higher level. Where everything required fits, the levels
    are those of ``select``.
    """
    held = {
        page.id: page.minimum
        for page in request.pages
        if page.id in request.injected or (request.policy.auto_pin and page.is_hard)
    }
    # The plain selector installs what is demanded in one order; a floor is a demand at the page's minimum.
    merged = dataclasses.replace(
        request, policy=_without_auto_pin(request.policy), injected=(), demands={**held, **request.demands}
    )
    return select(merged)


def select_without_injection(request: SelectionRequest) -> Selection:
    """Return the selection where the harness keeps nothing: only what the policy installs is there from the start."""
    return select(dataclasses.replace(request, injected=()))


def _each(**changes: Any) -> PolicyChange:
    """Return the change that gives every policy these field values."""
    return lambda policy: dataclasses.replace(policy, **changes)


def _only(policy_id: str, **changes: Any) -> PolicyChange:
    """Return the change that gives one policy these field values."""
    return lambda policy: dataclasses.replace(policy, **changes) if policy.id == policy_id else policy


_HARNESS = (
    Setting("flush_at_once", "harness", "flush in the first turn of a cycle", flush_at_once, only_flushes=True),
    Setting("soft_x0.5", "harness", "soft threshold x 0.5", soft_threshold_scaled(50), only_flushes=True),
    Setting("soft_x0.75", "harness", "soft threshold x 0.75", soft_threshold_scaled(75), only_flushes=True),
    Setting("gap_x2", "harness", "flush at twice the gap to the limit", flush_gap_scaled(200), only_flushes=True),
    Setting("gap_x0.5", "harness", "flush at half the gap to the limit", flush_gap_scaled(50), only_flushes=True),
    Setting("flush_never", "harness", "no flush ever", flush_never, only_flushes=True),
    Setting("compaction_every_turn", "harness", "compaction in every turn", compaction_every_turn),
    Setting("limit_x0.5", "harness", "compaction limit x 0.5", limit_scaled(50)),
    Setting("limit_x0.75", "harness", "compaction limit x 0.75", limit_scaled(75)),
    Setting("limit_x1.5", "harness", "compaction limit x 1.5", limit_scaled(150)),
    Setting("limit_x2", "harness", "compaction limit x 2", limit_scaled(200)),
    Setting("compaction_never", "harness", "no compaction by accounting", compaction_never),
    Setting("summary_x0", "harness", "summary of 0 tokens", summary_scaled(0)),
    Setting("summary_x2", "harness", "summary x 2", summary_scaled(200)),
    Setting("summary_x4", "harness", "summary x 4", summary_scaled(400)),
    Setting("growth_x1.5", "harness", "transcript growth x 1.5", growth_scaled(150)),
    Setting("growth_even", "harness", "the same growth in every turn", growth_even),
    Setting("growth_by_3", "harness", "growth of 3 turns at once", growth_gathered(3)),
    Setting("growth_by_6", "harness", "growth of 6 turns at once", growth_gathered(6)),
)


def _decay(decay: float) -> Setting:
    return Setting(f"decay_{decay}", "decay", f"recency decay {decay}", policy_change=_each(recency_decay=decay))


_DECAY = tuple(map(_decay, (0.0, 0.5, 0.7, 0.95, 1.0)))


def _structure(setting_id: str, title: str, trace_change: TraceChange | None = None, **more: Any) -> Setting:
    return Setting(setting_id, "structure", title, trace_change, **more)


_HYBRID_AT_BOUNDARY = _only("compaction_hybrid", writeback_at_compaction=Writeback.BOUNDARY)

_STRUCTURE = (
    _structure("reset_share_1", "whole budget after a reset", policy_change=_each(budget_share_after_reset=1.0)),
    _structure("plan_none", "plan not pinned", pinned_as(PageType.PLAN, PinClass.NONE)),
    _structure("plan_hard", "plan hard-pinned", pinned_as(PageType.PLAN, PinClass.HARD)),
    _structure("preference_soft", "preferences soft-pinned", pinned_as(PageType.PREFERENCE, PinClass.SOFT)),
    _structure("one_order", "floors and demands in one order", selector=select_in_one_order),
    _structure("not_injected", "bootstrap not injected", selector=select_without_injection),
    _structure("compaction_first", "compaction before the first turn", compaction_first),
    _structure("durable_sources", "pages outlive a reset", durable_sources),
    _structure("hybrid_at_boundary", "Compaction-Hybrid commits at the compaction", policy_change=_HYBRID_AT_BOUNDARY),
    _structure("reasoned_recall", "reasoned recall for all", policy_change=_each(reasoned_recall=True)),
    _structure("validated_writeback", "validated writeback for all", policy_change=_each(validated_writeback=True)),
)


def _kindest(policy: Policy) -> Policy:
    return _HYBRID_AT_BOUNDARY(_each(reasoned_recall=True, budget_share_after_reset=1.0)(policy))


def _corner(setting_id: str, title: str, *trace_changes: TraceChange, **more: Any) -> Setting:
    return Setting(setting_id, "corner", title, in_order(*trace_changes) if trace_changes else None, **more)


_CORNERS = (
    _corner("short_no_flush", "limit x 0.5, no flush", limit_scaled(50), flush_never),
    _corner("long_early_flush", "limit x 2, flush in the first turn", limit_scaled(200), flush_at_once),
    _corner("jumpy_and_late", "growth of 3 turns at once, half the gap", growth_gathered(3), flush_gap_scaled(50)),
    _corner("large_and_fast", "summary x 2, growth x 2", summary_scaled(200), growth_scaled(200)),
    _corner("kindest", "kindest to the baselines", growth_even, policy_change=_kindest),
    _corner("half_budget", "half budget", budget_percent=50),
)

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        setting.id: setting
        for setting in (Setting("default", "default", "nothing changed"), *_HARNESS, *_DECAY, *_STRUCTURE, *_CORNERS)
    }
)

WITHOUT_EFFECT: Mapping[str, str] = MappingProxyType(
    {
        "reset_share_1": "what a session needs right after a reset fits in the smaller share too",
        "plan_none": "a soft pin only adds to the rank of an upgrade, and no access depends on the plan's",
        "preference_soft": "a soft pin only adds to the rank of an upgrade, and no access depends on a preference's",
        "one_order": "no demand for a hard page takes the room of another page's floor",
        "not_injected": "auto-pin installs the same pages, and without it a page that never was there is no loss",
        "validated_writeback": "every update of the families is valid",
    }
)
"""They stay listed: that a decision does not matter to the families is an answer, and the results count them apart."""

_SUMMARY_ABOVE = "the soft threshold of 0 tokens is below the summary, which a header may not say"

OUTSIDE_TRACE_FORMAT: Mapping[str, str] = MappingProxyType(
    {"flush_at_once": _SUMMARY_ABOVE, "long_early_flush": _SUMMARY_ABOVE}
)
