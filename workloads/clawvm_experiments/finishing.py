"""Finishing: from the rows of all cells to every file that people and programs read; a pure function of the rows.

==================  ================================================================================
results_documents   the results of each experiment, by the path of its file
Timings             what was measured with a clock: files of their own, outside the manifest
write_results       every file of a run, the manifest last; returns the judged claims
==================  ================================================================================

Whether the rows came from one process, from many, from shards or from a resumed run changes no byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawvm_experiments.claims import Judged, claims_record, claims_table, judge, read_claims
from clawvm_experiments.experiment import Experiment
from clawvm_experiments.row_store import end_record, header_record, row_record
from clawvm_experiments.running import Plan, Rows
from clawvm_experiments.source_digest import source_digest
from clawvm_experiments.web_report import EXPERIMENTS, Frame, web_report
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory, write_atomically
from clawvm_replay.suite import document, manifest_record
from clawvm_runtime.canonical import canonical_json

__all__ = ["OVERHEAD", "TIMED_CLAIMS", "TIMINGS", "Timings", "read_back", "results_documents", "write_results"]

RESULTS_FORMAT_NAME = "clawvm.experiment_results"
RESULTS_FORMAT_VERSION = 1
TIMINGS = "timings"
"""Folder of what was measured with a clock, and so differs from run to run."""

OVERHEAD = f"{TIMINGS}/overhead.json"
TIMED_CLAIMS = f"{TIMINGS}/claims.json"


def results_documents(plan: Plan, rows: Rows) -> dict[str, dict[str, Any]]:
    """Return the results document of each experiment, by its path in the out-root."""
    return {f"{item.id}/results.json": _results(item, plan.quick, rows) for item in plan.experiments}


def _results(experiment: Experiment, quick: bool, rows: Rows) -> dict[str, Any]:
    results = experiment.summarize(rows[experiment.id])
    return {
        "format": RESULTS_FORMAT_NAME,
        "version": RESULTS_FORMAT_VERSION,
        "experiment": experiment.id,
        "title": experiment.title,
        "question": experiment.question,
        "quick": quick,
        "findings": results["findings"],
        "results": {name: value for name, value in results.items() if name != "findings"},
    }


def read_back(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an experiment's report and figures take: the results with the findings among them."""
    return {**results["results"], "findings": results["findings"]}


@dataclass(frozen=True, slots=True)
class Timings:
    """What was measured with a clock: documents by path (claims may refer to them) and Markdown reports by path."""

    documents: Mapping[str, Any] = field(default_factory=dict)
    reports: Mapping[str, str] = field(default_factory=dict)


def write_results(
    output: OutputDirectory,
    plan: Plan,
    rows: Rows,
    timings: Timings,
    frame: Frame = EXPERIMENTS,
    configuration: Mapping[str, Any] | None = None,
) -> list[Judged]:
    """Write the files of every experiment, the claims, the reports, and the manifest last; return the judged claims.

    Timings go to files of their own that the manifest does not list, because they differ from run to run. *frame*
    stands around the reports, *configuration* is what the manifest says beside code and experiments.
    """
    documents = results_documents(plan, rows)
    reports: dict[str, str] = {}
    figures: dict[str, Mapping[str, str]] = {}
    for item in plan.experiments:
        content = documents[f"{item.id}/results.json"]
        results = read_back(content)
        reports[item.id] = item.report(results).rstrip("\n") + "\n"
        figures[item.id] = item.figures(results)
        output.write(f"{item.id}/results.json", document(content))
        output.write(f"{item.id}/rows.jsonl", _rows_file(plan, rows, item))
        output.write(f"{item.id}/report.md", reports[item.id].encode("utf-8"))
        for name, text in (*figures[item.id].items(), *item.attachments(results).items()):
            output.write(f"{item.id}/{name}", text.encode("utf-8"))
    known = {item.id for item in plan.experiments}
    if OVERHEAD in timings.documents:
        known.add("overhead")
    judged = [judge(claim, {**documents, **timings.documents}) for claim in read_claims() if claim.experiment in known]
    if not plan.experiments:  # Only a clock was read: there is nothing that would be the same on every run.
        _write_timings(output.root, timings, judged)
        return judged
    lasting = [item for item in judged if not item.claim.file.startswith(f"{TIMINGS}/")]
    output.write("claims.json", document(claims_record(lasting)))
    output.write("report.md", _report(plan, lasting, reports, frame.title).encode("utf-8"))
    output.write("report.html", web_report(plan, lasting, reports, figures, frame).encode("utf-8"))
    _write_timings(output.root, timings, [item for item in judged if item not in lasting])
    record = {
        "code": source_digest(),
        "experiments": [item.id for item in plan.experiments],
        "quick": plan.quick,
        **(configuration or {}),
    }
    output.write(MANIFEST_NAME, document(manifest_record(output, record)))
    return judged


def _write_timings(root: Path, timings: Timings, judged: Sequence[Judged]) -> None:
    for path, content in timings.documents.items():
        write_atomically(root / path, document(content))
    for path, text in timings.reports.items():
        write_atomically(root / path, text.encode("utf-8"))
    if judged:
        write_atomically(root / TIMED_CLAIMS, document(claims_record(judged)))


def _rows_file(plan: Plan, rows: Rows, experiment: Experiment) -> bytes:
    cells = plan.cells[experiment.id]
    records = [header_record(plan.header(experiment.id))]
    records += (row_record(cell.id, row) for cell, row in zip(cells, rows[experiment.id]))
    records.append(end_record(len(cells)))
    return "".join(canonical_json(record) + "\n" for record in records).encode("ascii")


def _report(plan: Plan, judged: Sequence[Judged], reports: Mapping[str, str], title: str) -> str:
    """Return every table in one Markdown file, the claims first."""
    kind = "quick run: the same structure with fewer cells" if plan.quick else "full run"
    parts = [f"# {title} ({kind})\n", "## Claims\n", claims_table(judged)]
    for item in plan.experiments:
        parts += [f"<!-- {item.id} -->\n*{item.question}*\n", reports[item.id]]
    return "\n".join(parts)
