"""Adversarial scenarios: hostile sessions, what must hold in them, and controls that break each check."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clawvm_workloads.adversarial.scenario import Scenario
from clawvm_workloads.adversarial.scripts import SCRIPTS
from clawvm_workloads.adversarial.traces import TRACES

__all__ = ["SCENARIOS"]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.id: scenario for scenario in (*TRACES, *SCRIPTS)})
"""The scenarios that take no parameter, by id."""
