import pytest

from delegation_app.services import keys
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
    keys.signer()
    return made


@pytest.fixture(scope="session")
def crowd(django_db_setup):
    """One crowd for all races: a server lets go of 32 connections only so fast."""
    gathered = Crowd(CROWD)
    yield gathered
    gathered.go_home()
