"""The refresh token grant: rotation (RFC 6749 section 6, RFC 9700 section 4.14)."""

from __future__ import annotations

from dataclasses import replace

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_REFRESH_RETRIED, TOKEN_REFRESHED
from delegation_app.grants import single_use
from delegation_app.grants.base import TokenRequest
from delegation_app.models import AuditEvent, Delegation, RefreshToken
from delegation_app.protocol import names, secrets
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations.revocation import REFRESH_TOKEN_REUSED
from delegation_app.services.tokens import issuing, reissue
from delegation_app.services.tokens.issuing import (
    Issued,
    IssueOptions,
    NewRefreshToken,
    TokenParameters,
)

TYPE = names.REFRESH_TOKEN
PARAMETERS = frozenset({"refresh_token", "scope", "resource"})


def handle(request: TokenRequest) -> Issued:
    """Rotate a refresh token; see `single_use.redeem`.

    A retry of the token that was rotated last gets the same successor while that is unused: within
    the client's retry window, or if this server lost the response.
    """
    return single_use.redeem(TOKEN, request)


def _mismatch(token: RefreshToken, client: RegisteredClient, _parameters: Parameters) -> str:
    # RFC 6749 section 5.2: issued to another client, which looks like an unknown token
    return "" if token.delegation.delegate_id == client.application.pk else "another client's"


def _find_retry(token: RefreshToken, text: str, client: RegisteredClient) -> NewRefreshToken | None:
    # The unused successor. One statement; none after the retry window
    since = None if token.consumed_at is None else clock.now() - token.consumed_at
    is_timely = since is not None and since < client.refresh_retry_window
    if not is_timely and reissue.token_of(token.digest) is None:
        return None
    row = RefreshToken.objects.filter(predecessor=token, consumed_at=None).first()
    # The site's secret may have changed between the two requests
    for key in _keys():
        candidate = secrets.successor(key, text)
        if row is not None and secrets.digest(candidate) == row.digest:
            return NewRefreshToken(row, candidate)
    return None


def _part_of(granted: TokenParameters, request: TokenRequest) -> TokenParameters:
    client, delegation, parameters = request.client, granted.delegation, request.parameters
    # The delegation may have been narrowed since the token was issued
    reach = granted.audience & delegation.audience
    audience = client.narrowed_audience(parameters.all("resource"), reach)
    # RFC 6749 section 6: no scope beyond the original grant
    scope = client.narrowed_scope(parameters.get("scope"), granted.scope, audience)
    # RFC 6749 section 3.3: an app that repeats its original scope gets what is left of it
    left = client.effective_scope(scope & delegation.scopes, audience)
    return replace(granted, scope=left, audience=audience)


def _issue(token: RefreshToken, request: TokenRequest) -> Issued:
    granted = single_use.granted(token, request)
    part = _part_of(granted, request)
    text = secrets.successor(_keys()[0], request.parameters.require("refresh_token"))
    successor = issuing.issue_refresh_token(granted, text, predecessor=token)
    options = IssueOptions(event=TOKEN_REFRESHED, details=_details(token))
    return issuing.issue(part, request.origin, options, refresh_token=successor)


def _issue_again(
    token: RefreshToken, request: TokenRequest, successor: NewRefreshToken
) -> Issued | OAuthError:
    now, origin = clock.now(), request.origin
    if not Delegation.objects.live(now).filter(pk=token.delegation_id).exists():
        return TOKEN.refusal(token.delegation.why_not_in_force(now), token.delegation)
    part = _part_of(single_use.granted(token, request), request)
    delegation = part.delegation
    # Where tokens are counted, a refresh and its retries are one
    if delegation.max_uses is not None:
        events = AuditEvent.objects.filter(
            event__in=(TOKEN_REFRESHED.name, TOKEN_REFRESH_RETRIED.name),
            delegation=delegation,
            occurred_at__gte=token.consumed_at,
            details__refresh_token=token.digest[:8],
        )
        reissue.replace(delegation, now, jtis=list(events.values_list("jti", flat=True)))
    # A thief would send a retry, too, so the event records its origin
    agent = audit.printable(secrets.masked(origin.user_agent), 255)
    details = {**_details(token), "address": origin.ip, "user_agent": agent}
    options = IssueOptions(event=TOKEN_REFRESH_RETRIED, details=details, is_counted=False)
    return issuing.issue(part, origin, options, refresh_token=successor)


def _details(token: RefreshToken) -> dict[str, str]:
    # These digits distinguish the few tokens of a delegation
    return {"refresh_token": token.digest[:8]}


def _keys() -> list[bytes]:
    return [secrets.derive_key(secret, "refresh-successor") for secret in conf.secrets]


# RFC 9700 section 4.14.2: another party may hold the successor, so the delegation is revoked
TOKEN = single_use.SingleUse(
    RefreshToken,
    "refresh_token",
    "refresh token",
    REFRESH_TOKEN_REUSED,
    _mismatch,
    _find_retry,
    _issue,
    _issue_again,
)
