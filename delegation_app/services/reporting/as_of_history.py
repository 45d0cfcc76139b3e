"""Past states of delegations: the present rows, reverted by the audit trail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime

from delegation_app.events import (
    CLIENT_CHANGED,
    DELEGATION_CHAINED,
    DELEGATION_CREATED,
    DELEGATION_NARROWED,
    DELEGATION_REVOKED,
    USER_DISABLED,
    USER_ENABLED,
)
from delegation_app.models import AuditEvent, ClientPolicy, Delegation
from delegation_app.protocol.scope import Scope

_MADE: Final = (DELEGATION_CREATED.name, DELEGATION_CHAINED.name)
_OF_TERMS: Final = (*_MADE, DELEGATION_NARROWED.name, DELEGATION_REVOKED.name)
_SWITCH: Final = "clientpolicy.enabled"


class AccessAnswer(Enum):
    """Whether a delegation could be used."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


class UnknownFact(Enum):
    """A fact about a delegation that is not recorded."""

    NOT_OPENED = "not_opened"
    """Its creation is not in the audit trail: the terms are the present ones."""

    EXPIRY = "expiry"
    """Its first expiry was not audited, and it was narrowed from above."""

    PERSON = "person"
    """The user was disabled or enabled at an unknown time."""

    CLIENT = "client"
    """A client is disabled now, since an unknown time."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A delegation at a past time.

    Attributes:
        delegation: its present row.
        via: the client ids of its chain, its own last.
        scopes, audience: its terms at the time.
        since, until: its issue, and its expiry at the time; None for no expiry.
        ended_at: when it was revoked later; None if it was not.
        answer: whether it could be used.
        stopped_by: the disabled parties: client ids of the chain, and the subject of the user.
        gaps: the unknown facts.
        events: the evidence, oldest first.
    """

    delegation: Delegation
    via: tuple[str, ...]
    scopes: Scope
    audience: tuple[str, ...]
    since: datetime
    until: datetime | None
    ended_at: datetime | None
    answer: AccessAnswer
    stopped_by: tuple[str, ...]
    gaps: tuple[UnknownFact, ...]
    events: tuple[AuditEvent, ...]


@dataclass(frozen=True, slots=True)
class _Terms:
    scopes: Scope
    audience: tuple[str, ...]
    until: datetime | None
    gaps: list[UnknownFact] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class History:
    """The records of some delegations, read in a fixed number of statements.

    Attributes:
        when: the time of the query.
        chain: the delegations of all chains, by public id.
        events: the events of each of those, oldest first, by key.
        switched: the later events that enabled or disabled each client, by client id.
        disabled: when each disabled client was disabled, if known, by client id.
        people: the events that disabled or enabled each user, oldest first, by subject.
    """

    when: datetime
    chain: Mapping[UUID, Delegation]
    events: Mapping[int, Sequence[AuditEvent]]
    switched: Mapping[str, Sequence[AuditEvent]]
    disabled: Mapping[str, datetime | None]
    people: Mapping[str, Sequence[AuditEvent]]

    @classmethod
    def of(cls, rows: Iterable[Delegation], when: datetime) -> History:
        """Read the records; four statements."""
        ids = {UUID(public_id) for row in rows for public_id in row.chain}
        chain = {row.public_id: row for row in Delegation.objects.filter(public_id__in=ids)}
        clients = {row.delegate_client_id for row in chain.values()}
        events: dict[int, list[AuditEvent]] = defaultdict(list)
        for event in _events_of(chain.values()):
            events[event.delegation_id or 0].append(event)
        switched: dict[str, list[AuditEvent]] = defaultdict(list)
        people: dict[str, list[AuditEvent]] = defaultdict(list)
        for event in _switches_of(clients, {row.subject for row in chain.values()}, when):
            if event.event != CLIENT_CHANGED.name:
                people[event.subject].append(event)
            elif _was_enabled(event) is not None or _is_switch(event):
                switched[event.client_id_value].append(event)
        return cls(when, chain, events, switched, _disabled(clients), people)

    def line(self, row: Delegation) -> Snapshot:
        """Return the past state of one delegation."""
        chain = [self.chain[UUID(public_id)] for public_id in row.chain]
        terms = self._terms(row, chain)
        stopped = tuple(
            client
            for client in dict.fromkeys(each.delegate_client_id for each in chain)
            if self._was_disabled(client)
        )
        was_active = self._was_active(row)
        if was_active is False:
            stopped += (row.subject,)
        gaps = [
            *terms.gaps,
            *self._gaps(chain),
            *([UnknownFact.PERSON] if was_active is None else []),
        ]
        unsure = {UnknownFact.PERSON, UnknownFact.CLIENT} & set(gaps)
        return Snapshot(
            delegation=row,
            via=tuple(each.delegate_client_id for each in chain),
            scopes=terms.scopes,
            audience=terms.audience,
            since=row.issued_at,
            until=terms.until,
            ended_at=row.revoked_at,
            answer=AccessAnswer.NO
            if stopped
            else AccessAnswer.UNSURE
            if unsure
            else AccessAnswer.YES,
            stopped_by=stopped,
            gaps=tuple(gaps),
            events=tuple(self._proof(row, chain)),
        )

    def _terms(self, row: Delegation, chain: Sequence[Delegation]) -> _Terms:
        own = self.events.get(row.pk, ())
        opened = next((event for event in own if event.event in _MADE), None)
        if opened is None:
            return _Terms(row.scopes, tuple(row.audience), row.expires_at, [UnknownFact.NOT_OPENED])
        gaps: list[UnknownFact] = []
        until = self._first_expiry(row, opened, gaps)
        scopes, audience = _scope(opened.details), _strings(opened.details.get("audience"))
        same = _same_client(chain)
        for event in self._narrowings(chain):
            after = event.details.get("after") or {}
            scopes &= _scope(after)
            until = _earlier(until, _time(after.get("expires_at")))
            if event.delegation_id in same:
                audience = _without_taken(audience, event)
        return _Terms(scopes, audience, until, gaps)

    def _first_expiry(
        self, row: Delegation, opened: AuditEvent, gaps: list[UnknownFact]
    ) -> datetime | None:
        if "expires_at" in opened.details:
            return _time(opened.details["expires_at"])
        # Not in the event: the expiry before the first narrowing, or without one the present expiry
        for event in self.events.get(row.pk, ()):
            if event.event == DELEGATION_NARROWED.name:
                return _time((event.details.get("before") or {}).get("expires_at"))
        if row.narrowed_after is not None:
            gaps.append(UnknownFact.EXPIRY)
        return row.expires_at

    def _narrowings(self, chain: Sequence[Delegation]) -> list[AuditEvent]:
        made = chain[-1].issued_at
        return [
            event
            for each in chain
            for event in self.events.get(each.pk, ())
            if event.event == DELEGATION_NARROWED.name and made <= event.occurred_at <= self.when
        ]

    def _proof(self, row: Delegation, chain: Sequence[Delegation]) -> list[AuditEvent]:
        made = [event for event in self.events.get(row.pk, ()) if event.event in _MADE]
        ends = [
            event
            for each in chain
            for event in self.events.get(each.pk, ())
            if event.event == DELEGATION_REVOKED.name and event.occurred_at > self.when
        ]
        turned = [
            event for each in chain for event in self.switched.get(each.delegate_client_id, ())
        ]
        turned += self.people.get(row.subject, ())
        found = {event.pk: event for event in (*made, *self._narrowings(chain), *turned, *ends)}
        return sorted(found.values(), key=lambda event: (event.occurred_at, event.pk))

    def _was_disabled(self, client_id: str) -> bool:
        for number, event in enumerate(self.switched.get(client_id, ())):
            # The state before it, reverted by the events in between that have no value
            if (was_enabled := _was_enabled(event)) is not None:
                return was_enabled == (number % 2 == 1)
        turned = len(self.switched.get(client_id, ()))
        if client_id not in self.disabled:
            return turned % 2 == 1
        since = self.disabled[client_id]
        if turned:
            return turned % 2 == 0
        return since is not None and since <= self.when

    def _was_active(self, row: Delegation) -> bool | None:
        """Return whether the user was active; None if the records contradict each other."""
        events = self.people.get(row.subject, ())
        before = [event for event in events if event.occurred_at <= self.when]
        after = [event for event in events if event.occurred_at > self.when]
        since = before[-1].event == USER_ENABLED.name if before else None
        # The next event changed the state; without one it is the present one, if the user exists
        until = getattr(row.principal_user, "is_active", None)
        if after:
            until = after[0].event == USER_DISABLED.name
        if since is None:
            return None if until is False else True
        return since if until in {None, since} else None

    def _gaps(self, chain: Sequence[Delegation]) -> list[UnknownFact]:
        gaps = []
        clients = {each.delegate_client_id for each in chain}
        unknown = (c for c in clients & self.disabled.keys() if self.disabled[c] is None)
        if any(not self.switched.get(client) for client in unknown):
            gaps.append(UnknownFact.CLIENT)
        return gaps


def _same_client(chain: Sequence[Delegation]) -> set[int]:
    """Return the keys of the chain whose narrowed audience also applies to its last delegation."""
    client = chain[-1].delegate_client_id
    return {row.pk for row in chain if row.delegate_client_id == client}


def _without_taken(audience: Iterable[str], event: AuditEvent) -> tuple[str, ...]:
    before, after = (
        _strings((event.details.get(name) or {}).get("audience")) for name in ("before", "after")
    )
    return tuple(name for name in audience if name not in before or name in after)


def _events_of(rows: Iterable[Delegation]) -> QuerySet[AuditEvent]:
    found = AuditEvent.objects.filter(delegation__in=[row.pk for row in rows], event__in=_OF_TERMS)
    return found.order_by("occurred_at", "pk")


def _switches_of(
    client_ids: Iterable[str], subjects: Iterable[str], since: datetime
) -> QuerySet[AuditEvent]:
    """Return the switches of clients since a time, and of users at any time. One statement."""
    turned = (USER_DISABLED.name, USER_ENABLED.name)
    clients = AuditEvent.objects.filter(
        event=CLIENT_CHANGED.name, occurred_at__gt=since, client_id_value__in=client_ids
    )
    people = AuditEvent.objects.filter(event__in=turned, subject__in=subjects)
    # Each part has an index; a condition with OR has none
    return clients.order_by().union(people.order_by(), all=True).order_by("occurred_at", "id")


def _disabled(client_ids: Iterable[str]) -> dict[str, datetime | None]:
    rows = ClientPolicy.objects.filter(application__client_id__in=client_ids, enabled=False)
    return dict(rows.values_list("application__client_id", "disabled_at"))


def _was_enabled(event: AuditEvent) -> bool | None:
    """Return whether the client was enabled before an event, if that is in it."""
    before = event.details.get("before")
    found = before.get(_SWITCH) if isinstance(before, dict) else None
    return found if isinstance(found, bool) else None


def _is_switch(event: AuditEvent) -> bool:
    return _SWITCH in _strings(event.details.get("fields"))


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _scope(details: Mapping[str, Any]) -> Scope:
    return Scope(str(details.get("scope") or "").split())


def _time(value: Any) -> datetime | None:
    return parse_datetime(value) if isinstance(value, str) else None


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((each for each in (one, other) if each is not None), default=None)
