"""A verified access token, as a resource server sees it, and the interface of verifiers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol, Self

from delegation_app.protocol import jose
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import AccessContext, Constraints, EnforcementPoint
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.status_list import StatusReference

# Above any chain of delegations (MAX_DEPTH is at most 11)
_MAX_ACTORS: Final = 16


@dataclass(frozen=True, slots=True)
class Call:
    """The request that uses a token. A constraint refuses a value that is unknown.

    Attributes:
        ip: the address of the caller.
        method: the HTTP method.
        path: the path, percent-decoded once, without the query.
    """

    ip: str | None = None
    method: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The claims that a resource server can rely on.

    Attributes:
        subject: `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: the scope of the token.
        delegation_id: the delegation behind the token.
        jti: the id of the token.
        expires_at: when it expires, in seconds since the epoch.
        audience: the resource servers that accept it.
        actors: the actors, the current actor first; the others are history and decide nothing
            (RFC 8693 section 4.1).
        constraints: the limits of each call.
        status: the place of its status in a status list.
        claims: all claims.
    """

    subject: str
    client_id: str
    scope: Scope
    delegation_id: str
    jti: str
    expires_at: int
    audience: Audience
    actors: tuple[Mapping[str, str], ...] = ()
    constraints: Constraints = Constraints()
    status: StatusReference | None = None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Self:
        """Read claims whose issuer and times are verified.

        Args:
            claims: of a JWT, or the members of an introspection response.

        Raises:
            InvalidToken: one is missing or malformed, or the token is bound to a key.
        """
        # RFC 9449 section 7: a token that is bound to a key is no bearer token
        if "cnf" in claims:
            raise _invalid("cnf")
        # RFC 9068 section 2.2: required
        subject, client_id, jti = (_text(claims, name) for name in ("sub", "client_id", "jti"))
        return cls(
            subject=subject,
            client_id=client_id,
            scope=_scope(claims),
            delegation_id=str(claims.get("delegation_id", "")),
            jti=jti,
            expires_at=claims["exp"],
            audience=_audience(claims),
            actors=_actors(claims.get("act")),
            # An unknown constraint permits nothing
            constraints=Constraints.stored(claims.get("constraints", [])),
            status=StatusReference.of(claims),
            claims=claims,
        )

    @property
    def actor(self) -> Mapping[str, str] | None:
        """The current actor; None if the client acts for itself."""
        return self.actors[0] if self.actors else None

    def allows(self, scopes: Iterable[str]) -> bool:
        """Return whether it has all of `scopes`."""
        return Scope(scopes) <= self.scope

    def require(self, audience: str) -> None:
        """Refuse a token for another resource server (RFC 9068 section 4).

        Raises:
            InvalidToken: `audience` is not in the audience of the token.
        """
        if audience not in self.audience:
            detail = jose.mismatch("claims: aud", expected=audience, got=self.audience.claim())
            raise InvalidToken("The access token is not valid.", detail=detail)

    def enforce(self, audience: str, call: Call, now: float) -> None:
        """Refuse a call that a constraint does not permit.

        Args:
            audience: the resource server that is called.
            call: the request.
            now: seconds since the epoch.

        Raises:
            OutsideLimits: with the text of the first constraint that refuses.
        """
        if not self.constraints:
            return
        access = AccessContext(
            EnforcementPoint.RESOURCE,
            datetime.fromtimestamp(now, UTC),
            ip=call.ip,
            method=call.method,
            path=call.path,
            audience=Audience([audience]),
        )
        reason = self.constraints.refusal(access)
        if reason is not None:
            raise OutsideLimits(reason)

    # The permission classes of django-oauth-toolkit call these on `request.auth`

    allow_scopes = allows

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Return whether it has all of `scopes`; its validity is verified."""
        return self.allows(scopes or ())

    def is_expired(self) -> bool:
        """Return False: an expired token is not verified."""
        return False


class Verifier(Protocol):
    """Decides whether a resource server accepts a token. All verifiers decide alike.

    Attributes:
        audience: the identifier of the resource server that verifies.
    """

    @property
    def audience(self) -> str:
        """The identifier of the resource server that verifies."""
        ...

    def verify(self, text: str, call: Call = ...) -> VerifiedToken:
        """Verify an access token.

        Args:
            text: the token as presented.
            call: the request that presents it.

        Raises:
            InvalidToken: the token is not valid; the description does not say why.
            OutsideLimits: the token is valid, but a constraint does not permit this call.
            TemporarilyUnavailable: its validity is unknown at the moment.
        """
        ...


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(name)
    return value


def _scope(claims: Mapping[str, Any]) -> Scope:
    # RFC 9068 section 2.2.3: one string, left out for no scope
    text = claims.get("scope", "")
    if not isinstance(text, str):
        raise _invalid("scope")
    return Scope(text.split())


def _audience(claims: Mapping[str, Any]) -> Audience:
    # RFC 7519 section 4.1.3: a string, or an array of strings
    value = claims.get("aud")
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise _invalid("aud")
    return Audience(values)


def _actors(act: object) -> tuple[Mapping[str, str], ...]:
    actors: list[Mapping[str, str]] = []
    # RFC 8693 section 4.1: the current actor is outermost
    while act is not None:
        if not isinstance(act, dict) or len(actors) == _MAX_ACTORS:
            raise _invalid("act")
        actor = {name: value for name, value in act.items() if name != "act"}
        if not all(isinstance(value, str) for value in actor.values()) or "sub" not in actor:
            raise _invalid("act")
        actors.append(actor)
        act = act.get("act")
    return tuple(actors)


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=f"claims: {cause}")
