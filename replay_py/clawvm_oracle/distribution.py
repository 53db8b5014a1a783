"""The distribution of ratios: quantiles, mean, share at the optimum, histogram.

==============  ==============================================================
EDGES           edges of the histogram's bins
distribution    the numbers of a list of ratios from 0 to 1, as plain JSON data
==============  ==============================================================
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from clawvm_replay.metrics import DIGITS

__all__ = ["EDGES", "distribution"]

EDGES = (0.0, *(round(number / 100, 2) for number in range(80, 101)))
"""Bins of one hundredth from 0.80 to 1, one bin for all below; the last one includes 1."""

_QUANTILES = {"minimum": 0.0, "p1": 0.01, "p5": 0.05, "quartile_1": 0.25, "median": 0.5, "quartile_3": 0.75}


def distribution(ratios: Sequence[float]) -> dict[str, Any]:
    """Return count, nearest-rank quantiles, mean, share that is exactly 1, and counts by bin of ``EDGES``."""
    ordered = sorted(ratios)
    count = len(ordered)
    counts = [0] * (len(EDGES) - 1)
    for ratio in ordered:
        counts[min(bisect_right(EDGES, ratio), len(counts)) - 1] += 1
    quantiles = {
        name: ordered[max(0, math.ceil(share * count) - 1)] if ordered else None for name, share in _QUANTILES.items()
    }
    return {
        "count": count,
        **quantiles,
        "mean": round(math.fsum(ordered) / count, DIGITS) if ordered else None,
        "share_optimal": round(ordered.count(1.0) / count, DIGITS) if ordered else None,
        "histogram": counts,
    }
