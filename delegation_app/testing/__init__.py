"""Factories and helpers for the tests of a site that uses this package; see docs/testing.md.

Nothing is imported here, so that a resource server without tables can import `fake_issuer` and
`acting_as`. Only `factories` needs factory_boy (the extra `testing`).
"""
