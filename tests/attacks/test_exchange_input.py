"""Exchanges that no honest client sends, and a database that fails under honest ones."""

from itertools import count

import pytest

from delegation_app.models import AccessToken, AuditEvent, Delegation
from delegation_app.protocol import names
from delegation_app.services import signing_keys
from tests.flows.test_bad_input import STRANGE, UNREADABLE, as_client, encode
from tests.support.answers import each, nothing_stored, recorded, refused
from tests.support.broken_database import failing, failing_commit
from tests.support.chains import acting_with, handed_on, own_token
from tests.support.world import FORM, SERVICE_B

PATHS = ["/oauth/token", "/oauth/exchange"]
EMPTY_IS_FINE = {"audience", "resource", "scope", "requested_token_type", "constraints"}


@pytest.fixture
def form(story, world):
    """A good exchange with every parameter that there is."""
    world.service_a_client.change(may_request_constraints=True)
    return as_client(
        "service-a",
        grant_type=names.TOKEN_EXCHANGE,
        subject_token=story.tokens()["access_token"],
        subject_token_type=names.ACCESS_TOKEN,
        requested_token_type=names.ACCESS_TOKEN,
        audience="Service B",
        resource=SERVICE_B,
        scope="read:metrics",
        constraints='[{"type":"max_depth","depth":0}]',
        **acting_with(own_token(story, world.service_a_client)),
    )


def send(story, path, pairs):
    return story.wire.post(path, encode(pairs), content_type=FORM)


@pytest.mark.parametrize("path", PATHS)
def test_form_when_good_then_it_is_taken(story, form, path):
    assert send(story, path, form.items()).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_parameter_when_unreadable_then_invalid_request_and_nothing_is_kept(story, form, path):
    for name in form:
        for kind, value in UNREADABLE.items():
            with each((name, kind)), nothing_stored(), recorded():
                response = send(story, path, {**form, name: value}.items())
                refused(response, "invalid_request")


@pytest.mark.parametrize("path", PATHS)
def test_parameter_when_sent_twice_then_invalid_request_except_for_targets(story, form, path):
    for name, value in form.items():
        with each(name):
            if name in {"audience", "resource"}:
                assert send(story, path, [*form.items(), (name, value)]).status_code == 200
                continue
            for pairs in ([*form.items(), (name, value)], [(name, "other"), *form.items()]):
                with nothing_stored(), recorded():
                    refused(send(story, path, pairs), "invalid_request")


@pytest.mark.parametrize("path", PATHS)
def test_parameter_when_empty_then_it_counts_as_left_out(story, form, path):
    for name in form:
        with each(name):
            before = AccessToken.objects.count()
            response = send(story, path, {**form, name: ""}.items())
            if name in EMPTY_IS_FINE:
                assert response.status_code == 200, response.content
                continue
            assert response.status_code in {400, 401}, response.content
            assert AccessToken.objects.count() == before


@pytest.mark.parametrize("path", PATHS)
def test_parameter_when_of_another_type_then_4xx_and_nothing_is_stored(story, form, path):
    for name in form:
        for value in STRANGE:
            if (name, value) == ("constraints", "[]"):
                continue
            with each((name, value)), nothing_stored(), recorded("request.refused"):
                response = send(story, path, {**form, name: value}.items())
                assert response.status_code in {400, 401}, response.content
                assert response.json()["error"] != "server_error"


@pytest.mark.parametrize("name", ["subject_token", "actor_token", "scope", "audience", "resource"])
def test_parameter_when_as_long_as_a_request_may_be_then_4xx(story, form, name):
    with nothing_stored(), recorded("request.refused"):
        response = send(story, "/oauth/token", {**form, name: "a" * 60_000}.items())
    assert response.status_code == 400


def test_targets_when_there_are_very_many_then_4xx(story, form):
    many = [("audience", f"https://{number}.example.com") for number in range(80)]
    with nothing_stored(), recorded("request.refused"):
        refused(send(story, "/oauth/token", [*form.items(), *many]), "invalid_target")
    more = [("audience", SERVICE_B)] * 200
    with nothing_stored(), recorded():
        refused(send(story, "/oauth/token", [*form.items(), *more]), "invalid_request")


# The database


@pytest.fixture
def honest(story):
    story.wire.raise_request_exception = False
    signing_keys.signer()
    return story


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lasting", [True, False], ids=["for good", "for a moment"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new child", "same child"])
def test_exchange_when_any_statement_fails_then_nothing_is_half_done(honest, lasting, is_new):
    story = honest
    for statement in count(1):
        token = story.tokens(prompt="consent")["access_token"]
        if not is_new:
            handed_on(story, token)
        rows = Delegation.objects.count(), AccessToken.objects.count()
        events = AuditEvent.objects.count()
        with failing(statement, lasting=lasting) as failure:
            response = story.exchange(token)
        if not failure.happened:
            break
        refused(response, "temporarily_unavailable", 503)
        assert int(response["Retry-After"]) > 0
        assert b"secret-host" not in response.content
        assert (Delegation.objects.count(), AccessToken.objects.count()) == rows
        assert AuditEvent.objects.count() == events
        # The same again succeeds.
        assert handed_on(story, token)["scope"] == "read:metrics write:alerts"
    assert response.status_code == 200
    assert statement > 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("after", [True, False], ids=["answer lost", "commit lost"])
def test_exchange_when_the_commit_fails_then_a_retry_gets_the_same_child(honest, after):
    story = honest
    token = story.tokens()["access_token"]
    with failing_commit(after=after) as failure:
        response = story.exchange(token)
    assert failure.happened
    # Where only the answer to the commit was lost, what it did is looked up
    if after:
        assert response.status_code == 200
    else:
        refused(response, "temporarily_unavailable", 503)
    assert Delegation.objects.count() == (2 if after else 1)
    handed_on(story, token)
    assert Delegation.objects.count() == 2
