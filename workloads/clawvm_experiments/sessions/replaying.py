"""One cell of a recorded session: a replay, and what it makes of the calls that ran again in truth.

=================  ===============================================================
run_session_cell   the row of one cell; runs in any process
replay_session     the replay behind it, for whoever wants its decisions too
lean_select        the plain selector without the record of how it chose
=================  ===============================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from clawvm_experiments.experiment import Cell, Row
from clawvm_experiments.sessions.index import kind_of
from clawvm_experiments.sessions.layout import header_and_turns, observations
from clawvm_experiments.sessions.reruns import RerunWatch, rerun_counts
from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.policy import policy_named
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select

__all__ = ["lean_select", "replay_session", "run_session_cell"]


def lean_select(request: SelectionRequest) -> Selection:
    """Return what the plain selector returns, without the steps that led there.

    Whoever listens to a replay's decisions pays for every step of every prompt: on a long session half as much again
    as for the replay. The levels, the tokens and what was required are the same.
    """
    return dataclasses.replace(select(request), prefetched=(), prefetch_refused=(), steps=())


def replay_session(
    root: str,
    name: str,
    view: str,
    cut: int | None,
    policy: str,
    budget: int,
    sink: Callable[[Event], None],
    selector: Selector = select,
) -> CellMetrics:
    """Replay one view of a session, streamed from its file, and return its metrics; *sink* takes every decision."""
    with header_and_turns(root, name, view, cut) as (header, turns):
        return replay(
            header,
            turns,
            policy_named(policy),
            budget,
            decisions=DecisionTrace(sink),
            selector=selector,
            source=f"{name}/{view}.trace.jsonl",
        )


def run_session_cell(root: str, cell: Cell) -> Row:
    """Return the row of *cell*: its metrics, and what became of re-fetches and repeats; *root* is no part of it."""
    parameters = cell.parameters
    place = root, parameters["session"], parameters["view"]
    # What the agent's own edit had changed is new content: no policy could have had it.
    again = (item for item in observations(*place, parameters["cut"]) if not kind_of(item).startswith("edited"))
    watch = RerunWatch(again)
    metrics = replay_session(
        *place, parameters["cut"], parameters["policy"], parameters["budget"], watch.take, lean_select
    )
    reruns = list(watch.reruns())
    return {
        **metrics.to_record(),
        **parameters,
        "refetched": rerun_counts(item for item in reruns if not item.observed.kept),
        "repeated": rerun_counts(item for item in reruns if item.observed.kept),
    }
