"""The rows behind `benchmarks.console`: copies made inside the database, all ages and states."""

import argparse
from collections.abc import Mapping
from typing import Any

from tests.support import forest

_COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
_PERSON, _CLIENT, _FIRST, _TOKEN = 1_000_000, 1_000_000, 10_000_000, 100_000_000
_CHILDREN = 1000
# One in so many: revoked, expired, never used, made from the one before, by a device
_REVOKED, _EXPIRED, _UNUSED, _HANDED_ON, _DEVICE = 20, 25, 3, 10, 5000
_INACTIVE, _DISABLED, _BIG = 500, 200, 5
_DAYS, _DAY = 500, 86400


class Site:
    """What is on file, and some of it by name.

    Attributes:
        sizes: the options of the command.
        one: a delegation like most.
        wide, child: one with a thousand children, and the first of these.
    """

    def __init__(self, sizes: argparse.Namespace) -> None:
        from delegation_app.models import Delegation

        self.sizes, self.rows = sizes, Delegation.objects
        self.one = self.wide = self.child = Delegation()

    def fill(self, story: Any) -> None:
        """Insert the rows."""
        from tests.support.world import delegation_of

        like = delegation_of(story.tokens())
        _people(story.world.alice, self.sizes.people)
        _clients(story.world.web.row, self.sizes.clients)
        _delegations(like, story.world.web.row.pk, self.sizes)
        _tokens(like, self.sizes)
        _events(like, self.sizes)
        top = self.rows.filter(pk=delegation_of(story.tokens(prompt="consent")).pk)
        forest.grow(top, _CHILDREN, story.world.service_a_client.row)

    def find(self) -> None:
        """Look up those that have a name."""
        self.one = self.rows.get(pk=_FIRST + self.sizes.delegations // 2 + 1)
        held = self.rows.filter(delegate_client_id="service-a").order_by("pk")
        self.child = held.select_related("parent")[0]
        self.wide = self.child.parent

    def cursor(self, number: int, *, newer: bool = False, **filters: str) -> str:
        """Return the cursor behind the newest `number` delegations, as the list writes it."""
        from delegation_app.services.paging import Cursor, SignedCursors

        rows = self.rows.order_by("-issued_at", "-pk").values_list("issued_at", "pk")
        # A smaller database may have fewer
        number = min(number, rows.count() - 1)
        return SignedCursors("admin", filters).text(Cursor(*rows[number], newer=newer))

    def counts(self) -> dict[str, int]:
        """Return how much there is."""
        from delegation_app.models import AccessToken, AuditEvent

        return {
            "delegations": self.rows.count(),
            "access tokens": AccessToken.objects.count(),
            "events": AuditEvent.objects.count(),
        }


def _people(like: Any, count: int) -> None:
    changes = {
        "id": f"{_PERSON} + n.i",
        "username": "'person' || n.i",
        "email": "'person' || n.i || '@example.com'",
        "is_active": f"n.i %% {_INACTIVE} <> 0",
    }
    _copy(like, count, changes)


def _clients(like: Any, count: int) -> None:
    key = f"{_CLIENT} + n.i"
    named = {"id": key, "client_id": "'client-' || n.i", "name": "'Client ' || n.i"}
    _copy(like, count, named)
    changes = {"id": key, "application_id": key, "enabled": f"n.i %% {_DISABLED} <> 0"}
    _copy(like.delegation_policy, count, changes)


def _delegations(like: Any, big: int, sizes: argparse.Namespace) -> None:
    name, above = _md5("n.i"), _md5("(n.i - 1)")
    person = f"{_PERSON} + 1 + n.i %% {sizes.people}"
    of_big, key = f"n.i %% {_BIG} = 0", f"{_CLIENT} + 1 + n.i %% {sizes.clients}"
    is_child = f"n.i %% {_HANDED_ON} = 1 AND n.i > 1"
    is_over = f"n.i %% {_REVOKED} = 2"
    age = f"({sizes.delegations} - n.i) * {_DAYS * 86400.0} / {sizes.delegations} + {_DAY}"
    changes = {
        "id": f"{_FIRST} + n.i",
        "public_id": _uuid(name),
        "root_id": f"CASE WHEN {is_child} THEN {_uuid(above)} ELSE {_uuid(name)} END",
        "parent_id": f"CASE WHEN {is_child} THEN {_FIRST} + n.i - 1 END",
        "path": f"CASE WHEN {is_child} THEN '/' || {above} ELSE '' END || '/' || {name} || '/'",
        "depth": f"CASE WHEN {is_child} THEN 1 ELSE 0 END",
        "terms_digest": f"{name} || {name}",
        "subject": f"'user:' || ({person})",
        "principal_user_id": person,
        "delegate_id": f"CASE WHEN {of_big} THEN {big} ELSE {key} END",
        "delegate_client_id": f"CASE WHEN {of_big} THEN 'web' "
        f"ELSE 'client-' || ({key} - {_CLIENT}) END",
        "grant_type": f"CASE WHEN n.i %% {_DEVICE} = 5 THEN "
        "'urn:ietf:params:oauth:grant-type:device_code' ELSE t.grant_type END",
        "issued_at": _ago(age),
        "expires_at": f"CASE WHEN n.i %% {_EXPIRED} = 3 THEN {_ago(f'{age} - 3600')} "
        f"WHEN n.i %% 2 = 0 THEN {_ago(f'-{_DAY}')} END",
        "last_used_at": f"CASE WHEN n.i %% {_UNUSED} <> 0 THEN {_ago(f'{age} - 7200')} END",
        "revoked_at": f"CASE WHEN {is_over} THEN {_ago(f'{age} - 9000')} END",
        "revoked_by": f"CASE WHEN {is_over} THEN 'user:1' ELSE '' END",
    }
    _copy(like, sizes.delegations, changes)


def _tokens(like: Any, sizes: argparse.Namespace) -> None:
    from delegation_app.models import AccessToken

    token = AccessToken.objects.get(delegation=like)
    key = f"{_TOKEN} + n.i"
    jti = f"substr('{'0' * 27}' || ({key}), length('{'0' * 27}' || ({key})) - 26)"
    holder = f"{_FIRST} + 1 + n.i %% {sizes.delegations}"
    count = sizes.delegations * sizes.each
    _copy(token, count, {"id": key, "jti": jti, "delegation_id": holder})


def _events(like: Any, sizes: argparse.Namespace) -> None:
    from delegation_app.models import AuditEvent

    event = AuditEvent.objects.filter(delegation=like).order_by("pk")[0]
    count = sizes.delegations * sizes.each
    kinds = {7: "'request.refused'", 13: "'token.exchanged'", 50: "'delegation.revoked'"}
    turns = " ".join(f"WHEN n.i %% {turn} = 0 THEN {kind}" for turn, kind in kinds.items())
    changes = {
        "id": f"{_TOKEN} + n.i",
        "event": f"CASE {turns} ELSE 'token.issued' END",
        "outcome": "CASE WHEN n.i %% 7 = 0 THEN 'refused' ELSE 'done' END",
        "delegation_id": f"{_FIRST} + 1 + n.i %% {sizes.delegations}",
        "occurred_at": _ago(f"({count} - n.i) * {_DAYS * 86400.0} / {count}"),
    }
    _copy(event, count, changes)


def _copy(like: Any, count: int, changes: Mapping[str, str]) -> None:
    from django.db import connection

    table = like._meta.db_table
    columns = [field.column for field in like._meta.concrete_fields]
    values = ", ".join(changes.get(column, f't."{column}"') for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    sql = (
        f"{_COUNTED} INSERT INTO {table} ({names}) "  # noqa: S608 - names of ours
        f"SELECT {values} FROM {table} AS t, n WHERE t.{like._meta.pk.column} = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [count, like.pk])


def _md5(text: str) -> str:
    return f"md5('console' || {text})"


def _uuid(name: str) -> str:
    return f"CAST({name} AS uuid)" if _is_postgresql() else name


def _ago(seconds: str) -> str:
    if _is_postgresql():
        return f"(now() - make_interval(secs => {seconds}))"
    text = f"printf('%%+.3f seconds', -({seconds}))"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', {text})"


def _is_postgresql() -> bool:
    from django.db import connection

    return connection.vendor == "postgresql"
