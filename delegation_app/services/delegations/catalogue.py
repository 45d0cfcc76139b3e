"""Delegations as scripts of operators read them: a page of them, or one."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet

from delegation_app.models import Delegation
from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services.delegations import listing
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import Count, ListingPosition
from delegation_app.services.delegations.state import with_state
from delegation_app.services.paging import Cursor, Page

MOST_COUNTED: Final = listing.COUNTED


class NoSuchDelegation(OAuthError):
    """There is none with this id."""

    code = "not_found"
    status = 404


def listed(chosen: DelegationFilter, size: int, after: str = "") -> Page[Any]:
    """Return a page of delegations, newest first, with all that a list shows. Reads only.

    Args:
        chosen: which.
        size: how many at most. One page reads a bounded part of the table, so it may have fewer;
            it is the last one if it has no `older`.
        after: the `older` of the page before.

    Raises:
        InvalidCursor: `after` is none.
    """
    start = None
    if after:
        cursor = Cursor.parse(after)
        start = ListingPosition(cursor.when, cursor.key)
    stretch = listing.fetch(chosen, most=size, start=start)
    end, rows = stretch.goes_on, listing.read(stretch.found, _told(Delegation.objects.all()))
    return Page(rows, older="" if end is None else str(Cursor(end.issued_at, end.pk)))


def find(key: str) -> Any:
    """Return one delegation as `listed` does, with its consent.

    Args:
        key: its public id as text, from an address.

    Raises:
        NoSuchDelegation: malformed or unknown.
    """
    public_id = as_uuid(key)
    rows = _told(Delegation.objects.select_related("consent"))
    found = None if public_id is None else rows.filter(public_id=public_id).first()
    if found is None:
        raise NoSuchDelegation("There is no such delegation.")
    return found


def children(row: Delegation) -> Count:
    """Return how many delegations were made from one directly, bounded. One statement."""
    found = Delegation.objects.filter(parent=row.pk).order_by()[: MOST_COUNTED + 1].count()
    return Count(min(found, MOST_COUNTED), is_all=found <= MOST_COUNTED)


def _told(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    made = Exists(Delegation.objects.filter(parent=OuterRef("pk")))
    told: QuerySet[Any] = with_state(rows).annotate(has_children=made)
    return told.select_related("principal_user", "delegate")
