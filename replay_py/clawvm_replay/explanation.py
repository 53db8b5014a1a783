"""Explain a decision: why a page was at its level in a turn, from the decision trace alone."""

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
_MOST_LISTED = 20


def explain(events: Iterable[Event], turn: int, page: str) -> list[str]:
    """Return why *page* was at its level in turn *turn*, one sentence per line.

    Raises InputError when the decision trace has no prompt for the turn, and with the pages known in that turn when
    none of its events up to then mentions *page*.
    """
    pages: set[str] = set()
    lines: list[str] = []
    before = "none"
    assembled = None
    for event in events:
        if event["turn"] > turn:
            break
        pages.update([event["page"]] if "page" in event else event.get("levels", ()))
        if event["turn"] == turn:
            lines.extend(_happened(event, page))
        if event["event"] == "assemble":
            if event["turn"] == turn:
                assembled = event
            else:
                before = event["levels"].get(page, "none")
    if assembled is None:
        raise InputError(f"the decision trace has no prompt for turn {turn}")
    if page not in pages:
        known = [*sorted(pages)[:_MOST_LISTED], *["..."] * (len(pages) > _MOST_LISTED)]
        raise InputError(f"no page {page!r:.80} up to turn {turn}; known: {', '.join(f'{name:.80}' for name in known)}")
    level = assembled["levels"].get(page, "none")
    head = f"turn {turn}: page {page!r} is at {level} (in the prompt before: {before})"
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
        return [f"fault: {event['fault']} (cause: the {'policy' if event['controllable'] else 'pressure'})"]
    return []


def _selected(assembled: Event, page: str) -> list[str]:
    required = [item for item in assembled["required"] if item[0] == page]
    lines = [
        f"required at {level}: {_REASONS[reason]}; {'it fitted' if fitted else 'it did not fit'}"
        for _, level, reason, fitted in required
    ] or ["not in the required set"]
    if page in assembled["prefetched"]:
        lines.append("prefetched: its pointer fitted")
    if page in assembled["prefetch_refused"]:
        lines.append("prefetch refused: not even its pointer fitted")
    steps = assembled["steps"]
    tried = [
        f"upgrade to {level}: {delta} tokens, score per token {key:.4f}, tried as number {rank} of {len(steps)}: "
        f"{_OUTCOMES[outcome]}"
        for rank, (page_id, level, delta, key, outcome) in enumerate(steps, start=1)
        if page_id == page
    ]
    return lines + (tried or ["no upgrade was tried: the policy has none, or the page was at full already"])
