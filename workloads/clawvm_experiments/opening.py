"""The first page of the experiments' report: the result, three figures, and what is not reproduced.

Every sentence is made from the results of the run; one whose experiment did not run is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from clawvm_experiments.claims import PAPER_KINDS, Judged, number_text
from clawvm_replay.document import Block, Bullets, Heading, Paragraph, Table
from clawvm_replay.published import TABLE_4

__all__ = ["FIGURES", "opening"]

FIGURES = (("table4", "faults.svg"), ("quality", "page_in_tokens.svg"), ("bounds", "page_in_tokens.svg"))
"""The figures of the first page: faults, page-in tokens by upgrade order, distance to the bounds."""

Results = Mapping[str, Mapping[str, Any]]
"""The results of each experiment of the run, its findings among them."""


def opening(results: Results, judged: Sequence[Judged]) -> list[Block]:
    """Return the first page, beginning with a second-level heading and a paragraph."""
    paper = [item for item in judged if item.claim.kind in PAPER_KINDS and item.holds is not None]
    missed = [item for item in judged if item.holds is False]
    reproduced = sum(bool(item.holds) for item in paper)
    sentences = [*_result(results), f"{reproduced} of the {len(paper)} claims about the paper are reproduced."]
    blocks: list[Block] = [
        Heading(2, "Result"),
        Paragraph(" ".join(sentences)),
        Heading(3, "What is not reproduced, and what speaks against the method"),
    ]
    against = tuple(_against(results))
    if against:
        blocks.append(Bullets(against))
    if not missed:
        return [*blocks, Paragraph("Every claim that this run judged is reproduced or holds.")]
    return [
        *blocks,
        Paragraph("These claims are not reproduced or fail:"),
        Table.of(
            ["claim", "statement", "expected", "observed"],
            (
                (
                    item.claim.id,
                    item.claim.statement,
                    item.claim.expectation(),
                    None if item.observed is None else number_text(item.observed),
                )
                for item in missed
            ),
        ),
    ]


def _result(results: Results) -> Iterator[str]:
    if "table4" in results:
        table = results["table4"]
        means = table["means"]
        faults = _listed(f"{table['names'][name]} {means[name]['total_faults']:,}" for name in TABLE_4)
        yield (
            f"In {means['clawvm']['cells']} cells ({len(table['workloads'])} workloads at {len(table['budgets'])} "
            f"budgets) the policies show these explicit faults: {faults}."
        )
        if table["complete"]:
            yield (
                f"The paper reports {_listed(row.total_faults for row in TABLE_4.values())}. Our workloads were sized "
                "to come close to these numbers, so the agreement is no independent evidence."
            )


def _against(results: Results) -> Iterator[str]:
    if "quality" in results:
        quality = results["quality"]
        pages, cells = quality["paired"]["page_in_tokens"], quality["cells_per_score"]
        more = quality["faults"]["lru"] - quality["faults"]["clawvm"]
        yield (
            f"Plain LRU in the same structure has {'no more faults than' if more <= 0 else f'{more} more faults than'} "
            f"ClawVM's utility scoring, and needs fewer page-in tokens in {pages['better']} of {cells} cells, as many "
            f"in {pages['equal']} and more in {pages['worse']}."
        )
    if "ablations" in results:
        ablations = results["ablations"]
        idle = [
            item["name"] for item in ablations["removed"].values() if item["faults"] == ablations["clawvm"]["faults"]
        ]
        if idle:
            yield f"Removing {_listed(idle, 'or')} changes no fault count."
    if "property" in results:
        found = results["property"]["findings"]
        yield (
            "Zero faults follow from the contract whenever the minimum set fits its budget: in "
            f"{found['workloads_tried']:,} generated workloads the property check finds {found['violations']:,} "
            "violations. The zeros show that a workload fits, not that the upgrades are good."
        )
    if "bounds" in results:
        found = results["bounds"]["findings"]
        ratio = found["clawvm_over_demand_only_bound"]
        if ratio is not None:
            yield (
                f"ClawVM reloads {ratio:.2f} times the tokens that any policy without prefetching must reload, LRU "
                f"{found['lru_over_demand_only_bound']:.2f} times."
            )
    if "sensitivity" in results:
        found = results["sensitivity"]["findings"]
        yield (
            f"{found['conclusions_that_survive_all']} of {found['conclusions']} conclusions survive all "
            f"{found['settings']} settings of harness and counting rules."
        )


def _listed(words: Iterable[str], last: str = "and") -> str:
    *most, final = words
    return f"{', '.join(most)} {last} {final}" if most else final
