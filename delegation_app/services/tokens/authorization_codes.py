"""Authorization codes: issued on a delegation, redeemed once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import CODE_ISSUED
from delegation_app.models import AuthorizationCode, Delegation
from delegation_app.models.validity import in_force
from delegation_app.protocol import pkce
from delegation_app.protocol.errors import InvalidGrant, OAuthError
from delegation_app.protocol.secrets import code_for, derive_key, digest
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations import reuse, revocation
from delegation_app.services.delegations.revocation import CODE_REPLAYED
from delegation_app.services.tokens import issuing, reissue
from delegation_app.services.transactions import durable


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a client sends to redeem a code.

    Attributes:
        scope: the value of `scope`, or None. RFC 6749 section 4.1.3 has none; clients that send
            it get no more than it names.
    """

    code: str = field(repr=False)
    code_verifier: str | None = field(repr=False)
    redirect_uri: str | None
    resources: tuple[str, ...]
    scope: str | None = None


def issue(
    delegation: Delegation,
    *,
    handle: str,
    redirect_uri: str,
    code_challenge: str,
    origin: audit.RequestContext,
) -> str:
    """Return a new code for all of `delegation`.

    Args:
        delegation: what the code stands for.
        handle: the secret handle of the question that was answered; see `still_good`.
        redirect_uri: where the code is sent.
        code_challenge: the S256 challenge (RFC 7636).
        origin: the user, and from where.

    Side effects: one row, one audit event. Call it inside a transaction.
    """
    code, now = next(_codes(handle)), clock.now()
    AuthorizationCode.objects.create(
        digest=digest(code),
        delegation=delegation,
        redirect_uri=redirect_uri,
        code_challenge=code_challenge,
        scope=delegation.scopes,
        audience=delegation.audience,
        issued_at=now,
        expires_at=now + conf.authorization_code_lifetime,
    )
    audit.record(CODE_ISSUED, origin, delegation=delegation)
    return code


def still_good(handle: str) -> str | None:
    """Return the code that was issued for a question, if it can still be redeemed. Reads only."""
    codes = {digest(code): code for code in _codes(handle)}
    now = clock.now()
    unused = AuthorizationCode.objects.filter(in_force(now, "delegation__"), expires_at__gt=now)
    found = unused.filter(digest__in=list(codes), consumed_at=None).values_list("digest", flat=True)
    return next((codes[one] for one in found), None)


def redeem(
    redemption: Redemption, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued:
    """Redeem a code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    Raises:
        InvalidGrant: unknown, another client's, expired, used, with the wrong verifier or
            redirect URI, or its delegation ended.
        InvalidScope: nothing that was granted is left, or nothing of it is wanted.
        InvalidTarget: a resource was not granted or is not available any more.
        OutcomeUnknown: the database was lost during the commit. The client may repeat the request,
            and gets tokens in place of those that it did not get.

    Side effects: locks the root; up to three rows and one audit event. A second redemption
    that proves itself revokes the delegation, unless the answer to the first one was lost here.
    """
    with reissue.noted(redemption.code):
        return _redeem(redemption, client, origin)


@durable
def _redeem(
    redemption: Redemption, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued | OAuthError:
    code = _find(redemption.code)
    if code is None:
        return _refusal("unknown")
    sent = () if redemption.redirect_uri is None else (redemption.redirect_uri,)
    mismatch = mismatch_of(code, client, (redemption.code_verifier,), sent)
    if mismatch:
        return _refusal(mismatch, code.delegation)
    # Before anything that is asked for is looked at: a replay is one, whatever it asks for. A first
    # use that asks for too much is undone with the error.
    if not _consume(code, clock.now()):
        return _used_before(code, redemption, client, origin)
    return issuing.issue_first(*_views(code, redemption, client, origin), origin)


def _views(
    code: AuthorizationCode,
    redemption: Redemption,
    client: RegisteredClient,
    origin: audit.RequestContext,
) -> tuple[issuing.TokenGrant, issuing.TokenGrant]:
    delegation = reuse.settle_unasked(code.delegation, origin)
    held, reach = code.scope & delegation.scopes, code.audience & delegation.audience
    audience = client.narrowed_audience(redemption.resources, reach)
    # RFC 6749 section 3.3: what is left may be less, and the answer says so
    scope = client.wanted_scope(redemption.scope, held, audience)
    whole = issuing.TokenGrant(delegation, client, code.scope, code.audience)
    return issuing.TokenGrant(delegation, client, scope, audience), whole


def _codes(handle: str) -> Iterator[str]:
    # The site's secret may have changed between two answers
    return (code_for(derive_key(one, "authorization-code"), handle) for one in conf.secrets)


def _find(code: str) -> AuthorizationCode | None:
    rows = AuthorizationCode.objects.filter(digest=digest(code))
    # Both, so that both are read again after a wait; a code's delegation is its own root
    of = ("delegation__root", "delegation")
    return rows.select_related("delegation__root").select_for_update(of=of).first()


def mismatch_of(
    code: AuthorizationCode,
    client: RegisteredClient,
    verifiers: Iterable[str | None],
    redirect_uris: Collection[str],
) -> str:
    """Return what shows that a code is not the caller's to redeem; empty if nothing does.

    Args:
        code: with its delegation.
        client: who presents it.
        verifiers: the values of `code_verifier`, of which one has to prove it.
        redirect_uris: the values of `redirect_uri`, of which one has to be equal if any was sent.
    """
    # OAuth 2.1 section 7.5.2: none of these ends anything, or a thief of a code could do harm
    if code.delegation.delegate_id != client.application.pk:
        return "another client's"
    # RFC 7636 section 4.6
    if not any(pkce.proves(verifier, code.code_challenge) for verifier in verifiers):
        return "code_verifier"
    # OAuth 2.1 section 10.2: it may be left out; RFC 6749 section 4.1.3: if sent, it must be equal
    if redirect_uris and code.redirect_uri not in redirect_uris:
        return "redirect_uri"
    return ""


def _consume(code: AuthorizationCode, now: datetime) -> bool:
    usable = AuthorizationCode.objects.filter(in_force(now, "delegation__"), expires_at__gt=now)
    return bool(usable.filter(pk=code.pk, consumed_at=None).update(consumed_at=now))


def _used_before(
    code: AuthorizationCode,
    redemption: Redemption,
    client: RegisteredClient,
    origin: audit.RequestContext,
) -> issuing.Issued | OAuthError:
    code.refresh_from_db(fields=["consumed_at"])
    if code.consumed_at is None:
        return _refusal(_why_unusable(code, clock.now()), code.delegation)
    if is_retry(code):
        return reissue.reissue(*_views(code, redemption, client, origin), origin)
    return end_replayed(code.delegation, origin)


def end_replayed(delegation: Delegation, origin: audit.RequestContext) -> InvalidGrant:
    """Revoke the delegation of a code that was redeemed twice, and return the refusal."""
    # RFC 6749 section 4.1.2: a second use revokes what the first one got
    ended = revocation.subtree(delegation, origin.acting_as("system"), reason=CODE_REPLAYED)
    error = _refusal("replayed", delegation)
    error.recorded = bool(ended)
    return error


def _why_unusable(code: AuthorizationCode, now: datetime) -> str:
    if code.expires_at > now:
        return code.delegation.why_not_in_force(now)
    # Most codes that expire are late and nothing else; one whose delegation was taken says so too
    return "expired, and its delegation has ended" if code.delegation.has_ended(now) else "expired"


def is_retry(code: AuthorizationCode) -> bool:
    """Whether the client of a used code has not got the answer to its redemption. Reads only."""
    # RFC 6749 section 4.1.2 denies every second use. That the first one gave nothing away is known
    # where this server itself failed to answer it, and nowhere else.
    jti = reissue.token_of(code.digest)
    return jti is not None and reissue.is_unused(code.delegation, jti)


def _refusal(detail: str, delegation: Delegation | None = None) -> InvalidGrant:
    error = InvalidGrant("The code is not valid.", detail=detail)
    error.about = delegation
    return error
