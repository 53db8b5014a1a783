"""The four workload families by name: a new family is a module with ``NAME`` and ``build``, and a row here.

=================  ====================================================
FAMILIES           family name to the function from budget to trace
BUDGETS            the published token budgets
committed_path     where the trace of a family and budget is committed
=================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from clawvm_replay.trace_format import Trace
from clawvm_workloads import daily_assistant, evidence_heavy, long_horizon, multi_session

__all__ = ["BUDGETS", "FAMILIES", "committed_path"]

FAMILIES: Mapping[str, Callable[[int], Trace]] = MappingProxyType(
    {module.NAME: module.build for module in (evidence_heavy, long_horizon, multi_session, daily_assistant)}
)

BUDGETS = (120, 180, 240, 300, 380, 500)


def committed_path(workload: str, budget: int) -> str:
    """Return the path of a committed trace, relative to the repository: one folder per family, one file per budget."""
    return f"traces/{workload}/{workload}-b{budget:04d}.trace.jsonl"
