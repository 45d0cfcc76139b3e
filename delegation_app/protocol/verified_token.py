"""What a resource server learns from an access token, and the one way to ask for it."""

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

# Deeper than any authority may be handed on (MAX_DEPTH is at most 11)
_MOST_ACTORS: Final = 16


@dataclass(frozen=True, slots=True)
class Call:
    """What is done with the token; what is unknown is refused where a constraint asks for it.

    Attributes:
        ip: the address of whoever sent the request.
        method: its HTTP method.
        path: its path, percent-decoded once, without the query.
    """

    ip: str | None = None
    method: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a resource may rely on.

    Attributes:
        subject: `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: what it may do at this resource, now.
        delegation_id: the delegation behind the token.
        jti: the token.
        expires_at: when it ends, in seconds since the epoch.
        audience: the resource servers that it is for.
        actors: who acts, the current actor first; only that one decides anything, the others are
            history (RFC 8693 section 4.1).
        constraints: the limits that each call has to keep.
        status: where a status list says whether it was revoked.
        claims: everything that the token says.
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
        """Read claims whose origin and times were verified already.

        Args:
            claims: those of a JWT, or the members of an introspection answer.

        Raises:
            InvalidToken: one is missing or malformed, or asks for a proof that nobody looked at.
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
            # One that is not known here permits nothing
            constraints=Constraints.stored(claims.get("constraints", [])),
            status=StatusReference.of(claims),
            claims=claims,
        )

    @property
    def actor(self) -> Mapping[str, str] | None:
        """Who acts now; None if the client itself was let in."""
        return self.actors[0] if self.actors else None

    def allows(self, scopes: Iterable[str]) -> bool:
        """Tell whether it has all of `scopes`."""
        return Scope(scopes) <= self.scope

    def require(self, audience: str) -> None:
        """Refuse a token for another resource server (RFC 9068 section 4).

        Raises:
            InvalidToken: `audience` is not among its own.
        """
        if audience not in self.audience:
            detail = jose.mismatch("claims: aud", expected=audience, got=self.audience.claim())
            raise InvalidToken("The access token is not valid.", detail=detail)

    def enforce(self, audience: str, call: Call, now: float) -> None:
        """Refuse a call that a constraint does not permit.

        Args:
            audience: the resource server that is called.
            call: what is done.
            now: seconds since the epoch.

        Raises:
            OutsideLimits: with the sentence of the first constraint that refuses.
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

    # The names by which django-oauth-toolkit's permission classes ask `request.auth`

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Tell whether it has all of `scopes`; it was valid when it was verified."""
        return self.allows(scopes or ())

    def is_expired(self) -> bool:
        """Tell whether it has ended: no, or it would not have been verified."""
        return False

    def allow_scopes(self, scopes: Iterable[str]) -> bool:
        """Tell whether it has all of `scopes`."""
        return self.allows(scopes)


class Verifier(Protocol):
    """What tells a resource server whether a token is good; all of them answer alike.

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
            call: what is done with it.

        Raises:
            InvalidToken: anything is wrong; the description does not say what.
            OutsideLimits: the token is good, but a constraint does not permit this call.
            TemporarilyUnavailable: nobody can tell now; that is no reason to call it bad.
        """
        ...


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise _invalid(name)
    return value


def _scope(claims: Mapping[str, Any]) -> Scope:
    # RFC 9068 section 2.2.3: one string, and only where there is any
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
        if not isinstance(act, dict) or len(actors) == _MOST_ACTORS:
            raise _invalid("act")
        actor = {name: value for name, value in act.items() if name != "act"}
        if not all(isinstance(value, str) for value in actor.values()) or "sub" not in actor:
            raise _invalid("act")
        actors.append(actor)
        act = act.get("act")
    return tuple(actors)


def _invalid(cause: str) -> InvalidToken:
    return InvalidToken("The access token is not valid.", detail=f"claims: {cause}")
