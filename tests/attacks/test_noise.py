"""What anybody can cause without end leaves few rows, and how often it happened is on record."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import (
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    DeviceCode,
    EventCount,
)
from delegation_app.services import event_counts
from delegation_app.services.reporting import metrics
from tests.admin.conftest import browser, page, text_of
from tests.support.answers import refused
from tests.support.world import App, redirected

LIMIT, IN_ALL = 5, 20


@pytest.fixture(autouse=True)
def low(settings, clock):
    """Low limits, at the beginning of a minute."""
    clock.time = clock.time.replace(second=0) + timedelta(minutes=1)
    settings.DELEGATION = {
        **settings.DELEGATION,
        "REFUSAL_EVENTS_PER_MINUTE": LIMIT,
        "REFUSAL_EVENTS_PER_MINUTE_TOTAL": IN_ALL,
        "FAILED_AUTHENTICATIONS_PER_MINUTE": 10_000,
    }


def events():
    return list(AuditEvent.objects.filter(event="request.refused").order_by("pk"))


def written(clock):
    """The events once the minute is over."""
    clock.forward(minutes=1)
    event_counts.write_finished()
    assert not EventCount.objects.exists()
    return events()


def in_all(rows):
    return sum(map(event_counts.times, rows))


NOISE = {
    "junk refresh tokens": lambda story, n: story.refresh(f"junk{n}", story.world.mobile),
    "junk codes": lambda story, n: story.redeem(f"junk{n}", story.world.mobile),
    "junk device codes": lambda story, n: story.poll(f"junk{n}"),
    "junk grant types": lambda story, n: story.token(story.world.mobile, grant_type=f"junk{n}"),
    "junk scopes": lambda story, n: story.client_credentials(scope=f"junk{n}"),
    "junk subject tokens": lambda story, n: story.exchange(f"junk{n}"),
    "wrong secrets": lambda story, n: story.redeem("x", App(story.world.web.row, f"wrong{n}")),
    "unknown clients": lambda story, n: story.post(
        "/oauth/token", {"grant_type": "refresh_token", "client_id": f"nobody{n}"}
    ),
    "unknown clients at revoke": lambda story, n: story.post(
        "/oauth/revoke", {"token": "x", "client_id": f"nobody{n}"}
    ),
    "prompt=none": lambda story, n: story.wire.get(
        "/oauth/authorize", story.authorize_parameters(prompt="none", state=f"{n}")
    ),
    "no token to revoke": lambda story, n: story.revoke(None, story.world.mobile, scope="x"),
    "no token to introspect": lambda story, n: story.introspect(None, scope="x"),
    "silent, and not allowed": lambda story, n: story.authorize(prompt="none", scope=f"junk{n}"),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_refusals_when_there_are_many(story, clock, noise):
    for number in range(50):
        response = noise(story, number)
        assert response.status_code in {303, 400, 401}, response.content
    assert len(events()) == LIMIT
    assert EventCount.objects.count() == 1

    rows = written(clock)

    assert len(rows) == LIMIT + 1
    assert in_all(rows) == 50
    counted = rows[-1]
    assert counted.outcome == "refused"
    assert counted.reason == rows[0].reason
    assert counted.ip_address == "127.0.0.1"
    assert counted.details["endpoint"] == rows[0].details["endpoint"]
    assert counted.details["first_at"] <= counted.details["last_at"]


@pytest.mark.parametrize("name", ["revoke", "introspect"])
def test_tokens_when_they_are_junk(story, clock, name):
    for number in range(50):
        story.post(f"/oauth/{name}", {"token": f"junk{number}"}, story.world.service_a_client)
    assert AuditEvent.objects.count() <= LIMIT + 1
    assert len(written(clock)) <= LIMIT + 1


def test_refusals_when_they_are_fewer(story, clock):
    story.refresh("junk", story.world.mobile)
    with CaptureQueriesContext(connection) as captured:
        story.refresh("junk", story.world.mobile)
    tables = ("auditevent", "eventcount")
    about = [query for query in captured if any(table in query["sql"] for table in tables)]
    assert len(about) == 1
    for _ in range(LIMIT - 2):
        story.refresh("junk", story.world.mobile)
    assert written(clock) == events()
    assert len(events()) == LIMIT
    assert in_all(events()) == LIMIT


def test_refusals_when_a_minute_is_over(story, clock):
    for _ in range(LIMIT + 3):
        story.refresh("junk", story.world.mobile)
    clock.forward(minutes=1)
    story.redeem("junk")
    assert [event_counts.times(row) for row in events()][-2:] == [1, 3]
    assert not EventCount.objects.exists()


def test_refusals_when_the_cache_forgets(story, clock):
    for _ in range(LIMIT + 3):
        story.refresh("junk", story.world.mobile)
    cache.clear()
    for _ in range(LIMIT + 4):
        story.refresh("junk", story.world.mobile)
    assert in_all(written(clock)) == 2 * LIMIT + 7


def test_refusals_when_the_cache_is_down(story, clock, monkeypatch):
    def fail(*_args, **_kwargs):
        raise ConnectionError

    for method in ("get", "add", "incr", "set", "delete"):
        monkeypatch.setattr(f"django.core.cache.backends.locmem.LocMemCache.{method}", fail)
    for _ in range(50):
        refused(story.refresh("junk", story.world.mobile), "invalid_grant")
    rows = written(clock)
    assert len(rows) == LIMIT + 1
    assert in_all(rows) == 50


def test_refusals_when_they_come_from_everywhere(story, clock):
    for number in range(100):
        story.post(
            "/oauth/token",
            {"grant_type": "refresh_token", "refresh_token": "x"},
            story.world.mobile,
            REMOTE_ADDR=f"203.0.113.{number}",
        )
    assert len(events()) == IN_ALL
    [count] = EventCount.objects.all()
    # No single one of them did it all
    assert (count.client_id_value, count.ip_address, count.actor) == ("", None, "")
    assert in_all(written(clock)) == 100


def test_refusals_when_another_client_is_noisy(story, clock):
    for _ in range(50):
        story.refresh("junk", story.world.mobile)
    story.refresh("junk")
    assert events()[-1].client_id_value == "web"
    assert [row.client_id_value for row in written(clock)][-1] == "mobile"


def test_counts_when_the_database_fails(story, clock, monkeypatch):
    for _ in range(50):
        story.refresh("junk", story.world.mobile)
    clock.forward(minutes=1)

    def fail():
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(event_counts, "_write_some", fail)
        event_counts.write_finished()
    assert EventCount.objects.count() == 1
    assert in_all(written(clock)) == 50


def test_counts_when_the_trail_is_shown(story, clock, capsys):
    superuser = browser("superuser")
    for _ in range(50):
        last = story.refresh("junk", story.world.mobile)
    clock.forward(minutes=1)

    shown = text_of(superuser.get(page("auditevent", "changelist")))
    assert f"{50 - LIMIT} times in a minute" in shown
    counted = events()[-1]
    one = text_of(superuser.get(page("auditevent", "change", counted.pk)))
    assert "Number of equal events" in one
    asked = superuser.post(page("auditevent", "why"), {"text": last["X-Request-Id"]})
    assert f"It is the last of {50 - LIMIT} equal refusals within a minute." in text_of(asked)
    call_command("audit", "--event", "request.refused")
    assert f"{50 - LIMIT} times in a minute" in capsys.readouterr().out
    clock.forward(seconds=1)
    for form in ("csv", "ndjson"):
        sent = superuser.post(page("auditevent", "export"), {"format": form})
        text = b"".join(sent.streaming_content).decode()
        lines = map(json.loads, text.splitlines()) if form == "ndjson" else _csv(text)
        assert 50 - LIMIT in [line["details"].get("count") for line in lines]
    assert sum(metrics.traffic().hours["refused"]) == 50


def _csv(text):
    rows = csv.DictReader(io.StringIO(text, newline=""))
    return [{"details": json.loads(row["details"])} for row in rows]


def test_counts_when_the_command_comes_first(story, clock, capsys):
    for _ in range(LIMIT + 2):
        story.refresh("junk", story.world.mobile)
    clock.forward(minutes=1)
    call_command("audit", "--outcome", "refused")
    assert "2 times in a minute" in capsys.readouterr().out


# Devices


@pytest.fixture
def few_devices(settings):
    settings.DELEGATION = {
        **settings.DELEGATION,
        "DEVICE_CODES_PER_ADDRESS": 3,
        "DEVICE_CODES_PER_CLIENT": 7,
    }


def start(story, ip="127.0.0.1"):
    data = {"client_id": story.world.tv.client_id, "scope": "read:metrics"}
    return story.post("/oauth/device_authorization", data, REMOTE_ADDR=ip)


def test_device_codes_when_an_address_has_too_many(story, few_devices):
    assert [start(story).status_code for _ in range(3)] == [200] * 3
    answer = start(story)
    refused(answer, "temporarily_unavailable", 429)
    assert int(answer["Retry-After"]) > 0
    assert start(story, "203.0.113.1").status_code == 200
    assert DeviceCode.objects.count() == 4
    assert [row.reason for row in events()] == ["temporarily_unavailable"]


def test_device_codes_when_a_client_has_too_many(story, few_devices):
    answers = [start(story, f"203.0.113.{number}").status_code for number in range(9)]
    assert answers == [200] * 7 + [429] * 2


def test_device_codes_when_they_are_answered_or_over(story, few_devices, clock):
    for _ in range(3):
        story.approved(story.world.tv)
    assert [start(story).status_code for _ in range(4)] == [200] * 3 + [429]
    clock.forward(seconds=601)
    assert start(story).status_code == 200


def test_device_codes_when_nobody_answers_for_days(story, few_devices, clock):
    approved = story.approved(story.world.tv)
    for _ in range(20):
        while start(story).status_code == 200:
            pass
        clock.forward(days=1, seconds=1)
    assert DeviceCode.objects.count() <= 2 * 3 + 1
    # An answer is evidence, and stays
    assert DeviceCode.objects.exclude(approved_at=None).count() == 1
    assert approved


def test_device_starts_when_there_are_many(story, clock):
    assert [start(story).status_code for _ in range(15)] == [200] * 15
    clock.forward(minutes=1)
    event_counts.write_finished()
    rows = AuditEvent.objects.filter(event="device.started").order_by("pk")
    assert len(rows) == LIMIT + 1
    assert in_all(rows) == 15
    assert rows.last().outcome == "done"


def test_silent_codes_when_an_app_loops(story, settings, clock):
    settings.DELEGATION = {**settings.DELEGATION, "NON_INTERACTIVE_CODES_PER_MINUTE": 4}
    story.code()
    rows = (AuthorizationCode, Delegation, ConsentRecord, AuditEvent)
    answers = [redirected(story.authorize(prompt="none")) for _ in range(4)]
    assert all("code" in answer for answer in answers)
    before = [model.objects.count() for model in rows[:3]]
    for _ in range(20):
        answer = redirected(story.authorize(prompt="none"))
        assert answer["error"] == "temporarily_unavailable"
    assert [model.objects.count() for model in rows[:3]] == before
    # Others are not affected, nor is the next minute
    assert story.code(story.world.other)
    clock.forward(minutes=1)
    assert "code" in redirected(story.authorize(prompt="none"))
