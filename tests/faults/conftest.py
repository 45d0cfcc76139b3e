import pytest
from django.db import connections

from delegation_app.services import signing_keys, transactions
from tests.faults.proxy import HOST, Proxy


@pytest.fixture
def proxy(transactional_db, monkeypatch):
    """The tests' own database, reached through a proxy by all who connect from now on."""
    settings = connections["default"].settings_dict
    through = Proxy(settings["HOST"] or HOST, int(settings["PORT"] or 5432))
    options = {**settings["OPTIONS"], "sslmode": "disable", "gssencmode": "disable"}
    monkeypatch.setattr(transactions, "PAUSES", (0.0, 0.05, 0.1))
    connections["default"].close()
    with monkeypatch.context() as patch:
        patch.setitem(settings, "HOST", HOST)
        patch.setitem(settings, "PORT", str(through.port))
        patch.setitem(settings, "OPTIONS", options)
        yield through
        through.come_back()
        connections["default"].close()
    through.close()


@pytest.fixture
def story(story, proxy):
    """A story whose browser gets a 500 as others do, and whose keys are made."""
    story.browser.raise_request_exception = story.wire.raise_request_exception = False
    signing_keys.signer()
    # What is made on first use would commit before what the tests are about
    story.client_credentials()
    return story
