"""Verifiers of access tokens. They need no Django, so any framework can use them."""
