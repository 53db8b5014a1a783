"""The settings of the sensitivity experiment: what they change in the simulated harness, the policies, the structure.

One assumption changes at a time, and a few together. A changed trace is what another simulated harness would have
produced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from clawvm_replay.trace_format import Accounting, BoundaryEvent, EventBefore, Replacement, ToolDeclaration, Trace, Turn
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import Policy, WritebackMode
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.vocabulary import Boundary, PageType, PinClass
from clawvm_workloads.families import COMMITTED_SIZING, SIZINGS

__all__ = ["GROUPS", "OTHER_SIZINGS", "SETTINGS", "Setting", "select_in_one_order", "select_without_injection"]

TraceChange = Callable[[Trace], Trace]

OUT_OF_REACH = 10**12
"""A transcript that no trace reaches, in tokens."""


def in_order(*changes: TraceChange) -> TraceChange:
    """Return the change that applies *changes* from the first to the last."""

    def change(trace: Trace) -> Trace:
        for item in changes:
            trace = item(trace)
        return trace

    return change


# --- accounting


def _accounting(change: Callable[[Accounting], Accounting]) -> TraceChange:
    def changed(trace: Trace) -> Trace:
        accounting = trace.header.accounting
        if accounting is None:
            return trace
        return dataclasses.replace(trace, header=dataclasses.replace(trace.header, accounting=change(accounting)))

    return changed


def _scaled(*names: str) -> Callable[[int], TraceChange]:
    """Return, for any percentage, the change that scales these fields of the accounting."""

    def by_percent(percent: int) -> TraceChange:
        def change(old: Accounting) -> Accounting:
            return dataclasses.replace(old, **{name: getattr(old, name) * percent // 100 for name in names})

        return _accounting(change)

    return by_percent


soft_threshold_scaled = _scaled("soft_threshold")
summary_scaled = _scaled("summary_tokens")
limit_scaled = _scaled("compaction_limit", "soft_threshold", "summary_tokens")
"""Soft threshold and summary stay the same shares of the limit."""


def flush_gap_scaled(percent: int) -> TraceChange:
    """Return the change that scales the gap from the soft threshold to the compaction limit, which stays.

    Up to 100 percent the flush still falls due below the limit, however near to it the threshold was: scaling the
    threshold itself up would pass the limit, which is no later flush but none.
    """

    def change(old: Accounting) -> Accounting:
        gap = (old.compaction_limit - old.soft_threshold) * percent // 100
        return dataclasses.replace(old, soft_threshold=max(0, old.compaction_limit - gap))

    return _accounting(change)


flush_at_once = soft_threshold_scaled(0)
"""The soft threshold at 0 tokens: the flush runs in the first turn of every cycle, and only there."""

flush_never = _accounting(lambda old: dataclasses.replace(old, soft_threshold=old.compaction_limit))
"""The soft threshold at the compaction limit: a transcript that passes it is compacted already."""

compaction_never = _accounting(lambda old: dataclasses.replace(old, compaction_limit=OUT_OF_REACH))
"""The compaction limit out of reach; boundaries that the trace names stay."""

compaction_every_turn = _accounting(lambda old: Accounting(compaction_limit=1, soft_threshold=1, summary_tokens=1))
"""Limit, threshold and summary at 1 token: every turn with more than one, or after another, compacts."""


# --- transcript growth


def _grown(trace: Trace, growth: Iterable[int]) -> Trace:
    turns = tuple(
        dataclasses.replace(turn, transcript_tokens=tokens) for turn, tokens in zip(trace.turns, growth, strict=True)
    )
    return dataclasses.replace(trace, turns=turns)


def growth_scaled(percent: int) -> TraceChange:
    """Return the change that scales the transcript growth of every turn."""
    return lambda trace: _grown(trace, [turn.transcript_tokens * percent // 100 for turn in trace.turns])


def _sessions(trace: Trace) -> list[list[Turn]]:
    """Return the turns of each session: a reset before a turn empties the transcript and begins the next session."""
    sessions: list[list[Turn]] = []
    for turn in trace.turns:
        boundaries = [item.boundary for item in turn.events_before if isinstance(item, BoundaryEvent)]
        if not sessions or Boundary.RESET in boundaries:
            sessions.append([])
        sessions[-1].append(turn)
    return sessions


def growth_gathered(turns: int) -> TraceChange:
    """Return the change that lets the growth of *turns* turns come with the last of them.

    What waits at the end of a session comes with its last turn, so that every session keeps its total.
    """

    def change(trace: Trace) -> Trace:
        growth = []
        for session in _sessions(trace):
            waiting = 0
            for turn in session:
                waiting += turn.transcript_tokens
                comes = turn.number % turns == 0 or turn is session[-1]
                growth.append(waiting if comes else 0)
                waiting = 0 if comes else waiting
        return _grown(trace, growth)

    return change


def growth_even(trace: Trace) -> Trace:
    """Spread the growth of each session evenly over its turns, the remainder over its first ones."""
    growth: list[int] = []
    for session in _sessions(trace):
        share, more = divmod(sum(turn.transcript_tokens for turn in session), len(session))
        growth += [share + (index < more) for index in range(len(session))]
    return _grown(trace, growth)


# --- events before the turns


def compaction_first(trace: Trace) -> Trace:
    """Let a compaction precede the first turn: it destroys what was injected and leaves a summary."""
    first = trace.turns[0]
    changed = dataclasses.replace(first, events_before=(*first.events_before, BoundaryEvent(Boundary.COMPACTION)))
    return dataclasses.replace(trace, turns=(changed, *trace.turns[1:]))


def _with_pages(trace: Trace, change: Callable[[Page], Page]) -> Trace:
    """Return *trace* with every page in it changed: declared ones, replacements, tool results."""

    def changed(item: EventBefore) -> EventBefore:
        if isinstance(item, Page):
            return change(item)
        if isinstance(item, Replacement):
            return Replacement(change(item.page))
        if isinstance(item, ToolDeclaration) and item.page is not None:
            return dataclasses.replace(item, page=change(item.page))
        return item

    def turn_with(turn: Turn) -> Turn:
        return dataclasses.replace(turn, events_before=tuple(map(changed, turn.events_before)))

    return dataclasses.replace(trace, turns=tuple(map(turn_with, trace.turns)))


def pinned_as(page_type: PageType, pin: PinClass) -> TraceChange:
    """Return the change that gives every page of *page_type* the pin class *pin*."""
    return lambda trace: _with_pages(trace, lambda page: page.changed(pin=pin) if page.type is page_type else page)


def durable_sources(trace: Trace) -> Trace:
    """Let every page come from a file: a reset destroys residency, but no page."""
    return _with_pages(trace, lambda page: page.changed(provenance=Provenance("file", page.provenance.reference)))


# --- the settings

PolicyChange = Callable[[Policy], Policy]

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "sizing": "other sizing",
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

    ``sizing`` names the constants of the families, a row of ``SIZINGS``. ``only_flushes``: the change moves nothing but
    flushes, so that a policy without one cannot notice. ``budget_percent`` is the share of each budget that the pages
    get; the harness's accounting keeps the whole.
    """

    id: str
    title: str
    trace_change: TraceChange | None = None
    policy_change: PolicyChange | None = None
    selector: Selector = select
    only_flushes: bool = False
    budget_percent: int = 100
    sizing: str = COMMITTED_SIZING
    group: str = "default"

    def changes_runs_of(self, policy: Policy) -> bool:
        """Return whether anything but the policy itself differs from the default in a run of *policy*."""
        flushes = policy.writeback_at_compaction is WritebackMode.SOFT_THRESHOLD
        return (
            (self.trace_change is not None and (flushes or not self.only_flushes))
            or self.selector is not select
            or self.sizing != COMMITTED_SIZING
            or self.budget_percent != 100
        )

    def policy(self, policy: Policy) -> Policy:
        """Return *policy* under this setting; its id stays."""
        return policy if self.policy_change is None else self.policy_change(policy)


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
    policy = dataclasses.replace(request.policy, auto_pin=False)
    return select(dataclasses.replace(request, policy=policy, injected=(), demands={**held, **request.demands}))


def select_without_injection(request: SelectionRequest) -> Selection:
    """Return the selection without pages that the harness itself keeps: the policy installs everything."""
    return select(dataclasses.replace(request, injected=()))


def _each(policy_id: str = "", **changes: Any) -> PolicyChange:
    """Return the change that gives the policy of this id, or every one, these field values."""
    return lambda policy: dataclasses.replace(policy, **changes) if policy_id in ("", policy.id) else policy


_flush = partial(Setting, group="harness", only_flushes=True)
_harness = partial(Setting, group="harness")
_structure = partial(Setting, group="structure")
_corner = partial(Setting, group="corner")

_HARNESS = (
    _flush("flush_at_once", "flush in the first turn of a cycle", flush_at_once),
    *(_flush(f"soft_x{x}", f"soft threshold x {x}", soft_threshold_scaled(int(100 * x))) for x in (0.5, 0.75)),
    _flush("gap_x2", "flush at twice the gap to the limit", flush_gap_scaled(200)),
    _flush("gap_x0.5", "flush at half the gap to the limit", flush_gap_scaled(50)),
    _flush("flush_never", "no flush ever", flush_never),
    _harness("compaction_every_turn", "compaction in every turn", compaction_every_turn),
    *(_harness(f"limit_x{x}", f"compaction limit x {x}", limit_scaled(int(100 * x))) for x in (0.5, 0.75, 1.5, 2)),
    _harness("compaction_never", "no compaction by accounting", compaction_never),
    _harness("summary_x0", "summary of 0 tokens", summary_scaled(0)),
    *(_harness(f"summary_x{x}", f"summary x {x}", summary_scaled(100 * x)) for x in (2, 4)),
    _harness("growth_x1.5", "transcript growth x 1.5", growth_scaled(150)),
    _harness("growth_even", "the same growth in every turn", growth_even),
    *(_harness(f"growth_by_{turns}", f"growth of {turns} turns at once", growth_gathered(turns)) for turns in (3, 6)),
)

_DECAY = tuple(
    Setting(f"decay_{decay}", f"recency decay {decay}", group="decay", policy_change=_each(recency_decay=decay))
    for decay in (0.0, 0.5, 0.7, 0.95, 1.0)
)

_HYBRID_AT_BOUNDARY = _each("compaction_hybrid", writeback_at_compaction=WritebackMode.BOUNDARY)

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


_CORNERS = (
    _corner("short_no_flush", "limit x 0.5, no flush", in_order(limit_scaled(50), flush_never)),
    _corner("long_early_flush", "limit x 2, flush in the first turn", in_order(limit_scaled(200), flush_at_once)),
    _corner(
        "jumpy_and_late",
        "growth of 3 turns at once, half the gap",
        in_order(growth_gathered(3), flush_gap_scaled(50)),
    ),
    _corner("large_and_fast", "summary x 2, growth x 2", in_order(summary_scaled(200), growth_scaled(200))),
    _corner("kindest", "kindest to the baselines", growth_even, policy_change=_kindest),
    _corner("half_budget", "half budget", budget_percent=50),
)

OTHER_SIZINGS = tuple(name for name in SIZINGS if name != COMMITTED_SIZING)

_SIZINGS = tuple(Setting(name, f"sizing {name}", sizing=name, group="sizing") for name in OTHER_SIZINGS)

SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        setting.id: setting
        for setting in (Setting("default", "nothing changed"), *_SIZINGS, *_HARNESS, *_DECAY, *_STRUCTURE, *_CORNERS)
    }
)
