import pytest

from delegation_app.models import AccessToken, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.tokens import local_verifier
from tests.support.answers import refused
from tests.support.world import SERVICE_A, claims_of

# As long as constraints can be that are stored: a hundred of them, 48 characters each
MANY = [f"2001:db8:{number:x}:ffff:ffff:ffff:ffff:0/112" for number in range(100)]


def test_token_when_its_limits_make_it_too_long_to_verify_then_it_is_not_issued(story, world):
    world.cron.change(constraints=Constraints.parse([{"type": "ip_range", "networks": MANY[:5]}]))
    refused(story.client_credentials(), "unauthorized_client")
    long = [{"methods": ["GET"], "prefixes": ["/" + f"{n}" * 60]} for n in range(100)]
    world.cron.change(constraints=Constraints.parse([{"type": "resource_path", "rules": long}]))
    refused(story.client_credentials(), "unauthorized_client")
    assert not Delegation.objects.exists()
    assert not AccessToken.objects.exists()


@pytest.mark.parametrize("length", [1, 20])
def test_token_when_its_limits_fit_then_it_carries_them_and_verifies(story, world, length):
    rules = [{"methods": ["GET"], "prefixes": [f"/metrics/{n:08}"]} for n in range(length)]
    limits = Constraints.parse([{"type": "resource_path", "rules": rules}])
    world.cron.change(constraints=limits)
    token = story.client_credentials().json()["access_token"]
    assert claims_of(token)["constraints"] == limits.as_json()
    call = local_verifier.Call(ip="192.0.2.1", method="GET", path="/metrics/00000000/x")
    assert local_verifier.verify(token, SERVICE_A, call).subject == "client:cron"
