"""The reports of the preliminary suite as blocks: the tables of the sweep, and the report that opens with the result.

Every sentence that depends on a number is computed from the run and left out where it is not true.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table, Value, plain
from clawvm_replay.gates import GateReport, gates_table
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import CONFIGURATIONS, TABLE_6, TOLERANCE
from clawvm_replay.sweep import SweepSummary
from clawvm_runtime.policy import FEATURES, Policy, WritebackMode

__all__ = ["preliminary_blocks", "sweep_blocks"]

_DEFINITIONS = (
    "A cell is one workload under one budget and one policy. It is a *success* if it has no explicit fault. It is "
    "*served* if no access stayed unmet and no hard page or active plan was below its floor in any prompt. An access "
    "is *unmet* if the next prompt does not hold its page at the needed level. Faults *under pressure* occur in turns "
    "whose minimum set and demands exceed the budget; no policy can avoid them, so they are no explicit faults."
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
    "success": "successful_cells",
    "served": "served_cells",
    "unmet accesses": "unmet_demands",
    "turns under pressure": "pressure_turns",
    "faults under pressure": "pressure_faults",
    "turns below a floor": "below_floor_turns",
    "with an active plan below": "plan_below_floor_turns",
}
_QUALITY = (
    ("page-in tokens", "mean_page_in_tokens", -1),
    ("level at demand (0 to 4)", "mean_level_at_demand", 1),
    ("served at full", "mean_share_served_at_full", 1),
    ("budget use", "mean_budget_use", 0),
    ("prefix reuse", "mean_prefix_reuse", 1),
    ("prompt cost", "mean_prompt_cost", -1),
)
"""Column, field of an aggregate, and whether more (1) or less (-1) of it is better."""


def sweep_blocks(summary: SweepSummary) -> list[Block]:
    """Return the sweep: aggregates, faults by kind, every cell."""
    return [
        Heading(1, "Tier 2: the sweep"),
        Paragraph(
            "Every number of every cell is in `tier2.summary.json` and `tier2.summary.csv`; `docs/fault-model.md` "
            "defines each."
        ),
        Paragraph(_DEFINITIONS),
        Heading(2, "Means per policy"),
        _per_policy(summary, _MEANS),
        Heading(2, "What a zero of explicit faults leaves out"),
        _per_policy(summary, _UNSERVED),
        Heading(2, "What separates the policies at zero faults"),
        _quality(summary),
        Heading(2, "Faults by kind, summed over the cells"),
        _by_kind(summary),
        Heading(2, "Every cell"),
        _cells(summary),
    ]


def preliminary_blocks(
    reports: Sequence[GateReport], summary: SweepSummary, configuration: dict[str, Any]
) -> list[Block]:
    """Return the report that a reviewer reads from top to bottom in five minutes."""
    workloads, budgets = configuration["workloads"], configuration["budgets"]
    return [
        Heading(1, "ClawVM: preliminary evaluation"),
        Paragraph(_result(reports, summary)),
        Heading(2, "Unfavourable results"),
        Bullets(tuple(_unfavourable(reports, summary))),
        Heading(2, "What was run"),
        Paragraph(
            f"Workloads: {', '.join(map(_words, workloads))}. Budgets in tokens: {', '.join(map(str, budgets))}. "
            f"Policies: {', '.join(plain(policy.name) for policy in summary.policies)}. The oracle looks "
            f"{configuration['horizon']} turns ahead. Every cell is replayed through the runtime that a harness "
            "embeds; no model, no tool and no clock takes part, so the same input gives the same bytes."
        ),
        Paragraph(_DEFINITIONS),
        Heading(2, "Tier 1: the lifecycle gates"),
        Paragraph(
            "Each gate replays one trace twice. With a protection removed the fault must occur; with it, it must not "
            "occur, or the update must be rejected with its reason. Evidence: `tier1/tier1.report.json`."
        ),
        gates_table(report.to_record() for report in reports),
        Heading(2, "Table 4 and the published numbers"),
        Paragraph(
            "Means over the cells of a policy. The published numbers come from the authors' own workloads, which are "
            "not public. All of them are *calibrated*: the sizes and schedules of our workloads were chosen to come "
            "close to them (`docs/workloads.md`), so agreement is no evidence."
        ),
        _table_4(summary),
        Heading(2, "What a zero of explicit faults leaves out"),
        _per_policy(summary, _UNSERVED),
        Heading(2, "Explicit faults by kind, workload and budget"),
        _by_kind(summary),
        _faults_by("workload", workloads, summary),
        _faults_by("budget", budgets, summary),
        Paragraph("A larger budget can hide a weak policy by never reaching a compaction."),
        Heading(2, "What separates the policies at zero faults"),
        _quality(summary),
        Paragraph("`-` in page-in tokens: the policy cannot page in, it has no pointer resolution."),
        Heading(2, "What falls short of the published results"),
        Bullets(tuple(_shortfalls(summary, configuration))),
    ]


def _result(reports: Sequence[GateReport], summary: SweepSummary) -> str:
    """Return the opening: the gates, then what was served, then the faults."""
    passed = sum(report.passed for report in reports)
    aggregates = summary.aggregates()
    cells = _many(len(summary.rows), "cell")
    text = f"**{passed} of {len(reports)} lifecycle gates pass.** The sweep has {cells}. "
    if not any(item["served_cells"] for item in aggregates):
        unmet, accesses, pressed, turns = (
            sum(row[field] for row in summary.rows)
            for field in ("unmet_demands", "accesses", "pressure_turns", "turns")
        )
        return text + (
            f"**No cell was served.** {unmet:,} of {_many(accesses, 'access', 'accesses')} stayed unmet; in "
            f"{pressed:,} of {_many(turns, 'turn')} the minimum set and the demands exceeded the budget. A policy "
            "without an explicit fault is no success here: no policy could have served what it missed."
        )
    for has_faults in (False, True):
        group = [item for item in aggregates if bool(item["total_explicit_faults"]) is has_faults]
        if group:
            faults = _listed([f"{item['total_explicit_faults']:,}" for item in group]) if has_faults else "no"
            served = _listed([str(item["served_cells"]) for item in group])
            verb, cells = "has" if len(group) == 1 else "have", group[0]["cells"]
            text += f"{_names(group)} {verb} {faults} explicit faults and served {served} of {cells} cells. "
    return text.rstrip()


def _unfavourable(reports: Sequence[GateReport], summary: SweepSummary) -> Iterator[str]:
    """Yield what speaks against ClawVM, or limits what this run can show."""
    policies = {policy.id: policy for policy in summary.policies}
    clawvm = policies.get("clawvm")
    if clawvm is not None:
        for other in summary.policies:
            if other != clawvm and not other.horizon and _with_upgrades_of(clawvm, other) == clawvm:
                yield from _compared(summary, clawvm, other)
        aggregate = summary.aggregate(clawvm)
        if aggregate["plan_below_floor_turns"]:
            yield (
                f"ClawVM served {aggregate['served_cells']} of {aggregate['cells']} cells: in "
                f"{_many(aggregate['plan_below_floor_turns'], 'turn')} an active plan was below its floor, which is "
                "none of the six kinds of fault."
            )
    complete = [summary.aggregate(policy) for policy in summary.policies if _keeps_the_contract(policy)]
    clean = [item for item in complete if not item["total_explicit_faults"] and not item["pressure_turns"]]
    if clean:
        yield (
            f"The zero of {_names(clean)} follows from the contract: auto-pin, pointer resolution, reasoned recall and "
            "writeback at boundaries leave no explicit fault whenever the minimum set and the demands fit the budget, "
            "as they do here in every turn. It checks the implementation and does not measure the selection."
        )
    pressed = [item for item in summary.aggregates() if item["pressure_turns"]]
    if pressed:
        turns, faults = (sum(item[field] for item in pressed) for field in ("pressure_turns", "pressure_faults"))
        yield (
            f"In {_many(turns, 'turn')} the minimum set and the demands exceeded the budget; {_many(faults, 'fault')} "
            "under pressure are counted apart and are missing from every column of explicit faults."
        )
    for report in reports:
        off, on = (half.observation.faults for half in report.halves)
        if off == on:
            removed = _listed([_words(field) for field in report.gate.removal])
            yield (
                f"Without {removed} the gate *{plain(report.gate.title)}* counts the same faults as with it: this "
                "protection changes no fault count, its effect is in rejected and overwritten updates."
            )
    harmless = _listed([FEATURES[name].name for name, row in TABLE_6.items() if not row.total])
    yield (
        f"The sweep removes no single feature. In the published ablation, removing {harmless} causes no fault; "
        "`clawvm experiment ablations --out-root DIR` measures ours, and validated writeback too."
    )


def _with_upgrades_of(policy: Policy, other: Policy) -> Policy:
    return dataclasses.replace(other, id=policy.id, name=policy.name, upgrades=policy.upgrades)


def _keeps_the_contract(policy: Policy) -> bool:
    writeback = {policy.writeback_at_compaction, policy.writeback_at_reset}
    return (
        policy.auto_pin
        and policy.pointer_resolution
        and policy.reasoned_recall
        and writeback == {WritebackMode.BOUNDARY}
    )


def _compared(summary: SweepSummary, policy: Policy, other: Policy) -> Iterator[str]:
    """Yield how *other*, which differs only in its upgrade score, compares with *policy* cell by cell."""
    theirs = {(row["workload"], row["budget"]): row for row in summary.of_policy(other.id)}
    pairs = [(row, theirs[row["workload"], row["budget"]]) for row in summary.of_policy(policy.id)]
    faults, tokens = (
        _of_all(sum(second[field] <= first[field] for first, second in pairs), len(pairs))
        for field in ("explicit_faults", "page_in_tokens")
    )
    yield (
        f"Plain {plain(other.name)} in the same structure has no more explicit faults than {plain(policy.name)} in "
        f"{faults}, and needs fewer or as many page-in tokens in {tokens}."
    )
    ours, its = summary.aggregate(policy), summary.aggregate(other)
    better: dict[bool, list[str]] = {True: [], False: []}
    for name, field, sign in _QUALITY:
        if sign and None not in (ours[field], its[field]) and ours[field] != its[field]:
            digits = ",.0f" if max(ours[field], its[field]) >= 100 else ".3f"
            gap = f"{name.partition(' (')[0]} ({ours[field]:{digits}} against {its[field]:{digits}})"
            better[sign * ours[field] > sign * its[field]].append(gap)
    if better[False]:
        ahead = f"; it is ahead in {_listed(better[True])}" if better[True] else ""
        yield f"On average {plain(policy.name)} is behind {plain(other.name)} in {_listed(better[False])}{ahead}."


def _per_policy(summary: SweepSummary, columns: Mapping[str, str]) -> Table:
    """Return fields of the aggregates, one row per policy, under the names of *columns*."""
    rows = ((plain(item["name"]), *(item[field] for field in columns.values())) for item in summary.aggregates())
    return Table.of(("policy", *columns), rows)


def _quality(summary: SweepSummary) -> Table:
    rows: list[list[Value]] = []
    for policy, item in zip(summary.policies, summary.aggregates()):
        row: list[Value] = [plain(item["name"])]
        for _, field, _ in _QUALITY:
            value = item[field]
            row.append(round(value) if field in ("mean_page_in_tokens", "mean_prompt_cost") else value)
        if not policy.pointer_resolution:
            row[1] = None
        rows.append(row)
    return Table.of(("policy", *(name for name, _, _ in _QUALITY)), rows)


def _by_kind(summary: SweepSummary) -> Table:
    return Table.of(
        ("policy", *map(_words, FAULT_FIELDS)),
        (
            (plain(item["name"]), *(item["faults_by_kind"][kind] for kind in FAULT_FIELDS))
            for item in summary.aggregates()
        ),
    )


def _faults_by(field: str, values: Sequence[Any], summary: SweepSummary) -> Table:
    """Return the explicit faults of each policy, summed over the cells that share a workload or a budget."""
    faults: Counter[tuple[str, Any]] = Counter()
    for row in summary.rows:
        faults[row["policy"], row[field]] += row["explicit_faults"]
    return Table.of(
        ("policy", *(_words(str(value)) for value in values)),
        ((plain(policy.name), *(faults[policy.id, value] for value in values)) for policy in summary.policies),
    )


def _cells(summary: SweepSummary) -> Table:
    fields = (
        "explicit_faults",
        "success",
        "served",
        "unmet_demands",
        "pressure_faults",
        "plan_below_floor_turns",
        "hits",
        "thrash_index",
        "page_in_tokens",
        "prefix_reuse",
    )
    cannot_page_in = {policy.id for policy in summary.policies if not policy.pointer_resolution}
    return Table.of(
        ("workload", "budget", "policy", *map(_words, fields)),
        (
            (
                _words(row["workload"]),
                row["budget"],
                plain(row["policy"]),
                *(
                    None if field == "page_in_tokens" and row["policy"] in cannot_page_in else row[field]
                    for field in fields
                ),
            )
            for row in summary.rows
        ),
    )


def _table_4(summary: SweepSummary) -> Table:
    def rows() -> Iterator[tuple[Value, ...]]:
        for item in summary.aggregates():
            published = item["published"] or dict.fromkeys(
                ("mean_explicit_faults", "total_explicit_faults", "mean_thrash_index")
            )
            total = published["total_explicit_faults"]
            yield (
                plain(item["name"]),
                item["mean_explicit_faults"],
                published["mean_explicit_faults"],
                item["total_explicit_faults"],
                int(total) if total and total.isdigit() else total and Number(total),
                item["mean_thrash_index"],
                published["mean_thrash_index"],
            )

    return Table.of(
        ("policy", "mean faults", "published", "total faults", "published", "thrash index", "published"), rows()
    )


def _shortfalls(summary: SweepSummary, configuration: dict[str, Any]) -> Iterator[str]:
    """Yield what falls short of the published results."""
    for item in summary.aggregates():
        published = item["published"]
        if published is None:
            continue
        if item["cells"] != CONFIGURATIONS:
            yield (
                f"{plain(item['name'])}: {_many(item['cells'], 'cell')} here, {CONFIGURATIONS} published: the means "
                "cannot be compared."
            )
            continue
        for field, name in (("mean_explicit_faults", "faults"), ("mean_thrash_index", "thrash index")):
            ours, theirs = item[field], published[field]
            if abs(ours - theirs) > TOLERANCE * theirs:
                share = f" ({100 * (ours / theirs - 1):+.0f} %)" if theirs else ""
                yield f"{plain(item['name'])}: mean {name} {ours:.3f}, published {theirs:.3f}{share}."
    yield (
        "The authors' workloads are not public. Ours were calibrated to the published means, so that their agreement "
        "alone is no evidence; `docs/workloads.md` lists what was chosen."
    )
    if configuration["horizon"]:
        yield (
            "The oracle is the published one, the same greedy selector with look-ahead. It is no optimum: "
            "`clawvm experiment bounds --out-root DIR` computes provable bounds."
        )


def _words(name: str) -> str:
    return plain(name.replace("_", " "))


def _names(aggregates: Sequence[dict[str, Any]]) -> str:
    return _listed([plain(item["name"]) for item in aggregates])


def _listed(parts: Sequence[str]) -> str:
    return " and ".join((", ".join(parts[:-1]), parts[-1]) if len(parts) > 1 else parts)


def _many(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _of_all(count: int, total: int) -> str:
    return f"all {total} cells" if count == total else f"{count} of {total} cells"
