"""What a person lets apps do, as they see it: a row for each delegation that they opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from delegation_app import clock, primary, toolkit
from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services.connections import facts
from delegation_app.services.consent.history import descriptions
from delegation_app.services.delegations.state import state, with_state

PAGE: Final = 25
UNUSED_AFTER: Final = timedelta(days=90)
# More apps than that are no list to choose from
_MOST_APPS: Final = 200


class NoSuchConnection(OAuthError):
    """There is none, or it is somebody else's: nobody is told which."""

    code = "not_found"
    status = 404


class Show(StrEnum):
    """Which connections to list."""

    LIVE = "live"
    UNUSED = "unused"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """What to list.

    Attributes:
        show: by how they stand.
        app: by client id; empty for all.
        unused: for how long those have not been used that `UNUSED` shows.
        size: how many on a page.
        before, after: public ids: those older than one, or newer; at most one is given.
    """

    show: Show = Show.LIVE
    app: str = ""
    unused: timedelta = UNUSED_AFTER
    size: int = PAGE
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """A delegation in a person's words.

    Attributes:
        key: its public id.
        app: the name of its client; one that was deleted goes by its client id.
        state: how it stands.
        scopes: names with the site's descriptions.
        services: where, by name.
        granted, expires: since when, and until when; None for no end.
        used: the last use that this site knows of; None if there was none.
        origin: the network from which its last token was asked for; may be empty.
        live_tokens: how many access tokens are good now, those of what was made from it too.
        passed_on: how many live delegations were made from it.
    """

    key: str
    app: str
    state: Delegation.State
    scopes: list[tuple[str, str]]
    services: list[str]
    granted: datetime
    expires: datetime | None
    used: datetime | None
    origin: str
    live_tokens: int
    passed_on: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of them, newest first.

    Attributes:
        rows: at most as many as were asked for.
        newer, older: the keys from which the neighbouring pages go on; empty if there is none.
    """

    rows: list[Connection]
    newer: str
    older: str


def listed(person: AbstractBaseUser, chosen: ConnectionQuery) -> Listing:
    """Return a page of what a person opened. Reads only: the number of statements is fixed.

    Raises:
        NoSuchConnection: `before` or `after` is none of theirs.
    """
    rows, forward = _chosen(person, chosen), bool(chosen.after)
    if anchor := chosen.after or chosen.before:
        at = owned(person, anchor)
        if forward:
            rows = rows.filter(
                Q(issued_at__gt=at.issued_at) | Q(issued_at=at.issued_at, pk__gt=at.pk)
            )
        else:
            rows = rows.filter(
                Q(issued_at__lt=at.issued_at) | Q(issued_at=at.issued_at, pk__lt=at.pk)
            )
    order = ("issued_at", "pk") if forward else ("-issued_at", "-pk")
    found = list(rows.order_by(*order)[: chosen.size + 1])
    is_more, found = len(found) > chosen.size, found[: chosen.size]
    if forward:
        found.reverse()
    has_newer = is_more if forward else bool(chosen.before)
    has_older = forward or is_more
    return Listing(
        described(found),
        newer=str(found[0].public_id) if found and has_newer else "",
        older=str(found[-1].public_id) if found and has_older else "",
    )


def apps(person: AbstractBaseUser) -> list[tuple[str, str]]:
    """Return the client ids and names of the apps that a person ever let act, by name."""
    held = Delegation.objects.filter(principal_user=person.pk, parent=None).order_by()
    ids = list(held.values_list("delegate_client_id", flat=True).distinct()[:_MOST_APPS])
    known = app_names(ids)
    return sorted(((key, known.get(key, key)) for key in ids), key=lambda app: app[1].casefold())


def app_names(client_ids: Sequence[str]) -> dict[str, str]:
    """Return the names of clients by client id, in one statement."""
    rows = primary.rows(toolkit.application_model()).filter(client_id__in=client_ids)
    return {row.client_id: str(row) for row in rows}


def owned(person: AbstractBaseUser, key: str) -> Any:
    """Return a delegation of a person: one that they opened, or one that was made from it.

    Args:
        person: who asks.
        key: its public id as text, from an address or a form.

    Raises:
        NoSuchConnection: malformed, unknown or somebody else's.
    """
    public_id = as_uuid(key)
    found = None if public_id is None else of_person(person).filter(public_id=public_id).first()
    if found is None:
        raise NoSuchConnection("There is no such connection.")
    return found


def of_person(person: AbstractBaseUser) -> QuerySet[Any]:
    """Return all delegations under a person's authority, with whether each is in force."""
    return with_clients(Delegation.objects.filter(principal_user=person.pk))


def with_clients(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Return rows that `state` and `app_name` can tell about without another statement."""
    return with_state(rows).select_related("delegate")


def app_name(row: Delegation) -> str:
    """Return how people know the client of a delegation."""
    return row.delegate_client_id if row.delegate is None else str(row.delegate)


def described(rows: Sequence[Any]) -> list[Connection]:
    """Return delegations of `with_state` in words, in as many statements for one as for many."""
    services = facts.service_names(name for row in rows for name in row.audience)
    tokens, below = facts.live_tokens(rows), facts.passed_on(rows)
    last = facts.last_requests([row.pk for row in rows])
    none = facts.LastRequest(None, "")
    return [
        Connection(
            key=str(row.public_id),
            app=app_name(row),
            state=state(row),
            scopes=descriptions(row.scopes),
            services=[services.get(name, name) for name in row.audience],
            granted=row.issued_at,
            expires=row.expires_at,
            # Delegations from before issuing counted as a use have no time until the next one
            used=row.last_used_at or last.get(row.pk, none).when,
            origin=last.get(row.pk, none).origin,
            live_tokens=tokens.get(row.public_id, 0),
            passed_on=below.get(row.public_id, 0),
        )
        for row in rows
    ]


def _chosen(person: AbstractBaseUser, chosen: ConnectionQuery) -> QuerySet[Any]:
    now, rows = clock.now(), of_person(person).filter(parent=None)
    if chosen.app:
        rows = rows.filter(delegate_client_id=chosen.app)
    if chosen.show is Show.ALL:
        return rows
    rows = rows.filter(is_in_force=True)
    if chosen.show is Show.UNUSED:
        # The first token is fetched within a minute, so that needs no look at the tokens
        rows = rows.annotate(used=Coalesce("last_used_at", "issued_at"))
        rows = rows.filter(used__lt=now - chosen.unused)
    return rows
