"""Tests of the experiment on recorded sessions."""
