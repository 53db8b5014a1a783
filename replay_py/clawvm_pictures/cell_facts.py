"""The decision behind a cell of a residency map: facts from the events of one turn, as sentences with numbers.

=============  ====================================================================================
Fact           a sentence with places for numbers; cells with the same sentences can be merged
facts_of_turn  the facts of every page that the events of one turn speak of
fact_text      the sentence with its numbers, or their ranges
=============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from clawvm_pictures.lettering import value_text
from clawvm_runtime.decision_trace import Event

__all__ = ["Fact", "fact_text", "facts_of_turn", "fault_text"]

_REQUIRED = {
    "injected": "injected at {level} by the harness until the first boundary",
    "floor": "floor: auto-pin holds a hard page at {level}",
    "demand": "demand: this turn needs it at {level}",
}


class Fact(NamedTuple):
    """A sentence with a place ``{}`` for each of its numbers."""

    sentence: str
    numbers: tuple[float, ...] = ()


def fact_text(sentence: str, ranges: Sequence[tuple[float, float]]) -> str:
    """Return the sentence with each number, or its lowest and highest value where they differ."""
    parts = sentence.split("{}")
    shown = [value_text(low) if low == high else f"{value_text(low)} to {value_text(high)}" for low, high in ranges]
    return parts[0] + "".join(number + part for number, part in zip(shown, parts[1:]))


def facts_of_turn(events: Sequence[Event], before: Mapping[str, str], gone: Collection[str]) -> dict[str, list[Fact]]:
    """Return the facts of each page that the *events* of one turn decide on, in the order in which they count.

    *before* has the levels of the last prompt, *gone* the pages that a reset destroyed and nothing has brought back.
    O(length of the events).
    """
    facts: dict[str, list[Fact]] = {}
    assembled: Event | None = None
    for event in events:
        if event["event"] == "assemble":
            assembled = event
        elif event["event"] == "boundary":
            for page in before:
                _add(facts, page, f"the {event['boundary']} before this prompt dropped it from the context")
        elif event["event"] == "session_start":
            for page in event.get("gone", ()):
                _add(facts, page, "the reset destroyed it: it was never committed")
    for page in gone:
        if page not in facts:
            _add(facts, page, "gone since a reset that destroyed it; nothing has brought it back")
    for event in events:
        _happened(facts, event)
    if assembled is not None:
        _selected(facts, assembled)
    for event in events:
        if event["event"] == "fault" and "page" in event:
            _add(facts, event["page"], f"FAULT {fault_text(event)}")
    return facts


def _add(facts: dict[str, list[Fact]], page: str, sentence: str, *numbers: float) -> None:
    facts.setdefault(page, []).append(Fact(sentence, numbers))


def fault_text(event: Event) -> str:
    """Return a fault event in words: kind, cause, whom it is counted against."""
    kind = event["fault"].replace("_", " ")
    details = {
        "retrieved_again": "retrieved again",
        "left_out_of_prompt": "left out of the prompt",
    }
    parts = [kind]
    if "cause" in event:
        parts.append(details[event["cause"]])
    if "minimum" in event:
        parts.append(f"at {event['resident']}, below its minimum {event['minimum']}")
    if "boundary" in event:
        parts.append(f"staged updates destroyed by the {event['boundary']}")
    if "outcome" in event:
        parts.append(f"the look-up ended as {event['outcome'].replace('_', ' ')} without saying so")
    parts.append("counted against the policy" if event["controllable"] else "caused by pressure")
    return ", ".join(parts)


def _happened(facts: dict[str, list[Fact]], event: Event) -> None:
    kind = event["event"]
    if kind == "demand":
        verdict = event["verdict"].replace("_", "-")
        found = f"demanded at {event['level']}, found at {event['resident']}: {verdict}"
        if event["verdict"] == "page_in":
            _add(facts, event["page"], found + " of {} tokens", event["page_in_tokens"])
        else:
            _add(facts, event["page"], found)
    elif kind == "alert":
        _add(facts, event["page"], "alert: the tool call repeats an earlier one")
    elif kind == "page" and event["cause"] == "replaced":
        _add(facts, event["page"], "new content took its place")


def _selected(facts: dict[str, list[Fact]], assembled: Event) -> None:
    for page, level, reason, fitted in assembled["required"]:
        sentence = _REQUIRED[reason].format(level=level)
        _add(facts, page, sentence if fitted else sentence + ", but that did not fit")
    steps = assembled["steps"]
    # What was left while a step was tried is what is left at the end and what the steps from there on took.
    left = assembled["budget"] - assembled["tokens"]
    lefts = []
    for _, _, delta, _, outcome in reversed(steps):
        left += delta if outcome == "applied" else 0
        lefts.append(left)
    for page in assembled["prefetched"]:
        _add(facts, page, "prefetch: its lowest level fitted")
    for page in assembled["prefetch_refused"]:
        _add(facts, page, "prefetch refused: its lowest level did not fit; {} tokens were left after it", left)
    stopped: set[str] = set()
    for (page, level, delta, key, outcome), left_then in zip(steps, reversed(lefts)):
        if outcome == "applied":
            text = f"upgrade to {level}: {{}} tokens of {{}} left, score per token {{}}"
            _add(facts, page, text, delta, left_then, key)
        elif outcome == "did_not_fit":
            text = f"no upgrade to {level}: it needs {{}} tokens, {{}} were left, score per token {{}}"
            _add(facts, page, text, delta, left_then, key)
            stopped.add(page)
        elif page not in stopped:
            text = f"no upgrade to {level}: tried when the page did not stand at the level below, score per token {{}}"
            _add(facts, page, text, key)
