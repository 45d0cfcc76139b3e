"""Throwing junk at what reads other people's bytes: `python -m tests.fuzz --seconds 60`."""
