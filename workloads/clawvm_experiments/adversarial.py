"""Adversarial scenarios: each under ClawVM, under the other policies, and under ClawVM with something taken away.

==============  =====================================================================
EXPERIMENT      one cell for each scenario, one for each size of the pointer flood
==============  =====================================================================

A scenario *holds* when every check holds under ClawVM and every control breaks the checks that it names: a check that
cannot fail would prove nothing. A failed check is a defect, and the report names it.

Source: paper, adversarial tests (starvation, churn, cascade reset); the others are ours. ``docs/adversarial.md``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.reports import table
from clawvm_runtime.policy import FEATURES, POLICIES, policy_named
from clawvm_runtime.selector import select
from clawvm_workloads.adversarial import SCENARIOS
from clawvm_workloads.adversarial.scripts import stale_storm
from clawvm_workloads.adversarial.traces import LINE_TOKENS, SHORT_TOKENS, measure, pointer_flood
from clawvm_workloads.adversarial.scenario import CHECKS, Control, Run, Scenario

__all__ = ["EXPERIMENT"]


# --- The report of the adversarial scenarios: verdicts, what does not hold, the published statements, every scenario.

PUBLISHED_POINTER_SHARE = (0.59, 0.75)
"""Share of the budget that bare pointers took at 1,000 pages and 8,000 tokens."""

REPORT_CLAWVM = "clawvm"


def broken_here(row: Mapping[str, Any]) -> set[str]:
    """Return the names of the checks of a scenario that hold under ClawVM and that one of its own controls breaks."""
    broke = {name for control in row["controls"] for name in control["broke"]}
    return broke & {check["name"] for check in row["checks"] if check["holds"]}


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    findings = results["findings"]
    parts = [
        "## Adversarial scenarios\n",
        f"{findings['adversarial_checks_passed']} of {findings['adversarial_checks_total']} checks hold under ClawVM "
        f"in {findings['adversarial_scenarios_total']} scenarios; {findings['adversarial_controls_failing']} of "
        f"{findings['adversarial_controls_total']} controls break what they must. A control is ClawVM with one thing "
        "taken away or reported falsely.\n",
        _strength(findings),
        _verdicts(results),
        _defects(results),
        "### Starvation, beside the published statement\n",
        _starvation_reading(results),
        "### Pointer flood: what bare pointers leave\n",
        _flood_reading(results),
        *(_one(row) for row in results["scenarios"]),
    ]
    return "\n".join(part for part in parts if part)


def _strength(findings: Mapping[str, Any]) -> str:
    """Return how many checks were seen to fail, and where."""
    return (
        f"{findings['adversarial_checks_broken_in_their_own_scenario']} of the checks are broken by a control of their "
        f"own scenario: they can fail there. {findings['adversarial_checks_broken_only_in_another_scenario']} are "
        "broken only by a control of another scenario: it shows that a check of this kind can fail, not that it would "
        f"fail in this one. {findings['adversarial_checks_broken_in_no_scenario']} are of a kind that no control "
        "breaks; these would prove nothing.\n"
    )


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items()) or "none"


def _verdicts(results: dict[str, Any]) -> str:
    lines = []
    for row in results["scenarios"]:
        held = sum(check["holds"] for check in row["checks"])
        failing = sum(control["fails"] for control in row["controls"])
        others = [item for item in row["policies"] if item["policy"] != REPORT_CLAWVM and item["broken"]]
        lines.append(
            (
                row["title"],
                f"{held} of {len(row['checks'])}",
                f"{failing} of {len(row['controls'])}",
                f"{len(broken_here(row))} of {len(row['checks'])}",
                ", ".join(POLICIES[item["policy"]].name for item in others) or "none",
                "holds" if row["holds"] else "FAILS",
            )
        )
    header = [
        "scenario",
        "checks under ClawVM",
        "controls that break",
        "checks that a control here breaks",
        "other policies that break a check",
        "verdict",
    ]
    return table(header, lines)


def _defects(results: dict[str, Any]) -> str:
    lines = [
        f"- **{row['title']}**: {check['must_hold']}. Observed: {check['observed']}."
        for row in results["scenarios"]
        for check in row["checks"]
        if not check["holds"]
    ]
    lines += [
        f'- **{row["title"]}**: the control "{control["change"]}" does not break {", ".join(control["must_break"])}.'
        for row in results["scenarios"]
        for control in row["controls"]
        if not control["fails"]
    ]
    return "### What does not hold\n\n" + "\n".join(lines) + "\n" if lines else ""


def _starvation_reading(results: dict[str, Any]) -> str:
    findings = results["findings"]
    row = next(row for row in results["scenarios"] if row["scenario"] == "starvation")
    clawvm = next(item for item in row["policies"] if item["policy"] == REPORT_CLAWVM)
    controllable = sum(clawvm["faults"].values())
    total = controllable + sum(clawvm["pressure_faults"].values())
    faults = "every policy faults" if findings["starvation_every_policy_faults"] else "not every policy faults"
    exact = findings["starvation_pressure_reported_by_every_policy"]
    reported = "every policy reports" if exact else "not every policy reports"
    return (
        f"Published: with a minimum set above the budget every policy faults, and the pressure is reported. Ours: "
        f"{faults}, and {reported} the pressure with exactly the tokens that the trace implies "
        f"({findings['starvation_pressure_turns']} turns, {findings['starvation_pressure_tokens']} tokens under "
        f"ClawVM). Of ClawVM's {total} faults there {controllable or 'none'} "
        f"{'are' if controllable > 1 else 'is'} policy-controllable.\n"
    )


def _flood_reading(results: dict[str, Any]) -> str:
    low, high = PUBLISHED_POINTER_SHARE
    lines = [
        (
            policy_named(item["policy"]).name,
            item["pages"],
            item["pointer_tokens"],
            f"{100 * item['pointer_share']:.1f} %",
            f"{100 * item['named_share']:.1f} %",
            item["unmet_demands"],
            f"{100 * item['resident_share']:.1f} %",
            item["page_in_tokens"],
            item["explicit_faults"],
        )
        for item in results["flood"]
    ]
    header = [
        "policy",
        "pages",
        "tokens a pointer",
        "pointers' share of the budget",
        "pages named",
        "unmet demands",
        "warm demands resident",
        "page-in tokens",
        "faults",
    ]
    return (
        f"Published by others, for an independent port of the rules: {100 * low:.0f} to {100 * high:.0f} % of the "
        f"budget at 1,000 pages and 8,000 tokens, which is 4.7 to 6 tokens a pointer. A pointer line that this runtime "
        f"makes from a source file costs {LINE_TOKENS} tokens. The budget here is 8,000 tokens; each turn demands two "
        "results of a working set of twelve in full (400 tokens) and one from anywhere compressed (150 tokens).\n\n"
        + table(header, lines)
        + "\nFloors and demands are installed before any pointer, so pointers displace no demand. What they displace "
        "is content: the working set (4,800 tokens) is paged in again and again. Removing prefetch does not bring it "
        "back: to the upgrades a pointer is the step with the highest score per token, and where the step above it is "
        "cheaper still, the single pass stops at the pointer (`docs/selection.md`). Already without a flood ClawVM "
        "raises many pages a little; LRU, which scores by recency alone, keeps what was used while there is room. "
        "Nothing bounds the region of pointers.\n"
    )


def _one(row: Mapping[str, Any]) -> str:
    checks = [
        (
            check["must_hold"],
            check["holds"],
            check["observed"],
            "yes" if check["name"] in broken_here(row) else "no",
        )
        for check in row["checks"]
    ]
    controls = [
        (control["change"], ", ".join(control["must_break"]), ", ".join(control["broke"]) or "nothing")
        for control in row["controls"]
    ]
    policies = [
        (
            POLICIES[item["policy"]].name,
            _words(item["faults"]),
            _words(item["pressure_faults"]),
            item["pressure_tokens"],
            item["committed"],
            item["rejected"],
            item["lost"],
            item["overwritten"],
            ", ".join(item["broken"]) or "none",
        )
        for item in row["policies"]
    ]
    header = [
        "policy",
        "faults",
        "pressure faults",
        "pressure tokens",
        "committed",
        "rejected",
        "lost",
        "overwritten",
        "checks broken",
    ]
    return "\n".join(
        [
            f"### {row['title']}\n",
            f"{row['story']} Budget {row['budget']:,} tokens. Verdict: {'holds' if row['holds'] else 'FAILS'}.\n",
            table(["must hold under ClawVM", "holds", "observed", "broken by a control here"], checks),
            table(["taken away", "must break", "broke"], controls),
            table(header, policies),
        ]
    )


# --- Adversarial scenarios: each under ClawVM, under the other policies, and under ClawVM with something taken away.

CLAWVM = POLICIES["clawvm"]
FLOOD_PAGES, FLOOD_BUDGET = 1000, 8000
FLOOD_POLICIES = (CLAWVM, CLAWVM.without(FEATURES["prefetch"]), POLICIES["lru"])


def cells(quick: bool) -> list[Cell]:
    """Return one cell for each scenario and flood size; a quick run has a smaller flood and fewer storms."""
    pages, budget = (FLOOD_PAGES // 10, FLOOD_BUDGET // 5) if quick else (FLOOD_PAGES, FLOOD_BUDGET)
    sizes = [(100, tokens) for tokens in (SHORT_TOKENS, LINE_TOKENS)]
    if not quick:
        sizes += [(size, tokens) for size in (300, FLOOD_PAGES) for tokens in (SHORT_TOKENS, LINE_TOKENS)]
        sizes.append((2 * FLOOD_PAGES, SHORT_TOKENS))
    chosen = [Cell(name, {"scenario": name}) for name in SCENARIOS]
    chosen.append(Cell("pointer_flood", {"scenario": "pointer_flood", "pages": pages, "budget": budget}))
    chosen.append(Cell("stale_storm", {"scenario": "stale_storm", "seeds": list(range(1, 3 if quick else 21))}))
    chosen += [
        Cell(f"flood-p{size:04d}-t{tokens:02d}", {"flood": size, "pointer_tokens": tokens, "budget": FLOOD_BUDGET})
        for size, tokens in sizes
    ]
    return chosen


def run_cell(cell: Cell) -> Row:
    """Return what a scenario showed, or what one flood size made of the prompt."""
    parameters = cell.parameters
    if "flood" in parameters:
        sizes = (parameters["flood"], parameters["pointer_tokens"], parameters["budget"])
        return {"flood": [measure(policy, *sizes) for policy in FLOOD_POLICIES]}
    scenario = _scenario(parameters)
    runs = {policy.id: scenario.run(policy, select, "") for policy in POLICIES.values()}
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


def _scenario(parameters: Mapping[str, Any]) -> Scenario:
    name = parameters["scenario"]
    if name == "pointer_flood":
        return pointer_flood(parameters["pages"], parameters["budget"])
    if name == "stale_storm":
        return stale_storm(parameters["seeds"])
    return SCENARIOS[name]


def _control(scenario: Scenario, control: Control) -> Row:
    weakened = dataclasses.replace(CLAWVM, id="clawvm_weakened", **control.removal)
    run = scenario.run(weakened, control.selector, control.variant)
    return {
        "change": control.change,
        "must_break": list(control.breaks),
        "broke": list(run.broken),
        "fails": set(control.breaks) <= set(run.broken),
    }


def _counts(run: Run) -> Row:
    return {
        "faults": dict(run.faults),
        "pressure_faults": dict(run.pressure_faults),
        "pressure_turns": run.pressure_turns,
        "pressure_tokens": run.pressure_tokens,
        "committed": run.committed,
        "rejected": len(run.rejected),
        "lost": run.lost,
        "overwritten": run.overwritten,
        "broken": list(run.broken),
    }


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return scenarios, flood sizes, and the findings."""
    scenarios = [row for row in rows if "scenario" in row]
    flood = [item for row in rows if "flood" in row for item in row["flood"]]
    return {"scenarios": scenarios, "flood": flood, "findings": _findings(scenarios, flood)}


def _findings(scenarios: Sequence[Row], flood: Sequence[Row]) -> dict[str, Any]:
    checks = [(row["scenario"], check) for row in scenarios for check in row["checks"]]
    controls = [control for row in scenarios for control in row["controls"]]
    failed = [f"{scenario}.{check['name']}" for scenario, check in checks if not check["holds"]]
    breakable = {name for control in controls if control["fails"] for name in control["must_break"]}
    held = [(row, check["name"]) for row in scenarios for check in row["checks"] if check["holds"]]
    here = sum(name in broken_here(row) for row, name in held)
    somewhere = {name for row in scenarios for name in broken_here(row)}
    clawvm = [_of_policy(row, CLAWVM.id) for row in scenarios]
    findings: dict[str, Any] = {
        "adversarial_scenarios_total": len(scenarios),
        "adversarial_scenarios_holding": sum(row["holds"] for row in scenarios),
        "adversarial_checks_total": len(checks),
        "adversarial_checks_passed": len(checks) - len(failed),
        "adversarial_checks_failed": ", ".join(failed),
        "adversarial_controls_total": len(controls),
        "adversarial_controls_failing": sum(control["fails"] for control in controls),
        "adversarial_controls_that_break_nothing": sum(not control["fails"] for control in controls),
        "adversarial_checks_broken_in_their_own_scenario": here,
        "adversarial_checks_broken_in_no_scenario": sum(name not in somewhere for _, name in held),
        "adversarial_checks_broken_only_in_another_scenario": sum(name in somewhere for _, name in held) - here,
        "adversarial_kinds_of_check_total": len({check["name"] for _, check in checks}),
        "adversarial_kinds_of_check_that_a_control_breaks": len({check["name"] for _, check in checks} & breakable),
        "adversarial_clawvm_controllable_faults": sum(sum(item["faults"].values()) for item in clawvm),
        "adversarial_clawvm_updates_lost": sum(item["lost"] for item in clawvm),
        "adversarial_clawvm_overwritten": sum(item["overwritten"] for item in clawvm),
    }
    for row in scenarios:
        findings[f"adversarial_{row['scenario']}_holds"] = row["holds"]
    findings.update(_starvation(next(row for row in scenarios if row["scenario"] == "starvation")))
    findings.update(_flood_findings(flood))
    return findings


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
    findings["pointer_flood_clawvm_unmet_demands"] = sum(
        item["unmet_demands"] for item in flood if item["policy"] == CLAWVM.id
    )
    findings["pointer_flood_clawvm_faults"] = sum(
        item["explicit_faults"] for item in flood if item["policy"] == CLAWVM.id
    )
    return findings


EXPERIMENT = Experiment(
    id="adversarial",
    title="Adversarial scenarios",
    question="What holds when somebody tries to make it fail?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
)
