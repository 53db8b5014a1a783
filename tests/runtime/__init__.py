"""Tests of the package clawvm_runtime."""
