"""Tokens and codes: issued, looked up, judged and redeemed."""
