"""The report of the property: statements, proof that the check can fail, what was generated.

=============  ==========================================
STATEMENTS     what each statement says, in one line
report         the results as Markdown
=============  ==========================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from clawvm_experiments.claim_property.coverage import GROUPS
from clawvm_experiments.claim_property.statements import Property
from clawvm_experiments.experiment import Row
from clawvm_replay.reports import table

__all__ = ["STATEMENTS", "report"]

STATEMENTS = {
    Property.ZERO_FAULTS: "no policy-controllable fault of any kind; floors and demands stand wherever they fit",
    Property.RIGHT_VERDICTS: "each access is judged against what the model could see, and counted as what it was",
    Property.PRESSURE_REPORTED: "pressure in exactly the turns that do not fit, with exactly what is missing",
    Property.WITHIN_BUDGET: "no prompt above its budget; each page once, at a level it has, at what that costs",
    Property.NOTHING_LOST: "every update is committed or rejected with the right code at the next boundary",
    Property.SAME_BYTES: "a second replay gives the same decision trace, byte for byte",
    Property.INVARIANTS_HOLD: "every replay runs to its end, and the engine's invariants hold there",
}


def report(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    findings = results["findings"]
    return "\n".join(
        [
            "## The claim as a property\n",
            f"{findings['workloads_tried']:,} generated workloads, {findings['turns_tried']:,} turns, "
            f"{findings['demands_tried']:,} demands, {findings['tool_calls_tried']:,} tool calls (together "
            f"{findings['accesses_tried']:,} accesses: a call without a result is none), "
            f"{findings['updates_tried']:,} updates and {findings['boundaries_passed']:,} boundaries under ClawVM. "
            f"The minimum set fits in every turn of {findings['workloads_that_fit']:,} workloads; in the others "
            f"{findings['turns_under_pressure']:,} turns do not fit. "
            f"**Workloads that break a statement: {findings['violations']}.**\n",
            _statements(results),
            "### Proof that the check can fail\n",
            "One thing is taken away at a time. A protection or a broken selector has to be caught; what only spends "
            "spare tokens must not be. The first failing seed was shrunk; sizes are turns / pages / items.\n",
            _proofs(results["features"], "removed from ClawVM"),
            _proofs(results["selectors"], "selector"),
            "The first statement that the first failing seed breaks stands above. All failing seeds, by every "
            "statement that they break:\n",
            _by_statement([*results["features"], *results["selectors"]]),
            _unbroken(results["statements_no_proof_breaks"]),
            "### What was generated\n",
            _coverage(results),
        ]
    )


def _statements(results: dict[str, Any]) -> str:
    broken = Counter(kind for violation in results["violations"] for kind in violation["all_properties"])
    return table(
        ["statement", "workloads that break it"],
        [(f"`{kind.value}`: {text}", broken[kind.value]) for kind, text in STATEMENTS.items()],
    )


def _proofs(rows: Sequence[Row], what: str) -> str:
    header = [
        what,
        "must fail",
        "failing seeds",
        "first",
        "first statement broken",
        "faults counted",
        "size before",
        "size after",
        "candidates",
    ]
    return table(header, [_proof_line(row) for row in rows])


def _proof_line(row: Row) -> tuple[object, ...]:
    share = f"{row['failing_seeds']} of {row['seeds']}"
    line: tuple[object, ...] = (row["name"], row["must_fail"], share)
    if not row["caught"]:
        return (*line, None, None, None, None, None, None)
    faults = ", ".join(row["fault_kinds"]) or "none"
    sizes = (_size(row["size_before"]), _size(row["size_after"]))
    return (*line, row["first_seed"], row["property"], faults, *sizes, row["candidates"])


def _by_statement(rows: Sequence[Row]) -> str:
    return table(
        ["removed or broken", *(f"`{kind.value}`" for kind in Property)],
        [(row["name"], *(row["failing_seeds_by_property"][kind.value] for kind in Property)) for row in rows],
    )


def _unbroken(names: Sequence[str]) -> str:
    return f"Statements that none of these breaks: {', '.join(f'`{name}`' for name in names) or 'none'}.\n"


def _size(size: dict[str, int]) -> str:
    return f"{size['turns']} / {size['pages']} / {size['items']}"


def _coverage(results: dict[str, Any]) -> str:
    counts = results["counts"]
    lines = []
    for group, kinds in GROUPS.items():
        numbers = ", ".join(f"{kind} {counts.get(f'{group}/{kind}', 0):,}" for kind in kinds)
        lines.append(f"- **{group}**: {numbers}\n")
    return "".join(lines)
