"""The experiment over recorded sessions, made for the sessions that a user converted.

====================  ==========================================================
sessions_experiment   the experiment: its cells, results, report and figures
SESSIONS_ID           its id
====================  ==========================================================

It stands in no registry: which cells it has depends on the sessions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment
from clawvm_experiments.sessions.cells import REFERENCE_SHARE, Options, session_cells
from clawvm_experiments.sessions.figures import session_figures
from clawvm_experiments.sessions.replaying import run_session_cell
from clawvm_experiments.sessions.report import session_report
from clawvm_experiments.sessions.summary import summarize_sessions

__all__ = ["SESSIONS_ID", "sessions_experiment"]

SESSIONS_ID = "sessions"


def sessions_experiment(
    root: Path, names: Sequence[str], index: Mapping[str, Mapping[str, Any]], options: Options
) -> Experiment:
    """Return the experiment over the sessions *names* below *root*; *index* has the ``session_index`` of each.

    The path of *root* stands in no cell, row or result. A quick run has one budget, the share that findings refer to.
    """
    facts = [index[name] for name in sorted(set(names))]
    return Experiment(
        id=SESSIONS_ID,
        title="Recorded sessions",
        question="What did the harness of recorded sessions lose, what did it cost, and what would each policy have "
        "kept?",
        cells=partial(_cells, facts, options),
        run_cell=partial(run_session_cell, str(root)),
        summarize=partial(summarize_sessions, facts, options),
        report=session_report,
        figures=session_figures,
    )


def _cells(facts: Sequence[Mapping[str, Any]], options: Options, quick: bool) -> list[Cell]:
    if quick:
        options = dataclasses.replace(options, shares=(REFERENCE_SHARE,), tokens=(), window=False)
    return [cell for one in facts for cell in session_cells(one, options)]
