"""What a person has allowed that an operator has to confirm, and what became of it."""

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

# After that nobody waits for the news any more
_NEWS: Final = timedelta(days=30)
_MOST: Final = 20

_Confirmation = ConsentRecord.Confirmation


@dataclass(frozen=True, slots=True)
class PendingConsent:
    """An answer that an operator has to confirm, or has decided about lately.

    Attributes:
        app: the name of the client, as it was shown.
        client_id: of the client.
        when: when the person answered.
        scopes: what they allowed, with the site's descriptions.
        state: `pending`, `confirmed` or `refused`.
    """

    app: str
    client_id: str
    when: datetime
    scopes: list[tuple[str, str]]
    state: str


def pending_consents(person: AbstractBaseUser) -> list[PendingConsent]:
    """Return what waits, and what was decided in the last 30 days and led to nothing yet.

    Reads only, one statement.
    """
    now = clock.now()
    opened = Delegation.objects.filter(consent=OuterRef("pk"))
    decided = Q(
        ~Exists(opened),
        confirmation__in=[_Confirmation.CONFIRMED, _Confirmation.REFUSED],
        confirmation_at__gt=now - _NEWS,
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
        for row in rows.order_by("-decided_at")[:_MOST]
    ]
