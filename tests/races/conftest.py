import pytest

from delegation_app.services import signing_keys
from tests.races.crowd import Crowd
from tests.support.world import Story, build_world

CROWD = 32


@pytest.fixture
def world(transactional_db):
    made = build_world()
    # Hashing 32 secrets at once would only measure the hash.
    story = Story(made)
    for app in ("web", "cron", "service_a_client"):
        story.introspect("warm-up", getattr(made, app))
    signing_keys.signer()
    return made


@pytest.fixture
def crowd(transactional_db):
    """Many callers; their connections are given back before the next crowd comes."""
    gathered = Crowd(CROWD)
    yield gathered
    gathered.go_home()
