"""Ablations: ClawVM with one feature removed (Table 6), and Retrieval with the features added one by one.

What one addition brings depends on what is there already, so the additions also run in the opposite order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from clawvm_experiments.experiment import (
    Cell,
    Experiment,
    Row,
    aggregate,
    distinct,
    family_cells,
    replay_cell,
    rows_with,
    total,
)
from clawvm_pictures.charts import BarSeries, bar_chart
from clawvm_replay.document import Block, Heading, Number, Paragraph, Table
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import TABLE_6, TABLE_6_BUDGET, AblationRow, count_reproduced
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_workloads.families import PAPER_BUDGETS

__all__ = ["ADDITIONS", "EXPERIMENT", "PREVENTS", "VARIANTS"]

COMPLETE = POLICIES["clawvm"]
BARE = POLICIES["retrieval"]

PREVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pointer_resolution": ("refetch", "duplicate_tool"),
        "writeback_at_compaction": ("flush_miss",),
        "auto_pin": ("post_compaction_bootstrap", "pinned_invariant_miss"),
        "writeback_at_reset": ("flush_miss",),
        "upgrade_scoring": (),
        "prefetch": (),
        "reasoned_recall": ("silent_recall",),
        # What it prevents is destroyed memory, which is no fault kind: the gate of unsafe persistence shows it.
        "validated_writeback": (),
    }
)
"""The kinds of fault that each feature exists to prevent; removing it may cause no other kind."""


class Addition(NamedTuple):
    """One step from Retrieval to ClawVM: its name, and the field of the policy that takes ClawVM's value."""

    id: str
    name: str
    field: str


ADDITIONS = (
    Addition("pointer_resolution", "pointer resolution", "pointer_resolution"),
    Addition("prefetch", "prefetch", "prefetch"),
    Addition("auto_pin", "auto-pin", "auto_pin"),
    Addition("writeback_at_compaction", "writeback at compaction", "writeback_at_compaction"),
    Addition("writeback_at_reset", "writeback at reset", "writeback_at_reset"),
    Addition("reasoned_recall", "reasoned recall", "reasoned_recall"),
    Addition("validated_writeback", "validated writeback", "validated_writeback"),
    Addition("upgrade_scoring", "upgrade scoring", "upgrades"),
    Addition("full_budget", "full budget after a reset", "budget_share_after_reset"),
)
"""The differences between Retrieval and ClawVM, in the order in which they are added."""

PATHS: Mapping[str, tuple[Addition, ...]] = MappingProxyType({"forward": ADDITIONS, "reverse": ADDITIONS[::-1]})


def _variants() -> dict[str, Policy]:
    """Return every policy that runs, by the id of its variant."""
    variants = {COMPLETE.id: COMPLETE, BARE.id: BARE}
    variants.update((feature_id, COMPLETE.without(feature)) for feature_id, feature in FEATURES.items())
    for path, additions in PATHS.items():
        policy = BARE
        for number, addition in enumerate(additions, 1):
            changes: dict[str, Any] = {"id": f"{path}_{number}", addition.field: getattr(COMPLETE, addition.field)}
            policy = dataclasses.replace(policy, **changes)
            variants[policy.id] = policy
        # A column that a policy gains later must become an addition too.
        assert dataclasses.replace(policy, id=COMPLETE.id, name=COMPLETE.name) == COMPLETE, path
    return variants


VARIANTS = MappingProxyType(_variants())


def _cells(quick: bool) -> list[Cell]:
    return family_cells("variant", VARIANTS, (TABLE_6_BUDGET,) if quick else PAPER_BUDGETS)


def _run(cell: Cell) -> Row:
    parameters = cell.parameters
    metrics = replay_cell(parameters["workload"], parameters["budget"], VARIANTS[parameters["variant"]])
    fields = (*FAULT_FIELDS, "explicit_faults", "thrash_index", "page_in_tokens", "pressure_turns")
    return {**parameters, **{field: metrics[field] for field in fields}}


def _summarize(rows: Sequence[Row]) -> dict[str, Any]:
    budgets = distinct(rows, "budget")
    sums = {variant: _sums(rows_with(rows, variant=variant), budgets) for variant in VARIANTS}
    complete = sums[COMPLETE.id]
    removed = {
        feature_id: {
            "name": FEATURES[feature_id].name,
            **sums[feature_id],
            "other_kinds": _other_kinds(feature_id, sums[feature_id]["by_kind"], complete["by_kind"]),
            "other_kinds_at_180": _other_kinds(
                feature_id, sums[feature_id]["by_kind_at_180"], complete["by_kind_at_180"]
            ),
        }
        for feature_id in FEATURES
    }
    paths = {
        path: [
            {"id": BARE.id, "name": BARE.name, **sums[BARE.id]},
            *(
                {"id": addition.id, "name": f"+ {addition.name}", **sums[f"{path}_{number}"]}
                for number, addition in enumerate(additions, 1)
            ),
        ]
        for path, additions in PATHS.items()
    }
    is_complete = len(budgets) == len(PAPER_BUDGETS)
    return {
        "budgets": budgets,
        "complete": is_complete,
        "clawvm": complete,
        "removed": removed,
        "paths": paths,
        "findings": {
            **{
                f"without_{feature_id}_{column}_at_180": count
                for feature_id, item in removed.items()
                for column, count in _columns(item).items()
            },
            "all_removals_pure_at_180": not any(item["other_kinds_at_180"] for item in removed.values()),
            # Purity and the path are claims about all budgets.
            "all_removals_pure": not any(item["other_kinds"] for item in removed.values()) if is_complete else None,
            "additive_last_row_equals_clawvm": all(
                {name: steps[-1][name] for name in complete} == complete for steps in paths.values()
            )
            if is_complete
            else None,
        },
    }


def _sums(rows: Sequence[Row], budgets: Sequence[int]) -> dict[str, Any]:
    """Return what a variant counted over the workloads, at each budget and over all."""
    return {
        "by_kind": {kind: total(rows, kind) for kind in FAULT_FIELDS},
        "by_kind_at_180": {kind: total(rows_with(rows, budget=TABLE_6_BUDGET), kind) for kind in FAULT_FIELDS},
        "faults": total(rows, "explicit_faults"),
        "faults_by_budget": [total(rows_with(rows, budget=budget), "explicit_faults") for budget in budgets],
        "mean_thrash": aggregate(rows, "thrash_index"),
        "page_in_tokens": total(rows, "page_in_tokens"),
        "pressure_turns": total(rows, "pressure_turns"),
    }


def _other_kinds(feature_id: str, counts: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    """Return the kinds that changed although the feature does not prevent them: a pure removal has none."""
    return [kind for kind in FAULT_FIELDS if counts[kind] != before[kind] and kind not in PREVENTS[feature_id]]


def _columns(item: Mapping[str, Any]) -> dict[str, int]:
    """Return the published columns of Table 6 and their total."""
    row = AblationRow.of_counts(item["by_kind_at_180"])
    return {**dataclasses.asdict(row), "total": row.total}


def _gains(steps: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Return how many faults each addition removed."""
    return {later["id"]: earlier["faults"] - later["faults"] for earlier, later in zip(steps, steps[1:])}


def _report(results: dict[str, Any]) -> list[Block]:
    removed, budgets = results["removed"], results["budgets"]
    idle = [item["name"] for item in removed.values() if item["faults"] == results["clawvm"]["faults"]]
    forward, reverse = (_gains(results["paths"][path]) for path in PATHS)
    left = {step["id"]: step["faults"] for step in results["paths"]["forward"]}
    return [
        Heading(2, "Ablations"),
        Paragraph(
            f"Features whose removal changes no fault count ({len(budgets)} of {len(PAPER_BUDGETS)} budgets): "
            f"{', '.join(idle) or 'none'}. Published figures of Table 6 that are not reproduced: "
            f"{_missed(removed) or 'none'}."
        ),
        Heading(3, f"One feature removed from ClawVM, {TABLE_6_BUDGET} tokens, summed over the workloads (Table 6)"),
        Paragraph(
            "Ours / published. Published numbers are calibrated: the sizing aimed at the counts, and the zeros were a "
            "condition. No other budget had a part in it. The total is over the published columns; the other two kinds "
            "have none."
        ),
        Table.of(
            ["removed", "bootstrap", "flush miss", "duplicate + refetch", "total", "pinned miss", "silent recall"],
            (
                (
                    item["name"],
                    *(
                        Number(f"{ours} / {getattr(TABLE_6.get(feature_id), column, '-')}")
                        for column, ours in _columns(item).items()
                    ),
                    item["by_kind_at_180"]["pinned_invariant_miss"],
                    item["by_kind_at_180"]["silent_recall"],
                )
                for feature_id, item in removed.items()
            ),
        ),
        Heading(3, "Faults by budget in tokens, and whether a removal causes only what the feature prevents"),
        Table.of(
            ["removed", "prevents", *map(str, budgets), "other kinds"],
            (
                (
                    item["name"],
                    _words(PREVENTS[feature_id]) or "no fault kind",
                    *item["faults_by_budget"],
                    _words(item["other_kinds"]) or "none",
                )
                for feature_id, item in removed.items()
            ),
        ),
        Heading(3, "Features added one by one to Retrieval"),
        Paragraph(
            f"Retrieval shows {left[BARE.id]:,} faults in these cells. How many an addition removes depends on what is "
            "there already, and a negative number is faults that it adds. The published order is not known; this one "
            "is ours."
        ),
        Table.of(
            ["feature", "faults left", "removed by adding it", "in reverse order", "added by removing it from ClawVM"],
            (
                (
                    addition.name,
                    left[addition.id],
                    forward[addition.id],
                    reverse[addition.id],
                    removed[addition.id]["faults"] - results["clawvm"]["faults"] if addition.id in removed else None,
                )
                for addition in ADDITIONS
            ),
        ),
    ]


def _missed(removed: Mapping[str, dict[str, Any]]) -> str:
    return "; ".join(
        f"{item['name']}, {column.replace('_', ' ')} {ours} (published {getattr(TABLE_6[feature_id], column)})"
        for feature_id, item in removed.items()
        if feature_id in TABLE_6
        for column, ours in _columns(item).items()
        if column != "total" and not count_reproduced(ours, getattr(TABLE_6[feature_id], column))
    )


def _words(kinds: Sequence[str]) -> str:
    return ", ".join(kind.replace("_", " ") for kind in kinds)


def _figures(results: dict[str, Any]) -> dict[str, str]:
    """Return the faults that each removed feature causes, stacked by kind, and those after each added one."""
    budgets = f"{len(results['budgets'])} budgets" if len(results["budgets"]) > 1 else f"{results['budgets'][0]} tokens"
    charts = {
        "removed.svg": ("One feature removed from ClawVM", list(results["removed"].values())),
        "added.svg": ("Features added one by one to Retrieval", results["paths"]["forward"]),
    }
    return {
        name: bar_chart(
            title=f"{title} ({budgets}, 4 workloads)",
            value_label="explicit faults",
            categories=[row["name"] for row in rows],
            series=[
                BarSeries(kind.replace("_", " "), [row["by_kind"][kind] for row in rows])
                for kind in FAULT_FIELDS
                if any(row["by_kind"][kind] for row in rows)
            ],
        )
        for name, (title, rows) in charts.items()
    }


EXPERIMENT = Experiment(
    id="ablations",
    title="Table 6 and the additive ablation",
    question="Which faults does each feature prevent, and what does each add on the way from Retrieval to ClawVM?",
    cells=_cells,
    run_cell=_run,
    summarize=_summarize,
    report=_report,
    figures=_figures,
)
