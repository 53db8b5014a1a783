"""Traces, their replay through the runtime, metrics, lifecycle gates, sweeps and reports."""
