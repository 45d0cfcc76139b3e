"""Sites under ASGI: how many connections are left behind by a crowd."""

from importlib.util import find_spec

import pytest

from tests.sites.site import EXPECTED
from tests.support import require_or_skip

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.many_connections]

CROWD = 24
NAME = "site under ASGI"
SCRIPT = """
import asyncio

import psycopg
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.core.asgi import get_asgi_application


async def ask(application):
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https",
        "path": "/oauth/jwks", "query_string": b"", "headers": [(b"host", b"as.example.com")],
    }
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "http.request"})
    start = await communicator.receive_output(30)
    await communicator.receive_output(30)
    await communicator.wait(30)
    return start["status"]


async def crowd(size):
    application = get_asgi_application()
    return await asyncio.gather(*(ask(application) for _ in range(size)))


def left_behind(size, name):
    statuses = asyncio.run(crowd(size))
    database = settings.DATABASES["default"]
    with psycopg.connect(
        dbname=database["NAME"], user=database["USER"], password=database["PASSWORD"],
        host=database["HOST"], port=database["PORT"] or None,
    ) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return [sorted(set(statuses)), connection.execute(query, [name]).fetchone()[0]]
"""


@pytest.fixture
def asgi(build):
    """Make a site whose database has these differences; return the site and what is left behind."""

    def make(**differences):
        entry = build.database()
        entry["OPTIONS"] = {
            **entry["OPTIONS"],
            "application_name": NAME,
            **differences.pop("OPTIONS", {}),
        }
        site = build.site(
            DATABASES={"default": {**entry, **differences}},
            ASGI_APPLICATION="asgi.application",
            files={"crowd.py": SCRIPT},
        ).migrated()
        site.evaluate(
            "signing_keys.signer().kid", "from delegation_app.services import signing_keys"
        )
        call = f"left_behind({CROWD}, {NAME!r})"
        return site, site.evaluate(call, "from crowd import left_behind")

    return make


def test_site_when_connections_are_kept_under_asgi_then_they_are_left_behind_and_a_number(asgi):
    site, (statuses, connections) = asgi(CONN_MAX_AGE=None)

    assert statuses == [200]
    assert connections > CROWD // 2
    assert "W014" in site.check("--deploy", "--fail-level", "CRITICAL")


def test_site_when_the_driver_has_a_pool_then_a_crowd_shares_it(asgi):
    require_or_skip(find_spec("psycopg_pool"), "needs psycopg[pool]")
    site, (statuses, connections) = asgi(OPTIONS={"pool": {"min_size": 1, "max_size": 4}})

    assert statuses == [200]
    assert 1 <= connections <= 4
    assert "W014" not in site.check("--deploy", "--fail-level", "CRITICAL")
    assert site.story() == EXPECTED
