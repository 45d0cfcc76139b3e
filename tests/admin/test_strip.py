"""The strip of the start page."""

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import AuditEvent, SigningKey
from delegation_app.services import limits
from delegation_app.services.paging import RowCount
from delegation_app.services.reporting import metrics
from tests.admin.conftest import browser, text_of
from tests.support import SecureClient

PAGES = ("/admin/", "/admin/delegation_app/")


def refuse(count, hours=0):
    when = timezone.now() - timezone.timedelta(hours=hours)
    AuditEvent.objects.bulk_create(
        AuditEvent(event="request.refused", outcome="refused", occurred_at=when)
        for _ in range(count)
    )


@pytest.mark.parametrize("url", PAGES)
def test_strip_when_an_operator_opens_the_page_then_it_shows_the_last_day(forest, operator, url):
    refuse(2, hours=3)
    refuse(1, hours=30)
    html = text_of(operator.get(url))
    assert "Delegation: last 24 hours" in html
    assert 'aria-label="2 in 24 hours; at most 2 in an hour, 0 in this one"' in html
    found = metrics.traffic()
    assert {name: sum(hours) for name, hours in found.hours.items()} == {
        "issued": 3, "refused": 2, "exchanged": 2, "revoked": 0,
    }  # fmt: skip
    assert metrics.live() == RowCount(3, is_all=True)
    assert "delegation-warnings" not in html


def test_strip_when_somebody_may_not_see_it_then_there_is_none(db, django_user_model):
    assert "delegation-strip" not in text_of(browser("staff").get(PAGES[0]))
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_delegation"))
    client = SecureClient()
    client.force_login(viewer)
    html = text_of(client.get(PAGES[0]))
    assert "Live delegations" in html
    for word in ("Refused", "signing key"):
        assert word not in html


def test_strip_when_opened_again_within_a_minute_then_nothing_is_counted(forest, operator):
    operator.get(PAGES[0])
    with CaptureQueriesContext(connection) as captured:
        operator.get(PAGES[0])
    tables = ("delegation_app_auditevent", "delegation_app_delegation", "delegation_app_signingkey")
    assert not [q["sql"] for q in captured if any(table in q["sql"] for table in tables)]


def test_strip_when_there_is_too_much_to_count_then_it_says_so(forest, operator, monkeypatch):
    monkeypatch.setattr(metrics, "MAX_EVENTS", 2)
    monkeypatch.setattr(limits, "MAX_COUNT", 2)
    html = text_of(operator.get(PAGES[0]))
    assert "Showing the latest 2 events" in html
    assert ">2+</a>" in html


def test_strip_when_something_is_wrong_then_it_warns(operator, monkeypatch):
    assert "There is no signing key yet." in text_of(operator.get(PAGES[0]))
    caches["default"].clear()
    refuse(30)
    SigningKey.objects.create(
        kid="lost",
        algorithm="ES256",
        state="active",
        public_jwk={},
        encrypted_private_key=b"x",
        created_at=timezone.now(),
        activated_at=timezone.now(),
    )
    monkeypatch.setattr(metrics, "cache_answers", lambda: False)
    html = text_of(operator.get(PAGES[0]))
    for text in (
        "The key lost cannot be decrypted",
        "Far more requests are refused than usual.",
        "The cache does not respond",
    ):
        assert text in html


def test_strip_when_the_cache_is_gone_then_the_page_still_opens(operator, settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        }
    }
    assert "The cache does not respond" in text_of(operator.get(PAGES[0]))
