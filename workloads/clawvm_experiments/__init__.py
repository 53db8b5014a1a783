"""Experiments over the replay: each one is a list of independent cells, a pure function from cell to row, and a reading."""
