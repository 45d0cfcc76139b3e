import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.client import authorization_code
from delegation_app.client.authorization_code import Attempt
from delegation_app.client.discovery import Metadata
from delegation_app.client.errors import AccessDeniedError, ClientError, Refused, UnusableAnswer
from delegation_app.client.tokens import Target
from delegation_app.protocol import pkce
from tests.client.fakes import ISSUER, KNOWN, REDIRECT_URI, SERVICE

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

WANTED = Target.of(SERVICE, "read:metrics write:alerts")


def begin(redirect_uri=REDIRECT_URI, metadata=KNOWN, **more):
    return authorization_code.begin(metadata, "web", redirect_uri, WANTED, more)


def callback(attempt, base=REDIRECT_URI, **changes):
    parameters = {"code": "c0de", "state": attempt.state, "iss": ISSUER, **changes}
    kept = {name: value for name, value in parameters.items() if value is not None}
    return f"{base}?{urlencode(kept, doseq=True)}"


@pytest.fixture
def attempt():
    return begin()


def test_begin_when_a_try_starts():
    attempt = begin(prompt="consent")
    base, _, query = attempt.url.partition("?")

    assert base == f"{ISSUER}/oauth/authorize"
    assert parse_qs(query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["web"],
        "redirect_uri": [REDIRECT_URI],
        "scope": ["read:metrics write:alerts"],
        "resource": [SERVICE],
        "state": [attempt.state],
        "code_challenge": [pkce.challenge_for(attempt.verifier)],
        "code_challenge_method": ["S256"],
        "prompt": ["consent"],
    }
    assert attempt.verifier not in attempt.url


def test_begin_when_two_tries_start():
    one, other = begin(), begin()
    assert len({one.state, one.verifier, other.state, other.verifier}) == 4
    assert pkce.proves(one.verifier, pkce.challenge_for(one.verifier))


def test_begin_when_the_endpoint_has_a_query():
    there = Metadata(ISSUER, {"authorization_endpoint": f"{ISSUER}/a?tenant=1"}, ("S256",))
    assert begin(metadata=there).url.startswith(f"{ISSUER}/a?tenant=1&response_type=code&")


@pytest.mark.parametrize("methods", [(), ("plain",), ("s256",)])
def test_begin_when_the_server_has_no_s256(methods):
    there = Metadata(ISSUER, KNOWN.endpoints, methods)
    with pytest.raises(UnusableAnswer, match="S256"):
        begin(metadata=there)


@pytest.mark.parametrize("name", ["state", "redirect_uri", "code_challenge_method", "scope"])
def test_begin_when_extra_sets_a_reserved_parameter(name):
    with pytest.raises(ValueError, match=name):
        authorization_code.begin(KNOWN, "web", REDIRECT_URI, WANTED, {name: "x"})


@pytest.mark.parametrize("uri", ["", "/callback", "https://web.example.com/#x", "no uri"])
def test_begin_when_the_redirect_uri_is_none(uri):
    with pytest.raises(ValueError, match="redirect URI"):
        begin(redirect_uri=uri)


def test_attempt_when_it_is_put_into_a_session(attempt):
    assert Attempt.load(json.loads(json.dumps(attempt.dump()))) == attempt


@pytest.mark.parametrize(
    "stored", [None, {}, "x", {"state": "x"}, [], {**begin().dump(), "state": None}]
)
def test_attempt_when_the_session_has_none(stored):
    with pytest.raises(UnusableAnswer):
        Attempt.load(stored)


def test_attempt_when_it_is_logged(attempt):
    shown = repr(attempt)
    assert attempt.state not in shown
    assert attempt.verifier not in shown


def test_judge_when_the_answer_is_good(attempt):
    code = authorization_code.judge(attempt, callback(attempt))
    assert (code.code, code.verifier, code.redirect_uri) == (
        "c0de", attempt.verifier, REDIRECT_URI,
    )  # fmt: skip


@pytest.mark.parametrize("state", [None, "", "another", "\x00", "ä"])
def test_judge_when_the_state_is_another(attempt, state):
    with pytest.raises(UnusableAnswer, match="state"):
        authorization_code.judge(attempt, callback(attempt, state=state))


@pytest.mark.parametrize(
    "issuer", [None, "", "https://evil.example", ISSUER + "/", ISSUER.upper(), ISSUER + ":443"]
)
@pytest.mark.parametrize("error", [None, "access_denied"])
@pytest.mark.conformance("IS-04", "BC-05")
def test_judge_when_the_issuer_is_another_or_missing(attempt, issuer, error):
    code = "c0de" if error is None else None
    with pytest.raises(UnusableAnswer, match="issuer"):
        authorization_code.judge(attempt, callback(attempt, iss=issuer, error=error, code=code))


@pytest.mark.conformance("IS-04")
def test_judge_when_the_server_never_promised_an_issuer():
    attempt = begin(metadata=Metadata(ISSUER, KNOWN.endpoints, ("S256",), sends_iss=False))
    assert authorization_code.judge(attempt, callback(attempt, iss=None)).code == "c0de"
    with pytest.raises(UnusableAnswer, match="issuer"):
        authorization_code.judge(attempt, callback(attempt, iss="https://evil.example"))


@pytest.mark.parametrize(
    ("code", "kind"), [("access_denied", AccessDeniedError), ("something_new", Refused)]
)
def test_judge_when_the_answer_is_no(attempt, code, kind):
    with pytest.raises(kind) as caught:
        authorization_code.judge(
            attempt, callback(attempt, code=None, error=code, error_description="They said no.")
        )
    assert (caught.value.code, caught.value.description) == (code, "They said no.")


@pytest.mark.parametrize(
    "changes",
    [
        {"code": None}, {"code": ""}, {"code": "a\nb"}, {"error": "access_denied"},
        {"code": None, "error": "<script>"}, {"code": None, "error": ""},
    ],
)  # fmt: skip
def test_judge_when_there_is_no_code_or_an_error_beside_it(attempt, changes):
    with pytest.raises(UnusableAnswer, match="no code"):
        authorization_code.judge(attempt, callback(attempt, **changes))


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "session_state"])
def test_judge_when_a_parameter_stands_twice(attempt, name):
    twice = {name: ["one", "two"]}
    if name in {"state", "iss"}:
        right = attempt.state if name == "state" else ISSUER
        twice = {name: [right, right]}
    with pytest.raises(UnusableAnswer, match="repeats"):
        authorization_code.judge(attempt, callback(attempt, **twice))


@pytest.mark.parametrize(
    "base",
    [
        "https://web.example.com/callback/",
        "https://web.example.com/Callback",
        "https://web.example.com/callback/../callback",
        "https://web.example.com:443/callback",
        "http://web.example.com/callback",
        "https://evil.example/callback",
        "https://web.example.com.evil.example/callback",
        "/callback",
        "",
    ],
)
def test_judge_when_it_went_elsewhere(attempt, base):
    with pytest.raises(UnusableAnswer, match="redirect URI"):
        authorization_code.judge(attempt, callback(attempt, base))


def test_judge_when_there_is_a_fragment(attempt):
    with pytest.raises(UnusableAnswer, match="redirect URI"):
        authorization_code.judge(attempt, callback(attempt) + "#access_token=x")


def test_judge_when_the_redirect_uri_has_a_query():
    attempt = begin(redirect_uri=REDIRECT_URI + "?tenant=1")
    good = callback(attempt).replace("?", "?tenant=1&")
    assert authorization_code.judge(attempt, good).redirect_uri == REDIRECT_URI + "?tenant=1"
    with pytest.raises(UnusableAnswer, match="redirect URI"):
        authorization_code.judge(attempt, good.replace("tenant=1", "tenant=2"))


@pytest.mark.parametrize(
    "query", ["code=%ff", "code=ä", "state=\ud800", "&".join(["a"] * 60), "x" * 20_000]
)
def test_judge_when_the_query_is_none(attempt, query):
    with pytest.raises(UnusableAnswer):
        authorization_code.judge(attempt, f"{REDIRECT_URI}?{query}")


FIXED = begin()
parameters = st.lists(
    st.tuples(
        st.sampled_from(["code", "state", "iss", "error", "error_description", "x"]),
        st.sampled_from([FIXED.state, ISSUER, "c0de", "access_denied", "", "a" * 50])
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    max_size=8,
)


@given(parameters.map(urlencode) | st.text(max_size=100))
def test_judge_when_the_query_is_anything(query):
    try:
        authorization_code.judge(FIXED, f"{REDIRECT_URI}?{query}")
    except ClientError:
        return
    brought = parse_qs(urlsplit(f"{REDIRECT_URI}?{query}").query, keep_blank_values=True)
    assert brought["state"] == [FIXED.state]
    assert brought["iss"] == [ISSUER]
    assert len(brought["code"]) == 1
    assert "error" not in brought
