"""False reports: what a run reported about pressure, falsified, so that the check of these reports can fail.

==============  ==============================================================================
MISREPORTS      by variant: what becomes of the tokens in the decision trace and in the prompts
misreported     the events and prompts of a run, with its pressure falsified
UNDERSTATED     one token less of pressure, in decision trace and prompts alike
OVERSTATED      one token more, also in the turns without pressure
NOT_IN_PROMPTS  the prompts say nothing of the pressure
NOT_IN_TRACE    the decision trace says nothing of the pressure
==============  ==============================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from clawvm_runtime.decision_trace import Event
from clawvm_runtime.engine import AssembledPrompt
from clawvm_workloads.adversarial.controls import Control

__all__ = ["MISREPORTS", "NOT_IN_PROMPTS", "NOT_IN_TRACE", "OVERSTATED", "UNDERSTATED", "misreported"]

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
