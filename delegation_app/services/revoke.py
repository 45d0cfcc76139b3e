"""Ending delegations. No token row is touched: their validity is the delegation's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from delegation_app.events import DELEGATION_REVOKED, TOKEN_REVOKED
from delegation_app.models import AccessToken, AuthorizationCode, ConsentRecord, Delegation
from delegation_app.protocol.errors import UnauthorizedClient, UnsupportedTokenType
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, presented, selections, tree
from delegation_app.services.clients import Client
from delegation_app.services.selections import Selection
from delegation_app.services.transactions import database, joined, own
from delegation_app.signals import delegation_revoked
from delegation_app.toolkit import Application


def subtree(top: Delegation, origin: audit.Origin, *, reason: str, bar: bool = False) -> int:
    """Revoke a delegation and everything below it, and return how many ended.

    A second call changes nothing, records nothing and returns 0.

    Args:
        top: the delegation to end.
        origin: who ends it.
        reason: a sentence for the record.
        bar: also refuse its client another one from the same parent, from now on.

    Side effects: locks the root; one UPDATE of delegation rows, one audit event; the signal
    `delegation_revoked` after the commit.
    """
    with joined():
        tree.hold(top)
        ended = _update(selections.subtree(top).rows, origin, reason)
        if ended:
            details: dict[str, Any] = {"delegations": ended}
            if bar:
                Delegation.objects.filter(pk=top.pk).update(barred=True)
                details["barred"] = True
            audit.record(DELEGATION_REVOKED, origin, delegation=top, reason=reason, details=details)
            _announce([top], reason, {top.root_id: ended})
    return ended


def of_user(user: AbstractBaseUser, origin: audit.Origin, *, reason: str) -> int:
    """Revoke everything that a person has granted; see `chosen`."""
    return chosen([selections.of_user(user)], origin, reason=reason)


def of_client(application: Application, origin: audit.Origin, *, reason: str) -> int:
    """Revoke everything that a client holds, and what was made from it; see `chosen`."""
    return chosen([selections.of_client(application)], origin, reason=reason)


def of_user_at_client(
    user: AbstractBaseUser, application: Application, origin: audit.Origin, *, reason: str
) -> int:
    """Revoke what a client holds for a person, and what was made from it; see `chosen`."""
    selection = selections.of_user_at_client(user, application)
    return chosen([selection], origin, reason=reason)


def of_consent(consent: ConsentRecord, origin: audit.Origin, *, reason: str) -> int:
    """Revoke everything that stands on a consent; see `chosen`."""
    return chosen([selections.of_consent(consent)], origin, reason=reason)


def each(delegations: Iterable[Delegation], origin: audit.Origin, *, reason: str) -> int:
    """Revoke several delegations with what is below them; see `chosen`. Ended ones are passed."""
    return chosen(selections.each(delegations), origin, reason=reason)


def chosen(chosen: Iterable[Selection], origin: audit.Origin, *, reason: str) -> int:
    """Revoke all of several selections in one transaction, and return how many ended.

    Args:
        chosen: what to end.
        origin: who ends it.
        reason: a sentence for the record.

    Side effects: locks the roots, always in the same order; one UPDATE of delegation rows for
    each selection; an audit event and, after the commit, the signal `delegation_revoked` for
    each delegation that was chosen itself and not because of another one.
    """
    with joined():
        return sum(_end(selection, origin, reason) for selection in chosen)


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


def _end(selection: Selection, origin: audit.Origin, reason: str) -> int:
    _hold_trees(selection)
    # Under the locks, so that what is told is what ends
    tops = list(selection.tops.order_by("pk"))
    if not tops:
        return 0
    in_tree = Counter(selection.rows.values_list("root", flat=True).iterator())
    ended = _update(selection.rows, origin, reason)
    audit.record_each(
        DELEGATION_REVOKED,
        origin,
        ((top, {"delegations": in_tree[top.root_id]}) for top in tops),
        reason=reason,
    )
    _announce(tops, reason, in_tree)
    return ended


def _hold_trees(selection: Selection) -> None:
    roots = Delegation.objects.filter(public_id__in=selection.rows.values("root"))
    # In one order, so that two of these can't wait for each other
    for _root in roots.order_by("pk").select_for_update().values_list("pk").iterator():
        pass


def _update(rows: QuerySet[Delegation], origin: audit.Origin, reason: str) -> int:
    return rows.update(
        revoked_at=timezone.now(),
        revoked_by=audit.printable(origin.actor, 300) or "system",
        revocation_reason=audit.printable(reason, 255),
    )


def _announce(tops: list[Delegation], reason: str, in_tree: Mapping[Any, int]) -> None:
    ended = [(top.public_id, in_tree[top.root_id]) for top in tops]

    def send() -> None:
        for public_id, count in ended:
            delegation_revoked.send_robust(
                sender=Delegation, delegation_id=public_id, reason=reason, count=count
            )

    transaction.on_commit(send, using=database())
