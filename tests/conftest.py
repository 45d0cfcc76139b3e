import fcntl
import os
import tempfile
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from hypothesis import HealthCheck, settings

from delegation_app import clock as database_clock
from delegation_app.services import caching, signing_keys
from delegation_app.services.clients import authentication
from delegation_app.services.status_lists import cache as status_cache
from delegation_app.services.tokens import reissue, usage
from tests.conformance import checklist
from tests.support import SecureClient, in_ci
from tests.support.clock import clock  # noqa: F401 - a fixture for everybody
from tests.support.snapshot import Snapshot
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


_WORLD = Snapshot(build_world)


@pytest.fixture(autouse=True)
def _empty_cache():
    """Throttles count in the cache, and no test may inherit another's count."""
    cache.clear()


@pytest.fixture(autouse=True)
def _nothing_remembered():
    """Each test has a database of its own: keys, status lists and secrets of the last are gone."""
    signing_keys.forget()
    status_cache.forget()
    authentication.forget()
    caching.forget()
    usage.forget()
    database_clock.forget()
    reissue.forget()


@pytest.fixture(autouse=True)
def _one_crowd_at_a_time(request):
    """Keep a PostgreSQL with its usual hundred connections from running out of them.

    The workers are processes, so it is a file that they lock. SQLite has no such limit.
    """
    if connection.vendor != "postgresql" or not request.node.get_closest_marker("many_connections"):
        yield
        return
    path = Path(tempfile.gettempdir()) / "django-delegation-many-connections.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def world(db):
    """People, services and clients; see `tests.support.world`."""
    return _WORLD.again()


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
    _leave_out_soak(config, items)
    _put_in_order(items)
    _leave_out_other_databases(config, items)


def _leave_out_soak(config, items):
    """What runs for hours is asked for by name: `-m soak`."""
    if "soak" in config.option.markexpr:
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if item not in soak]


def _put_in_order(items):
    # The longest first, or they are what everything waits for at the end
    items.sort(key=lambda item: not {"race", "slow"} & {mark.name for mark in item.iter_markers()})
    if connection.vendor != "postgresql":
        return
    for item in items:
        # They would wait for each other, so one worker takes them while others do the rest
        if item.get_closest_marker("many_connections"):
            item.add_marker(pytest.mark.xdist_group("many connections"))


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
