"""Consents of a user that are pending approval by an operator, and recent decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, OuterRef, Q

from delegation_app import clock
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.history import descriptions

# How long a decision is shown
_SHOWN: Final = timedelta(days=30)
_MAX_SHOWN: Final = 20

_Confirmation = ConsentRecord.Confirmation


@dataclass(frozen=True, slots=True)
class PendingConsent:
    """A consent that is pending approval, or was decided recently.

    Attributes:
        app: the name of the client as shown.
        client_id: of the client.
        when: the time of the answer.
        scopes: what the user allowed, with the site's descriptions.
        state: `pending`, `confirmed` or `refused`.
    """

    app: str
    client_id: str
    when: datetime
    scopes: list[tuple[str, str]]
    state: str


def pending_consents(person: AbstractBaseUser) -> list[PendingConsent]:
    """Return pending consents, and those decided in the last 30 days without a delegation yet.

    Reads only, one statement.
    """
    now = clock.now()
    opened = Delegation.objects.filter(consent=OuterRef("pk"))
    decided = Q(
        ~Exists(opened),
        confirmation__in=[_Confirmation.CONFIRMED, _Confirmation.REFUSED],
        confirmation_at__gt=now - _SHOWN,
        withdrawn_at=None,
    )
    still = Q(pk__in=ConsentRecord.objects.awaiting(now).filter(user=person.pk).values("pk"))
    rows = ConsentRecord.objects.filter(decided | still, user=person.pk).exclude(confirmation="")
    return [
        PendingConsent(
            app=sanitize(row.client_name) or row.client_id_value,
            client_id=row.client_id_value,
            when=row.decided_at,
            scopes=descriptions(row.scopes_granted),
            state=row.confirmation,
        )
        for row in rows.order_by("-decided_at")[:_MAX_SHOWN]
    ]
