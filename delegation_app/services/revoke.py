"""Ending delegations. No token row is touched: their validity is the delegation's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from delegation_app import clock
from delegation_app.events import CLIENT_READMITTED, DELEGATION_REVOKED, TOKEN_REVOKED
from delegation_app.models import AccessToken, AuthorizationCode, ConsentRecord, Delegation
from delegation_app.protocol.errors import UnauthorizedClient, UnsupportedTokenType
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit, presented, selections, status_cache, tree
from delegation_app.services.clients import Client
from delegation_app.services.selections import Selection
from delegation_app.services.transactions import database, joined, own
from delegation_app.signals import delegation_revoked
from delegation_app.toolkit import Application

K = TypeVar("K", int, UUID)

_TOLD: Final = ("public_id", "root_id", "path", "subject", "delegate_client_id")
_BATCH: Final = 500


def subtree(top: Delegation, origin: audit.Origin, *, reason: str, bar: bool = False) -> int:
    """Revoke a delegation and everything below it, and return how many ended.

    A second call changes nothing, records nothing and returns 0; but what ended before can still
    be barred.

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
        barred = bar and Delegation.objects.filter(pk=top.pk, barred=False).update(barred=True)
        if ended or barred:
            details = {"delegations": ended} | ({"barred": True} if barred else {})
            audit.record(DELEGATION_REVOKED, origin, delegation=top, reason=reason, details=details)
        if ended:
            _announce([top], reason, {top.path: ended})
    return ended


def lift_bar(barred: Delegation, origin: audit.Origin) -> bool:
    """Let the client of a barred delegation have another one from the same parent.

    Tells whether this call did it. Side effects: locks the root; one row, one audit event.
    """
    with joined():
        tree.hold(barred)
        lifted = Delegation.objects.filter(pk=barred.pk, barred=True).update(barred=False)
        if lifted:
            audit.record(CLIENT_READMITTED, origin, delegation=barred)
    return bool(lifted)


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

    Side effects: locks the roots, always in the same order; an UPDATE for every 500
    delegation rows; an audit event and, after the commit, the signal `delegation_revoked` for
    each delegation that was chosen itself and not because of another one.
    """
    with joined():
        selected = list(chosen)
        held = _hold_trees(selected)
        return sum(_end(selection, held, origin, reason) for selection in selected)


def access_token(token: AccessToken, origin: audit.Origin, *, reason: str) -> bool:
    """Revoke one access token (RFC 7009 section 2.1); tell whether this call did it.

    Side effects: one row, one audit event.
    """
    with joined():
        live = AccessToken.objects.filter(pk=token.pk, revoked_at=None)
        if not live.update(revoked_at=clock.now()):
            return False
        audit.record(
            TOKEN_REVOKED, origin, delegation=token.delegation, jti=token.jti, reason=reason
        )
        status_cache.changed()
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


def _end(selection: Selection, held: set[UUID], origin: audit.Origin, reason: str) -> int:
    # Only what their events say: there may be a hundred thousand of them
    found = selection.tops.order_by("pk").only(*_TOLD)
    # Looked for under the locks, so that what is told is what ends. A tree that came since is not
    # locked: while a part of it ended, somebody could add to that part.
    tops = [top for top in found if top.root_id in held]
    if not tops:
        return 0
    paths = dict(_held_rows(selection, held))
    sizes = _sizes(paths.values(), tops)
    # By their keys: SQLite asks a subquery of an UPDATE while it updates, and misses what is below
    ended = sum(
        _update(Delegation.objects.filter(pk__in=some), origin, reason) for some in _batches(paths)
    )
    audit.record_each(
        DELEGATION_REVOKED,
        origin,
        ((top, {"delegations": sizes[top.path]}) for top in tops),
        reason=reason,
    )
    _announce(tops, reason, sizes)
    return ended


def _held_rows(selection: Selection, held: set[UUID]) -> Iterator[tuple[int, str]]:
    for pk, root, path in selection.rows.values_list("pk", "root", "path").iterator():
        if root in held:
            yield pk, path


def _batches(keys: Iterable[K]) -> Iterator[list[K]]:
    rest = iter(keys)
    while some := list(islice(rest, _BATCH)):
        yield some


def _sizes(rows: Iterable[str], tops: list[Delegation]) -> Counter[str]:
    # One pass over the paths: a tree may have many tops
    paths = {top.path for top in tops}
    lengths = sorted({len(path) for path in paths})
    sizes: Counter[str] = Counter()
    for path in rows:
        sizes[next((path[:n] for n in lengths if path[:n] in paths), "")] += 1
    return sizes


def _hold_trees(selected: Iterable[Selection]) -> set[UUID]:
    roots = {
        root
        for selection in selected
        for root in selection.rows.values_list("root", flat=True).distinct().iterator()
    }
    held: set[UUID] = set()
    # All of them in one order, so that two of these can't wait for each other
    for some in _batches(sorted(roots)):
        rows = Delegation.objects.filter(public_id__in=some).order_by("public_id")
        held.update(rows.select_for_update().values_list("public_id", flat=True))
    return held


def _update(rows: QuerySet[Delegation], origin: audit.Origin, reason: str) -> int:
    return rows.update(
        revoked_at=clock.now(),
        revoked_by=audit.printable(origin.actor, 300) or "system",
        revocation_reason=audit.printable(reason, 255),
    )


def _announce(tops: list[Delegation], reason: str, sizes: Mapping[str, int]) -> None:
    ended = [(top.public_id, sizes[top.path]) for top in tops]

    def send() -> None:
        for public_id, count in ended:
            delegation_revoked.send_robust(
                sender=Delegation, delegation_id=public_id, reason=reason, count=count
            )

    transaction.on_commit(send, using=database())
    status_cache.changed()
