"""The published numbers that reports set beside ours; nothing here takes part in any computation.

Source: M. Rafique, L. Bindschaedler, ClawVM, EuroMLSys '26, arXiv 2604.10352, Table 4. The authors' workloads are not
public: ours are built from field reports, so these columns stand beside ours, they are not a target that a test
enforces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CONFIGURATIONS", "TABLE_4", "PublishedRow"]

CONFIGURATIONS = 24
"""4 workloads x 6 budgets."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of Table 4: mean explicit faults, their total over 24 cells as stated, and the thrash index."""

    mean_faults: float
    total_faults: str
    thrash_index: float


TABLE_4: Mapping[str, PublishedRow] = MappingProxyType(
    {
        "retrieval": PublishedRow(67.8, "1626", 3.993),
        "retrieval_cache": PublishedRow(10.8, "258", 1.642),
        "compaction_hybrid": PublishedRow(1.5, "34 to 36", 1.017),
        "lru": PublishedRow(0.0, "0", 0.901),
        "clawvm": PublishedRow(0.0, "0", 0.901),
        "oracle_h3": PublishedRow(0.0, "0", 0.901),
    }
)
