import json
import time

import pytest

from delegation_app.client.http.transport import NoAnswer, Request
from delegation_app.protocol.constraints import InvalidConstraint
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.verified_token import Call
from delegation_app.testing import fake_issuer as module
from delegation_app.testing.fake_issuer import AUDIENCE, ISSUER, FakeIssuer

pytestmark = pytest.mark.any_database


@pytest.fixture
def issuer():
    return FakeIssuer()


def test_token_when_made_then_the_verifier_reads_all_of_it(issuer):
    text = issuer.token(
        subject="user:7", scope=["read:metrics"], client_id="web", actors=("service_a", "web")
    )

    token = issuer.verifier().verify(text)

    assert (token.subject, token.client_id, str(token.scope)) == ("user:7", "web", "read:metrics")
    assert [actor["client_id"] for actor in token.actors] == ["service_a", "web"]


def test_token_when_a_client_acts_for_itself_then_it_is_the_subject(issuer):
    text = issuer.token(subject=None, client_id="cron")

    assert issuer.verifier().verify(text).subject == "client:cron"


@pytest.mark.parametrize(
    "claims",
    [
        {"audience": "https://another.example.com"},
        {"lifetime": -60},
        {"claims": {"iss": "https://another.example.com"}},
        {"claims": {"status": None}},
    ],
)
def test_token_when_something_is_wrong_with_it_then_it_is_refused(issuer, claims):
    with pytest.raises(InvalidToken):
        issuer.verifier().verify(issuer.token(**claims))


def test_token_when_another_issuer_signed_it_then_it_is_refused(issuer):
    with pytest.raises(InvalidToken):
        issuer.verifier().verify(FakeIssuer().token())


def test_token_when_it_has_constraints_then_they_are_enforced(issuer):
    limits = [{"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/reports"]}]}]
    text, verifier = issuer.token(constraints=limits), issuer.verifier()

    assert verifier.verify(text, Call(path="/reports/1", method="GET"))
    with pytest.raises(OutsideLimits):
        verifier.verify(text, Call(path="/reports/1", method="POST"))


def test_token_when_a_constraint_is_malformed_then_the_test_is_told(issuer):
    with pytest.raises(InvalidConstraint):
        issuer.token(constraints=[{"type": "resource_path", "paths": ["/reports"]}])


def test_revoke_when_called_then_the_token_is_refused_and_no_other(issuer):
    verifier, first, second = issuer.verifier(), issuer.token(), issuer.token()
    assert verifier.verify(first)

    issuer.revoke(first)

    with pytest.raises(InvalidToken):
        verifier.verify(first)
    assert verifier.verify(second)
    with pytest.raises(InvalidToken):
        issuer.verifier().verify(first)


def test_revoke_when_a_list_is_full_then_the_next_one_is_used(issuer, monkeypatch):
    monkeypatch.setattr(module, "_LIST_SIZE", 8)
    verifier, tokens = issuer.verifier(), [issuer.token() for _ in range(20)]
    assert all(verifier.verify(text) for text in tokens)

    issuer.revoke(tokens[9])

    for number, text in enumerate(tokens):
        if number == 9:
            with pytest.raises(InvalidToken):
                verifier.verify(text)
        else:
            assert verifier.verify(text)


@pytest.mark.parametrize("days", [-400, 400])
def test_revoke_when_the_clock_was_moved_then_the_status_list_is_still_read(
    issuer, monkeypatch, days
):
    verifier = issuer.verifier()
    assert verifier.verify(issuer.token())
    moved = time.time() + days * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: moved)
    text = issuer.token()
    assert verifier.verify(text)

    issuer.revoke(text)

    with pytest.raises(InvalidToken):
        verifier.verify(text)


@pytest.mark.parametrize("text", ["junk", FakeIssuer("https://other.example.com").token()])
def test_revoke_when_the_token_is_no_token_of_this_issuer_then_it_says_so(issuer, text):
    with pytest.raises(ValueError, match="token"):
        issuer.revoke(text)


def test_send_when_asked_then_keys_and_metadata_are_published():
    issuer = FakeIssuer(f"{ISSUER}/auth")
    well_known = f"{ISSUER}/.well-known/oauth-authorization-server/auth"

    metadata = json.loads(issuer.send(Request("GET", well_known)).body)
    keys = json.loads(issuer.send(Request("GET", metadata["jwks_uri"])).body)

    assert metadata["issuer"] == f"{ISSUER}/auth"
    assert len(keys["keys"]) == 1
    assert "d" not in keys["keys"][0]
    assert issuer.verifier().audience == AUDIENCE
    assert [request.url for request in issuer.requests] == [well_known, metadata["jwks_uri"]]
    with pytest.raises(NoAnswer):
        issuer.send(Request("GET", "https://elsewhere.example.com/"))


def test_issuer_when_its_identifier_is_no_https_url_then_it_is_refused():
    with pytest.raises(ValueError, match="https"):
        FakeIssuer("http://auth.example.com")
