"""A database that answers, and refuses: no wait repairs a missing table."""

import sqlite3
from unittest import mock

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.backends.utils import CursorWrapper

from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.services import signing_keys
from delegation_app.services.database_errors import is_permanent
from delegation_app.services.tokens.local_verifier import LocalVerifier
from tests.support.answers import refused
from tests.support.world import SERVICE_A

pytestmark = pytest.mark.django_db(transaction=True)


def caused_by(cause):
    error = OperationalError("no such table: secret_table")
    error.__cause__ = cause
    return error


def of_sqlite(code):
    cause = sqlite3.OperationalError("secret_table")
    cause.sqlite_errorcode = code
    return caused_by(cause)


PERMANENT = [
    ProgrammingError('relation "secret_table" does not exist'),
    NotSupportedError("secret_table"),
    IntegrityError("secret_table"),
    of_sqlite(sqlite3.SQLITE_ERROR),
]
PASSING = [
    OperationalError("secret_table"),
    InterfaceError("secret_table"),
    InternalError("cannot execute UPDATE in a read-only transaction"),
    DatabaseError("secret_table"),
    caused_by(None),
    of_sqlite(sqlite3.SQLITE_BUSY),
    of_sqlite(sqlite3.SQLITE_FULL),
    of_sqlite(sqlite3.SQLITE_READONLY),
]


def named(error):
    code = getattr(error.__cause__, "sqlite_errorcode", "")
    return f"{type(error).__name__}{code}"


def every_statement_raises(error):
    def fail(*_args):
        raise error

    return mock.patch.object(CursorWrapper, "execute", fail)


def answers(story):
    """What is answered at each kind of endpoint."""
    tokens = story.tokens()
    story.wire.raise_request_exception = story.browser.raise_request_exception = False
    yield lambda: story.refresh(tokens["refresh_token"])
    yield story.client_credentials
    yield lambda: story.revoke(tokens["refresh_token"])
    yield lambda: story.introspect(tokens["access_token"])
    yield story.start
    yield lambda: story.wire.get("/oauth/jwks")
    yield lambda: story.wire.get("/oauth/status")
    yield lambda: story.browser.get("/connections/api/")


@pytest.mark.parametrize("error", PERMANENT, ids=named)
def test_endpoint_when_no_wait_repairs_the_database(story, caplog, error):
    for request in answers(story):
        signing_keys.forget()
        caplog.clear()
        with every_statement_raises(error):
            response = request()
        refused(response, "server_error", 500)
        assert "Retry-After" not in response
        assert b"secret_table" not in response.content
        assert "secret_table" in caplog.text


@pytest.mark.parametrize("error", PASSING, ids=named)
def test_endpoint_when_the_database_may_come_back(story, error):
    for request in answers(story):
        signing_keys.forget()
        with every_statement_raises(error):
            response = request()
        refused(response, "temporarily_unavailable", 503)
        assert "Retry-After" in response


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/device", "/connections/"])
@pytest.mark.parametrize(("error", "status"), [(PERMANENT[0], 500), (PASSING[0], 503)])
def test_page_when_the_database_is_wrong(story, path, error, status):
    query = f"?client_id={story.world.web.client_id}" if path == "/oauth/authorize" else ""
    story.browser.raise_request_exception = False
    with every_statement_raises(error):
        response = story.browser.get(path + query)

    assert response.status_code == status
    assert ("Retry-After" in response) == (status == 503)
    assert b"<h1" in response.content


def test_verifier_beside_the_server_when_the_database_is_wrong(story):
    token = story.tokens()["access_token"]
    with every_statement_raises(PERMANENT[0]), pytest.raises(ProgrammingError):
        LocalVerifier(SERVICE_A).verify(token)
    with every_statement_raises(PASSING[0]), pytest.raises(TemporarilyUnavailable):
        LocalVerifier(SERVICE_A).verify(token)


def test_error_when_a_table_is_missing():
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM there_is_no_such_table")

    assert is_permanent(caught.value)
