"""What would change the meaning of a request is looked at or refused, never ignored."""

import json

import pytest

from delegation_app.grants import REGISTRY
from delegation_app.protocol import names
from delegation_app.protocol.requests.parameters import MEANINGFUL
from tests.support.answers import nothing_stored, refusal_recorded, refused
from tests.support.world import SERVICE_B, redirected

LIMIT = json.dumps([{"type": "max_uses", "uses": 1}])


def asked(story, grant_type, **changes):
    """What each grant answers to a request that is good without `changes`."""
    world = story.world
    if grant_type == names.AUTHORIZATION_CODE:
        return story.redeem(story.code(), **changes)
    if grant_type == names.REFRESH_TOKEN:
        return story.refresh(story.tokens()["refresh_token"], **changes)
    if grant_type == names.CLIENT_CREDENTIALS:
        return story.client_credentials(**changes)
    if grant_type == names.DEVICE_CODE:
        return story.poll(story.approved(), **changes)
    subject = story.tokens()["access_token"]
    return story.exchange(subject, world.service_a_client, resource=SERVICE_B, **changes)


UNDECLARED = [
    (grant_type, name)
    for grant_type, grant in REGISTRY.items()
    for name in sorted(MEANINGFUL - grant.PARAMETERS)
]


@pytest.mark.parametrize("grant_type", REGISTRY)
def test_request_when_nothing_is_added(story, grant_type):
    assert asked(story, grant_type).status_code == 200
    assert asked(story, grant_type, foo="bar", nonce="n", audience="").status_code == 200


@pytest.mark.parametrize(("grant_type", "name"), UNDECLARED)
def test_parameter_when_the_grant_does_not_look_at_it(story, grant_type, name):
    answer = asked(story, grant_type, **{name: LIMIT})
    refused(answer, "invalid_request")
    text = f"The parameter {name} is not supported here."
    assert answer.json()["error_description"].startswith(text)


def test_constraints_when_on_client_credentials_or_refresh(story, world):
    world.cron.change(may_request_constraints=True)
    world.web.change(may_request_constraints=True)
    tokens = story.tokens()
    for ask in (
        lambda: story.client_credentials(constraints=LIMIT),
        lambda: story.refresh(tokens["refresh_token"], constraints=LIMIT),
    ):
        with nothing_stored(), refusal_recorded("invalid_request"):
            refused(ask(), "invalid_request")
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_audience_when_it_is_not_for_exchange(story):
    answer = story.client_credentials(audience=SERVICE_B)
    assert "in the parameter resource" in answer.json()["error_description"]


@pytest.mark.parametrize(
    "name", sorted(MEANINGFUL - {"scope", "resource", "constraints", "request", "request_uri"})
)
def test_authorization_when_a_parameter_would_change_it(story, name):
    told = redirected(story.authorize(**{name: "x"}))
    assert told["error"] == "invalid_request"
    assert told["error_description"].startswith(f"The parameter {name} is not supported here.")


@pytest.mark.parametrize(
    "name",
    sorted(
        MEANINGFUL - {"scope", "resource", "constraints"} | {"code_challenge", "max_age", "prompt"}
    ),
)
def test_device_when_a_parameter_would_change_it(story, name):
    with nothing_stored(), refusal_recorded("invalid_request"):
        answer = story.start(**{name: "x"})
    refused(answer, "invalid_request")
    assert f"The parameter {name} is not supported here." in answer.json()["error_description"]
