"""Tests of the package clawvm_oracle."""
