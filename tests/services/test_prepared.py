"""Statements that are compiled once and run with other values."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest import mock

import pytest
from django.db import connections
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.services.clients import lookup
from delegation_app.services.prepared import PreparedQuery

pytestmark = pytest.mark.compat


def issued_since(client_id, moment):
    rows = Delegation.objects.filter(delegate_client_id=client_id, issued_at__gte=moment)
    return rows.select_related("delegate").order_by("pk")


@pytest.mark.parametrize("minutes", [-1, 1])
@pytest.mark.parametrize("app", ["web", "cron", "stand-in 0 of a prepared query", "'; --"])
def test_rows_are_those_of_the_queryset(world, story, app, minutes):
    story.tokens()
    story.client_credentials()
    prepared = PreparedQuery(issued_since)
    # With the values of another call first
    prepared.fetch("web", timezone.now())
    values = app, timezone.now() - timedelta(minutes=minutes)

    rows = prepared.fetch(*values)

    assert rows == list(issued_since(*values))
    assert bool(rows) == (minutes == 1 and app in {"web", "cron"})
    assert [row.delegate.client_id for row in rows] == [row.delegate_client_id for row in rows]


def test_statement_is_compiled_once(world, django_assert_num_queries):
    lookup.find("web")
    with (
        mock.patch.object(SQLCompiler, "as_sql", side_effect=AssertionError),
        django_assert_num_queries(2),
    ):
        found = lookup.find("cron")
        assert lookup.find("nobody") is None
    assert found.client_id == "cron"


@pytest.mark.django_db(transaction=True)
def test_another_thread_uses_its_own_connection(world):
    prepared = PreparedQuery(issued_since)
    prepared.fetch("web", timezone.now())

    def elsewhere():
        try:
            return prepared.fetch("web", timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result() == []
