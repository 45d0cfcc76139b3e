"""Device authorization (RFC 8628)."""
