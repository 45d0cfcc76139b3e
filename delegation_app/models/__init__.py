"""The tables.

Two rules: code outside imports from this package, not from its modules; inside, imports point
one way (fields and base first, then registry rows, delegation, what hangs on it, audit).
"""

from delegation_app.models.audit import AuditEvent, EventCount
from delegation_app.models.authorization_code import AuthorizationCode
from delegation_app.models.block import DelegationBlock
from delegation_app.models.clients.client_logo import ClientLogo
from delegation_app.models.clients.client_policy import ClientPolicy
from delegation_app.models.clients.previous_secret import PreviousSecret
from delegation_app.models.clients.proposed_change import ProposedChange
from delegation_app.models.clients.resource_server import ResourceServer
from delegation_app.models.clients.secret_digest import SecretDigest
from delegation_app.models.consent import ConsentRecord
from delegation_app.models.delegation import Delegation
from delegation_app.models.device_code import DeviceCode
from delegation_app.models.outbox import OutboxMessage
from delegation_app.models.pending_request import PendingRequest
from delegation_app.models.signing_key import SigningKey
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
    "OutboxMessage",
    "PendingRequest",
    "PreviousSecret",
    "ProposedChange",
    "RefreshToken",
    "ResourceServer",
    "SecretDigest",
    "SigningKey",
]
