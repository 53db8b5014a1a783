"""The report of the adversarial scenarios: verdicts, what does not hold, the published statements, every scenario.

========================  ==========================================================================
PUBLISHED_POINTER_SHARE   the share that bare pointers took in an independent port of the rules
broken_here               the checks of a scenario that one of its own controls breaks
report                    the results as Markdown
========================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clawvm_replay.reports import table
from clawvm_runtime.policy import POLICIES, policy_named
from clawvm_workloads.adversarial.pointer_flood import LINE_TOKENS

__all__ = ["PUBLISHED_POINTER_SHARE", "broken_here", "report"]

PUBLISHED_POINTER_SHARE = (0.59, 0.75)
"""Share of the budget that bare pointers took at 1,000 pages and 8,000 tokens."""

CLAWVM = "clawvm"


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
        others = [item for item in row["policies"] if item["policy"] != CLAWVM and item["broken"]]
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
    clawvm = next(item for item in row["policies"] if item["policy"] == CLAWVM)
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
