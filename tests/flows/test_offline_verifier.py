"""A service that never asks about a token, against the real server: what it learns, and when."""

import pytest

from delegation_app.models import AccessToken, Delegation
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.verifiers.offline import Clocks, OfflineVerifier
from delegation_app.services import audit, signing_keys
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.chains import handed_on
from tests.support.wire import Wire
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

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
def test_root_when_revoked_then_refused_through_every_exchange(story, clock, service_a, service_b):
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])["access_token"]
    assert service_a.takes(tokens["access_token"])
    assert service_b.takes(child)

    revocation.subtree(delegation_of(tokens), OPERATOR, reason="lost")
    look_again(clock, service_a, service_b)

    assert service_a.takes(tokens["access_token"]) == ""
    assert service_b.takes(child) == ""


def test_child_when_revoked_then_what_is_above_it_goes_on(story, clock, service_a, service_b):
    tokens = story.tokens()
    child = handed_on(story, tokens["access_token"])
    assert service_b.takes(child["access_token"])

    revocation.subtree(delegation_of(child), OPERATOR, reason="too much")
    look_again(clock, service_a, service_b)

    assert service_a.takes(tokens["access_token"]) == tokens["scope"]
    assert service_b.takes(child["access_token"]) == ""


def test_access_token_when_given_back_then_only_that_one_is_refused(story, clock, service_a):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    assert service_a.takes(first["access_token"])

    story.revoke(first["access_token"])
    look_again(clock, service_a)

    assert service_a.takes(first["access_token"]) == ""
    assert service_a.takes(second["access_token"])


def test_delegation_when_narrowed_then_the_app_gets_by_with_a_refresh(story, clock, service_a):
    tokens = story.tokens()
    assert service_a.takes(tokens["access_token"]) == "read:metrics write:alerts"

    less = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(delegation_of(tokens), less, OPERATOR, reason="enough")
    look_again(clock, service_a)

    assert service_a.takes(tokens["access_token"]) == ""
    refreshed = story.refresh(tokens["refresh_token"]).json()
    assert service_a.takes(refreshed["access_token"]) == "read:metrics"


def test_person_when_active_again_then_the_same_token_is_taken_again(story, clock, service_a):
    token, alice = story.tokens()["access_token"], story.world.alice
    assert service_a.takes(token)

    for is_active in (False, True):
        type(alice).objects.filter(pk=alice.pk).update(is_active=is_active)
        look_again(clock, service_a)
        assert bool(service_a.takes(token)) is is_active


def test_client_when_disabled_above_then_what_was_made_from_it_is_refused(story, clock, service_b):
    child = handed_on(story, story.tokens()["access_token"])["access_token"]
    assert service_b.takes(child)

    story.world.web.change(enabled=False)
    look_again(clock, service_b)

    assert service_b.takes(child) == ""


@pytest.mark.conformance("RS-04")
def test_key_when_rotated_then_no_token_is_refused(story, clock, service_a):
    before = story.tokens()["access_token"]
    assert service_a.takes(before)

    clock.forward(seconds=300)
    signing_keys.rotate(OPERATOR)
    after = story.tokens()["access_token"]

    # Without another look at the keys: the new one was published before it signed
    service_a.verifier._statuses.refresh()
    assert service_a.takes(after)
    assert service_a.takes(before)


def test_key_when_withdrawn_then_what_it_signed_is_refused_after_the_next_look(
    story, clock, service_a
):
    stolen = story.tokens()["access_token"]
    assert service_a.takes(stolen)

    signing_keys.rotate(OPERATOR, withdraw=True)
    look_again(clock, service_a)
    look_again(clock, service_a)

    assert service_a.takes(stolen) == ""
    assert service_a.takes(story.tokens()["access_token"])


@pytest.mark.conformance("SL-15", "SL-14")
def test_tokens_when_many_then_each_has_an_index_of_its_own_and_not_in_order(story):
    tokens = [story.client_credentials().json()["access_token"] for _ in range(40)]
    entries = [claims_of(token)["status"]["status_list"] for token in tokens]

    assert len({(entry["uri"], entry["idx"]) for entry in entries}) == 40
    assert len({entry["uri"] for entry in entries}) == 1
    indices = [entry["idx"] for entry in entries]
    assert indices not in (sorted(indices), sorted(indices, reverse=True))


def test_revocation_when_lists_are_on_then_no_row_of_a_token_is_written(story, clock, service_a):
    tokens = story.tokens()
    assert service_a.takes(tokens["access_token"])
    rows = list(AccessToken.objects.order_by("pk").values())

    revocation.of_user(story.world.alice, OPERATOR, reason="lost")
    look_again(clock, service_a)

    assert service_a.takes(tokens["access_token"]) == ""
    assert list(AccessToken.objects.order_by("pk").values()) == rows
    assert not Delegation.objects.live().exists()
