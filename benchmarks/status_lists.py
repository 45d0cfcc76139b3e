"""What a status list over a million live tokens costs to make, and to ask for.

Run: python -m benchmarks.status_lists [--help]

Set TEST_DATABASE_URL for PostgreSQL. Two lists are filled, each with as many live tokens: one on
delegations with ten tokens each, one on delegations with one. Of either, every hundredth delegation
is revoked. Then other lists are filled, and these two are made again. At last every thousandth
person is deactivated, and a client that holds every fiftieth delegation loses a scope.
"""

import argparse
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db.models.functions import Mod

from benchmarks import database
from benchmarks.stage import in_turn, staged, told

_COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
_SHAPES = {"ten each": 10, "one each": 1}
_REVOKED, _INACTIVE, _OTHERS = 100, 1000, 50
_PERSON, _DELEGATION = 1_000_000, 10_000_000
_LIST = 1 << 20


class Site:
    """The rows that everything here is copied from, and how far the copies go."""

    def __init__(self, story: Any, people: int) -> None:
        from delegation_app.models import AccessToken, AuditEvent
        from delegation_app.services import audit
        from delegation_app.services.delegations import revocation
        from tests.support.world import delegation_of

        self.story, self.people, self.delegations = story, people, 0
        self.delegation = delegation_of(story.tokens())
        self.token = AccessToken.objects.get(delegation=self.delegation)
        self.token.expires_at += timedelta(hours=10)
        self.token.save()
        ended = delegation_of(story.tokens(prompt="consent"))
        revocation.subtree(ended, audit.RequestContext(), reason="benchmark")
        self.event = AuditEvent.objects.get(event="delegation.revoked")
        changes = {"id": f"{_PERSON} + n.i", "username": "'person' || n.i"}
        _copy(story.world.alice, people, changes)

    def delegate(self, count: int) -> int:
        """Insert delegations, revoke some of them, and return the key before the first."""
        first, self.delegations = _DELEGATION + self.delegations, self.delegations + count
        name, person = f"md5('{first} ' || n.i)", f"{_PERSON} + 1 + n.i %% {self.people}"
        is_other, is_over = f"n.i %% {_OTHERS} = 7", f"n.i %% {_REVOKED} = 1"
        other = self.story.world.other.row.pk
        changes = {
            "id": f"{first} + n.i",
            "public_id": _uuid(name),
            "root_id": _uuid(name),
            "path": f"'/' || {name} || '/'",
            "terms_digest": f"{name} || {name}",
            "subject": f"'user:' || ({person})",
            "principal_user_id": person,
            "delegate_id": f"CASE WHEN {is_other} THEN {other} ELSE t.delegate_id END",
            "revoked_at": f"CASE WHEN {is_over} THEN t.issued_at END",
            "revoked_by": f"CASE WHEN {is_over} THEN 'user:1' ELSE '' END",
        }
        _copy(self.delegation, count, changes)
        ended = {"delegation_id": f"{first} + 1 + {_REVOKED} * (n.i - 1)"}
        _copy(self.event, -(-count // _REVOKED), ended)
        return first

    def deactivate(self) -> None:
        """Let some of the people be inactive."""
        people = type(self.story.world.alice).objects.filter(pk__gt=_PERSON)
        people.annotate(turn=Mod("pk", _INACTIVE)).filter(turn=0).update(is_active=False)

    def issue(self, number: int, count: int, first: int, delegations: int) -> None:
        """Fill a list with tokens of the delegations after `first`, in turn."""
        key = f"{number * _LIST} + n.i"
        # In order, or filling the unique index would take longer than all the rest
        jti = f"substr('{'0' * 27}' || ({key}), length('{'0' * 27}' || ({key})) - 26)"
        holder = f"{first} + 1 + (n.i - 1) %% {delegations}"
        _copy(self.token, count, {"id": key, "jti": jti, "delegation_id": holder})


def main() -> None:
    """Fill, measure, fill more, measure again."""
    parser = argparse.ArgumentParser(prog="benchmarks.status_lists", description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="live, in each of the two")
    parser.add_argument("--lists", type=int, default=10, help="in the end, each with as many")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=15)
    sizes = parser.parse_args()
    with staged() as story:
        site = Site(story, sizes.people)
        shapes: dict[str, int] = {}
        for number, (name, each) in enumerate(_SHAPES.items(), start=1):
            holders = sizes.tokens // each
            first = site.delegate(holders)
            site.issue(number, sizes.tokens, first, holders)
            shapes[name] = number
        _measure(story, "revoked", shapes, sizes.runs)
        for number in range(len(shapes) + 1, sizes.lists + 1):
            site.issue(number, sizes.tokens, first, holders)
        _measure(story, "revoked", shapes, sizes.runs)
        site.deactivate()
        _measure(story, "and people inactive", shapes, sizes.runs)
        story.world.other.change(scopes="read:metrics")
        _measure(story, "and a client tightened", shapes, sizes.runs)
        _ask(story, shapes, sizes.runs * 10)


def _measure(story: Any, what: str, shapes: Mapping[str, int], runs: int) -> None:
    from django.utils import timezone

    from delegation_app.models import AccessToken
    from delegation_app.services.status_lists import invalid_tokens

    database.tidy()
    print(f"{what}, {AccessToken.objects.count()} tokens on file")
    acts = {name: _made(story, number) for name, number in shapes.items()}
    for name, taken in in_turn(runs, **acts).items():
        first = shapes[name] * _LIST
        marked = invalid_tokens.ids(range(first, first + _LIST), timezone.now())
        asked = _statements(acts[name])
        told(f"    {name}: {len(marked)} marked, {asked} statements", taken)


def _made(story: Any, number: int) -> Callable[[], Any]:
    from django.core.cache import cache

    from delegation_app.services.status_lists import cache as status_cache

    def make() -> Any:
        cache.clear()
        status_cache.forget()
        return _get(story, number)

    return make


def _ask(story: Any, shapes: Mapping[str, int], runs: int) -> None:
    from django.conf import settings

    # So that no list is made while it is asked for
    settings.DELEGATION = {**settings.DELEGATION, "STATUS_LIST_CACHE_SECONDS": 60}
    number = next(iter(shapes.values()))
    tag = _get(story, number)["ETag"]
    acts = {
        "kept": lambda: _get(story, number),
        "unchanged": lambda: _get(story, number, HTTP_IF_NONE_MATCH=tag),
    }
    taken = in_turn(runs, **acts)
    for name, act in acts.items():
        told(f"a list that is {name}, {_statements(act)} statements", taken[name])


def _get(story: Any, number: int, **headers: str) -> Any:
    from delegation_app.services.status_lists import publication

    uri = publication.reference(number * _LIST).uri
    response = story.wire.get(uri, HTTP_ACCEPT_ENCODING="gzip", **headers)
    if response.status_code not in {200, 304}:
        raise RuntimeError(response.content)
    return response


def _statements(act: Callable[[], Any]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def _copy(like: Any, count: int, changes: Mapping[str, str]) -> None:
    from django.db import connection

    table = like._meta.db_table
    fields = [f for f in like._meta.concrete_fields if not f.primary_key or "id" in changes]
    columns = [field.column for field in fields]
    values = ", ".join(changes.get(column, f"t.{column}") for column in columns)
    sql = (
        f"{_COUNTED} INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - names of ours
        f"SELECT {values} FROM {table} AS t, n WHERE t.id = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [count, like.pk])


def _uuid(name: str) -> str:
    from django.db import connection

    return f"CAST({name} AS uuid)" if connection.vendor == "postgresql" else name


if __name__ == "__main__":
    main()
