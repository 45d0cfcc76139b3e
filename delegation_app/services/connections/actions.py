"""A person ends or narrows what they let apps do. All goes the way that operators' deeds go."""

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
from delegation_app.services import audit
from delegation_app.services.connections import listing
from delegation_app.services.connections.facts import service_names
from delegation_app.services.connections.timeline import NO_REASON
from delegation_app.services.consent import authorize
from delegation_app.services.consent.history import LIFETIMES
from delegation_app.services.delegations import creation, revocation, selection
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.preview import Preview, preview
from delegation_app.services.delegations.selection import Selection
from delegation_app.services.delegations.state import not_over
from delegation_app.services.transactions import durable

_NARROWED: Final = "narrowed by the person"
# Nobody reads longer lists before they press a button
_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """What would end.

    Attributes:
        opened: how many of them the person opened.
        passed_on: how many were made from others.
        apps, services: who and where, by name.
        counts: tokens, and until when somebody who never asks may go by one.
        seconds: how long services that verify by themselves may take to notice.
    """

    opened: int
    passed_on: int
    apps: list[str]
    services: list[str]
    counts: Preview
    seconds: int


def of_one(row: Delegation) -> Ending:
    """Return what ending a delegation would end. Reads only."""
    return _ending(selection.subtree(row))


def of_all(person: AbstractBaseUser, client_id: str = "") -> Ending:
    """Return what ending everything would end, or everything of one app. Reads only.

    Raises:
        NoSuchConnection: there is no such app.
    """
    return _ending(_all(person, client_id))


@durable
def end(row: Delegation, origin: audit.RequestContext, *, reason: str) -> int:
    """End a delegation and all that was made from it; see `revocation.subtree`."""
    return revocation.subtree(row, origin, reason=reason or NO_REASON)


@durable
def end_all(
    person: AbstractBaseUser, origin: audit.RequestContext, *, reason: str, client_id: str = ""
) -> int:
    """End everything of a person, or of one app, and return how many delegations ended.

    Answers that still speak, or will once an operator has confirmed them, are withdrawn as well:
    an app that gave its own tokens back could start again on one without asking.

    Raises:
        NoSuchConnection: there is no such app.

    Side effects: those of `revocation.revoke_selections`, and of `authorize.withdraw` for each
    effective consent.
    """
    reason, answers = reason or NO_REASON, _standing_answers(person, client_id)
    # Before the trees, as every withdrawal: two of these never wait for each other
    list(answers.select_for_update().values_list("pk"))
    ended = revocation.revoke_selections([_all(person, client_id)], origin, reason=reason)
    for answer in answers:
        ended += authorize.withdraw(answer, origin, reason=reason, leaves_block=False)
    return ended


@durable
def narrow(row: Delegation, to: Narrowing, origin: audit.RequestContext) -> Delegation:
    """Narrow a delegation and all below it; see `creation.narrow`.

    Raises:
        InvalidRequest: nothing would change.
    """
    if to.expires_at in {None, row.expires_at} and to.scope in {None, row.scopes}:
        raise InvalidRequest("This would change nothing.")
    return creation.narrow(row, to, origin, reason=_NARROWED)


def shorter(row: Delegation) -> list[tuple[int, Promise]]:
    """Return the times from now, in seconds and with their names, that end before it does."""
    now = clock.now()
    return [
        (seconds, label)
        for seconds, label in LIFETIMES
        if row.expires_at is None or now + timedelta(seconds=seconds) < row.expires_at
    ]


def chosen_end(row: Delegation, seconds: str | None, day: str | None) -> datetime | None:
    """Return when it shall end; None for when it ends anyway.

    Args:
        row: the delegation.
        seconds: one of `shorter`, or None.
        day: a date (ISO 8601) at the end of which it shall end, in the current time zone, or None.

    Raises:
        InvalidRequest: both, none of those that were offered, no date, past, or too late.
    """
    if seconds is not None and day is not None:
        raise InvalidRequest("Choose a time or a day, not both.")
    if day is not None:
        return _end_of(row, day)
    if seconds is None:
        return None
    for offered, _label in shorter(row):
        if seconds == str(offered):
            return clock.now() + timedelta(seconds=offered)
    raise InvalidRequest("The chosen time is none of those that were offered.")


def last_day(row: Delegation) -> datetime:
    """Return the latest day that may be chosen: when it ends, or in ten years."""
    return row.expires_at or clock.now() + timedelta(days=3650)


def is_over(row: Delegation) -> bool:
    """Tell whether there is nothing left to end."""
    is_expired = row.expires_at is not None and row.expires_at <= clock.now()
    return row.revoked_at is not None or is_expired


def _end_of(row: Delegation, day: str) -> datetime | None:
    try:
        chosen = datetime.strptime(day, "%Y-%m-%d").replace(hour=23, minute=59, second=59)  # noqa: DTZ007 - made aware below
    except ValueError as error:
        raise InvalidRequest("Write the day as year-month-day.") from error
    last = timezone.localtime(last_day(row))
    if chosen.date() > last.date():
        raise InvalidRequest("The day must not be later than it ends now.")
    ends = timezone.make_aware(chosen)
    if ends <= clock.now():
        raise InvalidRequest("The day must not be in the past. To end it now, end the connection.")
    # On its last day it ends when it did
    return None if row.expires_at is not None and ends >= row.expires_at else ends


def _all(person: AbstractBaseUser, client_id: str) -> Selection:
    if not client_id:
        return selection.of_user(person)
    applications = primary.rows(toolkit.application_model())
    application = applications.filter(client_id=client_id).first()
    # Also where there is one: nobody is told which apps others use
    mine = Delegation.objects.filter(principal_user=person.pk, delegate_client_id=client_id)
    # An answer that waits for an operator opens nothing yet, and can be taken back all the same
    is_known = mine.exists() or _standing_answers(person, client_id).exists()
    if application is None or not is_known:
        raise listing.NoSuchConnection("There is no such app.")
    return selection.of_user_at_client(person, application)


def _standing_answers(person: AbstractBaseUser, client_id: str) -> QuerySet[ConsentRecord]:
    now = clock.now()
    still = ConsentRecord.objects.effective(now) | ConsentRecord.objects.awaiting(now)
    answers = still.filter(user=person.pk)
    if client_id:
        answers = answers.filter(client_id_value=client_id)
    return answers.order_by("pk")


def _ending(selection: Selection) -> Ending:
    rows = not_over(selection.rows).order_by()
    ids = list(rows.values_list("delegate_client_id", flat=True).distinct()[:_MOST])
    reach = list(rows.values_list("audience", flat=True).distinct()[:_MOST])
    audience = sorted({identifier for some in reach for identifier in some})
    known, servers = listing.app_names(ids), service_names(audience)
    opened = rows.filter(parent=None).count()
    return Ending(
        opened=opened,
        passed_on=rows.count() - opened,
        apps=sorted(known.get(key, key) for key in ids),
        services=[servers.get(identifier, identifier) for identifier in audience],
        counts=preview([selection]),
        # A list may be that old when it is served, and is asked for again after that time
        seconds=conf.status_list_ttl + conf.status_list_cache_seconds,
    )
