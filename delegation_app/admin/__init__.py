"""The operator's console in the Django admin. Importing it registers its pages."""

from delegation_app.admin import resource_servers, signing_keys
from delegation_app.admin.audit.admin import AuditAdmin
from delegation_app.admin.blocks.admin import BlockAdmin
from delegation_app.admin.clients.admin import extend
from delegation_app.admin.consents.admin import ConsentAdmin
from delegation_app.admin.delegations.admin import DelegationAdmin
from delegation_app.admin.proposals.admin import ProposedChangeAdmin

__all__ = [
    "AuditAdmin",
    "BlockAdmin",
    "ConsentAdmin",
    "DelegationAdmin",
    "ProposedChangeAdmin",
    "extend",
    "resource_servers",
    "signing_keys",
]
