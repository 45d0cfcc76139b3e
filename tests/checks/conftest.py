"""Settings that are wrong for a test."""

import pytest
from django.conf import settings as site


@pytest.fixture
def configure(settings):
    """Change members of `DELEGATION`."""

    def change(**values):
        settings.DELEGATION = {**settings.DELEGATION, **values}

    return change


@pytest.fixture
def change_setting(monkeypatch):
    """Change a setting that Django does not let tests override; no connection is made anew."""
    return lambda name, value: monkeypatch.setattr(site, name, value)


@pytest.fixture
def database(change_setting):
    """Change the entry of the database."""
    return lambda **values: change_setting("DATABASES", {"default": values})
