"""The tables.

Two rules: code outside imports from this package, not from its modules; inside, imports point
one way (fields and base first, then registry rows, delegation, what hangs on it, audit).
"""

from delegation_app.models.audit import AuditEvent
from delegation_app.models.block import DelegationBlock
from delegation_app.models.client_logo import ClientLogo
from delegation_app.models.client_policy import ClientPolicy
from delegation_app.models.code import AuthorizationCode
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.delegation import Delegation
from delegation_app.models.device_code import DeviceCode
from delegation_app.models.event_count import EventCount
from delegation_app.models.former_secret import FormerSecret
from delegation_app.models.keys import SigningKey
from delegation_app.models.outbox import OutboxMessage
from delegation_app.models.pending_request import PendingRequest
from delegation_app.models.proposed_change import ProposedChange
from delegation_app.models.resource_server import ResourceServer
from delegation_app.models.secret_digest import SecretDigest
from delegation_app.models.tokens import AccessToken, RefreshToken

__all__ = [
    "AccessToken",
    "AuditEvent",
    "AuthorizationCode",
    "ClientLogo",
    "ClientPolicy",
    "ConsentRecord",
    "Delegation",
    "DelegationBlock",
    "DeviceCode",
    "EventCount",
    "FormerSecret",
    "OutboxMessage",
    "PendingRequest",
    "ProposedChange",
    "RefreshToken",
    "ResourceServer",
    "SecretDigest",
    "SigningKey",
]
