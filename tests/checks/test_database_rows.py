"""What is on record: `check --database default`, and before `migrate`."""

import pytest
from django.core.checks import ERROR, run_checks
from django.core.management import call_command
from django.db import DatabaseError
from django.test import SimpleTestCase

from delegation_app import checks
from delegation_app.models import ResourceServer
from tests.checks import OURS, found
from tests.support.world import SERVICE_A

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def _schemes(settings):
    """The mobile app's own scheme is one of the site's, so all is well."""
    schemes = ["https", "http", "com.example.mobile"]
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": schemes,
    }


@pytest.mark.django_db
def test_rows_when_all_is_well_then_nothing_is_said(world):
    assert found(rows=True) == []


@pytest.mark.django_db
def test_rows_when_default_audience_is_no_resource_server_then_w004(configure, world):
    configure(DEFAULT_AUDIENCE="https://nobody.example.com")
    assert found(rows=True) == ["W004"]

    configure(DEFAULT_AUDIENCE=SERVICE_A)
    assert found(rows=True) == []


def test_rows_when_a_clients_default_audience_is_not_its_own_then_w005(world):
    world.other.change(default_audience=world.service_b)

    assert found(rows=True) == ["W005"]


def test_rows_when_a_delegation_names_an_audience_that_no_resource_server_has_then_w006(story):
    story.tokens()
    ResourceServer.objects.filter(identifier=SERVICE_A).update(identifier="urn:renamed")

    assert found(rows=True) == ["W006"]


def test_rows_when_a_client_reaches_no_resource_server_then_w002(world):
    world.cron.policy.audiences.clear()

    assert found(rows=True) == ["W002"]


def test_rows_when_the_secret_of_the_signing_keys_is_gone_then_w003(story, configure):
    configure(KEY_ENCRYPTION_KEY="the first secret")
    story.tokens()
    assert found(rows=True) == []

    configure(KEY_ENCRYPTION_KEY="another secret")
    assert found(rows=True) == ["W003", "W003"]

    configure(KEY_ENCRYPTION_KEY=("another secret", "the first secret"))
    assert found(rows=True) == []


@pytest.mark.django_db
def test_rows_when_scopes_are_kept_in_tables_then_risks_are_compared_there(configure, monkeypatch):
    monkeypatch.setattr("delegation_app.toolkit.scopes_are_settings", lambda: False)
    configure(SCOPE_RISKS={"read:metrics": "low", "read:metrisc": "high"})

    assert found() == []
    assert found(rows=True) == ["W007"]


def test_rows_when_anything_is_wrong_with_them_then_no_command_is_stopped(story, configure):
    story.tokens()
    story.world.cron.policy.audiences.clear()
    story.world.other.change(default_audience=story.world.service_b)
    ResourceServer.objects.filter(identifier=SERVICE_A).update(identifier="urn:renamed")
    configure(KEY_ENCRYPTION_KEY="another secret", DEFAULT_AUDIENCE="https://nobody.example.com")

    messages = [m for m in run_checks(databases=["default"]) if m.id.startswith(OURS)]
    assert {m.id.removeprefix(OURS) for m in messages} == {"W002", "W003", "W004", "W005", "W006"}
    assert all(message.level < ERROR for message in messages)
    # Whoever calls it from a script gets no exception
    call_command("check", databases=["default"], verbosity=0)


@pytest.mark.parametrize("name", ["check_keys", "check_audiences", "check_policies", "check_risks"])
def test_rows_when_tables_are_missing_or_another_database_is_checked_then_not_judged(
    monkeypatch, name
):
    def fail():
        raise DatabaseError
        yield

    monkeypatch.setattr(checks.database_rows, name.replace("check", ""), fail)
    check = getattr(checks.database_rows, name)

    assert check(databases=["default"]) == []
    assert check(databases=["replica"]) == check(databases=None) == check() == []


class WithoutDatabase(SimpleTestCase):
    """Django refuses every query here."""

    def test_check_when_no_query_is_allowed_then_there_is_none(self):
        call_command("check", verbosity=0)
        call_command("check", deploy=True, fail_level="CRITICAL", verbosity=0)
