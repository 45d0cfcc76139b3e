"""Tokens and codes: issuing, lookup, judgement and redemption."""
