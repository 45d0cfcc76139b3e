"""Issuing the first tokens of a delegation once more, in place of tokens that no client holds."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from delegation_app import clock
from delegation_app.events import TOKEN_REISSUED
from delegation_app.models import AccessToken, Delegation, RefreshToken
from delegation_app.services import audit
from delegation_app.services.status_lists import cache
from delegation_app.services.tokens import issuing

_AGAIN: Final = issuing.IssueOptions(event=TOKEN_REISSUED, is_counted=False)


def is_unused(delegation: Delegation, jti: str | None = None) -> bool:
    """Whether a delegation is live, and no token of it was used as far as this server can know.

    A service that verifies by itself tells nobody; introspection, refreshes and exchanges do.

    Args:
        delegation: as locked.
        jti: also require that this is an access token of it, not revoked.
    """
    live = Delegation.objects.live().unpresented().filter(pk=delegation.pk)
    if jti is not None:
        live = live.filter(access_tokens__jti=jti, access_tokens__revoked_at=None)
    used = RefreshToken.objects.filter(delegation=delegation, consumed_at__isnull=False)
    return live.exists() and not used.exists()


def reissue(
    view: issuing.TokenGrant, whole: issuing.TokenGrant, origin: audit.RequestContext
) -> issuing.Issued:
    """End the tokens of a delegation, and issue its first ones again; see `tokens.issue_first`.

    Side effects: the rows of those tokens, and those of `tokens.issue_first`. It is no further use.
    Call it inside a transaction that holds the root of the delegation.
    """
    delegation, now = view.delegation, clock.now()
    replace(delegation, now)
    # Not marked as used: that would look like a client that has had them
    RefreshToken.objects.filter(delegation=delegation, expires_at__gt=now).update(expires_at=now)
    return issuing.issue_first(view, whole, origin, _AGAIN)


def replace(delegation: Delegation, now: datetime, *, jtis: Collection[str] | None = None) -> None:
    """End the access tokens of a delegation that another one takes the place of.

    Args:
        delegation: as locked.
        now: the present.
        jtis: which; all of them if left out.

    Side effects: the rows of those tokens.
    """
    ended = AccessToken.objects.filter(delegation=delegation, revoked_at=None)
    if jtis is not None:
        ended = ended.filter(jti__in=jtis)
    ended.update(revoked_at=now)
    cache.changed()
