"""Adversarial scenarios: hostile lives of an agent, what must hold in them, and proof that each check can fail.

==============  =========================================================================
SCENARIOS       the scenarios that take no parameter, by id
ledger          what a trace needs turn by turn, told without the engine
controls        what is taken away so that a check must break
misreports      false reports of pressure, so that the check of the reports must break
scenario        what a scenario and a check are; scenarios that are told as traces
scripted        scenarios that are told to the engine itself
stories         pages, ladders and updates that several scenarios tell of
residency       starvation, churn, cascade reset, threshold jump
pin_flood       everything hard-pinned
pointer_flood   very many pages
signatures      colliding signatures and page ids
in_flight       updates staged just before a boundary
stale_storm     stale writers on one field of the journal
==============  =========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clawvm_workloads.adversarial.floods import PIN_FLOODS
from clawvm_workloads.adversarial.residency import BOUNDARY_AND_ROOM, IN_FLIGHT
from clawvm_workloads.adversarial.scenario import Scenario
from clawvm_workloads.adversarial.signatures import SIGNATURES

__all__ = ["SCENARIOS"]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {scenario.id: scenario for scenario in (*BOUNDARY_AND_ROOM, *PIN_FLOODS, *SIGNATURES, *IN_FLIGHT)}
)
