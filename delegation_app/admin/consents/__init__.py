"""Consent records in the admin."""
