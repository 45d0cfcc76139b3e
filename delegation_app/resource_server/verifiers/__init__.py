"""Verifying access tokens. Nothing in here needs Django, so any framework can use it."""
