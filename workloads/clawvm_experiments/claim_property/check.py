"""The claim, checked on one trace: two replays, and every statement about them.

=================  ===========================================================================
Verdict            the violations of one trace, with what was expected and what was seen
check_trace        replay a trace twice and check all statements
=================  ===========================================================================

What must come out is worked out from the trace alone by ``model``; ``statements`` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clawvm_experiments.claim_property.expected import Expected
from clawvm_experiments.claim_property.model import expect
from clawvm_experiments.claim_property.statements import Property, Run, Violation, violations_of
from clawvm_experiments.claim_property.trace_changes import read_back
from clawvm_replay.replay import replay_trace
from clawvm_replay.trace_format import Trace
from clawvm_runtime.canonical import canonical_json
from clawvm_runtime.decision_trace import DecisionTrace
from clawvm_runtime.engine import AssembledPrompt
from clawvm_runtime.policy import Policy
from clawvm_runtime.selector import Selector, select

__all__ = ["MakeSelector", "Verdict", "check_trace", "plain_selector"]

MakeSelector = Callable[[], Selector]
"""Makes a new selector for one check: one that keeps a state must not carry it from trace to trace."""


def plain_selector() -> Selector:
    """Return the runtime's own selector."""
    return select


@dataclass(frozen=True, slots=True)
class Verdict:
    """The violations of one trace; ``run`` is None where a replay did not come to its end."""

    expected: Expected
    run: Run | None
    violations: tuple[Violation, ...]


def check_trace(trace: Trace, policy: Policy, make_selector: MakeSelector = plain_selector) -> Verdict:
    """Replay *trace* twice under *policy* at its own budget and check all statements.

    The second replay gets the trace as a reader of its bytes does; both share one selector. Raises TraceError when the
    trace is no valid trace or asks for a page before it is there.
    """
    expected = expect(trace)
    copy = read_back(trace)
    selector = make_selector()
    try:
        run = _replayed(trace, policy, selector)
        again = _replayed(copy, policy, selector)
    except Exception as error:  # Whatever a replay of a possible trace raises, an invariant or a refusal, is a finding.
        broken = Violation(Property.INVARIANTS_HOLD, 0, f"{type(error).__name__}: {error!s:.200}")
        return Verdict(expected, None, (broken,))
    violations = list(violations_of(expected, run))
    violations.extend(_differences(run, again))
    return Verdict(expected, run, tuple(violations))


def _replayed(trace: Trace, policy: Policy, selector: Selector) -> Run:
    decisions = DecisionTrace()
    prompts: list[AssembledPrompt] = []
    metrics = replay_trace(trace, policy, decisions=decisions, observe=prompts.append, selector=selector)
    text = "".join(canonical_json(event) + "\n" for event in decisions.events)
    return Run(trace.header.budget, tuple(prompts), tuple(decisions.events), text.encode("ascii"), metrics)


def _differences(run: Run, again: Run) -> Iterator[Violation]:
    """Yield where two replays of one trace differ: in a decision, in a prompt, or in what was measured."""
    kind = Property.SAME_BYTES
    if again.decisions != run.decisions:
        lines = zip(run.decisions.splitlines(), again.decisions.splitlines())
        number = next((number for number, (line, other) in enumerate(lines) if line != other), -1)
        yield Violation(kind, run.events[number]["turn"], f"event {number} of {len(run.events)} is another one")
    for prompt, other in zip(run.prompts, again.prompts):
        if prompt.blocks != other.blocks:
            yield Violation(kind, prompt.turn, "the prompt has other blocks")
    if again.metrics != run.metrics:
        yield Violation(kind, 0, "the metrics are others")
