"""Overhead: what the policy engine costs in microseconds; the only experiment that reads a clock."""
