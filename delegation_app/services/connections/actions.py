"""Ending and narrowing connections, through the same services as the admin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import Promise

from delegation_app import clock, primary, toolkit
from delegation_app.conf import conf
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services import audit, name_search
from delegation_app.services.connections import listing
from delegation_app.services.connections.timeline import NO_REASON
from delegation_app.services.consent import approval
from delegation_app.services.consent.durations import LIFETIMES
from delegation_app.services.delegations import creation, revocation, selection
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.selection import Preview, Selection, preview
from delegation_app.services.delegations.state import not_over
from delegation_app.services.transactions import durable

_NARROWED: Final = "narrowed by the user"
# Longer lists do not help the decision
_MAX_NAMES: Final = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """The effects of ending connections.

    Attributes:
        opened: the number of root delegations.
        passed_on: the number of child delegations.
        apps, services: the names of the clients and of the resource servers.
        counts: the live tokens, and until when an offline verifier may accept one.
        seconds: until verifiers that follow the status lists refuse the tokens.
    """

    opened: int
    passed_on: int
    apps: list[str]
    services: list[str]
    counts: Preview
    seconds: int


def of_one(row: Delegation) -> Ending:
    """Return the effects of ending a delegation. Reads only."""
    return _ending(selection.subtree(row))


def of_all(person: AbstractBaseUser, client_id: str = "") -> Ending:
    """Return the effects of ending all connections, or all of one app. Reads only.

    Raises:
        NoSuchConnection: the user has no connection and no pending consent of this app.
    """
    return _ending(_all(person, client_id))


@durable
def end(row: Delegation, origin: audit.RequestContext, *, reason: str) -> int:
    """End a delegation and everything below it; see `revocation.subtree`."""
    return revocation.subtree(row, origin, reason=reason or NO_REASON)


@durable
def end_all(
    person: AbstractBaseUser, origin: audit.RequestContext, *, reason: str, client_id: str = ""
) -> int:
    """End all connections of a user, or all of one app, and return the number of ended delegations.

    Effective and pending consents are withdrawn as well: otherwise an app that revoked its own
    tokens could obtain a delegation from one without a prompt.

    Raises:
        NoSuchConnection: the user has no connection and no pending consent of this app.

    Side effects: those of `revocation.revoke_selections`, and of `approval.withdraw` for each
    effective consent.
    """
    reason, answers = reason or NO_REASON, _revocable_consents(person, client_id)
    # Locked before the trees, as in every withdrawal, to avoid deadlocks
    list(answers.select_for_update().values_list("pk"))
    ended = revocation.revoke_selections([_all(person, client_id)], origin, reason=reason)
    for answer in answers:
        ended += approval.withdraw(answer, origin, reason=reason, leaves_block=False)
    return ended


@durable
def narrow(row: Delegation, to: Narrowing, origin: audit.RequestContext) -> Delegation:
    """Narrow a delegation and all below it; see `creation.narrow`.

    Raises:
        InvalidRequest: nothing would change.
    """
    to.require_change(row)
    return creation.narrow(row, to, origin, reason=_NARROWED)


def shorter(row: Delegation) -> list[tuple[int, Promise]]:
    """Return the durations that end before the delegation, in seconds and in words."""
    now = clock.now()
    return [
        (seconds, label)
        for seconds, label in LIFETIMES
        if row.expires_at is None or now + timedelta(seconds=seconds) < row.expires_at
    ]


def chosen_end(row: Delegation, seconds: str | None, day: str | None) -> datetime | None:
    """Return the selected expiry of a delegation; None for its present one.

    Args:
        row: the delegation.
        seconds: one of `shorter`, or None.
        day: the last day as a date (ISO 8601) in the current time zone, or None.

    Raises:
        InvalidRequest: both are given, the duration is not offered, or the day is invalid, past
            or after the present expiry.
    """
    if seconds is not None and day is not None:
        raise InvalidRequest("Choose a duration or a day, not both.")
    if day is not None:
        return _end_of(row, day)
    if seconds is None:
        return None
    for offered, _label in shorter(row):
        if seconds == str(offered):
            return clock.now() + timedelta(seconds=offered)
    raise InvalidRequest("Choose one of the offered durations.")


def last_day(row: Delegation) -> datetime:
    """Return the latest valid day: the day of the present expiry, or ten years from now."""
    return row.expires_at or clock.now() + timedelta(days=3650)


def is_over(row: Delegation) -> bool:
    """Return whether the connection has ended already."""
    is_expired = row.expires_at is not None and row.expires_at <= clock.now()
    return row.revoked_at is not None or is_expired


def _end_of(row: Delegation, day: str) -> datetime | None:
    try:
        chosen = datetime.strptime(day, "%Y-%m-%d").replace(hour=23, minute=59, second=59)  # noqa: DTZ007 - made aware below
    except ValueError as error:
        raise InvalidRequest("Write the day as year-month-day.") from error
    last = timezone.localtime(last_day(row))
    if chosen.date() > last.date():
        raise InvalidRequest("The day must not be later than the current end.")
    ends = timezone.make_aware(chosen)
    if ends <= clock.now():
        raise InvalidRequest("The day must not be in the past. To end it now, end the connection.")
    # On its last day, the present expiry applies
    return None if row.expires_at is not None and ends >= row.expires_at else ends


def _all(person: AbstractBaseUser, client_id: str) -> Selection:
    if not client_id:
        return selection.of_user(person)
    applications = primary.rows(toolkit.application_model())
    application = applications.filter(client_id=client_id).first()
    # Also for an app of other users: their connections are not disclosed
    mine = Delegation.objects.filter(principal_user=person.pk, delegate_client_id=client_id)
    # A pending consent has no delegation yet, but can be withdrawn
    is_known = mine.exists() or _revocable_consents(person, client_id).exists()
    if application is None or not is_known:
        raise listing.NoSuchConnection("There is no such app.")
    return selection.of_user_at_client(person, application)


def _revocable_consents(person: AbstractBaseUser, client_id: str) -> QuerySet[ConsentRecord]:
    now = clock.now()
    still = ConsentRecord.objects.effective(now) | ConsentRecord.objects.awaiting(now)
    answers = still.filter(user=person.pk)
    if client_id:
        answers = answers.filter(client_id_value=client_id)
    return answers.order_by("pk")


def _ending(selection: Selection) -> Ending:
    rows = not_over(selection.rows).order_by()
    ids = list(rows.values_list("delegate_client_id", flat=True).distinct()[:_MAX_NAMES])
    reach = list(rows.values_list("audience", flat=True).distinct()[:_MAX_NAMES])
    audience = sorted({identifier for some in reach for identifier in some})
    known, servers = name_search.client_names(ids), name_search.service_names(audience)
    opened = rows.filter(parent=None).count()
    return Ending(
        opened=opened,
        passed_on=rows.count() - opened,
        apps=sorted(known.get(key, key) for key in ids),
        services=[servers.get(identifier, identifier) for identifier in audience],
        counts=preview([selection]),
        # The maximum age of a served list, plus the interval between two polls
        seconds=conf.status_list_ttl + conf.status_list_cache_seconds,
    )
