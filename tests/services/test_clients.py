"""Terms of clients, with and without a policy."""

import pytest

from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope
from delegation_app.services.clients import lookup
from tests.support.world import SERVICE_A, SERVICE_B

AT_A = Audience([SERVICE_A])


def test_client_when_it_has_no_policy_then_its_application_and_the_default_audience_say(
    world, settings
):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    ClientPolicy.objects.all().delete()
    web, cron = lookup.find("web"), lookup.find("cron")

    assert set(web.policy.grants) == {"authorization_code", "refresh_token"}
    assert web.policy.grants != cron.policy.grants == ["client_credentials"]
    assert web.policy.scopes == Scope(
        ["read:metrics", "write:alerts", "delete:alerts", "read:profile"]
    )
    assert web.audience([]) == AT_A
    with pytest.raises(InvalidTarget):
        web.audience([SERVICE_B])
    assert ClientPolicy.objects.count() == 0


def test_client_when_it_has_no_policy_and_there_is_no_default_audience_then_it_reaches_nothing(
    story, world
):
    ClientPolicy.objects.all().delete()

    assert story.client_credentials().json()["error"] == "invalid_target"


def test_client_when_it_has_no_policy_then_the_whole_story_works(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    ClientPolicy.objects.all().delete()

    tokens = story.tokens()
    assert story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_audience_when_nothing_is_named_then_the_default_or_the_only_one(world):
    assert lookup.find("web").audience([]) == AT_A
    assert lookup.find("cron").audience([]) == AT_A

    world.web.change(default_audience=None)
    with pytest.raises(InvalidTarget, match="must name"):
        lookup.find("web").audience([])


def test_audience_when_resource_server_is_inactive_then_not_to_be_had(world):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(active=False)
    web = lookup.find("web")

    with pytest.raises(InvalidTarget):
        web.audience([SERVICE_A])
    with pytest.raises(InvalidTarget):
        web.audience([])


def test_narrowed_audience_when_part_of_the_grant_is_gone_then_the_rest_is_left(world):
    both = Audience([SERVICE_A, SERVICE_B])
    ResourceServer.objects.filter(identifier=SERVICE_B).update(active=False)
    web = lookup.find("web")

    assert web.narrowed_audience([], both) == AT_A
    with pytest.raises(InvalidTarget):
        web.narrowed_audience([SERVICE_B], both)
    with pytest.raises(InvalidTarget):
        web.narrowed_audience([], Audience([SERVICE_B]))


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("read:metrics", ["read:metrics"]),
        (None, ["read:metrics", "write:alerts", "read:profile"]),
        ("read:metrics read:metrics", ["read:metrics"]),
    ],
)
def test_scope_when_requested_then_within_policy_and_audience(world, requested, expected):
    assert lookup.find("web").scope(requested, AT_A) == Scope(expected)


def test_scope_when_the_audience_does_not_know_it_then_cut(world):
    web = lookup.find("web")

    at_b = Audience([SERVICE_B])
    assert web.scope("read:metrics read:profile", at_b) == Scope(["read:metrics"])
    with pytest.raises(InvalidScope):
        web.scope("read:profile", at_b)


@pytest.mark.parametrize("requested", ["delete:alerts", "nonsense", "read:metrics nonsense", "é"])
def test_scope_when_unknown_or_not_for_the_client_then_refused(world, requested):
    with pytest.raises(InvalidScope):
        lookup.find("web").scope(requested, AT_A)


def test_find_when_client_has_many_audiences_then_one_statement(world, django_assert_num_queries):
    more = [
        ResourceServer.objects.create(identifier=f"urn:service:{n}", name=f"{n}", scopes="x")
        for n in range(20)
    ]
    world.web.policy.audiences.add(*more)

    with django_assert_num_queries(1):
        web = lookup.find("web")
        assert len(web.servers) == 22
        assert web.policy.enabled
