"""Adversarial scenarios as an experiment, and their report."""
