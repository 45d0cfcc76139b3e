"""The introspection verifier: what is asked, what is believed, and for how long."""

import json
from urllib.parse import parse_qs

import pytest

from delegation_app.client.http.transport import Response
from delegation_app.protocol.errors import InvalidToken, OutsideLimits, TemporarilyUnavailable
from delegation_app.protocol.verified_token import Call
from delegation_app.resource_server.verifiers.introspection import IntrospectionVerifier
from tests.resource_server.issuer import (
    ABSENT,
    AUDIENCE,
    INTROSPECTION,
    ISSUER,
    METADATA,
    NOW,
    changed,
)

pytestmark = pytest.mark.any_database

OPAQUE = "an-opaque-token-of-some-length"


@pytest.fixture
def verifier(issuer):
    tell(issuer)
    return made(issuer)


def made(issuer, **arguments):
    return IntrospectionVerifier(
        ISSUER,
        arguments.pop("audience", AUDIENCE),
        client_id="service_a",
        client_secret="a secret: of its own",
        transport=issuer,
        clock=lambda: issuer.now,
        **arguments,
    )


def tell(issuer, **changes):
    answer = changed({**issuer.claims(status=ABSENT), "active": True}, changes)
    issuer.answers[INTROSPECTION] = Response(200, {}, json.dumps(answer).encode())


def refused(verifier, token=OPAQUE, error=InvalidToken, call=Call()):
    with pytest.raises(error):
        verifier.verify(token, call)


def test_token_when_active(issuer, verifier):
    tell(issuer, act={"sub": "client:a", "client_id": "a"})

    token = verifier.verify(OPAQUE)

    assert (token.subject, token.client_id) == ("user:7", "web")
    assert token.allows(["read:metrics", "write:alerts"])
    assert token.actor == {"sub": "client:a", "client_id": "a"}
    sent = issuer.asked[-1]
    assert parse_qs(sent.body.decode()) == {"token": [OPAQUE]}
    assert sent.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"aud": "https://service-b.example.com"},
        {"aud": ABSENT},
        {"iss": "https://evil.example.com"},
        {"sub": ABSENT},
        {"client_id": ABSENT},
        {"jti": ABSENT},
        {"exp": NOW - 10},
        {"exp": ABSENT},
        {"exp": "soon"},
        {"nbf": NOW + 11},
        {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
        {"act": "client:a"},
    ],
    ids=str,
)
def test_answer_when_it_does_not_let_the_token_in(issuer, verifier, changes):
    tell(issuer, **changes)
    refused(verifier)


@pytest.mark.parametrize("active", ["true", "false", 1, 0, None, ABSENT], ids=str)
def test_response_when_active_is_not_a_boolean(issuer, verifier, active):
    tell(issuer, active=active)
    refused(verifier, error=TemporarilyUnavailable)


@pytest.mark.parametrize(
    "answer",
    [Response(401), Response(403), Response(500), Response(503), Response(302), Response(200)],
    ids=lambda answer: str(answer.status),
)
@pytest.mark.conformance("RS-07")
def test_answer_when_it_is_none(issuer, verifier, answer):
    issuer.answers[INTROSPECTION] = answer
    refused(verifier, error=TemporarilyUnavailable)


@pytest.mark.parametrize("down", [INTROSPECTION, METADATA])
@pytest.mark.conformance("RS-07")
def test_server_when_down(issuer, down):
    issuer.down.add(down)
    refused(made(issuer), error=TemporarilyUnavailable)


def test_answer_when_just_given(issuer, verifier):
    verifier.verify(OPAQUE)
    tell(issuer, active=False)

    issuer.pass_time(1.9)
    assert verifier.verify(OPAQUE)
    issuer.pass_time(0.1)

    refused(verifier)
    refused(verifier)
    # What was refused is asked for each time
    assert issuer.asked_for(INTROSPECTION) == 3


def test_answer_when_the_clock_went_back(issuer, verifier):
    verifier.verify(OPAQUE)
    issuer.now -= 3600
    tell(issuer, active=False)
    refused(verifier)


def test_answer_when_nothing_is_to_be_kept(issuer):
    tell(issuer)
    verifier = made(issuer, cache_seconds=0)
    for _ in range(3):
        verifier.verify(OPAQUE)
    assert issuer.asked_for(INTROSPECTION) == 3


def test_answer_when_kept_then_the_token_still_ends(issuer):
    tell(issuer)
    verifier = made(issuer, cache_seconds=10_000)
    verifier.verify(OPAQUE)
    issuer.pass_time(610)
    refused(verifier)


def test_answer_when_kept_then_each_call_is_judged(issuer, verifier):
    tell(issuer, constraints=[{"type": "ip_range", "networks": ["192.0.2.0/24"]}])
    assert verifier.verify(OPAQUE, Call(ip="192.0.2.7"))
    refused(verifier, error=OutsideLimits, call=Call(ip="198.51.100.7"))


@pytest.mark.parametrize("text", ["", "x" * 8193, "a\0b", "a\nb", "\ud800"], ids=ascii)
def test_text_when_it_can_be_no_token(issuer, verifier, text):
    refused(verifier, text)
    assert issuer.asked_for(INTROSPECTION) == 0


@pytest.mark.parametrize(
    "arguments",
    [{"issuer": ""}, {"audience": ""}, {"client_id": ""}, {"client_secret": ""}],
    ids=str,
)
def test_verifier_when_something_is_missing(arguments):
    whole = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "client_id": "service_a",
        "client_secret": "secret",
        **arguments,
    }
    with pytest.raises(ValueError, match="needs"):
        IntrospectionVerifier(whole.pop("issuer"), whole.pop("audience"), **whole)


@pytest.mark.parametrize("skew", [0, 30])
def test_skew_when_set(issuer, skew):
    verifier = made(issuer, skew_seconds=skew, cache_seconds=0)
    for changes in ({"exp": NOW - skew + 1, "iat": NOW - 99, "nbf": NOW - 99}, {"nbf": NOW + skew}):
        tell(issuer, **changes)
        assert verifier.verify(OPAQUE)
    for changes in ({"exp": NOW - skew, "iat": NOW - 99, "nbf": NOW - 99}, {"iat": NOW + skew + 1}):
        tell(issuer, **changes)
        refused(verifier)
