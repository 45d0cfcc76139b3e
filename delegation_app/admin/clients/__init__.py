"""Clients in the admin: policies and secrets."""
