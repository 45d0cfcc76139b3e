"""Blocks in the admin."""
