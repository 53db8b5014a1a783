"""Tests that take too long for every run; the default command does not see them."""
