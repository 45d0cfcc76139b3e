"""The timeline of a connection, in plain language."""

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
from delegation_app.services.reporting import timeline

MAX_LINES: Final = 20
# Recorded if the user gives no reason; not shown
NO_REASON: Final = "ended by the user"

_MADE: Final = {DELEGATION_CREATED.name, DELEGATION_CHAINED.name}
_SHOWN: Final = [
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
    """One line."""

    when: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Wording:
    """The wording of actors and reasons for a user.

    Attributes:
        person: the reader.
        apps: names by client id.
    """

    person: AbstractBaseUser
    apps: Mapping[str, str]

    def app(self, client_id: str) -> str:
        """Return the name of an app."""
        return self.apps.get(client_id, client_id)

    def who(self, actor: str) -> str:
        """Return the name of an actor. Operators are not named."""
        if actor == user_subject(self.person.pk):
            return _("you")
        if actor.startswith(client_subject("")):
            return self.app(actor.removeprefix(client_subject("")))
        return _("an operator") if actor.startswith(user_subject("")) else _("this site")

    def reason(self, actor: str, text: str) -> str:
        """Return a reason of the user or of this site. Reasons of operators are hidden."""
        is_theirs = actor in {user_subject(self.person.pk), "system"}
        return text if is_theirs and text != NO_REASON else ""


def past(row: Delegation, tree: Sequence[Delegation], words: Wording) -> list[ConnectionEventLine]:
    """Return the newest 20 lines of the timeline of a delegation and its descendants.

    Args:
        row: the delegation.
        tree: the delegation and its shown descendants.
        words: the wording.
    """
    events = timeline.newest(tree, _SHOWN, MAX_LINES)
    # Tokens have whole seconds, but none may appear older than its delegation
    made = [event.occurred_at for event in events if event.event in _MADE]
    found = list(_tokens(row, [row.issued_at, *made][-1]))
    found += [ConnectionEventLine(event.occurred_at, _sentence(event, words)) for event in events]
    return sorted(found, key=lambda happening: happening.when, reverse=True)[:MAX_LINES]


def _sentence(event: AuditEvent, words: Wording) -> str:
    values = {
        "app": words.app(event.client_id_value),
        "who": words.who(event.actor),
        "why": words.reason(event.actor, event.reason),
    }
    match event.event:
        case DELEGATION_CREATED.name:
            return _("%(app)s was connected.") % values
        case DELEGATION_CHAINED.name:
            return _("Access was passed on to %(app)s.") % values
        case BLOCK_LIFTED.name:
            return _("A block was lifted: %(app)s may have it again.") % values
        case DELEGATION_NARROWED.name:
            return _("%(app)s may do less now, by %(who)s: %(what)s") % {
                **values,
                "what": "; ".join(_taken(event.details)) or _("its limits"),
            }
        case _other:
            text = _("%(app)s was ended by %(who)s.") % values
            return f"{text} {_('Reason: %(why)s') % values}" if values["why"] else text


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
        text = ngettext("Latest of %(count)d token issued.",
                        "Latest of %(count)d tokens issued.", found["count"])  # fmt: skip
        yield ConnectionEventLine(found["last"], text % found)
    if found["count"]:
        yield ConnectionEventLine(max(found["first"], since), _("Its first token was issued."))
