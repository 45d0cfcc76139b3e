"""The operator's console in the Django admin. Importing it registers its pages."""

from delegation_app.admin import (
    audit,
    block,
    client,
    consent,
    delegation,
    keys,
    proposed_change,
    resource_server,
)

__all__ = [
    "audit",
    "block",
    "client",
    "consent",
    "delegation",
    "keys",
    "proposed_change",
    "resource_server",
]
