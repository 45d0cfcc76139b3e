import pytest

from delegation_app.services import signing_keys
from tests.races.crowd import Crowd
from tests.support.world import Story, build_world

# Callers and rounds: few in a change, many under `-m soak`, where the connections of one PostgreSQL
# are enough for one crowd at a time
SCALES = [
    pytest.param((8, 25), id="8x25"),
    pytest.param((32, 100), id="32x100", marks=[pytest.mark.soak, pytest.mark.many_connections]),
]


@pytest.fixture
def world(transactional_db):
    made = build_world()
    # Hashing a secret for each caller at once would only measure the hash.
    story = Story(made)
    for app in ("web", "cron", "service_a_client"):
        story.introspect("warm-up", getattr(made, app))
    signing_keys.signer()
    return made


@pytest.fixture(params=SCALES)
def crowd(request, transactional_db):
    """Many callers; their connections are given back before the next crowd comes."""
    gathered = Crowd(*request.param)
    yield gathered
    gathered.go_home()
