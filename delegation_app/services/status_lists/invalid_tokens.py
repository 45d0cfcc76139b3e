"""The access tokens that a status list marks as invalid: those that exceed introspection.

Each query starts from recent revocations, restrictions and deactivations, so that its cost depends
on the number of marked tokens, not of all.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any, Final, TypeVar

from django.db import connections, transaction
from django.db.models import Aggregate, Exists, F, Field, OuterRef, Q, QuerySet

from delegation_app import toolkit
from delegation_app.conf import LONGEST_ACCESS_TOKEN, conf
from delegation_app.events import DELEGATION_NARROWED, DELEGATION_REVOKED, Event
from delegation_app.models import (
    AccessToken,
    AuditEvent,
    ClientPolicy,
    Delegation,
    ResourceServer,
)
from delegation_app.models.delegation import ancestor_clients_of
from delegation_app.models.validity import users_can_be_inactive
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients import lookup
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.transactions import database

T = TypeVar("T")

# Verifiers may accept a token that long after its expiry, because clocks differ
SKEW: Final = timedelta(minutes=1)
# The same for the clocks of this server's own nodes
UNEVEN: Final = timedelta(hours=1)


class _Keys(Aggregate):
    """All keys of a group as a list; as its JSON text without array support."""

    function = "ARRAY_AGG"
    output_field = Field()

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_GROUP_ARRAY", **extra)


# Each is a condition, whose number per statement databases limit
_MOST_AT_ONCE: Final = 50


def inside(tokens: range) -> QuerySet[AccessToken]:
    """Return the access tokens whose keys are in a range."""
    return AccessToken.objects.filter(pk__gte=tokens.start, pk__lt=tokens.stop).order_by()


def since(now: datetime) -> datetime:
    """Return the earliest issue time of a token that may still be accepted."""
    return now - LONGEST_ACCESS_TOKEN - UNEVEN


def ids(tokens: range, now: datetime) -> set[int]:
    """Return the keys of the unexpired tokens that must no longer be accepted.

    All that are inactive in introspection, or claim more than it reports. Some are still exact:
    those issued before a narrowing that did not affect them.

    Args:
        tokens: the range of keys.
        now: the time to evaluate for.

    Side effects: none. Seven statements, and two or three more after recent restrictions or
        deactivations; on PostgreSQL in a transaction, for one setting.
    """
    with _kept_in_memory():
        return set(_marked(tokens, now))


def _marked(tokens: range, now: datetime) -> Iterator[int]:
    good = inside(tokens).filter(expires_at__gt=now - SKEW)
    lately = _began(tokens, now)
    yield from _keys(good.filter(revoked_at__isnull=False))
    yield from _of_revoked(good, lately)
    yield from _keys(_wider(good, lately))
    if users_can_be_inactive():
        yield from _keys(_of_inactive(good))
    yield from _of_clients(good, lately)


@contextmanager
def _kept_in_memory() -> Iterator[None]:
    # These indexes are always cached. With the default cost of random pages, PostgreSQL would
    # sometimes read all tokens of a list instead.
    connection = connections[database()]
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=database()), connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        yield


def _began(tokens: range, now: datetime) -> datetime:
    # What happened before the first of these tokens was issued concerns none of them. Where a
    # million are issued in an hour that is much nearer than a day
    first = inside(tokens).order_by("pk").values_list("issued_at", flat=True).first()
    return since(now) if first is None else max(since(now), first - UNEVEN)


def _of_revoked(good: QuerySet[AccessToken], lately: datetime) -> Iterator[int]:
    # Most have nothing below them. Then the event says all, and no delegation has to be read
    revoked = _happened(DELEGATION_REVOKED, lately)
    yield from _keys(good.filter(delegation__in=revoked.values("delegation")))
    trees = _roots(revoked.filter(details__delegations__gt=1))
    below = Delegation.objects.filter(root__in=trees, depth__gt=0, revoked_at__isnull=False)
    yield from _keys(good.filter(delegation__in=below))


def _wider(good: QuerySet[AccessToken], lately: datetime) -> QuerySet[AccessToken]:
    trees = _roots(_happened(DELEGATION_NARROWED, lately))
    return good.filter(delegation__root__in=trees, pk__lte=F("delegation__narrowed_after"))


def _happened(event: Event, lately: datetime) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(event=event.name, occurred_at__gt=lately).order_by()


def _roots(events: QuerySet[AuditEvent]) -> QuerySet[Any]:
    # What ended or shrank with a delegation is in the same tree
    return events.values("delegation__root")


def _of_inactive(good: QuerySet[AccessToken]) -> QuerySet[AccessToken]:
    return good.filter(delegation__principal_user__is_active=False, delegation__revoked_at=None)


def _of_clients(good: QuerySet[AccessToken], lately: datetime) -> Iterator[int]:
    disabled, tightened = _doubtful(lately)
    if disabled:
        yield from _keys(good.filter(delegation__delegate__in=disabled))
        yield from _below(good, disabled)
    if tightened:
        yield from _too_wide(good, tightened)


def _doubtful(lately: datetime) -> tuple[list[Any], list[Any]]:
    """Return the keys of clients: those disabled, and those that may have too wide tokens."""
    # Disabled in some way that left no time: looked at for ever
    disabled = Q(enabled=False) & (Q(disabled_at=None) | Q(disabled_at__gt=lately))
    of_servers = ResourceServer.objects.filter(restricted_at__gt=lately).values("client_policies")
    tightened = Q(restricted_at__gt=lately) | Q(pk__in=of_servers)
    policies = ClientPolicy.objects.filter(disabled | tightened).filter(_holds_something("pk"))
    found: dict[bool, list[Any]] = {True: [], False: []}
    for key, enabled in policies.values_list("pk", "enabled"):
        found[enabled].append(key)
    return found[False], found[True] + _underived(lately)


def _underived(lately: datetime) -> list[Any]:
    # Clients without a policy have the default audience, and are tightened with it
    if conf.default_audience is None:
        return []
    server = ResourceServer.objects.filter(identifier=conf.default_audience, active=True)
    steady = server.filter(Q(restricted_at=None) | Q(restricted_at__lte=lately))
    if steady.exists():
        return []
    applications = toolkit.application_model()._default_manager.using(database())
    alone = applications.filter(_holds_something("pk"), delegation_policy=None)
    return list(alone.values_list("pk", flat=True))


def _holds_something(key: str) -> Exists:
    return Exists(Delegation.objects.filter(delegate=OuterRef(key), revoked_at=None))


def _below(good: QuerySet[AccessToken], disabled: Sequence[Any]) -> Iterator[int]:
    for some in _batches(disabled):
        # Most that a client holds was not handed on, and has nothing below it
        trees = Delegation.objects.filter(parent__delegate__in=some).order_by()
        named = (Q(delegation__ancestor_clients__contains=ancestor_clients_of(key)) for key in some)
        yield from _keys(good.filter(reduce(or_, named), delegation__root__in=trees.values("root")))


def _too_wide(good: QuerySet[AccessToken], keys: Sequence[Any]) -> Iterator[int]:
    # What they say is little, however many they are
    held = good.filter(delegation__delegate__in=keys)
    said = held.values("delegation__delegate", "scope", "audience").annotate(tokens=_Keys("pk"))
    rows = list(said.values_list("delegation__delegate", "scope", "audience", "tokens"))
    known = _clients({row[0] for row in rows})
    for key, scope, audience, tokens in rows:
        if not _allows(known.get(key), scope, audience):
            yield from tokens if isinstance(tokens, list) else json.loads(tokens)


def _clients(keys: Iterable[Any]) -> dict[Any, RegisteredClient]:
    applications = toolkit.application_model()._default_manager.using(database())
    wanted = applications.filter(pk__in=keys).select_related("delegation_policy")
    rows: dict[Any, list[Any]] = defaultdict(list)
    for row in lookup.with_servers(wanted, lookup.TARGETS):
        rows[row.pk].append(row)
    return {key: lookup.from_rows(found[0], found) for key, found in rows.items()}


def _allows(client: RegisteredClient | None, scope: Scope, audience: Audience) -> bool:
    if client is None or not all(name in client.servers for name in audience):
        return False
    return scope <= client.known_scope(scope, audience)


def _keys(tokens: QuerySet[AccessToken]) -> Iterator[int]:
    # At once: a cursor of the server would be planned for its first rows
    return iter(tokens.values_list("pk", flat=True))


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _MOST_AT_ONCE] for start in range(0, len(items), _MOST_AT_ONCE))
