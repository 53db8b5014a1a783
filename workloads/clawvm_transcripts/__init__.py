"""Recorded sessions of real agents: nine formats read into one stream of events, and converted into replay traces."""
