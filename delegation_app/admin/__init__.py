"""The operator's console in the Django admin. Importing it registers its pages."""

from delegation_app.admin import resource_servers, signing_keys
from delegation_app.admin.audit import admin as audit_admin
from delegation_app.admin.blocks import admin as blocks_admin
from delegation_app.admin.clients import admin as client_admin
from delegation_app.admin.consents import admin as consents_admin
from delegation_app.admin.delegations import admin as delegation_admin
from delegation_app.admin.proposals import admin

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
