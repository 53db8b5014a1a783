"""Adversarial scenarios: each under every policy, and under ClawVM with one thing taken away.

A scenario *holds* when every check holds under ClawVM and every control breaks the checks that it names: a check that
cannot fail would prove nothing. A failed check is a defect, and the report names it first.

Source: paper, adversarial tests (starvation, churn, cascade reset); the others are ours. ``docs/experiments.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, ReportVerdict, Table, Value
from clawvm_replay.metrics import FAULT_FIELDS
from clawvm_replay.published import REPORTED_ADVERSARIAL, REPORTED_SESSION_THRASH, ReportedCount
from clawvm_runtime.policy import FEATURES, PAPER_POLICIES, POLICIES, policy_named
from clawvm_runtime.selector import select
from clawvm_workloads.adversarial import SCENARIOS
from clawvm_workloads.adversarial.reported_sizes import REPORTED_SIZES, replay_reported
from clawvm_workloads.adversarial.scenario import CHECKS, Control, Scenario, ScenarioRun
from clawvm_workloads.adversarial.stale_storm import stale_storm
from clawvm_workloads.adversarial.traces import LINE_TOKENS, SHORT_TOKENS, measure, pointer_flood

__all__ = ["EXPERIMENT"]

PUBLISHED_POINTER_SHARE = (0.59, 0.75)
"""Share of the budget that bare pointers took at 1,000 pages and 8,000 tokens."""

CLAWVM = POLICIES["clawvm"]
FLOOD_PAGES, FLOOD_BUDGET = 1000, 8000
FLOOD_POLICIES = (CLAWVM, CLAWVM.without(FEATURES["prefetch"]), POLICIES["lru"])


def cells(quick: bool) -> list[Cell]:
    """Return one cell for each scenario, flood size and reported size; a quick run has smaller floods, fewer storms."""
    pages, budget = (FLOOD_PAGES // 10, FLOOD_BUDGET // 5) if quick else (FLOOD_PAGES, FLOOD_BUDGET)
    sizes = [(100, tokens) for tokens in (SHORT_TOKENS, LINE_TOKENS)]
    if not quick:
        sizes += [(size, tokens) for size in (300, FLOOD_PAGES) for tokens in (SHORT_TOKENS, LINE_TOKENS)]
        sizes.append((2 * FLOOD_PAGES, SHORT_TOKENS))
    return [
        *(Cell(name, {"scenario": name}) for name in SCENARIOS),
        Cell("pointer_flood", {"scenario": "pointer_flood", "pages": pages, "budget": budget}),
        Cell("stale_storm", {"scenario": "stale_storm", "seeds": list(range(1, 3 if quick else 21))}),
        *(
            Cell(f"flood-p{size:04d}-t{tokens:02d}", {"flood": size, "pointer_tokens": tokens, "budget": FLOOD_BUDGET})
            for size, tokens in sizes
        ),
        *(Cell(f"reported-{test}", {"reported": test}) for test in REPORTED_SIZES),
    ]


def run_cell(cell: Cell) -> Row:
    """Return the outcomes of a scenario, or the measures of one flood size or of a test at its reported size."""
    parameters = cell.parameters
    if "reported" in parameters:
        return {"reported": parameters["reported"], "policies": [*map(partial(_reported, cell), PAPER_POLICIES)]}
    if "flood" in parameters:
        sizes = (parameters["flood"], parameters["pointer_tokens"], parameters["budget"])
        return {"flood": [measure(policy, *sizes) for policy in FLOOD_POLICIES]}
    scenario = _scenario(parameters)
    runs = {policy.id: scenario.run(policy, select, "") for policy in map(policy_named, PAPER_POLICIES)}
    controls = [_control(scenario, control) for control in scenario.controls]
    checks = [
        {"name": check.name, "must_hold": CHECKS[check.name], "holds": check.holds, "observed": check.observed}
        for check in runs[CLAWVM.id].checks
    ]
    return {
        "scenario": scenario.id,
        "title": scenario.title,
        "story": scenario.story,
        "budget": scenario.budget,
        "checks": checks,
        "controls": controls,
        "policies": [{"policy": policy, **_counts(run)} for policy, run in runs.items()],
        "holds": all(check["holds"] for check in checks) and all(control["fails"] for control in controls),
    }


def _reported(cell: Cell, policy_id: str) -> Row:
    metrics = replay_reported(cell.parameters["reported"], POLICIES[policy_id])
    counts = ("turns", "resets", "explicit_faults", *FAULT_FIELDS, "pressure_faults", "pressure_turns")
    return {"policy": policy_id, **{name: getattr(metrics, name) for name in (*counts, "below_floor_turns")}}


def _scenario(parameters: Mapping[str, Any]) -> Scenario:
    if "pages" in parameters:
        return pointer_flood(parameters["pages"], parameters["budget"])
    return stale_storm(parameters["seeds"]) if "seeds" in parameters else SCENARIOS[parameters["scenario"]]


def _control(scenario: Scenario, control: Control) -> Row:
    weakened = dataclasses.replace(CLAWVM, id="clawvm_weakened", **control.removal)
    run = scenario.run(weakened, control.selector, control.variant)
    return {
        "change": control.change,
        "must_break": list(control.breaks),
        "broke": list(run.broken),
        "fails": set(control.breaks) <= set(run.broken),
    }


def _counts(run: ScenarioRun) -> Row:
    return {
        **{name: getattr(run, name) for name in ("faults", "pressure_faults", "pressure_turns", "pressure_tokens")},
        **{name: getattr(run, name) for name in ("committed", "lost", "overwritten")},
        "rejected": len(run.rejected),
        "broken": list(run.broken),
    }


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return scenarios, flood sizes, tests at their reported sizes, and the findings."""
    scenarios = [row for row in rows if "scenario" in row]
    flood = [item for row in rows if "flood" in row for item in row["flood"]]
    reported = [row for row in rows if "reported" in row]
    return {"scenarios": scenarios, "flood": flood, "reported": reported, "findings": _findings(scenarios, flood)}


def _findings(scenarios: Sequence[Row], flood: Sequence[Row]) -> dict[str, Any]:
    checks = [(row["scenario"], check) for row in scenarios for check in row["checks"]]
    controls = [control for row in scenarios for control in row["controls"]]
    failed = [f"{scenario}.{check['name']}" for scenario, check in checks if not check["holds"]]
    kinds = {check["name"] for _, check in checks}
    breakable = {name for control in controls if control["fails"] for name in control["must_break"]}
    held = [check["name"] for _, check in checks if check["holds"]]
    here = sum(len(broken_here(row)) for row in scenarios)
    somewhere = sum(name in set().union(*map(broken_here, scenarios)) for name in held)
    clawvm = [_of_policy(row, CLAWVM.id) for row in scenarios]
    findings = {
        "adversarial_scenarios_total": len(scenarios),
        "adversarial_scenarios_holding": sum(row["holds"] for row in scenarios),
        "adversarial_checks_total": len(checks),
        "adversarial_checks_passed": len(checks) - len(failed),
        "adversarial_checks_failed": ", ".join(failed),
        "adversarial_controls_total": len(controls),
        "adversarial_controls_failing": sum(control["fails"] for control in controls),
        "adversarial_controls_that_break_nothing": sum(not control["fails"] for control in controls),
        "adversarial_checks_broken_in_their_own_scenario": here,
        "adversarial_checks_broken_in_no_scenario": len(held) - somewhere,
        "adversarial_checks_broken_only_in_another_scenario": somewhere - here,
        "adversarial_kinds_of_check_total": len(kinds),
        "adversarial_kinds_of_check_that_a_control_breaks": len(kinds & breakable),
        "adversarial_clawvm_controllable_faults": sum(sum(item["faults"].values()) for item in clawvm),
        "adversarial_clawvm_updates_lost": sum(item["lost"] for item in clawvm),
        "adversarial_clawvm_overwritten": sum(item["overwritten"] for item in clawvm),
    }
    findings |= {f"adversarial_{row['scenario']}_holds": row["holds"] for row in scenarios}
    starvation = next(row for row in scenarios if row["scenario"] == "starvation")
    return findings | _starvation(starvation) | _flood_findings(flood)


def _of_policy(row: Row, policy: str) -> dict[str, Any]:
    return dict(next(item for item in row["policies"] if item["policy"] == policy))


def _starvation(row: Row) -> dict[str, Any]:
    """Return the published statements about starvation as findings."""
    faults = all(item["faults"] or item["pressure_faults"] for item in row["policies"])
    reports = all(item["pressure_turns"] > 0 and "pressure_exact" not in item["broken"] for item in row["policies"])
    return {
        "starvation_every_policy_faults": faults,
        "starvation_pressure_reported_by_every_policy": reports,
        "starvation_every_policy_faults_and_reports": faults and reports,
        "starvation_pressure_turns": _of_policy(row, CLAWVM.id)["pressure_turns"],
        "starvation_pressure_tokens": _of_policy(row, CLAWVM.id)["pressure_tokens"],
    }


def _flood_findings(flood: Sequence[Row]) -> dict[str, Any]:
    """Return ClawVM's numbers at the published size, None where a quick run did not try it."""
    findings: dict[str, Any] = {"pointer_flood_line_tokens": LINE_TOKENS}
    for word, tokens in (("short", SHORT_TOKENS), ("line", LINE_TOKENS)):
        sizes = (CLAWVM.id, FLOOD_PAGES, tokens)
        found = next((item for item in flood if (item["policy"], item["pages"], item["pointer_tokens"]) == sizes), None)
        for name in ("pointer_share", "named_share", "resident_share"):
            findings[f"pointer_flood_{name}_1000_{word}"] = None if found is None else found[name]
    for name, field in (("unmet_demands", "unmet_demands"), ("faults", "explicit_faults")):
        findings[f"pointer_flood_clawvm_{name}"] = sum(item[field] for item in flood if item["policy"] == CLAWVM.id)
    return findings


def broken_here(row: Mapping[str, Any]) -> set[str]:
    """Return the names of the checks of a scenario that hold under ClawVM and that one of its own controls breaks."""
    broke = {name for control in row["controls"] for name in control["broke"]}
    return broke & {check["name"] for check in row["checks"] if check["holds"]}


# --- The report: the result, what does not hold, the published statements, every scenario.


def report(results: dict[str, Any]) -> list[Block]:
    """Return verdicts, readings of starvation and pointer flood, and a section for every scenario."""
    findings = results["findings"]
    failed = findings["adversarial_checks_total"] - findings["adversarial_checks_passed"]
    return [
        Heading(2, "Adversarial scenarios"),
        Paragraph(
            f"In {findings['adversarial_scenarios_total']} hostile scenarios, {failed} of "
            f"{findings['adversarial_checks_total']} checks fail under ClawVM. A control is ClawVM with one thing "
            "taken away, or with a fault injected into its reports: "
            f"{findings['adversarial_controls_that_break_nothing']} of {findings['adversarial_controls_total']} "
            "controls fail to break the checks that they must break."
        ),
        *_defects(results),
        Paragraph(
            f"A control of its own scenario breaks {findings['adversarial_checks_broken_in_their_own_scenario']} of "
            f"the checks, and only a control of another scenario breaks "
            f"{findings['adversarial_checks_broken_only_in_another_scenario']}: these can fail, but were not seen to "
            f"fail here. No control breaks {findings['adversarial_checks_broken_in_no_scenario']}."
        ),
        Table.of(
            [
                *("scenario", "checks under ClawVM", "controls that break", "checks that a control here breaks"),
                *("other policies that break a check", "verdict"),
            ],
            map(_verdict_row, results["scenarios"]),
        ),
        Heading(3, "Starvation and the published statement"),
        _starvation_reading(results),
        Heading(3, "At the sizes that a secondary source reports"),
        *_reported_reading(results),
        Heading(3, "Pointer flood: what pointers displace"),
        *_flood_reading(results),
        *(block for row in results["scenarios"] for block in _one(row)),
    ]


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items()) or "none"


def _verdict(row: Mapping[str, Any]) -> ReportVerdict:
    return ReportVerdict("holds" if row["holds"] else "FAILS", row["holds"])


def _of(part: int, whole: Sequence[Any]) -> Number:
    return Number(f"{part} of {len(whole)}")


def _verdict_row(row: Mapping[str, Any]) -> list[Value]:
    breaking = [POLICIES[item["policy"]].name for item in row["policies"] if item["broken"]]
    return [
        row["title"],
        _of(sum(check["holds"] for check in row["checks"]), row["checks"]),
        _of(sum(control["fails"] for control in row["controls"]), row["controls"]),
        _of(len(broken_here(row)), row["checks"]),
        ", ".join(name for name in breaking if name != CLAWVM.name) or "none",
        _verdict(row),
    ]


def _defects(results: dict[str, Any]) -> list[Block]:
    defects = [
        f"**{row['title']}**: {check['must_hold']}. Observed: {check['observed']}."
        for row in results["scenarios"]
        for check in row["checks"]
        if not check["holds"]
    ]
    defects += [
        f'**{row["title"]}**: the control "{control["change"]}" does not break {", ".join(control["must_break"])}.'
        for row in results["scenarios"]
        for control in row["controls"]
        if not control["fails"]
    ]
    return [Heading(3, "What does not hold"), Bullets(tuple(defects))] if defects else []


def _starvation_reading(results: dict[str, Any]) -> Paragraph:
    findings = results["findings"]
    clawvm = _of_policy(next(row for row in results["scenarios"] if row["scenario"] == "starvation"), CLAWVM.id)
    controllable = sum(clawvm["faults"].values())
    total = controllable + sum(clawvm["pressure_faults"].values())
    faults = "every policy faults" if findings["starvation_every_policy_faults"] else "not every policy faults"
    reports = "every policy" if findings["starvation_pressure_reported_by_every_policy"] else "not every policy"
    return Paragraph(
        f"Published: with a minimum set above the budget every policy faults, and the pressure is reported. Ours: "
        f"{faults}, and {reports} reports the pressure with exactly "
        f"the tokens that the trace implies ({findings['starvation_pressure_turns']} turns, "
        f"{findings['starvation_pressure_tokens']} tokens under ClawVM). Of ClawVM's {total} faults there "
        f"{controllable or 'none'} {'are' if controllable > 1 else 'is'} policy-controllable."
    )


def _reported_reading(results: dict[str, Any]) -> list[Block]:
    """Return the counts of a secondary source beside ours at the same sizes, and why they are not comparable."""
    tests = {row["reported"]: {item["policy"]: item for item in row["policies"]} for row in results["reported"]}
    starved = tests["starvation"][CLAWVM.id]
    retrieval = tests["churn"]["retrieval"]
    hybrid = tests["cascade"]["compaction_hybrid"]

    def compared(fact: ReportedCount) -> tuple[Value, ...]:
        ours = tests[fact.test][fact.policy or CLAWVM.id]
        name = POLICIES[fact.policy].name if fact.policy else f"not named; ours {CLAWVM.name}"
        numbers = (fact.count, ours["explicit_faults"], ours["pressure_faults"])
        return (fact.test, fact.parameters, name, fact.counted, *numbers)

    return [
        Paragraph(
            "**Weak**: these figures come from a secondary source, which states results of the paper's tests without "
            "computing them. It gives the sizes in the table and nothing else, so only those are the same, and no "
            "claim rests on them."
        ),
        Table.of(
            [
                *("test", "parameters", "policy", "counted there"),
                *("published (secondary source, weak)", "ours, policy-controllable faults", "ours, pressure faults"),
            ],
            map(compared, REPORTED_ADVERSARIAL),
        ),
        Paragraph(
            f"Ours: starvation lasts {starved['turns']} turns, which is our choice, and a page that stays lost counts "
            f"as one miss and not as one in each prompt: under ClawVM {starved['below_floor_turns']} prompts have a "
            f"hard page below its floor. In churn each turn reads one new result and asks for two earlier ones: "
            f"Retrieval's {retrieval['explicit_faults']} faults follow from that; the published number needs about "
            f"six a turn. In the cascade a note is staged before each of {hybrid['resets']} resets: of "
            f"Compaction-Hybrid's {hybrid['explicit_faults']} faults {hybrid['flush_miss']} are flush misses and "
            f"{hybrid['refetch']} refetches of the plan, which the reset destroyed."
        ),
        Paragraph(
            f"The same source gives ClawVM's thrash index on the paper's recorded sessions as "
            f"{REPORTED_SESSION_THRASH:g} (weak). A run over recorded sessions writes ours for every replay "
            "(`thrash_index` in `sessions/rows.jsonl`), but the two are not comparable: the index without a fault "
            "measures how often calls are repeated, and neither the paper's sessions nor their budgets are public."
        ),
    ]


def _flood_reading(results: dict[str, Any]) -> list[Block]:
    low, high = PUBLISHED_POINTER_SHARE
    return [
        Paragraph(
            "Pointers displace no demand, because floors and demands are installed first, but they displace content: "
            "the working set (4,800 tokens) is paged in again and again. Removing prefetch does not help: for the "
            "upgrades a pointer has the highest score per token, and where the step above it is cheaper still, the "
            "single pass stops at the pointer (`docs/selection.md`). Even without a flood ClawVM raises many pages a "
            "little; LRU, which scores by recency alone, keeps what was used. Nothing bounds the tokens of pointers."
        ),
        Paragraph(
            f"Others published {100 * low:.0f} to {100 * high:.0f} % of the budget for an independent port of the "
            "rules at 1,000 pages and 8,000 tokens: 4.7 to 6 tokens a pointer. A pointer line that this runtime makes "
            f"from a source file costs {LINE_TOKENS} tokens. The budget here is 8,000 tokens; each turn demands two "
            "results of a working set of twelve in full (400 tokens) and any one compressed (150 tokens)."
        ),
        Table.of(
            [
                *("policy", "pages", "tokens a pointer", "pointers' share of the budget", "pages named"),
                *("unmet demands", "warm demands resident", "page-in tokens", "faults"),
            ],
            (
                (
                    policy_named(item["policy"]).name,
                    item["pages"],
                    item["pointer_tokens"],
                    _percent(item["pointer_share"]),
                    _percent(item["named_share"]),
                    item["unmet_demands"],
                    _percent(item["resident_share"]),
                    item["page_in_tokens"],
                    item["explicit_faults"],
                )
                for item in results["flood"]
            ),
        ),
    ]


def _percent(share: float) -> Number:
    return Number(f"{100 * share:.1f} %")


def _one(row: Mapping[str, Any]) -> list[Block]:
    here = broken_here(row)
    counted = ("pressure_tokens", "committed", "rejected", "lost", "overwritten")
    return [
        Heading(3, row["title"]),
        Paragraph(f"{row['story']} Budget {row['budget']:,} tokens. Verdict: {_verdict(row).word}."),
        Table.of(
            ["must hold under ClawVM", "holds", "observed", "broken by a control here"],
            ((item["must_hold"], item["holds"], item["observed"], item["name"] in here) for item in row["checks"]),
        ),
        Table.of(
            ["taken away", "must break", "broke"],
            (
                (item["change"], ", ".join(item["must_break"]), ", ".join(item["broke"]) or "nothing")
                for item in row["controls"]
            ),
        ),
        Table.of(
            ["policy", "faults", "pressure faults", *(name.replace("_", " ") for name in counted), "checks broken"],
            (
                (
                    POLICIES[item["policy"]].name,
                    _words(item["faults"]),
                    _words(item["pressure_faults"]),
                    *(item[name] for name in counted),
                    ", ".join(item["broken"]) or "none",
                )
                for item in row["policies"]
            ),
        ),
    ]


EXPERIMENT = Experiment(
    id="adversarial",
    title="Adversarial scenarios",
    question="What holds when somebody tries to make it fail?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
)
