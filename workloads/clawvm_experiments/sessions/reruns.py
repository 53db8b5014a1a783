"""What a policy makes of the calls that ran again in truth: was the content in the prompt, in the store, or nowhere?

==============  ====================================================================================
Outcome         what became of one such call
Rerun           its tokens, outcome, and whether its turn was under pressure
RerunWatch      takes the decisions of a replay and tells what became of each observation
rerun_counts    the counts of many, as plain JSON data
==============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_runtime.decision_trace import Event
from clawvm_transcripts.observations import Observed

__all__ = ["Outcome", "Rerun", "RerunWatch", "rerun_counts"]


class Outcome(str, Enum):
    """What became of a call that asked again for known content; a call that needs several pages has the worst."""

    RESIDENT = "resident"  # The last prompt held it at the level asked for: nothing had to be asked.
    PAGED_IN = "paged_in"  # The store gave it, no tool ran, and the next prompt held it.
    LEFT_OUT = "left_out"  # The store had it, but the next prompt did not hold it.
    FAULTED = "faulted"  # The tool had to run again.
    NOT_JUDGED = "not_judged"  # A first access of this content in the trace, which no policy can have prepared.


SERVED = (Outcome.RESIDENT, Outcome.PAGED_IN)


@dataclass(frozen=True, slots=True)
class Rerun:
    """What became of one observation; ``page_in_tokens`` are what the store's content cost the next prompt."""

    observed: Observed
    outcome: Outcome
    page_in_tokens: int
    under_pressure: bool


@dataclass(slots=True)
class _Demand:
    verdict: str = ""
    page_in_tokens: int = 0
    left_out: bool = False


class RerunWatch:
    """A sink for a replay's decisions that keeps only what *observations* ask about. Memory: O(observations)."""

    def __init__(self, observations: Iterable[Observed]) -> None:
        self._observations = tuple(observations)
        self._demands = {(item.turn, page): _Demand() for item in self._observations for page in item.pages}
        self._turns = {item.turn for item in self._observations}
        self._pressure: set[int] = set()

    def take(self, event: Event) -> None:
        """Take the next decision."""
        kind = event["event"]
        if kind == "demand":
            demand = self._demands.get((event["turn"], event["page"]))
            if demand is not None and not demand.verdict:  # The first demand of a turn is the one that was observed.
                demand.verdict = event["verdict"]
                demand.page_in_tokens = event["page_in_tokens"]
        elif kind == "fault":
            demand = self._demands.get((event["turn"], event.get("page", "")))
            if demand is not None and event.get("cause") == "left_out_of_prompt":
                demand.left_out = True
        elif kind == "pressure" and event["turn"] in self._turns:
            self._pressure.add(event["turn"])

    def reruns(self) -> Iterator[Rerun]:
        """Yield what became of each observation, in their order; a page that two share is paid for once.

        Raises InputError when the replay did not demand a page that was observed: trace and observations do not belong
        together.
        """
        paid: set[tuple[int, str]] = set()
        for item in self._observations:
            demands = {(item.turn, page): self._demands[item.turn, page] for page in item.pages}
            if not all(demand.verdict for demand in demands.values()):
                raise InputError(f"turn {item.turn}: the trace has no demand for what was observed; convert it again")
            outcome = _worst(demands.values())
            tokens = 0
            if outcome is Outcome.PAGED_IN:
                tokens = sum(demand.page_in_tokens for place, demand in demands.items() if place not in paid)
                paid.update(demands)
            yield Rerun(item, outcome, tokens, item.turn in self._pressure)


def _worst(demands: Iterable[_Demand]) -> Outcome:
    verdicts = set()
    left_out = False
    for demand in demands:
        verdicts.add(demand.verdict)
        # What the last prompt held needed no asking, whether the next one holds it or not.
        left_out = left_out or (demand.left_out and demand.verdict == "page_in")
    if "fault" in verdicts:
        return Outcome.FAULTED
    if not verdicts or "cold" in verdicts:
        return Outcome.NOT_JUDGED
    if left_out:
        return Outcome.LEFT_OUT
    return Outcome.PAGED_IN if "page_in" in verdicts else Outcome.RESIDENT


def rerun_counts(reruns: Iterable[Rerun]) -> dict[str, Any]:
    """Return calls and tokens, in all and by outcome, and how many were served in turns without pressure.

    Tokens are those of the results as they came again in the recording.
    """
    counts: dict[str, Any] = {"calls": 0, "tokens": 0, "page_in_tokens": 0}
    counts |= {outcome.value: {"calls": 0, "tokens": 0} for outcome in Outcome}
    counts["without_pressure"] = {"calls": 0, "tokens": 0, "served_calls": 0, "served_tokens": 0}
    for item in reruns:
        tokens = item.observed.tokens
        counts["page_in_tokens"] += item.page_in_tokens
        for part in (counts, counts[item.outcome.value]):
            part["calls"] += 1
            part["tokens"] += tokens
        if item.outcome is not Outcome.NOT_JUDGED and not item.under_pressure:
            part = counts["without_pressure"]
            part["calls"] += 1
            part["tokens"] += tokens
            if item.outcome in SERVED:
                part["served_calls"] += 1
                part["served_tokens"] += tokens
    return counts
