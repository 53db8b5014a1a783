"""Where the files of a converted session lie below a root, and how they are read.

================  ==========================================================================
VIEWS             the views of a session: by resource, by exact signature
session_facts     what ``session.json`` tells
header_and_turns  the trace of one view, its turns streamed up to a cut
observations      the calls of one view that asked again, streamed up to a cut
================  ==========================================================================

The conversion (``clawvm_transcripts``) writes ``sessions/NAME/``; its files hold no text, no path and no name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from clawvm_replay.errors import InputError
from clawvm_replay.trace_format import TraceHeader, Turn, open_trace, read_trace
from clawvm_transcripts.converting import FACTS_FORMAT, FACTS_VERSION
from clawvm_transcripts.observations import Observed, read_observed
from clawvm_transcripts.views import View

__all__ = ["RESOURCES", "SIGNATURES", "VIEWS", "header_and_turns", "observations", "session_facts"]

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
