"""Offline optima: provable bounds, exact small cases, and an oracle that may not prefetch."""
