"""Experiments over the replay: each one is a list of independent cells and a pure function from cell to row."""
