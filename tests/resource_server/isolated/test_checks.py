"""Each misconfiguration has a number, and the number stays."""

import re
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from delegation_app.resource_server import checks
from delegation_app.resource_server.conf import DEFAULTS, conf
from delegation_app.resource_server.verifiers.base import DEFAULT_SIZE

OURS = "delegation_app.resource_server."
SECRET = "a secret that nobody guesses in a life"
OWN_CLASS = "delegation_app.resource_server.verifiers.offline.OfflineVerifier"


def found():
    return [
        message.id.removeprefix(OURS) for message in run_checks() if message.id.startswith(OURS)
    ]


@pytest.mark.parametrize("audience", [None, ""])
def test_check_when_there_is_no_audience(configure, audience):
    configure(AUDIENCE=audience)
    assert found() == ["E001"]
    with pytest.raises(ImproperlyConfigured, match="AUDIENCE"):
        _ = conf.audience


@pytest.mark.parametrize("audience", ["service-a", "https://a.example#x", "a b", 7])
def test_check_when_the_audience_is_no_identifier(configure, audience):
    configure(AUDIENCE=audience)
    assert found() == ["E002"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, []), (0.5, []), (60, []), (60.1, ["E011"]), (86_400, ["E011"]),
        (float("inf"), ["E011"]), (-1, ["E006"]), (float("nan"), ["E006"]), ("10", ["E006"]),
        (None, ["E006"]), (True, ["E006"]),
    ],
)  # fmt: skip
def test_check_when_the_clock_skew_is_out_of_bounds(configure, seconds, expected):
    configure(CLOCK_SKEW_SECONDS=seconds)
    assert found() == expected


@pytest.mark.conformance("PR-04")
@pytest.mark.parametrize("audience", ["urn:service-a", "http://service-a.example.com"])
def test_check_when_the_audience_can_have_no_metadata(configure, audience):
    configure(AUDIENCE=audience)
    assert found() == ["W001"]
    configure(METADATA_URL="")
    assert found() == []


def test_check_when_there_is_no_issuer(configure):
    configure(ISSUER=None)
    assert found() == ["E003"]


@pytest.mark.parametrize(
    ("issuer", "debug", "expected"),
    [
        ("http://as.example.com", False, ["E004"]),
        ("http://as.example.com", True, ["E004"]),
        ("http://127.0.0.1:8000", False, ["E004"]),
        ("http://127.0.0.1:8000", True, []),
        ("http://localhost:8000", True, []),
        ("http://[::1]:8000", True, []),
        ("http://127.0.0.1.example.com", True, ["E004"]),
        ("https://as.example.com/", False, ["E004"]),
        ("https://as.example.com?x=1", False, ["E004"]),
        ("https://as.example.com#x", False, ["E004"]),
        ("https://", False, ["E004"]),
        ("as.example.com", False, ["E004"]),
        ("https://as.example.com/tenant", False, []),
    ],
)
def test_check_when_the_issuer_is_not_https(configure, settings, issuer, debug, expected):
    settings.DEBUG = debug
    configure(ISSUER=issuer)
    assert found() == expected


@pytest.mark.parametrize("name", ["JWKS_URI", "METADATA_URL"])
def test_check_when_another_address_is_not_https(configure, name):
    configure(**{name: "http://as.example.com/x"})
    assert found() == ["E004"]
    configure(**{name: "https://as.example.com/x"})
    assert found() == []


def test_check_when_a_key_is_unknown(configure):
    configure(AUDIENCES=["https://service-a.example.com"])
    assert found() == ["E005"]


@pytest.mark.parametrize(
    "value",
    [
        {"POLL_SECONDS": "5"}, {"POLL_SECONDS": 0}, {"POLL_SECONDS": None},
        {"MAX_STALENESS": -1}, {"MAX_STALENESS": True}, {"TOKEN_CACHE_SIZE": 0},
        {"INTROSPECTION_CACHE_SECONDS": -1}, {"METADATA_MAX_AGE": "300"}, {"REALM": 7},
        {"RESOURCE_NAME": ["Metrics"]}, {"TRUSTED_PROXIES": ["10.0.0.1/8"]},
        {"TRUSTED_PROXIES": ["proxy.example.com"]}, {"TRUSTED_PROXIES": 10},
        {"TRUSTED_PROXIES": [10]}, {"SCOPES": ["read:metrics write:alerts"]},
        {"SCOPES": ["r\u00e9ad"]}, {"SCOPES": [""]}, {"SCOPES": None},
        {"CONSTRAINTS": {"a": "b"}},
    ],
)  # fmt: skip
def test_check_when_a_value_is_unusable(configure, value):
    configure(**value)
    assert found() == ["E006"]


@pytest.mark.parametrize("value", [["AUDIENCE"], None, "https://service-a.example.com"])
def test_check_when_the_setting_is_no_dict(settings, value):
    settings.DELEGATION_RESOURCE_SERVER = value
    assert "E006" in found()


@pytest.mark.parametrize(
    ("poll", "staleness", "expected"),
    [(5, 15, []), (5, 5, []), (0.5, 1, []), (5, 4.9, ["E007"]), (30, 15, ["E007"])],
)
def test_check_when_lists_are_too_old_before_the_next(configure, poll, staleness, expected):
    configure(POLL_SECONDS=poll, MAX_STALENESS=staleness)
    assert found() == expected


@pytest.mark.parametrize("verifier", ["online", "nowhere.Verifier", "delegation_app.Nothing", ""])
def test_check_when_there_is_no_such_verifier(configure, verifier):
    configure(VERIFIER=verifier)
    assert found() == ["E008"]


def test_check_when_the_verifier_is_a_class(configure):
    configure(VERIFIER=OWN_CLASS)
    assert found() == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"VERIFIER": "introspection"}, ["E009"]),
        ({"VERIFIER": "introspection", "CLIENT_ID": "a"}, ["E009"]),
        ({"VERIFIER": "introspection", "CLIENT_ID": "a", "CLIENT_SECRET": SECRET}, []),
        ({"CLIENT_ID": "a"}, ["E009"]),
        ({"CLIENT_SECRET": SECRET}, ["E009"]),
        ({"CLIENT_ID": "a", "CLIENT_SECRET": SECRET}, []),
        ({"CLIENT_ID": "a", "CLIENT_SECRET": "hunter2"}, ["W002"]),
    ],
)
def test_check_when_credentials_are_missing_or_weak(configure, values, expected):
    configure(**values)
    assert found() == expected


def test_check_when_a_secret_is_wrong(configure):
    configure(CLIENT_ID="a", CLIENT_SECRET=b"a secret in the wrong type")
    assert "wrong type" not in " ".join(str(message) for message in run_checks())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"UNAUTHENTICATED_USER": None}, []),
        ({}, ["E010"]),
        ({"UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser"}, ["E010"]),
        ({"UNAUTHENTICATED_USER": "builtins.object"}, []),
    ],
)
def test_check_when_the_anonymous_user_needs_accounts(settings, chosen, expected):
    settings.REST_FRAMEWORK = chosen
    assert found() == expected


def test_check_when_nothing_answers_for_the_metadata(configure, settings):
    settings.ROOT_URLCONF = "tests.resource_server.isolated.no_urls"
    assert found() == ["W003"]
    configure(METADATA_URL="")
    assert found() == []
    configure(METADATA_URL="https://elsewhere.example.com/a")
    assert found() == []


def test_checks_when_counted():
    source = Path(checks.__file__).read_text(encoding="utf-8")
    for kind, count in (("E", 11), ("W", 4)):
        numbers = sorted(set(re.findall(rf'"({kind}\d{{3}})"', source)))
        assert numbers == [f"{kind}{number:03}" for number in range(1, count + 1)]


def test_settings_when_left_out():
    assert DEFAULTS["TOKEN_CACHE_SIZE"] == DEFAULT_SIZE


@pytest.mark.parametrize(
    ("header", "trusted", "expected"),
    [
        (("HTTP_X_FORWARDED_PROTO", "https"), (), ["W004"]),
        (("HTTP_X_FORWARDED_PROTO", "https"), ["unix"], []),
        (None, ["unix"], []),
    ],
)
def test_check_when_a_proxy_is_believed_about_https_alone(
    configure, settings, header, trusted, expected
):
    settings.SECURE_PROXY_SSL_HEADER = header
    configure(TRUSTED_PROXIES=trusted)
    assert found() == expected
