"""Recorded sessions of real agents: read as one stream of events, whatever their format, and converted into traces."""
