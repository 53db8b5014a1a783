"""The claim as a property: every statement of it on thousands of generated workloads.

Chunks of seeds run under ClawVM; each feature is then removed from it, to show which of them the claim needs. A seed
that breaks a statement is written as a trace. ``docs/property.md``.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from clawvm_experiments.experiment import Cell, Experiment, Row
from clawvm_replay.commits import committed_entries, replaced_unseen
from clawvm_replay.document import Block, Bullets, Heading, Number, Paragraph, Table
from clawvm_replay.metrics import FAULT_FIELDS, CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace, read_trace, write_trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import FEATURES, POLICIES, Policy
from clawvm_runtime.selector import Selector, select
from clawvm_runtime.vocabulary import FaultKind, Level
from clawvm_workloads.generated import generate
from clawvm_workloads.reference_model import Fate, Levels, Witness, WitnessTurn, witness

__all__ = ["EXPERIMENT", "NO_PROTECTIONS", "Property", "check_trace", "levels_of", "read_back", "violations_of"]

CLAWVM = POLICIES["clawvm"]

CHUNKS, SEEDS_PER_CHUNK = 60, 100
QUICK_CHUNKS, QUICK_SEEDS_PER_CHUNK = 6, 50

SEEDS_WITHOUT, QUICK_SEEDS_WITHOUT = 100, 25
"""How many seeds are tried without each feature."""

NO_PROTECTIONS = ("upgrade_scoring", "prefetch")
"""Features of ClawVM that spend spare tokens: without them nothing may break."""

MOST_COUNTEREXAMPLES = 3
"""How many failing seeds of a chunk are written as traces; the others are only listed."""

ITEMS = ("calls", "demands", "recalls", "updates")
"""The kinds of event that are counted in a workload."""


# --- The statements: each compares a replay with the reference model.


class Property(str, Enum):
    """The statements, in the order in which they are checked."""

    ZERO_FAULTS = "zero_faults"
    RIGHT_VERDICTS = "right_verdicts"
    PRESSURE_REPORTED = "pressure_reported"
    WITHIN_BUDGET = "within_budget"
    NOTHING_LOST = "nothing_lost"
    SAME_BYTES = "same_bytes"
    INVARIANTS_HOLD = "invariants_hold"


STATEMENTS = {
    Property.ZERO_FAULTS: "no policy-controllable fault of any kind; floors and demands are held wherever they fit",
    Property.RIGHT_VERDICTS: "each access is judged against what the model could see, and counted as what it was",
    Property.PRESSURE_REPORTED: "pressure in exactly the turns that do not fit, with exactly what is missing",
    Property.WITHIN_BUDGET: "no prompt above its budget; each page once, at a level it has, at what that costs",
    Property.NOTHING_LOST: "every update is committed or rejected with the right code at the next boundary",
    Property.SAME_BYTES: "a second replay gives the same decision trace, byte for byte",
    Property.INVARIANTS_HOLD: "every replay runs to its end, and the engine's invariants hold there",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One statement that does not hold; ``turn`` is 0 where it is about the whole run."""

    property: Property
    turn: int
    detail: str


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """The outcome of one replay; ``decisions`` are the events as canonical JSON lines."""

    budget: int
    prompts: tuple[AssembledPrompt, ...]
    events: tuple[Event, ...]
    decisions: bytes
    metrics: CellMetrics

    def events_of(self, kind: str) -> list[Event]:
        """Return the events of one kind, in their order."""
        return [event for event in self.events if event["event"] == kind]


def levels_of(prompt: AssembledPrompt) -> dict[str, Level]:
    """Return the levels in a prompt, by page id."""
    return {block.page_id: block.level for block in prompt.blocks}


def violations_of(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Yield the violations in *run*, O(events); *expected* must know its prompts."""
    if len(run.prompts) != len(expected.turns):
        yield Violation(Property.INVARIANTS_HOLD, 0, f"{len(expected.turns)} turns, {len(run.prompts)} prompts")
        return
    yield from _zero_faults(expected, run)
    yield from _right_verdicts(expected, run)
    yield from _pressure_reported(expected, run)
    yield from _pressure_faults(expected, run)
    yield from _within_budget(expected, run)
    yield from _nothing_lost(expected, run)


def _below(required: Levels, held: Levels) -> list[str]:
    return [page_id for page_id, level in required.items() if held.get(page_id, Level.NONE) < level]


def _zero_faults(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """No policy-controllable fault is counted, and none occurs uncounted."""
    kind = Property.ZERO_FAULTS
    counted = {name: getattr(run.metrics, name) for name in FAULT_FIELDS if getattr(run.metrics, name)}
    faults = [event for event in run.events_of("fault") if event["controllable"]]
    if counted or faults:
        turn = faults[0]["turn"] if faults else 0
        yield Violation(kind, turn, "counted " + ", ".join(f"{name} {number}" for name, number in counted.items()))
    for turn_, prompt in zip(expected.turns, run.prompts):
        held = levels_of(prompt)
        if turn_.floor_tokens <= turn_.budget:
            for page_id in _below(turn_.floors, held):
                yield Violation(kind, turn_.number, f"hard page {page_id} is below its floor, and all floors fit")
        for page_id in _below(turn_.demands_due, held):
            yield Violation(kind, turn_.number, f"demanded page {page_id} is below its level, and everything fits")
    for event in run.events_of("recall"):
        if not event["reasoned"]:
            yield Violation(kind, event["turn"], "a recall was answered without its reason")


def _right_verdicts(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Every access is judged against what the model could see, and counted as what it turned out to be."""
    kind = Property.RIGHT_VERDICTS
    due = [
        (access.turn, access.page_id, access.level.label, access.resident.label, access.verdict)
        for access in expected.accesses
    ]
    judged = [
        (event["turn"], event["page"], event["level"], event["resident"], event["verdict"])
        for event in run.events_of("demand")
    ]
    if judged != due:
        wrong = next(
            (pair for pair in zip(due, judged) if pair[0] != pair[1]), (due[len(judged) :], judged[len(due) :])
        )
        yield Violation(kind, 0, f"(turn, page, needed, resident, verdict) should be {wrong[0]}, is {wrong[1]}"[:300])
    met = [access for access in expected.accesses if access.met]
    page_ins = [access.cost for access in met if access.verdict == "page_in"]
    right = (
        sum(access.verdict in ("hit", "page_in") for access in met),
        len(page_ins),
        sum(page_ins),
        len(due) - len(met),
        sum(access.repeated and not access.cold for access in expected.accesses),
    )
    metrics = run.metrics
    counted = (metrics.hits, metrics.page_ins, metrics.page_in_tokens, metrics.unmet_demands, metrics.alerts)
    if counted != right:
        yield Violation(kind, 0, f"(hits, page-ins, their tokens, unmet, alerts) should be {right}, is {counted}")


def _pressure_reported(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Pressure is reported in exactly the turns that do not fit, with exactly what is missing."""
    kind = Property.PRESSURE_REPORTED
    reported = {event["turn"]: event for event in run.events_of("pressure")}
    for turn, prompt in zip(expected.turns, run.prompts):
        event = reported.get(turn.number)
        found = (event["needed"], event["budget"], event["missing"]) if event else None
        due = (turn.needed_tokens, turn.budget, turn.missing_tokens) if turn.missing_tokens else None
        if found != due:
            yield Violation(kind, turn.number, f"(needed, budget, missing) is {due}, reported as {found}")
        if prompt.missing_tokens != turn.missing_tokens:
            detail = f"{turn.missing_tokens} tokens are missing, the prompt reports {prompt.missing_tokens}"
            yield Violation(kind, turn.number, detail)
    missing = [turn.missing_tokens for turn in expected.pressed_turns]
    totals = (run.metrics.pressure_turns, run.metrics.pressure_tokens)
    if totals != (len(missing), sum(missing)):
        yield Violation(kind, 0, f"(turns, tokens) is {(len(missing), sum(missing))}, counted as {totals}")


def _pressure_faults(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Whatever a turn under pressure leaves out is a pressure fault, and nothing else is one."""
    due: Counter[tuple[int, str, str]] = Counter()
    for access in expected.accesses:
        if access.pressed and not access.met:
            kind = FaultKind.DUPLICATE_TOOL if access.repeated else FaultKind.REFETCH
            due[access.turn, kind.value, access.page_id] += 1
    for shortfall in expected.shortfalls:
        if shortfall.pressed and shortfall.counted:
            kind = FaultKind.POST_COMPACTION_BOOTSTRAP if shortfall.bootstrap else FaultKind.PINNED_INVARIANT_MISS
            due[shortfall.turn, kind.value, shortfall.page_id] += 1
    found = Counter(
        (event["turn"], event["fault"], event["page"]) for event in run.events_of("fault") if not event["controllable"]
    )
    wrong = sorted((found - due) + (due - found))
    if wrong:
        detail = f"pressure faults missing or too many: {wrong}"[:300]
        yield Violation(Property.PRESSURE_REPORTED, wrong[0][0], detail)


def _within_budget(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """No prompt exceeds its budget; its blocks are pages once each, at levels they have, at what these cost."""
    kind = Property.WITHIN_BUDGET
    for turn, prompt in zip(expected.turns, run.prompts):
        if prompt.budget != run.budget or prompt.tokens > run.budget:
            yield Violation(kind, turn.number, f"{prompt.tokens} tokens of {prompt.budget}, the budget is {run.budget}")
        total = sum(block.tokens for block in prompt.blocks)
        if total != prompt.tokens:
            yield Violation(kind, turn.number, f"the blocks hold {total} tokens, the prompt reports {prompt.tokens}")
        for page_id, times in Counter(block.page_id for block in prompt.blocks).items():
            if times > 1:
                yield Violation(kind, turn.number, f"page {page_id} is in the prompt {times} times")
        for block in prompt.blocks:
            page = turn.contents.get(block.page_id)
            if page is None or page.costs.get(block.level) != block.tokens:
                detail = f"page {block.page_id} at {block.level.label} does not cost {block.tokens}"
                yield Violation(kind, turn.number, detail)


def _nothing_lost(expected: Witness, run: CheckedRun) -> Iterator[Violation]:
    """Every staged update meets the right fate at the next boundary, and its page shows it."""
    kind = Property.NOTHING_LOST
    fates = _fates(run)
    for entry in range(1, max(len(expected.fates), *fates, 0) + 1):
        due = expected.fates[entry - 1] if entry <= len(expected.fates) else None
        if fates.get(entry) != due:
            yield Violation(kind, 0, f"update {entry} should be {_words(due)}, is {_words(fates.get(entry))}")
    for event in run.events:
        turn = event["turn"]
        if event["event"] == "session_start" and event.get("gone"):
            yield Violation(kind, turn, f"a reset destroyed the pages {', '.join(event['gone'])}")
        elif event["event"] == "reject" and not event["detail"]:
            yield Violation(kind, turn, f"update {event['entry']} was rejected without a reason")
    proposed = dict(enumerate(expected.updates, start=1))
    unseen = replaced_unseen(proposed, (entry for entry in committed_entries(run.events) if entry in proposed))
    reported = [entry for event in run.events_of("commit") for entry in event["overwrote"]]
    if unseen or reported:
        detail = f"updates {list(unseen)} destroyed committed state unseen, reported are {reported}"
        yield Violation(kind, 0, detail)
    metrics = run.metrics
    status = Counter(fate.status for fate in expected.fates)
    right = (status["committed"], status["rejected"], 0)
    counted = (metrics.committed_updates, metrics.rejected_updates, metrics.lost_updates)
    if counted != right:
        yield Violation(kind, 0, f"(committed, rejected, lost) should be {right}, is {counted}")
    for turn_, prompt in zip(expected.turns, run.prompts):
        yield from _versions(turn_, prompt)


def _fates(run: CheckedRun) -> dict[int, Fate]:
    """Return the fate of each journal entry, as the decision trace records it."""
    fates: dict[int, Fate] = {}
    for event in run.events:
        if event["event"] == "stage":
            fates.setdefault(event["entry"], Fate("staged"))
        elif event["event"] == "reject":
            fates[event["entry"]] = Fate("rejected", event["turn"], event["code"])
        elif event["event"] in ("commit", "lost"):
            status = "committed" if event["event"] == "commit" else "lost"
            fates.update(dict.fromkeys(event["entries"], Fate(status, event["turn"])))
    return fates


def _words(fate: Fate | None) -> str:
    if fate is None:
        return "never staged"
    return " ".join(word for word in (fate.status, fate.code, f"in turn {fate.turn}" if fate.turn else "") if word)


def _versions(turn: WitnessTurn, prompt: AssembledPrompt) -> Iterator[Violation]:
    for block in prompt.blocks:
        page = turn.contents.get(block.page_id)
        if page is not None and block.version != page.version:
            detail = (
                f"page {block.page_id} is at version {block.version}, its content and commits make it {page.version}"
            )
            yield Violation(Property.NOTHING_LOST, turn.number, detail)


# --- One trace: two replays, and every statement about them.


@dataclass(frozen=True, slots=True)
class Checked:
    """The violations of one trace; ``run`` is None where a replay failed."""

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
    except Exception as error:  # A valid trace must replay without any error.
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
    """Return the counts of one workload."""
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
        **{f"{kind}_tried": counts[kind] for kind in ("turns", "demands", "accesses", "updates", "recalls")},
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
