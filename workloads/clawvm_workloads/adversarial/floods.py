"""Pointer flood: far more pages than a prompt can name, and what bare pointers leave of the budget.

===============  ==========================================================================
flood_trace      a session that was resumed with *pages* results and works on a few of them
pointer_flood    the scenario: more pointers than fit, floors and demands must not give way
measure          pointer share and how demands are served, for one policy and size
LINE_TOKENS      what one of our own pointer lines costs
===============  ==========================================================================

Others measured bare pointers at 59 to 75 % of 8,000 tokens with 1,000 pages: 4.7 to 6 tokens a pointer. A pointer line
made from real text (``clawvm_runtime.pointers``) costs more, so both sizes are tried.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts, TraceBuilder
from clawvm_replay.trace_format import Accounting, Call, Trace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.pages import Provenance
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selection, SelectionRequest, select
from clawvm_runtime.text.pointers import pointer
from clawvm_runtime.text.tokens import estimate_tokens
from clawvm_runtime.vocabulary import Level, PageType, PinClass, RejectCode
from clawvm_workloads.adversarial.scenario import (
    BUDGET,
    DURABILITY,
    EVIDENCE,
    GUIDE,
    HALF_EMPTY,
    OVERFULL,
    OVERSTATED,
    PLAN,
    RESIDENCY,
    SHORT_RULE,
    UNDERSTATED,
    Control,
    Scenario,
    note,
    open_story,
    read,
    removal,
    told,
    user,
)

__all__ = ["LINE_TOKENS", "PIN_FLOODS", "SHORT_TOKENS", "flood_trace", "measure", "pointer_flood"]


# --- Pin flood: everything is hard-pinned, once so that it just fits, once so that it does not.

RESULT = LevelCosts(2, 7, 14, 35)
SHORTER_RESULT = LevelCosts(2, 4, 9, 22)
PINNED: dict[str, Any] = {"pin": PinClass.HARD, "minimum": Level.STRUCTURED}

ACCOUNTING = Accounting(compaction_limit=200, soft_threshold=160, summary_tokens=20)


def _everything_pinned(story: TraceBuilder, results: int) -> list[Call]:
    """Pin a rule, the plan and *results* tool results, these at `structured`; return their calls."""
    story.page("rule-1", PageType.CONSTRAINT, SHORT_RULE, provenance=user(1), base_utility=7.0)
    story.page("plan", PageType.PLAN, PLAN, provenance=user(1), base_utility=8.0, pin=PinClass.HARD)
    return [read(story, number, RESULT, **PINNED) for number in range(1, results + 1)]


def fits() -> Trace:
    """Floors of 92 tokens with eight results, and a demand of 28 more: 120 of 120, in turns of a compaction too."""
    story = open_story("pin_flood_fits", ACCOUNTING, GUIDE)
    reads = _everything_pinned(story, 8)
    for turn in range(20):
        story.turn(25, calls=[reads[turn % 8]], demands=[("rule-1", Level.STRUCTURED)])
    return story.trace()


def overflow() -> Trace:
    """Fourteen results need 134 tokens of 120; updates try to release three pins; shorter results end the pressure."""
    story = open_story("pin_flood_overflow", ACCOUNTING, GUIDE)
    reads = _everything_pinned(story, 14)
    for turn in range(14):
        story.turn(10, calls=[reads[turn]])
    for number in (1, 2, 3):
        release = note(
            page_id=f"file-{number}",
            field="pin",
            operation="set_with_version",
            value=PinClass.NONE.value,
            evidence_ref="rule-1",
        )
        story.turn(30, updates=[release])
    story.turn(40, demands=[("file-9", Level.STRUCTURED)])
    for number in range(1, 15):
        story.replace(f"file-{number}", PageType.EVIDENCE, SHORTER_RESULT, **PINNED, **EVIDENCE)
    for turn in range(4):
        story.turn(30, demands=[(f"file-{turn + 1}", Level.FULL)])
    return story.trace()


_NO_PIN = removal("auto_pin", "no_controllable_fault", "floors_hold")

PIN_FLOODS: tuple[Scenario, ...] = (
    Scenario(
        id="pin_flood_fits",
        title="Pin flood that fits",
        story="Instructions, rule, plan and eight results are hard-pinned; with the demand of each turn they fill the "
        "budget to the last token, also in the turn of a compaction.",
        budget=BUDGET,
        run=told(fits, RESIDENCY),
        controls=(_NO_PIN, OVERFULL, HALF_EMPTY, OVERSTATED),
    ),
    Scenario(
        id="pin_flood_overflow",
        title="Pin flood that does not fit",
        story="Fourteen hard-pinned results do not fit; updates try to release three of the pins before a compaction; "
        "shorter results end the pressure.",
        budget=BUDGET,
        run=told(overflow, (*RESIDENCY, *DURABILITY), (RejectCode.POLICY_VIOLATION.value,) * 3),
        controls=(_NO_PIN, removal("validated_writeback", "pressure_exact", "rejections_exact"), UNDERSTATED),
    ),
)


# --- Pointer flood: far more pages than a prompt can name, and what bare pointers leave of the budget.

FULL_TOKENS = 400

SHORT_TOKENS = 5
"""A pointer of bare handle and type, as the published share implies."""

LINE_TOKENS = estimate_tokens(
    pointer(
        "def load_settings(path):\n    return parse(path.read_text())\n\n\nclass SettingsError(Exception):\n    pass\n",
        page_id="result-500",
        page_type=PageType.EVIDENCE,
        provenance=Provenance("tool_call", 'read({"path":"src/module_500.py"})'),
        tokens=FULL_TOKENS,
    )
)

TURNS = 24
WORKING_SET = 12

POINTER_FLOOD_GUIDE = LevelCosts(20, 120, 180, 300)
RULE = LevelCosts(8, 30, 40, 60)
POINTER_FLOOD_PLAN = LevelCosts(8, 60, 90, 160)


def flood_trace(pages: int, pointer_tokens: int, budget: int) -> Trace:
    """Return a session with *pages* results, each with a pointer of *pointer_tokens*.

    Every turn needs two results of a working set of twelve in full, and one from anywhere compressed.
    """
    story = TraceBuilder("adversarial_pointer_flood", budget, "", None)
    source = Provenance("file", "AGENTS.md")
    story.page("guide", PageType.BOOTSTRAP_POLICY, POINTER_FLOOD_GUIDE, provenance=source, base_utility=9.0)
    for number in (1, 2, 3):
        source = Provenance("user", f"turn-{number}")
        story.page(f"rule-{number}", PageType.CONSTRAINT, RULE, provenance=source, base_utility=7.0)
    story.page("plan", PageType.PLAN, POINTER_FLOOD_PLAN, provenance=Provenance("user", "turn-1"), base_utility=8.0)
    ladder = LevelCosts(pointer_tokens, 60, 150, FULL_TOKENS)
    for number in range(pages):
        source = Provenance("tool_call", f'read({{"path":"src/module_{number}.py"}})')
        story.page(f"result-{number}", PageType.EVIDENCE, ladder, provenance=source, **EVIDENCE)
    for turn in range(TURNS):
        demands = [(f"result-{7 * ((2 * turn + offset) % WORKING_SET)}", Level.FULL) for offset in (0, 1)]
        demands.append((f"result-{(37 * turn + 5) % pages}", Level.COMPRESSED))
        story.turn(0, demands=demands)
    return story.trace()


def _pointers_first(request: SelectionRequest) -> Selection:
    """Select as if every pointer had taken its room before floors and demands."""
    pointers = sum(page.costs[Level.POINTER] for page in request.pages if Level.POINTER in page.costs)
    return select(dataclasses.replace(request, budget=max(1, request.budget - pointers)))


def pointer_flood(pages: int, budget: int) -> Scenario:
    """Return the scenario for *pages* results and a budget in tokens, with pointer lines as long as our own."""
    return Scenario(
        id="pointer_flood",
        title="Pointer flood",
        story=f"{pages:,} results with a pointer line of {LINE_TOKENS} tokens each under {budget:,} tokens: all "
        f"pointers together would take {pages * LINE_TOKENS / budget:.1f} budgets. Floors and demands come first.",
        budget=budget,
        run=told(partial(flood_trace, pages, LINE_TOKENS, budget), RESIDENCY),
        controls=(
            Control(
                "a selector that gives pointers their room first",
                ("no_controllable_fault", "floors_hold", "demands_met"),
                selector=_pointers_first,
            ),
            removal("pointer_resolution", "no_controllable_fault"),
            removal("auto_pin", "floors_hold"),
            OVERSTATED,
        ),
    )


def measure(policy: Policy, pages: int, pointer_tokens: int, budget: int) -> dict[str, Any]:
    """Return what *policy* makes of a flood: shares of the budget and of the demands, tokens paged in."""
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
