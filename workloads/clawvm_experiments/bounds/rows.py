"""Rows of plain data: what one trace, one range of seeds or one adversarial request gives.

==================  ==============================================================================
BOUND_NAMES         the three bounds of a row
UTILITY_POLICIES    the policies whose upgrades are compared with the exact knapsack
trace_row           every policy on one trace: tokens, bounds, utility of its upgrades
small_row           small cases against the exhaustive search
unit_row            strings of references against Belady's MIN
upgrade_row         a request that was made to mislead the greedy upgrades
==================  ==============================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clawvm_oracle.bounds import any_policy_bound, any_policy_plan, brought_in_bound, demand_only_bound
from clawvm_oracle.checks import check_small_case, check_unit_case, is_demand_only
from clawvm_oracle.demand_only_oracle import DEMAND_ONLY, PlannedSelector, plan
from clawvm_oracle.demand_sequence import DemandSequence, ObservedRun, observe_run
from clawvm_oracle.measures import brought_in_tokens, reloaded_tokens
from clawvm_oracle.upgrade_optimum import UNITS, UtilityRecorder, UtilityShare, adversarial_case
from clawvm_replay.trace_format import Trace
from clawvm_runtime.policy import POLICIES

__all__ = ["BOUND_NAMES", "UTILITY_POLICIES", "small_row", "trace_row", "unit_row", "upgrade_row"]

BOUND_NAMES = ("any_policy", "demand_only", "brought_in")

UTILITY_POLICIES = ("lru", "clawvm", "oracle_h3")

_Known = list[tuple[DemandSequence, dict[str, int]]]


def trace_row(trace: Trace) -> dict[str, Any]:
    """Return what every policy, the demand-only oracle and the any-policy plan reach on *trace*, beside the bounds.

    Under pressure no policy can meet everything: then ``bounds`` and ``any_policy_plan`` are None and the oracle is
    left out.
    """
    recorders = {policy_id: UtilityRecorder() for policy_id in UTILITY_POLICIES}
    runs = {
        policy.id: observe_run(trace, policy, recorders[policy.id])
        if policy.id in recorders
        else observe_run(trace, policy)
        for policy in POLICIES.values()
    }
    sequence = runs["clawvm"].sequence
    pressed = sequence.under_pressure
    if not pressed:
        runs[DEMAND_ONLY.id] = observe_run(trace, DEMAND_ONLY, PlannedSelector(plan(sequence)))
    known: _Known = []
    return {
        "workload": trace.header.workload,
        "budget": trace.header.budget,
        "pressure_turns": runs["clawvm"].metrics.pressure_turns,
        "bounds": None if pressed else _bounds(sequence, known),
        "any_policy_plan": None if pressed else _plan_row(trace, sequence, known),
        "policies": {
            policy_id: {
                "demand_only": is_demand_only(POLICIES.get(policy_id, DEMAND_ONLY)),
                **_policy_row(run, sequence, known),
            }
            for policy_id, run in runs.items()
        },
        "utility": {policy_id: _utility(recorder.shares) for policy_id, recorder in recorders.items()},
    }


def _bounds(sequence: DemandSequence, known: _Known) -> dict[str, int]:
    """Return the three bounds of a sequence; most policies meet the same one, which is then computed once."""
    for other, bounds in known:
        if other == sequence:
            return bounds
    bounds = {
        "any_policy": any_policy_bound(sequence),
        "demand_only": demand_only_bound(sequence),
        "brought_in": brought_in_bound(sequence),
    }
    known.append((sequence, bounds))
    return bounds


def _policy_row(run: ObservedRun, sequence: DemandSequence, known: _Known) -> dict[str, Any]:
    """Return a policy's tokens beside bounds for policies that meet the same requirements as this run did."""
    met = run.met
    return {
        "page_in_tokens": run.metrics.page_in_tokens,
        "reloaded": reloaded_tokens(run.sequence, run.prompts),
        "brought_in": brought_in_tokens(run.sequence, run.prompts),
        "meets_all": met == run.sequence,
        "same_needs": run.sequence == sequence,
        "bounds": _bounds(met, known),
    }


def _plan_row(trace: Trace, sequence: DemandSequence, known: _Known) -> dict[str, Any]:
    """Return what the engine counts when it plays the plan that is said to reach the bound for any policy."""
    run = observe_run(trace, DEMAND_ONLY, PlannedSelector(any_policy_plan(sequence)))
    return _policy_row(run, sequence, known)


def _utility(shares: Iterable[UtilityShare]) -> dict[str, Any]:
    known = [(share.ratio, share) for share in shares if share.ratio is not None]
    worst = min(known, key=lambda item: (item[0], item[1].turn), default=None)
    return {"ratios": [ratio for ratio, _ in known], "worst": None if worst is None else _described(worst[1])}


def _described(share: UtilityShare) -> dict[str, Any]:
    problem = share.problem
    return {
        "ratio": share.ratio,
        "turn": share.turn,
        "tokens_left": problem.left,
        "pages": [[page_id, problem.scores[page_id] / UNITS, list(steps)] for page_id, steps in problem.steps.items()],
    }


def small_row(first_seed: int, cases: int) -> dict[str, Any]:
    """Return the checks of the small cases of *cases* seeds."""
    checks = [(seed, check_small_case(seed)) for seed in range(first_seed, first_seed + cases)]
    return {
        "cases": len(checks),
        "comparisons": sum(check.comparisons for _, check in checks),
        "violations": [f"seed {seed}: {text}" for seed, check in checks for text in check.violations],
        "bound_is_exact": sum(check.bound_is_exact for _, check in checks),
        "oracle_is_exact": sum(check.oracle_is_exact for _, check in checks),
    }


def unit_row(first_seed: int, cases: int) -> dict[str, Any]:
    """Return the checks of the reference strings of *cases* seeds."""
    checks = [(seed, check_unit_case(seed)) for seed in range(first_seed, first_seed + cases)]
    return {
        "cases": len(checks),
        "searched": sum(check.exhaustive is not None for _, check in checks),
        "different": [f"seed {seed}: {check}" for seed, check in checks if not check.equal],
    }


def upgrade_row(name: str) -> dict[str, Any]:
    """Return what the greedy upgrades reach on the adversarial request of this name."""
    return {"name": name, **_described(adversarial_case(name))}
