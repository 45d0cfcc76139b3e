"""Ending delegations. No token row is touched: their validity is the delegation's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import CharField, Exists, ExpressionWrapper, F, OuterRef, QuerySet
from django.utils import timezone

from delegation_app.events import DELEGATION_REVOKED, TOKEN_REVOKED
from delegation_app.models import AccessToken, AuthorizationCode, Delegation, RefreshToken
from delegation_app.protocol.errors import UnauthorizedClient, UnsupportedTokenType
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, presented
from delegation_app.services.clients import Client
from delegation_app.services.transactions import database, joined, own
from delegation_app.signals import delegation_revoked
from delegation_app.toolkit import Application


@dataclass(frozen=True, slots=True)
class Preview:
    """What a revocation would stop now."""

    delegations: int
    access_tokens: int
    refresh_tokens: int
    clients: int
    people: int


def subtree(top: Delegation, origin: audit.Origin, *, reason: str) -> int:
    """Revoke a delegation and everything below it, and return how many ended.

    A second call changes nothing, records nothing and returns 0.

    Args:
        top: the delegation to end.
        origin: who ends it.
        reason: a sentence for the record.

    Side effects: locks the root; one UPDATE of delegation rows, one audit event; the signal
    `delegation_revoked` after the commit.
    """
    with joined():
        # Whoever adds to the tree locks its root first, so nothing is added beside this. A plain
        # UPDATE would not wait for them: the lock comes first, then the look.
        Delegation.objects.select_for_update().get(public_id=top.root_id)
        ended = (
            Delegation.objects.subtree(top)
            .filter(revoked_at=None)
            .update(
                revoked_at=timezone.now(),
                revoked_by=audit.printable(origin.actor, 300) or "system",
                revocation_reason=audit.printable(reason, 255),
            )
        )
        if ended:
            details = {"delegations": ended}
            audit.record(DELEGATION_REVOKED, origin, delegation=top, reason=reason, details=details)
            _announce(top, reason, ended)
    return ended


def of_user(user: AbstractBaseUser, origin: audit.Origin, *, reason: str) -> int:
    """Revoke everything that a person has granted; see `subtree`."""
    return each(Delegation.objects.filter(principal_user=user.pk), origin, reason=reason)


def of_client(application: Application, origin: audit.Origin, *, reason: str) -> int:
    """Revoke everything that a client holds, and what was made from it; see `subtree`."""
    return each(Delegation.objects.filter(delegate=application.pk), origin, reason=reason)


def each(delegations: Iterable[Delegation], origin: audit.Origin, *, reason: str) -> int:
    """Revoke several trees or parts of trees in one transaction; see `subtree`.

    Args:
        delegations: a queryset; ended ones are passed over.
        origin: who ends them.
        reason: a sentence for the record.
    """
    with joined():
        # Always in the same order, so two of these can't wait for each other.
        return sum(
            subtree(top, origin, reason=reason)
            for top in sorted(delegations, key=lambda row: (str(row.root_id), row.depth))
            if top.revoked_at is None
        )


def access_token(token: AccessToken, origin: audit.Origin, *, reason: str) -> bool:
    """Revoke one access token (RFC 7009 section 2.1); tell whether this call did it.

    Side effects: one row, one audit event.
    """
    with joined():
        live = AccessToken.objects.filter(pk=token.pk, revoked_at=None)
        if not live.update(revoked_at=timezone.now()):
            return False
        audit.record(
            TOKEN_REVOKED, origin, delegation=token.delegation, jti=token.jti, reason=reason
        )
    return True


def presented_token(text: str, client: Client, origin: audit.Origin) -> None:
    """Revoke what a client gives back (RFC 7009 section 2.1).

    A refresh token takes its delegation with it, an access token only itself. A token that is
    unknown or over is no error (section 2.2).

    Args:
        text: the token as presented, of any kind.
        client: who presents it.
        origin: the client as actor, and from where.

    Raises:
        UnauthorizedClient: the token is another client's; it stays as it is.
        UnsupportedTokenType: it is an authorization code.

    Side effects: those of `subtree` or `access_token`.
    """
    found = presented.find(text, allow_expired=True)
    if found is None:
        # RFC 7009 section 2.2.1: a kind that is ours but can't be revoked here
        if AuthorizationCode.objects.filter(digest=digest(text)).exists():
            raise UnsupportedTokenType("An authorization code can not be revoked.")
        return
    if found.row.delegation.delegate_id != client.application.pk:
        raise UnauthorizedClient("The token was issued to another client.")
    _give_back(found, origin)


@own
def _give_back(found: presented.Presented, origin: audit.Origin) -> None:
    if isinstance(found, presented.PresentedRefreshToken):
        subtree(found.row.delegation, origin, reason="refresh token revoked by the client")
    else:
        access_token(found.row, origin, reason="access token revoked by the client")


def preview(top: Delegation) -> Preview:
    """Return what revoking `top` would stop now. Reads only."""
    return _preview(Delegation.objects.subtree(top))


def preview_each(tops: QuerySet[Delegation]) -> Preview:
    """Return what revoking several delegations would stop now. Reads only."""
    below = ExpressionWrapper(OuterRef("path"), output_field=CharField())
    above = tops.order_by().annotate(below=below)
    above = above.filter(root=OuterRef("root"), below__startswith=F("path"))
    within = Delegation.objects.filter(root__in=tops.order_by().values("root"))
    return _preview(within.filter(Exists(above)))


def _preview(tree: QuerySet[Delegation]) -> Preview:
    now = timezone.now()
    tree = tree.filter(revoked_at=None)
    access = AccessToken.objects.filter(delegation__in=tree, revoked_at=None, expires_at__gt=now)
    refresh = RefreshToken.objects.filter(delegation__in=tree, consumed_at=None, expires_at__gt=now)
    return Preview(
        delegations=tree.count(),
        access_tokens=access.count(),
        refresh_tokens=refresh.count(),
        clients=tree.order_by().values("delegate_client_id").distinct().count(),
        people=tree.order_by().exclude(principal_user=None).values("subject").distinct().count(),
    )


def _announce(top: Delegation, reason: str, count: int) -> None:
    public_id = top.public_id

    def send() -> None:
        delegation_revoked.send_robust(
            sender=Delegation, delegation_id=public_id, reason=reason, count=count
        )

    transaction.on_commit(send, using=database())
