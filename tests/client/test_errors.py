import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.client import errors

pytestmark = pytest.mark.any_database

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1c2VyOjEifQ.c2lnbmF0dXJlLW9mLXNvbWV0aGluZw"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_request", errors.InvalidRequestError),
        ("invalid_client", errors.InvalidClientError),
        ("invalid_grant", errors.InvalidGrantError),
        ("unauthorized_client", errors.UnauthorizedClientError),
        ("unsupported_grant_type", errors.UnsupportedGrantTypeError),
        ("invalid_scope", errors.InvalidScopeError),
        ("invalid_target", errors.InvalidTargetError),
        ("unsupported_token_type", errors.UnsupportedTokenTypeError),
        ("access_denied", errors.AccessDeniedError),
        ("login_required", errors.LoginRequiredError),
        ("consent_required", errors.ConsentRequiredError),
        ("server_error", errors.ServerFailed),
        ("temporarily_unavailable", errors.TemporarilyUnavailableError),
        ("slow_down", errors.Refused),
    ],
)
def test_refused_when_a_code_is_known(code, kind):
    error = errors.refused(code, "a sentence", status=400)

    assert type(error) is kind
    assert isinstance(error, errors.Refused)
    assert (error.code, error.description, str(error)) == (
        code,
        "a sentence",
        f"{code}: a sentence",
    )


def test_classes_when_they_are_counted():
    assert set(errors._BY_CODE.values()) == set(errors.Refused.__subclasses__())


@pytest.mark.parametrize("how", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301 - our own
def test_refused_when_it_is_copied(how):
    error = errors.refused("invalid_grant", "used", status=429, retry_after=7)
    error.address = "https://as.example.com/oauth/token"

    again = how(error)

    assert type(again) is errors.InvalidGrantError
    assert (again.code, again.description, again.status, again.retry_after) == (
        "invalid_grant", "used", 429, 7,
    )  # fmt: skip
    assert str(again) == "https://as.example.com/oauth/token: invalid_grant: used"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"The token {JWT} is expired.", "The token ... is expired."),
        ("one\r\nSet-Cookie: two", "one??Set-Cookie: two"),
        ("\x1b[31mred\x00", "?[31mred?"),
        (None, ""),
        (["a list"], ""),
        ({"a": "dict"}, ""),
        ("\ud800", "?"),
    ],
)
def test_description_when_the_server_says_odd_things(sent, kept):
    assert errors.refused("invalid_request", sent, status=400).description == kept


@given(st.text(max_size=3000))
def test_description_when_it_is_anything(sent):
    description = errors.refused("invalid_request", sent, status=400).description
    assert len(description) <= 200
    assert description.isascii()
    assert description.isprintable()


@pytest.mark.parametrize(
    "value", [None, 3, "", "Invalid", "a b", JWT, "a" * 41, "x\n", "ünknown", ["invalid_grant"]]
)
def test_is_code_when_it_can_be_none(value):
    assert not errors.is_code(value)


def test_temporary_when_waiting_may_help():
    assert errors.NoAnswer("x").temporary
    assert errors.TemporarilyUnavailableError("temporarily_unavailable").temporary
    assert not errors.UnusableAnswer("x").temporary
    assert not errors.InvalidGrantError("invalid_grant").temporary
