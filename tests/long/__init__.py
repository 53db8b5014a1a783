"""Tests that take minutes: run by CI, and by hand with -p 'long_*.py'."""
