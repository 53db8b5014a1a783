"""The preliminary suite: gates and sweep into one output directory, and the manifest that lists every file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from clawvm_replay.document import markdown
from clawvm_replay.gates import GATES, GateReport, report_record, run_gates
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory
from clawvm_replay.published import TABLE_6, TABLE_6_BUDGET
from clawvm_replay.schemas import schema_documents
from clawvm_replay.suite_report import preliminary_blocks, sweep_blocks
from clawvm_replay.sweep import SweepCell, SweepSummary, sweep
from clawvm_replay.trace_format import Trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.policy import FEATURES, POLICIES, Policy

__all__ = ["document", "manifest_record", "run_suite", "table_6", "write_gates"]

Progress = Callable[[int, int, str], None]


class SuiteOutcome(NamedTuple):
    """Whether all gates passed, and how many of the cells were served."""

    passed: bool
    served: int
    cells: int


def document(record: Any) -> bytes:
    """Return *record* as the bytes of an indented JSON file."""
    return (json.dumps(record, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode("ascii")


def write_gates(output: OutputDirectory, reports: Sequence[GateReport]) -> None:
    """Write the gate report and the decision trace of every half."""
    output.write("tier1/tier1.report.json", document(report_record(reports)))
    for report in reports:
        for half in report.halves:
            lines = "".join(canonical_json(event) + "\n" for event in half.events)
            name = half.half.replace(" ", "-")
            output.write(f"tier1/decisions/{report.gate.id}-{name}.decisions.jsonl", lines.encode("ascii"))


def run_suite(
    output: OutputDirectory,
    traces: Sequence[Trace],
    policies: Sequence[Policy],
    configuration: dict[str, Any],
    *,
    jobs: int = 1,
    progress: Progress = lambda done, total, name: None,
) -> SuiteOutcome:
    """Run gates and sweep, write every file, and return the outcome.

    The manifest is written last: a directory without one is an interrupted run. Memory holds one cell at a time.
    """
    reports = run_gates(GATES, POLICIES["clawvm"])
    write_gates(output, reports)
    cells = [SweepCell(trace, policy) for trace in traces for policy in policies]
    rows = []
    for outcome in sweep(cells, jobs):
        output.write(f"tier2/decisions/{outcome.name}.decisions.jsonl", outcome.decisions)
        rows.append(outcome.metrics)
        progress(len(rows), len(cells), outcome.name)
    summary = SweepSummary(rows, policies)
    removals = table_6(traces, jobs)
    output.write("tier2/results/tier2.summary.json", document(summary.to_record(configuration)))
    output.write("tier2/results/tier2.summary.csv", summary.to_csv().encode("ascii"))
    output.write("tier2/results/tier2.summary.md", markdown(sweep_blocks(summary)).encode("ascii"))
    if removals is not None:
        record = removals.to_record(
            {**configuration, "budgets": [TABLE_6_BUDGET], "policies": [policy.id for policy in removals.policies]}
        )
        output.write("tier2/results/table6.summary.json", document(record))
    report = markdown(preliminary_blocks(reports, summary, removals, configuration))
    output.write("preliminary.report.md", report.encode("ascii"))
    output.write(MANIFEST_NAME, document(manifest_record(output, configuration)))
    return SuiteOutcome(all(report.passed for report in reports), sum(row.served for row in rows), len(rows))


def table_6(traces: Sequence[Trace], jobs: int = 1) -> SweepSummary | None:
    """Return Table 6: ClawVM without one feature at a time, on those of *traces* that have its budget.

    None if no trace has.
    """
    policies = [POLICIES["clawvm"].without(FEATURES[feature_id]) for feature_id in TABLE_6]
    ablated = [trace for trace in traces if trace.header.budget == TABLE_6_BUDGET]
    if not ablated:
        return None
    cells = [SweepCell(trace, policy) for policy in policies for trace in ablated]
    return SweepSummary([outcome.metrics for outcome in sweep(cells, jobs)], policies)


def manifest_record(output: OutputDirectory, configuration: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run: its configuration, the schemas, and every file that *output* wrote."""
    schemas = [
        {"id": schema["$id"], "name": name, "version": schema["version"]} for name, schema in schema_documents().items()
    ]
    files = sorted((file.to_record() for file in output.files), key=lambda record: str(record["path"]))
    return {
        "format": "clawvm.suite_manifest",
        "version": 1,
        "configuration": configuration,
        "schemas": schemas,
        "files": files,
    }
