"""Bounds: every policy beside provable optima, plans that reach them, and checks that can fail."""
