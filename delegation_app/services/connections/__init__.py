"""Connections: the delegations of a user, as the user sees them."""
