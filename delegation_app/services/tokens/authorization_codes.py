"""Authorization codes, issued on a delegation. Their grant redeems them."""

from __future__ import annotations

from collections.abc import Iterator

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import CODE_ISSUED
from delegation_app.models import AuthorizationCode, Delegation
from delegation_app.models.validity import in_force
from delegation_app.protocol.secrets import code_for, derive_key, digest
from delegation_app.services import audit


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
        delegation: the delegation of the code.
        handle: the secret handle of the answered request; see `still_good`.
        redirect_uri: the redirect URI that receives the code.
        code_challenge: the S256 challenge (RFC 7636).
        origin: the user and the origin of the request.

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
    """Return the code issued for a request if it can still be redeemed. Reads only."""
    codes = {digest(code): code for code in _codes(handle)}
    now = clock.now()
    unused = AuthorizationCode.objects.filter(in_force(now, "delegation__"), expires_at__gt=now)
    found = unused.filter(digest__in=list(codes), consumed_at=None).values_list("digest", flat=True)
    return next((codes[one] for one in found), None)


def _codes(handle: str) -> Iterator[str]:
    # The site's secret may have changed between two answers
    return (code_for(derive_key(one, "authorization-code"), handle) for one in conf.secrets)
