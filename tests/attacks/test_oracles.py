"""No endpoint tells a stranger whether a code or token of another client is real."""

import pytest

from delegation_app.models import Delegation
from delegation_app.protocol import names
from tests.support.world import SERVICE_B, VERIFIER

UNKNOWN = "a" * 43


def told(response):
    """All that an answer tells, without the id of its request."""
    headers = {name: value for name, value in response.items() if name != "X-Request-Id"}
    return response.status_code, response.content, headers


def exchanged(story, app, text, **changes):
    """What an exchange answers; `text` is declared to be a token of each type."""
    kinds = (names.ACCESS_TOKEN, names.JWT, names.REFRESH_TOKEN_TYPE)
    return [told(story.exchange(text, app, subject_token_type=kind, **changes)) for kind in kinds]


ENDPOINTS = {
    "revoke": lambda story, app, text: told(story.revoke(text, app)),
    "introspect": lambda story, app, text: told(story.introspect(text, app)),
    "refresh": lambda story, app, text: told(story.refresh(text, app)),
    "refresh, too much": lambda story, app, text: told(
        story.refresh(text, app, scope="nonsense", resource="urn:x")
    ),
    "redeem": lambda story, app, text: told(story.redeem(text, app)),
    "redeem, too much": lambda story, app, text: told(
        story.redeem(text, app, scope="nonsense", resource="urn:x", redirect_uri="urn:x")
    ),
    "poll": lambda story, app, text: told(
        story.poll(text, app, scope="nonsense", resource="urn:x")
    ),
    "exchange": lambda story, app, text: exchanged(story, app, text, audience=SERVICE_B),
    "exchange, too much": lambda story, app, text: exchanged(
        story, app, text, audience="urn:x", scope="nonsense"
    ),
    "actor": lambda story, app, text: told(
        story.exchange(UNKNOWN, app, actor_token=text, actor_token_type=names.ACCESS_TOKEN)
    ),
}


@pytest.fixture
def stranger(world):
    """A client that may use every grant, and holds nothing of alice."""
    grants = [
        names.AUTHORIZATION_CODE,
        names.REFRESH_TOKEN,
        names.DEVICE_CODE,
        names.TOKEN_EXCHANGE,
    ]
    world.other.change(grants=grants, may_exchange_refresh_tokens=True)
    world.other.policy.audiences.add(world.service_b)
    return world.other


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("opaque", [False, True])
def test_token_when_it_is_another_clients(story, world, stranger, endpoint, opaque):
    world.service_a.token_format = "opaque" if opaque else "jwt"
    world.service_a.save()
    tokens = story.tokens()
    ask = ENDPOINTS[endpoint]
    unknown = ask(story, stranger, UNKNOWN)
    started = story.start().json()["device_code"]
    real = (tokens["access_token"], tokens["refresh_token"], story.code(), started)
    for text in (*real, story.approved()):
        assert ask(story, stranger, text) == unknown
    assert not Delegation.objects.exclude(revoked_at=None).exists()
    assert story.refresh(tokens["refresh_token"]).status_code == 200
    assert story.redeem(real[2], code_verifier=VERIFIER).status_code == 200
