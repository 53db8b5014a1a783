"""A converted session: its files below a root, and the index of its facts before any replay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import BoundaryEvent, FlushEvent, TraceHeader, Turn, open_trace, read_trace
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
    "cut_label",
    "cut_words",
    "header_and_turns",
    "kind_of",
    "observations",
    "session_index",
]


# --- The files of a session.

SIGNATURES, RESOURCES = View.SIGNATURES.value, View.RESOURCES.value
VIEWS = (RESOURCES, SIGNATURES)
"""In the order of reports."""


def _folder(root: str, name: str) -> Path:
    return Path(root) / "sessions" / name


def session_facts(root: str, name: str) -> dict[str, Any]:
    """Return the content of a session's ``session.json``; raises InputError without one of a known version."""
    path = _folder(root, name) / "session.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_bytes())
        known = (facts["format"], facts["version"]) == (FACTS_FORMAT, FACTS_VERSION)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError, LookupError, TypeError):
        known = False
    if not known:
        raise InputError(f"{path}: is no {FACTS_FORMAT} of version {FACTS_VERSION}; convert the session again")
    return facts


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
    """Yield the reruns of one view up to turn *cut* (None: all); raises as ``read_observed`` does."""
    path = _folder(root, name) / f"{view}.observed.jsonl"
    for observed in read_observed(path, f"{name}/{view}.observed.jsonl"):
        if cut is not None and observed.turn > cut:
            return
        yield observed


# --- The index: facts that cells and reports need before a session is replayed.

ALL_FORMATS = "all"

KINDS = ("refetch", "repeat", "edited_kept", "edited_lost")
"""The kinds of rerun: *edited* are reads of lines that the agent's own edit had changed."""


def cut_label(cut: int | None) -> str:
    """Return the label of a cut at so many turns (None: the whole session).

    >>> cut_label(100), cut_label(None)
    ('cut0100', 'whole')
    """
    return "whole" if cut is None else f"cut{cut:04d}"


def cut_words(label: str) -> str:
    """Return the words of reports for a cut with this label.

    >>> cut_words("cut0100"), cut_words("whole")
    ('100 turns', 'whole')
    """
    return label if label == "whole" else f"{int(label.removeprefix('cut'))} turns"


def session_index(root: str, name: str, cuts: Sequence[int | None]) -> dict[str, Any]:
    """Return the facts of the converted session *name* below *root* before a replay.

    A cut that is no shorter than the session would be the whole session: it is left out, and listed in
    ``cuts_left_out``. The whole session is always there. Raises InputError for what cannot be read. O(size of the
    traces); memory follows the pages.
    """
    facts = session_facts(root, name)
    views = {view: _by_cut(root, name, view, cuts) for view in VIEWS}
    turns = views[VIEWS[0]]["whole"]["turns"]
    counts: Counter[str] = Counter()
    try:
        for record in facts["sessions"]:
            counts.update({field: value for field, value in record.items() if type(value) is int})
        return {
            "chain": facts["chain"],
            "counts": dict(sorted(counts.items())),  # Summed over a chain.
            "cuts_left_out": sorted(cut for cut in set(cuts) if cut is not None and cut >= turns),
            "format": " + ".join(facts["harnesses"]),  # Several may have recorded a chain.
            "name": name,
            "pages": facts["pages"],
            "recorded": facts["recorded"],
            "recorded_sessions": len(facts["sessions"]),
            "started": facts["started"],
            "turns": turns,
            "unread": {
                "broken_lines": counts["bad_lines"],
                "damaged_files": sum(bool(source["damage"]) for source in facts["sources"]),
                "unknown_lines": sum(sum(record["skipped"].values()) for record in facts["sessions"]),
            },
            "views": views,
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name}/session.json: lacks {error}; convert the session again") from None


def _by_cut(root: str, name: str, view: str, cuts: Collection[int | None]) -> dict[str, Any]:
    growth = _Growth()
    at: dict[str, dict[str, Any]] = {}
    wanted = {cut for cut in cuts if cut is not None}
    with header_and_turns(root, name, view) as (_, turns):
        for turn in turns:
            if growth.turns in wanted:  # A turn follows the cut.
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
    """Return the kind of a rerun, one of ``KINDS``: by its novelty, and whether the context still had it."""
    if observed.novelty is Novelty.EDITED:
        return "edited_kept" if observed.kept else "edited_lost"
    return "repeat" if observed.kept else "refetch"


class _Growth:
    """The counts of a trace so far."""

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

        ``boundary_turns`` are the turns that begin with a boundary.
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
