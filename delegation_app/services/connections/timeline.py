"""What happened to a connection, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, Max, Min
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delegation_app.events import (
    BLOCK_LIFTED,
    DELEGATION_CHAINED,
    DELEGATION_CREATED,
    DELEGATION_NARROWED,
    DELEGATION_REVOKED,
)
from delegation_app.models import AccessToken, AuditEvent, Delegation
from delegation_app.protocol.claims import client_subject, user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent.history import descriptions

MOST: Final = 20
# What the record says where a person gave no reason; nothing to repeat to them
NO_REASON: Final = "ended by the person"

_MADE: Final = {DELEGATION_CREATED.name, DELEGATION_CHAINED.name}
_TOLD: Final = [
    event.name
    for event in (
        DELEGATION_CREATED,
        DELEGATION_CHAINED,
        DELEGATION_NARROWED,
        DELEGATION_REVOKED,
        BLOCK_LIFTED,
    )
]


@dataclass(frozen=True, slots=True)
class ConnectionEventLine:
    """Something that happened."""

    when: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """How a person is told who did what.

    Attributes:
        person: who reads it.
        apps: names by client id.
    """

    person: AbstractBaseUser
    apps: Mapping[str, str]

    def app(self, client_id: str) -> str:
        """Return the name of an app."""
        return self.apps.get(client_id, client_id)

    def who(self, actor: str) -> str:
        """Return who acted. Operators are not named: whose account it was is no matter of users."""
        if actor == user_subject(self.person.pk):
            return _("you")
        if actor.startswith(client_subject("")):
            return self.app(actor.removeprefix(client_subject("")))
        return _("an operator") if actor.startswith(user_subject("")) else _("this site")

    def reason(self, actor: str, text: str) -> str:
        """Return a reason that the person gave, or this site. What operators note is theirs."""
        is_theirs = actor in {user_subject(self.person.pk), "system"}
        return text if is_theirs and text != NO_REASON else ""


def past(row: Delegation, tree: Sequence[Delegation], words: Words) -> list[ConnectionEventLine]:
    """Return what happened to a delegation and below it, newest first and at most 20.

    Args:
        row: the delegation.
        tree: itself and those below that are shown.
        words: how to tell it.
    """
    told = AuditEvent.objects.filter(
        delegation__in=[node.pk for node in tree],
        event__in=_TOLD,
        outcome=AuditEvent.Outcome.DONE,
    )
    events = list(told[:MOST])
    # Tokens have whole seconds; none is older than what it stands on
    made = [event.occurred_at for event in events if event.event in _MADE]
    found = list(_tokens(row, [row.issued_at, *made][-1]))
    found += [ConnectionEventLine(event.occurred_at, _told_of(event, words)) for event in events]
    return sorted(found, key=lambda happening: happening.when, reverse=True)[:MOST]


def _told_of(event: AuditEvent, words: Words) -> str:
    said = {
        "app": words.app(event.client_id_value),
        "who": words.who(event.actor),
        "why": words.reason(event.actor, event.reason),
    }
    match event.event:
        case DELEGATION_CREATED.name:
            return _("%(app)s was connected.") % said
        case DELEGATION_CHAINED.name:
            return _("It was passed on to %(app)s.") % said
        case BLOCK_LIFTED.name:
            return _("A block was lifted: %(app)s may have it again.") % said
        case DELEGATION_NARROWED.name:
            return _("%(app)s may do less now, by %(who)s: %(what)s") % {
                **said,
                "what": "; ".join(_taken(event.details)) or _("its limits"),
            }
        case _other:
            text = _("%(app)s was ended by %(who)s.") % said
            return f"{text} {_('Reason: %(why)s') % said}" if said["why"] else text


def _taken(details: Mapping[str, Any]) -> Iterator[str]:
    before, after = details.get("before", {}), details.get("after", {})
    gone = Scope(before.get("scope", "").split()) - Scope(after.get("scope", "").split())
    if gone:
        names = ", ".join(description for _name, description in descriptions(gone))
        yield _("without “%(names)s”") % {"names": names}
    ends = after.get("expires_at")
    if ends and ends != before.get("expires_at"):
        moment = timezone.localtime(parse_datetime(ends))
        yield _("only until %(when)s") % {"when": date_format(moment, "DATETIME_FORMAT")}


def _tokens(row: Delegation, since: datetime) -> Iterator[ConnectionEventLine]:
    tokens = AccessToken.objects.filter(delegation=row)
    found = tokens.aggregate(count=Count("pk"), first=Min("issued_at"), last=Max("issued_at"))
    if found["count"] > 1:
        text = ngettext("%(count)d token so far, this is the last.",
                        "%(count)d tokens so far, this is the last.", found["count"])  # fmt: skip
        yield ConnectionEventLine(found["last"], text % found)
    if found["count"]:
        yield ConnectionEventLine(max(found["first"], since), _("Its first token was issued."))
