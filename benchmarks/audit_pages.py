"""The audit trail on PostgreSQL: each filter of its page, the export, and what its indexes cost.

Run: TEST_DATABASE_URL=postgres://... python -m benchmarks.audit_pages [events] [runs]
"""

import sys
import tracemalloc
from collections.abc import Callable
from itertools import islice

from benchmarks.database import tidy
from benchmarks.stage import in_turn, staged, told

_EXPORTED = 100_000
_BATCH = 1_000_000

# Of a hundred: 70 issued, 15 refreshed, 8 exchanged, 4 refused, and 3 of everything else
_EVENTS = """
INSERT INTO delegation_app_auditevent
  (event, outcome, occurred_at, actor, subject, client_id_value, delegation_id, jti, reason,
   request_id, details)
SELECT
  CASE WHEN k < 70 THEN 'token.issued' WHEN k < 85 THEN 'token.refreshed'
       WHEN k < 93 THEN 'token.exchanged' WHEN k < 97 THEN 'request.refused'
       WHEN n % 10007 = 0 THEN 'resource_server.changed'
       ELSE (ARRAY['delegation.created', 'delegation.revoked', 'consent.granted'])[1 + n % 3] END,
  CASE WHEN k BETWEEN 93 AND 96 THEN 'refused' ELSE 'done' END,
  now() - (%(total)s - n) * (7776000.0 / %(total)s) * interval '1 second',
  CASE WHEN k = 99 THEN 'user:' || n %% 20 ELSE 'client:app' || c END,
  'user:' || u, 'app' || c, 1 + n %% 50000,
  CASE WHEN k < 93 THEN substr(md5(n::text) || md5('x' || n), 1, 27) ELSE '' END,
  CASE WHEN k BETWEEN 93 AND 96 THEN
       CASE WHEN n %% 5003 = 0 THEN 'invalid_target' ELSE 'invalid_grant' END
       WHEN k = 98 THEN 'no longer needed' ELSE '' END,
  md5('r' || n),
  CASE WHEN k BETWEEN 93 AND 96 THEN jsonb_build_object('endpoint',
       CASE WHEN n %% 5003 = 0 THEN '/oauth/exchange' ELSE '/oauth/token' END, 'detail', 'used')
       ELSE '{"scope": "read:metrics", "audience": ["https://a.example.com"]}' END
FROM (SELECT n, n %% 100 AS k,
             floor(power(random(), 3) * 200)::int AS c,
             floor(power(random(), 4) * 100000)::int AS u
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS made
"""

_WITHOUT = "audit_refused audit_reason audit_rare audit_rare_of_one audit_of_actor audit_request"


def plant(events: int) -> None:
    """Make that many events of the last 90 days; a few apps and people have most of them."""
    from django.db import connection

    statement = _EVENTS.replace("n % 10007", "n %% 10007").replace("n % 3]", "n %% 3]")
    with connection.cursor() as cursor:
        # Built at the end they take a fifth of the time
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname NOT LIKE '%_pkey'"
            " AND tablename = 'delegation_app_auditevent'"
        )
        indexes = cursor.fetchall()
        for name, _definition in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for first in range(1, events + 1, _BATCH):
            last = min(first + _BATCH - 1, events)
            cursor.execute(statement, {"total": events, "first": first, "last": last})
        for _name, definition in indexes:
            cursor.execute(definition)
    tidy()


def pages(events: int) -> dict[str, Callable[[], object]]:
    """Return what is measured: each filter as the page asks for it."""
    import uuid
    from datetime import timedelta

    from django.db import connection
    from django.utils import timezone

    from delegation_app.models import Delegation
    from delegation_app.services.paging import Cursor
    from delegation_app.services.reporting.audit_query import AuditQuery

    now = timezone.now()
    deep = Cursor(now - timedelta(days=45), events // 2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT md5('r' || 4711), substr(md5('4700') || md5('x4700'), 1, 27)")
        request_id, jti = cursor.fetchone()
    root = Delegation.objects.first()
    asked = {
        "all": AuditQuery(),
        "last hour": AuditQuery(since=now - timedelta(hours=1)),
        "a day of long ago": AuditQuery(
            since=now - timedelta(days=60), until=now - timedelta(days=59)
        ),
        "event, frequent": AuditQuery(event="token.issued"),
        "event, rare": AuditQuery(event="resource_server.changed"),
        "event, none": AuditQuery(event="key.rotated"),
        "outcome refused": AuditQuery(outcome="refused"),
        "reason, frequent": AuditQuery(reason="invalid_grant"),
        "reason, rare": AuditQuery(reason="invalid_target"),
        "reason, none": AuditQuery(reason="nobody said that"),
        "refused at, rare": AuditQuery(endpoint="exchange"),
        "refused at, none": AuditQuery(endpoint="revoke"),
        "actor, busiest": AuditQuery(actor="client:app0"),
        "actor, operator": AuditQuery(actor="user:3"),
        "subject, busiest": AuditQuery(subject="user:0"),
        "subject, rare": AuditQuery(subject="user:99000"),
        "client, busiest": AuditQuery(client_id="app0"),
        "client, none": AuditQuery(client_id="nobody"),
        "delegation": AuditQuery(delegation=None if root is None else root.public_id),
        "delegation, none": AuditQuery(delegation=uuid.uuid4()),
        "request id": AuditQuery(request_id=request_id),
        "token id": AuditQuery(jti=jti),
        "any: a client": AuditQuery(about="app0"),
        "any: a token": AuditQuery(about=jti),
        "any: nothing": AuditQuery(about="nobody"),
    }
    acts: dict[str, Callable[[], object]] = {
        name: (lambda trail=trail: trail.page(50)) for name, trail in asked.items()
    }
    for name in ("all", "client, busiest", "outcome refused"):
        acts[f"{name}, deep"] = lambda trail=asked[name]: trail.page(50, deep)
    return acts


def exported() -> None:
    """Export 100,000 events and print the memory that it took."""
    from delegation_app.services import audit
    from delegation_app.services.reporting import audit_export, audit_query

    tracemalloc.start()
    lines = audit_export.lines(
        audit_query.export(audit_query.AuditQuery(), audit.RequestContext(), "csv"), "csv"
    )
    size = sum(len(line) for line in islice(lines, _EXPORTED))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"export of {_EXPORTED}: {size / 1e6:.0f} MB, {peak / 1e6:.1f} MB in memory at most")


def writes(runs: int) -> None:
    """Print how long 2,000 token events take with all indexes and without those of the filters."""
    from django.db import connection

    dropped = "; ".join(f"DROP INDEX {name}" for name in _WITHOUT.split())
    insert = (
        "INSERT INTO delegation_app_auditevent"
        " (event, outcome, occurred_at, actor, subject, client_id_value,"
        " delegation_id, jti, reason, request_id, details) SELECT 'token.issued', 'done', now(),"
        " 'client:app7', 'user:' || n, 'app7', n, substr(md5(random()::text) || 'abcdef', 1, 27),"
        " '', md5(random()::text), '{}' FROM generate_series(1, 2000) AS n"
    )

    def within(before: str) -> Callable[[], object]:
        def act() -> None:
            from django.db import transaction

            with transaction.atomic(), connection.cursor() as cursor:
                if before:
                    cursor.execute(before)
                cursor.execute(insert)
                transaction.set_rollback(True)

        return act

    acts = {"all indexes": within(""), "without the new ones": within(dropped)}
    for name in _WITHOUT.split():
        acts[f"without {name}"] = within(f"DROP INDEX {name}")
    for name, taken in in_turn(runs, **acts).items():
        told(f"2,000 events in one statement, {name}", taken)


def main(events: int, runs: int) -> None:
    """Measure and print."""
    with staged() as story:
        story.tokens()
        plant(events)
        print(f"{events} events", flush=True)
        acts = pages(events)
        for act in acts.values():
            act()
        for name, taken in in_turn(runs, **acts).items():
            told(f"page: {name}", taken)
        exported()
        writes(runs)


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["5000000", "20"][len(sys.argv) - 1 :])))
