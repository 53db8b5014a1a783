"""Trace model, simulated harness, replay, metrics, oracle and reports of the ClawVM experiments."""
