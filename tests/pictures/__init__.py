"""Tests of the pictures: what they show is what the data say, in bytes that are the same everywhere."""
