"""What a person answered before, as far as it still speaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from delegation_app import clock
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.models.consent import ConsentQuerySet
from delegation_app.protocol.scope import Scope
from delegation_app.services import risk
from delegation_app.services.asked import ON_A_DEVICE, Asked

# A person who answered more often than that in one matter is asked again
_MOST: Final = 50


def covering(asked: Asked) -> ConsentRecord | None:
    """Return a standing consent of this person that covers the request, or None.

    A consent no longer speaks once somebody other than the client itself has revoked what it
    opened, or has narrowed it: the person shall be asked again, or the next request would open all
    of it anew.
    """
    return next((one for one in _speaking(asked) if asked.scope <= one.scopes_granted), None)


def looked_back(asked: Asked, *, whole: bool) -> Asked:
    """Return the same question with what was granted before.

    Only what would not be asked about by itself is left out of the question: not so for a public
    client, for one that asks always, and on devices.

    Args:
        asked: the question.
        whole: whether the client wants all of it asked (`prompt=consent`).
    """
    if asked.is_on_a_device:
        return asked
    before = granted(asked)
    # RFC 8252 section 8.6: anybody can claim to be a public client, so it is asked about each time
    client = asked.client
    again = whole or client.policy.always_ask or not client.is_confidential
    if again or before == asked.scope:
        return replace(asked, known=before)
    return replace(asked, held=before)


def granted(asked: Asked) -> Scope:
    """Return the part of what is asked that standing consents grant already."""
    return asked.scope & Scope(name for one in _speaking(asked) for name in one.scopes_granted)


def confirmed(asked: Asked, scope: Scope) -> ConsentRecord | None:
    """Return a standing consent in which an operator has confirmed all of `scope`, or None."""
    found = _speaking(asked, confirmation=ConsentRecord.Confirmation.CONFIRMED)
    return next((one for one in found if scope <= one.scopes_granted), None)


def held_until(asked: Asked, scope: Scope) -> datetime | None:
    """Return how long all of `scope` is granted already; None for no end, or none of it."""
    speaking = _speaking(asked) if scope else []
    ends = []
    for name in scope:
        found = [one.chosen_expiry for one in speaking if name in one.scopes_granted]
        if found and None not in found:
            ends.append(max(end for end in found if end is not None))
    return min(ends, default=None)


def waiting(asked: Asked) -> ConsentRecord | None:
    """Return the answer to this question that waits for an operator, or None."""
    risky = risk.risky(asked.scope)
    if not risky or not asked.client.policy.confirm_risky:
        return None
    rows = _of_pair(ConsentRecord.objects.awaiting(clock.now()), asked)
    for one in rows[:_MOST]:
        if asked.scope <= one.scopes_asked and risky & one.scopes_granted and _fits(one, asked):
            return one
    return None


def _speaking(asked: Asked, **columns: str) -> list[ConsentRecord]:
    # What others made of it carries the same consent, and is their own matter
    roots = Delegation.objects.filter(consent=OuterRef("pk"), parent=None)
    by_others = roots.filter(revoked_at__isnull=False).exclude(revoked_by=asked.client.subject)
    rows = _of_pair(ConsentRecord.objects.standing(clock.now()), asked)
    rows = rows.filter(
        ~Exists(by_others), ~Exists(roots.filter(last_wider_token__isnull=False)), **columns
    )
    return [one for one in rows[:_MOST] if _fits(one, asked)]


def _of_pair(rows: ConsentQuerySet, asked: Asked) -> QuerySet[ConsentRecord]:
    # Who was asked about a device was not asked about what happens in a browser
    on_a_device = Q(redirect_host=ON_A_DEVICE)
    return rows.filter(
        on_a_device if asked.is_on_a_device else ~on_a_device,
        user=asked.sign_in.user.pk,
        client=asked.client.application,
    ).order_by("-decided_at")


def _fits(record: ConsentRecord, asked: Asked) -> bool:
    # Also what was promised about the limits has to hold
    return asked.audience <= record.audience and asked.constraints.is_within(record.constraints)
