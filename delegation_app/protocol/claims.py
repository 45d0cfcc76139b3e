"""The claims of an access token (RFC 9068 section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.status_list import StatusReference


def user_subject(user_id: object) -> str:
    """Return the subject of a user; clients have another namespace (RFC 9700 section 4.15)."""
    return f"user:{user_id}"


def client_subject(client_id: str) -> str:
    """Return the subject of a client that acts for itself."""
    return f"client:{client_id}"


@dataclass(frozen=True, slots=True)
class AccessTokenClaims:
    """The content of one access token. Times are aware datetimes, in the token seconds."""

    issuer: str
    subject: str
    audience: Audience
    client_id: str
    scope: Scope
    jti: str
    delegation_id: str
    issued_at: datetime
    expires_at: datetime
    auth_time: datetime | None = None
    acr: str = ""
    actors: tuple[Mapping[str, str], ...] = ()
    may_act: str = ""
    constraints: Sequence[Mapping[str, Any]] = ()
    status: StatusReference | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON members; `auth_time` and `acr` only if a user authenticated."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience.claim(),
            "client_id": self.client_id,
            "scope": str(self.scope),
            "jti": self.jti,
            "delegation_id": self.delegation_id,
            "iat": int(self.issued_at.timestamp()),
            "nbf": int(self.issued_at.timestamp()),
            "exp": int(self.expires_at.timestamp()),
        }
        # RFC 9068 section 2.2.1: the resource owner's authentication
        if self.auth_time is not None:
            claims["auth_time"] = int(self.auth_time.timestamp())
            claims["acr"] = self.acr
        # draft-ietf-oauth-status-list-20 section 6.2
        if self.status is not None:
            claims["status"] = self.status.claim()
        return claims | authority(self.actors, self.may_act, self.constraints)


def authority(
    actors: Sequence[Mapping[str, str]], may_act: str, constraints: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the claims for the actors, the permitted actor and the constraints.

    They are the same in a token and in an introspection answer (RFC 8693 sections 4.1, 4.4).

    Args:
        actors: identities, the current actor first.
        may_act: the client id of the only client that may act; empty for any.
        constraints: the limits that a resource server enforces.
    """
    act: dict[str, Any] = {}
    # RFC 8693 section 4.1: the oldest is deepest, the current actor outermost
    for actor in reversed(actors):
        act = {**actor, "act": act} if act else dict(actor)
    claims: dict[str, Any] = {"act": act} if act else {}
    if may_act:
        claims["may_act"] = client_identity(may_act)
    if constraints:
        claims["constraints"] = [dict(members) for members in constraints]
    return claims


def client_identity(client_id: str) -> dict[str, str]:
    """Return the members that identify a client as an actor (RFC 8693 section 4.1)."""
    return {"sub": client_subject(client_id), "client_id": client_id}
