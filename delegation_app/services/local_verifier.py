"""Verifying access tokens in the process that also has our tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Access, Moment
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.scope import Scope
from delegation_app.services import presented


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a resource may rely on.

    Attributes:
        subject: `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: what it may do at this resource, now.
        delegation_id: the delegation behind the token.
        jti: the token.
        actors: who acts, the current actor first; only that one decides anything, the others are
            history (RFC 8693 section 4.1).
    """

    subject: str
    client_id: str
    scope: Scope
    delegation_id: str
    jti: str
    actors: tuple[Mapping[str, str], ...] = ()


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


def verify(text: str, audience: str, call: Call = Call()) -> VerifiedToken:
    """Verify an access token for one resource server.

    Args:
        text: the token as presented.
        audience: the identifier of the resource server that verifies.
        call: what is done with it.

    Raises:
        InvalidToken: anything is wrong; the description does not say what.
        OutsideLimits: the token is good, but a constraint does not permit this call.

    Side effects: one statement; a second one at most once a minute for a delegation, to note
        that it was used.
    """
    found = presented.access_token(text)
    if found is None or not found.active:
        raise InvalidToken("The access token is not valid.")
    server = None if found.client is None else found.client.servers.get(audience)
    # RFC 9068 section 4: aud must name this resource server, and it must still be one
    if server is None or audience not in found.row.audience:
        raise InvalidToken("The access token is not valid.", detail="audience")
    scope = found.scope_at(server)
    if not scope:
        raise InvalidToken("The access token is not valid.", detail="nothing of it is left")
    _enforce(found.row.delegation, audience, call)
    return _verified(found, scope)


def _enforce(delegation: Delegation, audience: str, call: Call) -> None:
    access = Access(
        Moment.RESOURCE,
        timezone.now(),
        ip=call.ip,
        method=call.method,
        path=call.path,
        audience=Audience([audience]),
    )
    reason = delegation.constraints.refusal(access)
    if reason is not None:
        raise OutsideLimits(reason)


def _verified(found: presented.PresentedAccessToken, scope: Scope) -> VerifiedToken:
    delegation = found.row.delegation
    delegation.note_use(timezone.now())
    return VerifiedToken(
        subject=delegation.subject,
        client_id=delegation.delegate_client_id,
        scope=scope,
        delegation_id=str(delegation.public_id),
        jti=found.row.jti,
        actors=tuple(delegation.actors),
    )
