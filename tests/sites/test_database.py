"""Sites whose database is missing, empty or of another make."""

import pytest

from tests.sites.site import EXPECTED, ISSUER

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

# What is asked of a site without tables: nothing gets better by waiting
ASKED = """
from django.test import Client
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"

def answers():
    wire = Client(raise_request_exception=False)
    body = urlencode({"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"})
    post = lambda path: wire.post(path, body + "&token=x", content_type=FORM, secure=True)
    get = lambda path: wire.get(path, secure=True)
    found = [post(f"/oauth/{name}") for name in ("token", "revoke", "introspect")]
    found += [get("/oauth/jwks"), get("/oauth/status"), get("/oauth/authorize?client_id=a")]
    return [[one.status_code, "Retry-After" in one, b"wrong" in one.content] for one in found]
"""


def test_site_when_there_is_no_database_then_commands_that_need_none_work(build):
    site = build.site(DATABASES={})

    assert site.check() == ["W017"]
    assert site.check("--database", "default") == ["W017"]
    assert "No changes detected" in site.manage("makemigrations", "--dry-run")


def test_site_when_it_is_not_migrated_then_500_and_not_try_again(build):
    site = build.site(files={"asked.py": ASKED})

    assert site.check("--database", "default") == []
    told = site.evaluate("answers()", "from asked import answers")
    assert told == [[500, False, True]] * len(told)


def test_site_when_times_have_no_zone_then_a_number_and_a_clear_error(build):
    site = build.site(USE_TZ=False)

    assert site.check(fails=True) == ["E012"]
    text = site.manage("migrate", fails=True)
    assert "Set USE_TZ = True." in text


def test_site_when_its_rows_are_wrong_then_the_commands_that_repair_them_run(build):
    """The default resource server was never made; then the secret of the keys is lost too."""
    databases = {"default": build.database()}
    assert build.site(DATABASES=databases).migrated().story() == EXPECTED
    wrong = {"ISSUER": ISSUER, "DEFAULT_AUDIENCE": "https://nobody.example.com"}
    site = build.site(DATABASES=databases, DELEGATION=wrong)
    assert site.check() == []
    assert site.check("--database", "default") == ["W004"]
    site.manage("rotate_signing_keys", "--withdraw")

    site = build.site(DATABASES=databases, DELEGATION=wrong, SECRET_KEY="another key" * 9)
    assert site.check("--database", "default") == ["W003", "W004"]
    site.manage("migrate")
    site.manage("createsuperuser", "--noinput", "--username", "root", "--email", "r@example.com")
    site.manage("delegations", "list")
    site.manage("rotate_signing_keys", "--discard-unreadable")
    assert site.check("--database", "default") == ["W004"]
