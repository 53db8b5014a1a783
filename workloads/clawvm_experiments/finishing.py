"""Finishing: from the rows of all cells to every file that people and programs read; a pure function of the rows.

Whether the rows came from one process, from many or from a resumed run changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawvm_experiments.claims import Judged, claims_record, claims_table, judge, read_claims
from clawvm_experiments.experiment import Experiment
from clawvm_experiments.figures import MAPPED_BUDGET, MAPPED_WORKLOAD, session_maps
from clawvm_experiments.opening import FIGURES, opening
from clawvm_experiments.running import Plan, Rows, end_record, header_record, row_record, source_digest
from clawvm_pictures.pages import Section, figure, html, page, report_section
from clawvm_pictures.svg import Markup
from clawvm_replay.document import Block, Bullets, Heading, Paragraph, markdown
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory, write_atomically
from clawvm_replay.suite import document, manifest_record
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.policy import POLICIES

__all__ = [
    "EXPERIMENTS",
    "OVERHEAD",
    "TIMED_CLAIMS",
    "TIMINGS",
    "ReportFrame",
    "Timings",
    "read_back",
    "results_documents",
    "write_results",
]

RESULTS_FORMAT_NAME = "clawvm.experiment_results"
RESULTS_FORMAT_VERSION = 1

TIMINGS = "timings"
"""Folder of what was measured with a clock, and so differs from run to run."""

OVERHEAD = f"{TIMINGS}/overhead.json"
TIMED_CLAIMS = f"{TIMINGS}/claims.json"

_CLAIMS_LEAD = (
    "*Calibrated* figures took part in choosing the sizes and schedules of our workloads; *predictions* did not, and "
    "are shown whether they are reproduced or not. A run fails when a claim that must hold does not."
)


@dataclass(frozen=True, slots=True)
class Timings:
    """What was measured with a clock: documents by path (claims may refer to them) and Markdown reports by path."""

    documents: Mapping[str, Any] = field(default_factory=dict)
    reports: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportFrame:
    """What surrounds the experiments in the report of a run.

    ``note`` ends the lead paragraph. ``opens`` adds the first page of the paper's experiments, with the claims behind
    it; without it the claims come last. ``sections`` makes what follows the experiments on the HTML page.
    """

    title: str
    note: str
    opens: bool
    sections: Callable[[], Sequence[Section]]


def _residency() -> list[Section]:
    introduction = html(
        [
            Paragraph(
                f"The workload `{MAPPED_WORKLOAD}` at {MAPPED_BUDGET} tokens: pages down, turns across, the level as "
                "colour. Hover over a cell to see the decision behind it."
            )
        ]
    )
    maps = [figure(svg, f"Under {POLICIES[policy].name}.") for policy, svg in session_maps().items()]
    return [Section("Residency of one session", Markup("\n".join([introduction, *maps])))]


EXPERIMENTS = ReportFrame(
    title="ClawVM: experiments",
    note="No model, no tool and no clock took part: the same code gives these bytes again. The overhead of the "
    "runtime depends on a clock and is reported apart, in [timings/overhead.md](timings/overhead.md).",
    opens=True,
    sections=_residency,
)


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


def write_results(
    output: OutputDirectory,
    plan: Plan,
    rows: Rows,
    timings: Timings,
    frame: ReportFrame = EXPERIMENTS,
    configuration: Mapping[str, Any] | None = None,
) -> list[Judged]:
    """Write the files of every experiment, the claims, the reports, and the manifest last; return the judged claims.

    Timings go to files of their own that the manifest does not list, because they differ from run to run.
    *configuration* is what the manifest records besides code and experiments.
    """
    documents = results_documents(plan, rows)
    results = {item.id: read_back(documents[f"{item.id}/results.json"]) for item in plan.experiments}
    reports = {item.id: item.report(results[item.id]) for item in plan.experiments}
    figures = {item.id: item.figures(results[item.id]) for item in plan.experiments}
    for item in plan.experiments:
        output.write(f"{item.id}/results.json", document(documents[f"{item.id}/results.json"]))
        output.write(f"{item.id}/rows.jsonl", _rows_file(plan, rows, item))
        output.write(f"{item.id}/report.md", markdown(reports[item.id]).encode("utf-8"))
        for name, text in (*figures[item.id].items(), *item.attachments(results[item.id]).items()):
            output.write(f"{item.id}/{name}", text.encode("utf-8"))
    judged = _judged(plan, {**documents, **timings.documents})
    lasting = [item for item in judged if not item.claim.file.startswith(f"{TIMINGS}/")]
    if plan.experiments:  # Otherwise only a clock was read: there is nothing that would be the same in every run.
        front = opening(results, lasting) if frame.opens else []
        claims: list[Block] = [Heading(2, "Claims"), Paragraph(_CLAIMS_LEAD), claims_table(lasting)]
        lead = Paragraph(_lead(plan, lasting, frame.note))
        output.write("claims.json", document(claims_record(lasting)))
        output.write("report.md", _markdown(plan, frame, lead, front, claims, reports, figures).encode("utf-8"))
        output.write("report.html", _html(plan, frame, lead, front, claims, reports, figures).encode("utf-8"))
    _write_timings(output, timings, [item for item in judged if item not in lasting])
    if plan.experiments:
        record = {
            "code": source_digest(),
            "experiments": [item.id for item in plan.experiments],
            "quick": plan.quick,
            **(configuration or {}),
        }
        output.write(MANIFEST_NAME, document(manifest_record(output, record)))
    return judged


def _judged(plan: Plan, documents: Mapping[str, Any]) -> list[Judged]:
    """Judge the claims of the experiments of this run."""
    known = {item.id for item in plan.experiments}
    if OVERHEAD in documents:
        known.add("overhead")
    claims = [claim for claim in read_claims() if claim.experiment in known]
    return [
        judge(claim, documents) for claim in (*claims, *(claim for item in plan.experiments for claim in item.claims))
    ]


def _write_timings(output: OutputDirectory, timings: Timings, judged: Sequence[Judged]) -> None:
    for path, content in timings.documents.items():
        write_atomically(output.root / path, document(content))
    for path, text in timings.reports.items():
        write_atomically(output.root / path, text.encode("utf-8"))
    if judged:
        write_atomically(output.root / TIMED_CLAIMS, document(claims_record(judged)))


def _rows_file(plan: Plan, rows: Rows, experiment: Experiment) -> bytes:
    cells = plan.cells[experiment.id]
    records = [header_record(plan.header(experiment.id))]
    records += (row_record(cell.id, row) for cell, row in zip(cells, rows[experiment.id]))
    records.append(end_record(len(cells)))
    return "".join(canonical_json(record) + "\n" for record in records).encode("ascii")


def _lead(plan: Plan, judged: Sequence[Judged], note: str) -> str:
    kind = "Quick run: the same structure with fewer cells." if plan.quick else "Full run."
    must = [item for item in judged if item.claim.must_hold and item.holds is not None]
    return f"{kind} {sum(not item.failed for item in must)} of {len(must)} claims that must hold do. {note}"


_Figures = Mapping[str, Mapping[str, str]]


def _markdown(
    plan: Plan,
    frame: ReportFrame,
    lead: Block,
    front: Sequence[Block],
    claims: Sequence[Block],
    reports: Mapping[str, Sequence[Block]],
    figures: _Figures,
) -> str:
    """Return everything in one Markdown file; the figures of the first page are links."""
    links = tuple(f"[{name} of {item}]({item}/{name})" for item, name in _front_figures(figures))
    pictures = [Bullets(links)] if front and links else []
    parts = [markdown([Heading(1, frame.title), lead, *front[:2], *pictures, *front[2:]])]
    for item in plan.experiments:
        parts.append(f"<!-- {item.id} -->\n*{item.question}*\n\n{markdown(reports[item.id])}")
    parts.insert(1 if frame.opens else len(parts), markdown(claims))
    return "\n".join(parts)


def _html(
    plan: Plan,
    frame: ReportFrame,
    lead: Block,
    front: Sequence[Block],
    claims: Sequence[Block],
    reports: Mapping[str, Sequence[Block]],
    figures: _Figures,
) -> str:
    """Return everything on one page that works offline."""
    sections = [report_section(reports[item.id], figures[item.id], question=item.question) for item in plan.experiments]
    sections += frame.sections()
    sections.insert(0 if frame.opens else len(sections), report_section(claims))
    if front:
        pictures = {f"{item}/{name}": figures[item][name] for item, name in _front_figures(figures)}
        sections.insert(0, report_section(front, pictures))
    return page(frame.title, sections, lead=[lead])


def _front_figures(figures: _Figures) -> list[tuple[str, str]]:
    return [(item, name) for item, name in FIGURES if name in figures.get(item, {})]
