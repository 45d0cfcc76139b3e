"""Clients: look-up, authentication, secrets, and changes of the registry."""
