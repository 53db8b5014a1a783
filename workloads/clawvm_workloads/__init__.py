"""Workload families and experiments over the replay."""
