"""Verifying access tokens in the process of the authorization server, by its tables."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError

from delegation_app import clock
from delegation_app.protocol import jose
from delegation_app.protocol.errors import InvalidToken, TemporarilyUnavailable
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.services.database_errors import is_permanent
from delegation_app.services.tokens import lookup, usage

logger = logger_for(__name__)


@dataclass(frozen=True, slots=True)
class LocalVerifier:
    """A verifier for a site that is resource server and authorization server in one process.

    Args:
        audience: the identifier of the resource server.
    """

    audience: str

    def verify(self, text: str, call: Call = Call()) -> VerifiedToken:
        """Verify an access token; see `verify`.

        Raises:
            TemporarilyUnavailable: the database does not answer.
        """
        try:
            return verify(text, self.audience, call)
        except (DatabaseError, InterfaceError) as error:
            if is_permanent(error):
                raise
            logger.exception("a token could not be verified")
            raise TemporarilyUnavailable("Try again in a moment.") from error


def verify(text: str, audience: str, call: Call = Call()) -> VerifiedToken:
    """Verify an access token for one resource server.

    Args:
        text: the token as presented.
        audience: the identifier of the resource server.
        call: the call that it authorizes.

    Raises:
        InvalidToken: the token is invalid; the description does not say why.
        OutsideLimits: the token is valid, but a constraint does not permit this call.

    Side effects: one statement; at most once a minute for a delegation a second one that records
        the use, and may fail silently.
    """
    found = lookup.access_token(text)
    if found is None or not found.active:
        detail = "unknown, or its time is over" if found is None else _why_inactive(found)
        raise InvalidToken("The access token is not valid.", detail=detail)
    server = None if found.client is None else found.client.servers.get(audience)
    # RFC 9068 section 4: aud must name this resource server, and it must still be one
    if server is None or audience not in found.row.audience:
        detail = jose.mismatch("aud", expected=audience, got=found.audience.claim())
        raise InvalidToken("The access token is not valid.", detail=detail)
    scope = found.scope_at(server)
    if not scope:
        raise InvalidToken("The access token is not valid.", detail="nothing of it is left")
    verified = _verified(found, scope)
    verified.enforce(audience, call, clock.now().timestamp())
    usage.note(found.row.delegation, clock.now())
    return verified


def _why_inactive(found: lookup.PresentedAccessToken) -> str:
    now, ends = clock.now(), found.row.expires_at
    if ends > now:
        return "revoked, or its delegation has ended"
    return jose.mismatch("exp", expected=f"after {now.isoformat()}", got=ends.isoformat())


def _verified(found: lookup.PresentedAccessToken, scope: Scope) -> VerifiedToken:
    delegation = found.row.delegation
    return VerifiedToken(
        subject=delegation.subject,
        client_id=delegation.delegate_client_id,
        scope=scope,
        delegation_id=str(delegation.public_id),
        jti=found.row.jti,
        expires_at=int(lookup.ends_at(found.row).timestamp()),
        audience=found.audience,
        actors=tuple(delegation.actors),
        constraints=delegation.constraints,
    )
