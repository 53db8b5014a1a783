"""Tests of the command line, in subprocesses, as a user runs it."""
