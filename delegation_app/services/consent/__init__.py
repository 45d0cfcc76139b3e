"""Consent: the request, the screen and the answer."""
