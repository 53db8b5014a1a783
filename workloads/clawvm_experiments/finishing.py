"""Finishing: from the rows of all cells to every file that people and programs read.

A pure function of the rows: whether they came from one process, from many or from a resumed run changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawvm_experiments.claims import Judged, claims_record, claims_table, judge, read_claims
from clawvm_experiments.experiment import Experiment, family_trace
from clawvm_experiments.first_page import FIGURES, opening
from clawvm_experiments.running import Plan, Rows, end_record, header_record, row_record, source_digest
from clawvm_pictures.pages import Section, figure, html, page, report_section
from clawvm_pictures.residency_map import residency_map
from clawvm_pictures.svg import Markup
from clawvm_replay.document import Block, Bullets, Heading, Paragraph, listed, markdown
from clawvm_replay.output import MANIFEST_NAME, OutputDirectory, write_atomically
from clawvm_replay.replay import replay_trace
from clawvm_replay.suite import document, manifest_record
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
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
RESULTS_FORMAT_VERSION = 2

TIMINGS = "timings"
"""Folder of what was measured with a clock, and so differs from run to run."""

OVERHEAD = f"{TIMINGS}/overhead.json"
TIMED_CLAIMS = f"{TIMINGS}/claims.json"

_CLAIMS_LEAD = (
    "*Calibrated* figures guided the sizes and schedules of our workloads; *predictions* did not, and are shown "
    "whether or not they are reproduced. A run fails when a claim that must hold does not."
)


@dataclass(frozen=True, slots=True)
class Timings:
    """What was measured with a clock: documents by path (claims may refer to them) and Markdown reports by path."""

    documents: Mapping[str, Any] = field(default_factory=dict)
    reports: Mapping[str, str] = field(default_factory=dict)


def _nothing(results: Mapping[str, Any]) -> Sequence[Block]:
    return ()


@dataclass(frozen=True, slots=True)
class ReportFrame:
    """What surrounds the experiments in the report of a run.

    ``note`` ends the lead paragraph. ``opens`` adds the first page of the paper's experiments, with the claims behind
    it; without it the claims have a page of their own, ``claims.html`` and ``claims.md``. ``sections`` makes what
    follows the experiments on the HTML page. ``begin`` makes what comes before everything else, from the results of
    each experiment.
    """

    title: str
    note: str
    opens: bool
    sections: Callable[[], Sequence[Section]]
    begin: Callable[[Mapping[str, Any]], Sequence[Block]] = _nothing


MAPPED_WORKLOAD, MAPPED_BUDGET, MAPPED_POLICIES = "long_horizon", 120, ("compaction_hybrid", "clawvm")
"""The session whose residency is drawn: several compactions at the tightest budget, under two policies."""


def _residency() -> list[Section]:
    text = (
        f"The workload `{MAPPED_WORKLOAD}` at {MAPPED_BUDGET} tokens: pages down, turns across, the level as colour. "
        "Hover over a cell to see the decision behind it."
    )
    parts = [html([Paragraph(text)])]
    for policy_id in MAPPED_POLICIES:
        decisions, policy = DecisionTrace(), POLICIES[policy_id]
        replay_trace(family_trace(MAPPED_WORKLOAD, MAPPED_BUDGET), policy, decisions=decisions)
        parts.append(figure(residency_map(decisions.events), f"Under {policy.name}."))
    return [Section("Residency of one session", Markup("\n".join(parts)))]


EXPERIMENTS = ReportFrame(
    title="ClawVM: experiments",
    note="No result depends on a model, a tool or a clock: the same code gives the same bytes. The runtime's overhead, "
    "measured with a clock, is in [timings/overhead.md](timings/overhead.md).",
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
        front = opening(results, lasting, quick=plan.quick) if frame.opens else []
        begin = frame.begin(results)
        output.write("claims.json", document(claims_record(lasting)))
        if not frame.opens:
            as_text, as_page = _claims_page(plan, frame, lasting)
            output.write("claims.md", as_text.encode("utf-8"))
            output.write("claims.html", as_page.encode("utf-8"))
        as_text, as_page = _reports(plan, frame, lasting, begin, front, reports, figures)
        output.write("report.md", as_text.encode("utf-8"))
        output.write("report.html", as_page.encode("utf-8"))
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


def _lead(plan: Plan, judged: Sequence[Judged]) -> str:
    must = [item for item in judged if item.claim.must_hold and item.holds is not None]
    held = sum(not item.failed for item in must)
    kind = "Quick run: the same structure with fewer cells." if plan.quick else "Full run."
    if not must:
        return f"{kind} No claim that must hold was judged."
    return f"{kind} Of the {len(must)} claims that must hold, {held if held < len(must) else 'all'} do."


def _claims_line(judged: Sequence[Judged], ending: str) -> str:
    """Return the line that leads from a report to the claims on a page of their own."""
    failed = [item.claim.id for item in judged if item.failed]
    verdict = f"; of those that must hold, **{listed(failed)} {'fails' if len(failed) == 1 else 'fail'}**"
    return f"Claims about these replays are on [a page of their own](claims.{ending}){verdict if failed else ''}."


def _claims(judged: Sequence[Judged]) -> list[Block]:
    return [Heading(2, "Claims"), Paragraph(_CLAIMS_LEAD), claims_table(judged)] if judged else []


def _claims_page(plan: Plan, frame: ReportFrame, judged: Sequence[Judged]) -> tuple[str, str]:
    """Return the claims as Markdown and as a page, both with a link back to the report."""
    title, lead, claims = f"{frame.title}, claims", _lead(plan, judged), _claims(judged)
    as_text, as_page = (Paragraph(f"{lead} Back to [the report](report.{ending}).") for ending in ("md", "html"))
    sections = [report_section(claims)] if claims else []
    return markdown([Heading(1, title), as_text, *claims]), page(title, sections, lead=[as_page])


def _reports(
    plan: Plan,
    frame: ReportFrame,
    judged: Sequence[Judged],
    begin: Sequence[Block],
    front: Sequence[Block],
    reports: Mapping[str, Sequence[Block]],
    figures: Mapping[str, Mapping[str, str]],
) -> tuple[str, str]:
    """Return everything in one Markdown file, its figures as links, and on one page that works offline."""
    as_text, as_page = (
        Paragraph(f"{_lead(plan, judged) if frame.opens else _claims_line(judged, ending)} {frame.note}")
        for ending in ("md", "html")
    )
    pictures = {
        f"{item}/{name}": (words, figures[item][name])
        for (item, name), words in FIGURES.items()
        if front and name in figures.get(item, {})
    }
    links = [Bullets(tuple(f"[{words}]({path})" for path, (words, _) in pictures.items()))] if pictures else []
    parts = [f"<!-- {item.id} -->\n*{item.question}*\n\n{markdown(reports[item.id])}" for item in plan.experiments]
    sections = [report_section(reports[item.id], figures[item.id], question=item.question) for item in plan.experiments]
    sections += frame.sections()
    if frame.opens:
        if claims := _claims(judged):
            parts.insert(0, markdown(claims))
            sections.insert(0, report_section(claims))
        sections.insert(0, report_section(front, {path: svg for path, (_, svg) in pictures.items()}))
    first = markdown([Heading(1, frame.title), *begin, as_text, *front[:2], *links, *front[2:]])
    return "\n".join([first, *parts]), page(frame.title, sections, lead=[*begin, as_page])
