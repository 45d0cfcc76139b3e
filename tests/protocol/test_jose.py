import json
from datetime import UTC, datetime

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol import jose, jwk
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.jose import VerificationKey

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
CLAIMS = {"iss": "https://as.example.com", "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 60}


def identity(algorithm):
    key = jwk.generate(algorithm)
    public = jwk.public_jwk(key, algorithm)
    return jose.SigningIdentity(public["kid"], algorithm, key), public


IDENTITY, PUBLIC = identity("ES256")


def verify(token, public=PUBLIC, **changes):
    arguments = {"typ": "at+jwt", "issuer": CLAIMS["iss"], "now": NOW.timestamp(), **changes}
    return jose.verify(token, {public["kid"]: VerificationKey.of(public)}.get, **arguments)


@pytest.mark.parametrize("algorithm", jwk.ALGORITHMS)
def test_token_when_signed_with_each_algorithm(algorithm):
    signer, public = identity(algorithm)
    token = jose.sign(CLAIMS, signer, typ="at+jwt")

    assert verify(token, public) == CLAIMS
    # Somebody else's verifier agrees.
    options = {"verify_exp": False}
    assert jwt.decode(token, jwt.PyJWK(public), [algorithm], options) == CLAIMS
    assert jwt.get_unverified_header(token) == {
        "alg": algorithm,
        "typ": "at+jwt",
        "kid": public["kid"],
    }


@pytest.mark.parametrize("algorithm", jwk.ALGORITHMS)
def test_key_when_stored_and_read(algorithm):
    key = jwk.generate(algorithm)
    assert jwk.public_jwk(jwk.from_pem(jwk.to_pem(key)), algorithm) == jwk.public_jwk(
        key, algorithm
    )


def test_thumbprint_when_of_the_rfc_9449_key():
    members = {
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    }
    assert jwk.thumbprint(members) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_thumbprint_when_of_an_rsa_key():
    signer, public = identity("RS256")
    assert jwk.thumbprint({n: public[n] for n in ("e", "kty", "n")}) == signer.kid


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda raw: raw.hex() + ".x.y"))
def test_token_when_arbitrary(text):
    with pytest.raises(InvalidToken):
        verify(text)


@given(st.integers(0, 400), st.characters(codec="ascii"))
def test_token_when_one_character_differs(position, character):
    token = jose.sign(CLAIMS, IDENTITY, typ="at+jwt")
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]

    if changed == token:
        assert verify(changed) == CLAIMS
    else:
        with pytest.raises(InvalidToken):
            verify(changed)


@pytest.mark.parametrize("skew", [9, 11])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_times_when_off_by_less_than_the_skew(claim, skew):
    off = SECONDS - skew if claim == "exp" else SECONDS + skew
    token = jose.sign({**CLAIMS, claim: off}, IDENTITY, typ="at+jwt")
    if skew < jose.SKEW_SECONDS:
        assert verify(token)[claim] == off
    else:
        with pytest.raises(InvalidToken):
            verify(token)


def test_token_when_expired_and_that_is_allowed():
    token = jose.sign({**CLAIMS, "exp": SECONDS - 600}, IDENTITY, typ="at+jwt")
    assert verify(token, allow_expired=True)["exp"] == SECONDS - 600


@pytest.mark.parametrize("value", [None, "1", 1.5, True, [1], 1e400])
def test_times_when_not_whole_seconds(value):
    token = jwt.PyJWS().encode(
        json.dumps({**CLAIMS, "exp": value}).encode(),
        IDENTITY.key,
        algorithm="ES256",
        headers={"typ": "at+jwt", "kid": IDENTITY.kid},
    )
    with pytest.raises(InvalidToken):
        verify(token)
