"""Claims as data: what is claimed, where the number stands, what is expected of it, and the verdict.

==============  ======================================================================================
Claim           one row of ``claims.json``
read_claims     all claims
judge           the verdict on one claim, from the documents that a run wrote
claims_record   all verdicts as plain JSON data
claims_table    the same as a Markdown table
guide_table     every claim with its command, output, expectation and cost: what EXPERIMENTS.md shows
==============  ======================================================================================

A claim names an output file and a field in it. Expected is one of ``value`` (with ``tolerance``, absolute, or
``relative``, a share), ``at_least``, ``at_most``. Kinds: ``published`` and the paper's setting; ``calibrated`` (our
workloads were sized so that this comes out); ``prediction`` (a published figure that took no part in that);
``property`` and ``bound`` (ours).

Schemas: ``schemas/claims.schema.json``, ``schemas/claims-report.schema.json``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawvm_replay.reports import table

__all__ = [
    "FORMAT_NAME",
    "KINDS",
    "REPORT_FORMAT_NAME",
    "Claim",
    "Judged",
    "claims_record",
    "claims_table",
    "guide_table",
    "judge",
    "read_claims",
]

FORMAT_NAME = "clawvm.claims"
REPORT_FORMAT_NAME = "clawvm.claims_report"
FORMAT_VERSION = 1
KINDS = ("published", "calibrated", "prediction", "property", "bound")

EXAMPLE_SESSIONS = "tests/transcripts/fixtures"
"""Hand-made recordings that everybody has; claims about real sessions are for the reader's own."""

HOLDS, FAILS, DIFFERS, NOT_RUN = "holds", "FAILS", "differs", "not run"
"""``differs``: the number is another one, and the claim is none that must hold; ``not run``: this run lacks it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; ``file`` is relative to the out-root, ``field`` a dotted path in it.

    ``expected_quick`` takes the place of ``expected`` in a quick run, where that has fewer of something. A run may lack
    the number of an ``optional`` claim: no recorded session was that long, or the policy was not replayed.
    """

    id: str
    statement: str
    source: str
    kind: str
    experiment: str
    file: str
    field: str
    expected: Mapping[str, Any]
    must_hold: bool
    expected_quick: Mapping[str, Any] | None = None
    optional: bool = False

    @property
    def command(self) -> str:
        """The command whose output shows it; it may be run again."""
        given = f" {EXAMPLE_SESSIONS}" if self.experiment == "sessions" else ""
        out = f"out-{self.experiment.replace('_', '-')}"
        return f"python3 workloads/run_{self.experiment}.py{given} --out-root {out} --force"

    def accepts(self, observed: Any) -> bool:
        """Return whether the observed value is what is expected."""
        expected = self.expected
        value = expected.get("value")
        if isinstance(observed, (bool, str)) or isinstance(value, (bool, str)):
            return bool(observed == value and isinstance(observed, bool) == isinstance(value, bool))
        if "at_least" in expected:
            return bool(observed >= expected["at_least"])
        if "at_most" in expected:
            return bool(observed <= expected["at_most"])
        assert value is not None, self.id
        tolerance = max(expected.get("tolerance", 0.0), abs(value) * expected.get("relative", 0.0))
        return bool(abs(observed - value) <= tolerance)

    def expectation(self) -> str:
        """Return in words what is expected."""
        expected = self.expected
        if "at_least" in expected:
            return f"at least {_text(expected['at_least'])}"
        if "at_most" in expected:
            return f"at most {_text(expected['at_most'])}"
        around = ""
        if expected.get("relative"):
            around = f" \u00b1 {100 * expected['relative']:g} %"
        elif expected.get("tolerance"):
            around = f" \u00b1 {_text(expected['tolerance'])}"
        return _text(expected["value"]) + around


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was observed (None: not in this run) and the verdict."""

    claim: Claim
    observed: Any
    verdict: str

    @property
    def failed(self) -> bool:
        """Whether a claim that must hold does not."""
        return self.verdict == FAILS

    def to_record(self) -> dict[str, Any]:
        """Return claim and verdict as plain JSON data."""
        claim = self.claim
        return {
            "id": claim.id,
            "statement": claim.statement,
            "source": claim.source,
            "kind": claim.kind,
            "command": claim.command,
            "file": claim.file,
            "field": claim.field,
            "expected": dict(claim.expected),
            "must_hold": claim.must_hold,
            "observed": self.observed,
            "verdict": self.verdict,
        }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(__file__).parent / "claims.json").read_text(encoding="utf-8"))
    return document


def read_claims() -> list[Claim]:
    """Return every claim, in the order of the file."""
    return [Claim(**record) for record in _document()["claims"]]


def guide_table() -> str:
    """Return every claim with its command, where its number stands, what is expected, and what the command costs."""
    costs = _document()["costs"]
    return table(
        ["claim", "statement", "kind", "command", "output", "field", "expected", "must hold", "seconds", "megabytes"],
        (
            (
                claim.id,
                claim.statement,
                claim.kind,
                f"`{claim.command}`",
                f"`{claim.file}`",
                f"`{claim.field}`",
                claim.expectation(),
                claim.must_hold,
                costs[claim.experiment]["seconds"],
                costs[claim.experiment]["megabytes"],
            )
            for claim in read_claims()
        ),
    )


def judge(claim: Claim, documents: Mapping[str, Any]) -> Judged:
    """Return the verdict on a claim; *documents* maps output files to their content.

    Raises KeyError for a field that the file does not have: the claim would otherwise pass unseen for ever.
    """
    if claim.file not in documents:
        return Judged(claim, None, NOT_RUN)
    observed = documents[claim.file]
    if claim.expected_quick is not None and observed.get("quick"):
        claim = dataclasses.replace(claim, expected=claim.expected_quick)
    for part in claim.field.split("."):
        observed = observed[part]
    if observed is None:
        # A full run tells every number: one that is missing where a claim must hold is no reason to pass.
        missing = claim.must_hold and not claim.optional and documents[claim.file].get("quick") is False
        return Judged(claim, None, FAILS if missing else NOT_RUN)
    if claim.accepts(observed):
        return Judged(claim, observed, HOLDS)
    return Judged(claim, observed, FAILS if claim.must_hold else DIFFERS)


def claims_record(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return all verdicts as plain JSON data."""
    return {
        "format": REPORT_FORMAT_NAME,
        "version": FORMAT_VERSION,
        "verdict": "fail" if any(item.failed for item in judged) else "pass",
        "claims": [item.to_record() for item in judged],
    }


def claims_table(judged: Sequence[Judged]) -> str:
    """Return the verdicts as a Markdown table; an expectation never breaks between two lines."""
    return table(
        ["claim", "verdict", "statement", "source", "kind", "expected", "observed"],
        (
            (
                item.claim.id,
                item.verdict,
                item.claim.statement,
                item.claim.source,
                item.claim.kind,
                item.claim.expectation().replace(" ", "\u00a0"),
                None if item.observed is None else _text(item.observed),
            )
            for item in judged
        ),
    )
