import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidRequest, InvalidToken
from delegation_app.protocol.requests.bearer import challenge, token_in
from delegation_app.protocol.requests.redirect_uri import Problem, problem, without_loopback_port

pytestmark = pytest.mark.any_database

CHALLENGE = re.compile(r'Bearer [a-z_]+="[ !#-\[\]-~]*"(, [a-z_]+="[ !#-\[\]-~]*")*')


@pytest.mark.conformance("BR-01")
@pytest.mark.parametrize(
    "header", ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER   a.b-c_d~e+f/g==  "]
)
def test_token_when_the_header_has_one(header):
    assert token_in(header) == "a.b-c_d~e+f/g=="


@pytest.mark.parametrize("header", ["", " ", "Basic d2ViOng=", "Bearerx y", "Bearer=x", "x"])
def test_token_when_the_header_is_of_another_scheme(header):
    assert token_in(header) is None


@pytest.mark.conformance("BR-03")
@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b", "Bearer a\tb"]
)
def test_token_when_there_is_none_or_more_than_one(header):
    with pytest.raises(InvalidRequest):
        token_in(header)


@pytest.mark.conformance("BR-05")
@pytest.mark.parametrize("text", ["é.ü.ö", "a,b", 'a"', "=", "a=b", "a%2e", "\x00", "a\u2028"])
def test_token_when_it_can_be_none(text):
    with pytest.raises((InvalidToken, InvalidRequest)) as caught:
        token_in(f"Bearer {text}x")
    assert text not in str(caught.value)


@given(st.text(max_size=50))
def test_header_when_anything_at_all(text):
    for header in (text, f"Bearer {text}"):
        try:
            token = token_in(header)
        except (InvalidRequest, InvalidToken):
            continue
        assert token is None or re.fullmatch(r"[\x21-\x7e]+", token)


@pytest.mark.conformance("BR-06")
def test_challenge_when_it_has_attributes():
    assert challenge("a", error="invalid_token", scope="", error_description="No.") == (
        'Bearer realm="a", error="invalid_token", error_description="No."'
    )
    assert challenge("") == "Bearer"


@pytest.mark.conformance("BR-06")
@given(st.text(max_size=30), st.text(max_size=30))
def test_challenge_when_a_value_has_anything_in_it(realm, scope):
    made = challenge(f"r{realm}", scope=scope)
    assert CHALLENGE.fullmatch(made)
    assert made.count('"') == (4 if scope else 2)


SCHEMES = {"https", "http", "com.example.app", "myapp"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://a.example.com/cb", None),
        ("https://10.0.0.5/cb", None),
        ("https://intranet/cb", None),
        ("https://a.example.com/cb?tenant=1", None),
        ("http://127.0.0.1/cb", None),
        ("http://[::1]:8080/cb", None),
        ("http://localhost:3000/cb", None),
        ("com.example.app:/cb", None),
        ("https://[::1/cb", Problem.MALFORMED),
        ("https://a.example.com:99999/cb", Problem.MALFORMED),
        ("https://a.example.com/c b", Problem.CHARACTERS),
        ("https://a.example.com\\cb", Problem.CHARACTERS),
        ("https://a.example.com/cb#", Problem.FRAGMENT),
        ("org.example.other:/cb", Problem.SCHEME),
        ("https:///cb", Problem.NO_HOST),
        ("http://a.example.com/cb", Problem.PLAIN_HTTP),
        ("http://10.0.0.5/cb", Problem.PLAIN_HTTP),
        ("http://192.168.1.10:8080/cb", Problem.PLAIN_HTTP),
        ("http://intranet/cb", Problem.PLAIN_HTTP),
        ("http://host.docker.internal/cb", Problem.PLAIN_HTTP),
        ("http://printer.local/cb", Problem.PLAIN_HTTP),
        ("http://app.localhost/cb", Problem.PLAIN_HTTP),
        ("http://127.0.0.2/cb", Problem.PLAIN_HTTP),
        ("myapp:/cb", Problem.UNDOTTED_SCHEME),
        ("myapp://cb", Problem.UNDOTTED_SCHEME),
        ("https://a.example.com/cb?code=x", Problem.RESPONSE_PARAMETER),
        ("com.example.app:/cb?iss=x", Problem.RESPONSE_PARAMETER),
    ],
)
def test_problem_when_a_uri_cannot_be_used(uri, expected):
    assert problem(uri, SCHEMES) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://localhost:3000/cb", "http://localhost/cb"),
        ("http://127.0.0.1:1/cb:1", "http://127.0.0.1/cb:1"),
        ("http://[::1]:1/cb", "http://[::1]/cb"),
        ("http://localhost/cb", "http://localhost/cb"),
        ("https://localhost:1/cb", None),
        ("http://a.localhost:1/cb", None),
        ("http://x@localhost:1/cb", None),
        ("http://localhost:99999/cb", None),
    ],
)
def test_port_when_of_this_machine(uri, expected):
    assert without_loopback_port(uri) == expected
