"""All experiments by id, in the order in which reports show them: a new experiment is a module and a row here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clawvm_experiments import (
    ablations,
    adversarial,
    bounds,
    gates,
    prompt_cache,
    quality,
    sensitivity,
    table4,
    tasks,
    weights,
)
from clawvm_experiments import property as claim_property
from clawvm_experiments.experiment import Experiment

__all__ = ["EXPERIMENTS"]

EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        module.EXPERIMENT.id: module.EXPERIMENT
        for module in (
            gates,
            table4,
            ablations,
            weights,
            quality,
            tasks,
            adversarial,
            claim_property,
            bounds,
            prompt_cache,
            sensitivity,
        )
    }
)
