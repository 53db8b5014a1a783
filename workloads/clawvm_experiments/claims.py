"""Claims as data: a sentence, the number that decides it, what is expected of the number, and the verdict.

A claim that must hold names a mutation: a change of the code under which it must fail. What follows from a definition,
a counting rule, a sizing or another claim says so, because it is no evidence of its own.

A claim names an output file and a field in it. Expected is one of ``value`` (with ``tolerance``, absolute, or
``relative``, a share), ``at_least``, ``at_most``. Kinds: ``published`` and the paper's setting; ``calibrated`` (our
workloads were sized to reproduce it); ``prediction`` (a published figure that took no part in that); ``property`` and
``bound`` (ours). Schemas: ``schemas/claims.schema.json``, ``schemas/claims-report.schema.json``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawvm_replay.document import ReportVerdict, Table

__all__ = [
    "KINDS",
    "PAPER_KINDS",
    "Claim",
    "Judged",
    "Mutation",
    "claims_record",
    "claims_table",
    "command_of",
    "judge",
    "number_text",
    "read_claims",
    "read_costs",
    "read_mutations",
]

REPORT_FORMAT_NAME = "clawvm.claims_report"
REPORT_FORMAT_VERSION = 3
PAPER_KINDS = ("published", "calibrated", "prediction")
KINDS = (*PAPER_KINDS, "property", "bound")


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim; ``file`` is relative to the out-root, ``field`` a dotted path in it.

    ``expected_quick`` takes the place of ``expected`` in a quick run, where that has fewer of something. A run may lack
    the number of an ``optional`` claim: no recorded session was that long, or the policy was not replayed.
    ``follows_from`` says in words what implies the claim, "" where nothing does; ``mutation`` is the id of the change
    of the code that must make it fail, "" where the claim need not hold.
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
    follows_from: str = ""
    mutation: str = ""

    @property
    def text(self) -> str:
        """The statement, with what it follows from in the parentheses at its end."""
        if not self.follows_from:
            return self.statement
        stem = self.statement.removesuffix(".")
        begin = f"{stem[:-1]}; " if stem.endswith(")") else f"{stem} ("
        return f"{begin}follows from {self.follows_from})."

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
            return f"at least {number_text(expected['at_least'])}"
        if "at_most" in expected:
            return f"at most {number_text(expected['at_most'])}"
        around = ""
        if expected.get("relative"):
            around = f" \u00b1 {100 * expected['relative']:g} %"
        elif expected.get("tolerance"):
            around = f" \u00b1 {number_text(expected['tolerance'])}"
        return number_text(expected["value"]) + around


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of the code: *old*, which is in *file* exactly once, becomes *new*; ``change`` says it in words.

    ``file`` is relative to the top of a checkout.
    """

    id: str
    change: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, what was observed (None: not in this run), and whether the claim holds (None: not judged)."""

    claim: Claim
    observed: Any
    holds: bool | None

    @property
    def verdict(self) -> str:
        """The verdict in words: claims of the paper are reproduced or not, our own hold or fail."""
        if self.holds is None:
            return "not run"
        if self.claim.kind in PAPER_KINDS:
            return "reproduced" if self.holds else "not reproduced"
        return "holds" if self.holds else "fails"

    @property
    def failed(self) -> bool:
        """Whether a claim that must hold does not."""
        return self.claim.must_hold and self.holds is False

    def to_record(self) -> dict[str, Any]:
        """Return claim and verdict as plain JSON data."""
        claim = self.claim
        return {
            "id": claim.id,
            "statement": claim.statement,
            "follows_from": claim.follows_from,
            "source": claim.source,
            "kind": claim.kind,
            "command": command_of(claim.experiment),
            "file": claim.file,
            "field": claim.field,
            "expected": dict(claim.expected),
            "must_hold": claim.must_hold,
            "observed": self.observed,
            "verdict": self.verdict,
        }


def command_of(experiment: str) -> str:
    """Return the command that runs an experiment by its id; it may be run again."""
    run = "clawvm sessions RECORDINGS" if experiment == "sessions" else f"clawvm experiment {experiment}"
    return f"{run} --out-root out-{experiment.replace('_', '-')} --force"


def number_text(value: Any) -> str:
    """Return an expected or observed value as text, without needless digits.

    >>> number_text(1234.5), number_text(0.1), number_text(True)
    ('1,234.5', '0.1', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(__file__).parent / "claims.json").read_text(encoding="utf-8"))
    return document


def read_claims() -> list[Claim]:
    """Return the claims of this package's experiments, in the order of the file."""
    return [Claim(**record) for record in _document()["claims"]]


def read_mutations() -> dict[str, Mutation]:
    """Return the mutations that claims name, by id."""
    return {name: Mutation(name, **record) for name, record in _document()["mutations"].items()}


def read_costs() -> dict[str, dict[str, int]]:
    """Return what each experiment's command costs by id: ``seconds`` and ``megabytes`` on a server core."""
    costs: dict[str, dict[str, int]] = _document()["costs"]
    return costs


def judge(claim: Claim, documents: Mapping[str, Any]) -> Judged:
    """Return the verdict on a claim; *documents* maps output files to their content.

    Raises KeyError for a field that the file does not have: the claim would otherwise never be judged.
    """
    if claim.file not in documents:
        return Judged(claim, None, None)
    document = observed = documents[claim.file]
    if claim.expected_quick is not None and document.get("quick"):
        claim = dataclasses.replace(claim, expected=claim.expected_quick)
    for part in claim.field.split("."):
        observed = observed[part]
    if observed is None:
        # A full run has every number: one that is missing where a claim must hold is no reason to pass.
        missing = claim.must_hold and not claim.optional and document.get("quick") is False
        return Judged(claim, None, False if missing else None)
    return Judged(claim, observed, claim.accepts(observed))


def claims_record(judged: Sequence[Judged]) -> dict[str, Any]:
    """Return all verdicts as plain JSON data."""
    return {
        "format": REPORT_FORMAT_NAME,
        "version": REPORT_FORMAT_VERSION,
        "verdict": "fail" if any(item.failed for item in judged) else "pass",
        "claims": [item.to_record() for item in judged],
    }


def claims_table(judged: Sequence[Judged]) -> Table:
    """Return the verdicts as a table; an expectation never breaks between two lines."""
    return Table.of(
        ["claim", "verdict", "statement", "source", "kind", "expected", "observed"],
        (
            (
                item.claim.id,
                ReportVerdict(item.verdict, item.holds),
                item.claim.text,
                item.claim.source,
                item.claim.kind,
                item.claim.expectation().replace(" ", "\u00a0"),
                None if item.observed is None else number_text(item.observed),
            )
            for item in judged
        ),
    )
