from urllib.parse import parse_qs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delegation_app.client import requests
from delegation_app.client.credentials import Credentials
from delegation_app.client.tokens import Target
from delegation_app.protocol import names
from delegation_app.protocol.requests.client_auth import read_credentials
from delegation_app.protocol.requests.parameters import Parameters
from tests.client.fakes import OTHER, REDIRECT_URI, SERVICE

pytestmark = pytest.mark.any_database

URL = "https://as.example.com/oauth/token"
WEB = Credentials("web", "secret")
BARE = Target.of(None, None)
BOTH = Target.of([SERVICE, OTHER], "a b")


def fields(request):
    assert (request.method, request.url) == ("POST", URL)
    return parse_qs(request.body.decode(), strict_parsing=True)


def test_redeem_when_it_is_built():
    code = requests.Code("c0de", "v" * 43, REDIRECT_URI)

    assert fields(requests.redeem(URL, WEB, code)) == {
        "grant_type": ["authorization_code"],
        "code": ["c0de"],
        "code_verifier": ["v" * 43],
        "redirect_uri": [REDIRECT_URI],
    }
    assert "c0de" not in repr(code)
    assert "vvv" not in repr(code)


def test_client_credentials_when_it_is_built():
    assert fields(requests.client_credentials(URL, WEB, BOTH)) == {
        "grant_type": ["client_credentials"],
        "resource": [SERVICE, OTHER],
        "scope": ["a b"],
    }


def test_client_credentials_when_the_client_is_public():
    with pytest.raises(ValueError, match="public client"):
        requests.client_credentials(URL, Credentials("mobile"), BARE)


def test_refresh_when_it_is_built():
    assert fields(requests.refresh(URL, WEB, "r3fresh", BARE)) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r3fresh"],
    }


def test_exchange_when_it_is_built():
    assert fields(requests.exchange(URL, WEB, "subject", BOTH, "actor")) == {
        "grant_type": [names.TOKEN_EXCHANGE],
        "subject_token": ["subject"],
        "subject_token_type": [names.ACCESS_TOKEN],
        "actor_token": ["actor"],
        "actor_token_type": [names.ACCESS_TOKEN],
        "requested_token_type": [names.ACCESS_TOKEN],
        "audience": [SERVICE, OTHER],
        "scope": ["a b"],
    }


def test_exchange_when_there_is_no_actor():
    assert (
        not {"actor_token", "actor_token_type"}
        & fields(requests.exchange(URL, WEB, "subject", BARE)).keys()
    )


def test_about_when_there_is_a_hint():
    assert fields(requests.about(URL, WEB, "t", "refresh_token")) == {
        "token": ["t"],
        "token_type_hint": ["refresh_token"],
    }
    assert fields(requests.about(URL, WEB, "t")) == {"token": ["t"]}


@pytest.mark.parametrize(
    "build",
    [
        lambda: requests.redeem(URL, WEB, requests.Code("", "v", REDIRECT_URI)),
        lambda: requests.refresh(URL, WEB, "", BARE),
        lambda: requests.exchange(URL, WEB, "", BARE),
        lambda: requests.exchange(URL, WEB, "subject", BARE, ""),
        lambda: requests.about(URL, WEB, ""),
    ],
)
def test_requests_when_a_token_is_empty(build):
    with pytest.raises(ValueError, match="empty"):
        build()


# Targets


def test_of_when_the_same_is_written_differently():
    one = Target.of([OTHER, SERVICE, OTHER], "b  a")
    other = Target.of((SERVICE, OTHER), ["a", "b"])
    assert one == other
    assert hash(one) == hash(other)


def test_fields_when_nothing_is_said():
    assert Target.of(None, None).fields("resource") == {}


def test_fields_when_something_is_said():
    assert Target.of([OTHER, SERVICE], "b a").fields("audience") == {
        "audience": [SERVICE, OTHER],
        "scope": "a b",
    }


@pytest.mark.parametrize(
    ("audience", "scope"),
    [("service-b", "a"), ("https://b.example.com/#f", "a"), (SERVICE, 'a"b'), (SERVICE, "ä")],
)
def test_of_when_it_makes_no_sense(audience, scope):
    with pytest.raises(ValueError, match=r"absolute URI|characters"):
        Target.of(audience, scope)


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


def read(request):
    return read_credentials(
        request.headers.get("Authorization"), Parameters.parse(request.body.decode())
    )


@given(text, text)
@example("a+b%41:c d", "ä+b%41:c d&=")
def test_credentials_request_when_id_and_secret_are_anything(name, secret):
    for method in (names.BASIC, names.POST):
        got = read(Credentials(name, secret, method).request(URL, {"grant_type": "x"}))
        assert (got.client_id, got.secret, got.method) == (name, secret, method)


def test_credentials_request_when_the_client_is_public():
    request = Credentials("mobile").request(URL, {"grant_type": "x"})
    assert "Authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {"grant_type": ["x"], "client_id": ["mobile"]}


def test_credentials_request_when_a_secret_goes_in_the_header():
    request = Credentials("web", "very secret").request(URL, {"grant_type": "x"})
    assert parse_qs(request.body.decode()) == {"grant_type": ["x"]}


def test_representation_when_it_is_logged():
    assert "very secret" not in repr(Credentials("web", "very secret"))


@pytest.mark.parametrize(
    "arguments", [("",), ("web", ""), ("web", "s", "none"), ("web", "s", "private_key_jwt")]
)
def test_credentials_when_they_make_no_sense(arguments):
    with pytest.raises(ValueError, match="client"):
        Credentials(*arguments)
