"""The database gone, at each statement of each request: durable before told, and nothing half done.

These tests use real transactions, since it is their beginnings and ends that fail.
"""

from itertools import count

import pytest

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    RefreshToken,
    SigningKey,
)
from delegation_app.services import signing_keys
from delegation_app.services.tokens import usage
from tests.support.answers import never_stored, nothing_stored, recorded, refused
from tests.support.broken_database import failing, failing_commit
from tests.support.world import delegation_of, make_app, redirected

pytestmark = pytest.mark.django_db(transaction=True)

METADATA = "/.well-known/oauth-authorization-server"
both_ways = pytest.mark.parametrize("lasting", [True, False], ids=["for good", "for a moment"])


@pytest.fixture
def story(story):
    """A story whose browser gets a 500 as others do, and whose keys are made."""
    story.browser.raise_request_exception = story.wire.raise_request_exception = False
    signing_keys.signer()
    return story


def unavailable(response):
    refused(response, "temporarily_unavailable", 503)
    assert int(response["Retry-After"]) > 0
    assert b"secret-host" not in response.content


def unavailable_page(response):
    assert response.status_code == 503, (response.status_code, response.get("Location"))
    assert int(response["Retry-After"]) > 0
    never_stored(response)
    html = response.content.decode()
    assert "Try again in a moment." in html
    assert "secret-host" not in html
    assert "Location" not in response


# Gone altogether


def test_back_channel_when_the_database_is_gone(story, world):
    code, tokens = story.code(), story.tokens(prompt="consent", scopes=["read:metrics"])
    requests = [
        lambda: story.redeem(code),
        lambda: story.refresh(tokens["refresh_token"]),
        story.client_credentials,
        lambda: story.revoke(tokens["refresh_token"]),
        lambda: story.revoke(tokens["access_token"]),
        lambda: story.introspect(tokens["access_token"]),
        lambda: story.introspect("unknown"),
        lambda: story.refresh("unknown"),
        # Nobody is told that a secret is wrong, or right, by a server that can't know.
        lambda: story.post(
            "/oauth/token",
            {"grant_type": "client_credentials", "client_id": "cron", "client_secret": "wrong"},
        ),
    ]
    for request in requests:
        with nothing_stored(), recorded():
            with failing():
                response = request()
            unavailable(response)
    # It is back, and every one of them is as good as before.
    assert story.is_active(tokens["access_token"])
    assert story.redeem(code).status_code == 200
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_back_channel_when_the_refusal_can_not_be_recorded(story):
    for body in ({}, {"client_id": "web"}, {"client_assertion": "a.b.c"}):
        with recorded():
            with failing():
                response = story.post("/oauth/token", {"grant_type": "x", **body})
            unavailable(response)


def test_authorize_when_the_database_is_gone(story):
    page = story.authorize()
    with nothing_stored(), recorded():
        with failing():
            asked = story.authorize()
        unavailable_page(asked)
        with failing():
            answered = story.answer(page)
        unavailable_page(answered)
        with failing():
            denied = story.answer(page, decision="deny")
        unavailable_page(denied)
    assert redirected(story.answer(page))["code"]


def test_jwks_when_the_database_is_gone(story):
    known = story.wire.get("/oauth/jwks").json()
    with failing():
        assert story.wire.get("/oauth/jwks").json() == known
    signing_keys.forget()
    with failing():
        response = story.wire.get("/oauth/jwks")
    unavailable(response)
    assert story.wire.get("/oauth/jwks").json() == known


def test_metadata_when_the_database_is_gone(story):
    before = story.wire.get(METADATA).content
    with failing() as failure:
        assert story.wire.get(METADATA).content == before
    assert not failure.statements


# Gone at the n-th statement


def each_statement(prepare, request, check, *, lasting):
    """Let every statement of a request fail, one after the other.

    Args:
        prepare: makes what the request needs, anew each time.
        request: sends it.
        check: judges the answer to a request during which the database failed.
    """
    for statement in count(1):
        prepared = prepare()
        with failing(statement, lasting=lasting) as failure:
            response = request(prepared)
        if not failure.happened:
            return statement - 1
        check(prepared, response)
    return None


NUMBERS = count()
GRANTS = {
    "code": (lambda story: story.code(prompt="consent"), lambda story, code: story.redeem(code)),
    "device": (lambda story: story.approved(), lambda story, code: story.poll(code)),
    "refresh": (
        lambda story: story.tokens(prompt="consent")["refresh_token"],
        lambda story, token: story.refresh(token),
    ),
    "exchange": (
        lambda story: story.tokens(prompt="consent")["access_token"],
        lambda story, token: story.exchange(token),
    ),
    # A client that has no delegation yet
    "client credentials": (
        lambda story: make_app(
            f"job-{next(NUMBERS)}", grants=["client_credentials"], audiences=[story.world.service_a]
        ),
        lambda story, app: story.client_credentials(app),
    ),
}
ISSUED = (AccessToken, RefreshToken, Delegation, AuditEvent)


@both_ways
@pytest.mark.parametrize("grant", GRANTS)
def test_grant_when_any_statement_fails(story, grant, lasting):
    prepare, request = GRANTS[grant]
    before = []

    def prepared():
        presented = prepare(story)
        before[:] = [model.objects.count() for model in ISSUED]
        return presented

    def check(presented, response):
        unavailable(response)
        assert [model.objects.count() for model in ISSUED] == before
        # The same request succeeds: what it presents is not used up
        assert request(story, presented).status_code == 200

    statements = each_statement(
        prepared, lambda presented: request(story, presented), check, lasting=lasting
    )
    assert statements >= 4


@both_ways
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revocation_when_any_statement_fails(story, kind, lasting):
    event = "token.revoked" if kind == "access_token" else "delegation.revoked"

    def check(tokens, response):
        unavailable(response)
        assert story.is_active(tokens["access_token"])
        delegation = delegation_of(tokens)
        assert delegation.revoked_at is None
        assert not AuditEvent.objects.filter(event=event, delegation=delegation).exists()
        assert story.revoke(tokens[kind]).status_code == 200
        assert not story.is_active(tokens["access_token"])
        assert AuditEvent.objects.filter(event=event, delegation=delegation).count() == 1

    statements = each_statement(
        lambda: story.tokens(prompt="consent"),
        lambda tokens: story.revoke(tokens[kind]),
        check,
        lasting=lasting,
    )
    assert statements >= 4


@both_ways
def test_introspection_when_any_statement_fails(story, clock, lasting):
    def check(tokens, response):
        # A resource server that was told "inactive" would sign somebody out.
        if response.status_code == 200:
            # Only its use was not noted
            assert response.json()["active"]
            assert delegation_of(tokens).last_used_at is None
        else:
            unavailable(response)
        answers.append(response.status_code)
        usage.forget()
        assert story.is_active(tokens["access_token"])
        Delegation.objects.update(last_used_at=None)

    answers = []
    tokens = story.tokens()
    statements = each_statement(
        lambda: tokens,
        lambda tokens: story.introspect(tokens["access_token"]),
        check,
        lasting=lasting,
    )
    assert statements >= 2
    assert set(answers) == {200, 503}


@both_ways
@pytest.mark.parametrize("replayed", ["code", "refresh token"])
def test_replay_when_any_statement_fails(story, clock, replayed, lasting):
    def prepare():
        code = story.code(prompt="consent")
        first = story.redeem(code).json()
        second = story.refresh(first["refresh_token"]).json()
        return code, first, second

    def request(prepared):
        code, first, _ = prepared
        clock.forward(seconds=30)
        return story.redeem(code) if replayed == "code" else story.refresh(first["refresh_token"])

    def check(prepared, response):
        unavailable(response)
        assert story.is_active(prepared[2]["access_token"])
        refused(request(prepared), "invalid_grant")
        assert not story.is_active(prepared[2]["access_token"])

    assert each_statement(prepare, request, check, lasting=lasting) >= 5


@both_ways
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_answer_when_any_statement_fails(story, decision, lasting):
    def prepare():
        before.update(rows())
        return story.authorize(prompt="consent")

    def rows():
        return {
            "consents": ConsentRecord.objects.count(),
            "consent events": AuditEvent.objects.filter(event__startswith="consent.").count(),
            "delegations": Delegation.objects.count(),
            "opened": AuditEvent.objects.filter(event="delegation.created").count(),
            "codes": AuthorizationCode.objects.count(),
            "code events": AuditEvent.objects.filter(event="code.issued").count(),
        }

    before = {}
    one_more = {"consents", "consent events"}
    if decision == "allow":
        one_more |= {"delegations", "opened", "codes", "code events"}

    def check(page, response):
        # All or nothing: what the person said either stands whole or was never said.
        whole = {name: number + (name in one_more) for name, number in before.items()}
        if response.status_code == 303:
            # Only the session could not be saved any more, and nothing depends on that.
            assert rows() == whole
        else:
            unavailable_page(response)
            assert rows() == before
        again = story.answer(page, decision=decision)
        if rows() == whole and response.status_code == 303:
            # Told once: the page can't be answered twice.
            assert again.status_code == 400
        else:
            assert ("code" in redirected(again)) == (decision == "allow")

    statements = each_statement(
        prepare, lambda page: story.answer(page, decision=decision), check, lasting=lasting
    )
    assert statements >= 6


@both_ways
def test_question_when_any_statement_fails(story, lasting):
    def check(_, response):
        unavailable_page(response)
        assert not ConsentRecord.objects.exists()
        assert not Delegation.objects.exists()

    statements = each_statement(lambda: None, lambda _: story.authorize(), check, lasting=lasting)
    assert statements >= 4


@both_ways
def test_first_keys_when_any_statement_fails(story, lasting):
    def prepare():
        SigningKey.objects.all().delete()
        signing_keys.forget()

    def check(_, response):
        unavailable(response)
        assert SigningKey.objects.count() in {0, 2}
        signing_keys.forget()
        assert story.client_credentials().status_code == 200
        assert SigningKey.objects.count() == 2

    statements = each_statement(
        prepare, lambda _: story.client_credentials(), check, lasting=lasting
    )
    assert statements >= 6


def test_commit_when_it_fails(story):
    code, tokens = story.code(), story.tokens(prompt="consent")
    requests = [
        lambda: story.redeem(code),
        lambda: story.refresh(tokens["refresh_token"]),
        story.client_credentials,
        lambda: story.revoke(tokens["refresh_token"]),
        story.start,
    ]
    for request in requests:
        with nothing_stored(), recorded():
            with failing_commit() as failure:
                response = request()
            assert failure.happened
            unavailable(response)
        assert request().status_code == 200
