"""Settings that are missing, unknown or unusable."""

import pytest

from delegation_app import checks
from delegation_app.checks.bounds import BOUNDS, LARGEST
from delegation_app.conf import DEFAULTS
from tests.checks import found

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

# What is no number: a value that cannot be used, and the number that says so
OTHERS = {
    "ISSUER": ("as.example.com", "E002"),
    "DEFAULT_AUDIENCE": ("service a", "E004"),
    "DEFAULT_ACR": ("", "E004"),
    "SIGNING_ALGORITHM": ("HS256", "E004"),
    "KEY_ENCRYPTION_KEY": ("", "E004"),
    "CACHE": ("nowhere", "E004"),
    "TRUSTED_PROXIES": (["proxy.example.com"], "E004"),
    "ON_PASSWORD_CHANGE": ("Revoke", "E030"),
    "ON_EMAIL_CHANGE": ("Revoke", "E030"),
    "SCOPE_RISKS": ({"read:metrics": "grave"}, "E004"),
    # The app does not even start: see `test_apps`
    "CONSTRAINTS": None,
}
FLAGS = [name for name, default in DEFAULTS.items() if isinstance(default, bool)]


def test_settings_when_there_is_a_new_one_then_it_has_bounds():
    assert [*BOUNDS, *OTHERS, *FLAGS] == list(dict.fromkeys([*BOUNDS, *OTHERS, *FLAGS]))
    assert {*BOUNDS, *OTHERS, *FLAGS} == DEFAULTS.keys()


@pytest.mark.parametrize("name", [name for name, value in OTHERS.items() if value])
def test_check_when_a_setting_is_unusable_then_its_number(configure, name):
    value, number = OTHERS[name]
    configure(**{name: value})

    assert found() == [number]


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_check_when_a_flag_is_neither_true_nor_false_then_it_is_named(monkeypatch, value):
    monkeypatch.setattr(checks.values, "_FLAGS", {*FLAGS, "A_FLAG"})

    for name in (*FLAGS, "A_FLAG"):
        assert checks.values._problem(name, value) == "must be True or False"
        assert checks.values._problem(name, value=False) == ""


@pytest.mark.parametrize("name", BOUNDS)
def test_check_when_a_number_is_outside_its_bounds_then_e004(configure, name):
    bound = BOUNDS[name]
    wrong = ["600", True, 1.5, [600], bound.least - 1, bound.largest + 1, 10**30]
    for value in wrong if bound.optional else [*wrong, None]:
        configure(**{name: value})
        assert "E004" in found(), value


@pytest.mark.parametrize("name", BOUNDS)
def test_check_when_a_number_is_at_its_bounds_then_nothing_to_say(configure, name):
    bound = BOUNDS[name]
    # Two of the three numbers of a status list depend on each other
    together = {} if name == "STATUS_LIST_LIFETIME" else {"STATUS_LIST_LIFETIME": 3600}
    for value in (bound.least, bound.most, DEFAULTS[name], *([None] if bound.optional else [])):
        few = {"STATUS_LIST_TTL": 1, "STATUS_LIST_CACHE_SECONDS": 0, **together, name: value}
        configure(**few)
        assert found(deploy=True).count("E014") == 0, value
        assert found() == [], value


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_when_they_are_written_down_then_they_go_together_and_say_why(name):
    bound = BOUNDS[name]

    assert 0 <= bound.least < bound.most <= bound.largest <= LARGEST
    assert DEFAULTS[name] is None or bound.least <= DEFAULTS[name] <= bound.most
    assert len(bound.risk) > 20
    assert not bound.risk.endswith(".")


def test_check_when_all_is_well_then_nothing_is_said():
    assert found() == []


@pytest.mark.parametrize("issuer", [None, ""])
def test_check_when_issuer_is_missing_then_e001(configure, issuer):
    configure(ISSUER=issuer)

    assert found() == ["E001"]


@pytest.mark.parametrize(
    ("issuer", "debug", "expected"),
    [
        ("http://as.example.com", False, ["E002"]),
        ("http://as.example.com", True, ["E002"]),
        ("http://127.0.0.1:8000", False, ["E002"]),
        ("http://127.0.0.1:8000", True, []),
        ("https://as.example.com/", False, ["E002"]),
        ("https://as.example.com?x=1", False, ["E002"]),
        ("https://as.example.com?", False, ["E002"]),
        ("https://as.example.com#x", False, ["E002"]),
        ("https://user:secret@as.example.com", False, ["E002"]),
        ("https://as.example.com:port", False, ["E002"]),
        ("https://[::1", False, ["E002"]),
        ("https://", False, ["E002"]),
        ("as.example.com", False, ["E002"]),
        (5, False, ["E002"]),
        ("https://as.example.com/tenant", False, []),
    ],
)
def test_check_when_issuer_is_not_https_then_e002(configure, settings, issuer, debug, expected):
    settings.DEBUG = debug
    configure(ISSUER=issuer)

    assert found() == expected


def test_check_when_a_key_is_unknown_then_e003(configure):
    configure(ACESS_TOKEN_LIFETIME=600)

    assert found() == ["E003"]


@pytest.mark.parametrize(
    "value",
    [
        {"SIGNING_ALGORITHM": ["ES256"]},
        {"DEFAULT_AUDIENCE": 5},
        {"DEFAULT_ACR": None},
        {"TRUSTED_PROXIES": ["10.0.0.1/8"]},
        {"TRUSTED_PROXIES": 10},
        {"KEY_ENCRYPTION_KEY": ()},
        {"KEY_ENCRYPTION_KEY": 5},
        {"KEY_ENCRYPTION_KEY": b"bytes"},
        {"KEY_ENCRYPTION_KEY": ("good", "")},
        {"KEY_ENCRYPTION_KEY": {"good": 1}},
        {"STATUS_LIST_TTL": 151},
        {"STATUS_LIST_LIFETIME": 9},
        {"STATUS_LIST_CACHE_SECONDS": 151},
    ],
)
def test_check_when_a_value_can_not_be_used_then_e004(configure, value):
    configure(**value)

    assert found() == ["E004"]


def test_check_when_a_secret_has_the_wrong_type_then_it_is_not_repeated(configure):
    configure(KEY_ENCRYPTION_KEY=["hunter2", 5])

    assert "hunter2" not in str(checks.values.check_settings())


def test_check_when_a_status_list_lives_twice_as_long_as_it_is_kept_then_nothing(configure):
    configure(STATUS_LIST_TTL=1, STATUS_LIST_LIFETIME=2)

    assert found() == []


def test_check_when_setting_is_no_dict_then_e004(settings):
    settings.DELEGATION = ["ISSUER"]

    assert "E004" in found()


def test_check_when_times_have_no_zone_then_e012(settings):
    settings.USE_TZ = False

    assert found() == ["E012"]


@pytest.mark.parametrize(
    ("risks", "problem"),
    [
        ({"read:metrics": "high"}, None),
        ({"read:metrics": "grave"}, "must be one of low, medium, high"),
        ({"read:metrisc": "high"}, "unknown scope"),
        (["read:metrics"], "must be a dict"),
    ],
    ids=["good", "level", "scope", "list"],
)
def test_settings_when_risks_of_scopes_are_wrong_then_e004(configure, risks, problem):
    configure(SCOPE_RISKS=risks)
    reported = [error.msg for error in checks.values.check_settings()]

    assert len(reported) == (problem is not None)
    assert problem is None or problem in reported[0]


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
    configure, values, expected
):
    configure(**values)

    assert found() == expected
