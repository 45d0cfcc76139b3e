"""Verifiers by their public names, for the setting `VERIFIER` of a resource server."""

from delegation_app.services.tokens.local_verifier import LocalVerifier

__all__ = ["LocalVerifier"]
