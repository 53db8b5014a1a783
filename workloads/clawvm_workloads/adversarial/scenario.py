"""What an adversarial scenario is: a hostile life of an agent, what must hold in it, and how that can be made to fail.

===============  ==================================================================================
CHECKS           every must-hold check by name, in words
Check            one check: whether it held, and what was seen
Run              what a scenario showed under one policy
Scenario         a hostile life and its controls
told             how a scenario that is told as a trace runs, through the replay
===============  ==================================================================================

A check that no control can break proves nothing, so every kind of check is broken by a control of some scenario. The
experiment counts which checks are broken by a control of their own scenario, and which are not.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Replacement, ToolDeclaration, Trace
from clawvm_runtime.canonical import tool_signature
from clawvm_runtime.decision_trace import DecisionTrace, Event
from clawvm_runtime.engine import AssembledPrompt, Engine, ToolAnswer, ToolCall, ToolResult
from clawvm_runtime.journal import Journal, MemoryJournalStorage
from clawvm_runtime.pages import Page, Provenance
from clawvm_runtime.policy import FEATURES, Policy
from clawvm_runtime.selector import Selection, SelectionRequest, Selector, select
from clawvm_runtime.updates import Update
from clawvm_runtime.vocabulary import Level, PageType, PinClass, ToolOutcome

__all__ = [
    "BUDGET",
    "CHECKS",
    "DURABILITY",
    "EVIDENCE",
    "GUIDE",
    "HALF_EMPTY",
    "MISREPORTS",
    "NOT_IN_PROMPTS",
    "NOT_IN_TRACE",
    "OVERFULL",
    "OVERSTATED",
    "PLAN",
    "RESIDENCY",
    "SHORT_RULE",
    "UNDERSTATED",
    "Check",
    "Control",
    "Harness",
    "Run",
    "Scenario",
    "needs",
    "note",
    "open_story",
    "page",
    "played",
    "read",
    "removal",
    "result",
    "told",
    "user",
    "values_check",
]


# --- Controls: what is taken away from ClawVM so that a check must break.


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that is taken away from ClawVM, and the checks that must break without it.

    ``removal`` are fields of the policy row, ``selector`` takes the place of the engine's, and ``variant`` is for a
    scenario that can leave something out, or report something falsely, by itself.
    """

    change: str
    breaks: tuple[str, ...]
    removal: Mapping[str, Any] = field(default_factory=dict)
    selector: Selector = select
    variant: str = ""


def removal(feature_id: str, *breaks: str) -> Control:
    """Return the control that removes one feature of ClawVM."""
    feature = FEATURES[feature_id]
    return Control(f"without {feature.name}", breaks, {feature.field: feature.removed})


def _overfull(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=2 * request.budget))


def _half_empty(request: SelectionRequest) -> Selection:
    return select(dataclasses.replace(request, budget=request.budget // 2))


OVERFULL = Control("a selector that spends twice the budget", ("within_budget",), selector=_overfull)
HALF_EMPTY = Control("a selector that spends half the budget", ("demands_met",), selector=_half_empty)


# --- False reports: what a run reported about pressure, falsified, so that the check of these reports can fail.

Falsify = Callable[[int], int]


def _true(tokens: int) -> int:
    return tokens


def _less(tokens: int) -> int:
    return max(0, tokens - 1)


def _more(tokens: int) -> int:
    return tokens + 1


def _nothing(tokens: int) -> int:
    return 0


MISREPORTS: Mapping[str, tuple[Falsify, Falsify]] = MappingProxyType(
    {
        "": (_true, _true),
        "understated_pressure": (_less, _less),
        "overstated_pressure": (_more, _more),
        "pressure_not_in_prompts": (_true, _nothing),
        "pressure_not_in_trace": (_nothing, _true),
    }
)


def misreported(
    variant: str, events: Sequence[Event], prompts: Sequence[AssembledPrompt]
) -> tuple[list[Event], list[AssembledPrompt]]:
    """Return *events* and *prompts* with the pressure that they report falsified; "" leaves it as it is.

    Raises ValueError for a variant that is not in ``MISREPORTS``.
    """
    if variant not in MISREPORTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(filter(None, MISREPORTS))}")
    in_trace, in_prompts = MISREPORTS[variant]
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    claimed = {prompt.turn: in_trace(reported.get(prompt.turn, 0)) for prompt in prompts}
    pressure = [{"event": "pressure", "turn": turn, "missing": tokens} for turn, tokens in claimed.items() if tokens]
    return (
        [*(event for event in events if event["event"] != "pressure"), *pressure],
        [dataclasses.replace(prompt, missing_tokens=in_prompts(prompt.missing_tokens)) for prompt in prompts],
    )


def _control(change: str, variant: str) -> Control:
    return Control(change, ("pressure_exact",), variant=variant)


UNDERSTATED = _control("pressure reported one token too low", "understated_pressure")
OVERSTATED = _control("pressure reported one token too high", "overstated_pressure")
NOT_IN_PROMPTS = _control("pressure left out of the prompts", "pressure_not_in_prompts")
NOT_IN_TRACE = _control("pressure left out of the decision trace", "pressure_not_in_trace")


# --- What every turn of a trace needs, told from the trace alone: a second opinion on pressure, floors and demands.


@dataclass(frozen=True, slots=True)
class Floor:
    """The level below which a hard page must not fall, and what that level costs in tokens."""

    level: Level
    tokens: int
    bootstrap: bool


@dataclass(frozen=True, slots=True)
class TurnNeed:
    """The floors and demands of one turn by page id; ``tokens`` is the minimum set: both together, each page once."""

    turn: int
    floors: Mapping[str, Floor]
    demands: Mapping[str, Level]
    tokens: int

    def missing(self, budget: int) -> int:
        """Return by how many tokens the minimum set exceeds *budget*."""
        return max(0, self.tokens - budget)

    def floors_due(self, budget: int) -> dict[str, Level]:
        """Return the floors that must hold under *budget* tokens.

        All of them if they fit together, whatever is demanded; otherwise those of the bootstrap pages if these fit.
        """
        for chosen in (
            self.floors,
            {page_id: floor for page_id, floor in self.floors.items() if floor.bootstrap},
        ):
            if sum(floor.tokens for floor in chosen.values()) <= budget:
                return {page_id: floor.level for page_id, floor in chosen.items()}
        return {}

    def demands_due(self, budget: int) -> dict[str, Level]:
        """Return the demands that must be met under *budget* tokens: all of them if the minimum set fits."""
        return dict(self.demands) if self.tokens <= budget else {}


def needs(trace: Trace) -> list[TurnNeed]:
    """Return what every turn needs, O(turns x pages)."""
    pages: dict[str, Page] = {}
    tools: dict[str, ToolDeclaration] = {}
    results: dict[str, str] = {}
    found = []
    for turn in trace.turns:
        for item in turn.events_before:
            if isinstance(item, Page):
                pages[item.id] = item
            elif isinstance(item, Replacement):
                pages[item.page.id] = item.page
            elif isinstance(item, ToolDeclaration):
                tools[item.signature] = item
        demands: dict[str, Level] = {}
        asked = [(page_id, call.level) for call in turn.calls for page_id in _result(call, pages, tools, results)]
        for page_id, level in (*asked, *turn.demands):
            page = pages[page_id]
            demands[page_id] = max(_supported(page, max(level, page.minimum)), demands.get(page_id, Level.NONE))
        found.append(_need(turn.number, pages, demands))
    return found


def _result(
    call: Call, pages: dict[str, Page], tools: dict[str, ToolDeclaration], results: dict[str, str]
) -> list[str]:
    """Return the page that a call gives, if any; only a first call or a tool that is not deterministic changes it."""
    tool = tools[call.signature]
    if tool.page is None:
        return []
    if not tool.deterministic or call.signature not in results:
        pages[tool.page.id] = tool.page
        results[call.signature] = tool.page.id
    return [results[call.signature]]


def _need(turn: int, pages: Mapping[str, Page], demands: Mapping[str, Level]) -> TurnNeed:
    floors = {}
    tokens = 0
    for page_id, page in pages.items():
        if page.pin is PinClass.HARD:
            level = _supported(page, page.minimum)
            floors[page_id] = Floor(level, page.costs[level], page.type is PageType.BOOTSTRAP_POLICY)
        if page_id in demands:
            tokens += page.costs[demands[page_id]]
        elif page_id in floors:
            tokens += floors[page_id].tokens
    return TurnNeed(turn, floors, demands, tokens)


def _supported(page: Page, wanted: Level) -> Level:
    return min(level for level in page.costs if level >= wanted)


# --- What an adversarial scenario is: a hostile life of an agent, what must hold in it, and how that can be made to fail.

CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "no_controllable_fault": "no policy-controllable fault",
        "within_budget": "every prompt within its budget, its blocks adding up",
        "pressure_exact": "pressure reported in exactly the turns, and with exactly the tokens, that the trace implies",
        "floors_hold": "every floor in every prompt where the floors fit; the instructions' where only those fit",
        "demands_met": "every demand in every prompt where the minimum set fits",
        "nothing_lost": "no staged update lost",
        "nothing_overwritten": "no committed value replaced unseen",
        "rejections_exact": "exactly the bad updates rejected, each with its code",
        "values_exact": "every committed value and version as expected",
        "recovered": "the journal, opened again, has the same values and versions",
        "journal_alone": "the journal without an engine comes to the same values, versions and codes",
        "runs_exact": "every tool run as often as needed, and no more",
        "answers_exact": "every answer has the content of the call's own latest result",
        "refusal_clean": "a refused result leaves the page, the signatures and the books as they were",
    }
)

RESIDENCY = ("no_controllable_fault", "within_budget", "pressure_exact", "floors_hold", "demands_met")
"""The checks of every scenario that is told as a trace."""

DURABILITY = ("nothing_lost", "nothing_overwritten", "rejections_exact")
"""The checks of every scenario that stages updates."""


@dataclass(frozen=True, slots=True)
class Check:
    """One must-hold check: whether it held, and what was seen, in words."""

    name: str
    holds: bool
    observed: str = ""

    def __post_init__(self) -> None:
        if self.name not in CHECKS:
            raise ValueError(f"unknown check {self.name!r}; known: {', '.join(CHECKS)}")


@dataclass(frozen=True, slots=True)
class Run:
    """What a scenario showed under one policy.

    ``faults`` are policy-controllable, ``pressure_faults`` are not; both by kind, kinds without a fault left out.
    """

    checks: tuple[Check, ...]
    faults: Mapping[str, int]
    pressure_faults: Mapping[str, int]
    pressure_turns: int
    pressure_tokens: int
    alerts: int
    page_ins: int
    committed: int
    rejected: tuple[str, ...]
    lost: int
    overwritten: int

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the checks that did not hold."""
        return tuple(check.name for check in self.checks if not check.holds)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A hostile life of an agent under ``budget`` tokens, and the controls that must break its checks.

    ``run`` plays it under a policy, with a selector, in a variant; "" is the real one.
    """

    id: str
    title: str
    story: str
    budget: int
    run: Callable[[Policy, Selector, str], Run]
    controls: tuple[Control, ...]


def counted(events: Sequence[Event]) -> dict[str, Any]:
    """Return the counts of a ``Run`` that stand in a decision trace."""
    faults: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for event in events:
        if event["event"] == "fault":
            faults[event["controllable"]][event["fault"]] += 1
    return {
        "faults": dict(sorted(faults[True].items())),
        "pressure_faults": dict(sorted(faults[False].items())),
        "pressure_turns": sum(event["event"] == "pressure" for event in events),
        "pressure_tokens": sum(event["missing"] for event in events if event["event"] == "pressure"),
        "alerts": sum(event["event"] == "alert" for event in events),
        "page_ins": sum(event["event"] == "demand" and event["verdict"] == "page_in" for event in events),
        "committed": sum(len(event["entries"]) for event in events if event["event"] == "commit"),
        "rejected": tuple(event["code"] for event in events if event["event"] == "reject"),
        "lost": sum(len(event["entries"]) for event in events if event["event"] == "lost"),
        "overwritten": sum(len(event["overwrote"]) for event in events if event["event"] == "commit"),
    }


def told(build: Callable[[], Trace], checks: Sequence[str], rejections: tuple[str, ...] = ()) -> Callable[..., Run]:
    """Return how a scenario that is told as a trace runs: replayed, and judged by what the trace alone implies.

    *rejections* are the reject codes that its updates must get, in journal order. Its variants are ``MISREPORTS``.
    """
    return partial(_scenario_run, build, checks, rejections)


def _scenario_run(
    build: Callable[[], Trace],
    checks: Sequence[str],
    rejections: tuple[str, ...],
    policy: Policy,
    selector: Selector,
    variant: str,
) -> Run:
    trace = build()
    decisions = DecisionTrace()
    observed: list[AssembledPrompt] = []
    replay_trace(trace, policy, decisions=decisions, selector=selector, observe=observed.append)
    events, prompts = misreported(variant, decisions.events, observed)
    counts = counted(events)
    budget = trace.header.budget
    turns = needs(trace)
    judged = [
        _no_fault(counts),
        within_budget(prompts, budget),
        _pressure(events, prompts, turns, budget),
        _held("floors_hold", prompts, [need.floors_due(budget) for need in turns]),
        _held("demands_met", prompts, [need.demands_due(budget) for need in turns]),
        Check("nothing_lost", counts["lost"] == 0, f"{counts['lost']} lost"),
        Check("nothing_overwritten", counts["overwritten"] == 0, f"{counts['overwritten']} overwritten"),
        Check("rejections_exact", counts["rejected"] == rejections, tallied(counts["rejected"])),
    ]
    return Run(tuple(check for check in judged if check.name in checks), **counts)


def tallied(codes: Sequence[str]) -> str:
    """Return how often each reject code stands among *codes*, in words."""
    return ", ".join(f"{count} {code}" for code, count in sorted(Counter(codes).items())) or "none"


def _no_fault(counts: Mapping[str, Any]) -> Check:
    faults = counts["faults"]
    return Check("no_controllable_fault", not faults, f"{sum(faults.values())} faults")


def within_budget(prompts: Sequence[AssembledPrompt], budget: int) -> Check:
    """Return whether the blocks of every prompt add up to its tokens, and these stay within its budget."""
    over = sum(
        not (sum(block.tokens for block in prompt.blocks) == prompt.tokens <= prompt.budget <= budget)
        for prompt in prompts
    )
    return Check("within_budget", over == 0, f"{over} of {len(prompts)} prompts over")


def _pressure(
    events: Sequence[Event], prompts: Sequence[AssembledPrompt], turns: Sequence[TurnNeed], budget: int
) -> Check:
    """Return whether decision trace and prompts both report what the trace implies."""
    reported = {event["turn"]: event["missing"] for event in events if event["event"] == "pressure"}
    in_prompts = {prompt.turn: prompt.missing_tokens for prompt in prompts if prompt.missing_tokens}
    implied = {need.turn: need.missing(budget) for need in turns if need.missing(budget)}
    return Check(
        "pressure_exact",
        reported == in_prompts == implied,
        f"reported {len(reported)} turns, {sum(reported.values())} tokens; "
        f"implied {len(implied)} turns, {sum(implied.values())} tokens",
    )


def _held(name: str, prompts: Sequence[AssembledPrompt], due: Sequence[Mapping[str, Level]]) -> Check:
    """Return whether every prompt holds what is due in its turn."""
    missed = total = 0
    for prompt, levels in zip(prompts, due):
        held = {block.page_id: block.level for block in prompt.blocks}
        total += len(levels)
        missed += sum(held.get(page_id, Level.NONE) < level for page_id, level in levels.items())
    return Check(name, missed == 0 and len(prompts) == len(due), f"{total - missed} of {total} held")


# --- Scenarios that speak to the engine itself, for what a trace cannot say: contents, values, reopened journals.

Values = Mapping[tuple[str, str], tuple[int, Any]]
"""Version and value by page and field."""


class Harness:
    """Drives one engine as a harness would, and counts how often each tool ran."""

    def __init__(self, policy: Policy, budget: int, selector: Selector, variant: str) -> None:
        self.variant = variant
        self.decisions = DecisionTrace()
        self.storage = MemoryJournalStorage()
        self.engine = Engine(policy, budget, journal=Journal(self.storage), trace=self.decisions, selector=selector)
        self.prompts: list[AssembledPrompt] = []
        self.runs: Counter[str] = Counter()

    def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        gives: Page,
        *,
        deterministic: bool = True,
        signature: str = "",
    ) -> ToolAnswer:
        """Make a tool call; the tool, if it runs, gives the page *gives*."""

        def execute(call: ToolCall) -> ToolResult:
            self.runs[tool] += 1
            return ToolResult(ToolOutcome.OK, gives)

        call = ToolCall(tool, arguments, Level.FULL, deterministic, signature)
        return self.engine.tool_execute(call, execute)

    def stage(self, *updates: Update) -> None:
        """Stage updates, as a model's reply does."""
        self.engine.post_model(updates=updates)

    def demand(self, *page_ids: str) -> None:
        """Ask for pages in full."""
        self.engine.post_model(demands=[(page_id, Level.FULL) for page_id in page_ids])

    def prompt(self) -> AssembledPrompt:
        """Assemble the next prompt, which ends the turn."""
        self.prompts.append(self.engine.prompt_assemble())
        return self.prompts[-1]

    def in_prompt(self, page_id: str) -> str:
        """Return the text of a page in the last prompt, "" if it is not in there."""
        return next((block.text for block in self.prompts[-1].blocks if block.page_id == page_id), "")


Script = Callable[[Harness], Sequence[Check]]


def played(script: Script, budget: int, rejections: tuple[str, ...] | None = None) -> Callable[..., Run]:
    """Return how a scenario that is told as a script runs; *rejections* is None where it stages no update."""
    return partial(_run, script, budget, rejections)


def _run(
    script: Script, budget: int, rejections: tuple[str, ...] | None, policy: Policy, selector: Selector, variant: str
) -> Run:
    harness = Harness(policy, budget, selector, variant)
    special = script(harness)
    harness.engine._check()
    counts = counted(harness.decisions.events)
    faults = sum(counts["faults"].values())
    checks = [
        Check("no_controllable_fault", faults == 0, f"{faults} faults"),
        within_budget(harness.prompts, budget),
    ]
    if rejections is not None:
        checks += [
            Check("nothing_lost", counts["lost"] == 0, f"{counts['lost']} lost"),
            Check("nothing_overwritten", counts["overwritten"] == 0, f"{counts['overwritten']} overwritten"),
            Check("rejections_exact", counts["rejected"] == rejections, tallied(counts["rejected"])),
        ]
    return Run((*checks, *special), **counts)


def page(page_id: str, page_type: PageType, ladder: LevelCosts, source: Provenance, **more: Any) -> Page:
    """Return a page with the costs of *ladder*."""
    return Page(id=page_id, type=page_type, costs=ladder.costs(page_type), provenance=source, **more)


def result(page_id: str, content: str, tokens: int = 40) -> Page:
    """Return a tool result with a text, in full and as a pointer."""
    return Page(
        id=page_id,
        type=PageType.EVIDENCE,
        costs={Level.POINTER: 3, Level.FULL: tokens},
        texts={Level.POINTER: f"[{page_id}]", Level.FULL: content},
        provenance=Provenance("tool_call", tool_signature("read", {"path": page_id})),
        base_utility=5.0,
        recompute_cost=8.0,
    )


def values_check(journal: Journal, expected: Values, name: str = "values_exact") -> Check:
    """Return whether *journal* has committed exactly the expected values and versions."""
    committed = [journal.committed(*key) for key in expected]
    wrong = [
        f"{key[0]}.{key[1]} is version {found.version}: {found.value!r}"
        for (key, wanted), found in zip(expected.items(), committed)
        if (found.version, found.value) != wanted
    ]
    return Check(name, not wrong, wrong[0][:160] if wrong else f"{len(expected)} fields as expected")


# --- What the scenarios share in the telling: a story with its instructions, ladders, good updates.

BUDGET = 120
"""Token budget of most scenarios: the smallest of the sweep."""

GUIDE = LevelCosts(3, 20, 26, 40)
PLAN = LevelCosts(3, 10, 14, 22)
SHORT_RULE = LevelCosts(2, 6, 8, 12)

EVIDENCE: Mapping[str, Any] = MappingProxyType({"base_utility": 5.0, "recompute_cost": 8.0})


def open_story(name: str, accounting: Accounting | None, *guides: LevelCosts) -> TraceBuilder:
    """Return a story with one page of instructions for each ladder."""
    story = TraceBuilder(f"adversarial_{name}", BUDGET, "", accounting)
    for number, ladder in enumerate(guides, start=1):
        source = Provenance("file", f"AGENTS-{number}.md")
        story.page(f"guide-{number}", PageType.BOOTSTRAP_POLICY, ladder, provenance=source, base_utility=9.0)
    return story


def read(story: TraceBuilder, number: int, ladder: LevelCosts, **more: Any) -> Call:
    """Return the call that reads a file; its result is a page."""
    return story.tool("read", {"path": f"file_{number}"}, f"file-{number}", ladder, **EVIDENCE, **more)


def note(**attributes: Any) -> Update:
    """Return a good update of the plan, with some attributes replaced."""
    good: dict[str, Any] = {
        "page_id": "plan",
        "field": "log",
        "operation": "append",
        "value": ["noted"],
        "scope": "session",
        "evidence_ref": "plan",
    }
    good.update(attributes)
    return Update(**good)


def user(turn: int) -> Provenance:
    """Return the provenance of what the user said in a turn."""
    return Provenance("user", f"turn-{turn}")
