"""The claim as a property: every statement of it on thousands of generated workloads.

Chunks of seeds run under ClawVM; each feature is then removed from it, to show which of them the claim needs. A seed
that breaks a statement is written as a trace. The statements are in ``property_statements``, the workloads in
``clawvm_workloads.generated``. ``docs/property.md``.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_experiments.property_statements import CheckedRun, Property, Violation, levels_of, violations_of
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace, read_trace, write_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.selector import Selector, select
from clawvm_workloads.generated import generate
from clawvm_workloads.reference_model import Witness, witness

__all__ = ["EXPERIMENT", "NO_PROTECTIONS", "check_trace", "read_back"]

CLAWVM = POLICIES["clawvm"]

CHUNKS, SEEDS_PER_CHUNK = 60, 100
QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK = 6, 50

SEEDS_WITHOUT, QUICK_SEEDS_WITHOUT = 100, 25
"""How many seeds are tried without each feature."""

NO_PROTECTIONS = ("upgrade_scoring", "prefetch")
"""Features of ClawVM that spend spare tokens: without them nothing may break."""

MOST_COUNTEREXAMPLES = 3
"""How many failing seeds of a chunk are written as traces; the others are only listed."""

ITEMS = ("calls", "demands", "lookups", "updates")
"""What the turns of a workload are counted by."""


# --- One trace: two replays, and every statement about them.


@dataclass(frozen=True, slots=True)
class Checked:
    """The violations of one trace; ``run`` is None where a replay did not come to its end."""

    expected: Witness
    run: CheckedRun | None
    violations: tuple[Violation, ...]


def read_back(trace: Trace) -> Trace:
    """Return *trace* as a reader of its bytes gets it; raises TraceError when they are no valid trace."""
    lines = "".join(write_trace(trace.header, trace.turns))
    header, turns = read_trace(io.BytesIO(lines.encode("ascii")), trace.source)
    return Trace(header, tuple(turns), source=trace.source)


def check_trace(trace: Trace, policy: Policy = CLAWVM, selector: Selector = select) -> Checked:
    """Replay *trace* twice under *policy* and check every statement of ClawVM's contract.

    The second replay gets the trace as a reader of its bytes does. Raises TraceError when the trace is no valid trace
    or asks for a page before it is there.
    """
    copy = read_back(trace)
    try:
        run = _replayed(trace, policy, selector)
        again = _replayed(copy, policy, selector)
    except Exception as error:  # Whatever a replay of a possible trace raises, an invariant or a refusal, is a finding.
        broken = Violation(Property.INVARIANTS_HOLD, 0, f"{type(error).__name__}: {error!s:.200}")
        return Checked(witness(trace), None, (broken,))
    expected = witness(trace, [levels_of(prompt) for prompt in run.prompts])
    return Checked(expected, run, (*violations_of(expected, run), *_differences(run, again)))


def _replayed(trace: Trace, policy: Policy, selector: Selector) -> CheckedRun:
    decisions = DecisionTrace()
    prompts: list[AssembledPrompt] = []
    metrics = replay_trace(trace, policy, decisions=decisions, observe=prompts.append, selector=selector)
    text = "".join(canonical_json(event) + "\n" for event in decisions.events)
    return CheckedRun(trace.header.budget, tuple(prompts), tuple(decisions.events), text.encode("ascii"), metrics)


def _differences(run: CheckedRun, again: CheckedRun) -> Iterator[Violation]:
    """Yield where two replays of one trace differ: in a decision, in a prompt, or in what was measured."""
    kind = Property.SAME_BYTES
    if again.decisions != run.decisions:
        lines = zip(run.decisions.splitlines(), again.decisions.splitlines())
        number = next((number for number, (line, other) in enumerate(lines) if line != other), -1)
        yield Violation(kind, run.events[number]["turn"], f"event {number} of {len(run.events)} differs")
    for prompt, other in zip(run.prompts, again.prompts):
        if prompt.blocks != other.blocks:
            yield Violation(kind, prompt.turn, "the prompt has other blocks")
    if again.metrics != run.metrics:
        yield Violation(kind, 0, "the metrics differ")


# --- Cells.


def cells(quick: bool) -> list[Cell]:
    """Return the chunks of seeds, then one cell for each feature removed."""
    chunks, seeds = (QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK) if quick else (CHUNKS, SEEDS_PER_CHUNK)
    without = QUICK_SEEDS_WITHOUT if quick else SEEDS_WITHOUT
    return [
        *(
            Cell(f"seeds-{number * seeds:06d}", {"part": "seeds", "first_seed": number * seeds, "seeds": seeds})
            for number in range(chunks)
        ),
        *(Cell(f"without-{name}", {"part": "feature", "name": name, "seeds": without}) for name in FEATURES),
    ]


def run_cell(cell: Cell) -> Row:
    """Return the row of one cell."""
    parameters = cell.parameters
    if parameters["part"] == "seeds":
        return _chunk(parameters["first_seed"], parameters["seeds"])
    return _without(parameters["name"], parameters["seeds"])


def _chunk(first_seed: int, seeds: int) -> Row:
    """Check ClawVM on consecutive seeds."""
    counts: Counter[str] = Counter()
    digest = hashlib.sha256()
    violations: list[Row] = []
    for seed in range(first_seed, first_seed + seeds):
        trace = generate(seed)
        checked = check_trace(trace, CLAWVM)
        counts.update(_counts(trace, checked))
        if checked.run is not None:
            digest.update(checked.run.decisions)
        if checked.violations:
            violations.append({"seed": seed, **_record(checked.violations)})
            if len(violations) <= MOST_COUNTEREXAMPLES:
                violations[-1]["counterexample"] = "".join(write_trace(trace.header, trace.turns)).splitlines()
    return {
        "part": "seeds",
        "first_seed": first_seed,
        "seeds": seeds,
        "counts": dict(sorted(counts.items())),
        "violations": violations,
        "digest": digest.hexdigest(),
    }


def _counts(trace: Trace, checked: Checked) -> dict[str, int]:
    """Return what one workload holds."""
    expected = checked.expected
    pressed = len(expected.pressed_turns)
    return {
        "workloads": 1,
        "workloads that fit": not pressed,
        "turns": len(trace.turns),
        "turns under pressure": pressed,
        "accesses": sum(1 for _ in expected.accesses),
        "boundaries": expected.boundaries,
        **{kind: sum(len(getattr(turn, kind)) for turn in trace.turns) for kind in ITEMS},
    }


def _record(violations: Sequence[Violation]) -> Row:
    """Return the first of several violations, and which statements they break."""
    first = violations[0]
    broken = {violation.property for violation in violations}
    return {
        "property": first.property.value,
        "turn": first.turn,
        "detail": first.detail,
        "all_properties": [kind.value for kind in Property if kind in broken],
    }


def _without(feature: str, seeds: int) -> Row:
    """Check ClawVM without a feature on the first seeds."""
    policy = CLAWVM.without(FEATURES[feature])
    failing: list[int] = []
    by_property: Counter[str] = Counter()
    for seed in range(seeds):
        violations = check_trace(generate(seed), policy).violations
        if violations:
            failing.append(seed)
            by_property.update({violation.property.value for violation in violations})
    return {
        "part": "feature",
        "name": feature,
        "must_fail": feature not in NO_PROTECTIONS,
        "seeds": seeds,
        "failing_seeds": len(failing),
        "failing_seeds_by_property": {kind.value: by_property[kind.value] for kind in Property},
        "first_seed": failing[0] if failing else None,
        "caught": bool(failing),
    }


# --- Results.


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the counts over all chunks, every violation, and what breaks without each feature."""
    chunks = [row for row in rows if row["part"] == "seeds"]
    features = [row for row in rows if row["part"] == "feature"]
    violations = [violation for row in chunks for violation in row["violations"]]
    protections = [row for row in features if row["must_fail"]]
    harmless = [row for row in features if not row["must_fail"]]
    counts: Counter[str] = Counter()
    for row in chunks:
        counts.update(row["counts"])
    findings = {
        "workloads_tried": counts["workloads"],
        "workloads_that_fit": counts["workloads that fit"],
        "workloads_under_pressure": counts["workloads"] - counts["workloads that fit"],
        "turns_under_pressure": counts["turns under pressure"],
        "tool_calls_tried": counts["calls"],
        **{f"{kind}_tried": counts[kind] for kind in ("turns", "demands", "accesses", "updates", "lookups")},
        "boundaries_passed": counts["boundaries"],
        "violations": len(violations),
        "protections": len(protections),
        "protections_caught": sum(row["caught"] for row in protections),
        "harmless_features": len(harmless),
        "harmless_features_quiet": sum(not row["caught"] for row in harmless),
        "latest_first_failing_seed": max((row["first_seed"] for row in protections if row["caught"]), default=0),
        "seeds_tried": sum(row["seeds"] for row in chunks),
        "decision_traces_sha256": hashlib.sha256("".join(row["digest"] for row in chunks).encode("ascii")).hexdigest(),
    }
    return {"findings": findings, "violations": violations, "features": features}


STATEMENTS = {
    Property.ZERO_FAULTS: "no policy-controllable fault of any kind; floors and demands are held wherever they fit",
    Property.RIGHT_VERDICTS: "each access is judged against what the model could see, and counted as what it was",
    Property.PRESSURE_REPORTED: "pressure in exactly the turns that do not fit, with exactly what is missing",
    Property.WITHIN_BUDGET: "no prompt above its budget; each page once, at a level it has, at what that costs",
    Property.NOTHING_LOST: "every update is committed or rejected with the right code at the next boundary",
    Property.SAME_BYTES: "a second replay gives the same decision trace, byte for byte",
    Property.INVARIANTS_HOLD: "every replay runs to its end, and the engine's invariants hold there",
}


def report(results: dict[str, Any]) -> list[Block]:
    """Return the result, the statements, and what breaks without each feature."""
    findings = results["findings"]
    broken = Counter(kind for violation in results["violations"] for kind in violation["all_properties"])
    quiet = [row["name"].replace("_", " ") for row in results["features"] if not row["caught"]] or ["none"]
    blocks: list[Block] = [
        Heading(2, "The claim as a property"),
        Paragraph(
            f"**{findings['violations']:,} of {findings['workloads_tried']:,} generated workloads break a statement of "
            "ClawVM's contract.** Zero faults follow from the contract wherever the minimum set fits: in every turn of "
            f"{findings['workloads_that_fit']:,} workloads. In the others it does not fit in "
            f"{findings['turns_under_pressure']:,} turns; faults there are reported as pressure faults."
        ),
        Paragraph(
            f"Tried: {findings['turns_tried']:,} turns, {findings['demands_tried']:,} demands, "
            f"{findings['tool_calls_tried']:,} tool calls (together {findings['accesses_tried']:,} accesses; a call "
            f"without a result is no access), {findings['updates_tried']:,} updates and "
            f"{findings['boundaries_passed']:,} boundaries. A reference model that shares no logic with the runtime "
            "determines what each run must show."
        ),
    ]
    if results["violations"]:
        blocks.append(
            Bullets(
                tuple(
                    f"Seed {item['seed']}, turn {item['turn']}, `{item['property']}`: {item['detail']}"
                    for item in results["violations"]
                )
            )
        )
    blocks += [
        Table.of(
            ["statement", "workloads that break it"],
            [(f"`{kind.value}`: {text}", broken[kind.value]) for kind, text in STATEMENTS.items()],
        ),
        Heading(3, "What breaks without each feature"),
        Paragraph(
            f"Removing {findings['protections_caught']} of {findings['protections']} protections breaks a statement. "
            f"Removing these breaks none, so they change no fault count: {', '.join(quiet)}. Failing seeds, by "
            "statement:"
        ),
        Table.of(
            ["removed from ClawVM", "must fail", "failing seeds", "first", *(f"`{kind.value}`" for kind in Property)],
            [
                (
                    row["name"],
                    row["must_fail"],
                    Number(f"{row['failing_seeds']} of {row['seeds']}"),
                    row["first_seed"],
                    *row["failing_seeds_by_property"].values(),
                )
                for row in results["features"]
            ],
        ),
    ]
    return blocks


def counterexamples(results: dict[str, Any]) -> dict[str, str]:
    """Return every failing trace as a file."""
    return {
        f"counterexample-{row['seed']:06d}.trace.jsonl": "".join(f"{line}\n" for line in row["counterexample"])
        for row in results["violations"]
        if "counterexample" in row
    }


EXPERIMENT = Experiment(
    id="property",
    title="The claim as a property",
    question="Does the contract hold on workloads that nobody chose, and which of its protections does it need?",
    cells=cells,
    run_cell=run_cell,
    summarize=summarize,
    report=report,
    attachments=counterexamples,
)
