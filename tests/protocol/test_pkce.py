import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol import pkce
from delegation_app.protocol.errors import InvalidRequest

VERIFIER = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", min_size=43, max_size=128
)


@given(VERIFIER, VERIFIER)
def test_verifier_when_compared_then_it_proves_only_its_own_challenge(one, two):
    challenge = pkce.challenge_for(one)

    assert pkce.check_challenge(challenge, "S256") == challenge
    assert pkce.proves(one, challenge)
    assert pkce.proves(two, challenge) == (one == two)


@given(st.none() | st.text(max_size=200))
def test_verifier_when_arbitrary_then_nothing_is_raised(verifier):
    assert pkce.proves(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") is False


@pytest.mark.parametrize("method", [None, "plain", "s256", "S256 ", "S512"])
def test_challenge_when_method_is_not_s256_then_refused(method):
    with pytest.raises(InvalidRequest, match="S256"):
        pkce.check_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", method)
