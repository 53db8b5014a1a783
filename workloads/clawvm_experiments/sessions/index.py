"""The index of a session: what cells and reports need to know of it before anything is replayed.

===============  ==============================================================================
session_index    counts, recorded usage and, for each view and cut, working set and losses
cut_label        what a cut is called in cells and results
cut_words        the same for people
KINDS            what a call that asked again may be
kind_of          what a call that asked again is
format_of        what a session's group is called: its harness, or all those of a chain
ALL_FORMATS      the group of all sessions
===============  ==============================================================================

Everything in it is plain JSON data without a path, so that it may cross processes and stand in results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from clawvm_experiments.sessions.layout import VIEWS, header_and_turns, observations, session_facts
from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, Turn
from clawvm_runtime.pages import Page
from clawvm_runtime.vocabulary import Boundary, Level
from clawvm_transcripts.evidence import Novelty
from clawvm_transcripts.observations import Observed

__all__ = ["ALL_FORMATS", "KINDS", "cut_label", "cut_words", "format_of", "kind_of", "session_index"]

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
        for item in turn.prelude:
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
