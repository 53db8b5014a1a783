"""Explain decisions: why each page was at its level in a turn, from the decision trace alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event

__all__ = ["Fact", "explain", "fault_text", "filled", "page_facts", "update_destroyed"]

_REQUIRED = {
    "injected": "injected at {level} by the harness until the first boundary",
    "floor": "floor: auto-pin holds a hard page at {level}",
    "demand": "demand: this turn needs it at {level}",
}
_MOST_LISTED = 20


class Fact(NamedTuple):
    """A sentence about a page in one turn, with a place ``{}`` for each of its numbers."""

    sentence: str
    numbers: tuple[float, ...] = ()


def filled(sentence: str, numbers: Iterable[str]) -> str:
    """Return the sentence of a fact with *numbers* in its places."""
    parts = sentence.split("{}")
    return parts[0] + "".join(number + part for number, part in zip(numbers, parts[1:]))


def explain(events: Iterable[Event], turn: int, page: str) -> list[str]:
    """Return why *page* was at its level in turn *turn*, one sentence per line.

    Raises InputError when the decision trace has no prompt for the turn, and with the pages known in that turn when
    none of its events up to then mentions *page*.
    """
    pages: set[str] = set()
    destroyed: set[str] = set()
    before: Mapping[str, str] = {}
    current = []
    for event in events:
        if event["turn"] > turn:
            break
        pages.update([event["page"]] if "page" in event else event.get("levels", ()))
        update_destroyed(destroyed, event)
        if event["turn"] == turn:
            current.append(event)
        elif event["event"] == "assemble":
            before = event["levels"]
    assembled = next((event for event in current if event["event"] == "assemble"), None)
    if assembled is None:
        raise InputError(f"the decision trace has no prompt for turn {turn}")
    if page not in pages:
        known = [*sorted(pages)[:_MOST_LISTED], *["..."] * (len(pages) > _MOST_LISTED)]
        raise InputError(f"no page {page!r:.80} up to turn {turn}; known: {', '.join(f'{name:.80}' for name in known)}")
    level, earlier = assembled["levels"].get(page, "none"), before.get(page, "none")
    facts = page_facts(current, assembled, before, destroyed).get(page, [Fact("nothing asked for it")])
    return [
        f"turn {turn}: page {page!r} is at {level} (in the prompt before: {earlier})",
        f"the prompt uses {assembled['tokens']} of {assembled['budget']} tokens",
        *(
            f"invariant pressure: the minimum set and the demands miss {event['missing']} tokens"
            for event in current
            if event["event"] == "pressure"
        ),
        *(filled(fact.sentence, (f"{number:.6g}" for number in fact.numbers)) for fact in facts),
    ]


def update_destroyed(destroyed: set[str], event: Event) -> None:
    """Track in *destroyed* the pages that a reset destroyed and nothing has brought back."""
    if event["event"] == "session_start":
        destroyed.update(event.get("gone", ()))
    elif event["event"] in ("page", "demand"):
        destroyed.discard(event["page"])


def fault_text(event: Event) -> str:
    """Return a fault event in words: kind, cause, whom it is counted against."""
    parts = [event["fault"].replace("_", " ")]
    if "cause" in event:
        parts.append(event["cause"].replace("left_out_of_prompt", "left out of the prompt").replace("_", " "))
    if "minimum" in event:
        parts.append(f"at {event['resident']}, below its minimum {event['minimum']}")
    if "boundary" in event:
        parts.append(f"staged updates destroyed by the {event['boundary']}")
    if "outcome" in event:
        parts.append(f"the recall ended as {event['outcome'].replace('_', ' ')} without saying so")
    parts.append("counted against the policy" if event["controllable"] else "caused by pressure")
    return ", ".join(parts)


def page_facts(
    events: Sequence[Event], assembled: Event | None, before: Mapping[str, str], destroyed: Collection[str]
) -> dict[str, list[Fact]]:
    """Return the facts about each page that the *events* of one turn affect, in the order in which they apply.

    *before* has the levels of the last prompt. O(length of the events).
    """
    facts: dict[str, list[Fact]] = {}

    def add(page: str, sentence: str, *numbers: float) -> None:
        facts.setdefault(page, []).append(Fact(sentence, numbers))

    for event in events:
        if event["event"] == "boundary":
            for page in before:
                add(page, f"the {event['boundary']} before this prompt dropped it from the context")
        elif event["event"] == "session_start":
            for page in event.get("gone", ()):
                add(page, "the reset destroyed it: it was never committed")
    for page in destroyed:
        if page not in facts:
            add(page, "destroyed by a reset; nothing has brought it back")
    for event in events:
        if event["event"] == "demand":
            found = f"demanded at {event['level']}, found at {event['resident']}: {event['verdict'].replace('_', '-')}"
            if event["verdict"] == "page_in":
                add(event["page"], found + " of {} tokens", event["page_in_tokens"])
            else:
                add(event["page"], found)
        elif event["event"] == "alert":
            add(event["page"], "alert: the tool call repeats an earlier one")
        elif event["event"] == "page" and event["cause"] == "replaced":
            add(event["page"], "new content took its place")
    if assembled is not None:
        for page, fact in _selection_facts(assembled):
            facts.setdefault(page, []).append(fact)
    for event in events:
        if event["event"] == "fault" and "page" in event:
            add(event["page"], f"FAULT {fault_text(event)}")
    return facts


def _selection_facts(assembled: Event) -> list[tuple[str, Fact]]:
    """Return what the selection decided, by page: requirements, prefetches, upgrade steps."""
    found = []
    for page, level, reason, fitted in assembled["required"]:
        sentence = _REQUIRED[reason].format(level=level)
        found.append((page, Fact(sentence if fitted else sentence + ", but that did not fit")))
    steps = assembled["steps"]
    # What was left while a step was tried is what is left at the end and what the steps from there on took.
    left = assembled["budget"] - assembled["tokens"]
    left += sum(delta for _, _, delta, _, outcome in steps if outcome == "applied")
    found += [(page, Fact("prefetch: its lowest level fitted")) for page in assembled["prefetched"]]
    refused = Fact("prefetch refused: its lowest level did not fit; {} tokens left after all prefetches", (left,))
    found += [(page, refused) for page in assembled["prefetch_refused"]]
    stopped: set[str] = set()
    for page, level, delta, key, outcome in steps:
        if outcome == "applied":
            text = f"upgrade to {level}: {{}} tokens of {{}} left, score per token {{}}"
            found.append((page, Fact(text, (delta, left, key))))
            left -= delta
        elif outcome == "did_not_fit":
            text = f"no upgrade to {level}: it needs {{}} tokens with {{}} left, score per token {{}}"
            found.append((page, Fact(text, (delta, left, key))))
            stopped.add(page)
        elif page not in stopped:
            text = f"no upgrade to {level}: tried when the page was not at the level below, score per token {{}}"
            found.append((page, Fact(text, (key,))))
    return found
