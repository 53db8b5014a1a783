"""What a policy makes of the calls that ran again in truth: was the content in the prompt, in the store, or nowhere?

==============  ====================================================================================
Outcome         what became of one such call
Rerun           its tokens, outcome, and whether its turn was under pressure
RerunWatch      takes the decisions of a replay and tells what became of each observation
rerun_counts    the counts of many, as plain JSON data
==============  ====================================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, TraceHeader, Turn, open_trace, read_trace
from clawvm_runtime.decision_trace import Event
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Boundary, Level
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.output import FACTS_FORMAT, FACTS_VERSION
from clawvm_transcripts.views import Observed, View, read_observed

__all__ = [
    "ALL_FORMATS",
    "KINDS",
    "RESOURCES",
    "SIGNATURES",
    "VIEWS",
    "Outcome",
    "Rerun",
    "RerunWatch",
    "cut_label",
    "cut_words",
    "header_and_turns",
    "kind_of",
    "observations",
    "rerun_counts",
    "session_index",
]


# --- The index of a session: what cells and reports need to know of it before anything is replayed.

ALL_FORMATS = "all"

KINDS = ("refetch", "repeat", "edited_kept", "edited_lost")
"""What a call that asked again may be: *edited* are reads of lines that the agent's own edit had changed."""


def cut_label(cut: int | None) -> str:
    """Return what a cut at so many turns (None: the whole session) is called.

    >>> cut_label(100), cut_label(None)
    ('cut0100', 'whole')
    """
    return "whole" if cut is None else f"cut{cut:04d}"


def cut_words(label: str) -> str:
    """Return what a cut with this label is called in reports.

    >>> cut_words("cut0100"), cut_words("whole")
    ('100 turns', 'whole')
    """
    return label if label == "whole" else f"{int(label.removeprefix('cut'))} turns"


def format_of(facts: Mapping[str, Any]) -> str:
    """Return the group of a session by what recorded it; a chain may have been recorded by several harnesses."""
    return " + ".join(facts["harnesses"])


def session_index(root: str, name: str, cuts: Sequence[int | None]) -> dict[str, Any]:
    """Return what there is to know of the converted session *name* below *root* before a replay.

    A cut that the session does not outlast would be the whole session: it is left out, and listed in
    ``cuts_left_out``. The whole session is always there. Raises InputError for what cannot be read. O(size of the
    traces); memory follows the pages.
    """
    facts = session_facts(root, name)
    views = {view: _by_cut(root, name, view, cuts) for view in VIEWS}
    turns = views[VIEWS[0]]["whole"]["turns"]
    try:
        return {
            "broken_lines": len(facts["broken_lines"]),
            "chain": facts["chain"],
            "counts": _summed(facts["sessions"]),
            "cuts_left_out": sorted(cut for cut in set(cuts) if cut is not None and cut >= turns),
            "format": format_of(facts),
            "name": name,
            "pages": facts["pages"],
            "recorded": facts["recorded"],
            "recorded_sessions": len(facts["sessions"]),
            "turns": turns,
            "views": views,
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}/session.json: lacks {error}; convert the session again") from None


def _summed(counts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the whole numbers among the counts of each recorded session, summed over the chain."""
    total: Counter[str] = Counter()
    for record in counts:
        total.update({name: value for name, value in record.items() if type(value) is int})
    return dict(sorted(total.items()))


def _by_cut(root: str, name: str, view: str, cuts: Collection[int | None]) -> dict[str, Any]:
    growth = _Growth()
    at: dict[str, dict[str, Any]] = {}
    wanted = {cut for cut in cuts if cut is not None}
    with header_and_turns(root, name, view) as (_, turns):
        for turn in turns:
            if growth.turns in wanted:  # There is a turn behind the cut.
                at[cut_label(growth.turns)] = growth.record()
            growth.take(turn)
    at["whole"] = growth.record()
    for observation in observations(root, name, view):
        kind = kind_of(observation)
        for record in at.values():
            if observation.turn <= record["turns"]:
                record[f"{kind}_calls"] += 1
                record[f"{kind}_tokens"] += observation.tokens
    return at


def kind_of(observed: Observed) -> str:
    """Return what a call that asked again is, one of ``KINDS``: by novelty, and by whether the context still had it."""
    if observed.novelty is Novelty.EDITED:
        return "edited_kept" if observed.kept else "edited_lost"
    return "repeat" if observed.kept else "refetch"


class _Growth:
    """What has been seen of a trace so far."""

    def __init__(self) -> None:
        self.turns = 0
        self._full: dict[str, int] = {}
        self._working_set = 0
        self._boundaries = dict.fromkeys(Boundary, 0)
        self._boundary_turns: list[int] = []

    def take(self, turn: Turn) -> None:
        self.turns += 1
        for item in turn.events_before:
            if isinstance(item, BoundaryEvent):
                self._boundaries[item.boundary] += 1
                if self._boundary_turns[-1:] != [self.turns]:
                    self._boundary_turns.append(self.turns)
            if isinstance(item, (BoundaryEvent, FlushEvent)):
                continue
            page = item if isinstance(item, Page) else item.page
            if page is not None:
                before = self._full.get(page.id, 0)
                self._full[page.id] = max(before, page.costs[Level.FULL])
                self._working_set += self._full[page.id] - before

    def record(self) -> dict[str, Any]:
        """Return the turns so far, their pages and working set (tokens of every page at its largest), boundaries.

        ``boundary_turns`` are the turns whose prompt a boundary comes before, each once.
        """
        return {
            "boundary_turns": list(self._boundary_turns),
            "compactions": self._boundaries[Boundary.COMPACTION],
            "pages": len(self._full),
            **{f"{kind}_{unit}": 0 for kind in KINDS for unit in ("calls", "tokens")},
            "resets": self._boundaries[Boundary.RESET],
            "turns": self.turns,
            "working_set": self._working_set,
        }


# --- Where the files of a converted session lie below a root, and how they are read.

SIGNATURES, RESOURCES = View.SIGNATURES.value, View.RESOURCES.value
VIEWS = (RESOURCES, SIGNATURES)
"""In the order of reports: a demand is a resource first."""


def _folder(root: str, name: str) -> Path:
    return Path(root) / "sessions" / name


def session_facts(root: str, name: str) -> dict[str, Any]:
    """Return the content of a session's ``session.json``; raises InputError when there is none of a known version."""
    path = _folder(root, name) / "session.json"
    try:
        facts = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    found = (facts.get("format"), facts.get("version")) if isinstance(facts, dict) else None
    if found != (FACTS_FORMAT, FACTS_VERSION):
        raise InputError(f"{path}: is no {FACTS_FORMAT} of version {FACTS_VERSION}; convert the session again")
    result: dict[str, Any] = facts
    return result


@contextmanager
def header_and_turns(
    root: str, name: str, view: str, cut: int | None = None
) -> Iterator[tuple[TraceHeader, Iterator[Turn]]]:
    """Yield the header and a stream of the first *cut* turns (None: all) of one view's trace.

    Errors name the file by session and view. Raises InputError when it cannot be opened, TraceError for what is in it.
    """
    source = f"{name}/{view}.trace.jsonl"
    with open_trace(_folder(root, name) / f"{view}.trace.jsonl") as stream:
        header, turns = read_trace(stream, source)
        yield header, islice(turns, cut)


def observations(root: str, name: str, view: str, cut: int | None = None) -> Iterator[Observed]:
    """Yield the calls of one view that asked again, up to turn *cut* (None: all); raises as ``read_observed`` does."""
    path = _folder(root, name) / f"{view}.observed.jsonl"
    for observed in read_observed(path, f"{name}/{view}.observed.jsonl"):
        if cut is not None and observed.turn > cut:
            return
        yield observed


# --- What a policy makes of the calls that ran again in truth: was the content in the prompt, in the store, or nowhere?


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
