"""Delegations in the admin: list, pages, actions."""
