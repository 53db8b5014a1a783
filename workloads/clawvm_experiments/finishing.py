"""Finishing: from the rows of all cells to every file that people and programs read; a pure function of the rows.

==================  ================================================================================
results_documents   the results of each experiment, by the path of its file
Timings             what was measured with a clock: files of their own, outside the manifest
write_results       every file of a run, the manifest last; returns the judged claims
==================  ================================================================================

Whether the rows came from one process, from many, from shards or from a resumed run changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawvm_experiments.claims import Judged, claims_record, claims_table, judge, read_claims
from clawvm_experiments.experiment import Experiment, Report
from clawvm_experiments.figures import MAPPED_BUDGET, MAPPED_WORKLOAD, session_maps
from clawvm_experiments.running import Plan, Rows, end_record, header_record, row_record, source_digest
from clawvm_pictures.pages import Section, figure, markdown_html, markdown_section, page, report_section
from clawvm_pictures.svg import Markup
from clawvm_replay.document import markdown
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory, write_atomically
from clawvm_replay.suite import document, manifest_record
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.policy import POLICIES

__all__ = [
    "EXPERIMENTS",
    "OVERHEAD",
    "TIMED_CLAIMS",
    "TIMINGS",
    "Frame",
    "Timings",
    "read_back",
    "results_documents",
    "web_report",
    "write_results",
]


# --- The web report: every figure, table and claim of a run in one page that works offline and prints well.


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the experiments of a run.

    ``note`` follows the count of claims at the head of the page; ``sections`` makes what comes behind the experiments.
    The claims come first, or with ``claims_last`` at the end.
    """

    title: str
    note: str
    sections: Callable[[], Sequence[Section]]
    claims_last: bool = False


def web_report(
    plan: Plan,
    judged: Sequence[Judged],
    reports: Mapping[str, Report],
    figures: Mapping[str, Mapping[str, str]],
    frame: Frame,
) -> str:
    """Return the page: claims, a section for each experiment, and those of the *frame*."""
    kind = "Quick run: the same structure with fewer cells." if plan.quick else "Full run."
    must = [item for item in judged if item.claim.must_hold and item.observed is not None]
    holding = sum(not item.failed for item in must)
    claims = Section(
        "Claims", markdown_html(_CLAIMS_LEAD + claims_table(judged), highest=3, caption="Claims with verdicts")
    )
    sections = [
        *(_section(reports[item.id], figures[item.id], item.question) for item in plan.experiments),
        *frame.sections(),
    ]
    sections.insert(len(sections) if frame.claims_last else 0, claims)
    lead = f"{kind} {holding} of {len(must)} claims that must hold do. {frame.note}"
    return page(frame.title, sections, lead=lead)


_CLAIMS_LEAD = (
    "*Calibrated* figures took part in choosing the sizes and schedules of our workloads; *predictions* did not, and "
    "are shown whether they come out (holds) or not (differs). A claim that must hold and does not FAILS the run.\n\n"
)


def _maps() -> list[Markup]:
    introduction = markdown_html(
        f"The workload `{MAPPED_WORKLOAD}` at {MAPPED_BUDGET} tokens: pages down, turns across, the level as colour. "
        "The decision behind a cell stands on hover."
    )
    return [introduction] + [figure(svg, f"Under {POLICIES[policy].name}.") for policy, svg in session_maps().items()]


def _residency() -> list[Section]:
    return [Section("Residency of one session", Markup("\n".join(_maps())))]


EXPERIMENTS = Frame(
    "ClawVM: experiments",
    "No model, no tool and no clock took part: the same code gives these bytes again. What depends on a clock, the "
    "overhead of the runtime, is no part of this page: where it was measured, it stands in "
    "[timings/overhead.md](timings/overhead.md).",
    _residency,
)


# --- Finishing: from the rows of all cells to every file that people and programs read; a pure function of the rows.

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
    reports: dict[str, Report] = {}
    figures: dict[str, Mapping[str, str]] = {}
    for item in plan.experiments:
        content = documents[f"{item.id}/results.json"]
        results = read_back(content)
        reports[item.id] = item.report(results)
        figures[item.id] = item.figures(results)
        output.write(f"{item.id}/results.json", document(content))
        output.write(f"{item.id}/rows.jsonl", _rows_file(plan, rows, item))
        output.write(f"{item.id}/report.md", _text(reports[item.id]).encode("utf-8"))
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


def _section(report: Report, pictures: Mapping[str, str], question: str) -> Section:
    if isinstance(report, str):
        return markdown_section(report, pictures, question=question)
    return report_section(report, pictures, question=question)


def _text(report: Report) -> str:
    return report.rstrip("\n") + "\n" if isinstance(report, str) else markdown(report)


def _report(plan: Plan, judged: Sequence[Judged], reports: Mapping[str, Report], title: str) -> str:
    """Return every table in one Markdown file, the claims first."""
    kind = "quick run: the same structure with fewer cells" if plan.quick else "full run"
    parts = [f"# {title} ({kind})\n", "## Claims\n", claims_table(judged)]
    for item in plan.experiments:
        parts += [f"<!-- {item.id} -->\n*{item.question}*\n", _text(reports[item.id])]
    return "\n".join(parts)
