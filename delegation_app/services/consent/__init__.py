"""Consent: what is asked, how it is shown, and what was answered."""
