import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.client import discovery, responses
from delegation_app.client.errors import (
    InvalidGrantError,
    Refused,
    ServerFailed,
    TemporarilyUnavailableError,
    UnusableAnswer,
)
from delegation_app.client.http.transport import Response
from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from tests.client.fakes import ISSUER, answer

pytestmark = pytest.mark.any_database

GOOD = {"access_token": "eyJ.a-b_c~d+e/f=", "token_type": "Bearer", "expires_in": 600}


def judged(**changes):
    members = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return responses.tokens(answer(**members), now=1000.0, requested=Scope(["a", "b"]))


def test_tokens_when_the_answer_is_good():
    tokens = judged(scope="a", refresh_token="a refresh token")
    assert tokens.access_token == GOOD["access_token"]
    assert tokens.scope == Scope(["a"])
    assert (tokens.expires_in, tokens.expires_at) == (600, 1600)
    assert tokens.refresh_token == "a refresh token"
    assert tokens.access_token not in repr(tokens)
    assert "refresh" not in repr(tokens).replace("refresh_token=", "")


def test_tokens_when_no_scope_is_said():
    assert judged().scope == Scope(["a", "b"])


def test_tokens_when_no_lifetime_is_said():
    tokens = judged(expires_in=...)
    assert (tokens.expires_in, tokens.expires_at) == (None, None)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_tokens_when_the_type_is_written_in_any_case(kind):
    assert judged(token_type=kind).access_token


@pytest.mark.parametrize(
    "changes",
    [
        {"token_type": ...}, {"token_type": "DPoP"}, {"token_type": "N_A"}, {"token_type": 1},
        {"token_type": "bearer "}, {"access_token": ...}, {"access_token": ""},
        {"access_token": None}, {"access_token": 17}, {"access_token": "a b"},
        {"access_token": "a\r\nX-Injected: b"}, {"access_token": "ä"},
        {"access_token": "a" * 20_000}, {"expires_in": "600"}, {"expires_in": True},
        {"expires_in": 0}, {"expires_in": -1}, {"expires_in": 10**400}, {"expires_in": [600]},
        {"refresh_token": 1}, {"refresh_token": ""}, {"refresh_token": "a\nb"}, {"scope": ["a"]},
        {"scope": 'a"b'}, {"scope": "\ud800"},
    ],
)  # fmt: skip
def test_tokens_when_a_member_makes_no_sense(changes):
    with pytest.raises(UnusableAnswer):
        judged(**changes)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"token"',
        b"<html>",
        b"\xff\xfe",
        b'{"access_token": "a", "access_token": "b", "token_type": "bearer"}',
        b'{"access_token": "a", "token_type": "bearer", "expires_in": NaN}',
        b'{"access_token": "a", "token_type": "bearer", "expires_in": 1e999}',
        b'{"access_token": "a", "token_type": "bearer", "expires_in": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
def test_tokens_when_the_body_is_no_object_of_json(body):
    with pytest.raises(UnusableAnswer):
        responses.tokens(Response(200, {}, body), now=0.0)


@pytest.mark.parametrize("issued", [None, names.JWT, names.REFRESH_TOKEN_TYPE, 1])
def test_tokens_when_an_exchange_issued_another_type(issued):
    members = {**GOOD, "issued_token_type": issued}
    with pytest.raises(UnusableAnswer):
        responses.tokens(answer(**members), now=0.0, issued=names.ACCESS_TOKEN)


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 307])
def test_tokens_when_the_status_is_another(status):
    with pytest.raises(UnusableAnswer):
        responses.tokens(answer(status, **GOOD), now=0.0)


def test_refusal_when_the_answer_has_a_code():
    error = responses.refusal(answer(400, error="invalid_grant", error_description="Used."))
    assert type(error) is InvalidGrantError
    assert (error.code, error.description, error.status) == ("invalid_grant", "Used.", 400)


def test_refusal_when_the_answer_is_longer_than_it_should_be():
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
    error = responses.refusal(
        answer(400, error="invalid_request", error_description=f"What is {secret}?", more=secret)
    )
    assert secret not in f"{error} {error!r} {error.__dict__}"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("body", [b"<html>busy", b'{"error": "temporarily_unavailable"}', b""])
def test_refusal_when_the_server_is_busy(status, body):
    error = responses.refusal(Response(status, {"retry-after": "17"}, body))
    assert type(error) is TemporarilyUnavailableError
    assert (error.code, error.status, error.retry_after, error.temporary) == (
        "temporarily_unavailable", status, 17, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("99999999", 3600), ("-1", None), ("1.5", None), ("\u0663", None),
        ("9" * 400, None), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("", None),
    ],
)  # fmt: skip
def test_refusal_when_it_says_when_to_come_back(text, seconds):
    assert responses.refusal(Response(503, {"retry-after": text})).retry_after == seconds


def test_refusal_when_something_broke_over_there():
    assert type(responses.refusal(answer(500, error="server_error"))) is ServerFailed
    assert type(responses.refusal(Response(500, {}, b"<html>"))) is UnusableAnswer


@pytest.mark.parametrize("code", [None, 3, "Invalid Grant", "a" * 60, ["invalid_grant"]])
def test_refusal_when_the_code_is_none(code):
    assert type(responses.refusal(answer(400, error=code))) is UnusableAnswer


def test_revoked_when_the_status_is_200():
    assert responses.revoked(Response(200, {}, b"<whatever>")) is None
    with pytest.raises(TemporarilyUnavailableError):
        responses.revoked(Response(503))
    with pytest.raises(UnusableAnswer):
        responses.revoked(Response(302, {"location": "https://evil.example"}))


@pytest.mark.parametrize("active", [..., None, "true", "false", 1, 0, []])
def test_introspection_when_it_does_not_say_active(active):
    members = {} if active is ... else {"active": active}
    with pytest.raises(UnusableAnswer):
        responses.introspection(answer(**members))


def test_introspection_when_it_says_so():
    assert responses.introspection(answer(active=True, sub="user:1"))["sub"] == "user:1"
    assert responses.introspection(answer(active=False)) == {"active": False}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
member = st.sampled_from(
    [
        "access_token", "token_type", "expires_in", "scope", "refresh_token", "error", "active",
        "error_description", "issued_token_type", "issuer", "token_endpoint", "jwks_uri",
        "code_challenge_methods_supported",
    ]
)  # fmt: skip
likely = st.sampled_from(
    ["Bearer", ISSUER, ISSUER + "/t", "a b", 600, True, ["S256"], "invalid_grant"]
)
bodies = st.dictionaries(member, likely | anything).map(
    lambda members: json.dumps(members).encode()
) | st.binary(max_size=200)
received = st.builds(
    Response,
    st.sampled_from([200, 200, 200, 302, 400, 401, 429, 500, 503, 599, 0]),
    st.dictionaries(st.sampled_from(["retry-after", "content-type", "x"]), st.text(max_size=20)),
    bodies,
)


@given(received)
def test_judges_when_the_answer_is_anything(response):
    for judge in (
        lambda: responses.tokens(response, now=0.0, requested=Scope(["a"])),
        lambda: responses.tokens(response, now=0.0, issued=names.ACCESS_TOKEN),
        lambda: responses.introspection(response),
        lambda: responses.revoked(response),
        lambda: discovery.judge(response, ISSUER),
    ):
        text = ""
        try:
            judge()
        except (Refused, UnusableAnswer) as error:
            text = str(error)
        # Anything else was raised, and hypothesis shows it
        assert text.isprintable()
