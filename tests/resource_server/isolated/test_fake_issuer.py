"""The helpers for tests need no table, and no server."""

import sys

import pytest
from django.db import connection

from delegation_app.testing.acting_as import acting_as
from delegation_app.testing.fake_issuer import FakeIssuer
from delegation_app.testing.verifiers import verified_by

pytestmark = pytest.mark.urls("tests.testing.views")


def test_fake_issuer_when_there_is_no_database(client, settings):
    conf = settings.DELEGATION_RESOURCE_SERVER
    with verified_by(FakeIssuer(conf["ISSUER"], conf["AUDIENCE"])) as issuer:
        token = issuer.token(scope="read:metrics")
        headers = {"Authorization": f"Bearer {token}"}

        before = client.get("/plain/", headers=headers)
        issuer.revoke(token)
        after = client.get("/plain/", headers=headers)

    assert connection.vendor == "unknown"
    assert (before.status_code, after.status_code) == (200, 401)


def test_acting_as_when_there_is_no_database(client):
    with acting_as(client, on_behalf_of="user:7", scope="read:metrics"):
        assert client.get("/metrics/").json()["subject"] == "user:7"
    assert "delegation_app.models" not in sys.modules
