import pytest

from delegation_app.protocol import names
from tests.support.chains import Chain


@pytest.fixture
def chain(story, world):
    """Web, service A and service B hold one after the other; the last two can refresh."""
    for app in (world.service_a_client, world.service_b_client):
        app.change(
            may_refresh_exchanged_tokens=True,
            grants=["client_credentials", "refresh_token", names.TOKEN_EXCHANGE],
        )
    return Chain(story)
