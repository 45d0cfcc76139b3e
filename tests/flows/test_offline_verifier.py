"""A service that never asks about a token, against the real server: what it learns, and when."""

import pytest

from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.verifiers.offline import Clocks, OfflineVerifier
from delegation_app.services import audit, signing_keys
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.chains import handed_on
from tests.support.wire import Wire
from tests.support.world import SERVICE_A, SERVICE_B, delegation_of

OPERATOR = audit.RequestContext("user:99")


class Service:
    """A resource server with the clock of the test, which asks when it is told to."""

    def __init__(self, clock, audience):
        seconds = lambda: clock().timestamp()  # noqa: E731 - twice, and nowhere else
        self.verifier = OfflineVerifier(
            "https://as.example.com",
            audience,
            poll_seconds=0,
            transport=Wire(),
            clocks=Clocks(wall=seconds, steady=seconds),
        )

    def takes(self, token):
        try:
            return str(self.verifier.verify(token).scope)
        except InvalidToken:
            return ""


@pytest.fixture
def service_a(clock):
    return Service(clock, SERVICE_A)


@pytest.fixture
def service_b(clock):
    return Service(clock, SERVICE_B)


def look_again(clock, *services):
    clock.forward(seconds=5)
    for service in services:
        service.verifier.refresh()


@pytest.mark.conformance("SL-20", "DG-03")
def test_root_when_revoked(story, clock, service_a, service_b):
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])["access_token"]
    assert service_a.takes(tokens["access_token"])
    assert service_b.takes(child)

    revocation.subtree(delegation_of(tokens), OPERATOR, reason="lost")
    look_again(clock, service_a, service_b)

    assert service_a.takes(tokens["access_token"]) == ""
    assert service_b.takes(child) == ""


def test_delegation_when_narrowed(story, clock, service_a):
    tokens = story.tokens()
    assert service_a.takes(tokens["access_token"]) == "read:metrics write:alerts"

    less = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(delegation_of(tokens), less, OPERATOR, reason="enough")
    look_again(clock, service_a)

    assert service_a.takes(tokens["access_token"]) == ""
    refreshed = story.refresh(tokens["refresh_token"]).json()
    assert service_a.takes(refreshed["access_token"]) == "read:metrics"


@pytest.mark.conformance("RS-04")
def test_key_when_rotated(story, clock, service_a):
    before = story.tokens()["access_token"]
    assert service_a.takes(before)

    clock.forward(seconds=300)
    signing_keys.rotate(OPERATOR)
    after = story.tokens()["access_token"]

    # Without another look at the keys: the new one was published before it signed
    service_a.verifier._statuses.refresh()
    assert service_a.takes(after)
    assert service_a.takes(before)


def test_key_when_withdrawn(story, clock, service_a):
    stolen = story.tokens()["access_token"]
    assert service_a.takes(stolen)

    signing_keys.rotate(OPERATOR, withdraw=True)
    look_again(clock, service_a)
    look_again(clock, service_a)

    assert service_a.takes(stolen) == ""
    assert service_a.takes(story.tokens()["access_token"])
