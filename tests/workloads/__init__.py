"""Tests of the workload families."""
