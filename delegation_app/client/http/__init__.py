"""Sending requests: sessions, deadlines and what survives a fork."""
