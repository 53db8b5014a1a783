"""Tests of the experiments: what each one says, and how they are run, resumed, divided and merged."""
