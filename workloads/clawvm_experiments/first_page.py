"""The first page of the experiments' report: the result, then what is not reproduced and what speaks against ClawVM.

Every sentence is made from the results; one whose experiment did not run, or ran on a few cells only, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clawvm_experiments.claims import PAPER_KINDS, Judged, number_text
from clawvm_experiments.experiment import NAMES
from clawvm_replay.document import Block, Bullets, Heading, Paragraph, Table, listed
from clawvm_replay.published import FAULT_FREE, TABLE_4

__all__ = ["FIGURES", "opening"]

FIGURES = {
    ("table4", "faults.svg"): "Explicit faults of each policy",
    ("quality", "page_in_tokens.svg"): "Page-in tokens by upgrade order",
    ("bounds", "page_in_tokens.svg"): "Reloaded tokens and their bounds",
}
"""The figures of the first page, by experiment and file."""

Results = Mapping[str, Mapping[str, Any]]
"""The results of each experiment of the run, its findings among them."""


def opening(results: Results, judged: Sequence[Judged], *, quick: bool) -> list[Block]:
    """Return the first page; *judged* are the claims whose numbers no clock measured."""
    missed = [item for item in judged if item.holds is False]
    against = tuple(_against(results, quick))
    blocks: list[Block] = [
        Heading(2, "Result"),
        Paragraph(" ".join([*_result(results), *_reproduced(judged, quick)]) or "No claim was judged."),
        Heading(3, "What is not reproduced, and what speaks against ClawVM"),
        *([Bullets(against)] if against else []),
    ]
    if not judged and (quick or not against):
        return blocks[:2]
    if not missed:
        return [*blocks, Paragraph("No claim that this run judged is missed.")]
    return [
        *blocks,
        Paragraph("Claims that are not reproduced or fail:"),
        Table.of(
            ["claim", "statement", "expected", "observed"],
            (
                (
                    item.claim.id,
                    item.claim.text,
                    item.claim.expectation(),
                    None if item.observed is None else number_text(item.observed),
                )
                for item in missed
            ),
        ),
    ]


def _result(results: Results) -> Iterator[str]:
    if "table4" not in results:
        return
    table = results["table4"]
    faults = {name: item["total_faults"] for name, item in table["policies"].items()}
    own = faults["clawvm"]
    alike = [NAMES[name] for name in FAULT_FREE if name != "clawvm" and faults[name] == own]
    others = []
    for name, row in TABLE_4.items():
        if name != "clawvm" and faults[name] != own:
            published = f"{int(row.total_faults):,}" if row.total_faults.isdecimal() else row.total_faults
            others.append(f"{NAMES[name]} {faults[name]:,} ({published})")
    yield (
        f"ClawVM shows {own or 'no'} explicit fault{'s' if own > 1 else ''} in "
        f"{table['cells'] // len(faults)} cells: {len(table['workloads'])} workloads at {len(table['budgets'])} token "
        f"budgets.{f' The same holds for {listed(alike)}, which share its structure.' if alike else ''}"
    )
    yield _served(table)
    yield (
        f"The faults of the other policies, with the paper's totals in brackets, are {listed(others)}. This agreement "
        "is no independent evidence: our workloads were sized to come close to the paper's totals."
    )


def _served(table: Mapping[str, Any]) -> str:
    """Return how many cells ClawVM and the others of its structure served, and why not the rest."""
    items = {name: table["policies"][name] for name in FAULT_FREE}
    others = listed(f"{NAMES[name]} {item['served_cells']}" for name, item in items.items() if name != "clawvm")
    unmet, below, plan = (
        sum(item[field] for item in items.values())
        for field in ("unmet_accesses", "below_floor_turns", "plan_below_floor_turns")
    )
    reasons = {
        "left an access unmet": unmet,
        "held a hard page below its floor": below - plan,
        "held an active plan below its floor, which none of the six kinds of fault counts": plan,
    }
    why = listed(words for words, turns in reasons.items() if turns)
    return (
        f"ClawVM served {items['clawvm']['served_cells']}, {others} of {table['cells'] // len(table['policies'])} cells"
        f"{why and f': in the others some prompts {why}'}."
    )


def _reproduced(judged: Sequence[Judged], quick: bool) -> Iterator[str]:
    paper = [item for item in judged if item.claim.kind in PAPER_KINDS and item.holds is not None]
    if not paper:
        return
    parts = []
    for kind, role in _ROLES.items():
        own = [item for item in paper if item.claim.kind == kind]
        if own:
            parts.append(f"{_reproduced_of(own)} {role}")
    claims = "claims about the paper that a quick run can judge" if quick else "claims about the paper"
    yield f"{_reproduced_of(paper)} {claims} are reproduced: {listed(parts)}."


_ROLES = {
    "calibrated": "that guided the sizing of our workloads",
    "prediction": "that had no part in the sizing (some follow from the counting rules alone)",
    "published": "that no sizing touched",
}
"""What the claims of each of the paper's kinds had to do with the sizing."""


def _reproduced_of(judged: Sequence[Judged]) -> str:
    return f"{sum(item.holds is True for item in judged)} of {len(judged)}"


def _against(results: Results, quick: bool) -> Iterator[str]:
    if "property" in results:
        found = results["property"]["findings"]
        yield (
            "Zero faults follow from the contract whenever the minimum set fits its budget "
            f"({found['workloads_tried']:,} generated workloads, {found['violations']:,} violations). A zero shows "
            "that a workload fits, not that the upgrades are good."
        )
    if quick:
        yield "A full run is needed to compare ClawVM with LRU and with the bounds."
        return
    if "quality" in results:
        quality = results["quality"]
        pages, cells = quality["paired"]["page_in_tokens"], quality["cells_per_score"]
        more = quality["faults"]["lru"] - quality["faults"]["clawvm"]
        yield (
            f"Plain LRU in the same structure has {more if more > 0 else 'no'} more faults than ClawVM's utility "
            f"scoring, and needs fewer page-in tokens in {pages['better']} of {cells} cells, as many in "
            f"{pages['equal']} and more in {pages['worse'] or 'none'}."
        )
    if "ablations" in results:
        ablations = results["ablations"]
        idle = [
            item["name"] for item in ablations["removed"].values() if item["faults"] == ablations["clawvm"]["faults"]
        ]
        if idle:
            yield f"Removing {listed(idle, 'or')} from ClawVM changes no fault count."
    if "bounds" in results:
        found = results["bounds"]["findings"]
        ratios = [found[f"{name}_over_any_policy_bound"] for name in ("clawvm", "lru")]
        if None not in ratios:
            yield (
                f"ClawVM reloads {ratios[0]:.1f} times the tokens that any policy has to reload, even one that knows "
                f"every later demand and prefetches for it; for LRU it is {ratios[1]:.1f} times."
            )
    if "sensitivity" in results:
        found = results["sensitivity"]["findings"]
        yield (
            f"{found['conclusions_that_survive_all']} of {found['conclusions']} conclusions survive all "
            f"{found['settings']} settings of harness and counting rules."
        )
