"""The reports of the preliminary suite as blocks: the tables of the sweep, and the report that opens with the result.

Every sentence that depends on a number is computed from the run and left out where it is not true.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, Value, counted, listed, plain
from clawvm_replay.gates import GateReport, gates_table
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import (
    BUDGETS,
    CONFIGURATIONS,
    HYBRID_BUDGET,
    HYBRID_FAULTS,
    PREDICTIONS,
    REDUCTION_TOLERANCE,
    TABLE_6,
    TABLE_6_BUDGET,
    THRASH_REDUCTION,
    TOLERANCE,
    WORKLOADS,
    AblationRow,
    count_reproduced,
)
from clawvm_replay.sweep import SweepSummary
from clawvm_runtime.policy import FEATURES, Policy, WritebackMode

__all__ = ["preliminary_blocks", "sweep_blocks"]

_DEFINITIONS = Paragraph(
    "A *cell* is one workload under one budget and one policy. An access is *unmet* if the next prompt does not hold "
    "its page at the needed level. A cell is *served* if it has no unmet access and no prompt holds a hard page or an "
    "active plan below its floor. Faults *under pressure* occur in turns whose minimum set and demands exceed the "
    "budget; no policy can avoid them, so they do not count as explicit faults."
)

_MEANS = {
    "cells": "cells",
    "mean faults": "mean_explicit_faults",
    "total faults": "total_explicit_faults",
    "mean thrash index": "mean_thrash_index",
    "mean oracle gap": "mean_oracle_gap",
}
_UNSERVED = {
    "cells": "cells",
    "without explicit faults": "successful_cells",
    "served": "served_cells",
    "unmet accesses": "unmet_demands",
    "turns under pressure": "pressure_turns",
    "faults under pressure": "pressure_faults",
    "turns below a floor": "below_floor_turns",
    "of these, active plan": "plan_below_floor_turns",
}
_QUALITY = (
    ("page-in tokens", "mean_page_in_tokens", -1),
    ("level at demand (0 to 4)", "mean_level_at_demand", 1),
    ("share served at full", "mean_share_served_at_full", 1),
    ("budget use", "mean_budget_use", 0),
    ("prefix reuse", "mean_prefix_reuse", 1),
    ("prompt cost", "mean_prompt_cost", -1),
)
"""Column, field of an aggregate, and whether more (1) or less (-1) of it is better."""

_CELL_COLUMNS = (
    "explicit_faults",
    "served",
    "unmet_demands",
    "pressure_faults",
    "plan_below_floor_turns",
    "hits",
    "thrash_index",
    "page_in_tokens",
    "prefix_reuse",
)


def sweep_blocks(summary: SweepSummary) -> list[Block]:
    """Return the sweep: the result, aggregates, faults by kind, every cell."""
    return [
        Heading(1, "Tier 2: the sweep"),
        Paragraph(_result(summary)),
        _DEFINITIONS,
        Paragraph(
            "All numbers of all cells are in `tier2.summary.json` and `tier2.summary.csv`; `docs/fault-model.md` "
            "defines them."
        ),
        Heading(2, "Means per policy"),
        _per_policy(summary, _MEANS),
        *_tables(summary),
        Heading(2, "Faults by kind, summed over the cells"),
        _by_kind(summary),
        Heading(2, "Every cell"),
        Table.of(
            ("workload", "budget", "policy", *map(_words, _CELL_COLUMNS)),
            _cells(summary),
        ),
    ]


def preliminary_blocks(
    reports: Sequence[GateReport],
    summary: SweepSummary,
    removals: SweepSummary | None,
    configuration: dict[str, Any],
) -> list[Block]:
    """Return the report that a reviewer reads from top to bottom in five minutes.

    *removals* are the cells of Table 6, None if the run has none.
    """
    workloads, budgets = configuration["workloads"], configuration["budgets"]
    return [
        Heading(1, "ClawVM: preliminary evaluation"),
        Paragraph(_result(summary, reports)),
        _DEFINITIONS,
        Heading(2, "Unfavourable results"),
        Bullets((*_unfavourable(summary), *_limits(summary, removals, reports))),
        Heading(2, "What was run"),
        Paragraph(
            f"Workloads: {', '.join(map(_words, workloads))}. Budgets in tokens: {', '.join(map(str, budgets))}. "
            f"Policies: {', '.join(plain(policy.name) for policy in summary.policies)}. Every cell is replayed through "
            "the runtime that a harness embeds. No model, tool or clock takes part, so the same input gives the same "
            "bytes."
        ),
        Heading(2, "Tier 1: the lifecycle gates"),
        Paragraph(
            "Each gate replays one trace twice. With a protection removed the fault must occur; with it, the fault "
            "must not occur, or the update must be rejected with its reason. Evidence: `tier1/tier1.report.json`."
        ),
        gates_table(report.to_record() for report in reports),
        *_published(summary, removals),
        *_tables(summary),
        Paragraph("Page-in tokens are `-` for a policy that cannot page in because it has no pointer resolution."),
        Heading(2, "Explicit faults by kind, workload and budget"),
        _by_kind(summary),
        _faults_by("workload", workloads, summary),
        _faults_by("budget", budgets, summary),
        Paragraph("With a larger budget a weak policy may look good only because no compaction is ever due."),
    ]


def _published(summary: SweepSummary, removals: SweepSummary | None) -> list[Block]:
    """Return the published tables with our numbers beside them, and what of them is evidence."""
    hybrid = [row for row in summary.of_policy("compaction_hybrid") if row["budget"] == HYBRID_BUDGET]
    blocks: list[Block] = [
        Heading(2, "The published tables, and ours beside them"),
        Paragraph(
            "The published numbers come from the authors' own workloads, which are not public. Ours are *calibrated*: "
            "sizes and schedules were chosen so that these three tables come close together (`docs/workloads.md`). So "
            "agreement is no evidence, and neither are the zeros: a sizing with a fault of LRU, ClawVM or the oracle "
            f"was not accepted. {' '.join(_deviations(summary, removals, hybrid))}"
        ),
        Paragraph(
            f"These had no part in the sizing: {listed(PREDICTIONS)}. `EXPERIMENTS.md` says which of these claims "
            "follow from a rule or another claim; a run of all experiments has the verdicts."
        ),
        Heading(3, "Table 4 (calibrated): means over the cells of a policy"),
        _table_4(summary),
    ]
    if removals is not None:
        blocks += [
            Heading(3, f"Table 6 (calibrated): one feature removed from ClawVM, {TABLE_6_BUDGET} tokens"),
            Paragraph("Faults summed over the workloads, ours / published. The total is over the published columns."),
            _table_6(removals),
        ]
    if hybrid:
        blocks += [
            Heading(3, f"Compaction-Hybrid at {HYBRID_BUDGET} tokens (calibrated)"),
            Table.of(
                ("faults, summed over the workloads", "ours", "published"),
                (
                    (_words(field), sum(row[field] for row in hybrid), published if _comparable(hybrid) else None)
                    for field, published in HYBRID_FAULTS.items()
                ),
            ),
        ]
    return blocks


def _comparable(rows: Sequence[dict[str, Any]], budgets: Sequence[int] = ()) -> bool:
    """Return whether *rows* are one cell for each published workload, at each of *budgets* if there are any."""
    cells = [(row["workload"], row["budget"] if budgets else None) for row in rows]
    published = [(workload, budget) for workload in WORKLOADS for budget in budgets or (None,)]
    return len(cells) == len(published) and set(cells) == set(published)


def _tables(summary: SweepSummary) -> tuple[Block, ...]:
    """Return the two tables that qualify the count of explicit faults."""
    return (
        Heading(2, "What zero explicit faults can hide"),
        _per_policy(summary, _UNSERVED),
        Heading(2, "What distinguishes policies with equal faults"),
        Table.of(("policy", *(name for name, _, _ in _QUALITY)), _quality(summary)),
    )


def _result(summary: SweepSummary, reports: Sequence[GateReport] = ()) -> str:
    """Return the result in one paragraph: cells served, gates passed, explicit faults."""
    rows = summary.rows
    served = sum(row["served"] for row in rows)
    passed = f"; {sum(report.passed for report in reports)} of {len(reports)} lifecycle gates pass" if reports else ""
    if not served:
        unmet, accesses, pressed, turns = (
            sum(row[field] for row in rows) for field in ("unmet_demands", "accesses", "pressure_turns", "turns")
        )
        return (
            f"**0 of {counted(len(rows), 'cell')} were served{passed}.** {unmet:,} of "
            f"{counted(accesses, 'access', 'accesses')} stayed unmet, and in {pressed:,} of {counted(turns, 'turn')} "
            "the minimum set and the demands exceeded the budget. Few explicit faults are no success here: faults that "
            "no policy could avoid are counted separately."
        )
    items = sorted(map(summary.aggregate, summary.policies), key=lambda item: item["policy"] != "clawvm")
    structured = {policy.id for policy in summary.policies if _keeps_the_contract(policy)}
    leading = [item for item in items if item["policy"] in structured] or items
    others = [item for item in items if item not in leading]
    cells = listed(f"{plain(item['name'])} {item['served_cells']}" for item in leading)
    text = f"**Cells served: {cells} of {leading[0]['cells']}{passed}.** "
    text += f"{'It has' if len(leading) == 1 else 'They have'} {_faults(leading)}."
    if others:
        verb = "has" if len(others) == 1 else "have"
        cells = listed(str(item["served_cells"]) for item in others)
        text += f" {listed(plain(item['name']) for item in others)} {verb} {_faults(others)} and served {cells} cells."
    return text


def _faults(items: Sequence[dict[str, Any]]) -> str:
    """Return the explicit faults of these aggregates."""
    faults = [item["total_explicit_faults"] for item in items]
    if not any(faults):
        return "no explicit faults"
    return f"{listed(f'{count:,}' for count in faults)} explicit {'fault' if faults == [1] else 'faults'}"


def _unfavourable(summary: SweepSummary) -> Iterator[str]:
    """Yield what in the sweep speaks against ClawVM, or against reading its numbers as a success."""
    clawvm = next((policy for policy in summary.policies if policy.id == "clawvm"), None)
    if clawvm is not None:
        for other in summary.policies:
            if other != clawvm and not other.horizon and _with_upgrades_of(clawvm, other) == clawvm:
                yield from _compared(summary, clawvm, other)
        item = summary.aggregate(clawvm)
        if item["plan_below_floor_turns"]:
            yield (
                f"ClawVM left {item['cells'] - item['served_cells']} of {counted(item['cells'], 'cell')} unserved. In "
                f"{counted(item['plan_below_floor_turns'], 'turn')} it held an active plan below its floor, which none "
                "of the six kinds of fault counts."
            )
    complete = [summary.aggregate(policy) for policy in summary.policies if _keeps_the_contract(policy)]
    clean = [item for item in complete if not item["total_explicit_faults"] and not item["pressure_turns"]]
    if clean:
        yield (
            f"Zero faults for {listed(plain(item['name']) for item in clean)} follow from the contract: auto-pin, "
            "pointer resolution, reasoned recall and writeback at boundaries rule out every explicit fault whenever "
            "the minimum set and the demands fit the budget, as they do here in every turn. The zeros check the "
            "implementation; they do not measure the selection."
        )
    turns, faults = (sum(row[field] for row in summary.rows) for field in ("pressure_turns", "pressure_faults"))
    if turns:
        yield (
            f"In {counted(turns, 'turn')} the minimum set and the demands exceeded the budget. "
            f"{counted(faults, 'fault')} under pressure are missing from every column of explicit faults."
        )


def _limits(summary: SweepSummary, removals: SweepSummary | None, reports: Sequence[GateReport]) -> Iterator[str]:
    """Yield what this run cannot show."""
    for report in reports:
        off, on = (half.observation.faults for half in report.halves)
        if off == on:
            removed = listed(_words(field) for field in report.gate.removal)
            yield (
                f"{removed.capitalize()} changes no fault count: the gate *{plain(report.gate.title)}* has the same "
                "faults with and without it. Only rejected and overwritten updates show its effect."
            )
    if removals is None:
        yield (
            f"Table 6 is not part of this run, which has no budget of {TABLE_6_BUDGET} tokens; "
            "`clawvm experiment ablations --out-root DIR` removes every feature at every budget."
        )
    else:
        harmless = [
            FEATURES[feature_id].name
            for feature_id, policy in zip(TABLE_6, removals.policies)
            if not removals.aggregate(policy)["total_explicit_faults"]
        ]
        if harmless:
            yield (
                f"Removing {listed(harmless, 'or')} causes no fault at {TABLE_6_BUDGET} tokens in these workloads. "
                "What else it changes is in `tier2/results/table6.summary.json`."
            )
    for policy in summary.policies:
        if policy.horizon:
            yield (
                f"{plain(policy.name)}, the same greedy selector with a look-ahead of "
                f"{counted(policy.horizon, 'turn')}, is no optimum. `clawvm experiment bounds --out-root DIR` computes "
                "provable bounds."
            )


def _with_upgrades_of(policy: Policy, other: Policy) -> Policy:
    return dataclasses.replace(other, id=policy.id, name=policy.name, upgrades=policy.upgrades)


def _keeps_the_contract(policy: Policy) -> bool:
    writeback = {policy.writeback_at_compaction, policy.writeback_at_reset}
    protections = policy.auto_pin and policy.pointer_resolution and policy.reasoned_recall
    return protections and writeback == {WritebackMode.BOUNDARY}


def _compared(summary: SweepSummary, policy: Policy, other: Policy) -> Iterator[str]:
    """Yield how *other*, which differs only in its upgrade score, compares with *policy* cell by cell."""
    theirs = {(row["workload"], row["budget"]): row for row in summary.of_policy(other.id)}
    pairs = [(row, theirs[row["workload"], row["budget"]]) for row in summary.of_policy(policy.id)]
    faults, tokens = (
        f"{sum(row[field] <= ours[field] for ours, row in pairs)} of {len(pairs)}"
        for field in ("explicit_faults", "page_in_tokens")
    )
    yield (
        f"{plain(other.name)} in the structure of {plain(policy.name)} has no more explicit faults than "
        f"{plain(policy.name)} in {faults} cells, and no more page-in tokens in {tokens} cells."
    )
    ours, its = summary.aggregate(policy), summary.aggregate(other)
    better: dict[bool, list[str]] = {True: [], False: []}
    for name, field, sign in _QUALITY:
        if sign and None not in (ours[field], its[field]) and ours[field] != its[field]:
            digits = ",.0f" if max(ours[field], its[field]) >= 100 else ".3f"
            gap = f"{name.partition(' (')[0]} ({ours[field]:{digits}} versus {its[field]:{digits}})"
            better[sign * ours[field] > sign * its[field]].append(gap)
    if better[False]:
        ahead = f"; it is ahead in {listed(better[True])}" if better[True] else ""
        yield f"On average {plain(policy.name)} is behind {plain(other.name)} in {listed(better[False])}{ahead}."


def _deviations(
    summary: SweepSummary, removals: SweepSummary | None, hybrid: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """Yield how many published numbers ours are close to and which they miss, and what cannot be compared."""
    compared: list[tuple[str, float, float, bool]] = []
    known = {item["policy"]: item for item in summary.aggregates() if item["published"]}
    means = {name: item for name, item in known.items() if _comparable(summary.of_policy(name), BUDGETS)}
    for item in means.values():
        for field, name in (("mean_explicit_faults", "mean faults"), ("mean_thrash_index", "thrash index")):
            ours, theirs = item[field], item["published"][field]
            compared.append((f"{plain(item['name'])}, {name}", ours, theirs, abs(ours - theirs) <= TOLERANCE * theirs))
    for policy_id, theirs in THRASH_REDUCTION.items():
        if {policy_id, "clawvm"} <= means.keys():
            ours = means["clawvm"]["mean_thrash_index"] / means[policy_id]["mean_thrash_index"] - 1
            name = f"thrash of ClawVM against {plain(means[policy_id]['name'])}"
            compared.append((name, round(ours, 3), theirs, abs(ours - theirs) <= REDUCTION_TOLERANCE * abs(theirs)))
    counts: list[tuple[str, int, int]] = []
    if _comparable(hybrid):
        for field, theirs in HYBRID_FAULTS.items():
            name = f"Compaction-Hybrid at {HYBRID_BUDGET} tokens, {_words(field)}"
            counts.append((name, sum(row[field] for row in hybrid), theirs))
    if removals is not None and all(_comparable(removals.of_policy(policy.id)) for policy in removals.policies):
        for feature_id, row in _ablation_rows(removals).items():
            counts.append((f"ClawVM without {FEATURES[feature_id].name}", row.total, TABLE_6[feature_id].total))
    compared += [(name, ours, theirs, count_reproduced(ours, theirs)) for name, ours, theirs in counts]
    missed = [f"{name}: {ours:g}, not {theirs:g}" for name, ours, theirs, near in compared if not near]
    if compared:
        yield (
            f"Of {counted(len(compared), 'number')} below that can be compared, {len(compared) - len(missed)} are "
            f"within their tolerance: {100 * TOLERANCE:.0f} %, a count also within 1, a change of thrash "
            f"{100 * REDUCTION_TOLERANCE:.0f} %."
        )
    if missed:
        yield f"Outside: {'; '.join(missed)}."
    if means.keys() != known.keys() or not known:
        yield (
            f"The means of Table 4 are over {len(WORKLOADS)} workloads and {len(BUDGETS)} budgets, {CONFIGURATIONS} "
            "cells; this run has others, so they cannot be compared."
        )


def _ablation_rows(removals: SweepSummary | None) -> dict[str, AblationRow]:
    """Return our rows of Table 6 by feature."""
    if removals is None:
        return {}
    return {
        feature_id: AblationRow.of_counts(removals.aggregate(policy)["faults_by_kind"])
        for feature_id, policy in zip(TABLE_6, removals.policies)
    }


def _table_6(removals: SweepSummary) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        for (feature_id, ours), policy in zip(_ablation_rows(removals).items(), removals.policies):
            published = TABLE_6[feature_id]
            known = _comparable(removals.of_policy(policy.id))
            by_kind = removals.aggregate(policy)["faults_by_kind"]
            yield (
                FEATURES[feature_id].name,
                *(
                    Number(f"{getattr(ours, column)} / {getattr(published, column) if known else '-'}")
                    for column in ("bootstrap", "flush_miss", "duplicate_and_refetch", "total")
                ),
                by_kind["pinned_invariant_miss"],
                by_kind["silent_recall"],
            )

    names = ("bootstrap", "flush miss", "duplicate + refetch", "total", "pinned miss", "silent recall")
    return Table.of(("removed", *names), rows())


def _per_policy(summary: SweepSummary, columns: dict[str, str]) -> Table:
    """Return fields of the aggregates, one row per policy, under the names of *columns*."""
    rows = ((plain(item["name"]), *(item[field] for field in columns.values())) for item in summary.aggregates())
    return Table.of(("policy", *columns), rows)


def _quality(summary: SweepSummary) -> Iterator[tuple[Value, ...]]:
    for policy in summary.policies:
        item = summary.aggregate(policy)
        item = {**item, **{name: round(item[name]) for name in ("mean_page_in_tokens", "mean_prompt_cost")}}
        if not policy.pointer_resolution:
            item["mean_page_in_tokens"] = None
        yield plain(policy.name), *(item[field] for _, field, _ in _QUALITY)


def _by_kind(summary: SweepSummary) -> Table:
    rows = ((plain(item["name"]), *item["faults_by_kind"].values()) for item in summary.aggregates())
    return Table.of(("policy", *map(_words, FAULT_FIELDS)), rows)


def _cells(summary: SweepSummary) -> Iterator[tuple[Value, ...]]:
    policies = {policy.id: policy for policy in summary.policies}
    for row in summary.rows:
        policy = policies[row["policy"]]
        known = row if policy.pointer_resolution else {**row, "page_in_tokens": None}
        yield _words(row["workload"]), row["budget"], plain(policy.name), *(known[field] for field in _CELL_COLUMNS)


def _faults_by(field: str, values: Sequence[Any], summary: SweepSummary) -> Table:
    """Return the explicit faults of each policy, summed over the cells that share a workload or a budget."""
    faults: Counter[tuple[str, Any]] = Counter()
    for row in summary.rows:
        faults[row["policy"], row[field]] += row["explicit_faults"]
    return Table.of(
        ("policy", *(_words(str(value)) for value in values)),
        ((plain(policy.name), *(faults[policy.id, value] for value in values)) for policy in summary.policies),
    )


def _table_4(summary: SweepSummary) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        for item in summary.aggregates():
            rows_of_policy = summary.of_policy(item["policy"])
            published = item["published"] if _comparable(rows_of_policy, BUDGETS) else None
            row: list[Value] = [plain(item["name"])]
            for field in ("mean_explicit_faults", "total_explicit_faults", "mean_thrash_index"):
                value = published and published[field]
                if isinstance(value, str):
                    value = int(value) if value.isdigit() else Number(value)
                row += item[field], value
            yield tuple(row)

    names = ("mean faults", "published", "total faults", "published", "thrash index", "published")
    return Table.of(("policy", *names), rows())


def _words(name: str) -> str:
    return plain(name.replace("_", " "))
