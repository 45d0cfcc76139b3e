"""Verifying access tokens in the process that also has our tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.scope import Scope
from delegation_app.services import presented

_USE_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a resource may rely on.

    Attributes:
        subject: `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: what it may do at this resource, now.
        delegation_id: the delegation behind the token.
        jti: the token.
    """

    subject: str
    client_id: str
    scope: Scope
    delegation_id: str
    jti: str


def verify(text: str, audience: str) -> VerifiedToken:
    """Verify an access token for one resource server.

    Args:
        text: the token as presented.
        audience: the identifier of the resource server that verifies.

    Raises:
        InvalidToken: anything is wrong; the description does not say what.

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
    return _verified(found, scope)


def _verified(found: presented.PresentedAccessToken, scope: Scope) -> VerifiedToken:
    delegation = found.row.delegation
    _note_use(delegation)
    return VerifiedToken(
        subject=delegation.subject,
        client_id=delegation.delegate_client_id,
        scope=scope,
        delegation_id=str(delegation.public_id),
        jti=found.row.jti,
    )


def _note_use(delegation: Delegation) -> None:
    now, last = timezone.now(), delegation.last_used_at
    if last is None or now - last > _USE_NOTED_EVERY:
        Delegation.objects.filter(pk=delegation.pk).used(now)
