"""HTTP: bounded sessions, and safety after a fork."""
