"""Observations: what the recorded harness had, call by call, as JSON lines beside each trace.

====================  ========================================================================
Observed              one call of the recording that asked again, as the recorded harness had it
observations_header   the first record of a file of observations
observations_end      its last record
read_observed         the observations in such a file, one by one
====================  ========================================================================

Schema: ``schemas/observed.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawvm_replay.errors import TraceError
from clawvm_replay.trace_format import open_trace
from clawvm_transcripts.evidence import Novelty

__all__ = ["Observed", "observations_end", "observations_header", "read_observed"]

FORMAT_NAME = "clawvm.observed"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Observed:
    """A call of the recording that asked again; it ran again in truth, whatever a policy would have done.

    ``pages`` are the pages that hold the content, ``tokens`` what the result cost when it came again, ``kept`` whether
    the harness still had it in its context. What is repeated or covered is a demand of the trace too; what is edited is
    new content there.
    """

    turn: int
    pages: tuple[str, ...]
    novelty: Novelty
    kept: bool
    tokens: int

    def to_record(self) -> dict[str, Any]:
        """Return the observation as plain JSON data."""
        return {
            "kept": self.kept,
            "novelty": self.novelty.value,
            "pages": list(self.pages),
            "record": "observed",
            "tokens": self.tokens,
            "turn": self.turn,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Observed:
        """Return the observation that *record* describes; raises KeyError, TypeError or ValueError."""
        if record["record"] != "observed":
            raise ValueError("is no observation")
        if type(record["turn"]) is not int or type(record["tokens"]) is not int or type(record["kept"]) is not bool:
            raise TypeError("turn and tokens are whole numbers, kept is true or false")
        return cls(
            turn=record["turn"],
            pages=tuple(record["pages"]),
            novelty=Novelty(record["novelty"]),
            kept=record["kept"],
            tokens=record["tokens"],
        )


def observations_header(workload: str, view: str) -> dict[str, Any]:
    """Return the first record of a file of observations."""
    return {
        "format": FORMAT_NAME,
        "record": "header",
        "version": FORMAT_VERSION,
        "view": view,
        "workload": workload,
    }


def observations_end(records: int) -> dict[str, Any]:
    """Return the last record of a file that holds so many *records*."""
    return {"record": "end", "records": records}


def read_observed(path: Path, source: str = "") -> Iterator[Observed]:
    """Yield the observations in a file, in constant memory.

    Raises InputError when it cannot be opened, TraceError with *source* (the path, unless given) and the line for what
    is no observation, another version, and a file that ends before its end record.
    """
    source = source or str(path)
    with open_trace(path) as stream:
        count = number = 0
        ended = False
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
                if number == 1:
                    if (record["format"], record["version"]) != (FORMAT_NAME, FORMAT_VERSION):
                        raise ValueError
                elif ended:
                    raise ValueError
                elif record["record"] == "end":
                    ended = record["records"] == count
                    if not ended:
                        raise ValueError
                else:
                    observed = Observed.from_record(record)
                    count += 1
                    yield observed
            except (KeyError, TypeError, ValueError, RecursionError):
                raise TraceError(source, number, "is no record of observations in its place; convert again") from None
        if not ended:
            raise TraceError(source, number + 1, "the observations are cut off; convert the session again")
