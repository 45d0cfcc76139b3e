"""The claims of an access token for tests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import uuid4

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import (
    AccessTokenClaims,
    client_identity,
    client_subject,
    user_subject,
)
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_token_id
from delegation_app.protocol.status_list import StatusReference

CLIENT_ID: Final = "test-client"
LIFETIME_SECONDS: Final = 600


class UserRow(Protocol):
    """A user: any object with a primary key."""

    pk: Any


@dataclass(frozen=True, slots=True)
class TokenAuthority:
    """The content of a token for tests; the fields are those of `FakeIssuer.token`."""

    on_behalf_of: UserRow | str | None
    scope: str | Iterable[str]
    audience: str | Iterable[str]
    client_id: str = CLIENT_ID
    actors: Sequence[str] = ()
    constraints: Sequence[Mapping[str, Any]] = ()
    lifetime: int = LIFETIME_SECONDS

    def claims(self, issuer: str, status: StatusReference | None = None) -> dict[str, Any]:
        """Return the claims of a token of `issuer`, issued now.

        Args:
            issuer: the identifier of the authorization server.
            status: the place of its status.

        Raises:
            InvalidScope: a scope name has a character that RFC 6749 section 3.3 does not allow.
            InvalidConstraint: a limit is unknown or malformed.
        """
        expires = time.time() + self.lifetime
        # An expired token is issued before it expires
        issued = min(time.time(), expires - LIFETIME_SECONDS)
        return AccessTokenClaims(
            issuer=issuer,
            subject=self.subject,
            audience=Audience(names_of(self.audience)),
            client_id=self.client_id,
            scope=scope_of(self.scope),
            jti=new_token_id(),
            delegation_id=str(uuid4()),
            issued_at=_moment(issued),
            expires_at=_moment(expires),
            auth_time=_moment(issued) if self.subject.startswith("user:") else None,
            acr="1",
            actors=tuple(client_identity(name) for name in self.actors),
            constraints=Constraints.parse([dict(one) for one in self.constraints]).claim(),
            status=status,
        ).as_dict()

    @property
    def subject(self) -> str:
        """The value of `sub`."""
        principal = self.on_behalf_of
        if principal is None:
            return client_subject(self.client_id)
        return principal if isinstance(principal, str) else user_subject(principal.pk)


def names_of(names: str | Iterable[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def scope_of(scope: str | Iterable[str]) -> Scope:
    """Return a scope from its text or its names.

    Raises:
        InvalidScope: a name has a character that RFC 6749 section 3.3 does not allow.
    """
    return Scope.parse(scope if isinstance(scope, str) else " ".join(scope))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(seconds))
