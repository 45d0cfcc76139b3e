import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidRequest, InvalidToken
from delegation_app.protocol.requests.bearer import challenge, token_in

CHALLENGE = re.compile(r'Bearer [a-z_]+="[ !#-\[\]-~]*"(, [a-z_]+="[ !#-\[\]-~]*")*')


@pytest.mark.conformance("BR-01")
@pytest.mark.parametrize(
    "header",
    ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER   a.b-c_d~e+f/g==  "],
)
def test_token_when_the_header_has_one_then_returned(header):
    assert token_in(header) == "a.b-c_d~e+f/g=="


@pytest.mark.parametrize("header", ["", " ", "Basic d2ViOng=", "Bearerx y", "Bearer=x", "x"])
def test_token_when_the_header_is_of_another_scheme_then_none(header):
    assert token_in(header) is None


@pytest.mark.conformance("BR-03")
@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer a\tb"]
)
def test_token_when_there_is_none_or_more_than_one_then_the_request_is_malformed(header):
    with pytest.raises(InvalidRequest):
        token_in(header)


@pytest.mark.conformance("BR-05")
@pytest.mark.parametrize("text", ["é.ü.ö", "a,b", 'a"', "=", "a=b", "a%2e", "\x00", "a\u2028"])
def test_token_when_it_can_be_none_then_the_token_is_invalid(text):
    with pytest.raises((InvalidToken, InvalidRequest)) as caught:
        token_in(f"Bearer {text}x")
    assert text not in str(caught.value)


@given(st.text(max_size=50))
def test_header_when_anything_at_all_then_a_token_or_a_refusal(text):
    for header in (text, f"Bearer {text}"):
        try:
            token = token_in(header)
        except (InvalidRequest, InvalidToken):
            continue
        assert token is None or re.fullmatch(r"[\x21-\x7e]+", token)


@pytest.mark.conformance("BR-06")
def test_challenge_when_it_has_attributes_then_in_order_and_without_empty_ones():
    assert challenge("a", error="invalid_token", scope="", error_description="No.") == (
        'Bearer realm="a", error="invalid_token", error_description="No."'
    )
    assert challenge("") == "Bearer"


@pytest.mark.conformance("BR-06")
@given(st.text(max_size=30), st.text(max_size=30))
def test_challenge_when_a_value_has_anything_in_it_then_it_stays_within_its_quotes(realm, scope):
    made = challenge(f"r{realm}", scope=scope)

    assert CHALLENGE.fullmatch(made)
    assert made.count('"') == (4 if scope else 2)
