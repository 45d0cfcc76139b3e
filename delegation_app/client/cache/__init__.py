"""Keeping tokens and documents for as long as they are good."""
