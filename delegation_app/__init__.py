"""Delegation for Django: an OAuth 2.0 authorization server whose record is the delegation.

Importing this package imports nothing else, so that each sub-package can be used alone.
"""

__version__ = "0.1.0"
