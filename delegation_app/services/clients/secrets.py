"""Client secrets: comparison without a slow hash, and replacement."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.core.exceptions import ObjectDoesNotExist
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables

from delegation_app import clock, toolkit
from delegation_app.events import PREVIOUS_SECRET_ENDED, SECRET_ROTATED
from delegation_app.models import PreviousSecret, SecretDigest
from delegation_app.protocol.secrets import digest, is_random, new_secret
from delegation_app.services import audit
from delegation_app.services.transactions import database, durable, durable_once, nested
from delegation_app.toolkit import Application


class ChangedMeanwhile(Exception):
    """The secret changed after the page was shown, or the client has none."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The result of a replacement.

    Attributes:
        secret: the new one, of which this is the only readable copy.
        former_until: the end of the previous one; None if it ended immediately.
    """

    secret: str = field(repr=False)
    former_until: datetime | None


def mark_of(application: Application) -> str:
    """Return a value that identifies the stored secret without revealing it."""
    salt = "delegation_app.client_secrets"
    return salted_hmac(salt, application.client_secret, algorithm="sha256").hexdigest()


def former_of(application: Application) -> PreviousSecret | None:
    """Return the previous secret of a client, if it is still valid.

    No statement if the application was read by `lookup.find`.
    """
    try:
        former: PreviousSecret = application.delegation_previous_secret
    except ObjectDoesNotExist:
        return None
    return former if former.goes_on(application.client_secret, clock.now()) else None


@sensitive_variables("secret")
def quickly_judged(
    application: Application, former: PreviousSecret | None, secret: str
) -> bool | None:
    """Compare `secret` with the current one of a client, if possible without a slow hash.

    Args:
        application: the client, read by `lookup.find`.
        former: `former_of` the client.
        secret: as sent.

    Returns:
        Whether it matches; None if that needs a slow hash.
    """
    stored = application.client_secret
    if former is not None:
        return hmac.compare_digest(former.successor_digest, digest(secret))
    if kept := _digest_of(application):
        return hmac.compare_digest(kept, digest(secret))
    if toolkit.is_hashed(stored):
        return None
    return toolkit.readable_secret_matches(stored, secret)


@sensitive_variables("secret")
def quickly_judged_former(former: PreviousSecret, secret: str) -> bool | None:
    """Compare `secret` with a valid previous one; see `quickly_judged`."""
    if not former.digest:
        return None
    return hmac.compare_digest(former.digest, digest(secret))


@sensitive_variables("secret")
def keep_digest_if_random(application: Application, secret: str) -> None:
    """Store the digest of a client's current secret if it was generated (see `is_random`).

    From then on it costs no slow hash. A possibly typed secret has only its slow hash.

    Args:
        application: the client.
        secret: verified to be the current one.

    Side effects: one row written, in the transaction around it if there is one.
    """
    if is_random(secret, generated=toolkit.generated_secret_length()):
        keep_digest(application, secret)


@sensitive_variables("secret")
def keep_digest(application: Application, secret: str) -> None:
    """Store the digest of a client's current secret, generated here.

    Side effects: one row written, in the transaction around it if there is one.
    """
    row = SecretDigest(
        application_id=application.pk,
        digest=digest(secret),
        current_digest=digest(application.client_secret),
    )
    # Of two concurrent rows, the one of the replaced secret is void
    with nested():
        SecretDigest.objects.bulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["application"],
            update_fields=["digest", "current_digest"],
        )


@sensitive_variables("secret")
@durable_once
def replace(
    application: Application, origin: audit.RequestContext, *, overlap: timedelta, seen: str
) -> Replaced:
    """Replace the secret of a confidential client.

    A still valid previous one ends: there are two secrets at most.

    Args:
        application: the client.
        origin: the operator.
        overlap: how long the current one stays valid; zero ends it immediately.
        seen: `mark_of` the client when the page was shown, so that a repeated POST does not
            replace the new secret.

    Raises:
        ChangedMeanwhile: the secret was changed, or the client was deleted or is public.

    Side effects: locks and changes the application's row, writes its digest, writes or deletes a
    previous secret, and one audit event, in a transaction of its own.
    """
    row = _locked(application)
    if row is None or not constant_time_compare(mark_of(row), seen):
        raise ChangedMeanwhile
    secret, until = new_secret(), clock.now() + overlap if overlap else None
    _store(row, secret, until)
    details = {"former_until": until.isoformat() if until else None}
    audit.record(SECRET_ROTATED, origin, client_id=row.client_id, details=details)
    return Replaced(secret, until)


@durable
def end_former(application: Application, origin: audit.RequestContext) -> bool:
    """End the previous secret of a client now.

    Returns:
        Whether there was a valid one.

    Side effects: locks the application's row; deletes a row and records one audit event, or
    nothing.
    """
    row = _locked(application)
    if row is None or former_of(row) is None:
        return False
    PreviousSecret._default_manager.filter(application=row).delete()
    audit.record(PREVIOUS_SECRET_ENDED, origin, client_id=row.client_id)
    return True


@sensitive_variables("secret")
def _store(row: Application, secret: str, until: datetime | None) -> None:
    own_digest = _digest_of(row)
    before, row.client_secret = map(toolkit.hashed_secret, (row.client_secret, secret))
    row.save(update_fields=["client_secret"])
    keep_digest(row, secret)
    if until is None:
        PreviousSecret._default_manager.filter(application=row).delete()
        return
    former = {
        "hashed": before,
        "digest": own_digest,
        "successor_digest": digest(secret),
        "current_digest": digest(row.client_secret),
        "ends_at": until,
    }
    PreviousSecret._default_manager.update_or_create(application=row, defaults=former)


def _digest_of(application: Application) -> str:
    try:
        kept: SecretDigest = application.delegation_secret_digest
    except ObjectDoesNotExist:
        return ""
    return kept.digest if kept.is_of(application.client_secret) else ""


def _locked(application: Application) -> Application | None:
    rows = toolkit.application_model()._default_manager.using(database())
    found: Application | None = rows.select_for_update().filter(pk=application.pk).first()
    return found if found is not None and toolkit.is_confidential(found) else None
