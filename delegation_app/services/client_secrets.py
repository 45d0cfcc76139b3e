"""A client gets a new secret, and the former one may go on for a while."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ObjectDoesNotExist
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from delegation_app import clock, toolkit
from delegation_app.events import FORMER_SECRET_ENDED, SECRET_ROTATED
from delegation_app.models import FormerSecret
from delegation_app.protocol.secrets import digest, new_secret
from delegation_app.services import audit
from delegation_app.services.transactions import database, own, own_once
from delegation_app.toolkit import Application


class ChangedMeanwhile(Exception):
    """The secret on file is not the one that the page was about, or the client keeps none."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of a client's secret.

    Attributes:
        secret: the new one; this is the only time that anybody can read it.
        former_until: how long the former one goes on; None if it ended at once.
    """

    secret: str = field(repr=False)
    former_until: datetime | None


def mark_of(application: Application) -> str:
    """Return what tells one stored secret from another, and nothing about either."""
    salt = "delegation_app.client_secrets"
    return salted_hmac(salt, application.client_secret, algorithm="sha256").hexdigest()


def former_of(application: Application) -> FormerSecret | None:
    """Return the secret that a client had before, if it still goes on.

    No statement if the application was read by `clients.find`.
    """
    try:
        former: FormerSecret = application.delegation_former_secret
    except ObjectDoesNotExist:
        return None
    return former if former.goes_on(application.client_secret, clock.now()) else None


@sensitive_variables("secret")
def is_current(application: Application, former: FormerSecret | None, secret: str) -> bool:
    """Tell whether `secret` is the one that a client has now; slow where no former one goes on."""
    if former is None:
        return toolkit.secret_matches(application, secret)
    return hmac.compare_digest(former.successor_digest, digest(secret))


@sensitive_variables("secret")
@own_once
def replace(
    application: Application, origin: audit.Origin, *, overlap: timedelta, seen: str
) -> Replaced:
    """Give a confidential client a new secret.

    A former one that still goes on from the time before ends: there are two at most.

    Args:
        application: the client.
        origin: who does it.
        overlap: how long the present one goes on; zero ends it at once.
        seen: `mark_of` the client when the page was made. A page that is sent again must not
            replace what was shown and written down.

    Raises:
        ChangedMeanwhile: the secret is another one by now, or the client is gone or public.

    Side effects: locks and changes the application's row, writes or deletes a former secret, and
    one audit event, in a transaction of its own.
    """
    row = _locked(application)
    if row is None or not constant_time_compare(mark_of(row), seen):
        raise ChangedMeanwhile
    secret, until = new_secret(), clock.now() + overlap if overlap else None
    _store(row, secret, until)
    details = {"former_until": until.isoformat() if until else None}
    audit.record(SECRET_ROTATED, origin, client_id=row.client_id, details=details)
    return Replaced(secret, until)


@own
def end_former(application: Application, origin: audit.Origin) -> bool:
    """End the former secret of a client now.

    Returns:
        Whether there was one that still went on.

    Side effects: locks the application's row; deletes a row and records one audit event, or
    nothing.
    """
    row = _locked(application)
    if row is None or former_of(row) is None:
        return False
    FormerSecret._default_manager.filter(application=row).delete()
    audit.record(FORMER_SECRET_ENDED, origin, client_id=row.client_id)
    return True


@sensitive_variables("secret")
def _store(row: Application, secret: str, until: datetime | None) -> None:
    before, row.client_secret = map(toolkit.hashed_secret, (row.client_secret, secret))
    row.save(update_fields=["client_secret"])
    if until is None:
        FormerSecret._default_manager.filter(application=row).delete()
        return
    former = {
        "hashed": before,
        "successor_digest": digest(secret),
        "beside": digest(row.client_secret),
        "ends_at": until,
    }
    FormerSecret._default_manager.update_or_create(application=row, defaults=former)


def _locked(application: Application) -> Application | None:
    rows = toolkit.application_model()._default_manager.using(database())
    found: Application | None = rows.select_for_update().filter(pk=application.pk).first()
    return found if found is not None and toolkit.is_confidential(found) else None
