"""The offline verifier: what it takes, what it refuses, and what it asks the network for."""

import base64
import json
import socket

import pytest

from delegation_app.client.http.transport import Response
from delegation_app.protocol import jose
from delegation_app.protocol.errors import InvalidToken, OutsideLimits, TemporarilyUnavailable
from delegation_app.protocol.verified_token import Call
from delegation_app.resource_server.verifiers.offline import OfflineVerifier
from tests.resource_server.issuer import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    JWKS,
    LIST,
    METADATA,
    NOW,
    PUBLIC,
    Issuer,
    made_key,
)

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

VECTOR_KEY = {
    "crv": "P-256",
    "kty": "EC",
    "x": "PC5Ngbzjbwr1LWMrPq72gQ8GLCfgd45th6hNSMk6Cd0",
    "y": "VtRQoYm95Wof7NEX419p3uQXetNNZ7scOKg3Rdnu-cQ",
    "kid": "OAtuoSHoqxYIKDPrr8y-Rr1a7Pwadp3GZGzCjo2_tTU",
    "alg": "ES256",
    "use": "sig",
}
VECTOR_LIST = "https://as.example.com/status/2026-11-21-a"
PAYMENTS = "https://payments.example.com/"
HEAD = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ik9BdHVvU0hvcXhZSUtEUHJyOHktUnIxYTdQd2FkcDNHWkd6Q2pvMl90VFUifQ"  # noqa: E501
CLAIMS = "eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoidXNlci03ZjNjIiwiYXVkIjoiaHR0cHM6Ly9wYXltZW50cy5leGFtcGxlLmNvbS8iLCJjbGllbnRfaWQiOiJib29raW5nLXRvb2wiLCJzY29wZSI6InBheW1lbnRzOmhvbGQiLCJpYXQiOjE3OTUyNjI0NjAsImV4cCI6MTc5NTI2MjcwMCwianRpIjoiYXQtMy1RMG8yYkoiLCJhdXRoX3RpbWUiOjE3OTUyNjIyODAsImFjdCI6eyJzdWIiOiJjbGllbnQ6Ym9va2luZy10b29sIiwiYWN0Ijp7InN1YiI6ImNsaWVudDpwbGFubmVyLWFnZW50In19LCJzdGF0dXMiOnsic3RhdHVzX2xpc3QiOnsiaWR4IjoxMywidXJpIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbS9zdGF0dXMvMjAyNi0xMS0yMS1hIn19fQ"  # noqa: E501
D3 = f"{HEAD}.{CLAIMS}.aFUSMJnWX5H34nLGmPJ_ePBmA2Jloy2hXzwo032-P8Eu_HKub7w1mzbwKIRL1GdBXDwXVLDV-JCpTMxErdd5rg"  # noqa: E501
UNTYPED = f"eyJhbGciOiJFUzI1NiIsImtpZCI6Ik9BdHVvU0hvcXhZSUtEUHJyOHktUnIxYTdQd2FkcDNHWkd6Q2pvMl90VFUifQ.{CLAIMS}.qMl4TpmT0QKJBCzrGCh4jW6Ls_RcSxm5Z5SA6m8fPNenGIbIGal8l4kDcqjSzNNnnJ8WqNfnnzZkc41MbHADBA"  # noqa: E501
LIST_HEAD = "eyJhbGciOiJFUzI1NiIsInR5cCI6InN0YXR1c2xpc3Qrand0Iiwia2lkIjoiT0F0dW9TSG9xeFlJS0RQcnI4eS1ScjFhN1B3YWRwM0daR3pDam8yX3RUVSJ9"  # noqa: E501
LIST_BEFORE = f"{LIST_HEAD}.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbS9zdGF0dXMvMjAyNi0xMS0yMS1hIiwiaWF0IjoxNzk1MjYyNDYwLCJleHAiOjE3OTUyNjYwNjAsInR0bCI6NjAsInN0YXR1c19saXN0Ijp7ImJpdHMiOjEsImxzdCI6ImVOcGpZQUFBQUFJQUFRIn19.17RsrxB9dg84ivLv9O-aQLO2vlTMW17h98Qz4-8GcfnUmlAyXK7iv9gRJLgI7KKR9c6dIv4C5aJSti8B9Lk_vg"  # noqa: E501
LIST_AFTER = f"{LIST_HEAD}.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbS9zdGF0dXMvMjAyNi0xMS0yMS1hIiwiaWF0IjoxNzk1MjYyNDkwLCJleHAiOjE3OTUyNjYwOTAsInR0bCI6NjAsInN0YXR1c19saXN0Ijp7ImJpdHMiOjEsImxzdCI6ImVOcHJVZ0FBQVNZQW93In19.GKsucUMuArAs-u9LBiBd5793AE-KY6YllUUPZ45hxyNLVTDSqWj_4T0Ya3u184rx2m7cXg6wTW7q4ixrjverzQ"  # noqa: E501


def refused(verifier, token, error=InvalidToken, call=Call()):
    with pytest.raises(error) as raised:
        verifier.verify(token, call)
    # Whoever sent it does not learn why
    if error is InvalidToken:
        assert raised.value.description == "The access token is not valid."
    return raised.value


@pytest.mark.conformance("RS-01", "RS-02", "RS-06")
def test_token_when_good(issuer):
    act = {"sub": "client:b", "client_id": "b", "act": {"sub": "client:a", "client_id": "a"}}

    token = issuer.verifier().verify(issuer.token(act=act))

    assert (token.subject, token.client_id) == ("user:7", "web")
    assert list(token.scope) == ["read:metrics", "write:alerts"]
    assert token.delegation_id == issuer.claims()["delegation_id"]
    assert token.actor == {"sub": "client:b", "client_id": "b"}
    assert token.actors[1:] == ({"sub": "client:a", "client_id": "a"},)
    assert token.expires_at == NOW + 600


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_typ_when_spelled_otherwise_but_the_same(issuer, typ):
    assert issuer.verifier().verify(issuer.token(typ=typ))


@pytest.mark.conformance("RS-01", "SL-21")
@pytest.mark.parametrize(
    "typ", ["", "JWT", "jwt", "at", "at+jwt2", "statuslist+jwt", "secevent+jwt", "logout+jwt"]
)
def test_typ_when_another_one(issuer, typ):
    refused(issuer.verifier(), issuer.token(typ=typ))


@pytest.mark.conformance("SL-21")
def test_status_list_when_presented_as_an_access_token(issuer):
    refused(issuer.verifier(), issuer.status_list(aud=AUDIENCE))


@pytest.mark.conformance("RS-02", "RS-09")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": f"{ISSUER}/"},
        {"iss": ISSUER.upper()},
        {"iss": ABSENT},
        {"aud": "https://service-b.example.com"},
        {"aud": f"{AUDIENCE}/"},
        {"aud": [AUDIENCE, 7]},
        {"aud": {AUDIENCE: True}},
        {"aud": []},
        {"aud": ABSENT},
        {"sub": ABSENT},
        {"sub": ""},
        {"sub": ["user:7"]},
        {"client_id": ABSENT},
        {"jti": ABSENT},
        {"jti": 7},
        {"exp": ABSENT},
        {"exp": NOW - 10},
        {"exp": str(NOW + 600)},
        {"exp": NOW + 600.5},
        {"exp": 2**63},
        {"iat": ABSENT},
        {"iat": NOW + 11, "nbf": ABSENT},
        {"nbf": NOW + 11},
        {"scope": ["read:metrics"]},
        {"act": "client:a"},
        {"act": {"client_id": "a"}},
        {"act": {"sub": 7}},
        {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}},
        {"status": ABSENT},
        {"status": {}},
        {"status": {"status_list": {"idx": "3", "uri": LIST}}},
        {"status": {"status_list": {"idx": True, "uri": LIST}}},
        {"status": {"status_list": {"idx": -1, "uri": LIST}}},
        {"status": {"status_list": {"idx": 3}}},
    ],
    ids=str,
)
def test_claim_when_missing_or_wrong(issuer, changes):
    refused(issuer.verifier(), issuer.token(**changes))


@pytest.mark.conformance("RS-02")
def test_signature_when_by_another_key_under_the_same_kid(issuer):
    other, _ = made_key()
    forged = jose.SigningIdentity(PUBLIC["kid"], "ES256", other.key)
    refused(issuer.verifier(), issuer.token(key=forged))


@pytest.mark.conformance("RI-09")
def test_audience_when_it_differs_in_its_path_only(issuer):
    tenant = issuer.verifier("https://api.example.com/t2")
    refused(tenant, issuer.token(aud="https://api.example.com/t1"))


@pytest.mark.parametrize("arguments", [("", AUDIENCE), (ISSUER, "")])
def test_verifier_when_it_does_not_know_its_own_name(arguments):
    with pytest.raises(ValueError, match="audience"):
        OfflineVerifier(*arguments)


def test_vector_when_verified_at_its_time():
    issuer = vector_issuer(LIST_BEFORE)

    token = issuer.verifier(PAYMENTS).verify(D3)

    assert token.subject == "user-7f3c"
    assert [actor["sub"] for actor in token.actors] == [
        "client:booking-tool",
        "client:planner-agent",
    ]
    refused(issuer.verifier(), D3)


@pytest.mark.conformance("RS-01")
def test_vector_when_it_has_no_typ():
    refused(vector_issuer(LIST_BEFORE).verifier(PAYMENTS), UNTYPED)


def test_vector_when_its_delegation_was_revoked():
    issuer = vector_issuer(LIST_BEFORE)
    verifier = issuer.verifier(PAYMENTS)
    assert verifier.verify(D3)
    issuer.pass_time(30)
    issuer.answers[VECTOR_LIST] = answer(LIST_AFTER)
    verifier.refresh()
    refused(verifier, D3)


def vector_issuer(status_list):
    issuer = Issuer(now=NOW + 65, published=[VECTOR_KEY])
    issuer.answers[VECTOR_LIST] = answer(status_list)
    return issuer


def answer(text):
    return Response(200, {}, text.encode())


@pytest.mark.conformance("RS-08")
def test_constraint_when_it_does_not_permit_the_call(issuer):
    limit = [{"type": "ip_range", "networks": ["192.0.2.0/24"]}]
    verifier, token = issuer.verifier(), issuer.token(constraints=limit)
    assert verifier.verify(token, Call(ip="192.0.2.7"))
    refused(verifier, token, OutsideLimits, Call(ip="198.51.100.7"))
    refused(verifier, token, OutsideLimits)


def test_constraint_when_it_is_not_known_here(issuer):
    refused(issuer.verifier(), issuer.token(constraints=[{"type": "moon_phase"}]), OutsideLimits)
    refused(issuer.verifier(), issuer.token(constraints="none"), OutsideLimits)


@pytest.mark.conformance("SL-11", "SL-13")
def test_status_when_the_token_is_expired(issuer):
    refused(issuer.verifier(), issuer.token(exp=NOW - 60))
    assert issuer.asked_for(LIST) == 0


def test_token_when_seen_before_and_its_key_was_withdrawn(issuer):
    verifier, token = issuer.verifier(), issuer.token()
    verifier.verify(token)
    _, other = made_key()
    issuer.published = [other]
    issuer.pass_time(10)
    verifier.refresh()
    refused(verifier, token)


@pytest.mark.conformance("RS-07")
def test_status_when_not_to_be_checked(issuer):
    verifier = issuer.verifier(check_status=False)
    issuer.revoked[LIST] = {3}
    assert verifier.verify(issuer.token())
    assert issuer.asked_for(LIST) == 0


def test_keys_when_the_address_is_not_given(issuer):
    assert issuer.verifier(jwks_uri=None).verify(issuer.token())
    assert issuer.asked_for(METADATA) == 1


@pytest.mark.parametrize("issued_by", [f"{ISSUER}/", "https://evil.example.com", None])
def test_keys_when_the_metadata_is_of_another_issuer(issuer, issued_by):
    issuer.metadata["issuer"] = issued_by
    refused(issuer.verifier(jwks_uri=None), issuer.token(), TemporarilyUnavailable)


@pytest.mark.conformance("RS-07")
def test_keys_when_their_server_is_down(issuer):
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    issuer.down.add(JWKS)
    for _ in range(100):
        issuer.pass_time(5)
        verifier.refresh()
    assert verifier.verify(issuer.token(jti="another"))


@pytest.mark.conformance("RS-04")
def test_kid_when_unknown(issuer):
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    issuer.pass_time(10)

    for number in range(100):
        stranger = jose.SigningIdentity(f"kid-{number}", "ES256", issuer.key.key)
        refused(verifier, issuer.token(key=stranger))
        verifier.refresh()

    assert issuer.asked_for(JWKS) == 2


def test_key_when_it_is_new(issuer):
    verifier = issuer.verifier()
    verifier.verify(issuer.token())
    key, public = made_key()
    issuer.published.append(public)
    token = issuer.token(key=key)
    refused(verifier, token)

    issuer.pass_time(10)
    verifier.refresh()

    assert verifier.verify(token)


@pytest.mark.conformance("RS-03")
@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES384", "RS256", "es256", "EdDSA"])
def test_alg_when_it_is_not_the_keys_own(issuer, algorithm):
    token = issuer.token()
    _, claims, signature = token.split(".")
    header = {"alg": algorithm, "typ": "at+jwt", "kid": PUBLIC["kid"]}
    refused(issuer.verifier(), f"{encoded(header)}.{claims}.{signature}")


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "....", "a.b.c.d.e", "\0", "ä.ö.ü", "\ud800", "x" * 8193, "." * 9000],
    ids=ascii,
)
def test_text_when_it_is_no_token(issuer, text):
    refused(issuer.verifier(), text)


def test_token_when_wrong(issuer, monkeypatch):
    verifier, good = issuer.verifier(), issuer.token()
    verifier.verify(good)
    asked = len(issuer.asked)

    def refuse(*_args, **_kwargs):
        raise AssertionError("the contents of a token caused a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    _, claims, signature = good.split(".")
    for name in ("jwk", "jku", "x5u", "x5c", "crit"):
        header = {"alg": "ES256", "typ": "at+jwt", "kid": PUBLIC["kid"], name: "https://evil.test"}
        refused(verifier, f"{encoded(header)}.{claims}.{signature}")
    elsewhere = {"status_list": {"idx": 1, "uri": "https://evil.test/list"}}
    refused(verifier, issuer.token(status=elsewhere))

    assert len(issuer.asked) == asked


def encoded(members):
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


# Clocks that differ


@pytest.mark.conformance("RS-02")
@pytest.mark.parametrize("skew", [0, 10, 60])
def test_skew_when_set(issuer, skew):
    def taken(**claims):
        try:
            return issuer.verifier(skew_seconds=skew).verify(issuer.token(**claims))
        except InvalidToken:
            return None

    assert taken(iat=NOW - 600, nbf=NOW - 600, exp=NOW - skew + 1)
    assert not taken(iat=NOW - 600, nbf=NOW - 600, exp=NOW - skew)
    for name in ("iat", "nbf"):
        assert taken(**{name: NOW + skew})
        assert not taken(**{name: NOW + skew + 1})


@pytest.mark.parametrize("skew", [0, 30])
def test_skew_when_a_token_was_seen_before(issuer, skew):
    verifier = issuer.verifier(skew_seconds=skew, max_staleness=10_000)
    token = issuer.token(exp=NOW + 60)
    assert verifier.verify(token)
    issuer.pass_time(59 + skew)
    assert verifier.verify(token)
    issuer.pass_time(1)
    refused(verifier, token)


@pytest.mark.parametrize("skew", [0, 30])
def test_skew_when_a_status_list_is_over(issuer, skew):
    verifier = issuer.verifier(skew_seconds=skew, max_staleness=10_000)
    token = issuer.token(exp=NOW + 10_000)
    assert verifier.verify(token)
    issuer.pass_time(299 + skew)
    assert verifier.verify(token)
    issuer.pass_time(1)
    refused(verifier, token, TemporarilyUnavailable)


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        (
            {"aud": "https://service-b.example.com"},
            f"claims: aud: expected '{AUDIENCE}', got 'https://service-b.example.com'",
        ),
        ({"aud": ["a:b", "a:c"]}, f"claims: aud: expected '{AUDIENCE}', got ['a:b', 'a:c']"),
        (
            {"iss": "https://elsewhere.example.com"},
            f"jwt: iss: expected '{ISSUER}', got 'https://elsewhere.example.com'",
        ),
        ({"iss": ABSENT}, f"jwt: iss: expected '{ISSUER}', got None"),
        ({"exp": NOW - 60}, f"jwt: exp: expected 'after {NOW} - 10', got {NOW - 60}"),
        ({"nbf": NOW + 60}, f"jwt: nbf or iat: expected 'at most {NOW} + 10', got {NOW + 60}"),
    ],
    ids=["aud", "auds", "iss", "no iss", "exp", "nbf"],
)
def test_detail_when_a_claim_does_not_fit(issuer, claims, detail):
    assert refused(issuer.verifier(), issuer.token(**claims)).detail == detail


@pytest.mark.parametrize("name", ["aud", "iss"])
@pytest.mark.parametrize("value", ["x" * 4000, "a\r\nforged", "\x1b[31m", "\u202e", "é"])
def test_detail_when_a_claim_is_hostile(issuer, name, value):
    detail = refused(issuer.verifier(), issuer.token(**{name: value})).detail
    assert len(detail) < 300
    assert detail.isprintable()
    assert detail.isascii()
