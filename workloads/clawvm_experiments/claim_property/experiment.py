"""The claim as a property: every statement of it on thousands of generated workloads, and proof that it can fail.

============  =====================================================================================
EXPERIMENT    chunks of seeds under ClawVM; then each protection removed, and broken selectors
============  =====================================================================================

The statements are in ``statements``, the workloads in ``clawvm_workloads.generated``. ``docs/property.md``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from clawvm_experiments.claim_property.broken_selectors import BROKEN_SELECTORS
from clawvm_experiments.claim_property.check import MakeSelector, Verdict, check_trace, plain_selector
from clawvm_experiments.claim_property.coverage import coverage_of, uncovered
from clawvm_experiments.claim_property.report import report
from clawvm_experiments.claim_property.shrinking import TraceSize, shrink
from clawvm_experiments.claim_property.statements import Property, Violation
from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.trace_format import Trace, write_trace
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_workloads.generated import generate

__all__ = ["EXPERIMENT"]

CLAWVM = POLICIES["clawvm"]

CHUNKS, SEEDS_PER_CHUNK = 60, 100
QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK = 6, 50

PROOF_SEEDS, QUICK_PROOF_SEEDS = 100, 25
"""How many seeds a removed protection or a broken selector gets to be caught."""

NO_PROTECTIONS = ("upgrade_scoring", "prefetch")
"""Features of ClawVM that spend spare tokens: without them nothing may break."""

MOST_COUNTEREXAMPLES = 3
"""How many failing seeds of a chunk are shrunk; the others are listed as they are."""

# --- cells ---------------------------------------------------------------------------------------------------


def cells(quick: bool) -> list[Cell]:
    """Return the chunks of seeds, then one cell for each feature removed and each broken selector."""
    chunks, seeds = (QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK) if quick else (CHUNKS, SEEDS_PER_CHUNK)
    proof_seeds = QUICK_PROOF_SEEDS if quick else PROOF_SEEDS
    return [
        *(
            Cell(f"seeds-{number * seeds:06d}", {"part": "seeds", "first_seed": number * seeds, "seeds": seeds})
            for number in range(chunks)
        ),
        *(
            Cell(f"without-{feature}", {"part": "feature", "name": feature, "seeds": proof_seeds})
            for feature in FEATURES
        ),
        *(
            Cell(f"selector-{name}", {"part": "selector", "name": name, "seeds": proof_seeds})
            for name in BROKEN_SELECTORS
        ),
    ]


def run_cell(cell: Cell) -> Row:
    """Return the row of one cell."""
    parameters = cell.parameters
    if parameters["part"] == "seeds":
        return _chunk(parameters["first_seed"], parameters["seeds"])
    name, seeds = parameters["name"], parameters["seeds"]
    if parameters["part"] == "feature":
        row = _proof(CLAWVM.without(FEATURES[name]), plain_selector, seeds)
        row["must_fail"] = name not in NO_PROTECTIONS
    else:
        row = _proof(CLAWVM, BROKEN_SELECTORS[name], seeds)
        row["must_fail"] = True
    row["caught"] = row["failing_seeds"] > 0
    return {"part": parameters["part"], "name": name, **row}


def _chunk(first_seed: int, seeds: int) -> Row:
    """Check ClawVM on consecutive seeds."""
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    violations: list[Row] = []
    for seed in range(first_seed, first_seed + seeds):
        trace = generate(seed)
        verdict = check_trace(trace, CLAWVM)
        if verdict.run is not None:
            counts.update(coverage_of(trace, verdict.expected, verdict.run))
            digest.update(verdict.run.decisions)
        if verdict.violations:
            violations.append({"seed": seed, **_told(verdict.violations)})
            if len(violations) <= MOST_COUNTEREXAMPLES:
                violations[-1].update(_counterexample(trace, verdict.violations[0].property, CLAWVM, plain_selector))
    return {
        "part": "seeds",
        "first_seed": first_seed,
        "seeds": seeds,
        "counts": dict(sorted(counts.items())),
        "violations": violations,
        "digest": digest.hexdigest(),
    }


def _proof(policy: Policy, make_selector: MakeSelector, seeds: int) -> Row:
    """Check a policy or a selector that has something missing, and shrink the first failing seed."""
    failing: list[int] = []
    by_property: Counter[str] = Counter()
    first: Row = {}
    for seed in range(seeds):
        trace = generate(seed)
        verdict = check_trace(trace, policy, make_selector)
        if not verdict.violations:
            continue
        failing.append(seed)
        by_property.update({violation.property.value for violation in verdict.violations})
        if not first:
            first = {
                "first_seed": seed,
                **_told(verdict.violations),
                "fault_kinds": _fault_kinds(verdict),
                **_counterexample(trace, verdict.violations[0].property, policy, make_selector),
            }
    return {
        "seeds": seeds,
        "failing_seeds": len(failing),
        "failing_seeds_by_property": {kind.value: by_property[kind.value] for kind in Property},
        **first,
    }


def _told(violations: Sequence[Violation]) -> Row:
    """Return the first of several violations, and which statements they break."""
    first = violations[0]
    broken = {violation.property for violation in violations}
    return {
        "property": first.property.value,
        "turn": first.turn,
        "detail": first.detail,
        "all_properties": [kind.value for kind in Property if kind in broken],
    }


def _fault_kinds(verdict: Verdict) -> list[str]:
    return [] if verdict.run is None else [kind for kind in FAULT_FIELDS if getattr(verdict.run.metrics, kind)]


def _counterexample(trace: Trace, broken: Property, policy: Policy, make_selector: MakeSelector) -> Row:
    """Shrink a failing trace to a small one that breaks the same statement."""

    def fails(candidate: Trace) -> bool:
        verdict = check_trace(candidate, policy, make_selector)
        return any(violation.property is broken for violation in verdict.violations)

    shrunk = shrink(trace, fails)
    before, after = TraceSize.of(trace), TraceSize.of(shrunk.trace)
    return {
        "size_before": before.to_record(),
        "size_after": after.to_record(),
        "candidates": shrunk.candidates,
        "finished": shrunk.finished,
        "counterexample": [line.rstrip("\n") for line in write_trace(shrunk.trace.header, shrunk.trace.turns)],
    }


# --- results -------------------------------------------------------------------------------------------------


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the counts over all chunks, every violation, and how each proof came out."""
    chunks = [row for row in rows if row["part"] == "seeds"]
    counts: Counter[str] = Counter()
    for row in chunks:
        counts.update(row["counts"])
    violations = [violation for row in chunks for violation in row["violations"]]
    features = [row for row in rows if row["part"] == "feature"]
    selectors = [row for row in rows if row["part"] == "selector"]
    unbroken = [
        kind.value
        for kind in Property
        if not any(row["failing_seeds_by_property"][kind.value] for row in (*features, *selectors))
    ]
    digest = hashlib.sha256("".join(row["digest"] for row in chunks).encode("ascii")).hexdigest()
    return {
        "findings": {
            **_findings(counts, violations, features, selectors),
            "statements_no_proof_breaks": len(unbroken),
            "seeds_tried": sum(row["seeds"] for row in chunks),
            "decision_traces_sha256": digest,
        },
        "counts": dict(sorted(counts.items())),
        "uncovered": uncovered(counts),
        "violations": violations,
        "features": features,
        "selectors": selectors,
        "statements_no_proof_breaks": unbroken,
    }


def _findings(
    counts: Counter[str], violations: Sequence[Row], features: Sequence[Row], selectors: Sequence[Row]
) -> dict[str, int]:
    protections = [row for row in features if row["must_fail"]]
    harmless = [row for row in features if not row["must_fail"]]
    shrunk = [row["size_after"] for row in (*features, *selectors) if row["caught"]]
    return {
        "workloads_tried": counts["workloads"],
        "workloads_that_fit": counts["workloads that fit"],
        "workloads_under_pressure": counts["workloads"] - counts["workloads that fit"],
        "turns_tried": counts["turns"],
        "turns_under_pressure": counts["turns under pressure"],
        "demands_tried": counts["demands"],
        "tool_calls_tried": counts["calls"],
        "accesses_tried": counts["accesses"],
        "updates_tried": counts["updates"],
        "lookups_tried": counts["look-ups"],
        "boundaries_passed": counts["boundaries"],
        "violations": len(violations),
        "kinds_of_input_uncovered": len(uncovered(counts)),
        "protections": len(protections),
        "protections_caught": sum(row["caught"] for row in protections),
        "harmless_features": len(harmless),
        "harmless_features_quiet": sum(not row["caught"] for row in harmless),
        "broken_selectors": len(selectors),
        "broken_selectors_caught": sum(row["caught"] for row in selectors),
        "latest_first_failing_seed": max(
            (row["first_seed"] for row in (*protections, *selectors) if row["caught"]), default=0
        ),
        "largest_counterexample_turns": max((size["turns"] for size in shrunk), default=0),
        "largest_counterexample_pages": max((size["pages"] for size in shrunk), default=0),
    }


def traces(results: dict[str, Any]) -> dict[str, str]:
    """Return every shrunk trace as a file: of each violation, and of each protection whose absence was noticed."""
    found = {f"counterexample-{row['seed']:06d}": row for row in results["violations"]}
    found.update({f"without-{row['name'].replace('_', '-')}": row for row in results["features"]})
    found.update({f"selector-{row['name'].replace('_', '-')}": row for row in results["selectors"]})
    return {
        f"{name}.trace.jsonl": "".join(f"{line}\n" for line in row["counterexample"])
        for name, row in found.items()
        if "counterexample" in row
    }


EXPERIMENT = Experiment(
    id="property",
    title="The claim as a property",
    question="Does the contract hold on workloads that nobody chose, and would the check notice if it did not?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
    attachments=traces,
)
