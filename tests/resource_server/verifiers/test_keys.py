"""The issuer's keys: which are used, and when they are asked for."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from delegation_app.client.http.transport import NoAnswer, Response
from delegation_app.protocol import jwk
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.resource_server.verifiers.keys import PublishedKeys, read_keys
from tests.resource_server.issuer import JWKS, PUBLIC, made_key

pytestmark = pytest.mark.any_database


def body(*keys):
    return json.dumps({"keys": keys}).encode()


def without(name):
    return {key: value for key, value in PUBLIC.items() if key != name}


@pytest.mark.parametrize("algorithm", jwk.ALGORITHMS)
def test_key_when_of_any_of_our_algorithms(algorithm):
    _, public = made_key(algorithm)
    assert read_keys(body(public))[public["kid"]].algorithm == algorithm


SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is it
WEAK = {**jwk.public_jwk(SHORT, "RS256"), "kid": "weak"}
UNUSABLE = [
    without("kid"),
    without("alg"),
    without("x"),
    without("kty"),
    {**PUBLIC, "use": "enc"},
    {**PUBLIC, "alg": "HS256"},
    {**PUBLIC, "alg": "none"},
    {**PUBLIC, "alg": "RS256"},
    {**PUBLIC, "alg": ["ES256"]},
    {**PUBLIC, "x": "AA"},
    {**PUBLIC, "x": 7},
    {**PUBLIC, "crv": "P-384"},
    {**PUBLIC, "d": "AAAA"},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
    {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "ES256"},
    {**PUBLIC, "kid": 7},
    WEAK,
    None,
    "key",
    [],
]


@pytest.mark.parametrize("members", UNUSABLE, ids=range(len(UNUSABLE)))
def test_key_when_it_is_unusable(members):
    assert set(read_keys(body(PUBLIC, members))) == {PUBLIC["kid"]}
    with pytest.raises(ValueError, match="no usable key"):
        read_keys(body(members))


def test_kid_when_two_keys_have_it():
    _, other = made_key()
    third = {**made_key()[1], "kid": PUBLIC["kid"]}
    assert set(read_keys(body(PUBLIC, other, third))) == {other["kid"]}


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b"\xff", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"null"],
    ids=lambda document: repr(document[:20]),
)
def test_document_when_it_is_no_key_set(document):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        read_keys(document)


def test_document_when_it_has_very_many_keys():
    with pytest.raises(ValueError, match="not a JWK Set"):
        read_keys(body(*[PUBLIC] * 101))


def keys_of(issuer, **arguments):
    return PublishedKeys(lambda: JWKS, issuer, clock=lambda: issuer.steady, **arguments)


def test_keys_when_unchanged(issuer):
    keys = keys_of(issuer)
    keys.refresh_if_due()
    generation = keys.generation
    issuer.pass_time(10)
    keys.refresh_if_due()
    assert keys.generation == generation
    assert issuer.asked[-1].headers["If-None-Match"]


@pytest.mark.parametrize("answer", [Response(500), Response(200), Response(200, {}, body())])
def test_keys_when_an_answer_makes_no_sense(issuer, answer):
    keys = keys_of(issuer)
    keys.refresh_if_due()
    issuer.answers[JWKS] = answer
    issuer.pass_time(10)
    keys.refresh_if_due()
    assert keys.get(PUBLIC["kid"])


def test_keys_when_asked_for_too_soon(issuer):
    keys = keys_of(issuer)
    for _ in range(10):
        keys.refresh_if_due()
    assert issuer.asked_for(JWKS) == 1


def test_keys_when_there_are_none(issuer):
    issuer.down.add(JWKS)
    keys = keys_of(issuer)

    for _ in range(10):
        with pytest.raises(TemporarilyUnavailable):
            keys.require()
    assert issuer.asked_for(JWKS) == 1
    issuer.pass_time(1)
    issuer.down.clear()

    keys.require()
    assert keys.get(PUBLIC["kid"])


def test_keys_when_their_address_is_not_found(issuer):
    def nowhere():
        raise NoAnswer("nobody there")

    keys = PublishedKeys(nowhere, issuer)

    with pytest.raises(TemporarilyUnavailable):
        keys.require()


@pytest.mark.parametrize(
    "reply", [Response(404, {}, b""), Response(200, {}, b"<html>"), NoAnswer("Timeout")]
)
def test_keys_when_they_cannot_be_read(caplog, reply):
    class Fixed:
        def send(self, _request):
            if isinstance(reply, Exception):
                raise reply
            return reply

    keys = PublishedKeys(lambda: "https://as.example.com/auth/jwks", Fixed())
    keys.refresh_if_due()

    assert "https://as.example.com/auth/jwks: " in caplog.text
