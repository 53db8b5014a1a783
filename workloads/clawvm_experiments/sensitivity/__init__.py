"""Sensitivity: the conclusions under other harness settings, other structures, other counting rules."""
