"""Recorded sessions: what their harness lost, what it cost, and what each policy would have kept."""
