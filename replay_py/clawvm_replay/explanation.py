"""Explain a decision: why a page stood at its level in a turn, told from the decision trace alone.

=============  =================================================================
explain        the lines of the explanation of one page in one turn
=============  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable

from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event

__all__ = ["explain"]

_REASONS = {
    "injected": "the harness injected it at session start and keeps it until the first destructive boundary",
    "floor": "auto-pin holds every hard page at its floor",
    "demand": "this turn demands it",
}
_OUTCOMES = {
    "applied": "applied",
    "did_not_fit": "did not fit what was left",
    "not_next": "not the next level of the page at that point of the pass",
}


def explain(events: Iterable[Event], turn: int, page: str) -> list[str]:
    """Return why *page* stood where it stood in turn *turn*, one sentence per line.

    Raises InputError when the decision trace holds no prompt for the turn or never mentions the page.
    """
    known = False
    lines: list[str] = []
    before = "none"
    assembled = None
    for event in events:
        known = known or event.get("page") == page or page in event.get("levels", {})
        if event["event"] == "assemble" and event["turn"] < turn:
            before = event["levels"].get(page, "none")
        if event["turn"] == turn:
            if event["event"] == "assemble":
                assembled = event
            lines.extend(_happened(event, page))
    if assembled is None:
        raise InputError(f"the decision trace has no prompt for turn {turn}")
    if not known:
        raise InputError(f"the decision trace never mentions page {page!r}")
    level = assembled["levels"].get(page, "none")
    head = f"turn {turn}: page {page!r} stands at {level} (in the prompt before: {before})"
    budget = f"the prompt uses {assembled['tokens']} of {assembled['budget']} tokens"
    return [head, budget, *lines, *_selected(assembled, page)]


def _happened(event: Event, page: str) -> list[str]:
    kind = event["event"]
    if kind == "boundary":
        return [f"before it: a {event['boundary']} destroyed what was resident"]
    if kind == "pressure":
        return [f"invariant pressure: the minimum set and the demands miss {event['missing']} tokens"]
    if event.get("page") != page:
        return []
    if kind == "demand":
        return [f"demanded at {event['level']}, found at {event['resident']}: {event['verdict'].replace('_', '-')}"]
    if kind == "alert":
        return ["alert: the tool call repeats an earlier signature"]
    if kind == "fault":
        blame = "policy" if event["controllable"] else "pressure"
        return [f"fault: {event['fault']} (to blame: the {blame})"]
    return []


def _selected(assembled: Event, page: str) -> list[str]:
    lines = []
    for page_id, level, reason, fitted in assembled["required"]:
        if page_id == page:
            lines.append(f"required at {level}: {_REASONS[reason]}; {'it fitted' if fitted else 'it did not fit'}")
    if not lines:
        lines.append("not in the required set")
    if page in assembled["prefetched"]:
        lines.append("prefetched: its pointer fitted")
    if page in assembled["prefetch_refused"]:
        lines.append("prefetch refused: not even its pointer fitted")
    tried = [step for step in assembled["steps"] if step[0] == page]
    for rank, (page_id, level, delta, key, outcome) in enumerate(assembled["steps"], start=1):
        if page_id == page:
            lines.append(
                f"upgrade to {level}: {delta} tokens, score per token {key:.4f}, tried as number {rank} of "
                f"{len(assembled['steps'])}: {_OUTCOMES[outcome]}"
            )
    if not tried:
        lines.append("no upgrade was tried: the policy has none, or the page stood at full already")
    return lines
