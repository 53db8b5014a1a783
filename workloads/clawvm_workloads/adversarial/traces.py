"""Scenarios that are traces: too few free tokens, too many pages and pins, boundaries in a row.

Starvation, churn and cascade reset are the paper's adversarial tests; sizes, turns and the other scenarios are ours.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from types import MappingProxyType
from typing import Any

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import Policy, WritebackMode
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.text.pointers import pointer
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, PinClass, RejectCode
from clawvm_workloads.adversarial.scenario import (
    BUDGET,
    GUIDE,
    PLAN,
    TASTE,
    Check,
    Control,
    Scenario,
    ScenarioRun,
    durability,
    no_fault,
    note,
    removal,
    within_budget,
)
from clawvm_workloads.families import EVIDENCE, open_story, plan_page, preference_page, rule_page, user
from clawvm_workloads.reference_model import Levels, WitnessTurn, witness

__all__ = [
    "INJECTED_FAULTS",
    "LINE_TOKENS",
    "NOT_IN_PROMPTS",
    "NOT_IN_TRACE",
    "SHORT_TOKENS",
    "TRACES",
    "UNDERSTATED",
    "flood_trace",
    "from_trace",
    "measure",
    "pointer_flood",
]


def from_trace(build: Callable[[], Trace], rejections: tuple[str, ...] | None = None) -> Callable[..., ScenarioRun]:
    """Return how a scenario that is a trace runs; its variants are ``INJECTED_FAULTS``.

    *rejections* are the reject codes that its updates must get, in journal order; None where it stages no update.
    """
    return partial(_run_trace, build, rejections)


@cache
def _trace_and_witness(build: Callable[[], Trace]) -> tuple[Trace, tuple[WitnessTurn, ...]]:
    trace = build()
    return trace, witness(trace).turns


def _run_trace(
    build: Callable[[], Trace],
    rejections: tuple[str, ...] | None,
    policy: Policy,
    selector: Selector,
    variant: str,
) -> ScenarioRun:
    trace, turns = _trace_and_witness(build)
    decisions = DecisionTrace()
    observed: list[AssembledPrompt] = []
    replay_trace(trace, policy, decisions=decisions, selector=selector, observe=observed.append)
    events, prompts = _with_fault(variant, decisions.events, observed)
    # What is proposed depends on the policy: an update that was lost may be proposed again.
    proposed = dict(enumerate(witness(trace, policy=policy).updates, start=1))
    run = ScenarioRun.of(events, proposed)
    checks = (
        no_fault(run),
        within_budget(prompts, trace.header.budget),
        _pressure(events, prompts, turns),
        _held("floors_hold", prompts, [turn.floors_due for turn in turns]),
        _held("demands_met", prompts, [turn.demands_due for turn in turns]),
        *durability(run, rejections),
    )
    return dataclasses.replace(run, checks=checks)


def _pressure(events: Sequence[Event], prompts: Sequence[AssembledPrompt], turns: Sequence[WitnessTurn]) -> Check:
    """Return whether decision trace and prompts both report what the trace implies."""
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    in_prompts = {prompt.turn: prompt.missing_tokens for prompt in prompts if prompt.missing_tokens}
    implied = {turn.number: turn.missing_tokens for turn in turns if turn.missing_tokens}
    return Check(
        "pressure_exact",
        reported == in_prompts == implied,
        f"reported {len(reported)} turns, {sum(reported.values())} tokens; "
        f"implied {len(implied)} turns, {sum(implied.values())} tokens",
    )


def _held(name: str, prompts: Sequence[AssembledPrompt], due: Sequence[Levels]) -> Check:
    """Return whether every prompt holds the levels that are due in its turn."""
    missed = total = 0
    for prompt, levels in zip(prompts, due):
        held = {block.page_id: block.level for block in prompt.blocks}
        total += len(levels)
        missed += sum(held.get(page_id, Level.NONE) < level for page_id, level in levels.items())
    return Check(name, missed == 0 and len(prompts) == len(due), f"{total - missed} of {total} held")


def _overfull(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=2 * request.budget))


def _half_empty(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=request.budget // 2))


OVERFULL = Control("a selector that spends twice the budget", ("within_budget",), selector=_overfull)
HALF_EMPTY = Control("a selector that spends half the budget", ("demands_met",), selector=_half_empty)

Falsify = Callable[[int], int]

INJECTED_FAULTS: Mapping[str, tuple[Falsify, Falsify]] = MappingProxyType(
    {
        "pressure reported one token too low": (lambda tokens: max(0, tokens - 1), lambda tokens: max(0, tokens - 1)),
        "pressure reported one token too high": (lambda tokens: tokens + 1, lambda tokens: tokens + 1),
        "pressure left out of the prompts": (lambda tokens: tokens, lambda tokens: 0),
        "pressure left out of the decision trace": (lambda tokens: 0, lambda tokens: tokens),
    }
)
"""Faults injected into the tokens that a run reports as missing: in its decision trace, and in its prompts."""

UNDERSTATED, OVERSTATED, NOT_IN_PROMPTS, NOT_IN_TRACE = (
    Control(change, ("pressure_exact",), variant=change) for change in INJECTED_FAULTS
)


def _with_fault(
    variant: str, events: Sequence[Event], prompts: Sequence[AssembledPrompt]
) -> tuple[list[Event], list[AssembledPrompt]]:
    """Return *events* and *prompts* with a fault of ``INJECTED_FAULTS`` in the pressure that they report.

    Raises ValueError for an unknown variant.
    """
    if not variant:
        return list(events), list(prompts)
    if variant not in INJECTED_FAULTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(INJECTED_FAULTS)}")
    in_trace, in_prompts = INJECTED_FAULTS[variant]
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    claimed = {prompt.turn: in_trace(reported.get(prompt.turn, 0)) for prompt in prompts}
    pressure = [{"event": "pressure", "turn": turn, "missing": tokens} for turn, tokens in claimed.items() if tokens]
    return (
        [*(event for event in events if event["event"] != "pressure"), *pressure],
        [dataclasses.replace(prompt, missing_tokens=in_prompts(prompt.missing_tokens)) for prompt in prompts],
    )


# --- The scenarios.

LONG_GUIDE = LevelCosts(3, 28, 34, 46)
RULE = LevelCosts(2, 16, 20, 28)
SHORT_RULE = LevelCosts(2, 6, 8, 12)
FILE = LevelCosts(2, 8, 18, 40)

TRACES: list[Scenario] = []


def _scenario(
    title: str, story: str, *controls: Control, rejections: tuple[str, ...] | None = None
) -> Callable[[Callable[[], Trace]], Callable[[], Trace]]:
    """Register a trace as the scenario that is named like its builder; *rejections* is None where it stages nothing."""

    def register(build: Callable[[], Trace]) -> Callable[[], Trace]:
        TRACES.append(Scenario(build.__name__, title, story, from_trace(build, rejections), controls))
        return build

    return register


def _open(name: str, accounting: Accounting, *guides: LevelCosts) -> TraceBuilder:
    return open_story(f"adversarial_{name}", BUDGET, "", accounting, *guides, page_id="guide")


def _read(story: TraceBuilder, number: int, costs: LevelCosts = FILE, **more: Any) -> Call:
    return story.tool("read", {"path": f"file_{number}"}, f"file-{number}", costs, **EVIDENCE, **more)


_NO_PIN = removal("auto_pin", "no_controllable_fault", "floors_hold")
_LOSES = ("no_controllable_fault", "nothing_lost")
_NOT_AT_COMPACTION = removal("writeback_at_compaction", *_LOSES)


@_scenario(
    "Starvation",
    "Six rules and the instructions exceed the budget for six turns, a compaction among them; then the rules are "
    "shortened and everything fits again.",
    *(_NO_PIN, OVERFULL, HALF_EMPTY, UNDERSTATED, NOT_IN_PROMPTS, NOT_IN_TRACE),
)
def starvation() -> Trace:
    """Three rules fit, six do not: 56 tokens of instructions and 96 of rules under 120."""
    story = _open("starvation", Accounting(300, 240, 40), LONG_GUIDE, LONG_GUIDE)
    for number in (1, 2, 3):
        rule_page(story, f"rule-{number}", RULE)
    first = _read(story, 1)
    story.turn(60)
    story.turn(60, demands=[("rule-1", Level.STRUCTURED)])
    for number in (4, 5, 6):
        rule_page(story, f"rule-{number}", RULE)
    for turn in range(6):  # A compaction falls among them.
        calls = [first if turn % 2 else _read(story, 2 + turn)]
        story.turn(60, calls=calls, demands=[(f"rule-{turn + 1}", Level.STRUCTURED)])
    for number in range(1, 7):
        story.replace(f"rule-{number}", PageType.CONSTRAINT, SHORT_RULE, base_utility=7.0)
    for turn in range(4):
        story.turn(20, demands=[(f"rule-{turn + 1}", Level.STRUCTURED), ("file-1", Level.STRUCTURED)])
    return story.trace()


@_scenario(
    "Churn",
    "Twenty-four results, eight times the budget together, are asked for in rotation, three rounds long, by call and "
    "by reference, through several compactions.",
    *(removal("pointer_resolution", "no_controllable_fault"), _NO_PIN, OVERFULL, HALF_EMPTY, OVERSTATED),
)
def churn() -> Trace:
    story = _open("churn", Accounting(900, 720, 80), GUIDE)
    rule_page(story, "rule-1", RULE)
    reads = [_read(story, number) for number in range(1, 25)]
    for step in range(3 * len(reads)):
        position = step % len(reads)
        by_call = step < len(reads) or step % 2 == 0
        calls = [reads[position]] if by_call else []
        story.turn(40, calls=calls, demands=[] if by_call else [(f"file-{position + 1}", Level.FULL)])
    return story.trace()


@_scenario(
    "Cascade reset",
    "Four resets and a compaction within three turns, each with updates staged just before; then all that was known is "
    "asked for.",
    *(removal("writeback_at_reset", *_LOSES), _NOT_AT_COMPACTION, OVERSTATED),
    rejections=(),
)
def cascade_reset() -> Trace:
    story = _open("cascade_reset", Accounting(200, 160, 20), GUIDE)
    plan_page(story, PLAN)
    preference_page(story, "taste", TASTE)
    early = _read(story, 1)
    story.turn(60, calls=[early], updates=[note(value=["in session 1"]), _taste("tone", "dry")])
    story.reset("session-2")
    late = _read(story, 2)
    learned = note(value=["learned"], evidence_ref="file-2")
    story.turn(60, calls=[late], updates=[note(value=["in session 2"]), learned])
    story.reset("session-3")
    story.reset("session-4")
    # The turn's own compaction follows the reset: a third boundary without a prompt for what it stages.
    story.turn(210, updates=[note(value=["in session 4"]), _taste("length", "short")])
    story.reset("session-5")
    story.turn(30, calls=[early], demands=[("plan", Level.FULL)])
    story.turn(30, calls=[late], demands=[("taste", Level.FULL)])
    return story.trace()


def _taste(name: str, value: str) -> Update:
    return note(page_id="taste", field="style", operation="merge", value={name: value}, scope="project")


@_scenario(
    "Threshold jump",
    "Twice one turn jumps past soft threshold and compaction limit, with updates staged in that turn.",
    Control(
        "writeback at the soft threshold instead of the boundary",
        _LOSES,
        {"writeback_at_compaction": WritebackMode.SOFT_THRESHOLD},
    ),
    *(_NOT_AT_COMPACTION, OVERSTATED),
    rejections=(),
)
def threshold_jump() -> Trace:
    story = _open("threshold_jump", Accounting(200, 150, 20), GUIDE)
    plan_page(story, PLAN, source=Provenance("file", "PLAN.md"))
    rule_page(story, "rule-1", RULE)
    for turn in (1, 2):
        story.turn(50, demands=[("plan", Level.STRUCTURED)], updates=[note(value=[f"before jump {turn}"])])
        long_result = _read(story, turn)
        updates = [
            note(value=[f"in jump {turn}"], evidence_ref=f"file-{turn}"),
            note(page_id="rule-1", field="reason", operation="merge", value={f"jump-{turn}": "kept"}),
        ]
        story.turn(260, calls=[long_result], updates=updates)
        story.turn(30, calls=[long_result], demands=[("plan", Level.FULL)])
    return story.trace()


# --- Pin flood: everything is hard-pinned, once so that it just fits, once so that it does not.

PINNED: dict[str, Any] = {"pin": PinClass.HARD, "minimum": Level.STRUCTURED}


def _everything_pinned(name: str, results: int) -> tuple[TraceBuilder, list[Call]]:
    """Pin a rule, the plan and *results* tool results, these at `structured`; return their calls."""
    story = _open(name, Accounting(200, 160, 20), GUIDE)
    rule_page(story, "rule-1", SHORT_RULE)
    plan_page(story, PLAN, pin=PinClass.HARD)
    return story, [_read(story, number, LevelCosts(2, 7, 14, 35), **PINNED) for number in range(1, results + 1)]


@_scenario(
    "Pin flood that fits",
    "Instructions, rule, plan and eight results are hard-pinned; with the demand of each turn they fill the budget to "
    "the last token, also in the turn of a compaction.",
    *(_NO_PIN, OVERFULL, HALF_EMPTY, OVERSTATED),
)
def pin_flood_fits() -> Trace:
    """Floors of 92 tokens with eight results, and a demand of 28 more: 120 of 120."""
    story, reads = _everything_pinned("pin_flood_fits", 8)
    for turn in range(20):
        story.turn(25, calls=[reads[turn % 8]], demands=[("rule-1", Level.STRUCTURED)])
    return story.trace()


@_scenario(
    "Pin flood that does not fit",
    "Fourteen hard-pinned results do not fit; updates try to release three of the pins before a compaction; shorter "
    "results end the pressure.",
    *(_NO_PIN, removal("validated_writeback", "pressure_exact", "rejections_exact"), UNDERSTATED),
    rejections=(RejectCode.POLICY_VIOLATION.value,) * 3,
)
def pin_flood_overflow() -> Trace:
    """Fourteen results need 134 tokens of 120."""
    story, reads = _everything_pinned("pin_flood_overflow", 14)
    for call in reads:
        story.turn(10, calls=[call])
    for number in (1, 2, 3):
        release = Update(f"file-{number}", "pin", "set_with_version", PinClass.NONE.value, "session", "rule-1")
        story.turn(30, updates=[release])
    story.turn(40, demands=[("file-9", Level.STRUCTURED)])
    for number in range(1, 15):
        story.replace(f"file-{number}", PageType.EVIDENCE, LevelCosts(2, 4, 9, 22), **PINNED, **EVIDENCE)
    for turn in range(4):
        story.turn(30, demands=[(f"file-{turn + 1}", Level.FULL)])
    return story.trace()


# --- Pointer flood: far more pages than a prompt can name, whose pointers compete for the budget.

FULL_TOKENS = 400

SHORT_TOKENS = 5
"""A pointer of bare handle and type: others measured 4.7 to 6 tokens, 59 to 75 % of 8,000 tokens at 1,000 pages."""

LINE_TOKENS = estimate_tokens(
    pointer(
        "def load_settings(path):\n    return parse(path.read_text())\n\n\nclass SettingsError(Exception):\n    pass\n",
        page_id="result-500",
        page_type=PageType.EVIDENCE,
        provenance=Provenance("tool_call", 'read({"path":"src/module_500.py"})'),
        tokens=FULL_TOKENS,
    )
)
"""The cost of a pointer line of this runtime."""

TURNS = 24
WORKING_SET = 12


def flood_trace(pages: int, pointer_tokens: int, budget: int) -> Trace:
    """Return a session with *pages* results, each with a pointer of *pointer_tokens*.

    Every turn needs two results of a working set of twelve in full, and one from anywhere compressed.
    """
    story = TraceBuilder("adversarial_pointer_flood", budget, "", None)
    guide = Provenance("file", "AGENTS.md")
    story.page("guide", PageType.BOOTSTRAP_POLICY, LevelCosts(20, 120, 180, 300), provenance=guide, base_utility=9.0)
    for number in (1, 2, 3):
        costs = LevelCosts(8, 30, 40, 60)
        story.page(f"rule-{number}", PageType.CONSTRAINT, costs, provenance=user(number), base_utility=7.0)
    plan_page(story, LevelCosts(8, 60, 90, 160))
    costs = LevelCosts(pointer_tokens, 60, 150, FULL_TOKENS)
    for number in range(pages):
        source = Provenance("tool_call", f'read({{"path":"src/module_{number}.py"}})')
        story.page(f"result-{number}", PageType.EVIDENCE, costs, provenance=source, **EVIDENCE)
    for turn in range(TURNS):
        demands = [(f"result-{7 * ((2 * turn + offset) % WORKING_SET)}", Level.FULL) for offset in (0, 1)]
        demands.append((f"result-{(37 * turn + 5) % pages}", Level.COMPRESSED))
        story.turn(0, demands=demands)
    return story.trace()


def _pointers_first(request: SelectionRequest) -> Selection:
    """Select as if every pointer had taken its tokens before floors and demands."""
    pointers = sum(page.costs[Level.POINTER] for page in request.pages if Level.POINTER in page.costs)
    return select(dataclasses.replace(request, budget=max(1, request.budget - pointers)))


def pointer_flood(pages: int, budget: int) -> Scenario:
    """Return the scenario for *pages* results and a budget in tokens, with pointer lines as long as our own."""
    first = ("no_controllable_fault", "floors_hold", "demands_met")
    return Scenario(
        id="pointer_flood",
        title="Pointer flood",
        story=f"{pages:,} results with a pointer line of {LINE_TOKENS} tokens each under {budget:,} tokens: all "
        f"pointers together would take {pages * LINE_TOKENS / budget:.1f} budgets. Floors and demands come first.",
        run=from_trace(partial(flood_trace, pages, LINE_TOKENS, budget)),
        controls=(
            Control("a selector that gives pointers their tokens first", first, selector=_pointers_first),
            removal("pointer_resolution", "no_controllable_fault"),
            removal("auto_pin", "floors_hold"),
            OVERSTATED,
        ),
        budget=budget,
    )


def measure(policy: Policy, pages: int, pointer_tokens: int, budget: int) -> dict[str, Any]:
    """Return the measures of a flood under *policy*: shares of the budget and of the demands, tokens paged in."""
    prompts: list[AssembledPrompt] = []
    metrics = replay_trace(flood_trace(pages, pointer_tokens, budget), policy, observe=prompts.append)
    warm = metrics.accesses - metrics.cold_accesses
    return {
        "policy": policy.id,
        "pages": pages,
        "pointer_tokens": pointer_tokens,
        "budget": budget,
        "explicit_faults": metrics.explicit_faults,
        "pressure_turns": metrics.pressure_turns,
        "pointer_share": _pointer_share(prompts, budget),
        "named_share": _named_share(prompts, pages),
        "unmet_demands": metrics.unmet_demands,
        "warm_accesses": warm,
        "resident_share": round((metrics.hits - metrics.page_ins) / warm, 6),
        "page_in_tokens": metrics.page_in_tokens,
    }


def _pointer_share(prompts: Sequence[AssembledPrompt], budget: int) -> float:
    """Return the mean share of the budget that pages at `pointer` take."""
    tokens = sum(block.tokens for prompt in prompts for block in prompt.blocks if block.level is Level.POINTER)
    return round(tokens / (budget * len(prompts)), 6)


def _named_share(prompts: Sequence[AssembledPrompt], pages: int) -> float:
    """Return the mean share of the results that a prompt holds at any level."""
    shares = [sum(block.page_id.startswith("result-") for block in prompt.blocks) / pages for prompt in prompts]
    return round(math.fsum(shares) / len(shares), 6)
