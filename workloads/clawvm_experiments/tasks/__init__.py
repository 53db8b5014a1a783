"""Task replays: thirty small tasks, and their report."""
