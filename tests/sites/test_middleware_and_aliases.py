"""Sites that guard every view, or wrap every view in a transaction."""

import pytest

from tests.sites.site import EXPECTED, MIDDLEWARE

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
ROUTER = """
class Identity:
    def db_for_read(self, model, **hints):
        return "identity"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return db == "identity"
"""


def test_site_when_every_view_asks_for_a_login_then_ours_answer_as_without(build):
    site = build.site(MIDDLEWARE=[*MIDDLEWARE, LOGIN_REQUIRED]).migrated()

    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED


def test_site_when_requests_are_atomic_then_everything_works(build):
    site = build.site(DATABASES={"default": build.database(ATOMIC_REQUESTS=True)}).migrated()

    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED


def test_site_when_identity_has_an_alias_with_atomic_requests_then_everything_works(build):
    databases = {"default": build.database(), "identity": build.database(ATOMIC_REQUESTS=True)}
    site = build.site(
        DATABASES=databases,
        DATABASE_ROUTERS=["routers.Identity"],
        files={"routers.py": ROUTER},
    ).migrated()

    assert site.check("--database", "identity") == []
    assert site.story() == EXPECTED
