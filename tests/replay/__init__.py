"""Tests of the package clawvm_replay."""
