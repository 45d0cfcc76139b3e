"""HTTP: sessions with deadlines, and safety after a fork."""
