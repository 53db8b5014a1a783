"""All experiments by id, in the order in which reports show them: a new experiment is a module and a row here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clawvm_experiments import ablations, gates, prompt_cache, quality, table4, weights
from clawvm_experiments.adversarial import experiment as adversarial
from clawvm_experiments.bounds import experiment as bounds
from clawvm_experiments.claim_property import experiment as claim_property
from clawvm_experiments.experiment import Experiment
from clawvm_experiments.sensitivity import experiment as sensitivity
from clawvm_experiments.tasks import experiment as tasks

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
