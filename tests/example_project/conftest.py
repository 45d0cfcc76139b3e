from types import SimpleNamespace

import pytest
from django.contrib.auth import get_user_model

from delegation_app import toolkit
from delegation_app.client.http import sessions
from delegation_app.models import Delegation
from example_project.demo import seed
from tests.example_project.wire import Wire
from tests.support.world import App, Story


@pytest.fixture
def demo_world(db, settings, tmp_path):
    """What `seed_demo` makes."""
    settings.DEMO_CREDENTIALS = tmp_path / "credentials.json"
    return seed.make()


@pytest.fixture
def apps(demo_world):
    """The demo's clients, by name."""
    model = toolkit.application_model()
    return {
        name: App(model.objects.get(client_id=name), known["client_secret"])
        for name, known in demo_world["clients"].items()
    }


@pytest.fixture
def alice(apps):
    """Alice's browser in the demo's world."""
    person = get_user_model().objects.get(username="alice")
    return Story(SimpleNamespace(alice=person, **apps), person)


@pytest.fixture
def wire(monkeypatch):
    """What the services send each other, delivered in this process."""
    wire = Wire()
    monkeypatch.setattr(sessions, "DeadlineAdapter", wire.adapter)
    return wire


@pytest.fixture
def handed(alice, apps, demo_world):
    """Tokens of one chain, by service, and the delegations behind them."""
    audiences = demo_world["audiences"]
    at_a = alice.tokens(apps["web"])["access_token"]
    at_b = _exchange(alice, at_a, apps["service_a"], audiences["service_b"])
    at_c = _exchange(alice, at_b, apps["service_b"], audiences["service_c"])
    rows = list(Delegation.objects.order_by("depth"))
    return SimpleNamespace(tokens=[at_a, at_b, at_c], rows=rows)


def _exchange(story, token, app, audience):
    answer = story.exchange(token, app, audience=audience, scope="read:metrics")
    assert answer.status_code == 200, answer.content
    return answer.json()["access_token"]
