"""The connections of a user: each root delegation, as the pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import name_search
from delegation_app.services.connections import facts
from delegation_app.services.consent.history import descriptions
from delegation_app.services.delegations.state import state, with_state
from delegation_app.services.paging import Cursor, KeysetList, Page

PAGE: Final = 25
UNUSED_AFTER: Final = timedelta(days=90)
# A longer list does not help a choice
_MAX_APPS: Final = 200


class NoSuchConnection(OAuthError):
    """The connection does not exist or belongs to another user; the error does not show which."""

    code = "not_found"
    status = 404


class Show(StrEnum):
    """The state of the listed connections."""

    LIVE = "live"
    UNUSED = "unused"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ConnectionQuery:
    """The filter of the connections, and a page of them.

    Attributes:
        show: by state.
        app: by client id; empty for all.
        unused: the minimum time without use, for `UNUSED`.
        size: the number of connections on a page.
        cursor: of the page; None for the first one.
    """

    show: Show = Show.LIVE
    app: str = ""
    unused: timedelta = UNUSED_AFTER
    size: int = PAGE
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A delegation as the pages show it.

    Attributes:
        key: its public id.
        app: the name of its client; the client id of a deleted one.
        state: its state.
        scopes: names with the site's descriptions.
        services: the names of its resource servers.
        granted, expires: its issue and its expiry; None for no expiry.
        used: the last known use; None if there is none.
        origin: the network of the last token request; may be empty.
        live_tokens: the number of live access tokens, including those of its descendants.
        passed_on: the number of live descendants.
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


def page(person: AbstractBaseUser, query: ConnectionQuery) -> Page[Connection]:
    """Return a page of the user's connections, newest first. Reads only."""
    found = KeysetList("issued_at", [_rows(person, query)]).page(query.size, query.cursor)
    return Page(described(found.rows), found.newer, found.older)


def apps(person: AbstractBaseUser) -> list[tuple[str, str]]:
    """Return the client ids and names of all apps that a user ever connected, by name."""
    held = Delegation.objects.filter(principal_user=person.pk, parent=None).order_by()
    ids = list(held.values_list("delegate_client_id", flat=True).distinct()[:_MAX_APPS])
    known = name_search.client_names(ids)
    return sorted(((key, known.get(key, key)) for key in ids), key=lambda app: app[1].casefold())


def owned(person: AbstractBaseUser, key: str) -> Any:
    """Return a delegation of a user, a root or a descendant.

    Args:
        person: the user.
        key: its public id as text, from an address or a form.

    Raises:
        NoSuchConnection: malformed, unknown or of another user.
    """
    public_id = as_uuid(key)
    found = None if public_id is None else of_person(person).filter(public_id=public_id).first()
    if found is None:
        raise NoSuchConnection("There is no such connection.")
    return found


def of_person(person: AbstractBaseUser) -> QuerySet[Any]:
    """Return all delegations of a user; see `with_clients`."""
    return with_clients(Delegation.objects.filter(principal_user=person.pk))


def with_clients(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Load the rows that `state` and `app_name` need."""
    return with_state(rows).select_related("delegate")


def app_name(row: Delegation) -> str:
    """Return the name of the client of a delegation; the client id of a deleted one."""
    return row.delegate_client_id if row.delegate is None else str(row.delegate)


def described(rows: Sequence[Any]) -> list[Connection]:
    """Return delegations of `with_state` as connections, in a fixed number of statements."""
    services = name_search.service_names(name for row in rows for name in row.audience)
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
            # A delegation without a recorded use was used when its last token was requested
            used=row.last_used_at or last.get(row.pk, none).when,
            origin=last.get(row.pk, none).origin,
            live_tokens=tokens.get(row.public_id, 0),
            passed_on=below.get(row.public_id, 0),
        )
        for row in rows
    ]


def _rows(person: AbstractBaseUser, query: ConnectionQuery) -> QuerySet[Any]:
    now, rows = clock.now(), of_person(person).filter(parent=None)
    if query.app:
        rows = rows.filter(delegate_client_id=query.app)
    if query.show is Show.ALL:
        return rows
    rows = rows.filter(is_in_force=True)
    if query.show is Show.UNUSED:
        # The first token is issued within a minute, so no query for tokens is needed
        rows = rows.annotate(used=Coalesce("last_used_at", "issued_at"))
        rows = rows.filter(used__lt=now - query.unused)
    return rows
