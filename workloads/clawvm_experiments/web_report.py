"""The web report: every figure, table and claim of a run in one page that works offline and prints well.

===============  ========================================================================
Frame            what stands around the experiments of a run: title, note, last sections
EXPERIMENTS      the frame of our own experiments
web_report       the page
===============  ========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clawvm_experiments.claims import Judged, claims_table
from clawvm_experiments.figures import MAPPED_BUDGET, MAPPED_WORKLOAD, session_maps
from clawvm_experiments.running import Plan
from clawvm_pictures.html_page import Section, figure, page, report_section
from clawvm_pictures.markdown import markdown_html
from clawvm_pictures.svg import Markup
from clawvm_runtime.policy import POLICIES

__all__ = ["EXPERIMENTS", "Frame", "web_report"]


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
    reports: Mapping[str, str],
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
        *(report_section(reports[item.id], figures[item.id], question=item.question) for item in plan.experiments),
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
