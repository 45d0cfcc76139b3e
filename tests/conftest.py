import os

import pytest
from django.core.cache import cache
from django.db import connection
from hypothesis import HealthCheck, settings

from delegation_app.services import keys
from tests.conformance import checklist
from tests.support import SecureClient, in_ci
from tests.support.clock import clock  # noqa: F401 - a fixture for everybody
from tests.support.world import Story, build_world

# Derandomised: a failure is the same on every machine, and pytest-randomly prints its own seed.
settings.register_profile("base", derandomize=True, deadline=None, database=None)
settings.register_profile("dev", settings.get_profile("base"), max_examples=40)
settings.register_profile(
    "ci",
    settings.get_profile("base"),
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if in_ci() else "dev"))


@pytest.fixture(autouse=True)
def _empty_cache():
    """Throttles count in the cache, and no test may inherit another's count."""
    cache.clear()


@pytest.fixture(autouse=True)
def _forgotten_keys():
    """Each test has a database of its own, so the signing keys of the last one are gone."""
    keys.forget()


@pytest.fixture
def world(db):
    """People, services and clients; see `tests.support.world`."""
    return build_world()


@pytest.fixture
def story(world):
    """Alice's browser, signed in, and the apps beside it."""
    return Story(world, world.alice)


@pytest.fixture
def client():
    return SecureClient()


@pytest.fixture
def csrf_client():
    return SecureClient(enforce_csrf_checks=True)


@pytest.fixture
def plain_http_client():
    return SecureClient(https=False)


def pytest_collection_modifyitems(config, items):
    known = checklist.requirements()
    for item in items:
        for marker in item.iter_markers("conformance"):
            unknown = set(marker.args) - known.keys()
            if unknown or not marker.args:
                raise pytest.UsageError(f"{item.nodeid}: no such requirement: {sorted(unknown)}")
            item.user_properties.extend(("conformance", requirement) for requirement in marker.args)
    # The longest first, or they are what everything waits for at the end.
    items.sort(key=lambda item: item.get_closest_marker("race") is None)
    _leave_out_other_databases(config, items)


def _leave_out_other_databases(config, items):
    """CI runs the suite once per database, so there a test for the other one is not skipped."""
    other = {"postgresql": "sqlite", "sqlite": "postgresql"}[connection.vendor]
    elsewhere = [item for item in items if item.get_closest_marker(other)]
    if in_ci():
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
        return
    where = "set TEST_DATABASE_URL" if other == "postgresql" else "unset TEST_DATABASE_URL"
    for item in elsewhere:
        item.add_marker(pytest.mark.skip(reason=f"is about {other} only: {where}"))


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if in_ci() and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
