"""The web report: every figure, table and claim of a run in one page that works offline and prints well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clawvm_experiments.claims import Judged, claims_table
from clawvm_experiments.figures import MAPPED_BUDGET, MAPPED_WORKLOAD, session_maps
from clawvm_experiments.running import Plan
from clawvm_pictures.html_page import Section, figure, page, report_section
from clawvm_pictures.markdown import markdown_html
from clawvm_pictures.svg import Markup
from clawvm_runtime.policy import POLICIES

__all__ = ["web_report"]


def web_report(
    plan: Plan, judged: Sequence[Judged], reports: Mapping[str, str], figures: Mapping[str, Mapping[str, str]]
) -> str:
    """Return the page: claims first, then a section for each experiment, then the residency maps of one session."""
    kind = "Quick run: the same structure with fewer cells." if plan.quick else "Full run."
    must = [item for item in judged if item.claim.must_hold and item.observed is not None]
    holding = sum(not item.failed for item in must)
    sections = [
        Section(
            "Claims", markdown_html(_CLAIMS_LEAD + claims_table(judged), highest=3, caption="Claims with verdicts")
        ),
        *(report_section(reports[item.id], figures[item.id], question=item.question) for item in plan.experiments),
        Section("Residency of one session", Markup("\n".join(_maps()))),
    ]
    return page(
        "ClawVM: experiments",
        sections,
        lead=f"{kind} {holding} of {len(must)} claims that must hold do. No model, no tool and no clock took part: the "
        "same code gives these bytes again. What depends on a clock, the overhead of the runtime, is no part of this "
        "page: where it was measured, it stands in [timings/overhead.md](timings/overhead.md).",
    )


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
