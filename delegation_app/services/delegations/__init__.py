"""Delegations: creation, narrowing, revocation, blocks, and lists of them."""
