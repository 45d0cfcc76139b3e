from urllib.parse import parse_qs

import pytest

from delegation_app.client import requests
from delegation_app.client.credentials import Credentials
from delegation_app.client.target import Target
from delegation_app.protocol import names
from tests.client.fakes import OTHER, REDIRECT_URI, SERVICE

URL = "https://as.example.com/oauth/token"
WEB = Credentials("web", "secret")
BARE = Target.of(None, None)
BOTH = Target.of([SERVICE, OTHER], "a b")


def fields(request):
    assert (request.method, request.url) == ("POST", URL)
    return parse_qs(request.body.decode(), strict_parsing=True)


def test_redeem_when_it_is_built_then_it_proves_and_repeats_the_redirect_uri():
    code = requests.Code("c0de", "v" * 43, REDIRECT_URI)

    assert fields(requests.redeem(URL, WEB, code)) == {
        "grant_type": ["authorization_code"],
        "code": ["c0de"],
        "code_verifier": ["v" * 43],
        "redirect_uri": [REDIRECT_URI],
    }
    assert "c0de" not in repr(code)
    assert "vvv" not in repr(code)


def test_client_credentials_when_it_is_built_then_it_names_resources_and_scope():
    assert fields(requests.client_credentials(URL, WEB, BOTH)) == {
        "grant_type": ["client_credentials"],
        "resource": [SERVICE, OTHER],
        "scope": ["a b"],
    }


def test_client_credentials_when_the_client_is_public_then_there_are_none():
    with pytest.raises(ValueError, match="without a secret"):
        requests.client_credentials(URL, Credentials("mobile"), BARE)


def test_refresh_when_it_is_built_then_it_asks_for_no_more_than_it_is_told():
    assert fields(requests.refresh(URL, WEB, "r3fresh", BARE)) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["r3fresh"],
    }


def test_exchange_when_it_is_built_then_every_token_has_its_type():
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


def test_exchange_when_nobody_else_acts_then_there_is_no_actor_and_no_type_of_one():
    assert (
        not {"actor_token", "actor_token_type"}
        & fields(requests.exchange(URL, WEB, "subject", BARE)).keys()
    )


def test_about_when_there_is_a_hint_then_it_is_sent():
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
def test_requests_when_a_token_is_empty_then_nothing_is_built(build):
    with pytest.raises(ValueError, match="no token"):
        build()
