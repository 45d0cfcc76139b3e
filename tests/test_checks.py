"""Each misconfiguration has a number, and the number stays."""

import pytest
from django.core.checks import run_checks

from delegation_app import checks
from delegation_app.models import ResourceServer
from tests.support.world import SERVICE_A

OURS = "delegation_app."
SQLITE = "django.db.backends.sqlite3"
GOOD_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"


def found(**how):
    """The numbers, except what tests/checks/test_callers.py shows: the tests count in memory."""
    numbers = [
        message.id.removeprefix(OURS)
        for message in run_checks(**how)
        if message.id.startswith(OURS)
    ]
    return [number for number in numbers if number != "W020"]


@pytest.fixture
def configure(settings):
    def change(**values):
        settings.DELEGATION = {**settings.DELEGATION, **values}

    return change


@pytest.mark.django_db
def test_check_when_all_is_well_then_nothing_is_said(world):
    assert found() == []


@pytest.mark.django_db
@pytest.mark.parametrize("issuer", [None, ""])
def test_check_when_issuer_is_missing_then_e001(configure, issuer):
    configure(ISSUER=issuer)

    assert found() == ["E001"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("issuer", "debug", "expected"),
    [
        ("http://as.example.com", False, ["E002"]),
        ("http://as.example.com", True, ["E002"]),
        ("http://127.0.0.1:8000", False, ["E002"]),
        ("http://127.0.0.1:8000", True, []),
        ("https://as.example.com/", False, ["E002"]),
        ("https://as.example.com?x=1", False, ["E002"]),
        ("https://as.example.com#x", False, ["E002"]),
        ("https://", False, ["E002"]),
        ("as.example.com", False, ["E002"]),
        ("https://as.example.com/tenant", False, []),
    ],
)
def test_check_when_issuer_is_not_https_then_e002(configure, settings, issuer, debug, expected):
    settings.DEBUG = debug
    configure(ISSUER=issuer)

    assert found() == expected


@pytest.mark.django_db
def test_check_when_a_key_is_unknown_then_e003(configure):
    configure(ACESS_TOKEN_LIFETIME=600)

    assert found() == ["E003"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [
        {"ACCESS_TOKEN_LIFETIME": "600"},
        {"ACCESS_TOKEN_LIFETIME": -1},
        {"ACCESS_TOKEN_LIFETIME": None},
        {"ACCESS_TOKEN_LIFETIME": True},
        {"ACCESS_TOKEN_LIFETIME": 86_401},
        {"SIGNING_ALGORITHM": "HS256"},
        {"CACHE": "nowhere"},
        {"MAX_DEPTH": 12},
        {"MAX_DEPTH": "8"},
        {"TRUSTED_PROXIES": ["10.0.0.1/8"]},
        {"TRUSTED_PROXIES": ["proxy.example.com"]},
        {"TRUSTED_PROXIES": 10},
        {"KEY_ENCRYPTION_KEY": ""},
        {"STATUS_LIST_TTL": 0},
        {"STATUS_LIST_TTL": 1.5},
        {"STATUS_LIST_TTL": 151},
        {"STATUS_LIST_LIFETIME": 9},
        {"STATUS_LIST_LIFETIME": None},
        {"STATUS_LIST_CACHE_SECONDS": -1},
        {"STATUS_LIST_CACHE_SECONDS": 151},
    ],
)
def test_check_when_a_value_can_not_be_used_then_e004(configure, value):
    configure(**value)

    assert found() == ["E004"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [
        {"ACCESS_TOKEN_LIFETIME": 86_400},
        {"STATUS_LIST_TTL": 1, "STATUS_LIST_LIFETIME": 2},
        {"STATUS_LIST_CACHE_SECONDS": 0},
    ],
)
def test_check_when_a_value_is_at_its_bound_then_nothing_to_say(configure, value):
    configure(**value)

    assert found() == []


@pytest.mark.django_db
def test_check_when_setting_is_no_dict_then_e004(settings):
    settings.DELEGATION = ["ISSUER"]

    assert "E004" in found()


def test_check_when_toolkit_is_not_installed_then_e005(monkeypatch):
    monkeypatch.setattr(checks.values.apps, "is_installed", lambda name: name != "oauth2_provider")

    assert [message.id for message in checks.values.check_toolkit()] == ["delegation_app.E005"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"transaction_mode": "IMMEDIATE", "init_command": GOOD_PRAGMAS}, []),
        ({"transaction_mode": "immediate", "init_command": "PRAGMA journal_mode = wal"}, []),
        ({"init_command": GOOD_PRAGMAS}, ["E006"]),
        ({"transaction_mode": "DEFERRED", "init_command": GOOD_PRAGMAS}, ["E006"]),
        ({"transaction_mode": "IMMEDIATE"}, ["E007"]),
        ({}, ["E006", "E007"]),
        (
            {
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL",
            },
            ["W001"],
        ),
    ],
)
def test_check_when_sqlite_is_not_immediate_and_wal_then_named(monkeypatch, options, expected):
    database = {"default": {"ENGINE": SQLITE, "OPTIONS": options}}
    monkeypatch.setattr(checks.databases.settings, "DATABASES", database)

    assert [m.id.removeprefix(OURS) for m in checks.databases.check_sqlite()] == expected


def test_check_when_database_is_postgresql_then_sqlite_is_no_matter(monkeypatch):
    database = {"default": {"ENGINE": "django.db.backends.postgresql"}}
    monkeypatch.setattr(checks.databases.settings, "DATABASES", database)

    assert checks.databases.check_sqlite() == []


@pytest.mark.django_db
def test_check_when_default_audience_is_no_resource_server_then_e008(configure, world):
    configure(DEFAULT_AUDIENCE="https://nobody.example.com")
    assert found() == ["E008"]

    configure(DEFAULT_AUDIENCE=SERVICE_A)
    assert found() == []


def test_check_when_a_clients_default_audience_is_not_its_own_then_e009(world):
    world.other.change(default_audience=world.service_b)

    assert found() == ["E009"]


def test_check_when_a_delegation_names_an_audience_that_no_resource_server_has_then_e010(story):
    story.tokens()
    ResourceServer.objects.filter(identifier=SERVICE_A).update(identifier="urn:renamed")

    assert found() == ["E010"]


def test_check_when_a_client_reaches_no_resource_server_then_w002(world):
    world.cron.policy.audiences.clear()

    assert found() == ["W002"]


def test_check_when_the_secret_of_the_signing_keys_is_gone_then_e011(story, configure):
    configure(KEY_ENCRYPTION_KEY="the first secret")
    story.tokens()
    assert found() == []

    configure(KEY_ENCRYPTION_KEY="another secret")
    assert found() == ["E011", "E011"]

    configure(KEY_ENCRYPTION_KEY=("another secret", "the first secret"))
    assert found() == []


def test_check_when_tables_are_missing_then_audiences_are_not_judged(monkeypatch):
    def fail():
        raise checks.rows.DatabaseError
        yield

    monkeypatch.setattr(checks.rows, "_audience_problems", fail)

    assert checks.rows.check_audiences() == []


@pytest.mark.parametrize(
    ("risks", "problem"),
    [
        ({"read:metrics": "high"}, None),
        ({"read:metrics": "grave"}, "must be one of low, medium, high"),
        ({"read:metrisc": "high"}, "no scope of this site"),
        (["read:metrics"], "must be a dict"),
    ],
    ids=["good", "level", "scope", "list"],
)
def test_settings_when_risks_of_scopes_are_wrong_then_e004(settings, risks, problem):
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": risks}
    reported = checks.values.check_settings()
    found = [error.msg for error in reported if error.id == "delegation_app.E004"]
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ON_PASSWORD_CHANGE", "ON_EMAIL_CHANGE"])
@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("keep", []),
        ("revoke", []),
        ("Revoke", ["E030"]),
        ("", ["E030"]),
        (None, ["E030"]),
        (True, ["E030"]),
        (["revoke"], ["E030"]),
    ],
)
def test_check_when_a_consequence_does_not_exist_then_e030(configure, name, value, numbers):
    configure(**{name: value})

    assert found() == numbers


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("login_url", "numbers"),
    [
        ("/accounts/login/", []),
        ("login", []),
        ("admin:login", []),
        ("https://sso.example.com/login", []),
        ("//sso.example.com/login", []),
        ("/accounts/login/?method=sso", []),
        ("/accounts/log-in/", ["W030"]),
        ("no-such-name", ["W030"]),
        ("", ["W030"]),
    ],
)
def test_check_when_there_is_no_login_page_then_w030(settings, login_url, numbers):
    settings.LOGIN_URL = login_url

    assert found() == numbers


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"REFRESH_RETRY_WINDOW": 600}, []),
        ({"REFRESH_RETRY_WINDOW": 601}, ["E032"]),
        ({"REFRESH_RETRY_WINDOW": 86_400}, ["E032"]),
        ({"REFRESH_RETRY_WINDOW": 300, "ACCESS_TOKEN_LIFETIME": 120}, ["E032"]),
        ({"REFRESH_RETRY_WINDOW": 0, "ACCESS_TOKEN_LIFETIME": 120}, []),
        # The default is cut to the token's life by itself
        ({"ACCESS_TOKEN_LIFETIME": 30}, []),
        ({"REFRESH_RETRY_WINDOW": "600"}, ["E004"]),
        ({"REFRESH_RETRY_WINDOW": -1}, ["E004"]),
    ],
)
def test_check_when_the_retry_window_is_longer_than_a_token_lives_then_e032(
    world, configure, values, expected
):
    configure(**values)

    assert found() == expected
