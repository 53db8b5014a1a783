"""The paper's adversarial tests at the sizes that a secondary source reports; everything else about them is ours.

Known are a budget against a need, pages and turns, resets and turns. How often a page is asked for, what is staged, and
how long starvation lasts are not known, so that only the order of magnitude could be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from clawvm_replay.metrics import CellMetrics
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_builder import LevelCosts
from clawvm_replay.trace_format import Accounting, Trace
from clawvm_runtime.policy import Policy
from clawvm_runtime.vocabulary import Level
from clawvm_workloads.adversarial.scenario import BUDGET, GUIDE, PLAN, note
from clawvm_workloads.families import EVIDENCE, open_story, plan_page, rule_page

__all__ = ["REPORTED_SIZES", "replay_reported"]

FILE = LevelCosts(2, 8, 16, 30)
"""Three of them and the instructions fit the budget, so that churn is not under pressure."""

OF_20_TOKENS = LevelCosts(2, 20, 24, 30)


def starvation() -> Trace:
    """Instructions and two rules of 20 tokens each under 40 tokens, for ten turns."""
    story = open_story("reported_starvation", 40, "", None, OF_20_TOKENS, page_id="guide")
    for number in (1, 2):
        rule_page(story, f"rule-{number}", OF_20_TOKENS)
    for _ in range(10):
        story.turn(20)
    return story.trace()


def churn() -> Trace:
    """Fifty results in fifty turns; each turn reads a new one and asks for two earlier ones.

    That of half the turn's number is asked for by call, that of a third of it by reference.
    """
    story = open_story("reported_churn", BUDGET, "", Accounting(900, 720, 80), GUIDE, page_id="guide")
    reads = []
    for turn in range(50):
        reads.append(story.tool("read", {"path": f"file_{turn}"}, f"file-{turn}", FILE, **EVIDENCE))
        if turn:
            story.turn(40, calls=[reads[turn], reads[turn // 2]], demands=[(f"file-{turn // 3}", Level.FULL)])
        else:
            story.turn(40, calls=reads)
    return story.trace()


def cascade() -> Trace:
    """Nine resets in thirty turns, one after every third turn, with a note staged in the turn before each."""
    story = open_story("reported_cascade", BUDGET, "", Accounting(300, 240, 40), GUIDE, page_id="guide")
    plan_page(story, PLAN)
    for turn in range(1, 31):
        ends = turn % 3 == 0 and turn < 30
        story.turn(40, demands=[("plan", Level.STRUCTURED)], updates=[note(value=[f"turn {turn}"])] if ends else [])
        if ends:
            story.reset(f"session-{turn}")
    return story.trace()


REPORTED_SIZES: Mapping[str, Callable[[], Trace]] = MappingProxyType(
    {"starvation": starvation, "churn": churn, "cascade": cascade}
)
"""The tests by id."""


def replay_reported(test: str, policy: Policy) -> CellMetrics:
    """Return the metrics of a test under *policy*."""
    return replay_trace(REPORTED_SIZES[test](), policy)
