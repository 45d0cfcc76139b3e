"""The pages that users need."""

import pytest

from tests.checks import found

pytestmark = pytest.mark.any_database


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
