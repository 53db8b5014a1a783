"""Experiments over the replay: each is a list of independent cells, a pure function from cell to row, and a report."""
