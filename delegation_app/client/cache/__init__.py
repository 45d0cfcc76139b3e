"""Caches of tokens and documents."""
