"""Factories that create rows through the services. Needs factory_boy: the extra `testing`.

Every factory writes: `DelegationFactory()` and `DelegationFactory.create()` are the same, and
`build()` is refused, since an unwritten row would lack its audit event.
"""

from delegation_app.testing.factories.audit import AuditEventFactory
from delegation_app.testing.factories.delegations import ConsentFactory, DelegationFactory
from delegation_app.testing.factories.parties import (
    PASSWORD,
    ClientFactory,
    ClientPolicyFactory,
    ResourceServerFactory,
    UserFactory,
)
from delegation_app.testing.factories.tokens import (
    CODE_VERIFIER,
    AccessTokenFactory,
    AuthorizationCodeFactory,
    RefreshTokenFactory,
)

__all__ = [
    "CODE_VERIFIER",
    "PASSWORD",
    "AccessTokenFactory",
    "AuditEventFactory",
    "AuthorizationCodeFactory",
    "ClientFactory",
    "ClientPolicyFactory",
    "ConsentFactory",
    "DelegationFactory",
    "RefreshTokenFactory",
    "ResourceServerFactory",
    "UserFactory",
]
