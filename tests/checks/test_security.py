"""Values that work and are dangerous: `check --deploy`."""

import pytest

from delegation_app.checks.bounds import BOUNDS
from tests.checks import found

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

SECRET = "0123456789abcdef" * 2
DANGEROUS = [name for name, bound in BOUNDS.items() if not bound.strict]


def ours():
    """What `--deploy` adds, without what it says of the tests' own database and cache."""
    return [number for number in found(deploy=True) if number.startswith("E01")]


@pytest.mark.parametrize("name", DANGEROUS)
def test_deploy_when_a_number_is_larger_than_is_safe_then_e014(configure, name):
    # What a status list, or a window for retries, must not outlive
    longer = {"STATUS_LIST_LIFETIME": 3600, "ACCESS_TOKEN_LIFETIME": 3600}
    configure(**{**longer, name: BOUNDS[name].most + 1})

    assert ours() == ["E014"]
    # It works, so nothing stops a command, or a server on the machine of a developer
    assert found() == []


@pytest.mark.parametrize(
    "value",
    [
        {"AUTHORIZATION_CODE_LIFETIME": 86_400},
        {"REFRESH_RETRY_WINDOW": 86_400},
        {"FAILED_AUTHENTICATIONS_PER_MINUTE": 10**9},
        {"DEVICE_ATTEMPTS_PER_MINUTE": 10**9},
        {"DELEGATION_LIFETIME": 10**9},
    ],
)
def test_deploy_when_a_value_undoes_a_limit_then_e014(configure, value):
    configure(**value)

    assert ours() == ["E014"]


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (["0.0.0.0/0"], ["E015"]),
        ("0.0.0.0/0", ["E015"]),
        (["::/0"], ["E015"]),
        (["0.0.0.0/0", "::/0"], ["E015", "E015"]),
        (["0.0.0.0/1", "128.0.0.0/1"], ["E015"]),
        (["8.0.0.0/7"], ["E015"]),
        (["8.0.0.0/8", "9.0.0.0/8"], ["E015"]),
        # IPv4 in the form of IPv6
        (["::ffff:0:0/96"], ["E015"]),
        (["2000::/3"], ["E015"]),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.1", "::1"], []),
        (["fc00::/7"], []),
        (["104.16.0.0/13", "172.64.0.0/13", "2a06:98c0::/29"], []),
        ([], []),
    ],
)
def test_deploy_when_anybody_may_be_a_proxy_then_e015(configure, networks, expected):
    configure(TRUSTED_PROXIES=networks)

    assert ours() == expected


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ("a", ["E016"]),
        ("a" * 64, ["E016"]),
        ("abcd" * 16, ["E016"]),
        (SECRET[:-1], ["E016"]),
        ((SECRET, "a"), ["E016"]),
        (SECRET, []),
        ([SECRET, SECRET[::-1]], []),
        # It is SECRET_KEY then, which Django judges
        (None, []),
    ],
)
def test_deploy_when_the_secret_of_the_keys_can_be_guessed_then_e016(configure, secret, expected):
    configure(KEY_ENCRYPTION_KEY=secret)

    assert ours() == expected


def test_deploy_when_values_are_unusable_then_it_is_no_traceback(configure):
    configure(TRUSTED_PROXIES=[5, "x"], KEY_ENCRYPTION_KEY=5, MAX_DEPTH="8")

    assert found(deploy=True).count("E004") == 4
