"""Devices that ask a user for authorization (RFC 8628)."""
